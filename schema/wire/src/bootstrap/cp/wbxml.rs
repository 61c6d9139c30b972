//! PROV documents in WBXML 1.1 to 1.3.
//!
//! The code page of attributes is running state of its own, beside that of elements, and no END changes it.

use super::tokens::{self, PUBLIC_ID, PUBLIC_NAME};
use crate::elements::{Element, MOST_OCTETS};

const SWITCH_PAGE: u8 = 0x00;
const END: u8 = 0x01;
const ENTITY: u8 = 0x02;
const STR_I: u8 = 0x03;
const STR_T: u8 = 0x83;
const OPAQUE: u8 = 0xC3;
const HAS_CONTENT: u8 = 0x40;
const HAS_ATTRIBUTES: u8 = 0x80;

const MOST_DEPTH: usize = 16;
const MOST_ELEMENTS: usize = 2_048;
const MOST_ATTRIBUTES: usize = 16;
/// Octets that references into the string table may unfold to.
const MOST_UNFOLDED: usize = 4 * MOST_OCTETS;

/// How the values of AAUTHTYPE are written. Their tokens differ between the editions of the specification, so old
/// devices misread them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthTypes {
    /// As text, which every edition reads.
    #[default]
    Inline,
    /// By the tokens of the 2005 edition, as libwbxml writes them.
    Edition2005,
}

/// Writes a document, without a string table.
pub(super) fn write(root: &Element, auth_types: AuthTypes) -> Result<Vec<u8>, BadWbxml> {
    let mut writer = Writer { out: vec![0x03, PUBLIC_ID as u8, 0x6A, 0x00], page: 0, auth_types };
    writer.element(root)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    /// The code page of attributes in force.
    page: u8,
    auth_types: AuthTypes,
}

