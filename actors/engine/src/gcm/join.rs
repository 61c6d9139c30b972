//! The life of a gateway's one-time secret.

/// Where a join stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The secret was not used.
    Open,
    /// One key was certified with it; whether the gateway has its certificates is not known.
    Granted,
    /// It has.
    Done,
    /// Its time was over.
    Expired,
    /// Wrong proofs, or a person, ended it.
    Closed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Open, Self::Granted, Self::Done, Self::Expired, Self::Closed];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Granted => "granted",
            Self::Done => "done",
            Self::Expired => "expired",
            Self::Closed => "closed",
        }
    }

    /// The word read back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What happens to a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The gateway proved the secret and wants its key certified.
    Proved {
        /// Whether it is the key that was certified before.
        same_key: bool,
    },
    /// A proof did not hold; so many have not.
    Unproved {
        /// This one included.
        failures: i64,
    },
    /// The gateway stored its certificates, or came to a link with them.
    Stored,
    /// The clock passed its end.
    Passed,
    /// A person took it back, or opened another one.
    TakenBack,
}

/// So many proofs may fail before the secret is worth nothing: somebody is in the way.
pub const FAILURES: i64 = 20;

/// Why an event is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another key was certified with this secret: it is used up.
    OtherKey,
    /// The join has ended.
    Ended,
}

/// The state after an event.
///
/// # Errors
/// [`Refused`]; the state stays.
pub fn after(state: State, event: Event) -> Result<State, Refused> {
    match (state, event) {
        (State::Open, Event::Proved { .. }) | (State::Granted, Event::Proved { same_key: true }) => {
            Ok(State::Granted)
        }
        (State::Granted, Event::Proved { same_key: false }) => Err(Refused::OtherKey),
        (State::Open | State::Granted, Event::Unproved { failures }) if failures >= FAILURES => {
            Ok(State::Closed)
        }
        (State::Open | State::Granted, Event::Unproved { .. }) => Ok(state),
        (State::Granted, Event::Stored) => Ok(State::Done),
        // The grant was lost with the secret's time: the gateway may have it, and comes to its link if so.
        (State::Open | State::Granted, Event::Passed) => Ok(State::Expired),
        (State::Open | State::Granted, Event::TakenBack) => Ok(State::Closed),
        (State::Expired, Event::Stored) => Ok(State::Done),
        (State::Open, Event::Stored) | (State::Done | State::Expired | State::Closed, _) => {
            Err(Refused::Ended)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event::*, Refused, State::*, after};

    #[test]
    fn the_table_of_joins() {
        let cases = [
            (Open, Proved { same_key: false }, Ok(Granted)),
            (Granted, Proved { same_key: true }, Ok(Granted)),
            (Granted, Proved { same_key: false }, Err(Refused::OtherKey)),
            (Granted, Stored, Ok(Done)),
            (Open, Stored, Err(Refused::Ended)),
            (Open, Unproved { failures: 1 }, Ok(Open)),
            (Open, Unproved { failures: 20 }, Ok(Closed)),
            (Granted, Unproved { failures: 20 }, Ok(Closed)),
            (Open, Passed, Ok(Expired)),
            (Granted, Passed, Ok(Expired)),
            (Expired, Stored, Ok(Done)),
            (Open, TakenBack, Ok(Closed)),
        ];
        for (state, event, expected) in cases {
            assert_eq!(after(state, event), expected, "{state:?} {event:?}");
        }
    }

    #[test]
    fn a_secret_that_has_ended_proves_nothing_any_more() {
        for state in [Done, Expired, Closed] {
            for same_key in [true, false] {
                assert_eq!(after(state, Proved { same_key }), Err(Refused::Ended), "{state:?}");
            }
        }
    }
}
