//! Builds the message model from elements, whatever the encoding.
//!
//! Promise: elements may come in any order (COD-04); what OMA DM does not use is read over and counted; the
//! depth of recursion is bounded by [`Limits::depth`], which the source enforces at each element that opens.

use std::borrow::Cow;

use super::{
    Alert, Command, Cred, Data, DecodeError, DecodeErrorKind, Group, Item, Limits, Location, Message, Meta,
    Repairs, Request, Results, Status, SyncHdr, Version,
    tag::{Tag, Vocabulary},
};

type Result<T> = std::result::Result<T, DecodeError>;

/// What an encoding gives: elements and their text, one after the other.
///
/// After [`Source::child`] has returned an element, exactly one of `text`, `data`, `skip`, or `child` until it
/// returns `None`, is called: each of them closes it.
pub(crate) trait Source<'a> {
    /// The elements that the document is made of.
    type Tag: Vocabulary;
    /// Opens the next child of the open element, or closes the open element and returns `None`.
    fn child(&mut self) -> Result<Option<Self::Tag>>;
    /// The text of the open element, which is closed; elements inside are read over and counted.
    fn text(&mut self) -> Result<Cow<'a, str>>;
    /// The content of the open Data element, which is closed.
    fn data(&mut self) -> Result<Content<'a>>;
    /// Closes the open element and reads over all that is inside it.
    fn skip(&mut self) -> Result<()>;
    /// The local name of the element that was opened last.
    fn name(&self) -> &str;
    /// An error at the present place.
    fn error(&self, kind: DecodeErrorKind) -> DecodeError;
    /// The bounds.
    fn limits(&self) -> &Limits;
    /// The counts so far.
    fn repairs(&mut self) -> &mut Repairs;
}

/// The content of a Data element before Format is known.
pub(crate) enum Content<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Opaque octets that hold U+0000 or are not UTF-8.
    Octets(Vec<u8>),
    /// A fragment in canonical form.
    Markup(String),
}

/// The content of the open SyncML element.
pub(super) fn message<'a, S: Source<'a, Tag = Tag>>(
    source: S,
    version: Option<Version>,
) -> Result<(Message, S)> {
    let mut builder = Builder { source, commands: 0, items: 0 };
    let (mut header, mut body, mut is_final) = (None, None, false);
    while let Some(tag) = builder.source.child()? {
        match tag {
            Tag::SyncHdr if header.is_some() => {
                return Err(builder.source.error(DecodeErrorKind::Repeated("SyncHdr")));
            }
            Tag::SyncBody if body.is_some() => {
                return Err(builder.source.error(DecodeErrorKind::Repeated("SyncBody")));
            }
            Tag::SyncHdr => header = Some(builder.header()?),
            Tag::SyncBody => body = Some(builder.commands(Some(&mut is_final))?),
            _ => builder.unknown()?,
        }
    }
    let header: SyncHdr = header.ok_or_else(|| builder.source.error(DecodeErrorKind::Missing("SyncHdr")))?;
    let body = body.ok_or_else(|| builder.source.error(DecodeErrorKind::Missing("SyncBody")))?;
    let version = version.unwrap_or(if header.ver_dtd == "1.1" { Version::V1_1 } else { Version::V1_2 });
    Ok((Message { version, header, body, is_final }, builder.source))
}

/// The commands inside the open element, whatever it is.
pub(super) fn commands<'a, S: Source<'a, Tag = Tag>>(source: S) -> Result<(Vec<Command>, S)> {
    let mut builder = Builder { source, commands: 0, items: 0 };
    let commands = builder.commands(None)?;
    Ok((commands, builder.source))
}

struct Builder<S> {
    source: S,
    commands: usize,
    items: usize,
}

/// Which elements of one parent were met.
#[derive(Default)]
struct Seen(u64);

