//! What is set for a wipe when it is asked for, its waits, and who may take it back.

use postern_wire::terms::{UtcMillis, WipeKind, WipeState};
use serde::{Deserialize, Serialize};

use super::{
    kinds::Way,
    machine::{Event, Ground, transition},
};

/// The longest wait between two tries, in milliseconds: an hour.
const LONGEST_WAIT_MS: i64 = 3_600_000;

/// What becomes of a device whose wipe was let pass and is not proved done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsuccessful {
    /// It reaches nothing but this wipe, until that is done or two persons disarm it.
    Arm,
    /// Its enrolment is revoked, as by the original's default; no wipe can be sent any more.
    Disenroll,
    /// Nothing, as by the original without DisenrollUnsuccessful.
    Keep,
}

impl Unsuccessful {
    /// From the two switches.
    #[must_use]
    pub const fn of(stays_armed: bool, disenroll_unsuccessful: bool) -> Self {
        match (stays_armed, disenroll_unsuccessful) {
            (true, _) => Self::Arm,
            (false, true) => Self::Disenroll,
            (false, false) => Self::Keep,
        }
    }

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Disenroll => "disenroll",
            Self::Keep => "keep",
        }
    }
}

/// What was set when the wipe was asked for: copied into it, so that a later change does not touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Tries after the first one.
    pub retries: u32,
    /// The wait after the first failed try, in milliseconds; it doubles.
    pub retry_wait_ms: i64,
    /// How long it waits to be delivered, in milliseconds; for ever when absent.
    pub expires_after_ms: Option<i64>,
    /// What becomes of the device otherwise.
    pub unsuccessful: Unsuccessful,
    /// Silence after an acknowledgement counts after so long, in milliseconds.
    pub silence_ms: i64,
    /// An accepted wipe's alert is waited for so long, in milliseconds.
    pub completion_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retries: 3,
            retry_wait_ms: 60_000,
            expires_after_ms: Some(30 * 86_400_000),
            unsuccessful: Unsuccessful::Arm,
            silence_ms: 86_400_000,
            completion_ms: 86_400_000,
        }
    }
}

/// Which kinds may be asked for a device: a private one's group leaves `selective` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// `full`.
    pub full: bool,
    /// `keep-user-data`.
    pub keep_user_data: bool,
    /// `keep-provisioning`.
    pub keep_provisioning: bool,
    /// `protected`.
    pub protected: bool,
    /// `selective`.
    pub selective: bool,
}

impl Allowed {
    /// All of them.
    pub const ALL: Self =
        Self { full: true, keep_user_data: true, keep_provisioning: true, protected: true, selective: true };

    /// Whether this kind may be asked for.
    #[must_use]
    pub const fn allows(self, kind: WipeKind) -> bool {
        match kind {
            WipeKind::Full => self.full,
            WipeKind::KeepUserData => self.keep_user_data,
            WipeKind::KeepProvisioning => self.keep_provisioning,
            WipeKind::Protected => self.protected,
            WipeKind::Selective => self.selective,
        }
    }
}

/// The wait before try number `tries` + 1, in milliseconds: it doubles with each, to an hour at most.
#[must_use]
pub fn retry_wait_ms(settings: &Settings, tries: u32) -> i64 {
    let doubled = settings.retry_wait_ms.saturating_mul(1_i64 << tries.saturating_sub(1).min(20));
    doubled.clamp(0, LONGEST_WAIT_MS.max(settings.retry_wait_ms))
}

/// What the clock may do to a wipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocked {
    /// Where it stands.
    pub state: WipeState,
    /// How it is done.
    pub way: Way,
    /// Whether it is armed.
    pub armed: bool,
    /// When it expires.
    pub expires_at: Option<UtcMillis>,
    /// When the device acknowledged it.
    pub accepted_at: Option<UtcMillis>,
    /// A session that the device opened after that has ended without the evidence.
    pub came_back: bool,
}

impl Clocked {
    /// What is due now. With a clock in doubt (`steady` is false) no time has passed.
    #[must_use]
    pub fn due(&self, settings: &Settings, now: UtcMillis, steady: bool) -> Option<Event> {
        use WipeState::{Accepted, AwaitingApproval, Pending, Retrying, Sent};
        let evidence = self.way.evidence();
        match self.state {
            Accepted if self.came_back && evidence.silence => Some(Event::ComeBack),
            _ if !steady => None,
            AwaitingApproval | Pending | Retrying | Sent => {
                self.expires_at.filter(|at| *at <= now && !self.armed).map(|_| Event::Expire)
            }
            Accepted => {
                let since = now.since(self.accepted_at?);
                match evidence.silence {
                    true => (since >= settings.silence_ms).then_some(Event::Silence),
                    false => (since >= settings.completion_ms).then_some(Event::Overrun),
                }
            }
            _ => None,
        }
    }
}

