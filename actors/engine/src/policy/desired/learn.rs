//! What a device's answers say.

use postern_wire::terms::{UtcMillis, Verb};

use super::{
    Desired,
    book::{Before, Book, Confirmed, Entry, Refused},
    value::{self, Mark},
};

/// What a device said of one item of a command.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The verb.
    pub verb: Verb,
    /// The node.
    pub uri: &'a str,
    /// The format that was sent; of an interior node `node`.
    pub format: Option<&'a str>,
    /// The value that was sent.
    pub sent: Option<&'a str>,
    /// The code; none where no answer came, and none will.
    pub code: Option<u32>,
    /// What was read.
    pub read: Option<Read<'a>>,
}

/// A value that was read.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// Its format as the device gave it.
    pub format: &'a str,
    /// Itself; octets that are no text as base64.
    pub data: &'a str,
    /// Whether it is such octets.
    pub binary: bool,
}

/// The code of something that was given up without an answer.
const NO_ANSWER: u32 = 0;

impl Book {
    /// A command that changes a node was sent, and nobody knows what became of it.
    pub fn was_sent(&mut self, uri: &str) {
        if let Some(entry) = self.nodes.get_mut(uri) {
            entry.touched = true;
        }
    }

    /// Takes down what a device said. `desired` is what is desired now, which may be another thing than when the command
    /// was given.
    pub fn learn(&mut self, desired: &Desired, answer: &Answer<'_>, at: UtcMillis) {
        // An interior node that is made for what is below it has no value; one that is put back has an empty one.
        let is_node = answer.format.is_some_and(|format| format.eq_ignore_ascii_case("node"));
        if is_node && answer.sent.is_none() {
            return;
        }
        let wanted = desired.get(answer.uri).filter(|setting| setting.withheld.is_none());
        let Some(entry) = self.nodes.get_mut(answer.uri) else { return };
        let code = answer.code.unwrap_or(NO_ANSWER);
        entry.touched |= answer.verb != Verb::Get && may_have_done(code);
        match (answer.verb, code, answer.read) {
            (Verb::Get, 200..=299, Some(found)) => {
                let mark = wanted.map(|setting| Mark::of(&setting.format, setting.data.as_deref()));
                read(entry, found, mark, at);
            }
            (Verb::Get, 404 | 410, _) => {
                let gone = Mark::of("", None);
                let wants_gone = wanted.is_some_and(|setting| setting.data.is_none());
                stands(entry, None, gone, wants_gone, at);
            }
            // Also a success that brought no value: what stands there is not known, so it is not overwritten by nothing.
            (Verb::Get, code, _) => {
                entry.check = false;
                entry.before.get_or_insert(Before::Unreadable(code));
            }
            (Verb::Delete, 200..=299 | 404 | 410, _) => {
                entry.there = Some(false);
                entry.confirmed = Some(Confirmed { mark: Mark::of("", None), at });
                entry.refused = None;
            }
            (Verb::Add | Verb::Replace, 200..=299, _) => {
                entry.there = Some(true);
                let mark = Mark::of(&entry.format, answer.sent.or(Some("")));
                entry.confirmed = Some(Confirmed { mark, at });
                (entry.refused, entry.parents, entry.flips) = (None, false, 0);
            }
            (Verb::Add, 418, _) if entry.found(true) => entry.parents = false,
            (Verb::Replace, 404 | 410, _) if entry.found(false) => {}
            (Verb::Add, 404, _) if !entry.parents => entry.parents = true,
            (verb, code, _) => {
                // What puts a value back is no value that is wanted.
                let sent = Mark::of(&entry.format, answer.sent);
                let sent = if verb == Verb::Delete { Mark::of("", None) } else { sent };
                let mark = wanted.is_some().then_some(sent);
                entry.refused = Some(Refused { code, mark, at });
            }
        }
    }
}

/// Whether a device that answered a change with this code did it, or may have: what it says no to, it did not do.
const fn may_have_done(code: u32) -> bool {
    !matches!(code, 400..=499 | 501)
}

fn read(entry: &mut Entry, found: Read<'_>, wanted: Option<Mark>, at: UtcMillis) {
    let mark = Mark::of(&entry.format, Some(found.data));
    stands(entry, Some(found), mark, wanted == Some(mark), at);
}

/// The device said what stands at the node.
fn stands(entry: &mut Entry, found: Option<Read<'_>>, mark: Mark, as_wanted: bool, at: UtcMillis) {
    let first = entry.before.is_none() && !entry.touched;
    entry.there = Some(found.is_some());
    entry.check = false;
    if first {
        entry.before = Some(match found {
            None => Before::Absent,
            Some(Read { format, data, binary }) => {
                Before::Value { format: format.to_owned(), data: data.to_owned(), binary }
            }
        });
    }
    if as_wanted {
        entry.confirmed = Some(Confirmed { mark, at });
        entry.refused = None;
    } else if entry.confirmed.take_if(|confirmed| confirmed.mark != mark).is_some() {
        entry.drift = entry.drift.saturating_add(1);
        entry.drifted_at = Some(at);
    }
}

/// Values of a format that were read from a device say the same as what was wanted.
#[must_use]
pub fn is_as_wanted(format: &str, wanted: &str, read: &str) -> bool {
    value::same(format, wanted, read)
}
