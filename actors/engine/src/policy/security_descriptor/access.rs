//! The access check on a GPO: Read, and the extended right Apply Group Policy (MS-GPOL 3.2.5.1.6, MS-ADTS 5.1.3).
//!
//! Promise: the entries count in their stored order, each right bit is decided by the first entry that
//! mentions it for somebody in the token; what nothing decides is not granted. A deny entry that comes behind
//! the allow entry does not count, as on Windows.

use uuid::{Uuid, uuid};

use super::{Ace, AceKind, INHERIT_ONLY, SecurityDescriptor};
use crate::policy::sid::Sid;

/// The extended right Apply Group Policy.
pub const APPLY_GROUP_POLICY: Uuid = uuid!("edacfd8f-ffb3-11d1-b41d-00a0c968f939");
/// ADS_RIGHT_DS_CONTROL_ACCESS: the bit that extended rights stand behind.
pub const CONTROL_ACCESS: u32 = 0x100;
/// READ_CONTROL.
const READ_CONTROL: u32 = 0x0002_0000;
/// READ_CONTROL, list the children, read the properties: what reading a GPO takes.
pub const READ: u32 = READ_CONTROL | 0x4 | 0x10;

/// The rights to read a GPO, and the right to apply it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read.
    Read,
    /// Apply Group Policy.
    Apply,
}

/// What the check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All of it is granted.
    Granted,
    /// An entry denies it: its place in the DACL.
    Denied {
        /// Counted from 0.
        ace: usize,
    },
    /// No entry decides a part of it.
    NotGranted,
}

impl SecurityDescriptor {
    /// Whether somebody has a right. `holds` says whether a SID is in their token.
    #[must_use]
    pub fn check(&self, right: Right, holds: &dyn Fn(&Sid) -> bool) -> Access {
        let Some(entries) = &self.dacl else { return Access::Granted };
        let owns = self.owner.as_ref().is_some_and(holds);
        let owner_rights = Sid::owner_rights();
        let counts = |ace: &Ace| {
            ace.flags & INHERIT_ONLY == 0 && (holds(&ace.sid) || (owns && ace.sid == owner_rights))
        };
        let mut open = match right {
            Right::Read => READ,
            Right::Apply => CONTROL_ACCESS,
        };
        // Entries for the owner's rights take the place of what an owner has anyway.
        let owner_has = owns && !entries.iter().any(|ace| ace.sid == owner_rights);
        if owner_has {
            open &= !READ_CONTROL;
        }
        for (place, ace) in entries.iter().enumerate().filter(|(_, ace)| counts(ace)) {
            let mentioned = rights_of(ace, right) & open;
            match ace.kind {
                AceKind::Allowed { conditional: false, .. } => open &= !mentioned,
                AceKind::Denied { .. } if mentioned != 0 => return Access::Denied { ace: place },
                _ => {}
            }
            if open == 0 {
                return Access::Granted;
            }
        }
        if open == 0 { Access::Granted } else { Access::NotGranted }
    }
}

/// The bits that an entry speaks of, as far as they concern a right.
fn rights_of(ace: &Ace, right: Right) -> u32 {
    match (ace.object, right) {
        (None, _) => expand(ace.mask),
        (Some(APPLY_GROUP_POLICY), Right::Apply) => expand(ace.mask) & CONTROL_ACCESS,
        (Some(_), _) => 0,
    }
}

/// The generic rights of a directory object (MS-ADTS 5.1.3.2).
fn expand(mask: u32) -> u32 {
    [
        (0x8000_0000, 0x0002_0014),
        (0x4000_0000, 0x0002_0028),
        (0x2000_0000, 0x0002_0004),
        (0x1000_0000, 0x000f_01ff),
    ]
    .into_iter()
    .filter(|(generic, _)| mask & generic != 0)
    .fold(mask, |mask, (_, specific)| mask | specific)
}
