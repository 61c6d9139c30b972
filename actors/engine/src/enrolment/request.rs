//! A request for an enrolment: one device may come with its one-time password, once.
//!
//! Promise: it lets a device in until it is used or its time has passed, even if a try fails; too many wrong passwords
//! lock it. The device that used it gets its answer again for as long as the password would have held, because
//! an answer can be lost; nobody else does.

use postern_wire::terms::{RequestState, UtcMillis};

/// What the rules see of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it stands.
    pub state: RequestState,
    /// Wrong passwords so far.
    pub failures: i64,
    /// When its time passes.
    pub expires: UtcMillis,
    /// What the device came with that used it.
    pub used_by: Option<[u8; 32]>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A device proved the password and came with this (a digest over its key and its hardware).
    Came([u8; 32]),
    /// Somebody tried a wrong password; so many make it locked.
    WrongPassword {
        /// How many are too many; 0 is never.
        most: i64,
    },
    /// A person takes it back.
    Cancel,
    /// Somebody looks whether its time has passed.
    Look,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// One more wrong password.
    Count,
    /// It stands elsewhere now.
    Become(RequestState),
    /// The device that used it gets its answer once more.
    AnswerAgain,
    /// Its key, and the answer that was kept, are wiped.
    Wipe,
}

/// Why an event is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another device used it.
    #[error("the one-time password was used by another device")]
    Used,
    /// It was taken back.
    #[error("the request was cancelled")]
    Cancelled,
    /// Its time has passed.
    #[error("the one-time password has expired")]
    Expired,
    /// Too many wrong passwords were tried.
    #[error("too many wrong passwords were tried; a new request is needed")]
    Locked,
}

impl Refused {
    /// The stable spelling.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Used => "enrolment-used",
            Self::Cancelled => "enrolment-cancelled",
            Self::Expired => "enrolment-expired",
            Self::Locked => "enrolment-locked",
        }
    }
}

/// What `event` does to `request`. With a clock in doubt (`steady` is false) no time has passed.
///
/// # Errors
/// [`Refused`].
pub fn step(request: &Request, event: Event, now: UtcMillis, steady: bool) -> Result<Step, Refused> {
    use RequestState as S;
    let passed = steady && request.expires <= now;
    match (request.state, event) {
        (S::Open, Event::Came(_)) if passed => Err(Refused::Expired),
        (S::Open, Event::Came(_)) => Ok(Step::Become(S::Used)),
        (S::Open, Event::WrongPassword { most }) if most > 0 && request.failures + 1 >= most => {
            Ok(Step::Become(S::Locked))
        }
        (S::Open, Event::WrongPassword { .. }) => Ok(Step::Count),
        (S::Open | S::Locked, Event::Cancel) => Ok(Step::Become(S::Cancelled)),
        (S::Open, Event::Look) if passed => Ok(Step::Become(S::Expired)),
        (S::Used, Event::Came(by)) if request.used_by == Some(by) && !passed => Ok(Step::AnswerAgain),
        (S::Used, Event::Came(_) | Event::Cancel) => Err(Refused::Used),
        (S::Used, Event::Look) if passed => Ok(Step::Wipe),
        (S::Cancelled, Event::Came(_) | Event::Cancel) => Err(Refused::Cancelled),
        (S::Expired, Event::Came(_) | Event::Cancel) => Err(Refused::Expired),
        (S::Locked, Event::Came(_)) => Err(Refused::Locked),
        (_, Event::Look) => Ok(Step::Keep),
        // What nobody can come with any more is not counted: it could only fill the log.
        (S::Used | S::Cancelled | S::Expired | S::Locked, Event::WrongPassword { .. }) => Ok(Step::Keep),
    }
}

/// Whether a device may still prove itself with it: an open one, and a used one that may be asked again.
#[must_use]
pub const fn proves(state: RequestState) -> bool {
    matches!(state, RequestState::Open | RequestState::Used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use RequestState::{Cancelled, Expired, Locked, Open, Used};

    const US: [u8; 32] = [1; 32];
    const THEM: [u8; 32] = [2; 32];
    const END: UtcMillis = UtcMillis(1_000);
    const BEFORE: UtcMillis = UtcMillis(999);

    fn request(state: RequestState) -> Request {
        Request { state, failures: 8, expires: END, used_by: (state == Used).then_some(US) }
    }

    #[test]
    fn a_request_is_used_once_and_answers_only_the_device_that_used_it() {
        for (state, event, expected) in [
            (Open, Event::Came(US), Ok(Step::Become(Used))),
            (Used, Event::Came(US), Ok(Step::AnswerAgain)),
            (Used, Event::Came(THEM), Err(Refused::Used)),
            (Cancelled, Event::Came(US), Err(Refused::Cancelled)),
            (Expired, Event::Came(US), Err(Refused::Expired)),
            (Locked, Event::Came(US), Err(Refused::Locked)),
        ] {
            assert_eq!(step(&request(state), event, BEFORE, true), expected, "{state} {event:?}");
        }
    }

    #[test]
    fn a_failed_try_leaves_it_open_until_there_were_too_many() {
        let tried = |failures, most| {
            let event = Event::WrongPassword { most };
            step(&Request { failures, ..request(Open) }, event, BEFORE, true)
        };
        assert_eq!(tried(0, 10), Ok(Step::Count));
        assert_eq!(tried(8, 10), Ok(Step::Count));
        assert_eq!(tried(9, 10), Ok(Step::Become(Locked)));
        assert_eq!(tried(1_000, 0), Ok(Step::Count), "0 is never");
        for state in [Used, Cancelled, Expired, Locked] {
            let event = Event::WrongPassword { most: 1 };
            assert_eq!(step(&request(state), event, BEFORE, true), Ok(Step::Keep), "{state}");
        }
    }

    #[test]
    fn only_what_still_waits_or_was_locked_can_be_taken_back() {
        for (state, expected) in [
            (Open, Ok(Step::Become(Cancelled))),
            (Locked, Ok(Step::Become(Cancelled))),
            (Used, Err(Refused::Used)),
            (Cancelled, Err(Refused::Cancelled)),
            (Expired, Err(Refused::Expired)),
        ] {
            assert_eq!(step(&request(state), Event::Cancel, BEFORE, true), expected, "{state}");
        }
    }

    #[test]
    fn its_time_passes_and_never_by_a_clock_in_doubt() {
        for (state, now, steady, expected) in [
            (Open, BEFORE, true, Step::Keep),
            (Open, END, true, Step::Become(Expired)),
            (Open, END, false, Step::Keep),
            (Used, BEFORE, true, Step::Keep),
            (Used, END, true, Step::Wipe),
            (Used, END, false, Step::Keep),
            (Cancelled, END, true, Step::Keep),
            (Expired, END, true, Step::Keep),
            (Locked, END, true, Step::Keep),
        ] {
            assert_eq!(
                step(&request(state), Event::Look, now, steady),
                Ok(expected),
                "{state} {now} {steady}"
            );
        }
        assert_eq!(step(&request(Open), Event::Came(US), END, true), Err(Refused::Expired));
        assert_eq!(step(&request(Open), Event::Came(US), END, false), Ok(Step::Become(Used)));
        assert_eq!(
            step(&request(Used), Event::Came(US), END, true),
            Err(Refused::Used),
            "the answer is wiped"
        );
    }

    #[test]
    fn a_key_is_kept_only_while_a_device_may_come_with_it() {
        let kept: Vec<_> = RequestState::ALL.iter().filter(|state| proves(**state)).collect();
        assert_eq!(kept, [&Open, &Used]);
    }
}
