//! The WBXML header: version, public identifier, character set, string table; and multi-octet integers.

use crate::syncml::{DecodeErrorKind, Limits, PublicId, Style, Version};

/// Which kind of document is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::syncml) enum Expected {
    /// A SyncML message.
    Message,
    /// A TNDS tree.
    Tree,
}

/// What a header said.
#[derive(Debug)]
pub(in crate::syncml) struct Header<'a> {
    /// The version octet: 0x01 to 0x03.
    pub(in crate::syncml) wbxml_version: u8,
    /// How the document type was named.
    pub(in crate::syncml) public_id: PublicId,
    /// The version of SyncML, when it was named.
    pub(in crate::syncml) version: Option<Version>,
    /// The string table.
    pub(in crate::syncml) table: &'a [u8],
    /// Where the body starts.
    pub(in crate::syncml) end: usize,
}

/// Reads a header. UTF-8 (106), US-ASCII (3) and "unknown" (0, taken as UTF-8) are the character sets that are read.
///
/// # Errors
/// The kind and the offset.
pub(in crate::syncml) fn read<'a>(
    body: &'a [u8],
    expected: Expected,
    limits: &Limits,
) -> Result<Header<'a>, (DecodeErrorKind, usize)> {
    let mut at = 0;
    let wbxml_version = *body.first().ok_or((DecodeErrorKind::Empty, 0))?;
    if !(0x01..=0x03).contains(&wbxml_version) {
        return Err((DecodeErrorKind::WbxmlVersion(wbxml_version), 0));
    }
    at += 1;
    let public_at = at;
    let number = integer(body, &mut at)?;
    let index = if number == 0 { Some(integer(body, &mut at)?) } else { None };
    let charset_at = at;
    let charset = integer(body, &mut at)?;
    if !matches!(charset, 0 | 3 | 106) {
        return Err((DecodeErrorKind::CharacterEncoding(format!("MIBenum {charset}")), charset_at));
    }
    let length_at = at;
    let length = integer(body, &mut at)? as usize;
    if length > limits.string_table_octets {
        let limit = limits.string_table_octets;
        return Err((DecodeErrorKind::Limit { what: "octets of string table", limit }, length_at));
    }
    let table = body.get(at..at + length).ok_or((DecodeErrorKind::Truncated, body.len()))?;
    at += length;
    let (public_id, version) = match index {
        Some(index) => {
            let name = table_text(table, index).ok_or((DecodeErrorKind::StringTable(index), public_at))?;
            (PublicId::InTable, of_identifier(name, expected).map_err(|kind| (kind, public_at))?)
        }
        None => match (number, expected) {
            (1, _) => (PublicId::Unknown, None),
            (0x1201, Expected::Message) => (PublicId::Numeric, Some(Version::V1_2)),
            (0x0FD3 | 0x0FD1, Expected::Message) => (PublicId::Numeric, Some(Version::V1_1)),
            (other, _) => {
                return Err((wrong(expected, format!("its public identifier is 0x{other:X}")), public_at));
            }
        },
    };
    Ok(Header { wbxml_version, public_id, version, table, end: at })
}

/// Writes a header in the wanted style.
pub(in crate::syncml) fn write(style: &Style, mut put: impl FnMut(&[u8])) {
    // Old decoders refuse a minor version above 2 (the Motorola/Google client of 2014).
    put(&[style.wbxml_version.clamp(1, 2)]);
    match style.public_id {
        PublicId::Numeric => put_integer(style.version.public_number(), &mut put),
        PublicId::Unknown => put(&[1]),
        PublicId::InTable => put(&[0, 0]),
    }
    put(&[0x6A]);
    if style.public_id == PublicId::InTable {
        let identifier = style.version.public_identifier();
        put_integer(u32::try_from(identifier.len()).unwrap_or_default(), &mut put);
        put(identifier.as_bytes());
    } else {
        put(&[0]);
    }
}

