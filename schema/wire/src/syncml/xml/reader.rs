//! Reads SyncML from XML.
//!
//! On quick-xml's plain `Reader`: namespaces do not decide what an element is (see [`super`]), so resolving them for
//! each event, which `NsReader` does and which costs more than all the rest of this file, buys nothing. The root's
//! is looked at by hand. What quick-xml leaves open is checked here: one root, nothing after it, balanced at the
//! end, names, characters, references, depth and counts.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{
    markup::Fragment,
    text::{self, Origin},
};
use crate::syncml::{
    Command, DecodeError, DecodeErrorKind, Decoded, Encoding, Limits, Place, Repairs, Style, Version,
    build::{self, Content, Source},
    tag::{Tag, TreeTag, Vocabulary},
};

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads one message.
pub(in crate::syncml) fn message(body: &[u8], limits: &Limits) -> Result<Decoded> {
    let (text, origin) = open(body, limits)?;
    let mut source = XmlSource::<Tag>::new(&text, &origin, limits);
    let version = source.root()?;
    let (message, mut source) = build::message(source, version)?;
    source.rest()?;
    let style = Style { encoding: Encoding::Xml, ..Style::xml(message.version) };
    Ok(Decoded { message, style, repairs: source.repairs })
}

/// Reads a TNDS tree as a canonical fragment.
pub(in crate::syncml) fn tree(body: &[u8], limits: &Limits) -> Result<String> {
    let (text, origin) = open(body, limits)?;
    let mut source = XmlSource::<Tag>::new(&text, &origin, limits);
    let (start, empty) = source.first()?;
    let mut fragment = Fragment::default();
    source.markup_start(&mut fragment, &start, empty)?;
    if source.name != "MgmtTree" {
        return Err(source.wrong_root());
    }
    while fragment.depth() > 0 {
        source.markup_piece(&mut fragment)?;
    }
    source.rest()?;
    Ok(fragment.finish())
}

/// Reads commands that no SyncBody wraps.
pub(in crate::syncml) fn commands(body: &[u8], limits: &Limits) -> Result<(Vec<Command>, Repairs)> {
    let (text, origin) = open(body, limits)?;
    let mut source = XmlSource::<Tag>::new(&text, &origin, limits);
    source.fragment = true;
    let (commands, source) = build::commands(source)?;
    if commands.is_empty() {
        return Err(source.error(DecodeErrorKind::Missing("a command")));
    }
    Ok((commands, source.repairs))
}

/// Reads a tree: `read` is called with its MgmtTree open.
pub(in crate::syncml) fn elements<R>(
    body: &[u8],
    limits: &Limits,
    read: impl for<'a> FnOnce(&mut dyn Source<'a, Tag = TreeTag>) -> Result<R>,
) -> Result<(R, Repairs)> {
    let (text, origin) = open(body, limits)?;
    let mut source = XmlSource::<TreeTag>::new(&text, &origin, limits);
    let (start, empty) = source.first()?;
    if source.open_element(&start, empty)? != TreeTag::MgmtTree {
        return Err(source.wrong_root());
    }
    let result = read(&mut source)?;
    source.rest()?;
    Ok((result, source.repairs))
}

fn open<'a>(body: &'a [u8], limits: &Limits) -> Result<(Cow<'a, str>, Origin)> {
    let refused = |kind, offset| DecodeError { kind, place: text::place::<Tag>(body, offset, &[]) };
    if body.is_empty() {
        return Err(refused(DecodeErrorKind::Empty, 0));
    }
    if body.len() > limits.message_octets {
        let kind = DecodeErrorKind::Limit { what: "octets", limit: limits.message_octets };
        return Err(DecodeError { kind, place: Place { offset: limits.message_octets, ..Place::default() } });
    }
    text::of_body(body, limits.nuls).map_err(|(kind, offset)| refused(kind, offset))
}

struct XmlSource<'a, 'l, T = Tag> {
    text: &'a str,
    origin: &'l Origin,
    limits: &'l Limits,
    reader: Reader<&'a [u8]>,
    repairs: Repairs,
    /// The open elements.
    open: Vec<T>,
    /// Whether the element opened last was `<a/>`.
    empty: bool,
    /// Its local name.
    name: &'a str,
    elements: usize,
    /// Where the present event starts.
    at: usize,
    /// Whether the root is missing on purpose.
    fragment: bool,
    /// The root's prefix: in a tree an element with another one is a vendor's own.
    prefix: &'a str,
    /// Whether there is a carriage return anywhere: line ends are looked at only then.
    has_returns: bool,
}

