//! The one place of this crate that asks the clock and the system's random source.

use std::time::Instant;

use postern_wire::terms::UtcMillis;

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "the edge: everything else is given the time")]
#[must_use]
pub fn now() -> UtcMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UtcMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A point in time to measure from.
#[expect(clippy::disallowed_methods, reason = "the edge: latencies are measured from here")]
#[must_use]
pub fn start() -> Instant {
    Instant::now()
}

/// Fills `octets` from the system's random source.
pub fn random(octets: &mut [u8]) {
    aws_lc_rs::rand::fill(octets).expect("the system's random source works");
}
