//! Reads SyncML from WBXML.
//!
//! Text is any sequence of STR_I, STR_T, OPAQUE and ENTITY (COD-26). LITERAL elements are known by their names.
//! Attributes, EXT and PI do not occur in SyncML and are refused.

use std::borrow::Cow;

use super::header::{self, Expected, Header};
use crate::syncml::{
    DecodeError, DecodeErrorKind, Decoded, Encoding, Limits, Place, Repairs, Style,
    build::{self, Content, Source},
    tag::{DDF_NAMESPACE, METINF_NAMESPACE, Tag, TreeTag, Vocabulary, ddf_name},
    xml::{markup::Fragment, text},
};

type Result<T> = std::result::Result<T, DecodeError>;

const SWITCH_PAGE: u8 = 0x00;
const END: u8 = 0x01;
const ENTITY: u8 = 0x02;
const STR_I: u8 = 0x03;
const LITERAL: u8 = 0x04;
const STR_T: u8 = 0x83;
const OPAQUE: u8 = 0xC3;
const HAS_CONTENT: u8 = 0x40;
const HAS_ATTRIBUTES: u8 = 0x80;

/// Reads one message.
pub(in crate::syncml) fn message(body: &[u8], limits: &Limits) -> Result<Decoded> {
    let header = open(body, Expected::Message, limits)?;
    let mut source = WbxmlSource::<Tag>::new(body, &header, limits);
    if source.child()? != Some(Tag::SyncML) {
        return Err(source.wrong_root());
    }
    let (message, source) = build::message(source, header.version)?;
    source.at_end()?;
    let style = Style {
        encoding: Encoding::Wbxml,
        wbxml_version: header.wbxml_version.min(2),
        public_id: header.public_id,
        ..Style::wbxml(message.version)
    };
    Ok(Decoded { message, style, repairs: source.repairs })
}

/// Reads a TNDS tree as a canonical fragment.
pub(in crate::syncml) fn tree(body: &[u8], limits: &Limits) -> Result<String> {
    let header = open(body, Expected::Tree, limits)?;
    let mut source = WbxmlSource::<Tag>::new(body, &header, limits);
    source.child()?;
    if (source.name, source.name_page) != ("MgmtTree", 2) {
        return Err(source.wrong_root());
    }
    let mut fragment = Fragment::default();
    source.markup_start(&mut fragment);
    while fragment.depth() > 0 {
        source.markup_piece(&mut fragment)?;
    }
    source.at_end()?;
    Ok(fragment.finish())
}

/// Reads a tree: `read` is called with its MgmtTree open.
pub(in crate::syncml) fn elements<R>(
    body: &[u8],
    limits: &Limits,
    read: impl for<'a> FnOnce(&mut dyn Source<'a, Tag = TreeTag>) -> Result<R>,
) -> Result<(R, Repairs)> {
    let header = open(body, Expected::Tree, limits)?;
    let mut source = WbxmlSource::<TreeTag>::new(body, &header, limits);
    if source.child()? != Some(TreeTag::MgmtTree) {
        return Err(source.wrong_root());
    }
    let result = read(&mut source)?;
    source.at_end()?;
    Ok((result, source.repairs))
}

fn open<'a>(body: &'a [u8], expected: Expected, limits: &Limits) -> Result<Header<'a>> {
    let refused = |(kind, offset)| DecodeError { kind, place: Place { offset, ..Place::default() } };
    if body.len() > limits.message_octets {
        let limit = limits.message_octets;
        return Err(refused((DecodeErrorKind::Limit { what: "octets", limit }, limit)));
    }
    header::read(body, expected, limits).map_err(refused)
}

struct WbxmlSource<'a, 'l, T = Tag> {
    body: &'a [u8],
    table: &'a [u8],
    limits: &'l Limits,
    repairs: Repairs,
    /// The open elements.
    open: Vec<T>,
    /// Whether the element opened last has no content.
    empty: bool,
    /// Its name.
    name: &'a str,
    /// Its code page; that of the table's names is 0.
    name_page: u8,
    /// The code page in force.
    page: u8,
    /// Where the present token starts.
    at: usize,
    /// Where the next token starts.
    next: usize,
    elements: usize,
    unfolded: usize,
}

