//! The next message: as much of what is due as the server's MaxMsgSize takes (OMA-TS-DM_Protocol 6.2, 7).

use std::collections::VecDeque;

use postern_wire::syncml::{
    Command, Location, Message, Meta, Style, SyncHdr, command_len, encode, frame_len,
};

use super::{SessionError, Unit, alert, outgoing::Outgoing};
use crate::state::State;

/// A message ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// MsgID.
    pub msg_id: u32,
    /// The octets.
    pub body: Vec<u8>,
    /// The value of x-syncml-hmac over them.
    pub hmac: Option<String>,
}

impl Unit {
    /// Composes the next message and counts it as sent.
    pub fn compose(&mut self, state: &mut State) -> Result<Composed, SessionError> {
        self.msg_id += 1;
        let style = self.settings.style();
        if std::mem::take(&mut self.resending) {
            let (sent, _) = std::mem::take(&mut self.last_sent);
            let chunk = self.sending.as_mut().map(Outgoing::take_back);
            let is_chunk = |command: &Command| matches!(command, Command::Results(results) if Some(results.cmd_id) == chunk);
            sent.into_iter()
                .rev()
                .filter(|command| !is_next_message(command) && !is_chunk(command))
                .for_each(|command| self.outbox.push_front(command));
        }
        let status = self.header_status.take();
        let status_is_first = status.is_some();
        let mut body: Vec<Command> = status.map(Command::Status).into_iter().collect();
        body.extend(self.outbox.drain(..));
        if !self.server_final {
            body.push(alert(1222));
        }
        number(&mut body);
        let mut message = Message {
            version: style.version,
            header: self.header(&style),
            is_final: self.server_final,
            body,
        };
        // most messages fit whole: encode first, measure only those that do not
        let chunks = self.sending.is_some();
        let mut octets = if chunks { Vec::new() } else { encode(&message, &style)? };
        if octets.len() > self.peer_message || chunks {
            self.split(&mut message, usize::from(status_is_first), &style)?;
            octets = encode(&message, &style)?;
        }
        let hmac = self.own.mac_over(&self.account, &octets)?;
        self.server.chal_leaves(&self.account, state);
        self.package_open = !message.is_final;
        if message.is_final {
            self.server_final = false;
        }
        self.note_sent(&message.body);
        message.body.drain(..usize::from(status_is_first));
        self.last_sent = (message.body, message.is_final);
        Ok(Composed { msg_id: self.msg_id, body: octets, hmac })
    }

    /// Octets that commands may have in a message of their own, beside the SyncHdr Status.
    pub(super) fn room(&self) -> usize {
        let style = self.settings.style();
        let status =
            self.header_status.clone().map_or(0, |status| command_len(&Command::Status(status), &style));
        self.peer_message.saturating_sub(frame_len(&self.header(&style), true, &style) + status)
    }

    fn header(&self, style: &Style) -> SyncHdr {
        let cred = self.own.cred(&self.account);
        let name = cred.is_some().then(|| self.account.own_credentials().0.to_owned());
        SyncHdr {
            ver_dtd: style.version.ver_dtd().to_owned(),
            ver_proto: style.version.ver_proto().to_owned(),
            session_id: self.session_id.clone(),
            msg_id: self.msg_id,
            target: Location::uri(self.account.server.to_string()),
            source: Location { uri: self.account.device_id.clone(), name },
            cred,
            meta: Meta {
                max_msg_size: Some(self.settings.max_message as u64),
                max_obj_size: Some(self.settings.max_object),
                ..Meta::default()
            },
            ..SyncHdr::default()
        }
    }

    /// Cuts the message down to the server's MaxMsgSize; the rest goes back to the outbox. Every Status goes first,
    /// so that nothing new comes between the chunks of a Results that was begun; then its next chunk; and one that
    /// does not even fit alone is begun.
    fn split(&mut self, message: &mut Message, keep: usize, style: &Style) -> Result<(), SessionError> {
        let limit = self.peer_message;
        let no_room = SessionError::NoRoom(limit);
        let mut room = limit.checked_sub(frame_len(&message.header, true, style)).ok_or(no_room.clone())?;
        let (statuses, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut message.body).into_iter().partition(is_status);
        let mut due: VecDeque<Command> = statuses.into_iter().chain(others).collect();
        number(due.make_contiguous());
        let chunks = self.sending.is_some();
        while let Some(next) = due.front().filter(|next| !chunks || is_status(next)) {
            let length = command_len(next, style);
            if length > room {
                break;
            }
            room -= length;
            message.body.extend(due.pop_front());
        }
        if message.body.len() < keep {
            return Err(no_room);
        }
        if !chunks && message.body.iter().all(is_status) {
            self.begin(&mut due);
        }
        if let Some(sending) = self.sending.as_mut().filter(|_| !due.front().is_some_and(is_status)) {
            let cmd_id = u32::try_from(message.body.len() + 1).unwrap_or(u32::MAX);
            match sending.next(cmd_id, room, style) {
                Some(chunk) => message.body.push(Command::Results(chunk)),
                None if message.body.len() > keep => {}
                None => return Err(no_room),
            }
        }
        if message.body.len() == keep && !due.is_empty() {
            return Err(no_room);
        }
        // what stays behind asks for the next message by itself
        due.retain(|command| !is_next_message(command));
        self.outbox = due;
        let sent = self.sending.as_ref().is_none_or(Outgoing::is_sent);
        message.is_final &= self.outbox.is_empty() && sent;
        Ok(())
    }

    /// Begins the Results that is due next, if its value can be cut.
    fn begin(&mut self, due: &mut VecDeque<Command>) {
        if let Some(Command::Results(results)) = due.front_mut() {
            self.sending = Outgoing::of(results);
        }
        if self.sending.is_some() {
            due.pop_front();
        }
    }
}

/// CmdIDs from 1, in order.
fn number(body: &mut [Command]) {
    for (command, number) in body.iter_mut().zip(1..) {
        match command {
            Command::Alert(alert) => alert.cmd_id = number,
            Command::Status(status) => status.cmd_id = number,
            Command::Results(results) => results.cmd_id = number,
            Command::Replace(request) => request.cmd_id = number,
            _ => {}
        }
    }
}

fn is_next_message(command: &Command) -> bool {
    matches!(command, Command::Alert(alert) if alert.code == 1222)
}

fn is_status(command: &Command) -> bool {
    matches!(command, Command::Status(_))
}
