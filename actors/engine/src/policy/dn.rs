//! Distinguished names (RFC 4514), compared without case and without regard to how they are escaped.

use std::{cmp::Ordering, fmt, hash, sync::Arc};

use super::fold::fold;

/// Octets of a name at most.
const OCTETS: usize = 16 * 1024;

/// A distinguished name. Equality and order are those of its normal form.
#[derive(Clone)]
pub struct Dn {
    text: Arc<str>,
    key: Arc<str>,
}

/// A text that is no distinguished name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a distinguished name")]
pub struct DnError;

impl Dn {
    /// Reads a name.
    pub fn new(text: &str) -> Result<Self, DnError> {
        let text = trim(text);
        if text.is_empty() || text.len() > OCTETS {
            return Err(DnError);
        }
        let mut key = String::with_capacity(text.len());
        for part in Parts(Some(text)) {
            let (kind, value) = part.split_once('=').ok_or(DnError)?;
            let kind = kind.trim_matches(' ');
            if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)) {
                return Err(DnError);
            }
            if !key.is_empty() {
                key.push(',');
            }
            key.push_str(&kind.to_ascii_uppercase());
            key.push('=');
            escape(&fold(&unescape(trim(value))?), &mut key);
        }
        Ok(Self { text: text.into(), key: key.into() })
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The normal form: one for all spellings of a name.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The name above, if there is one.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let text = behind_comma(&self.text)?;
        let key = behind_comma(&self.key)?;
        Some(Self { text: text.trim_start_matches(' ').into(), key: key.into() })
    }

    /// Whether its first part is of a type, in capitals (`OU`).
    #[must_use]
    pub fn is_a(&self, kind: &str) -> bool {
        self.key.strip_prefix(kind).is_some_and(|rest| rest.starts_with('='))
    }

    /// The value of the first part, unescaped.
    #[must_use]
    pub fn name(&self) -> String {
        let first = Parts(Some(&self.text)).next().unwrap_or_default();
        first.split_once('=').and_then(|(_, value)| unescape(trim(value)).ok()).unwrap_or_default()
    }

    /// Whether it is the other one or lies somewhere below it.
    #[must_use]
    pub fn is_below(&self, other: &Self) -> bool {
        let rest = self.key.strip_suffix(&*other.key);
        // A comma of a value is escaped, by a backslash that is not escaped itself.
        rest.is_some_and(|above| {
            above.is_empty()
                || above.strip_suffix(',').is_some_and(|above| {
                    above.bytes().rev().take_while(|octet| *octet == b'\\').count().is_multiple_of(2)
                })
        })
    }

    /// The domain that it lies in: from the first `DC=` on.
    #[must_use]
    pub fn domain(&self) -> Option<Self> {
        let mut at = self.clone();
        while !at.is_a("DC") {
            at = at.parent()?;
        }
        Some(at)
    }
}

/// The parts between commas that are not escaped.
struct Parts<'t>(Option<&'t str>);

impl<'t> Iterator for Parts<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let text = self.0?;
        match comma(text) {
            Some(at) => {
                self.0 = Some(&text[at + 1..]);
                Some(&text[..at])
            }
            None => {
                self.0 = None;
                Some(text)
            }
        }
    }
}

fn comma(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|octet| match octet {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        octet => octet == b',',
    })
}

fn behind_comma(text: &str) -> Option<&str> {
    comma(text).map(|at| &text[at + 1..])
}

/// Without the blanks around it; an escaped one at the end belongs to the value.
fn trim(value: &str) -> &str {
    let trimmed = value.trim_matches(' ');
    let slashes = trimmed.bytes().rev().take_while(|octet| *octet == b'\\').count();
    if slashes % 2 == 1 {
        let from = value.len() - value.trim_start_matches(' ').len();
        &value[from..(from + trimmed.len() + 1).min(value.len())]
    } else {
        trimmed
    }
}

fn unescape(value: &str) -> Result<String, DnError> {
    if !value.contains('\\') {
        return Ok(value.to_owned());
    }
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            octets.push(*first);
            continue;
        }
        let digit = |at: usize| tail.get(at).and_then(|c| char::from(*c).to_digit(16));
        match (tail.first(), digit(0), digit(1)) {
            (_, Some(high), Some(low)) => {
                octets.push(u8::try_from(high << 4 | low).map_err(|_| DnError)?);
                rest = &tail[2..];
            }
            (Some(c), ..) => {
                octets.push(*c);
                rest = &tail[1..];
            }
            (None, ..) => return Err(DnError),
        }
    }
    String::from_utf8(octets).map_err(|_| DnError)
}

fn escape(value: &str, out: &mut String) {
    let last = value.len().saturating_sub(1);
    for (at, c) in value.char_indices() {
        if matches!(c, ',' | '\\') || c == ' ' && (at == 0 || at == last) {
            out.push('\\');
        }
        out.push(c);
    }
}

impl PartialEq for Dn {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Dn {}

impl PartialOrd for Dn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Dn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl hash::Hash for Dn {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_in_every_spelling() {
        let name = Dn::new("CN=Doe\\, Jane,OU=Staff,DC=example,DC=test").unwrap();

        for spelling in
            ["cn=doe\\2C jane,ou=STAFF, dc=example , dc=test", "CN = Doe\\, Jane,OU=Staff,DC=Example,DC=Test"]
        {
            assert_eq!(Dn::new(spelling).unwrap(), name, "{spelling}");
        }
        assert_eq!(name.name(), "Doe, Jane");
        assert_eq!(name.parent().unwrap().as_str(), "OU=Staff,DC=example,DC=test");
        assert_eq!(name.domain().unwrap().as_str(), "DC=example,DC=test");
        assert!(name.is_a("CN") && name.parent().unwrap().is_a("OU"));
    }

    #[test]
    fn a_text_that_is_no_name_is_refused() {
        for text in ["", "x", "CN=a,", "=a", "CN=a\\", "CN=\\ff", "C N=a"] {
            assert_eq!(Dn::new(text).map(|dn| dn.to_string()), Err(DnError), "{text:?}");
        }
    }

    #[test]
    fn an_escaped_blank_at_the_end_belongs_to_the_value() {
        assert_eq!(Dn::new("CN=a\\ ,DC=x").unwrap().name(), "a ");
        assert_ne!(Dn::new("CN=a\\ ,DC=x").unwrap(), Dn::new("CN=a,DC=x").unwrap());
    }
}