/// An event with the piece of input that it stands for.
enum Piece<'a> {
    Start(BytesStart<'a>, bool),
    End,
    /// Text or CDATA as it stands, still with its own line ends.
    Text(&'a str),
    /// The character of a reference.
    Character(char),
    Eof,
}

impl<'a, 'l, T: Vocabulary> XmlSource<'a, 'l, T> {
    fn new(text: &'a str, origin: &'l Origin, limits: &'l Limits) -> Self {
        let nul_stripped = u32::try_from(origin.nuls.len()).unwrap_or(u32::MAX);
        Self {
            text,
            origin,
            limits,
            reader: Reader::from_str(text),
            repairs: Repairs { nul_stripped, ..Repairs::default() },
            open: Vec::with_capacity(16),
            empty: false,
            name: "",
            elements: 0,
            at: 0,
            fragment: false,
            prefix: "",
            has_returns: text.contains('\r'),
        }
    }

    /// Everything up to the root element: its start, and whether it is empty.
    fn first(&mut self) -> Result<(BytesStart<'a>, bool)> {
        let (mut declared, mut doctype) = (false, false);
        loop {
            self.at = self.position();
            match self.reader.read_event() {
                Ok(Event::Start(start)) => return Ok((start, false)),
                Ok(Event::Empty(start)) => return Ok((start, true)),
                Ok(Event::Text(_)) if text::is_space(self.piece()) => {}
                Ok(Event::Comment(_) | Event::PI(_)) => {}
                Ok(Event::Decl(declaration)) if !declared && !doctype => {
                    declared = true;
                    self.check_encoding(declaration.encoding())?;
                }
                Ok(Event::DocType(_)) if !doctype => {
                    doctype = true;
                    // Descriptions of the field carry their version as an instruction there; declarations never pass.
                    let harmless = T::TREE && text::only_instructions(self.piece());
                    if text::has_internal_subset(self.piece()) && !harmless {
                        return Err(self.error(DecodeErrorKind::InternalSubset));
                    }
                }
                Ok(Event::Decl(_)) => return Err(self.error(DecodeErrorKind::Misplaced("XML declaration"))),
                Ok(Event::DocType(_)) => return Err(self.error(DecodeErrorKind::Misplaced("DOCTYPE"))),
                Ok(Event::Eof) => {
                    return Err(self.error(wrong_document::<T>("no root element".to_owned())));
                }
                Ok(_) => {
                    return Err(self.error(DecodeErrorKind::NotWellFormed("text before the root".to_owned())));
                }
                Err(error) => return Err(self.malformed(&error)),
            }
        }
    }

    /// Only white space, comments and processing instructions may follow the root.
    fn rest(&mut self) -> Result<()> {
        loop {
            self.at = self.position();
            match self.reader.read_event() {
                Ok(Event::Eof) => return Ok(()),
                Ok(Event::Text(_)) if text::is_space(self.piece()) => {}
                Ok(Event::Comment(_) | Event::PI(_)) => {}
                Ok(_) => return Err(self.error(DecodeErrorKind::Trailing)),
                Err(error) => return Err(self.malformed(&error)),
            }
        }
    }

    /// The next event inside the root.
    #[inline]
    fn next(&mut self) -> Result<Piece<'a>> {
        loop {
            self.at = self.position();
            return Ok(match self.reader.read_event() {
                Ok(Event::Start(start)) => Piece::Start(start, false),
                Ok(Event::Empty(start)) => Piece::Start(start, true),
                Ok(Event::End(_)) => Piece::End,
                Ok(Event::Text(_)) => Piece::Text(self.piece()),
                Ok(Event::CData(_)) => {
                    let piece = self.piece();
                    Piece::Text(&piece["<![CDATA[".len()..piece.len() - "]]>".len()])
                }
                Ok(Event::GeneralRef(_)) => {
                    let piece = self.piece();
                    let character =
                        text::reference(&piece[1..piece.len() - 1]).map_err(|kind| self.error(kind))?;
                    if character == '\0' {
                        self.count_nul()?;
                        continue;
                    }
                    Piece::Character(character)
                }
                Ok(Event::Comment(_) | Event::PI(_)) => continue,
                Ok(Event::Decl(_)) if self.fragment && self.open.is_empty() && self.elements == 0 => continue,
                Ok(Event::Decl(_)) => return Err(self.error(DecodeErrorKind::Misplaced("XML declaration"))),
                Ok(Event::DocType(_)) => return Err(self.error(DecodeErrorKind::Misplaced("DOCTYPE"))),
                Ok(Event::Eof) => Piece::Eof,
                Err(error) => return Err(self.malformed(&error)),
            });
        }
    }

    #[inline]
    fn position(&self) -> usize {
        // The whole text is in memory, so its length fits.
        self.reader.buffer_position() as usize
    }

    /// The input of the present event.
    #[inline]
    fn piece(&self) -> &'a str {
        &self.text[self.at..self.position()]
    }

    #[inline]
    fn open_element(&mut self, start: &BytesStart<'_>, empty: bool) -> Result<T> {
        self.elements += 1;
        if self.elements > self.limits.elements {
            let limit = self.limits.elements;
            return Err(self.error(DecodeErrorKind::Limit { what: "elements", limit }));
        }
        if self.open.len() >= self.limits.depth {
            let limit = self.limits.depth;
            return Err(self.error(DecodeErrorKind::Limit { what: "open elements", limit }));
        }
        let length = start.name().as_ref().len();
        let full = &self.text[self.at + 1..self.at + 1 + length];
        let mut tag = T::from_name(full);
        self.name = full;
        if tag == T::UNKNOWN {
            if !text::is_name(full) {
                let name = full.chars().take(40).collect::<String>();
                return Err(self.error(DecodeErrorKind::NotWellFormed(format!("{name:?} is no name"))));
            }
            if let Some((prefix, local)) = full.rsplit_once(':') {
                self.name = local;
                if self.elements == 1 {
                    self.prefix = prefix;
                }
                if !T::TREE || prefix == self.prefix {
                    tag = T::from_name(local);
                }
            }
        }
        if start.len() > length && !is_metinf_declaration(&start[length..]) {
            self.attributes(start)?;
        }
        self.open.push(tag);
        self.empty = empty;
        Ok(tag)
    }

    #[inline]
    fn line_ends(&self, text: &'a str) -> Cow<'a, str> {
        if self.has_returns { text::line_ends(text) } else { Cow::Borrowed(text) }
    }

    fn close(&mut self) {
        self.open.pop();
        self.empty = false;
    }

    /// Names and values, checked: the syntax, the count, references, no name twice.
    fn attributes<'s>(&mut self, start: &'s BytesStart<'_>) -> Result<Vec<(&'s str, String)>> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute =
                attribute.map_err(|error| self.error(DecodeErrorKind::NotWellFormed(error.to_string())))?;
            if attributes.len() == self.limits.attributes {
                let limit = self.limits.attributes;
                return Err(self.error(DecodeErrorKind::Limit { what: "attributes of one element", limit }));
            }
            let key = attribute.key.into_inner();
            if !text::is_name(key) {
                let key = key.chars().take(40).collect::<String>();
                return Err(self.error(DecodeErrorKind::NotWellFormed(format!("{key:?} is no name"))));
            }
            let value = self.attribute_value(&attribute.value)?;
            attributes.push((key, value));
        }
        Ok(attributes)
    }

    fn attribute_value(&mut self, raw: &str) -> Result<String> {
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        loop {
            let stop = rest.find(['&', '<']).unwrap_or(rest.len());
            value.extend(rest[..stop].chars().map(|c| if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c }));
            rest = &rest[stop..];
            let Some(reference) = rest.strip_prefix('&') else { break };
            let (name, after) = reference.split_once(';').unwrap_or((reference, ""));
            match text::reference(name).map_err(|kind| self.error(kind))? {
                '\0' => self.count_nul()?,
                character => value.push(character),
            }
            rest = after;
        }
        if !rest.is_empty() {
            return Err(
                self.error(DecodeErrorKind::NotWellFormed("'<' in the value of an attribute".to_owned()))
            );
        }
        Ok(value)
    }

    fn count_nul(&mut self) -> Result<()> {
        self.repairs.nul_stripped += 1;
        let limit = self.limits.nuls;
        if self.repairs.nul_stripped as usize > limit {
            return Err(self.error(DecodeErrorKind::Limit { what: "U+0000 characters", limit }));
        }
        Ok(())
    }

    fn check_text(&self, length: usize) -> Result<()> {
        let limit = self.limits.text_octets;
        if length > limit {
            return Err(self.error(DecodeErrorKind::Limit { what: "octets of text", limit }));
        }
        Ok(())
    }

    /// Only UTF-8 is read; a text that is ASCII throughout may call itself what it likes.
    fn check_encoding(
        &self,
        declared: Option<std::result::Result<Cow<'_, str>, quick_xml::events::attributes::AttrError>>,
    ) -> Result<()> {
        let name = match declared {
            None => return Ok(()),
            Some(Ok(name)) => name,
            Some(Err(error)) => return Err(self.error(DecodeErrorKind::NotWellFormed(error.to_string()))),
        };
        let utf8 =
            ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| name.eq_ignore_ascii_case(known));
        let wide = name
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("utf") || start.eq_ignore_ascii_case("ucs"));
        if utf8 || (!wide && self.text.is_ascii()) {
            return Ok(());
        }
        Err(self.error(DecodeErrorKind::CharacterEncoding(name.chars().take(40).collect())))
    }

    /// The rest of an element that turned out to have elements inside, as a fragment.
    fn markup(&mut self, before: &str, start: &BytesStart<'_>, empty: bool) -> Result<String> {
        let outer = self.open.len();
        let mut fragment = Fragment::default();
        fragment.text(before);
        self.markup_start(&mut fragment, start, empty)?;
        while self.open.len() >= outer {
            self.markup_piece(&mut fragment)?;
        }
        Ok(fragment.finish())
    }

    /// One more event of a fragment; the end of the element around it closes that.
    fn markup_piece(&mut self, fragment: &mut Fragment) -> Result<()> {
        match self.next()? {
            Piece::Start(start, empty) => self.markup_start(fragment, &start, empty)?,
            Piece::Text(text) => fragment.text(&self.line_ends(text)),
            Piece::Character(character) => fragment.text(character.encode_utf8(&mut [0; 4])),
            Piece::End => {
                self.close();
                fragment.end();
            }
            Piece::Eof => return Err(self.error(DecodeErrorKind::Truncated)),
        }
        self.check_text(fragment.len())
    }

    fn markup_start(&mut self, fragment: &mut Fragment, start: &BytesStart<'_>, empty: bool) -> Result<()> {
        self.open_element(start, empty)?;
        let name = start.name();
        if !text::is_name(name.as_ref()) {
            let name = name.as_ref().chars().take(40).collect::<String>();
            return Err(self.error(DecodeErrorKind::NotWellFormed(format!("{name:?} is no name"))));
        }
        let mut attributes = self.attributes(start)?;
        let at = attributes.iter().position(|(name, _)| *name == "xmlns");
        let namespace = at.map(|at| attributes.remove(at).1);
        fragment.start(name.as_ref(), namespace.as_deref(), &attributes);
        if empty {
            self.close();
            fragment.end();
        }
        Ok(())
    }

    #[cold]
    fn wrong_root(&self) -> DecodeError {
        let name: String = self.name.chars().take(80).collect();
        self.error(wrong_document::<T>(format!("the root element is {name}")))
    }

    fn malformed(&self, error: &quick_xml::Error) -> DecodeError {
        use quick_xml::{Error, errors::IllFormedError};
        let kind = match error {
            Error::Syntax(_) => DecodeErrorKind::Truncated,
            Error::IllFormed(IllFormedError::MissingEndTag(_)) => DecodeErrorKind::Truncated,
            other => DecodeErrorKind::NotWellFormed(other.to_string()),
        };
        let mut refused = self.error(kind);
        let at = usize::try_from(self.reader.error_position()).unwrap_or(self.at);
        refused.place = self.place_at(at);
        refused
    }

    fn place_at(&self, at: usize) -> Place {
        let mut place = text::place(self.text.as_bytes(), at.min(self.text.len()), &self.open);
        place.offset = self.origin.offset(place.offset);
        place
    }
}

