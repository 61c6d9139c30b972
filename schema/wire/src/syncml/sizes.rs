//! Exact sizes of encoded parts, so that a sender can fill a message up to the peer's MaxMsgSize and encode once.

use super::{Command, Message, Style, SyncHdr};

/// Octets of one command in this style. Commands are independent of their neighbours: sizes add up.
#[must_use]
pub fn command_len(_command: &Command, _style: &Style) -> usize {
    0
}

/// Octets of everything but the commands: prologue, SyncHdr, SyncBody's tags and, when asked, Final.
#[must_use]
pub fn frame_len(_header: &SyncHdr, _is_final: bool, _style: &Style) -> usize {
    0
}

/// Octets of a message: the frame and its commands.
#[must_use]
pub fn message_len(message: &Message, style: &Style) -> usize {
    frame_len(&message.header, message.is_final, style)
        + message.body.iter().map(|command| command_len(command, style)).sum::<usize>()
}