/// Writes the header of a tree: its document type has no number, so its name stands in the table, with a NUL as
/// libwbxml writes it.
pub(in crate::syncml) fn write_tree(mut put: impl FnMut(&[u8])) {
    const IDENTIFIER: &[u8] = b"-//OMA//DTD-DM-DDF 1.2//EN\0";
    put(&[2, 0, 0, 0x6A, IDENTIFIER.len() as u8]);
    put(IDENTIFIER);
}

/// The string at an offset of the table: up to its NUL or the table's end (COD-16).
pub(in crate::syncml) fn table_text(table: &[u8], offset: u32) -> Option<&[u8]> {
    let rest = table.get(usize::try_from(offset).ok()?..).filter(|rest| !rest.is_empty())?;
    Some(rest.split(|octet| *octet == 0).next().unwrap_or_default())
}

/// The version that the formal public identifier of a message names; `None` for a tree's.
fn of_identifier(name: &[u8], expected: Expected) -> Result<Option<Version>, DecodeErrorKind> {
    let start: &[u8] = match expected {
        Expected::Message => b"-//SYNCML//DTD SyncML 1.",
        Expected::Tree => b"-//OMA//DTD-DM-DDF 1.",
    };
    match (name.split_at_checked(start.len()), expected) {
        (Some((found, _)), Expected::Tree) if found.eq_ignore_ascii_case(start) => Ok(None),
        (Some((found, rest)), Expected::Message) if found.eq_ignore_ascii_case(start) => match rest.first() {
            Some(b'0' | b'1') => Ok(Some(Version::V1_1)),
            _ => Ok(Some(Version::V1_2)),
        },
        _ => {
            let name: String = String::from_utf8_lossy(name).chars().take(80).collect();
            Err(wrong(expected, format!("its public identifier is {name:?}")))
        }
    }
}

fn wrong(expected: Expected, why: String) -> DecodeErrorKind {
    match expected {
        Expected::Message => DecodeErrorKind::NotSyncMl(why),
        Expected::Tree => DecodeErrorKind::NotTree(why),
    }
}

/// Reads a multi-octet integer: at most 5 octets and 32 bits.
pub(in crate::syncml) fn integer(body: &[u8], at: &mut usize) -> Result<u32, (DecodeErrorKind, usize)> {
    let start = *at;
    let mut value: u64 = 0;
    for _ in 0..5 {
        let octet = *body.get(*at).ok_or((DecodeErrorKind::Truncated, *at))?;
        *at += 1;
        value = value << 7 | u64::from(octet & 0x7F);
        if octet & 0x80 == 0 {
            return u32::try_from(value).map_err(|_| (DecodeErrorKind::MultiOctet, start));
        }
    }
    Err((DecodeErrorKind::MultiOctet, start))
}

/// Writes a multi-octet integer in as few octets as it takes.
pub(in crate::syncml) fn put_integer(value: u32, mut put: impl FnMut(&[u8])) {
    let mut octets = [0; 5];
    let mut at = 4;
    octets[at] = (value & 0x7F) as u8;
    let mut rest = value >> 7;
    while rest > 0 {
        at -= 1;
        octets[at] = (rest & 0x7F) as u8 | 0x80;
        rest >>= 7;
    }
    put(&octets[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cod_25_a_multi_octet_integer_has_at_most_5_octets_and_32_bits() {
        for value in [0, 1, 0x7F, 0x80, 0x1201, 0x3FFF, 0x4000, u32::MAX] {
            let mut octets = Vec::new();
            put_integer(value, |piece| octets.extend_from_slice(piece));
            assert_eq!(integer(&octets, &mut 0), Ok(value));
        }
        for bad in [&[0x90, 0x80, 0x80, 0x80, 0x00][..], &[0x80; 6], &[0xFF; 5]] {
            assert_eq!(integer(bad, &mut 0), Err((DecodeErrorKind::MultiOctet, 0)), "{bad:02X?}");
        }
        assert_eq!(integer(&[0x80], &mut 0), Err((DecodeErrorKind::Truncated, 1)));
    }
}
