//! Large objects on their way out (OMA-TS-DM_Protocol 7): one Results in several messages.
//!
//! Promise: each chunk fills its message to the octet that the server's MaxMsgSize allows; what a session of n
//! octets costs grows with n. The first chunk tells the whole size, no other does, and nothing comes between them.

use postern_wire::syncml::{Command, Data, Item, Message, Meta, Results, Style, command_len};

use super::Unit;
use crate::codes::Code;

/// A Results of which chunks have left.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The Results without its value.
    frame: Results,
    data: Data,
    /// Octets of the value that have left, and before the last chunk.
    sent: usize,
    before: usize,
    /// The server wanted it anew once already.
    restarted: bool,
}

impl Outgoing {
    /// A Results that does not fit a message; `None`, and it stays as it was, when it has no value to cut.
    pub(super) fn of(results: &mut Results) -> Option<Self> {
        let [item] = results.items.as_mut_slice() else { return None };
        let data = item.data.take_if(|data| octets(data) > 0)?;
        Some(Self { frame: std::mem::take(results), data, sent: 0, before: 0, restarted: false })
    }

    /// The next chunk, of at most `room` octets. `None` when not even one character fits.
    pub(super) fn next(&mut self, cmd_id: u32, room: usize, style: &Style) -> Option<Results> {
        self.frame.cmd_id = cmd_id;
        let whole = octets(&self.data);
        let rest = whole - self.sent;
        let fits = |take: usize| {
            let chunk = self.chunk(take);
            (command_len(&Command::Results(chunk), style) <= room).then_some(take)
        };
        // a last chunk has no MoreData, so it is tried first
        let take =
            if rest <= room && fits(rest).is_some() { rest } else { self.most(room.min(rest - 1), fits)? };
        let chunk = self.chunk(take);
        self.before = self.sent;
        self.sent += take;
        Some(chunk)
    }

    /// Whether the last chunk has left.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == octets(&self.data)
    }

    /// The largest number of octets up to `limit` that fits and ends at a character.
    fn most(&self, limit: usize, fits: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        let (mut low, mut high) = (0, limit);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let take = self.at_character(middle);
            if take > low && fits(take).is_some() {
                low = take;
            } else {
                high = middle - 1;
            }
        }
        (low > 0).then_some(low)
    }

    /// `take` or a little less, so that no character is cut.
    fn at_character(&self, take: usize) -> usize {
        match &self.data {
            Data::Text(text) | Data::Markup(text) => {
                let end = (0..=take).rev().find(|take| text.is_char_boundary(self.sent + take));
                end.unwrap_or_default()
            }
            Data::Binary(_) => take,
        }
    }

    fn chunk(&self, take: usize) -> Results {
        let end = self.sent + take;
        let data = match &self.data {
            Data::Text(text) | Data::Markup(text) => {
                Data::Text(text.get(self.sent..end).unwrap_or_default().to_owned())
            }
            Data::Binary(octets) => Data::Binary(octets.get(self.sent..end).unwrap_or_default().to_vec()),
        };
        let mut results = self.frame.clone();
        let whole = octets(&self.data);
        for item in &mut results.items {
            let size = (self.sent == 0 && end < whole).then_some(whole as u64);
            let meta = Meta { size, ..std::mem::take(&mut item.meta) };
            *item = Item { meta, data: Some(data.clone()), more_data: end < whole, ..std::mem::take(item) };
        }
        results
    }

    /// The last chunk, whose CmdID this is, did not count: the next one repeats it.
    pub(super) fn take_back(&mut self) -> u32 {
        self.sent = self.before;
        self.frame.cmd_id
    }
}

impl Unit {
    /// Looks at what the server made of the last chunk: anything but 213 ends the object; Alert 1225 asks for it
    /// anew, once.
    pub(super) fn chunk_answered(&mut self, message: &Message) {
        let Some(sending) = &mut self.sending else { return };
        let mut drop = sending.is_sent();
        for command in &message.body {
            match command {
                Command::Status(status) => {
                    let ours = status.cmd == "Results" && status.cmd_ref == sending.frame.cmd_id;
                    drop |= ours && status.cmd_ref != 0 && Code(status.code) != Code::CHUNK_KEPT;
                }
                Command::Alert(alert) if alert.code == 1225 => {
                    drop = std::mem::replace(&mut sending.restarted, true);
                    (sending.sent, sending.before) = (0, 0);
                }
                _ => {}
            }
        }
        if drop {
            self.sending = None;
        }
    }
}

fn octets(data: &Data) -> usize {
    match data {
        Data::Text(text) | Data::Markup(text) => text.len(),
        Data::Binary(octets) => octets.len(),
    }
}

#[cfg(test)]
mod tests {
    use postern_wire::syncml::{Location, Version};

    use super::*;

    #[test]
    fn chunks_fill_their_room_and_make_up_the_value() {
        let text = "a<b&c>\u{e9}\u{20ac}d]]>".repeat(400);
        for (data, styles) in [
            (Data::Text(text.clone()), vec![Style::xml(Version::V1_2), Style::wbxml(Version::V1_2)]),
            (Data::Binary(vec![0; 5_000]), vec![Style::wbxml(Version::V1_2)]),
        ] {
            for style in styles {
                for room in [230, 301, 1_000, 4_321] {
                    let item = Item {
                        source: Some(Location::uri("./a")),
                        data: Some(data.clone()),
                        ..Item::default()
                    };
                    let mut results =
                        Results { cmd_id: 7, cmd_ref: 3, items: vec![item], ..Results::default() };
                    let mut sending = Outgoing::of(&mut results).unwrap();
                    let (mut gathered, mut sizes) = (Vec::new(), Vec::new());
                    loop {
                        let chunk = sending.next(12, room, &style).expect("room for a character");
                        let last = sending.is_sent();
                        let length = command_len(&Command::Results(chunk.clone()), &style);
                        assert!(length <= room, "{length} > {room}");
                        // what is left free is less than one more character with its escapes
                        assert!(last || length + 12 > room, "{length} of {room} used");
                        let item = &chunk.items[0];
                        assert_eq!(item.more_data, !last);
                        sizes.push(item.meta.size);
                        match item.data.as_ref().unwrap() {
                            Data::Text(text) | Data::Markup(text) => {
                                gathered.extend_from_slice(text.as_bytes())
                            }
                            Data::Binary(octets) => gathered.extend_from_slice(octets),
                        }
                        if last {
                            break;
                        }
                    }
                    let whole = match &data {
                        Data::Text(text) | Data::Markup(text) => text.as_bytes(),
                        Data::Binary(octets) => octets,
                    };
                    assert_eq!(gathered, whole);
                    assert_eq!(sizes[0], Some(whole.len() as u64));
                    assert!(sizes[1..].iter().all(Option::is_none));
                }
            }
        }
    }

    #[test]
    fn what_has_no_value_to_cut_is_given_back() {
        let mut results = Results { items: vec![Item::default()], ..Results::default() };
        let before = results.clone();
        assert!(Outgoing::of(&mut results).is_none());
        assert_eq!(results, before);
    }
}
