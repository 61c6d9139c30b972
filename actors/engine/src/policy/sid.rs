//! Security identifiers (MS-DTYP 2.4.2), in octets and as text.

use std::{fmt, str::FromStr};

/// Sub-authorities of a SID at most.
const SUB_AUTHORITIES: usize = 15;

/// A security identifier: who an access control entry speaks of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    authority: u64,
    subs: Vec<u32>,
}

/// Octets or a text that are no SID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a security identifier")]
pub struct SidError;

impl Sid {
    /// A SID of its parts; of more than 15 sub-authorities the rest is dropped.
    #[must_use]
    pub fn new(authority: u64, subs: &[u32]) -> Self {
        let subs = subs[..subs.len().min(SUB_AUTHORITIES)].to_vec();
        Self { authority: authority & 0xffff_ffff_ffff, subs }
    }

    /// `S-1-1-0`.
    #[must_use]
    pub fn everyone() -> Self {
        Self::new(1, &[0])
    }

    /// `S-1-5-11`.
    #[must_use]
    pub fn authenticated_users() -> Self {
        Self::new(5, &[11])
    }

    /// `S-1-5-15`.
    #[must_use]
    pub fn this_organization() -> Self {
        Self::new(5, &[15])
    }

    /// `S-1-3-4`, the owner's rights.
    #[must_use]
    pub fn owner_rights() -> Self {
        Self::new(3, &[4])
    }

    /// Reads a SID that begins the octets; gives how many it took.
    pub fn read(octets: &[u8]) -> Result<(Self, usize), SidError> {
        let head: &[u8; 8] = octets.first_chunk().ok_or(SidError)?;
        let count = usize::from(head[1]);
        if head[0] != 1 || count > SUB_AUTHORITIES {
            return Err(SidError);
        }
        let size = 8 + 4 * count;
        let rest = octets.get(8..size).ok_or(SidError)?;
        let authority = head[2..].iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
        let subs = rest.chunks_exact(4).map(|s| u32::from_le_bytes([s[0], s[1], s[2], s[3]])).collect();
        Ok((Self { authority, subs }, size))
    }

    /// Reads octets that are one SID and nothing else.
    pub fn read_whole(octets: &[u8]) -> Result<Self, SidError> {
        Self::read(octets).and_then(|(sid, size)| if size == octets.len() { Ok(sid) } else { Err(SidError) })
    }

    /// Its octets.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut octets = vec![1, u8::try_from(self.subs.len()).unwrap_or(0)];
        octets.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        self.subs.iter().for_each(|sub| octets.extend_from_slice(&sub.to_le_bytes()));
        octets
    }

    /// The identifier of an account of the same domain: the last sub-authority is another.
    #[must_use]
    pub fn sibling(&self, rid: u32) -> Option<Self> {
        let mut sibling = self.clone();
        *sibling.subs.last_mut()? = rid;
        Some(sibling)
    }

    /// The domain's SID and the relative identifier of an account of it (`S-1-5-21-a-b-c-RID`).
    #[must_use]
    pub fn in_domain(&self) -> Option<(Self, u32)> {
        match (self.authority, self.subs.as_slice()) {
            (5, [21, _, _, _, rid]) => Some((Self::new(5, &self.subs[..4]), *rid)),
            _ => None,
        }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority >> 32 == 0 {
            write!(f, "S-1-{}", self.authority)?;
        } else {
            write!(f, "S-1-0x{:012x}", self.authority)?;
        }
        self.subs.iter().try_for_each(|sub| write!(f, "-{sub}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = SidError;

    fn from_str(text: &str) -> Result<Self, SidError> {
        let mut parts = text.split('-');
        if !parts.next().is_some_and(|s| s.eq_ignore_ascii_case("S")) || parts.next() != Some("1") {
            return Err(SidError);
        }
        let authority = parts.next().ok_or(SidError)?;
        let authority = match authority.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => authority.parse(),
        };
        let authority = authority.ok().filter(|a| *a >> 48 == 0).ok_or(SidError)?;
        let subs: Vec<u32> = parts.map(str::parse).collect::<Result<_, _>>().map_err(|_| SidError)?;
        if subs.len() > SUB_AUTHORITIES { Err(SidError) } else { Ok(Self { authority, subs }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_the_same_in_octets_and_as_text() {
        for text in
            ["S-1-1-0", "S-1-5-11", "S-1-5-21-1248111218-2908701915-469762276-515", "S-1-0x010000000000-1"]
        {
            let sid: Sid = text.parse().unwrap();

            assert_eq!(sid.to_string(), text);
            assert_eq!(Sid::read_whole(&sid.write()), Ok(sid));
        }
    }

    #[test]
    fn octets_that_are_no_sid_are_refused() {
        let sid = Sid::everyone().write();
        for octets in
            [&sid[..3], &sid[..11], &[2, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], &[1, 16, 0, 0, 0, 0, 0, 1]]
        {
            assert_eq!(Sid::read(octets), Err(SidError), "{octets:?}");
        }
        assert_eq!(Sid::read_whole(&[&sid[..], &[0]].concat()), Err(SidError));
    }
}
