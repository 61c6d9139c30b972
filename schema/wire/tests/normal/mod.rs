//! The documented differences between a message and what is read after it has been written.
//!
//! 1. The style's version counts, and under 1.1 no Correlator is written.
//! 2. XML carries as base64, under Format `b64`, what is not text or holds a character that XML forbids.
//! 3. WBXML carries octets as OPAQUE; they are read as text when they are UTF-8 without U+0000, or when only
//!    U+0000 at their end (which is stripped) keeps them from being so and Format is neither `bin` nor `b64`.
//! 4. WBXML carries markup as opaque text, so [`loosely`] takes markup and its text as equal.
//! 5. An element of TNDS outside Data has the name `*`, which nothing writes.
//! 6. An unknown command is written with its name and CmdID only; WBXML has names only for what is on page 0.
#![allow(dead_code, reason = "each test file uses its own part")]

use postern_wire::auth::encode_base64;
use postern_wire::syncml::{
    Command, Cred, Data, Encoding, Item, Limits, Message, Status, Style, Version, decode, encode, message_len,
};

/// Whatever the octets are: no panic, an error with a place inside, and decode → encode → decode gives an equal
/// message in the encoding it came in and in either default style.
pub(crate) fn check(body: &[u8], encoding: Encoding) {
    let decoded = match decode(body, encoding, &Limits::default()) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(error.place.offset <= body.len(), "{error}");
            return;
        }
    };
    for style in [decoded.style, Style::xml(decoded.message.version), Style::wbxml(decoded.message.version)] {
        let Ok(written) = encode(&decoded.message, &style) else { continue };
        assert_eq!(written.len(), message_len(&decoded.message, &style), "sizes add up");
        // What was written may have more octets and more elements (CmdID, LocURI …) than what was read.
        let limits = Limits {
            message_octets: usize::MAX,
            text_octets: usize::MAX,
            elements: usize::MAX,
            depth: 64,
            ..Limits::default()
        };
        let again = decode(&written, style.encoding, &limits).expect("what was written is read");
        assert_eq!(loosely(again.message, &style), self::written(&decoded.message, &style), "{style:?}");
    }
}

/// What reading gives after `message` was written in `style`.
pub(crate) fn written(message: &Message, style: &Style) -> Message {
    let mut message = message.clone();
    message.version = style.version;
    if let Some(cred) = &mut message.header.cred {
        credentials(cred, style);
    }
    commands(&mut message.body, style);
    loosely(message, style)
}

/// In WBXML, markup stands for its own text.
pub(crate) fn loosely(mut message: Message, style: &Style) -> Message {
    fn text(data: &mut Data) {
        if let Data::Markup(markup) = data {
            *data = Data::Text(std::mem::take(markup));
        }
    }
    fn walk(commands: &mut [Command]) {
        for command in commands {
            match command {
                Command::Atomic(group) | Command::Sequence(group) => walk(&mut group.commands),
                other => {
                    if let Command::Status(Status { cred: Some(cred), .. }) = other {
                        text(&mut cred.data);
                    }
                    for item in items_mut(other) {
                        if let Some(data) = &mut item.data {
                            text(data);
                        }
                    }
                }
            }
        }
    }
    if style.encoding == Encoding::Wbxml {
        walk(&mut message.body);
        if let Some(cred) = &mut message.header.cred {
            text(&mut cred.data);
        }
    }
    message
}

fn commands(list: &mut Vec<Command>, style: &Style) {
    list.retain(|command| match command {
        Command::Unknown { name, .. } if style.encoding == Encoding::Wbxml => PAGE_0.contains(&name.as_str()),
        Command::Unknown { name, .. } => name != "*",
        _ => true,
    });
    for command in list {
        if style.version == Version::V1_1 {
            match command {
                Command::Alert(alert) => alert.correlator = None,
                Command::Add(request)
                | Command::Replace(request)
                | Command::Get(request)
                | Command::Delete(request)
                | Command::Copy(request)
                | Command::Exec(request) => {
                    request.correlator = None;
                }
                _ => {}
            }
        }
        let format = match command {
            Command::Add(request)
            | Command::Replace(request)
            | Command::Get(request)
            | Command::Delete(request)
            | Command::Copy(request)
            | Command::Exec(request) => request.meta.format.clone(),
            Command::Results(results) => results.meta.format.clone(),
            _ => None,
        };
        match command {
            Command::Atomic(group) | Command::Sequence(group) => commands(&mut group.commands, style),
            Command::Status(status) => {
                if let Some(cred) = &mut status.cred {
                    credentials(cred, style);
                }
            }
            _ => {}
        }
        for item in items_mut(command) {
            let format = item.meta.format.as_deref().or(format.as_deref()).unwrap_or_default().to_owned();
            let Some(data) = &mut item.data else { continue };
            if value(data, style, &format) && format != "b64" {
                item.meta.format = Some("b64".to_owned());
            }
        }
    }
}

fn credentials(cred: &mut Cred, style: &Style) {
    if value(&mut cred.data, style, "") {
        cred.meta.format = Some("b64".to_owned());
    }
}

/// Changes the value as writing and reading would; whether it became base64.
fn value(data: &mut Data, style: &Style, format: &str) -> bool {
    match (style.encoding, &*data) {
        (Encoding::Xml, Data::Binary(octets)) => {
            *data = Data::Text(encode_base64(octets));
            true
        }
        (Encoding::Xml, Data::Text(text)) if text.chars().any(forbidden) => {
            *data = Data::Text(encode_base64(text.as_bytes()));
            true
        }
        (Encoding::Wbxml, Data::Binary(octets)) => {
            let kept = format.eq_ignore_ascii_case("bin") || format.eq_ignore_ascii_case("b64");
            let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
            let end = if kept { octets.len() } else { end };
            if let Ok(text) = std::str::from_utf8(&octets[..end])
                && !text.contains('\0')
            {
                *data = Data::Text(text.to_owned());
            }
            false
        }
        _ => false,
    }
}

fn forbidden(character: char) -> bool {
    matches!(character, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}')
}

fn items_mut(command: &mut Command) -> &mut [Item] {
    match command {
        Command::Alert(alert) => &mut alert.items,
        Command::Add(request)
        | Command::Replace(request)
        | Command::Get(request)
        | Command::Delete(request)
        | Command::Copy(request)
        | Command::Exec(request) => &mut request.items,
        Command::Results(results) => &mut results.items,
        Command::Status(status) => &mut status.items,
        Command::Atomic(_) | Command::Sequence(_) | Command::Unknown { .. } => &mut [],
    }
}

/// Elements of code page 0 that are no commands of OMA DM.
const PAGE_0: &[&str] = &[
    "Archive",
    "Chal",
    "Cmd",
    "CmdID",
    "CmdRef",
    "Cred",
    "Data",
    "Final",
    "Item",
    "Lang",
    "LocName",
    "LocURI",
    "Map",
    "MapItem",
    "Meta",
    "MsgID",
    "MsgRef",
    "NoResp",
    "NoResults",
    "Put",
    "RespURI",
    "Search",
    "SessionID",
    "SftDel",
    "Source",
    "SourceRef",
    "Sync",
    "SyncBody",
    "SyncHdr",
    "SyncML",
    "Target",
    "TargetRef",
    "VerDTD",
    "VerProto",
    "NumberOfChanges",
    "MoreData",
    "Field",
    "Filter",
    "Record",
    "FilterType",
    "SourceParent",
    "TargetParent",
    "Move",
    "Correlator",
];
