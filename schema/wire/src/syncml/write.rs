//! Writes the message model in DTD order (COD-03), whatever the encoding.

use super::{
    Alert, Command, Cred, Data, EncodeError, Group, Item, Location, Meta, Request, Results, Status, Style,
    SyncHdr, Version,
    tag::{Tag, Vocabulary},
};

/// What takes encoded octets: a buffer, or only their number.
pub(super) trait Out {
    fn put(&mut self, octets: &[u8]);
}

impl Out for Vec<u8> {
    #[inline]
    fn put(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}

/// Counts octets.
#[derive(Default)]
pub(super) struct Count(pub(super) usize);

impl Out for Count {
    #[inline]
    fn put(&mut self, octets: &[u8]) {
        self.0 += octets.len();
    }
}

/// An encoding, as something that takes elements.
pub(crate) trait Sink {
    /// Opens an element that will have content.
    fn open(&mut self, tag: impl Vocabulary);
    /// Closes it.
    fn close(&mut self, tag: impl Vocabulary);
    /// An element without content.
    fn empty(&mut self, tag: impl Vocabulary);
    /// An element that holds text.
    fn text(&mut self, tag: impl Vocabulary, text: &str);
    /// An element that holds data.
    fn data(&mut self, tag: impl Vocabulary, data: &Data);
    /// A command of another name than the known ones.
    fn unknown(&mut self, name: &str, cmd_id: Option<u32>);
    /// Whether the encoding can carry these data only as base64, under Format `b64`.
    fn needs_base64(&self, data: &Data) -> bool;
    /// Remembers that something cannot be written; the first one counts.
    fn fail(&mut self, error: EncodeError);
}

/// SyncHdr, as the first child of SyncML.
pub(super) fn header(sink: &mut impl Sink, header: &SyncHdr) {
    sink.open(Tag::SyncHdr);
    sink.text(Tag::VerDTD, &header.ver_dtd);
    sink.text(Tag::VerProto, &header.ver_proto);
    sink.text(Tag::SessionID, &header.session_id);
    number(sink, Tag::MsgID, header.msg_id.into());
    location(sink, Tag::Target, &header.target);
    location(sink, Tag::Source, &header.source);
    if let Some(uri) = &header.resp_uri {
        sink.text(Tag::RespURI, uri);
    }
    if header.no_resp {
        sink.empty(Tag::NoResp);
    }
    if let Some(given) = &header.cred {
        cred(sink, given);
    }
    meta(sink, &header.meta, false);
    sink.close(Tag::SyncHdr);
}

/// One command of SyncBody, Atomic or Sequence.
pub(super) fn command(sink: &mut impl Sink, command: &Command, style: &Style) {
    match command {
        Command::Alert(given) => alert(sink, given, style),
        Command::Add(given) => request(sink, Tag::Add, given, style),
        Command::Replace(given) => request(sink, Tag::Replace, given, style),
        Command::Get(given) => request(sink, Tag::Get, given, style),
        Command::Delete(given) => request(sink, Tag::Delete, given, style),
        Command::Copy(given) => request(sink, Tag::Copy, given, style),
        Command::Exec(given) => request(sink, Tag::Exec, given, style),
        Command::Atomic(given) => group(sink, Tag::Atomic, given, style),
        Command::Sequence(given) => group(sink, Tag::Sequence, given, style),
        Command::Results(given) => results(sink, given),
        Command::Status(given) => status(sink, given),
        Command::Unknown { name, cmd_id } => sink.unknown(name, *cmd_id),
    }
}

fn alert(sink: &mut impl Sink, alert: &Alert, style: &Style) {
    start(sink, Tag::Alert, alert.cmd_id, alert.no_resp);
    number(sink, Tag::Data, alert.code.into());
    correlator(sink, alert.correlator.as_deref(), style);
    items(sink, &alert.items, None);
    sink.close(Tag::Alert);
}

fn request(sink: &mut impl Sink, tag: Tag, request: &Request, style: &Style) {
    start(sink, tag, request.cmd_id, request.no_resp);
    meta(sink, &request.meta, false);
    correlator(sink, request.correlator.as_deref(), style);
    items(sink, &request.items, request.meta.format.as_deref());
    sink.close(tag);
}

fn group(sink: &mut impl Sink, tag: Tag, group: &Group, style: &Style) {
    start(sink, tag, group.cmd_id, group.no_resp);
    meta(sink, &group.meta, false);
    for inner in &group.commands {
        command(sink, inner, style);
    }
    sink.close(tag);
}

fn results(sink: &mut impl Sink, results: &Results) {
    start(sink, Tag::Results, results.cmd_id, false);
    if let Some(msg_ref) = results.msg_ref {
        number(sink, Tag::MsgRef, msg_ref.into());
    }
    number(sink, Tag::CmdRef, results.cmd_ref.into());
    meta(sink, &results.meta, false);
    if let Some(uri) = &results.target_ref {
        sink.text(Tag::TargetRef, uri);
    }
    if let Some(uri) = &results.source_ref {
        sink.text(Tag::SourceRef, uri);
    }
    items(sink, &results.items, results.meta.format.as_deref());
    sink.close(Tag::Results);
}

fn status(sink: &mut impl Sink, status: &Status) {
    start(sink, Tag::Status, status.cmd_id, false);
    if let Some(msg_ref) = status.msg_ref {
        number(sink, Tag::MsgRef, msg_ref.into());
    }
    number(sink, Tag::CmdRef, status.cmd_ref.into());
    sink.text(Tag::Cmd, &status.cmd);
    for uri in &status.target_refs {
        sink.text(Tag::TargetRef, uri);
    }
    for uri in &status.source_refs {
        sink.text(Tag::SourceRef, uri);
    }
    if let Some(given) = &status.cred {
        cred(sink, given);
    }
    if let Some(chal) = &status.chal {
        if chal.is_empty() {
            sink.empty(Tag::Chal);
        } else {
            sink.open(Tag::Chal);
            meta(sink, chal, false);
            sink.close(Tag::Chal);
        }
    }
    number(sink, Tag::Data, status.code.into());
    items(sink, &status.items, None);
    sink.close(Tag::Status);
}

/// Opens a command and writes what each of them begins with.
fn start(sink: &mut impl Sink, tag: Tag, cmd_id: u32, no_resp: bool) {
    sink.open(tag);
    number(sink, Tag::CmdID, cmd_id.into());
    if no_resp {
        sink.empty(Tag::NoResp);
    }
}

fn correlator(sink: &mut impl Sink, correlator: Option<&str>, style: &Style) {
    if let (Some(text), Version::V1_2) = (correlator, style.version) {
        sink.text(Tag::Correlator, text);
    }
}

/// `format` is the Format of the command's own Meta.
fn items(sink: &mut impl Sink, items: &[Item], format: Option<&str>) {
    for given in items {
        item(sink, given, format);
    }
}

fn item(sink: &mut impl Sink, item: &Item, format: Option<&str>) {
    if *item == Item::default() {
        sink.empty(Tag::Item);
        return;
    }
    sink.open(Tag::Item);
    if let Some(target) = &item.target {
        location(sink, Tag::Target, target);
    }
    if let Some(source) = &item.source {
        location(sink, Tag::Source, source);
    }
    let format = item.meta.format.as_deref().or(format).unwrap_or_default();
    let as_base64 = item.data.as_ref().is_some_and(|data| sink.needs_base64(data)) && format != "b64";
    meta(sink, &item.meta, as_base64);
    if let Some(data) = &item.data {
        sink.data(Tag::Data, data);
    }
    if item.more_data {
        sink.empty(Tag::MoreData);
    }
    sink.close(Tag::Item);
}

fn location(sink: &mut impl Sink, tag: Tag, location: &Location) {
    sink.open(tag);
    sink.text(Tag::LocURI, &location.uri);
    if let Some(name) = &location.name {
        sink.text(Tag::LocName, name);
    }
    sink.close(tag);
}

fn cred(sink: &mut impl Sink, cred: &Cred) {
    sink.open(Tag::Cred);
    meta(sink, &cred.meta, sink.needs_base64(&cred.data));
    sink.data(Tag::Data, &cred.data);
    sink.close(Tag::Cred);
}

/// `as_base64` writes Format `b64` in the place of any other.
fn meta(sink: &mut impl Sink, meta: &Meta, as_base64: bool) {
    if meta.is_empty() && !as_base64 {
        return;
    }
    sink.open(Tag::Meta);
    let format = if as_base64 { Some("b64") } else { meta.format.as_deref() };
    let words =
        [(Tag::Format, format), (Tag::Type, meta.type_.as_deref()), (Tag::Mark, meta.mark.as_deref())];
    for (tag, text) in words {
        if let Some(text) = text {
            sink.text(tag, text);
        }
    }
    if let Some(size) = meta.size {
        number(sink, Tag::Size, size);
    }
    if let Some(version) = &meta.version {
        sink.text(Tag::Version, version);
    }
    if let Some(nonce) = &meta.next_nonce {
        sink.text(Tag::NextNonce, nonce);
    }
    if let Some(size) = meta.max_msg_size {
        number(sink, Tag::MaxMsgSize, size);
    }
    if let Some(size) = meta.max_obj_size {
        number(sink, Tag::MaxObjSize, size);
    }
    for text in &meta.emi {
        sink.text(Tag::EMI, text);
    }
    sink.close(Tag::Meta);
}

fn number(sink: &mut impl Sink, tag: Tag, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    sink.text(tag, std::str::from_utf8(&digits[at..]).unwrap_or_default());
}
