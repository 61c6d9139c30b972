//! LDIF content records (RFC 2849): a directory in a file.
//!
//! Promise: a value is what stands in the file; `attribute:< url` and change records are refused, so a file
//! never has anything else read. What `ldapsearch` prints behind the entries is passed over.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// What a file may hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the file.
    pub file_octets: usize,
    /// Entries.
    pub entries: usize,
    /// Octets of one value.
    pub value_octets: usize,
    /// Values of one entry.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_octets: 512 << 20, entries: 1_000_000, value_octets: 4 << 20, values: 200_000 }
    }
}

/// An entry of a directory: a name, and values by attribute in lower case without options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The distinguished name as it stands.
    pub dn: String,
    /// The values of each attribute, in their order.
    pub attributes: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Entry {
    /// An attribute's values; none of an attribute that is not there.
    #[must_use]
    pub fn values(&self, attribute: &str) -> &[Vec<u8>] {
        self.attributes.get(attribute).map_or(&[], Vec::as_slice)
    }

    /// An attribute's first value as text, where it is one.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        self.values(attribute).first().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether one of the attribute's values is a text, without case.
    #[must_use]
    pub fn has(&self, attribute: &str, text: &str) -> bool {
        self.values(attribute).iter().any(|value| value.eq_ignore_ascii_case(text.as_bytes()))
    }
}

/// Why a file is refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct Error {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    pub kind: ErrorKind,
}

/// Why a file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// Larger than a limit.
    #[error("the file holds more than {0} {1}")]
    TooLarge(usize, &'static str),
    /// A line that is no `attribute: value`.
    #[error("not an attribute and its value")]
    Line,
    /// An entry whose first line is not its name.
    #[error("an entry begins with its dn")]
    Name,
    /// A value that is not base64.
    #[error("the value is not base64")]
    Base64,
    /// A name that is not UTF-8.
    #[error("the name is not UTF-8")]
    NotText,
    /// `attribute:< url`.
    #[error("a value is never fetched from elsewhere")]
    Url,
    /// A change record.
    #[error("a change record is no content of a directory")]
    Change,
    /// A version that is not 1.
    #[error("the version is not 1")]
    Version,
}