/// Why a wipe cannot be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelRefused {
    /// The device may have it.
    #[error("the device got it already")]
    Delivered,
    /// It is over.
    #[error("it is over: there is nothing to take back")]
    Over,
    /// Only two persons can let the device off.
    #[error("it is armed: only two persons can disarm it (`wipe disarm`)")]
    Armed,
    /// The enrolment is revoked.
    #[error("the device's enrolment is revoked")]
    Disenrolled,
}

/// Whether one person may take it back: the original's table (Remove-WipeRequest), and `armed` never.
///
/// # Errors
/// [`CancelRefused`].
pub fn may_cancel(state: WipeState, unsuccessful: Unsuccessful) -> Result<(), CancelRefused> {
    use WipeState as S;
    let ground = Ground { keeps: unsuccessful == Unsuccessful::Keep, ..Ground::default() };
    if transition(state, Event::Cancel, &ground).is_ok() {
        return Ok(());
    }
    Err(match state {
        S::Sent | S::Accepted | S::InDoubt => CancelRefused::Delivered,
        S::Armed => CancelRefused::Armed,
        S::Failed | S::Expired => CancelRefused::Disenrolled,
        _ => CancelRefused::Over,
    })
}

/// Whether two persons may let the device off.
#[must_use]
pub fn may_disarm(state: WipeState) -> bool {
    transition(state, Event::Disarm, &Ground::default()).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use WipeState as S;

    #[test]
    fn the_originals_table_of_who_may_be_taken_back_holds_and_armed_takes_two() {
        use Unsuccessful::{Arm, Disenroll, Keep};
        let table = [
            (S::Requested, [false, false, false]),
            (S::AwaitingApproval, [true, true, true]),
            (S::Pending, [true, true, true]),
            (S::Retrying, [true, true, true]),
            (S::Sent, [false, false, false]),
            (S::Accepted, [false, false, false]),
            (S::Succeeded, [false, false, false]),
            (S::Failed, [false, false, true]),
            (S::Expired, [false, false, true]),
            (S::Armed, [false, false, false]),
            (S::Cancelled, [false, false, false]),
            (S::InDoubt, [false, false, false]),
        ];
        assert_eq!(table.len(), S::ALL.len());
        for (state, expected) in table {
            for (unsuccessful, expected) in [Arm, Disenroll, Keep].into_iter().zip(expected) {
                assert_eq!(may_cancel(state, unsuccessful).is_ok(), expected, "{state} {unsuccessful:?}");
            }
            assert_eq!(may_disarm(state), matches!(state, S::Armed | S::InDoubt), "{state}");
        }
    }

    #[test]
    fn the_reason_for_a_refusal_is_the_one_that_a_person_can_act_on() {
        assert_eq!(may_cancel(S::Sent, Unsuccessful::Keep), Err(CancelRefused::Delivered));
        assert_eq!(may_cancel(S::Armed, Unsuccessful::Keep), Err(CancelRefused::Armed));
        assert_eq!(may_cancel(S::Expired, Unsuccessful::Disenroll), Err(CancelRefused::Disenrolled));
        assert_eq!(may_cancel(S::Succeeded, Unsuccessful::Keep), Err(CancelRefused::Over));
    }

    #[test]
    fn both_switches_say_what_becomes_of_the_device() {
        assert_eq!(Unsuccessful::of(true, true), Unsuccessful::Arm);
        assert_eq!(Unsuccessful::of(true, false), Unsuccessful::Arm);
        assert_eq!(Unsuccessful::of(false, true), Unsuccessful::Disenroll, "the original's default");
        assert_eq!(Unsuccessful::of(false, false), Unsuccessful::Keep);
    }

    fn clocked(state: S, way: Way) -> Clocked {
        let armed = state == S::Armed;
        Clocked {
            state,
            way,
            armed,
            expires_at: Some(UtcMillis(1_000)),
            accepted_at: (state == S::Accepted).then_some(UtcMillis(0)),
            came_back: false,
        }
    }

    #[test]
    fn a_wipe_that_waits_expires_and_one_that_is_armed_or_over_does_not() {
        let settings = Settings { silence_ms: 5_000, completion_ms: 5_000, ..Settings::default() };
        for &state in S::ALL {
            let due = clocked(state, Way::Run).due(&settings, UtcMillis(1_000), true);
            let waits = matches!(state, S::AwaitingApproval | S::Pending | S::Retrying | S::Sent);
            assert_eq!(due, waits.then_some(Event::Expire), "{state}");
        }
        let armed = Clocked { armed: true, ..clocked(S::Sent, Way::Run) };
        assert_eq!(armed.due(&settings, UtcMillis(9_999), true), None);
        let ever = Clocked { expires_at: None, ..clocked(S::Pending, Way::Run) };
        assert_eq!(ever.due(&settings, UtcMillis(i64::MAX), true), None);
    }

    #[test]
    fn silence_counts_only_for_ways_that_end_in_silence() {
        let settings = Settings { silence_ms: 50, completion_ms: 100, ..Settings::default() };
        let at = |way, ms| clocked(S::Accepted, way).due(&settings, UtcMillis(ms), true);
        assert_eq!(at(Way::FactoryReset, 49), None);
        assert_eq!(at(Way::FactoryReset, 50), Some(Event::Silence));
        assert_eq!(at(Way::WipeListed, 50), None);
        assert_eq!(at(Way::WipeListed, 100), Some(Event::Overrun));
    }

    #[test]
    fn a_device_that_accepts_and_comes_back_was_not_wiped() {
        let settings = Settings::default();
        let back = Clocked { came_back: true, ..clocked(S::Accepted, Way::FactoryReset) };
        assert_eq!(back.due(&settings, UtcMillis(1), true), Some(Event::ComeBack));
        assert_eq!(back.due(&settings, UtcMillis(1), false), Some(Event::ComeBack), "no clock is asked");
        let listed = Clocked { came_back: true, ..clocked(S::Accepted, Way::WipeListed) };
        assert_eq!(listed.due(&settings, UtcMillis(1), true), None, "it comes to tell the result");
    }

    proptest! {
        #[test]
        fn with_a_clock_in_doubt_nothing_happens_because_of_a_time(
            state in 0..S::ALL.len(), now: i64, expires: i64, accepted: i64, armed: bool,
        ) {
            let wipe = Clocked {
                expires_at: Some(UtcMillis(expires)),
                accepted_at: Some(UtcMillis(accepted)),
                armed,
                ..clocked(S::ALL[state], Way::FactoryReset)
            };
            prop_assert_eq!(wipe.due(&Settings::default(), UtcMillis(now), false), None);
        }

        #[test]
        fn waits_grow_and_are_bounded(first in 0..86_400_000_i64, tries in 0..1_000_u32) {
            let settings = Settings { retry_wait_ms: first, ..Settings::default() };
            let wait = retry_wait_ms(&settings, tries);
            prop_assert!(wait >= 0 && wait <= first.max(LONGEST_WAIT_MS));
            prop_assert!(wait <= retry_wait_ms(&settings, tries + 1));
        }

        /// Whatever happens in whatever order: what was proved done or taken back stays so, what is due is a transition
        /// that the table knows, and no wipe is done without the device's word.
        #[test]
        fn no_story_ends_in_success_without_evidence(
            events in proptest::collection::vec((0..Event::ALL.len(), 0..128_u32), 0..40),
        ) {
            let mut state = S::Requested;
            let mut spoke = false;
            for (event, bits) in events {
                let event = Event::ALL[event];
                let ground = Ground {
                    status_counts: bits & 1 > 0,
                    silence_counts: bits & 2 > 0,
                    leaving_counts: bits & 4 > 0,
                    armed: bits & 8 > 0,
                    tries_left: bits & 16 > 0,
                    arms: bits & 32 > 0,
                    keeps: bits & 64 > 0,
                };
                let Ok(next) = transition(state, event, &ground) else { continue };
                prop_assert!(!matches!(state, S::Succeeded | S::Cancelled));
                spoke |= matches!(
                    event,
                    Event::Acknowledge | Event::Accept | Event::Complete | Event::Leave
                );
                state = next;
                prop_assert!(state != S::Succeeded || spoke);
                let wipe = Clocked { state, ..clocked(state, Way::FactoryReset) };
                if let Some(due) = wipe.due(&Settings::default(), UtcMillis(i64::MAX), true) {
                    let ground = Ground { silence_counts: true, ..Ground::default() };
                    prop_assert!(transition(state, due, &ground).is_ok());
                }
            }
        }
    }
}
