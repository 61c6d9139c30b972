//! Large objects to the device: Add and Replace in chunks (OMA-TS-DM_Protocol 1.2.1, 7).
//!
//! Promise: Size stands in the first chunk only and counts octets as carried; each chunk fills the device's message and
//! never more; MoreData in all but the last, Final with the last. The device's 213 asks for the next one. A 424 or a
//! 1225 costs one start from the beginning, a second one fails the command. Base64 is cut as text.

use postern_wire::{
    auth,
    syncml::{Command, Data, Encoding, Item, Location, Meta, Request},
    terms::{CommandId, Verb},
};

use super::compose::Composer;
use crate::queue::{Body, BodyItem, PendingCommand};

/// An object on its way.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) command: CommandId,
    verb: Verb,
    target: String,
    format: Option<String>,
    type_: Option<String>,
    carried: Carried,
    /// Octets that are in chunks already sent.
    offset: usize,
    /// How often it began anew.
    pub(super) restarts: u32,
    /// Whether the device said 1225.
    pub(super) broken: bool,
}

/// The value as it is carried.
#[derive(Clone, Debug)]
enum Carried {
    Text(String),
    Octets(Vec<u8>),
}

impl Upload {
    /// The object of a command that is too large for a message; `None` where it cannot be cut.
    pub(super) fn of(command: &PendingCommand, encoding: Encoding) -> Option<Self> {
        let Body::Plain { verb: verb @ (Verb::Add | Verb::Replace), items, .. } = &command.body else {
            return None;
        };
        let [BodyItem { target, format, type_, data: Some(data), source: None }] = items.as_slice() else {
            return None;
        };
        let (carried, format) = match data {
            Data::Text(text) | Data::Markup(text) => (Carried::Text(text.clone()), format.clone()),
            Data::Binary(octets) if encoding == Encoding::Xml => {
                (Carried::Text(auth::encode_base64(octets)), Some("b64".to_owned()))
            }
            Data::Binary(octets) => (Carried::Octets(octets.clone()), format.clone()),
        };
        Some(Self {
            command: command.id,
            verb: *verb,
            target: target.clone(),
            format,
            type_: type_.clone(),
            carried,
            offset: 0,
            restarts: 0,
            broken: false,
        })
    }

    const fn len(&self) -> usize {
        match &self.carried {
            Carried::Text(text) => text.len(),
            Carried::Octets(octets) => octets.len(),
        }
    }

    /// Begins anew with the next chunk; whether that is allowed once more.
    pub(super) const fn restart(&mut self) -> bool {
        self.offset = 0;
        self.broken = false;
        self.restarts += 1;
        self.restarts <= 1
    }

    /// Whether no chunk has been sent, or all are to be sent again.
    pub(super) const fn is_at_start(&self) -> bool {
        self.offset == 0
    }

    /// The largest next chunk that fits into the message, with its octets there; `None` where none does. `true` says
    /// that it is the last.
    pub(super) fn next(&mut self, composer: &Composer) -> Option<(Command, usize, bool)> {
        let (room, left) = (composer.room(), self.len() - self.offset);
        let mut take = left.min(room);
        loop {
            take = self.whole_characters(take);
            if take == 0 {
                return None;
            }
            let last = take == left;
            let command = self.chunk(composer.next_id(), take, last);
            let octets = composer.octets(std::slice::from_ref(&command));
            if octets <= room {
                self.offset += take;
                return Some((command, octets, last));
            }
            // Each octet of the value takes one of the message or more.
            let in_proportion = u64::try_from(take).unwrap_or(u64::MAX).saturating_mul(room as u64);
            let shorter = usize::try_from(in_proportion / octets as u64).unwrap_or(0);
            take = shorter.min(take - 1);
        }
    }

    /// `take` octets, or fewer, so that no character is cut.
    fn whole_characters(&self, take: usize) -> usize {
        match &self.carried {
            Carried::Octets(_) => take,
            Carried::Text(text) => {
                let mut end = self.offset + take;
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                end - self.offset
            }
        }
    }

    fn chunk(&self, cmd_id: u32, take: usize, last: bool) -> Command {
        let range = self.offset..self.offset + take;
        let data = match &self.carried {
            Carried::Text(text) => Data::Text(text[range].to_owned()),
            Carried::Octets(octets) => Data::Binary(octets[range].to_vec()),
        };
        let size = (self.offset == 0).then(|| self.len() as u64);
        let meta = Meta { format: self.format.clone(), type_: self.type_.clone(), size, ..Meta::default() };
        let target = Some(Location::uri(self.target.clone()));
        let item = Item { target, source: None, meta, data: Some(data), more_data: !last };
        let request = Request { cmd_id, items: vec![item], ..Request::default() };
        if self.verb == Verb::Add { Command::Add(request) } else { Command::Replace(request) }
    }
}
