//! Integers and C-octet strings (3.1).

use super::BadPdu;

pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn u8(&mut self) -> Result<u8, BadPdu> {
        let (first, rest) = self.rest.split_first().ok_or(BadPdu::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn u16(&mut self) -> Result<u16, BadPdu> {
        let (octets, rest) = self.rest.split_first_chunk().ok_or(BadPdu::Truncated)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*octets))
    }

    pub(super) fn u32(&mut self) -> Result<u32, BadPdu> {
        let (octets, rest) = self.rest.split_first_chunk().ok_or(BadPdu::Truncated)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*octets))
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], BadPdu> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(BadPdu::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A text of at most `most` octets, its NUL among them.
    pub(super) fn c_string(&mut self, name: &'static str, most: usize) -> Result<String, BadPdu> {
        let bounded = &self.rest[..most.min(self.rest.len())];
        let end = bounded.iter().position(|octet| *octet == 0).ok_or(BadPdu::Text(name))?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        match std::str::from_utf8(text) {
            Ok(text) if text.is_ascii() => Ok(text.to_owned()),
            _ => Err(BadPdu::Text(name)),
        }
    }
}

/// Writes a text of at most `most` octets, its NUL among them.
pub(super) fn put_c_string(
    name: &'static str,
    text: &str,
    most: usize,
    out: &mut Vec<u8>,
) -> Result<(), BadPdu> {
    if text.len() >= most || !text.is_ascii() || text.contains('\0') {
        return Err(BadPdu::Text(name));
    }
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Ok(())
}