impl Writer {
    fn element(&mut self, element: &Element) -> Result<(), BadWbxml> {
        let tag = tokens::TAGS.iter().find(|(_, name)| *name == element.name);
        let (mut token, _) = *tag.ok_or(BadWbxml::Element)?;
        if !element.attributes.is_empty() {
            token |= HAS_ATTRIBUTES;
        }
        if !element.children.is_empty() {
            token |= HAS_CONTENT;
        }
        self.out.push(token);
        for (name, value) in &element.attributes {
            self.attribute(name, value, element)?;
        }
        if !element.attributes.is_empty() {
            self.out.push(END);
        }
        for child in &element.children {
            self.element(child)?;
        }
        if !element.children.is_empty() {
            self.out.push(END);
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str, element: &Element) -> Result<(), BadWbxml> {
        let (page, token, _, begins) = *tokens::start(name, value).ok_or(BadWbxml::Element)?;
        self.token(page, token);
        let rest = &value[begins.len()..];
        let is_auth_type = name == "value" && element.attribute("name") == Some("AAUTHTYPE");
        let inline = name != "value" || (is_auth_type && self.auth_types == AuthTypes::Inline);
        match tokens::value(rest).filter(|_| !inline) {
            _ if rest.is_empty() => {}
            Some((page, token)) => self.token(page, token),
            None if rest.contains('\0') => return Err(BadWbxml::Text),
            None => {
                self.out.push(STR_I);
                self.out.extend_from_slice(rest.as_bytes());
                self.out.push(0);
            }
        }
        Ok(())
    }

    fn token(&mut self, page: u8, token: u8) {
        if self.page != page {
            self.out.extend([SWITCH_PAGE, page]);
            self.page = page;
        }
        self.out.push(token);
    }
}

/// Reads a document.
pub(super) fn read(octets: &[u8]) -> Result<Element, BadWbxml> {
    if octets.len() > MOST_OCTETS {
        return Err(BadWbxml::Limit { what: "octets", limit: MOST_OCTETS });
    }
    let mut reader = Reader { rest: octets, table: &[], attribute_page: 0, elements: 0, unfolded: 0 };
    reader.header()?;
    let mut open: Vec<Element> = Vec::new();
    loop {
        let closed = match reader.octet()? {
            SWITCH_PAGE => {
                let page = reader.octet()?;
                if page > 1 {
                    return Err(BadWbxml::Page(page));
                }
                continue;
            }
            END => open.pop().ok_or(BadWbxml::Token(END))?,
            // Text between elements means nothing here.
            token @ (STR_I | STR_T | ENTITY | OPAQUE) if !open.is_empty() => {
                reader.text(token, &mut String::new())?;
                continue;
            }
            token => {
                let element = reader.element(token, open.len())?;
                if token & HAS_CONTENT != 0 {
                    open.push(element);
                    continue;
                }
                element
            }
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None if reader.rest.is_empty() => return Ok(closed),
            None => return Err(BadWbxml::Trailing),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    table: &'a [u8],
    attribute_page: u8,
    elements: usize,
    unfolded: usize,
}

impl<'a> Reader<'a> {
    fn header(&mut self) -> Result<(), BadWbxml> {
        let version = self.octet()?;
        if !(0x01..=0x03).contains(&version) {
            return Err(BadWbxml::Version(version));
        }
        let public = self.integer()?;
        let index = if public == 0 { Some(self.integer()?) } else { None };
        let charset = self.integer()?;
        if !matches!(charset, 0 | 3 | 106) {
            return Err(BadWbxml::Charset(charset));
        }
        let length = self.integer()?;
        self.table = self.take(length)?;
        let known = match index {
            Some(index) => self.in_table(index)?.eq_ignore_ascii_case(PUBLIC_NAME),
            // 1 is "unknown": the root element decides.
            None => public == PUBLIC_ID || public == 1,
        };
        if known { Ok(()) } else { Err(BadWbxml::PublicId(public)) }
    }

    fn element(&mut self, token: u8, depth: usize) -> Result<Element, BadWbxml> {
        let tag = tokens::TAGS.iter().find(|(known, _)| *known == token & 0x3F);
        let (_, name) = tag.ok_or(BadWbxml::Token(token))?;
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err(BadWbxml::Limit { what: "elements", limit: MOST_ELEMENTS });
        }
        if depth >= MOST_DEPTH {
            return Err(BadWbxml::Limit { what: "open elements", limit: MOST_DEPTH });
        }
        let mut element = Element::new(name);
        if token & HAS_ATTRIBUTES != 0 {
            self.attributes(&mut element)?;
        }
        Ok(element)
    }

    fn attributes(&mut self, element: &mut Element) -> Result<(), BadWbxml> {
        loop {
            let token = self.octet()?;
            match token {
                END => return Ok(()),
                SWITCH_PAGE => self.switch()?,
                STR_I | STR_T | ENTITY | OPAQUE | 0x85.. => {
                    let (_, value) = element.attributes.last_mut().ok_or(BadWbxml::Token(token))?;
                    let mut more = std::mem::take(value);
                    self.text(token, &mut more)?;
                    if let Some((_, value)) = element.attributes.last_mut() {
                        *value = more;
                    }
                }
                token => {
                    let page = self.attribute_page;
                    let start =
                        tokens::STARTS.iter().find(|(of, known, _, _)| (*of, *known) == (page, token));
                    let (_, _, name, begins) = start.ok_or(BadWbxml::Token(token))?;
                    if element.attribute(name).is_some() {
                        return Err(BadWbxml::Twice(name));
                    }
                    if element.attributes.len() == MOST_ATTRIBUTES {
                        return Err(BadWbxml::Limit { what: "attributes", limit: MOST_ATTRIBUTES });
                    }
                    element.attributes.push(((*name).to_owned(), (*begins).to_owned()));
                }
            }
        }
    }

    fn switch(&mut self) -> Result<(), BadWbxml> {
        match self.octet()? {
            page @ 0..=1 => {
                self.attribute_page = page;
                Ok(())
            }
            page => Err(BadWbxml::Page(page)),
        }
    }

    /// One piece of text.
    fn text(&mut self, token: u8, out: &mut String) -> Result<(), BadWbxml> {
        match token {
            STR_I => {
                let end = self.rest.iter().position(|octet| *octet == 0).ok_or(BadWbxml::Truncated)?;
                let octets = self.take(end as u32)?;
                self.octet()?;
                out.push_str(std::str::from_utf8(octets).map_err(|_| BadWbxml::Text)?);
            }
            STR_T => {
                let index = self.integer()?;
                let text = self.in_table(index)?;
                self.unfolded += text.len();
                if self.unfolded > MOST_UNFOLDED {
                    return Err(BadWbxml::Limit { what: "octets of unfolded strings", limit: MOST_UNFOLDED });
                }
                out.push_str(text);
            }
            ENTITY => out.push(char::from_u32(self.integer()?).filter(|c| *c != '\0').ok_or(BadWbxml::Text)?),
            OPAQUE => {
                let length = self.integer()?;
                let text = std::str::from_utf8(self.take(length)?).map_err(|_| BadWbxml::Text)?;
                out.push_str(text);
            }
            token => {
                let page = self.attribute_page;
                let value = tokens::VALUES.iter().find(|(of, known, _)| (*of, *known) == (page, token));
                out.push_str(value.ok_or(BadWbxml::Token(token))?.2);
            }
        }
        if out.contains('\0') { Err(BadWbxml::Text) } else { Ok(()) }
    }

    fn in_table(&self, index: u32) -> Result<&'a str, BadWbxml> {
        let rest = self.table.get(index as usize..).filter(|rest| !rest.is_empty());
        let octets =
            rest.and_then(|rest| rest.split(|octet| *octet == 0).next()).ok_or(BadWbxml::Table(index))?;
        std::str::from_utf8(octets).map_err(|_| BadWbxml::Text)
    }

    fn octet(&mut self) -> Result<u8, BadWbxml> {
        let (first, rest) = self.rest.split_first().ok_or(BadWbxml::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], BadWbxml> {
        let (taken, rest) = self.rest.split_at_checked(length as usize).ok_or(BadWbxml::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn integer(&mut self) -> Result<u32, BadWbxml> {
        let mut value = 0_u64;
        for _ in 0..5 {
            let octet = self.octet()?;
            value = value << 7 | u64::from(octet & 0x7F);
            if octet & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| BadWbxml::MultiOctet);
            }
        }
        Err(BadWbxml::MultiOctet)
    }
}

/// WBXML that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWbxml {
    /// It ends too early.
    #[error("the document ends too early")]
    Truncated,
    /// Something follows the root element.
    #[error("something follows the end of the document")]
    Trailing,
    /// A bound is passed.
    #[error("the document has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// A WBXML version that is not 1.1, 1.2 or 1.3.
    #[error("the WBXML version octet 0x{0:02X} is unknown")]
    Version(u8),
    /// Another kind of document.
    #[error("the public identifier 0x{0:X} is not that of a provisioning document")]
    PublicId(u32),
    /// Another character encoding than UTF-8.
    #[error("the character encoding {0} is not read here, only UTF-8")]
    Charset(u32),
    /// An unknown code page.
    #[error("the code page {0} is unknown")]
    Page(u8),
    /// An unknown token, or one that may not stand where it stands.
    #[error("the token 0x{0:02X} is unknown or not allowed here")]
    Token(u8),
    /// A reference that points outside the string table.
    #[error("the string table has no octet {0}")]
    Table(u32),
    /// A multi-octet integer of more than 5 octets or 32 bits.
    #[error("a multi-octet integer is too long or too large")]
    MultiOctet,
    /// Text that is not UTF-8 or holds U+0000.
    #[error("a text is not UTF-8 or holds U+0000")]
    Text,
    /// An attribute that stands twice.
    #[error("an element has {0} twice")]
    Twice(&'static str),
    /// An element or attribute without a token.
    #[error("an element or attribute has no token")]
    Element,
}
