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
    /// What was read: format and value.
    pub read: Option<(&'a str, &'a str)>,
}

/// The code of something that was given up without an answer.
const NO_ANSWER: u32 = 0;

impl Book {
    /// Takes down what a device said. `desired` is what is desired now, which may be another thing than when the command
    /// was given.
    pub fn learn(&mut self, desired: &Desired, answer: &Answer<'_>, at: UtcMillis) {
        if answer.format.is_some_and(|format| format.eq_ignore_ascii_case("node")) {
            return;
        }
        let wanted = desired.get(answer.uri).filter(|setting| setting.withheld.is_none());
        let Some(entry) = self.nodes.get_mut(answer.uri) else { return };
        let code = answer.code.unwrap_or(NO_ANSWER);
        match (answer.verb, code) {
            (Verb::Get, 200..=299) => {
                let mark = wanted.map(|setting| Mark::of(&setting.format, setting.data.as_deref()));
                read(entry, answer.read, mark, at);
            }
            (Verb::Get, 404 | 410) => {
                let gone = Mark::of("", None);
                let wants_gone = wanted.is_some_and(|setting| setting.data.is_none());
                stands(entry, None, gone, wants_gone, at);
            }
            (Verb::Get, code) => {
                entry.check = false;
                entry.before.get_or_insert(Before::Unreadable(code));
            }
            (Verb::Delete, 200..=299 | 404 | 410) => {
                entry.there = Some(false);
                entry.confirmed = Some(Confirmed { mark: Mark::of("", None), at });
                entry.refused = None;
            }
            (Verb::Add | Verb::Replace, 200..=299) => {
                entry.there = Some(true);
                let mark = Mark::of(answer.format.unwrap_or(&entry.format), answer.sent.or(Some("")));
                entry.confirmed = Some(Confirmed { mark, at });
                (entry.refused, entry.parents, entry.flips) = (None, false, 0);
            }
            (Verb::Add, 418) if entry.found(true) => entry.parents = false,
            (Verb::Replace, 404 | 410) if entry.found(false) => {}
            (Verb::Add, 404) if !entry.parents => entry.parents = true,
            (verb, code) => {
                // What puts a value back is no value that is wanted.
                let sent = Mark::of(answer.format.unwrap_or(&entry.format), answer.sent);
                let sent = if verb == Verb::Delete { Mark::of("", None) } else { sent };
                let mark = wanted.is_some().then_some(sent);
                entry.refused = Some(Refused { code, mark, at });
            }
        }
    }
}

fn read(entry: &mut Entry, found: Option<(&str, &str)>, wanted: Option<Mark>, at: UtcMillis) {
    let (format, data) = found.unwrap_or(("chr", ""));
    let mark = Mark::of(&entry.format, Some(data));
    stands(entry, Some((format, data)), mark, wanted == Some(mark), at);
}

/// The device said what stands at the node.
fn stands(entry: &mut Entry, found: Option<(&str, &str)>, mark: Mark, as_wanted: bool, at: UtcMillis) {
    let first = entry.before.is_none() && !entry.touched;
    entry.there = Some(found.is_some());
    entry.check = false;
    if first {
        entry.before = Some(match found {
            None => Before::Absent,
            Some((format, data)) => Before::Value { format: format.to_owned(), data: data.to_owned() },
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
