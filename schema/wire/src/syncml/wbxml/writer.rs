//! Writes SyncML as WBXML for old decoders: STR_I for text, OPAQUE for what holds U+0000, is not text or is markup
//! (as XML text: libwbxml and others do not know the elements of TNDS inside a message); no string-table
//! references, LITERAL, EXT, PI or ENTITY.
//!
//! Page 0 is in force before and after each command, so that commands are independent of their neighbours.

use super::header;
use crate::syncml::{
    Command, Data, EncodeError, Message, Style, SyncHdr,
    tag::{Tag, TreeTag, Vocabulary},
    tree::WriteTree,
    write::{self, Out, Sink},
    xml::markup,
};

const SWITCH_PAGE: u8 = 0x00;
const END: u8 = 0x01;
const STR_I: u8 = 0x03;
const OPAQUE: u8 = 0xC3;
const HAS_CONTENT: u8 = 0x40;

/// Writes a message.
pub(in crate::syncml) fn message(message: &Message, style: &Style) -> Result<Vec<u8>, EncodeError> {
    let mut writer = WbxmlWriter { out: Vec::with_capacity(512), page: 0, error: None };
    header::write(style, |octets| writer.out.put(octets));
    writer.open(Tag::SyncML);
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
    let mut writer = WbxmlWriter { out: write::Count::default(), page: 0, error: None };
    header::write(style, |octets| writer.out.put(octets));
    writer.open(Tag::SyncML);
    write::header(&mut writer, header);
    writer.open(Tag::SyncBody);
    writer.epilogue(is_final);
    writer.out.0
}

/// Octets of one command.
pub(in crate::syncml) fn command_len(command: &Command, style: &Style) -> usize {
    let mut writer = WbxmlWriter { out: write::Count::default(), page: 0, error: None };
    write::command(&mut writer, command, style);
    writer.out.0
}

/// Writes a tree.
pub(in crate::syncml) fn tree(tree: &impl WriteTree) -> Result<Vec<u8>, EncodeError> {
    let mut writer = WbxmlWriter { out: Vec::with_capacity(512), page: 0, error: None };
    header::write_tree(|octets| writer.out.put(octets));
    writer.open(TreeTag::MgmtTree);
    tree.write(&mut writer);
    writer.close(TreeTag::MgmtTree);
    match writer.error {
        Some(error) => Err(error),
        None => Ok(writer.out),
    }
}

struct WbxmlWriter<O> {
    out: O,
    page: u8,
    error: Option<EncodeError>,
}

impl<O: Out> WbxmlWriter<O> {
    fn epilogue(&mut self, is_final: bool) {
        if is_final {
            self.empty(Tag::Final);
        }
        self.out.put(&[END, END]);
    }

    fn token(&mut self, page: u8, token: u8) {
        if self.page != page {
            self.out.put(&[SWITCH_PAGE, page]);
            self.page = page;
        }
        self.out.put(&[token]);
    }

    fn string(&mut self, text: &str) {
        self.out.put(&[STR_I]);
        self.out.put(text.as_bytes());
        self.out.put(&[0]);
    }

    fn opaque(&mut self, octets: &[u8]) {
        let Ok(length) = u32::try_from(octets.len()) else {
            self.fail(EncodeError::Markup("Data of more than 4 GiB".to_owned()));
            return;
        };
        self.out.put(&[OPAQUE]);
        header::put_integer(length, |octets| self.out.put(octets));
        self.out.put(octets);
    }

    /// Back to page 0.
    fn home(&mut self) {
        if self.page != 0 {
            self.out.put(&[SWITCH_PAGE, 0]);
            self.page = 0;
        }
    }
}

impl<O: Out> Sink for WbxmlWriter<O> {
    fn open(&mut self, tag: impl Vocabulary) {
        self.token(tag.page(), tag.token() | HAS_CONTENT);
    }

    fn close(&mut self, tag: impl Vocabulary) {
        self.out.put(&[END]);
        if (tag.page(), tag.token()) == (Tag::Meta.page(), Tag::Meta.token()) {
            self.home();
        }
    }

    fn empty(&mut self, tag: impl Vocabulary) {
        self.token(tag.page(), tag.token());
    }

    fn text(&mut self, tag: impl Vocabulary, text: &str) {
        if text.contains('\0') {
            self.fail(EncodeError::Character { element: tag.name(), character: 0 });
        }
        if text.is_empty() {
            return self.empty(tag);
        }
        self.open(tag);
        self.string(text);
        self.close(tag);
    }

    fn data(&mut self, tag: impl Vocabulary, data: &Data) {
        let is_empty = match data {
            Data::Text(text) | Data::Markup(text) => text.is_empty(),
            Data::Binary(octets) => octets.is_empty(),
        };
        if is_empty {
            return self.empty(tag);
        }
        self.open(tag);
        match data {
            Data::Text(text) if text.contains('\0') => self.opaque(text.as_bytes()),
            Data::Text(text) => self.string(text),
            Data::Binary(octets) => self.opaque(octets),
            Data::Markup(markup) => match markup::canonical(markup) {
                Ok(markup) => self.opaque(markup.as_bytes()),
                Err(error) => self.fail(error),
            },
        }
        self.close(tag);
    }

    fn unknown(&mut self, name: &str, cmd_id: Option<u32>) {
        let tag = Tag::from_name(name);
        if tag == Tag::Unknown || tag.page() != 0 {
            return;
        }
        let Some(cmd_id) = cmd_id else { return self.empty(tag) };
        self.open(tag);
        self.text(Tag::CmdID, &cmd_id.to_string());
        self.close(tag);
    }

    fn needs_base64(&self, _: &Data) -> bool {
        false
    }

    fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }
}
