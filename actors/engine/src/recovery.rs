//! Recovery passwords: how what a device has escrowed stands, and what is wanted of it next (docs/RECOVERY.md).
//!
//! Promise: pure. A device brings its password by itself when it is enrolled, after a use and after each change of key; the core asks
//! for a new one after it was shown, when somebody wants one, and when nothing came. A new escrow key is told before anything else,
//! because it brings a new password with it.

use postern_wire::{
    recovery::{ESCROW_KEY, RENEW},
    terms::{UtcMillis, Verb},
};

use crate::queue::{Body, BodyItem};

pub use postern_wire::recovery::ALERT;

/// How long a device that can escrow may take to do so by itself, in milliseconds.
pub const AWAITED_MS: i64 = 3_600_000;
/// How long an order is worth waiting for before another takes its place, in milliseconds.
pub const ORDERED_MS: i64 = 14 * 86_400_000;
/// The first wait after an order that came to nothing, in milliseconds; doubled each time.
const RETRY_MS: i64 = 3_600_000;
/// The longest such wait, in milliseconds.
const LONGEST_MS: i64 = 7 * 86_400_000;

/// How a device's recovery password stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// None has come yet.
    Awaited,
    /// The newest that came is the device's.
    Held,
    /// A new one, or a new key, is to be asked for.
    Due,
    /// The device is told.
    Ordered,
    /// Its model has no such object.
    Unable,
}

impl State {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Awaited, Self::Held, Self::Due, Self::Ordered, Self::Unable];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Held => "held",
            Self::Due => "due",
            Self::Ordered => "ordered",
            Self::Unable => "unable",
        }
    }

    /// The word read back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A sealed password came.
    Arrived {
        /// Whether it is sealed to the escrow key in use.
        newest_key: bool,
    },
    /// The stored one was shown to a person.
    Shown,
    /// Somebody wants a new one.
    Wanted,
    /// Another escrow key is in use.
    KeyChanged,
    /// Its time has come.
    Look {
        /// Whether the device is known to have the escrow key in use.
        has_key: bool,
    },
    /// The device did what it was told.
    Acknowledged,
    /// It did not.
    Refused {
        /// It knows no such node.
        unknown_node: bool,
    },
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// It stands there from now on.
    Become(State),
    /// Tell the device to make a new one.
    AskNew,
    /// Tell it the escrow key in use.
    TellKey,
}

/// Why an event is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing came yet that could be shown.
    #[error("no recovery password of this device has come yet")]
    None,
    /// Its model cannot be told.
    #[error("this model has no recovery password that could be renewed")]
    Unable,
}

/// What `event` does.
///
/// # Errors
/// [`Refused`].
pub const fn step(state: State, event: Event) -> Result<Step, Refused> {
    use State as S;
    match (state, event) {
        // What a device brings shows that it can.
        (_, Event::Arrived { newest_key: true }) => Ok(Step::Become(S::Held)),
        (S::Ordered, Event::Arrived { newest_key: false }) => Ok(Step::Keep),
        (_, Event::Arrived { newest_key: false }) => Ok(Step::Become(S::Due)),
        (S::Awaited, Event::Shown) => Err(Refused::None),
        (S::Held, Event::Shown) => Ok(Step::Become(S::Due)),
        (S::Due | S::Ordered | S::Unable, Event::Shown) => Ok(Step::Keep),
        (S::Unable, Event::Wanted) => Err(Refused::Unable),
        (S::Ordered, Event::Wanted) => Ok(Step::Keep),
        (S::Awaited | S::Held | S::Due, Event::Wanted) => Ok(Step::Become(S::Due)),
        (S::Unable, Event::KeyChanged) => Ok(Step::Keep),
        (_, Event::KeyChanged) => Ok(Step::Become(S::Due)),
        (S::Held | S::Unable, Event::Look { .. }) => Ok(Step::Keep),
        (S::Awaited | S::Due | S::Ordered, Event::Look { has_key: false }) => Ok(Step::TellKey),
        (S::Awaited | S::Due | S::Ordered, Event::Look { has_key: true }) => Ok(Step::AskNew),
        // What it made comes by itself.
        (_, Event::Acknowledged) => Ok(Step::Keep),
        (S::Ordered, Event::Refused { unknown_node: true }) => Ok(Step::Become(S::Unable)),
        (S::Ordered, Event::Refused { unknown_node: false }) => Ok(Step::Become(S::Due)),
        (S::Awaited | S::Held | S::Due | S::Unable, Event::Refused { .. }) => Ok(Step::Keep),
    }
}