impl XmlSource<'_, '_> {
    /// Opens the root element; the version that its namespace names.
    fn root(&mut self) -> Result<Option<Version>> {
        let (start, empty) = self.first()?;
        if self.open_element(&start, empty)? != Tag::SyncML {
            return Err(self.wrong_root());
        }
        let name = start.name();
        let (prefix, _) = name.as_ref().split_once(':').unwrap_or_default();
        let wanted = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
        let declared = self.attributes(&start)?.into_iter().find(|(name, _)| *name == wanted);
        let Some((_, namespace)) = declared else { return Ok(None) };
        let known = namespace.trim().to_ascii_uppercase();
        match known.strip_prefix("SYNCML:SYNCML") {
            Some("1.0" | "1.1") => Ok(Some(Version::V1_1)),
            Some(_) => Ok(Some(Version::V1_2)),
            None if known.is_empty() => Ok(None),
            None => {
                let namespace = namespace.chars().take(80).collect::<String>();
                Err(self.error(DecodeErrorKind::NotSyncMl(format!("its namespace is {namespace}"))))
            }
        }
    }
}

impl<'a, T: Vocabulary> Source<'a> for XmlSource<'a, '_, T> {
    type Tag = T;

    fn child(&mut self) -> Result<Option<T>> {
        if self.empty {
            self.close();
            return Ok(None);
        }
        loop {
            match self.next()? {
                Piece::Start(start, empty) => return self.open_element(&start, empty).map(Some),
                Piece::End => {
                    self.close();
                    return Ok(None);
                }
                Piece::Text(piece) if text::is_space(piece) => {}
                Piece::Text(_) | Piece::Character(_) => self.repairs.stray_text += 1,
                Piece::Eof if self.fragment && self.open.is_empty() => return Ok(None),
                Piece::Eof => return Err(self.error(DecodeErrorKind::Truncated)),
            }
        }
    }

