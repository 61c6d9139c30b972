//! Entries as they come, and attributes that come in pieces.

use ldap3::asn1::{PL, StructureTag, parse_tag};
use postern_actors::DirectoryEntry as Entry;

/// Octets of one value at most: a security descriptor has 64 KiB, gPLink less than half a mebioctet.
const VALUE_OCTETS: usize = 1 << 20;
const SEARCH_RESULT_ENTRY: u64 = 4;

/// An entry that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage;

/// An entry, and what of it is still to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) entry: Entry,
    /// Attributes that came as a piece.
    pub(super) pieces: Vec<Piece>,
}

/// A piece of an attribute's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) attribute: String,
    /// The number of its first value.
    pub(super) from: usize,
    /// The number of the value behind its last; `None` at the end.
    pub(super) next: Option<usize>,
}

/// Reads an entry.
pub(super) fn read(tag: StructureTag) -> Result<Found, Garbage> {
    if tag.id != SEARCH_RESULT_ENTRY {
        return Err(Garbage);
    }
    let mut parts = constructed(tag)?.into_iter();
    let (Some(dn), Some(attributes), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Garbage);
    };
    let mut found = Found { entry: Entry { dn: text(dn)?, ..Entry::default() }, pieces: Vec::new() };
    for attribute in constructed(attributes)? {
        let mut parts = constructed(attribute)?.into_iter();
        let (Some(name), Some(values), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Garbage);
        };
        let name = text(name)?.to_ascii_lowercase();
        let (name, options) = name.split_once(';').unwrap_or((&name, ""));
        if let Some(range) = options.split(';').find_map(|option| option.strip_prefix("range=")) {
            found.pieces.push(piece(name, range)?);
        }
        let values: Result<Vec<_>, _> = constructed(values)?.into_iter().map(octets).collect();
        // An attribute may come twice: empty, and in its first piece.
        found.entry.attributes.entry(name.to_owned()).or_default().extend(values?);
    }
    found.entry.attributes.retain(|_, values| !values.is_empty());
    Ok(found)
}

/// The cookie in the value of the paged-results control; an empty one ends the answer.
pub(super) fn cookie(value: &[u8]) -> Result<Vec<u8>, Garbage> {
    let (rest, tag) = parse_tag(value).map_err(|_| Garbage)?;
    let mut parts = constructed(tag)?.into_iter();
    match (parts.next(), parts.next(), parts.next(), rest) {
        (Some(_), Some(cookie), None, []) => octets(cookie),
        _ => Err(Garbage),
    }
}

/// `0-1499`, or `1500-*` at the end.
fn piece(attribute: &str, range: &str) -> Result<Piece, Garbage> {
    let (from, to) = range.split_once('-').ok_or(Garbage)?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| Garbage);
    let from = number(from)?;
    let next = match to {
        "*" => None,
        to => Some(number(to)?.checked_add(1).filter(|next| *next > from).ok_or(Garbage)?),
    };
    Ok(Piece { attribute: attribute.to_owned(), from, next })
}

fn constructed(tag: StructureTag) -> Result<Vec<StructureTag>, Garbage> {
    match tag.payload {
        PL::C(parts) => Ok(parts),
        PL::P(_) => Err(Garbage),
    }
}

fn octets(tag: StructureTag) -> Result<Vec<u8>, Garbage> {
    match tag.payload {
        PL::P(octets) if octets.len() <= VALUE_OCTETS => Ok(octets),
        _ => Err(Garbage),
    }
}

fn text(tag: StructureTag) -> Result<String, Garbage> {
    String::from_utf8(octets(tag)?).map_err(|_| Garbage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat()
    }

    fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> StructureTag {
        let attributes: Vec<u8> = attributes
            .iter()
            .flat_map(|(name, values)| {
                let values: Vec<u8> = values.iter().flat_map(|v| value(4, v.as_bytes())).collect();
                value(0x30, &[value(4, name.as_bytes()), value(0x31, &values)].concat())
            })
            .collect();
        let whole = value(0x64, &[value(4, dn.as_bytes()), value(0x30, &attributes)].concat());
        parse_tag(&whole).unwrap().1
    }

    #[test]
    fn an_entry_has_its_values_and_says_what_is_missing() {
        let found = read(entry(
            "CN=g,DC=x",
            &[("cn", &["g"]), ("member", &[]), ("member;range=0-1", &["CN=a,DC=x", "CN=b,DC=x"])],
        ))
        .unwrap();

        assert_eq!(found.entry.text("cn"), Some("g"));
        assert_eq!(found.entry.values("member").len(), 2);
        assert_eq!(found.pieces, [Piece { attribute: "member".to_owned(), from: 0, next: Some(2) }]);
        let last = read(entry("CN=g,DC=x", &[("Member;Range=2-*", &["CN=c,DC=x"])])).unwrap();
        assert_eq!(last.pieces, [Piece { attribute: "member".to_owned(), from: 2, next: None }]);
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for range in ["member;range=", "member;range=2-1", "member;range=-", "member;range=0-x"] {
            assert_eq!(read(entry("CN=g", &[(range, &["x"])])), Err(Garbage), "{range}");
        }
        assert_eq!(read(parse_tag(b"\x64\x00").unwrap().1), Err(Garbage));
        assert_eq!(read(parse_tag(b"\x64\x04\x04\x00\x04\x00").unwrap().1), Err(Garbage));
        assert_eq!(read(parse_tag(b"\x65\x04\x04\x00\x30\x00").unwrap().1), Err(Garbage));
        assert_eq!(read(parse_tag(b"\x64\x05\x04\x01\xff\x30\x00").unwrap().1), Err(Garbage));
    }

    #[test]
    fn a_cookie_is_read_or_refused() {
        assert_eq!(cookie(b"\x30\x07\x02\x01\x00\x04\x02ab"), Ok(b"ab".to_vec()));
        assert_eq!(cookie(b"\x30\x05\x02\x01\x00\x04\x00"), Ok(Vec::new()));
        for value in [&b""[..], b"\x30\x03\x02\x01\x00", b"\x04\x01x", b"\x30\x05\x02\x01\x00\x04\x00x"] {
            assert_eq!(cookie(value), Err(Garbage), "{value:02x?}");
        }
    }
}
