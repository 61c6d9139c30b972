//! Time and randomness, as parameters: what the store asks of the world outside it.

use std::{sync::Arc, time::Duration};

use postern_wire::terms::UtcMillis;
use uuid::Uuid;

/// The clock, the stop-watch and the source of ids that a store works with.
#[derive(Clone)]
pub struct Ambient {
    /// Wall-clock time, for what is written into rows.
    pub now: Arc<dyn Fn() -> UtcMillis + Send + Sync>,
    /// Time since some fixed moment, never going back: for waiting, retrying and the epoch's patience.
    pub elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// A fresh id (UUIDv7 of this moment): batches, sessions, rows that their caller does not name.
    pub id: Arc<dyn Fn() -> Uuid + Send + Sync>,
}

impl Ambient {
    /// The machine's own clocks and randomness.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one edge of this crate that asks the machine")]
    pub fn system() -> Self {
        let start = std::time::Instant::now();
        Self {
            now: Arc::new(|| {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                UtcMillis(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
            }),
            elapsed: Arc::new(move || start.elapsed()),
            id: Arc::new(Uuid::now_v7),
        }
    }

    /// The machine's randomness and stop-watch, with wall-clock time from `now`.
    #[must_use]
    pub fn with_clock(now: Arc<dyn Fn() -> UtcMillis + Send + Sync>) -> Self {
        Self { now, ..Self::system() }
    }
}

impl std::fmt::Debug for Ambient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ambient")
    }
}