/// When a device is asked again whose last `tries` orders came to nothing.
#[must_use]
pub fn again_at(now: UtcMillis, tries: i64) -> UtcMillis {
    let doubled = RETRY_MS << tries.clamp(0, 12);
    now.plus(doubled.min(LONGEST_MS))
}

/// Whether a generic alert of this type brings a sealed password.
#[must_use]
pub fn brings(type_: &str) -> bool {
    type_.trim().eq_ignore_ascii_case(ALERT)
}

/// Whether a status says that a device has no such node.
#[must_use]
pub const fn is_unknown_node(status: i64) -> bool {
    matches!(status, 404 | 405 | 406 | 501)
}

/// The command that has a new password made.
#[must_use]
pub fn ask_new() -> Vec<Body> {
    vec![Body::plain(Verb::Exec, vec![BodyItem::node(RENEW)])]
}

/// The command that tells another escrow key; `data` is the signed order and the chain behind it.
#[must_use]
pub fn tell_key(data: &str) -> Vec<Body> {
    let item =
        BodyItem { format: Some("chr".to_owned()), data: Some(data.into()), ..BodyItem::node(ESCROW_KEY) };
    vec![Body::plain(Verb::Replace, vec![item])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Due, Held, Unable};

    #[test]
    fn what_each_event_does_at_each_state() {
        let arrived = |newest_key| Event::Arrived { newest_key };
        let look = |has_key| Event::Look { has_key };
        let refused = |unknown_node| Event::Refused { unknown_node };
        let become_ = |state| Ok(Step::Become(state));
        let keep = Ok(Step::Keep);
        for (event, expected) in [
            // Awaited, Held, Due, Ordered, Unable
            (arrived(true), [become_(Held); 5]),
            (arrived(false), [become_(Due), become_(Due), become_(Due), keep, become_(Due)]),
            (Event::Shown, [Err(Refused::None), become_(Due), keep, keep, keep]),
            (Event::Wanted, [become_(Due), become_(Due), become_(Due), keep, Err(Refused::Unable)]),
            (Event::KeyChanged, [become_(Due), become_(Due), become_(Due), become_(Due), keep]),
            (look(true), [Ok(Step::AskNew), keep, Ok(Step::AskNew), Ok(Step::AskNew), keep]),
            (look(false), [Ok(Step::TellKey), keep, Ok(Step::TellKey), Ok(Step::TellKey), keep]),
            (Event::Acknowledged, [keep; 5]),
            (refused(true), [keep, keep, keep, become_(Unable), keep]),
            (refused(false), [keep, keep, keep, become_(Due), keep]),
        ] {
            for (state, expected) in State::ALL.into_iter().zip(expected) {
                assert_eq!(step(state, event), expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_device_that_does_not_answer_is_asked_ever_more_seldom() {
        let waits: Vec<_> = (0..10).map(|tries| again_at(UtcMillis(0), tries).0 / RETRY_MS).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 168, 168]);
    }

    #[test]
    fn every_word_is_read_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("something"), None);
    }

    #[test]
    fn only_the_alert_of_our_object_brings_a_password() {
        assert!(brings(ALERT) && brings(" COM.postern:Recovery-Password"));
        assert!(!brings("") && !brings("com.postern:recovery"));
    }
}
