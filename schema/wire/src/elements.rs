//! Small XML documents whose elements hold attributes and elements, no text: provisioning documents, PAP.
//!
//! Promise: no external entity, no internal subset, no reference but the predefined and the character ones; bounds on
//! octets, depth, elements and attributes. Text between elements is read over, prefixes of names too.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

/// Most octets of a document.
pub(crate) const MOST_OCTETS: usize = 65_536;
/// Most elements that are open at the same time.
const MOST_DEPTH: usize = 16;
/// Most elements.
const MOST_ELEMENTS: usize = 2_048;
/// Most attributes of one element.
const MOST_ATTRIBUTES: usize = 16;

/// One element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), children: Vec::new() }
    }

    /// The element with one more attribute.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first child of a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// A document that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadXml {
    /// A bound is passed.
    #[error("the document has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Octets that are not UTF-8.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// Not well-formed XML.
    #[error("the document is not well formed: {0}")]
    NotWellFormed(String),
    /// A DOCTYPE with declarations of its own.
    #[error("a DOCTYPE with an internal subset is refused")]
    InternalSubset,
    /// A character that XML 1.0 does not allow.
    #[error("U+{0:04X} is not allowed in XML")]
    Character(u32),
}

fn malformed(reason: &str) -> BadXml {
    BadXml::NotWellFormed(reason.to_owned())
}

fn bounded(what: &'static str, count: usize, limit: usize) -> Result<(), BadXml> {
    if count > limit { Err(BadXml::Limit { what, limit }) } else { Ok(()) }
}

/// Reads a document.
pub(crate) fn read(octets: &[u8]) -> Result<Element, BadXml> {
    bounded("octets", octets.len(), MOST_OCTETS)?;
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    let text = std::str::from_utf8(octets).map_err(|_| BadXml::NotUtf8)?;
    check_characters(text)?;
    let mut reader = Reader::from_str(text);
    let (mut open, mut root): (Vec<Element>, Option<Element>) = (Vec::new(), None);
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(|error| malformed(&error.to_string()))?;
        let (start, empty) = match event {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::End(_) => {
                let closed = open.pop().ok_or_else(|| malformed("an end without a start"))?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => root = Some(closed),
                }
                continue;
            }
            Event::DocType(doctype) if doctype.contains('[') => return Err(BadXml::InternalSubset),
            Event::Eof if open.is_empty() => return root.ok_or_else(|| malformed("no element")),
            Event::Eof => return Err(malformed("an element is not closed")),
            _ => continue,
        };
        if root.is_some() {
            return Err(malformed("a second root element"));
        }
        elements += 1;
        bounded("elements", elements, MOST_ELEMENTS)?;
        bounded("open elements", open.len() + 1, MOST_DEPTH)?;
        let element = element(&start)?;
        match (empty, open.last_mut()) {
            (false, _) => open.push(element),
            (true, Some(parent)) => parent.children.push(element),
            (true, None) => root = Some(element),
        }
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, BadXml> {
    let name = start.name();
    let mut element = Element::new(local(name.as_ref())?);
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| malformed(&error.to_string()))?;
        bounded("attributes of one element", element.attributes.len() + 1, MOST_ATTRIBUTES)?;
        if attribute.value.contains('<') {
            return Err(malformed("'<' in the value of an attribute"));
        }
        let value =
            quick_xml::escape::unescape(&attribute.value).map_err(|error| malformed(&error.to_string()))?;
        check_characters(&value)?;
        element.attributes.push((local(attribute.key.into_inner())?.to_owned(), value.into_owned()));
    }
    Ok(element)
}

fn local(name: &str) -> Result<&str, BadXml> {
    let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
    let named = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_' | '.');
    if !local.is_empty() && local.chars().all(named) { Ok(local) } else { Err(malformed("a name is none")) }
}

fn check_characters(text: &str) -> Result<(), BadXml> {
    let bad = |character: &char| !matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars().find(bad).map_or(Ok(()), |character| Err(BadXml::Character(character.into())))
}

/// Writes an element and what is in it, without any white space between.
pub(crate) fn write(element: &Element, out: &mut String) -> Result<(), BadXml> {
    out.push('<');
    out.push_str(&element.name);
    for (name, value) in &element.attributes {
        check_characters(value)?;
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        value.chars().for_each(|character| put_escaped(character, out));
        out.push('"');
    }
    if element.children.is_empty() {
        out.push_str("/>");
        return Ok(());
    }
    out.push('>');
    for child in &element.children {
        write(child, out)?;
    }
    out.push_str("</");
    out.push_str(&element.name);
    out.push('>');
    Ok(())
}

fn put_escaped(character: char, out: &mut String) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        // A reader would turn these into spaces.
        '\t' => out.push_str("&#9;"),
        '\n' => out.push_str("&#10;"),
        '\r' => out.push_str("&#13;"),
        other => out.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_character_of_a_value_is_written_and_read_back() {
        let value = "a&b<c>\"d'\t\r\n é \u{1F600} \u{FFFD}";
        let element = Element { children: vec![Element::new("c")], ..Element::new("a").with("v", value) };
        let mut text = String::new();
        write(&element, &mut text).unwrap();
        assert_eq!(read(text.as_bytes()), Ok(element));
        for bad in ["\0", "\u{1}", "\u{FFFF}"] {
            let refused = write(&Element::new("a").with("v", bad), &mut String::new());
            assert!(matches!(refused, Err(BadXml::Character(_))), "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(17), "</a>".repeat(17));
        let many = format!("<a>{}</a>", "<b/>".repeat(2_048));
        let wide: String = (0..17).map(|at| format!(" a{at}=''")).collect();
        for (document, refusal) in [
            (deep, BadXml::Limit { what: "open elements", limit: 16 }),
            (many, BadXml::Limit { what: "elements", limit: 2_048 }),
            (format!("<a{wide}/>"), BadXml::Limit { what: "attributes of one element", limit: 16 }),
            (" ".repeat(MOST_OCTETS + 1), BadXml::Limit { what: "octets", limit: MOST_OCTETS }),
            ("<!DOCTYPE a [<!ENTITY e 'x'>]><a/>".to_owned(), BadXml::InternalSubset),
            ("<a b='\u{1}'/>".to_owned(), BadXml::Character(1)),
            ("<a b='&#1;'/>".to_owned(), BadXml::Character(1)),
        ] {
            assert_eq!(read(document.as_bytes()), Err(refusal));
        }
        for document in
            ["", "x", "<a>", "<a></b>", "<a/><b/>", "</a>", "<a b='&e;'/>", "<a b='<'/>", "<a b b/>", "<:/>"]
        {
            assert!(matches!(read(document.as_bytes()), Err(BadXml::NotWellFormed(_))), "{document:?}");
        }
        assert_eq!(read(b"<a b='\xFF'/>"), Err(BadXml::NotUtf8));
    }

    #[test]
    fn a_prolog_comments_text_and_prefixes_are_read_over() {
        let read = read(
            b"\xEF\xBB\xBF<?xml version='1.0'?><!DOCTYPE a PUBLIC 'p' 's'><!-- c --><x:a> t <b/>&lt;</x:a>\n",
        );
        assert_eq!(read, Ok(Element { children: vec![Element::new("b")], ..Element::new("a") }));
    }
}
