//! Exact sizes of encoded parts, so that a sender can fill a message up to the peer's MaxMsgSize and encode once.
//!
//! Sizes add up: [`frame_len`] and the [`command_len`] of each command are together the length of what
//! [`super::encode`] writes. Nothing is allocated but for Data that has to become base64 or is markup.

use super::{Command, Encoding, Message, Style, SyncHdr, wbxml, xml};

/// Octets of one command in this style, whatever stands before and after it.
#[must_use]
pub fn command_len(command: &Command, style: &Style) -> usize {
    match style.encoding {
        Encoding::Xml => xml::writer::command_len(command, style),
        Encoding::Wbxml => wbxml::writer::command_len(command, style),
    }
}

/// Octets of everything but the commands: the encoding's own header, SyncHdr, the tags of SyncBody and, when
/// asked for, Final.
#[must_use]
pub fn frame_len(header: &SyncHdr, is_final: bool, style: &Style) -> usize {
    match style.encoding {
        Encoding::Xml => xml::writer::frame_len(header, is_final, style),
        Encoding::Wbxml => wbxml::writer::frame_len(header, is_final, style),
    }
}

/// Octets of a whole message.
#[must_use]
pub fn message_len(message: &Message, style: &Style) -> usize {
    frame_len(&message.header, message.is_final, style)
        + message.body.iter().map(|command| command_len(command, style)).sum::<usize>()
}