    fn text(&mut self) -> Result<Cow<'a, str>> {
        match self.content(false)? {
            Content::Text(text) => Ok(text),
            Content::Markup(_) | Content::Octets(_) => Ok(Cow::Borrowed("")),
        }
    }

    fn data(&mut self) -> Result<Content<'a>> {
        self.content(true)
    }

    fn skip(&mut self) -> Result<()> {
        if self.empty {
            self.close();
            return Ok(());
        }
        let outer = self.open.len();
        loop {
            match self.next()? {
                Piece::Start(start, empty) => {
                    self.open_element(&start, empty)?;
                    if empty {
                        self.close();
                    }
                }
                Piece::End => {
                    self.close();
                    if self.open.len() < outer {
                        return Ok(());
                    }
                }
                Piece::Text(_) | Piece::Character(_) => {}
                Piece::Eof => return Err(self.error(DecodeErrorKind::Truncated)),
            }
        }
    }

    fn name(&self) -> &str {
        self.name
    }

    #[cold]
    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { kind, place: self.place_at(self.at) }
    }

    fn limits(&self) -> &Limits {
        self.limits
    }

    fn repairs(&mut self) -> &mut Repairs {
        &mut self.repairs
    }
}

impl<'a, T: Vocabulary> XmlSource<'a, '_, T> {
    /// Text that comes in pieces is joined; one piece is borrowed from the input.
    fn content(&mut self, markup: bool) -> Result<Content<'a>> {
        if self.empty {
            self.close();
            return Ok(Content::Text(Cow::Borrowed("")));
        }
        let mut joined: Cow<'a, str> = Cow::Borrowed("");
        loop {
            match self.next()? {
                Piece::Text(text) => {
                    let text = self.line_ends(text);
                    if joined.is_empty() {
                        joined = text;
                    } else {
                        joined.to_mut().push_str(&text);
                    }
                }
                Piece::Character(character) => joined.to_mut().push(character),
                Piece::End => {
                    self.close();
                    return Ok(Content::Text(joined));
                }
                Piece::Start(start, empty) if markup => {
                    return self.markup(&joined, &start, empty).map(Content::Markup);
                }
                Piece::Start(start, empty) => {
                    self.repairs.unknown_elements += 1;
                    self.open_element(&start, empty)?;
                    self.skip()?;
                }
                Piece::Eof => return Err(self.error(DecodeErrorKind::Truncated)),
            }
            self.check_text(joined.len())?;
        }
    }
}

fn wrong_document<T: Vocabulary>(why: String) -> DecodeErrorKind {
    if T::TREE { DecodeErrorKind::NotTree(why) } else { DecodeErrorKind::NotSyncMl(why) }
}

/// What nearly every attribute of SyncML is; needs no further look.
#[inline]
fn is_metinf_declaration(attributes: &str) -> bool {
    matches!(attributes, " xmlns=\"syncml:metinf\"" | " xmlns='syncml:metinf'")
}

/// A fragment in canonical form (see [`super::markup`]).
pub(in crate::syncml) fn canonical(markup: &str, limits: &Limits) -> Result<String> {
    let mut fragment = Fragment::default();
    if markup.is_empty() {
        return Ok(fragment.finish());
    }
    let (text, origin) = open(markup.as_bytes(), limits)?;
    let mut source = XmlSource::<Tag>::new(&text, &origin, limits);
    while source.position() < text.len() {
        source.markup_piece(&mut fragment)?;
    }
    if fragment.depth() > 0 {
        return Err(source.error(DecodeErrorKind::Truncated));
    }
    Ok(fragment.finish())
}
