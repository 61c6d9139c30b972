//! Whether the wall clock can be trusted with deadlines (docs/OPERATIONS.md, "clock.steady").
//!
//! Promise: when wall and monotonic time part by more than 5 minutes, nothing expires because of a time until
//! the new time has stood for 10 minutes.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use postern_wire::terms::UtcMillis;

/// A step of the wall clock that is no drift.
const JUMP_MS: i64 = 5 * 60 * 1000;
/// How long a new time must stand.
const SETTLE: Duration = Duration::from_secs(10 * 60);

#[derive(Debug)]
pub(crate) struct Steady(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    /// Wall time less monotonic time, in milliseconds, that counts as right.
    offset: i64,
    /// Since when another offset has stood.
    doubt: Option<Duration>,
}

impl Steady {
    pub(crate) fn new(wall: UtcMillis, monotonic: Duration) -> Self {
        Self(Mutex::new(State { offset: offset(wall, monotonic), doubt: None }))
    }

    /// Whether something may expire at this time. To be asked at least once a minute, so that drift is followed.
    pub(crate) fn holds(&self, wall: UtcMillis, monotonic: Duration) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = offset(wall, monotonic);
        let jumped = seen.abs_diff(state.offset) > JUMP_MS.unsigned_abs();
        match state.doubt {
            _ if jumped => {
                // A step, or another step while the last one still stood on trial.
                *state = State { offset: seen, doubt: Some(monotonic) };
                false
            }
            Some(since) if monotonic.saturating_sub(since) < SETTLE => {
                state.offset = seen;
                false
            }
            Some(_) | None => {
                *state = State { offset: seen, doubt: None };
                true
            }
        }
    }
}

fn offset(wall: UtcMillis, monotonic: Duration) -> i64 {
    wall.0.saturating_sub(i64::try_from(monotonic.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn a_clock_that_only_drifts_is_followed() {
        let steady = Steady::new(UtcMillis(0), at(0));
        for minute in 1..100_u64 {
            let wall = UtcMillis(i64::try_from(minute).unwrap() * (MINUTE + 5_000));
            assert!(steady.holds(wall, at(minute)), "{minute}");
        }
    }

    #[test]
    fn after_a_jump_nothing_expires_until_the_new_time_stood_for_ten_minutes() {
        let steady = Steady::new(UtcMillis(0), at(0));
        assert!(steady.holds(UtcMillis(MINUTE), at(1)));
        let hour = 60 * MINUTE;
        assert!(!steady.holds(UtcMillis(2 * MINUTE + hour), at(2)));
        assert!(!steady.holds(UtcMillis(11 * MINUTE + hour), at(11)));
        assert!(steady.holds(UtcMillis(12 * MINUTE + hour), at(12)));
    }

    #[test]
    fn a_jump_back_starts_another_wait() {
        let steady = Steady::new(UtcMillis(0), at(0));
        let hour = 60 * MINUTE;
        assert!(!steady.holds(UtcMillis(MINUTE + hour), at(1)));
        assert!(!steady.holds(UtcMillis(9 * MINUTE), at(9)));
        assert!(!steady.holds(UtcMillis(13 * MINUTE), at(13)));
        assert!(steady.holds(UtcMillis(19 * MINUTE), at(19)));
    }
}
