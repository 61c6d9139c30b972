//! The next message: as much of what is due as the server's MaxMsgSize takes (OMA-TS-DM_Protocol 6.2, 7).

use std::collections::VecDeque;

use postern_wire::syncml::{
    Command, Data, Item, Location, Message, Meta, Results, Style, SyncHdr, command_len, encode, frame_len,
};

use super::{Code, SessionError, Unit, alert, large::carried_len};
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
            sent.into_iter()
                .rev()
                .filter(|command| !is_next_message(command))
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
        let mut octets = if self.chunking { Vec::new() } else { encode(&message, &style)? };
        if octets.len() > self.peer_message || self.chunking {
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

    /// Cuts the message down to the server's MaxMsgSize; the rest goes back to the outbox. A Results that does
    /// not even fit alone is sent in chunks.
    fn split(&mut self, message: &mut Message, keep: usize, style: &Style) -> Result<(), SessionError> {
        let limit = self.peer_message;
        let no_room = SessionError::NoRoom(limit);
        let mut room = limit.checked_sub(frame_len(&message.header, true, style)).ok_or(no_room.clone())?;
        let mut due: VecDeque<Command> = std::mem::take(&mut message.body).into();
        let mut goes_on = std::mem::take(&mut self.chunking);
        while let Some(mut command) = due.pop_front() {
            let length = command_len(&command, style);
            if length <= room {
                room -= length;
                message.body.push(command);
                goes_on &= message.body.len() <= keep;
                continue;
            }
            if message.body.len() <= keep {
                let Command::Results(results) = &mut command else { return Err(no_room) };
                let chunk = cut(results, goes_on, room, style).ok_or(no_room)?;
                message.body.push(Command::Results(chunk));
                self.chunking = true;
            }
            due.push_front(command);
            break;
        }
        // what stays behind asks for the next message by itself
        due.retain(|command| !is_next_message(command));
        self.outbox = due;
        message.is_final &= self.outbox.is_empty();
        Ok(())
    }

    /// A chunk that the server did not keep (anything but 213) is not continued.
    pub(super) fn drop_finished_chunk(&mut self, message: &Message) {
        if !self.chunking {
            return;
        }
        let Some(Command::Results(rest)) = self.outbox.front() else { return };
        let refused = message.body.iter().any(|command| {
            matches!(command, Command::Status(status) if status.cmd == "Results" && Code(status.code) != Code::CHUNK_KEPT
                && status.cmd_ref != 0 && rest.cmd_id == status.cmd_ref)
        });
        if refused {
            self.outbox.pop_front();
            self.chunking = false;
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

/// Takes as much of a Results' value as fits `room`; the rest stays. The first chunk tells the whole size.
fn cut(results: &mut Results, goes_on: bool, room: usize, style: &Style) -> Option<Results> {
    let whole = results.items.first()?.clone();
    let data = whole.data.as_ref()?;
    let size = (!goes_on).then(|| carried_len(data));
    let mut take = room.min(usize::try_from(carried_len(data)).unwrap_or(usize::MAX).saturating_sub(1));
    loop {
        let (head, tail) = halves(data, take)?;
        let meta = Meta { size, ..whole.meta.clone() };
        let chunk = Item { meta, data: Some(head), more_data: true, ..whole.clone() };
        let chunk = Command::Results(Results { items: vec![chunk], ..results.clone() });
        if let (true, Command::Results(chunk)) = (command_len(&chunk, style) <= room, chunk) {
            results.items.first_mut()?.data = Some(tail);
            return Some(chunk);
        }
        take = take / 4 * 3;
    }
}

/// The first `take` octets (fewer, at a character's boundary) and the rest; `None` when nothing would be taken.
fn halves(data: &Data, take: usize) -> Option<(Data, Data)> {
    match data {
        Data::Text(text) | Data::Markup(text) => {
            let take = (1..=take.min(text.len())).rev().find(|at| text.is_char_boundary(*at))?;
            let (head, tail) = text.split_at(take);
            Some((Data::Text(head.to_owned()), Data::Text(tail.to_owned())))
        }
        Data::Binary(octets) => {
            let (head, tail) = octets.split_at_checked(take).filter(|(head, _)| !head.is_empty())?;
            Some((Data::Binary(head.to_vec()), Data::Binary(tail.to_vec())))
        }
    }
}

fn is_next_message(command: &Command) -> bool {
    matches!(command, Command::Alert(alert) if alert.code == 1222)
}
