//! A security descriptor as people read it: SDDL (MS-DTYP 2.5.1), in the spelling that Samba prints.

use std::fmt::Write as _;

use super::{Ace, AceKind, SecurityDescriptor};
use crate::policy::sid::Sid;

const RIGHTS: &[(&str, u32)] = &[
    ("RP", 0x10),
    ("WP", 0x20),
    ("CR", 0x100),
    ("CC", 0x1),
    ("DC", 0x2),
    ("LC", 0x4),
    ("LO", 0x80),
    ("RC", 0x2_0000),
    ("WO", 0x8_0000),
    ("WD", 0x4_0000),
    ("SD", 0x1_0000),
    ("DT", 0x40),
    ("SW", 0x8),
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
];
const FLAGS: &[(&str, u8)] =
    &[("OI", 0x1), ("CI", 0x2), ("NP", 0x4), ("IO", 0x8), ("ID", 0x10), ("SA", 0x40), ("FA", 0x80)];
const CONTROL: &[(&str, u16)] = &[("P", 0x1000), ("AR", 0x100), ("AI", 0x400)];
const WELL_KNOWN: &[(&str, u64, &[u32])] = &[
    ("WD", 1, &[0]),
    ("CO", 3, &[0]),
    ("CG", 3, &[1]),
    ("NU", 5, &[2]),
    ("IU", 5, &[4]),
    ("SU", 5, &[6]),
    ("AN", 5, &[7]),
    ("ED", 5, &[9]),
    ("PS", 5, &[10]),
    ("AU", 5, &[11]),
    ("RC", 5, &[12]),
    ("SY", 5, &[18]),
    ("LS", 5, &[19]),
    ("NS", 5, &[20]),
    ("BA", 5, &[32, 544]),
    ("BU", 5, &[32, 545]),
    ("BG", 5, &[32, 546]),
    ("PU", 5, &[32, 547]),
    ("AO", 5, &[32, 548]),
    ("SO", 5, &[32, 549]),
    ("PO", 5, &[32, 550]),
    ("BO", 5, &[32, 551]),
    ("RE", 5, &[32, 552]),
    ("RU", 5, &[32, 554]),
    ("RD", 5, &[32, 555]),
    ("NO", 5, &[32, 556]),
];
const OF_DOMAIN: &[(&str, u32)] = &[
    ("RO", 498),
    ("LA", 500),
    ("LG", 501),
    ("DA", 512),
    ("DU", 513),
    ("DG", 514),
    ("DC", 515),
    ("DD", 516),
    ("CA", 517),
    ("SA", 518),
    ("EA", 519),
    ("PA", 520),
    ("RS", 553),
];

impl SecurityDescriptor {
    /// The descriptor's text; `domain` is the SID whose accounts have short names.
    #[must_use]
    pub fn sddl(&self, domain: Option<&Sid>) -> String {
        let mut text = String::new();
        for (letter, sid) in [("O", &self.owner), ("G", &self.group)] {
            if let Some(sid) = sid {
                let _ = write!(text, "{letter}:{}", sid_text(sid, domain));
            }
        }
        if let Some(entries) = &self.dacl {
            text.push_str("D:");
            text.extend(CONTROL.iter().filter(|(_, bit)| self.control & bit != 0).map(|(name, _)| *name));
            entries.iter().for_each(|ace| text.push_str(&ace.sddl(domain)));
        }
        text
    }
}

impl Ace {
    /// The entry's text.
    #[must_use]
    pub fn sddl(&self, domain: Option<&Sid>) -> String {
        let kind = match self.kind {
            AceKind::Allowed { object: false, conditional: false } => "A",
            AceKind::Allowed { object: true, conditional: false } => "OA",
            AceKind::Denied { object: false, conditional: false } => "D",
            AceKind::Denied { object: true, conditional: false } => "OD",
            AceKind::Allowed { object: false, conditional: true } => "XA",
            AceKind::Allowed { object: true, conditional: true } => "ZA",
            AceKind::Denied { conditional: true, .. } => "XD",
            AceKind::Other(_) => "??",
        };
        let flags: String =
            FLAGS.iter().filter(|(_, bit)| self.flags & bit != 0).map(|(name, _)| *name).collect();
        let guid = |guid: Option<uuid::Uuid>| guid.map(|guid| guid.to_string()).unwrap_or_default();
        format!(
            "({kind};{flags};{};{};{};{})",
            rights_text(self.mask),
            guid(self.object),
            guid(self.inherited_object),
            sid_text(&self.sid, domain)
        )
    }
}

fn rights_text(mask: u32) -> String {
    let known = RIGHTS.iter().fold(0, |sum, (_, bit)| sum | bit);
    if mask & !known != 0 {
        return format!("0x{mask:x}");
    }
    RIGHTS.iter().filter(|(_, bit)| mask & bit != 0).map(|(name, _)| *name).collect()
}

fn sid_text(sid: &Sid, domain: Option<&Sid>) -> String {
    let known = WELL_KNOWN.iter().find(|(_, authority, subs)| Sid::new(*authority, subs) == *sid);
    if let Some((name, ..)) = known {
        return (*name).to_owned();
    }
    if let Some((of, rid)) = sid.in_domain()
        && domain == Some(&of)
        && let Some((name, _)) = OF_DOMAIN.iter().find(|(_, known)| *known == rid)
    {
        return (*name).to_owned();
    }
    sid.to_string()
}