impl Seen {
    /// Whether this is the first of its kind.
    fn first(&mut self, tag: Tag) -> bool {
        let bit = 1 << tag.token();
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}

impl<'a, S: Source<'a, Tag = Tag>> Builder<S> {
    fn header(&mut self) -> Result<SyncHdr> {
        let (mut header, mut seen) = (SyncHdr::default(), Seen::default());
        while let Some(tag) = self.source.child()? {
            // Two answers to "who speaks in which message" are an attack or a defect; neither is guessed at.
            if tag != Tag::Unknown && !seen.first(tag) {
                return Err(self.source.error(DecodeErrorKind::Repeated(tag.name())));
            }
            match tag {
                Tag::VerDTD => header.ver_dtd = self.word()?,
                Tag::VerProto => header.ver_proto = self.word()?,
                Tag::SessionID => header.session_id = self.word()?,
                Tag::MsgID => header.msg_id = self.number("MsgID")?.unwrap_or_default(),
                Tag::Target => header.target = self.location()?,
                Tag::Source => header.source = self.location()?,
                Tag::RespURI => header.resp_uri = Some(self.text()?),
                Tag::NoResp => header.no_resp = self.flag()?,
                Tag::Cred => header.cred = Some(self.cred()?),
                Tag::Meta => header.meta = self.meta()?,
                _ => self.unknown()?,
            }
        }
        Ok(header)
    }

    /// Commands up to the end of the open element; Final is noted where it may stand.
    fn commands(&mut self, mut is_final: Option<&mut bool>) -> Result<Vec<Command>> {
        let mut commands = Vec::new();
        while let Some(tag) = self.source.child()? {
            if let (Tag::Final, Some(is_final)) = (tag, is_final.as_deref_mut()) {
                *is_final = self.flag()?;
                continue;
            }
            commands.push(self.command(tag)?);
        }
        Ok(commands)
    }

    /// The command that the open element is.
    fn command(&mut self, tag: Tag) -> Result<Command> {
        self.commands += 1;
        self.within("commands", self.commands, self.source.limits().commands)?;
        Ok(match tag {
            Tag::Status => Command::Status(self.status()?),
            Tag::Results => Command::Results(self.results()?),
            Tag::Alert => Command::Alert(self.alert()?),
            Tag::Replace => Command::Replace(self.request()?),
            Tag::Add => Command::Add(self.request()?),
            Tag::Get => Command::Get(self.request()?),
            Tag::Delete => Command::Delete(self.request()?),
            Tag::Exec => Command::Exec(self.request()?),
            Tag::Copy => Command::Copy(self.request()?),
            Tag::Atomic => Command::Atomic(self.group()?),
            Tag::Sequence => Command::Sequence(self.group()?),
            _ => self.unknown_command()?,
        })
    }

    fn request(&mut self) -> Result<Request> {
        let (mut request, mut seen) = (Request::default(), Seen::default());
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::Item => {
                    let item = self.item(request.meta.format.as_deref())?;
                    request.items.push(item);
                    continue;
                }
                Tag::CmdID => request.cmd_id = self.number("CmdID")?.unwrap_or_default(),
                Tag::NoResp => request.no_resp = self.flag()?,
                Tag::Meta => request.meta = self.meta()?,
                Tag::Correlator => request.correlator = Some(self.text()?),
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        Ok(request)
    }

    fn alert(&mut self) -> Result<Alert> {
        let (mut alert, mut seen) = (Alert::default(), Seen::default());
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::Item => {
                    let item = self.item(None)?;
                    alert.items.push(item);
                    continue;
                }
                Tag::CmdID => alert.cmd_id = self.number("CmdID")?.unwrap_or_default(),
                Tag::NoResp => alert.no_resp = self.flag()?,
                Tag::Data => alert.code = self.code()?,
                Tag::Correlator => alert.correlator = Some(self.text()?),
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        Ok(alert)
    }