/// A token with what belongs to it.
enum Piece<'a, T> {
    Start(T),
    End,
    /// Octets of STR_I and STR_T.
    Text(&'a [u8]),
    Opaque(&'a [u8]),
    Character(char),
}

impl<'a, 'l, T: Vocabulary> WbxmlSource<'a, 'l, T> {
    fn new(body: &'a [u8], header: &Header<'a>, limits: &'l Limits) -> Self {
        Self {
            body,
            table: header.table,
            limits,
            repairs: Repairs::default(),
            open: Vec::with_capacity(16),
            empty: false,
            name: "",
            name_page: 0,
            page: 0,
            at: header.end,
            next: header.end,
            elements: 0,
            unfolded: 0,
        }
    }

    /// The next token.
    fn piece(&mut self) -> Result<Piece<'a, T>> {
        loop {
            self.at = self.next;
            let token = self.octet()?;
            return match token {
                SWITCH_PAGE => {
                    let page = self.octet()?;
                    if page > 2 {
                        return Err(self.error(DecodeErrorKind::CodePage(page)));
                    }
                    self.page = page;
                    continue;
                }
                END => Ok(Piece::End),
                ENTITY => {
                    let code = self.integer()?;
                    match char::from_u32(code) {
                        Some(character) => Ok(Piece::Character(character)),
                        None => Err(self.error(DecodeErrorKind::Character(code))),
                    }
                }
                STR_I => {
                    let rest = &self.body[self.next..];
                    let Some(length) = rest.iter().position(|octet| *octet == 0) else {
                        return Err(self.truncated());
                    };
                    self.next += length + 1;
                    Ok(Piece::Text(&rest[..length]))
                }
                STR_T => {
                    let offset = self.integer()?;
                    let Some(text) = header::table_text(self.table, offset) else {
                        return Err(self.error(DecodeErrorKind::StringTable(offset)));
                    };
                    self.unfolded += text.len();
                    self.within(
                        "octets unfolded from the string table",
                        self.unfolded,
                        self.limits.unfolded_octets,
                    )?;
                    Ok(Piece::Text(text))
                }
                OPAQUE => {
                    let length = self.integer()? as usize;
                    if length > self.body.len() - self.next {
                        return Err(self.truncated());
                    }
                    let octets = &self.body[self.next..self.next + length];
                    self.next += length;
                    Ok(Piece::Opaque(octets))
                }
                _ => self.element(token).map(Piece::Start),
            };
        }
    }

    fn element(&mut self, token: u8) -> Result<T> {
        let refused = DecodeErrorKind::Token { token, page: self.page };
        if token & HAS_ATTRIBUTES != 0 || matches!(token & 0x3F, 0..=3) {
            return Err(self.error(refused));
        }
        let tag = if token & 0x3F == LITERAL {
            let offset = self.integer()?;
            let name = header::table_text(self.table, offset).and_then(|name| std::str::from_utf8(name).ok());
            let Some(name) = name.filter(|name| text::is_name(name)) else {
                return Err(self.error(DecodeErrorKind::StringTable(offset)));
            };
            self.unfolded += name.len();
            self.within("octets unfolded from the string table", self.unfolded, self.limits.unfolded_octets)?;
            self.name = name.rsplit_once(':').map_or(name, |(_, local)| local);
            self.name_page = 0;
            T::from_name(self.name)
        } else {
            // One of the other vocabulary is known here by name alone, and read over where it may not stand.
            let name = match self.page {
                2 => ddf_name(token & 0x3F),
                page => Some(Tag::from_token(page, token)).filter(|tag| *tag != Tag::Unknown).map(Tag::name),
            };
            let Some(name) = name else { return Err(self.error(refused)) };
            self.name = name;
            self.name_page = self.page;
            T::from_token(self.page, token)
        };
        self.elements += 1;
        self.within("elements", self.elements, self.limits.elements)?;
        self.within("open elements", self.open.len() + 1, self.limits.depth)?;
        self.open.push(tag);
        self.empty = token & HAS_CONTENT == 0;
        Ok(tag)
    }

    fn close(&mut self) {
        self.open.pop();
        self.empty = false;
    }

    fn octet(&mut self) -> Result<u8> {
        let octet = *self.body.get(self.next).ok_or_else(|| self.truncated())?;
        self.next += 1;
        Ok(octet)
    }

    fn integer(&mut self) -> Result<u32> {
        let mut next = self.next;
        let value = header::integer(self.body, &mut next);
        self.next = next;
        value.map_err(|(kind, offset)| DecodeError { kind, place: self.place(offset) })
    }

    fn within(&self, what: &'static str, count: usize, limit: usize) -> Result<()> {
        if count > limit {
            return Err(self.error(DecodeErrorKind::Limit { what, limit }));
        }
        Ok(())
    }

    #[cold]
    fn wrong_root(&self) -> DecodeError {
        let why = format!("the root element is {}", self.name);
        self.error(if T::TREE { DecodeErrorKind::NotTree(why) } else { DecodeErrorKind::NotSyncMl(why) })
    }

    /// Nothing may follow the root.
    fn at_end(&self) -> Result<()> {
        if self.next == self.body.len() {
            return Ok(());
        }
        Err(DecodeError { kind: DecodeErrorKind::Trailing, place: self.place(self.next) })
    }

    #[cold]
    fn truncated(&self) -> DecodeError {
        DecodeError { kind: DecodeErrorKind::Truncated, place: self.place(self.body.len()) }
    }

    fn place(&self, offset: usize) -> Place {
        Place {
            offset,
            line_column: None,
            path: self.open.iter().flat_map(|tag| ["/", tag.name()]).collect(),
        }
    }

    fn count_nuls(&mut self, count: usize) -> Result<()> {
        let total = self.repairs.nul_stripped as usize + count;
        self.within("U+0000 characters", total, self.limits.nuls)?;
        self.repairs.nul_stripped = u32::try_from(total).unwrap_or(u32::MAX);
        Ok(())
    }

    /// The octets of the open element up to its end, or up to the first element inside.
    fn octets(&mut self) -> Result<(Cow<'a, [u8]>, bool, Option<T>)> {
        if self.empty {
            self.close();
            return Ok((Cow::Borrowed(&[]), false, None));
        }
        let (mut joined, mut opaque): (Cow<'a, [u8]>, bool) = (Cow::Borrowed(&[]), false);
        loop {
            let octets = match self.piece()? {
                Piece::End => {
                    self.close();
                    return Ok((joined, opaque, None));
                }
                Piece::Start(tag) => return Ok((joined, opaque, Some(tag))),
                Piece::Text(octets) => octets,
                Piece::Opaque(octets) => {
                    opaque = true;
                    octets
                }
                Piece::Character(character) => {
                    joined.to_mut().extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    &[]
                }
            };
            if joined.is_empty() {
                joined = Cow::Borrowed(octets);
            } else {
                joined.to_mut().extend_from_slice(octets);
            }
            self.within("octets of text", joined.len(), self.limits.text_octets)?;
        }
    }

    /// Text that has to be text, without U+0000.
    fn as_text(&mut self, octets: Cow<'a, [u8]>) -> Result<Cow<'a, str>> {
        let text = match octets {
            Cow::Borrowed(octets) => std::str::from_utf8(octets).map(Cow::Borrowed).map_err(drop),
            Cow::Owned(octets) => String::from_utf8(octets).map(Cow::Owned).map_err(drop),
        };
        let text = text.map_err(|()| self.error(DecodeErrorKind::NotUtf8))?;
        let nuls = text.bytes().filter(|octet| *octet == 0).count();
        if nuls == 0 {
            return Ok(text);
        }
        self.count_nuls(nuls)?;
        Ok(Cow::Owned(text.replace('\0', "")))
    }

    /// The rest of a Data element that holds elements, as a fragment.
    fn markup(&mut self, before: Cow<'a, [u8]>) -> Result<String> {
        let mut fragment = Fragment::default();
        let before = self.as_text(before)?;
        self.markup_text(&mut fragment, &before)?;
        self.markup_start(&mut fragment);
        let outer = self.open.len() - fragment.depth();
        while self.open.len() >= outer {
            self.markup_piece(&mut fragment)?;
        }
        Ok(fragment.finish())
    }

    /// One more token of a fragment; the end of the element around it closes that.
    fn markup_piece(&mut self, fragment: &mut Fragment) -> Result<()> {
        match self.piece()? {
            Piece::Start(_) => self.markup_start(fragment),
            Piece::Text(octets) | Piece::Opaque(octets) => {
                let text = self.as_text(Cow::Borrowed(octets))?;
                self.markup_text(fragment, &text)?;
            }
            Piece::Character(character) => {
                let text = self.as_text(Cow::Owned(character.to_string().into_bytes()))?;
                self.markup_text(fragment, &text)?;
            }
            Piece::End => {
                self.close();
                fragment.end();
            }
        }
        self.within("octets of text", fragment.len(), self.limits.text_octets)
    }

    /// A fragment is XML, so its text has to be.
    fn markup_text(&mut self, fragment: &mut Fragment, piece: &str) -> Result<()> {
        if let Some(bad) = piece.chars().find(|character| !text::is_allowed(*character)) {
            return Err(self.error(DecodeErrorKind::Character(bad.into())));
        }
        fragment.text(piece);
        Ok(())
    }

    fn markup_start(&mut self, fragment: &mut Fragment) {
        let namespace = match self.name_page {
            2 => DDF_NAMESPACE,
            1 => METINF_NAMESPACE,
            _ => "",
        };
        fragment.start(self.name, Some(namespace), &[]);
        if self.empty {
            self.close();
            fragment.end();
        }
    }
}

impl<'a, T: Vocabulary> Source<'a> for WbxmlSource<'a, '_, T> {
    type Tag = T;

    fn child(&mut self) -> Result<Option<T>> {
        if self.empty {
            self.close();
            return Ok(None);
        }
        loop {
            match self.piece()? {
                Piece::Start(tag) => return Ok(Some(tag)),
                Piece::End if self.open.is_empty() => {
                    return Err(self.error(DecodeErrorKind::Token { token: END, page: self.page }));
                }
                Piece::End => {
                    self.close();
                    return Ok(None);
                }
                Piece::Text(octets) | Piece::Opaque(octets) if octets.iter().all(u8::is_ascii_whitespace) => {
                }
                Piece::Text(_) | Piece::Opaque(_) | Piece::Character(_) => self.repairs.stray_text += 1,
            }
        }
    }

    fn text(&mut self) -> Result<Cow<'a, str>> {
        let (mut joined, _, mut inside) = self.octets()?;
        while inside.is_some() {
            self.repairs.unknown_elements += 1;
            self.skip()?;
            let (more, _, next) = self.octets()?;
            joined.to_mut().extend_from_slice(&more);
            self.within("octets of text", joined.len(), self.limits.text_octets)?;
            inside = next;
        }
        self.as_text(joined)
    }

    fn data(&mut self) -> Result<Content<'a>> {
        let (octets, opaque, inside) = self.octets()?;
        if inside.is_some() {
            return self.markup(octets).map(Content::Markup);
        }
        if opaque && (octets.contains(&0) || std::str::from_utf8(&octets).is_err()) {
            return Ok(Content::Octets(octets.into_owned()));
        }
        self.as_text(octets).map(Content::Text)
    }

    fn skip(&mut self) -> Result<()> {
        if self.empty {
            self.close();
            return Ok(());
        }
        let outer = self.open.len();
        loop {
            match self.piece()? {
                Piece::Start(_) if self.empty => self.close(),
                Piece::End => {
                    self.close();
                    if self.open.len() < outer {
                        return Ok(());
                    }
                }
                Piece::Start(_) | Piece::Text(_) | Piece::Opaque(_) | Piece::Character(_) => {}
            }
        }
    }

    /// An element of TNDS where no tree may stand shares its name with commands (Add, Copy …): it gets none.
    fn name(&self) -> &str {
        if self.name_page == 2 { "*" } else { self.name }
    }

    #[cold]
    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { kind, place: self.place(self.at) }
    }

    fn limits(&self) -> &Limits {
        self.limits
    }

    fn repairs(&mut self) -> &mut Repairs {
        &mut self.repairs
    }
}
