//! Writes SyncML as XML: no declaration, no white space, the MetInf namespace on each child of Meta.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    markup,
    text::{self, Escape},
};
use crate::syncml::{
    Command, Data, EncodeError, Encoding, Message, Style, SyncHdr,
    tag::{Tag, TreeTag, Vocabulary},
    tree::WriteTree,
    write::{self, Out, Sink},
};

/// Writes a message.
pub(in crate::syncml) fn message(message: &Message, style: &Style) -> Result<Vec<u8>, EncodeError> {
    let mut writer = XmlWriter { out: Vec::with_capacity(1024), error: None };
    writer.prologue(style);
    write::header(&mut writer, &message.header);
    writer.open(Tag::SyncBody);
    for command in &message.body {
        write::command(&mut writer, command, style);
    }
    writer.epilogue(message.is_final);
    match writer.error {
        Some(error) => Err(error),
        None => Ok(writer.out),
    }
}

/// Octets of everything but the commands.
pub(in crate::syncml) fn frame_len(header: &SyncHdr, is_final: bool, style: &Style) -> usize {
    let mut writer = XmlWriter { out: write::Count::default(), error: None };
    writer.prologue(style);
    write::header(&mut writer, header);
    writer.open(Tag::SyncBody);
    writer.epilogue(is_final);
    writer.out.0
}

/// Octets of one command.
pub(in crate::syncml) fn command_len(command: &Command, style: &Style) -> usize {
    let mut writer = XmlWriter { out: write::Count::default(), error: None };
    write::command(&mut writer, command, style);
    writer.out.0
}

/// Writes a tree.
pub(in crate::syncml) fn tree(tree: &impl WriteTree) -> Result<Vec<u8>, EncodeError> {
    let mut writer = XmlWriter { out: Vec::with_capacity(1024), error: None };
    writer.open(TreeTag::MgmtTree);
    tree.write(&mut writer);
    writer.close(TreeTag::MgmtTree);
    match writer.error {
        Some(error) => Err(error),
        None => Ok(writer.out),
    }
}

struct XmlWriter<O> {
    out: O,
    error: Option<EncodeError>,
}

impl<O: Out> XmlWriter<O> {
    fn prologue(&mut self, style: &Style) {
        debug_assert_eq!(style.encoding, Encoding::Xml);
        self.put("<SyncML xmlns=\"");
        self.put(style.version.namespace());
        self.put("\">");
    }

    fn epilogue(&mut self, is_final: bool) {
        if is_final {
            self.empty(Tag::Final);
        }
        self.put("</SyncBody></SyncML>");
    }

    #[inline]
    fn put(&mut self, text: &str) {
        self.out.put(text.as_bytes());
    }

    #[inline]
    fn start(&mut self, tag: impl Vocabulary) {
        self.put("<");
        self.put(tag.name());
        if let Some(namespace) = tag.namespace() {
            self.put(" xmlns=\"");
            self.put(namespace);
            self.put("\"");
        }
        self.put(">");
    }

    fn content(&mut self, text: &str) {
        text::escape(text, Escape::Content, |piece| self.out.put(piece.as_bytes()));
    }
}

impl<O: Out> Sink for XmlWriter<O> {
    fn open(&mut self, tag: impl Vocabulary) {
        self.start(tag);
    }

    fn close(&mut self, tag: impl Vocabulary) {
        self.put("</");
        self.put(tag.name());
        self.put(">");
    }

    fn empty(&mut self, tag: impl Vocabulary) {
        self.put("<");
        self.put(tag.name());
        self.put("/>");
    }

    fn text(&mut self, tag: impl Vocabulary, text: &str) {
        if let Some(character) = forbidden(text) {
            self.fail(EncodeError::Character { element: tag.name(), character: character.into() });
        }
        self.start(tag);
        self.content(text);
        self.close(tag);
    }

    /// `<Data></Data>` when it is empty, never `<Data/>`: clients of the field are known to trip over less.
    fn data(&mut self, tag: impl Vocabulary, data: &Data) {
        self.start(tag);
        match data {
            Data::Text(text) if forbidden(text).is_none() => self.content(text),
            Data::Text(text) => self.put(&STANDARD.encode(text)),
            Data::Binary(octets) => self.put(&STANDARD.encode(octets)),
            Data::Markup(markup) => match markup::canonical(markup) {
                Ok(markup) => self.put(&markup),
                Err(error) => self.fail(error),
            },
        }
        self.close(tag);
    }

    fn unknown(&mut self, name: &str, cmd_id: Option<u32>) {
        if !text::is_name(name) || name.contains(':') {
            return;
        }
        self.put("<");
        self.put(name);
        self.put(">");
        if let Some(cmd_id) = cmd_id {
            self.text(Tag::CmdID, &cmd_id.to_string());
        }
        self.put("</");
        self.put(name);
        self.put(">");
    }

    fn needs_base64(&self, data: &Data) -> bool {
        match data {
            Data::Text(text) => forbidden(text).is_some(),
            Data::Binary(_) => true,
            Data::Markup(_) => false,
        }
    }

    fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }
}

/// A character of the text that XML cannot carry.
fn forbidden(text: &str) -> Option<char> {
    let plain =
        text.bytes().all(|octet| octet >= 0x20 && octet != 0xEF || matches!(octet, b'\t' | b'\n' | b'\r'));
    if plain { None } else { text.chars().find(|character| !text::is_allowed(*character)) }
}
