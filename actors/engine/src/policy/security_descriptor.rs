//! Self-relative security descriptors as a directory gives them (MS-DTYP 2.4.4 to 2.4.6).
//!
//! Promise: every offset and length is held against the octets before anything is read; the entries of the
//! DACL keep their stored order, which is the order that access is checked in ([`access`]).

pub mod access;
pub mod sddl;

use uuid::Uuid;

use super::sid::Sid;

/// Octets of a descriptor at most: an ACL's size has 16 bits, and there are two of them and two SIDs.
const OCTETS: usize = 2 * 65_536 + 1024;

/// DACL_PRESENT in the control field.
pub const DACL_PRESENT: u16 = 0x0004;
/// The descriptor is one piece with offsets.
const SELF_RELATIVE: u16 = 0x8000;

/// INHERIT_ONLY: an entry that does not count for the object itself.
pub const INHERIT_ONLY: u8 = 0x08;

/// A security descriptor without its SACL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityDescriptor {
    /// The control bits.
    pub control: u16,
    /// The owner.
    pub owner: Option<Sid>,
    /// The primary group.
    pub group: Option<Sid>,
    /// The entries in their stored order; `None` is no DACL, which grants everything to everyone.
    pub dacl: Option<Vec<Ace>>,
}

/// One access control entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ace {
    /// What it does.
    pub kind: AceKind,
    /// Inheritance bits.
    pub flags: u8,
    /// The rights that it speaks of.
    pub mask: u32,
    /// Who it speaks of.
    pub sid: Sid,
    /// Of an object entry: the property, property set or extended right; without it the whole object.
    pub object: Option<Uuid>,
    /// Of an object entry: the class that inherits it.
    pub inherited_object: Option<Uuid>,
}

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AceKind {
    /// It grants.
    Allowed {
        /// Whether it is an object entry.
        object: bool,
        /// Whether it has a condition, which nothing here can judge: it then grants nothing.
        conditional: bool,
    },
    /// It denies.
    Denied {
        /// Whether it is an object entry.
        object: bool,
        /// Whether it has a condition, which nothing here can judge: it then denies.
        conditional: bool,
    },
    /// Another kind (audit, alarm, label): no access comes or goes by it.
    Other(u8),
}

/// Why octets are no security descriptor, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at octet {offset}: {kind}")]
pub struct Error {
    /// Counted from the descriptor's first octet.
    pub offset: usize,
    /// Why.
    pub kind: ErrorKind,
}

/// Why octets are no security descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// More octets than a descriptor can have.
    #[error("the descriptor is too large")]
    TooLarge,
    /// A part lies outside the octets.
    #[error("the octets end inside the descriptor")]
    Truncated,
    /// A revision that is not known.
    #[error("revision {0} is not known")]
    Revision(u8),
    /// Not in one piece.
    #[error("the descriptor is not self-relative")]
    NotSelfRelative,
    /// A SID that is none.
    #[error("not a security identifier")]
    Sid,
    /// Sizes that contradict each other.
    #[error("the size of an access control list or entry is wrong")]
    Size,
}

impl SecurityDescriptor {
    /// Reads a whole descriptor.
    pub fn read(octets: &[u8]) -> Result<Self, Error> {
        if octets.len() > OCTETS {
            return Err(Error { offset: OCTETS, kind: ErrorKind::TooLarge });
        }
        if octets.len() < 20 {
            return Err(Error { offset: octets.len(), kind: ErrorKind::Truncated });
        }
        if octets[0] != 1 {
            return Err(Error { offset: 0, kind: ErrorKind::Revision(octets[0]) });
        }
        let control = u16::from_le_bytes([octets[2], octets[3]]);
        if control & SELF_RELATIVE == 0 {
            return Err(Error { offset: 2, kind: ErrorKind::NotSelfRelative });
        }
        let dacl_at = offset(octets, 16);
        let present = control & DACL_PRESENT != 0 && dacl_at != 0;
        Ok(Self {
            control,
            owner: sid_at(octets, offset(octets, 4))?,
            group: sid_at(octets, offset(octets, 8))?,
            dacl: if present { Some(acl(octets, dacl_at)?) } else { None },
        })
    }
}

