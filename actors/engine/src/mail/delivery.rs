//! One delivery's life: tried, tried again later and later, and given up.
//!
//! | what the other side says | what follows |
//! |---|---|
//! | it took it | delivered |
//! | not now (4xx, no answer, a lost connection) | waits, twice as long each time |
//! | never (5xx about this message) | parked with the reason |
//! | not now, and its time is over | parked with the reason |

use postern_wire::terms::{DeliveryState, UtcMillis};

/// How often and how long a delivery is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The wait after the first try, milliseconds; it doubles. 1 minute.
    pub first_wait_ms: i64,
    /// It grows to this. 1 hour.
    pub longest_wait_ms: i64,
    /// After so long it is parked (RFC 5321 4.5.4.1 has 4 to 5 days). 5 days.
    pub give_up_ms: i64,
    /// A try that nobody tells the end of counts as failed after so long. 5 minutes.
    pub lease_ms: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            first_wait_ms: 60_000,
            longest_wait_ms: 3_600_000,
            give_up_ms: 5 * 24 * 3_600_000,
            lease_ms: 5 * 60_000,
        }
    }
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other side took it.
    Taken(String),
    /// It may go later.
    Later {
        /// What the other side said.
        reason: String,
        /// How long it asks to be left alone.
        after_ms: Option<i64>,
    },
    /// It never goes.
    Never(String),
}

/// Where a delivery stands after a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The state.
    pub state: DeliveryState,
    /// When it is tried next; none when it is over.
    pub next_at: Option<UtcMillis>,
    /// What was said.
    pub cause: String,
}

impl Rules {
    /// What follows from a try that ended `now`, of a delivery that waits since `since` and was tried `attempts` times
    /// with this one. `steady` says whether the clock can be trusted with giving up.
    #[must_use]
    pub fn after(
        &self,
        outcome: Outcome,
        attempts: i64,
        since: UtcMillis,
        now: UtcMillis,
        steady: bool,
    ) -> Next {
        let over = |state, cause| Next { state, next_at: None, cause };
        match outcome {
            Outcome::Taken(cause) => over(DeliveryState::Delivered, cause),
            Outcome::Never(cause) => over(DeliveryState::Parked, cause),
            Outcome::Later { reason, .. } if steady && now.since(since) >= self.give_up_ms => {
                let hours = now.since(since) / 3_600_000;
                over(
                    DeliveryState::Parked,
                    format!("given up after {attempts} tries in {hours} hours: {reason}"),
                )
            }
            Outcome::Later { reason, after_ms } => {
                let wait = self.wait(attempts).max(after_ms.unwrap_or(0)).min(self.longest_wait_ms);
                Next { state: DeliveryState::Waiting, next_at: Some(now.plus(wait)), cause: reason }
            }
        }
    }

    /// The wait after this many tries.
    #[must_use]
    pub fn wait(&self, attempts: i64) -> i64 {
        let doubled = u32::try_from(attempts.clamp(1, 30) - 1).unwrap_or(0);
        self.first_wait_ms.saturating_mul(1_i64 << doubled).min(self.longest_wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn later(after_ms: Option<i64>) -> Outcome {
        Outcome::Later { reason: "451 try later".to_owned(), after_ms }
    }

    #[test]
    fn waits_double_up_to_an_hour() {
        let rules = Rules::default();
        let waits: Vec<i64> = (1..=9).map(|attempts| rules.wait(attempts) / MINUTE).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(rules.wait(i64::MAX), rules.longest_wait_ms);
    }

    #[test]
    fn what_the_other_side_asks_for_is_granted_within_bounds() {
        let (rules, now) = (Rules::default(), UtcMillis(10));
        let next = |after| rules.after(later(Some(after)), 1, now, now, true).next_at;
        assert_eq!(next(5 * MINUTE), Some(now.plus(5 * MINUTE)));
        assert_eq!(next(1), Some(now.plus(MINUTE)));
        assert_eq!(next(i64::MAX), Some(now.plus(60 * MINUTE)));
    }

    #[test]
    fn a_refusal_parks_at_once_and_a_failure_after_five_days() {
        let (rules, since) = (Rules::default(), UtcMillis(0));
        let never = rules.after(Outcome::Never("550 no such user".to_owned()), 1, since, since, true);
        assert_eq!((never.state, never.next_at), (DeliveryState::Parked, None));
        let late = UtcMillis(rules.give_up_ms);
        let given_up = rules.after(later(None), 40, since, late, true);
        assert_eq!(given_up.state, DeliveryState::Parked);
        assert!(given_up.cause.contains("451 try later"), "{}", given_up.cause);
        let jumped = rules.after(later(None), 2, since, late, false);
        assert_eq!(jumped.state, DeliveryState::Waiting, "a clock that jumped gives nothing up");
        let taken = rules.after(Outcome::Taken("250 ok".to_owned()), 40, since, late, true);
        assert_eq!(taken.state, DeliveryState::Delivered);
    }
}
