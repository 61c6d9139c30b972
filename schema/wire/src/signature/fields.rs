//! Structured fields (RFC 8941) as far as the signature fields need them: a dictionary whose members are byte
//! sequences or inner lists of strings. Promise: strict, no recursion, and re-serialised as RFC 8941 4.1 says.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// A bare item. Decimals are not read: nothing in the signature fields uses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    Integer(i64),
    String(String),
    Token(String),
    Bytes(Vec<u8>),
    Boolean(bool),
}

pub(super) type Parameters = Vec<(String, Bare)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InnerList {
    pub(super) items: Vec<(Bare, Parameters)>,
    pub(super) parameters: Parameters,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Item(Bare),
    List(InnerList),
}

/// A dictionary. A key that comes twice makes it malformed (RFC 8941 would take the last; no honest signer
/// sends two).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dictionary(Vec<(String, Member)>);

impl Dictionary {
    pub(super) fn get(&self, key: &str) -> Option<&Member> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, member)| member)
    }

    /// The error is the octet where reading stopped.
    pub(super) fn parse(text: &str) -> Result<Self, usize> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        reader.dictionary().ok_or(reader.at)
    }
}

impl InnerList {
    /// RFC 8941 4.1.1.1: the value of `@signature-params`.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::from("(");
        for (index, (item, parameters)) in self.items.iter().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            write_bare(&mut text, item);
            write_parameters(&mut text, parameters);
        }
        text.push(')');
        write_parameters(&mut text, &self.parameters);
        text
    }
}

/// RFC 8941 4.1.6; what a string cannot hold (anything but printable ASCII) is left out.
pub(super) fn string(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars().filter(|c| (' '..='~').contains(c)) {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

fn write_bare(text: &mut String, bare: &Bare) {
    let _infallible = match bare {
        Bare::Integer(number) => write!(text, "{number}"),
        Bare::String(value) => write!(text, "{}", string(value)),
        Bare::Token(value) => write!(text, "{value}"),
        Bare::Bytes(octets) => write!(text, ":{}:", BASE64.encode(octets)),
        Bare::Boolean(value) => write!(text, "?{}", u8::from(*value)),
    };
}

fn write_parameters(text: &mut String, parameters: &Parameters) {
    for (name, value) in parameters {
        text.push(';');
        text.push_str(name);
        if *value != Bare::Boolean(true) {
            text.push('=');
            write_bare(text, value);
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn dictionary(&mut self) -> Option<Dictionary> {
        let mut dictionary = Dictionary::default();
        self.skip(b" ");
        while self.at < self.text.len() {
            let key = self.key()?;
            let member = if self.take(b'=') { self.member()? } else { Member::Item(Bare::Boolean(true)) };
            let _unused_on_items = match &member {
                Member::Item(_) => self.parameters()?,
                Member::List(_) => Parameters::new(),
            };
            if dictionary.get(&key).is_some() {
                return None;
            }
            dictionary.0.push((key, member));
            self.skip(b" \t");
            if self.at == self.text.len() {
                break;
            }
            if !self.take(b',') {
                return None;
            }
            self.skip(b" \t");
            if self.at == self.text.len() {
                return None;
            }
        }
        Some(dictionary)
    }

    fn member(&mut self) -> Option<Member> {
        if self.take(b'(') { self.inner_list().map(Member::List) } else { self.bare().map(Member::Item) }
    }

    fn inner_list(&mut self) -> Option<InnerList> {
        let mut items = Vec::new();
        loop {
            self.skip(b" ");
            if self.take(b')') {
                return Some(InnerList { items, parameters: self.parameters()? });
            }
            let item = self.bare()?;
            items.push((item, self.parameters()?));
            if !matches!(self.peek(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn parameters(&mut self) -> Option<Parameters> {
        let mut parameters = Parameters::new();
        while self.take(b';') {
            self.skip(b" ");
            let name = self.key()?;
            let value = if self.take(b'=') { self.bare()? } else { Bare::Boolean(true) };
            if parameters.iter().any(|(known, _)| *known == name) {
                return None;
            }
            parameters.push((name, value));
        }
        Some(parameters)
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.peek()? {
            b'"' => self.string(),
            b':' => self.bytes(),
            b'?' => {
                self.at += 1;
                let value = self.peek()?;
                self.at += 1;
                matches!(value, b'0' | b'1').then_some(Bare::Boolean(value == b'1'))
            }
            b'-' | b'0'..=b'9' => {
                let digits = self.while_(|c| c == b'-' || c.is_ascii_digit());
                if digits.len() > 16 || matches!(self.peek(), Some(b'.')) {
                    return None;
                }
                digits.parse().ok().map(Bare::Integer)
            }
            b'*' | b'A'..=b'Z' | b'a'..=b'z' => {
                let token = self.while_(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&c));
                Some(Bare::Token(token))
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Bare> {
        self.at += 1;
        let mut value = String::new();
        loop {
            let octet = self.peek()?;
            match octet {
                b'"' => {
                    self.at += 1;
                    return Some(Bare::String(value));
                }
                b'\\' => {
                    self.at += 1;
                    let escaped = self.peek().filter(|c| matches!(c, b'"' | b'\\'))?;
                    value.push(char::from(escaped));
                }
                b' '..=b'~' => value.push(char::from(octet)),
                _ => return None,
            }
            self.at += 1;
        }
    }

    fn bytes(&mut self) -> Option<Bare> {
        self.at += 1;
        let text = self.while_(|c| c != b':');
        let octets = BASE64.decode(text).ok()?;
        self.take(b':').then_some(Bare::Bytes(octets))
    }

    fn key(&mut self) -> Option<String> {
        if !matches!(self.peek()?, b'a'..=b'z' | b'*') {
            return None;
        }
        Some(self.while_(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-.*".contains(&c)))
    }

    fn while_(&mut self, keep: impl Fn(u8) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&keep) {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    fn skip(&mut self, set: &[u8]) {
        while self.peek().is_some_and(|c| set.contains(&c)) {
            self.at += 1;
        }
    }

    fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_malformed_is_refused_with_its_octet() {
        for (text, at) in [
            ("dm", None),
            ("", None),
            ("dm=(\"a\" \"b\");created=1, other=:AA==:", None),
            ("dm=(\"a\"\"b\")", Some(7)),
            ("dm=(\"a\"", Some(7)),
            ("dm=:A", Some(5)),
            ("dm=1,", Some(5)),
            ("dm=1, dm=2", Some(10)),
            ("DM=1", Some(0)),
            ("dm=\"\u{1}\"", Some(4)),
            ("dm=1.5", Some(4)),
            ("dm=12345678901234567", Some(20)),
        ] {
            assert_eq!(Dictionary::parse(text).err(), at, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_field_value_makes_the_reader_panic(text in ".{0,200}") {
            let _any = Dictionary::parse(&text);
        }

        #[test]
        fn a_string_comes_back_as_it_was_written(value in "[ -~]{0,60}") {
            let read = Dictionary::parse(&format!("a={}", string(&value)));
            proptest::prop_assert_eq!(read, Ok(Dictionary(vec![("a".into(), Member::Item(Bare::String(value)))])));
        }
    }
}
