//! Waiting by polling: a test never sleeps for a time that it hopes is long enough.

use std::time::{Duration, Instant};

/// Asks every 20 ms until `ready` gives a value, at most for `limit`; then panics with what was waited for
/// and what `why` knows of the delay.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> Option<T>,
    why: impl FnOnce() -> String,
) -> T {
    let began = now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} for {what} in vain\n{}", why());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether `holds` came true within `limit`.
pub fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let began = now();
    while began.elapsed() < limit {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    holds()
}

/// The monotonic clock of the tests' own limits and measurements.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the tests' edge: limits of waiting and measured times")]
pub fn now() -> Instant {
    Instant::now()
}