/// Reads a whole file.
pub fn read(octets: &[u8], limits: &Limits) -> Result<Vec<Entry>, Error> {
    if octets.len() > limits.file_octets {
        return Err(Error { line: 1, kind: ErrorKind::TooLarge(limits.file_octets, "octets") });
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let mut entries = Vec::new();
    let mut record: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut in_comment = false;
    for (number, line) in (1..).zip(octets.split(|octet| *octet == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.first() {
            None => {
                finish(&mut record, &mut entries, limits)?;
                in_comment = false;
            }
            Some(b' ') if in_comment => {}
            Some(b' ') => {
                let last = record.last_mut().ok_or(Error { line: number, kind: ErrorKind::Line })?;
                last.1.extend_from_slice(&line[1..]);
            }
            Some(b'#') => in_comment = true,
            Some(_) => {
                in_comment = false;
                record.push((number, line.to_vec()));
            }
        }
    }
    finish(&mut record, &mut entries, limits)?;
    Ok(entries)
}

/// Makes an entry of the lines of a record.
fn finish(
    record: &mut Vec<(usize, Vec<u8>)>,
    entries: &mut Vec<Entry>,
    limits: &Limits,
) -> Result<(), Error> {
    let mut lines = std::mem::take(record).into_iter().peekable();
    if let Some((line, text)) = lines.peek()
        && text.starts_with(b"version:")
    {
        let (_, value) = split(*line, text, limits)?;
        if value != b"1" {
            return Err(Error { line: *line, kind: ErrorKind::Version });
        }
        lines.next();
    }
    let Some((line, first)) = lines.next() else { return Ok(()) };
    let (attribute, name) = split(line, &first, limits)?;
    match attribute.as_str() {
        "dn" => {}
        // The end of a search, and references to other servers.
        "search" | "result" | "ref" => return Ok(()),
        _ => return Err(Error { line, kind: ErrorKind::Name }),
    }
    if entries.len() == limits.entries {
        return Err(Error { line, kind: ErrorKind::TooLarge(limits.entries, "entries") });
    }
    let dn = String::from_utf8(name).map_err(|_| Error { line, kind: ErrorKind::NotText })?;
    let mut entry = Entry { dn, ..Entry::default() };
    let mut values = 0;
    for (line, text) in lines {
        let (attribute, value) = split(line, &text, limits)?;
        if matches!(attribute.as_str(), "changetype" | "control") {
            return Err(Error { line, kind: ErrorKind::Change });
        }
        values += 1;
        if values > limits.values {
            return Err(Error { line, kind: ErrorKind::TooLarge(limits.values, "values in an entry") });
        }
        entry.attributes.entry(attribute).or_default().push(value);
    }
    entries.push(entry);
    Ok(())
}

/// The attribute in lower case without options (`;binary`, `;range=0-1499`), and the value's octets.
fn split(line: usize, text: &[u8], limits: &Limits) -> Result<(String, Vec<u8>), Error> {
    let refused = |kind| Error { line, kind };
    let colon = text.iter().position(|octet| *octet == b':').ok_or(refused(ErrorKind::Line))?;
    let name = std::str::from_utf8(&text[..colon]).map_err(|_| refused(ErrorKind::Line))?;
    let name = name.split(';').next().unwrap_or_default().to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)) {
        return Err(refused(ErrorKind::Line));
    }
    let rest = &text[colon + 1..];
    let value = match rest.first() {
        Some(b'<') => return Err(refused(ErrorKind::Url)),
        Some(b':') => {
            BASE64_STANDARD.decode(rest[1..].trim_ascii()).map_err(|_| refused(ErrorKind::Base64))?
        }
        _ => rest.trim_ascii_start().to_vec(),
    };
    if value.len() > limits.value_octets {
        return Err(refused(ErrorKind::TooLarge(limits.value_octets, "octets in a value")));
    }
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_with_folded_lines_base64_and_options() {
        let text = "version: 1\n# a comment\n  goes on\ndn: CN=a,\n DC=x\r\nobjectClass: top\nobjectClass: user\n\
            cn:: w6Q=\nmember;range=0-1: CN=b\n\n\nsearch: 2\nresult: 0 Success\n\ndn:: Q049w6Q=\n";

        let entries = read(text.as_bytes(), &Limits::default()).unwrap();

        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].dn, "CN=a,DC=x");
        assert!(entries[0].has("objectclass", "USER"));
        assert_eq!(entries[0].text("cn"), Some("ä"));
        assert_eq!(entries[0].text("member"), Some("CN=b"));
        assert_eq!(entries[1].dn, "CN=ä");
    }

    #[test]
    fn what_is_no_content_record_is_refused_with_its_line() {
        let small = Limits { file_octets: 100, entries: 1, value_octets: 8, values: 1 };
        for (text, line, kind) in [
            ("dn: x\nchangetype: add\n", 2, ErrorKind::Change),
            ("dn: x\na:< file:///etc/passwd\n", 2, ErrorKind::Url),
            ("cn: x\n", 1, ErrorKind::Name),
            ("dn: x\n\nnonsense\n", 3, ErrorKind::Line),
            (" dn: x\n", 1, ErrorKind::Line),
            ("version: 2\ndn: x\n", 1, ErrorKind::Version),
            ("dn: x\na:: ?\n", 2, ErrorKind::Base64),
            ("dn: x\na: 1\nb: 2\n", 3, ErrorKind::TooLarge(1, "values in an entry")),
            ("dn: x\na: 123456789\n", 2, ErrorKind::TooLarge(8, "octets in a value")),
            ("dn: x\n\ndn: y\n", 3, ErrorKind::TooLarge(1, "entries")),
        ] {
            assert_eq!(read(text.as_bytes(), &small), Err(Error { line, kind }), "{text:?}");
        }
    }
}