    fn group(&mut self) -> Result<Group> {
        let (mut group, mut seen) = (Group::default(), Seen::default());
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::CmdID => group.cmd_id = self.number("CmdID")?.unwrap_or_default(),
                Tag::NoResp => group.no_resp = self.flag()?,
                Tag::Meta => group.meta = self.meta()?,
                _ => {
                    let command = self.command(tag)?;
                    group.commands.push(command);
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        Ok(group)
    }

    fn results(&mut self) -> Result<Results> {
        let (mut results, mut seen) = (Results::default(), Seen::default());
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::Item => {
                    let item = self.item(results.meta.format.as_deref())?;
                    results.items.push(item);
                    continue;
                }
                Tag::CmdID => results.cmd_id = self.number("CmdID")?.unwrap_or_default(),
                Tag::MsgRef => results.msg_ref = self.number("MsgRef")?,
                Tag::CmdRef => results.cmd_ref = self.number("CmdRef")?.unwrap_or_default(),
                Tag::Meta => results.meta = self.meta()?,
                Tag::TargetRef => results.target_ref = Some(self.text()?),
                Tag::SourceRef => results.source_ref = Some(self.text()?),
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        Ok(results)
    }

    fn status(&mut self) -> Result<Status> {
        let (mut status, mut seen) = (Status::default(), Seen::default());
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::Item => {
                    let item = self.item(None)?;
                    status.items.push(item);
                    continue;
                }
                Tag::TargetRef => {
                    let text = self.text()?;
                    status.target_refs.push(text);
                    continue;
                }
                Tag::SourceRef => {
                    let text = self.text()?;
                    status.source_refs.push(text);
                    continue;
                }
                Tag::CmdID => status.cmd_id = self.number("CmdID")?.unwrap_or_default(),
                Tag::MsgRef => status.msg_ref = self.number("MsgRef")?,
                Tag::CmdRef => status.cmd_ref = self.number("CmdRef")?.unwrap_or_default(),
                Tag::Cmd => status.cmd = self.word()?,
                Tag::Cred => status.cred = Some(self.cred()?),
                Tag::Chal => status.chal = Some(self.chal()?),
                Tag::Data => status.code = self.code()?,
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        Ok(status)
    }

    /// An element that is no command of OMA DM: only its CmdID is read.
    fn unknown_command(&mut self) -> Result<Command> {
        self.source.repairs().unknown_elements += 1;
        let name = self.source.name().to_owned();
        let mut cmd_id = None;
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::CmdID => cmd_id = self.number("CmdID")?,
                _ => self.source.skip()?,
            }
        }
        Ok(Command::Unknown { name, cmd_id })
    }

    /// `format` is the Format of the command's own Meta, which holds where the item has none.
    fn item(&mut self, format: Option<&str>) -> Result<Item> {
        self.items += 1;
        self.within("items", self.items, self.source.limits().items)?;
        let (mut item, mut seen, mut content) = (Item::default(), Seen::default(), None);
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::Target => item.target = Some(self.location()?),
                Tag::Source => item.source = Some(self.location()?),
                Tag::Meta => item.meta = self.meta()?,
                Tag::Data => content = Some(self.source.data()?),
                Tag::MoreData => item.more_data = self.flag()?,
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        let format = item.meta.format.as_deref().or(format);
        item.data = content.map(|content| self.value(content, format));
        Ok(item)
    }

    /// Octets become text when only NULs at the end keep them from being text (libdmclient ends child lists with one) and Format
    /// does not say that they are binary.
    fn value(&mut self, content: Content<'a>, format: Option<&str>) -> Data {
        match content {
            Content::Text(text) => Data::Text(text.into_owned()),
            Content::Markup(markup) => Data::Markup(markup),
            Content::Octets(mut octets) => {
                let binary =
                    format.is_some_and(|f| f.eq_ignore_ascii_case("bin") || f.eq_ignore_ascii_case("b64"));
                let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
                if binary || octets[..end].contains(&0) || std::str::from_utf8(&octets[..end]).is_err() {
                    return Data::Binary(octets);
                }
                let stripped = u32::try_from(octets.len() - end).unwrap_or(u32::MAX);
                let repairs = self.source.repairs();
                repairs.nul_stripped = repairs.nul_stripped.saturating_add(stripped);
                octets.truncate(end);
                Data::Text(String::from_utf8(octets).unwrap_or_default())
            }
        }
    }

    fn location(&mut self) -> Result<Location> {
        let (mut location, mut seen) = (Location::default(), Seen::default());
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::LocURI => location.uri = self.text()?,
                Tag::LocName => location.name = Some(self.text()?),
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        Ok(location)
    }

    fn cred(&mut self) -> Result<Cred> {
        let (mut meta, mut content, mut seen) = (Meta::default(), None, Seen::default());
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::Meta => meta = self.meta()?,
                Tag::Data => content = Some(self.source.data()?),
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        let data = content.map(|content| self.value(content, None)).unwrap_or_default();
        Ok(Cred { meta, data })
    }