/// One of the header's offsets, which stand within its 20 octets.
fn offset(octets: &[u8], at: usize) -> usize {
    u32::from_le_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]]) as usize
}

fn sid_at(octets: &[u8], at: usize) -> Result<Option<Sid>, Error> {
    if at == 0 {
        return Ok(None);
    }
    let rest = octets.get(at..).ok_or(Error { offset: at, kind: ErrorKind::Truncated })?;
    let (sid, _) = Sid::read(rest).map_err(|_| Error { offset: at, kind: ErrorKind::Sid })?;
    Ok(Some(sid))
}

fn acl(octets: &[u8], at: usize) -> Result<Vec<Ace>, Error> {
    let truncated = Error { offset: at, kind: ErrorKind::Truncated };
    let head: &[u8; 8] = octets.get(at..).and_then(|rest| rest.first_chunk()).ok_or(truncated)?;
    if !matches!(head[0], 2 | 4) {
        return Err(Error { offset: at, kind: ErrorKind::Revision(head[0]) });
    }
    let size = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let count = usize::from(u16::from_le_bytes([head[4], head[5]]));
    let list = octets.get(at..at + size).ok_or(truncated)?;
    let mut entries = Vec::new();
    let mut from = 8;
    for _ in 0..count {
        let wrong = Error { offset: at + from, kind: ErrorKind::Size };
        let head: &[u8; 4] = list.get(from..).and_then(|rest| rest.first_chunk()).ok_or(wrong)?;
        let size = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let entry = list.get(from..from + size).filter(|entry| entry.len() >= 4).ok_or(wrong)?;
        entries.push(ace(entry).map_err(|kind| Error { offset: at + from, kind })?);
        from += size;
    }
    Ok(entries)
}

fn ace(entry: &[u8]) -> Result<Ace, ErrorKind> {
    let (kind, is_object) = match entry[0] {
        0 => (AceKind::Allowed { object: false, conditional: false }, false),
        1 => (AceKind::Denied { object: false, conditional: false }, false),
        5 => (AceKind::Allowed { object: true, conditional: false }, true),
        6 => (AceKind::Denied { object: true, conditional: false }, true),
        9 => (AceKind::Allowed { object: false, conditional: true }, false),
        10 => (AceKind::Denied { object: false, conditional: true }, false),
        11 => (AceKind::Allowed { object: true, conditional: true }, true),
        12 => (AceKind::Denied { object: true, conditional: true }, true),
        other => {
            let nobody = Sid::new(0, &[0]);
            let kind = AceKind::Other(other);
            return Ok(Ace {
                kind,
                flags: entry[1],
                mask: 0,
                sid: nobody,
                object: None,
                inherited_object: None,
            });
        }
    };
    let mut rest = &entry[4..];
    let mask = number(&mut rest)?;
    let parts = if is_object { number(&mut rest)? } else { 0 };
    let object = if parts & 1 != 0 { Some(guid(&mut rest)?) } else { None };
    let inherited_object = if parts & 2 != 0 { Some(guid(&mut rest)?) } else { None };
    let (sid, _) = Sid::read(rest).map_err(|_| ErrorKind::Sid)?;
    Ok(Ace { kind, flags: entry[1], mask, sid, object, inherited_object })
}

fn number(rest: &mut &[u8]) -> Result<u32, ErrorKind> {
    let (head, tail) = rest.split_first_chunk().ok_or(ErrorKind::Size)?;
    *rest = tail;
    Ok(u32::from_le_bytes(*head))
}

fn guid(rest: &mut &[u8]) -> Result<Uuid, ErrorKind> {
    let (head, tail) = rest.split_first_chunk().ok_or(ErrorKind::Size)?;
    *rest = tail;
    Ok(Uuid::from_bytes_le(*head))
}