    fn chal(&mut self) -> Result<Meta> {
        let (mut meta, mut seen) = (Meta::default(), Seen::default());
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::Meta => meta = self.meta()?,
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(&mut seen, tag);
        }
        Ok(meta)
    }

    fn meta(&mut self) -> Result<Meta> {
        let mut meta = Meta::default();
        self.meta_into(&mut meta, &mut Seen::default())?;
        Ok(meta)
    }

    /// The same with or without a MetInf wrapper (COD-07).
    fn meta_into(&mut self, meta: &mut Meta, seen: &mut Seen) -> Result<()> {
        while let Some(tag) = self.source.child()? {
            match tag {
                Tag::MetInf => {
                    self.meta_into(meta, seen)?;
                    continue;
                }
                Tag::EMI => {
                    let text = self.text()?;
                    meta.emi.push(text);
                    continue;
                }
                Tag::Format => meta.format = Some(self.word()?),
                Tag::Type => meta.type_ = Some(self.word()?),
                Tag::Mark => meta.mark = Some(self.word()?),
                Tag::Size => meta.size = self.size("Size")?,
                Tag::NextNonce => meta.next_nonce = Some(self.text()?),
                Tag::Version => meta.version = Some(self.word()?),
                Tag::MaxMsgSize => meta.max_msg_size = self.size("MaxMsgSize")?,
                Tag::MaxObjSize => meta.max_obj_size = self.size("MaxObjSize")?,
                _ => {
                    self.unknown()?;
                    continue;
                }
            }
            self.once(seen, tag);
        }
        Ok(())
    }

    /// Verbatim text.
    fn text(&mut self) -> Result<String> {
        self.source.text().map(Cow::into_owned)
    }

    /// Text of which white space at either end is no part: names, versions, identifiers.
    fn word(&mut self) -> Result<String> {
        let text = self.source.text()?;
        Ok(trim(&text).to_owned())
    }

    /// An element that says something by being there.
    fn flag(&mut self) -> Result<bool> {
        self.source.skip()?;
        Ok(true)
    }

    /// An identifier or reference: `None` when empty, an error when it is no number of 32 bits.
    fn number(&mut self, element: &'static str) -> Result<Option<u32>> {
        let text = self.source.text()?;
        let text = trim(&text);
        if text.is_empty() {
            return Ok(None);
        }
        match self.decimal(text).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.bad_number(element, text)),
        }
    }

    /// An optional size: what is no number counts as absent, a number beyond the limit is an error.
    fn size(&mut self, element: &'static str) -> Result<Option<u64>> {
        let text = self.source.text()?;
        let text = trim(&text);
        match self.decimal(text) {
            Some(number) => Ok(Some(number)),
            None if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) => {
                Err(self.bad_number(element, text))
            }
            None => {
                self.source.repairs().bad_numbers += 1;
                Ok(None)
            }
        }
    }

    /// A status or alert code: 0, which no rule knows, for anything else than a number.
    fn code(&mut self) -> Result<u32> {
        let text = self.source.text()?;
        let code = self.decimal(trim(&text)).and_then(|number| u32::try_from(number).ok());
        if code.is_none() {
            self.source.repairs().bad_numbers += 1;
        }
        Ok(code.unwrap_or_default())
    }

    fn decimal(&self, text: &str) -> Option<u64> {
        let in_range = !text.is_empty() && text.len() <= self.source.limits().number_digits;
        if !in_range || !text.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        text.parse().ok()
    }

    fn bad_number(&self, element: &'static str, text: &str) -> DecodeError {
        self.source.error(DecodeErrorKind::Number { element, text: text.chars().take(40).collect() })
    }

    fn unknown(&mut self) -> Result<()> {
        self.source.repairs().unknown_elements += 1;
        self.source.skip()
    }

    fn once(&mut self, seen: &mut Seen, tag: Tag) {
        if !seen.first(tag) {
            self.source.repairs().repeated_elements += 1;
        }
    }

    fn within(&self, what: &'static str, count: usize, limit: usize) -> Result<()> {
        if count > limit {
            return Err(self.source.error(DecodeErrorKind::Limit { what, limit }));
        }
        Ok(())
    }
}

/// White space as XML counts it.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}
