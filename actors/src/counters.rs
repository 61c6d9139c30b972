//! Counts of the moment, and the same as metrics.
//!
//! Metric names: `postern_sessions`, `postern_active_actors`, `postern_checkins_total`,
//! `postern_checkin_refusals_total{reason}`, `postern_checkin_duration_seconds`, `postern_actor_panics_total`,
//! `postern_commands_finished_total{state}`.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use postern_wire::terms::CommandState;

use crate::{RefusalCause, Stats};

#[derive(Debug, Default)]
pub(crate) struct Counters {
    active: AtomicU64,
    sessions: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    panics: AtomicU64,
}

impl Counters {
    pub(crate) fn actor_started(&self) {
        metrics::gauge!("postern_active_actors").set(up(&self.active));
    }

    pub(crate) fn actor_ended(&self, panicked: bool) {
        metrics::gauge!("postern_active_actors").set(down(&self.active));
        if panicked {
            self.panics.fetch_add(1, Relaxed);
            metrics::counter!("postern_actor_panics_total").increment(1);
        }
    }

    pub(crate) fn session_opened(&self) {
        metrics::gauge!("postern_sessions").set(up(&self.sessions));
    }

    pub(crate) fn session_closed(&self) {
        metrics::gauge!("postern_sessions").set(down(&self.sessions));
    }

    pub(crate) fn answered(&self, took: Duration) {
        self.answered.fetch_add(1, Relaxed);
        metrics::counter!("postern_checkins_total").increment(1);
        metrics::histogram!("postern_checkin_duration_seconds").record(took.as_secs_f64());
    }

    pub(crate) fn refused(&self, cause: RefusalCause) {
        self.refused.fetch_add(1, Relaxed);
        metrics::counter!("postern_checkin_refusals_total", "reason" => cause.slug()).increment(1);
    }

    pub(crate) fn command_finished(state: CommandState) {
        metrics::counter!("postern_commands_finished_total", "state" => state.as_str()).increment(1);
    }

    pub(crate) fn stats(&self, in_flight: u64, unflushed: u64) -> Stats {
        Stats {
            active: self.active.load(Relaxed),
            sessions: self.sessions.load(Relaxed),
            answered: self.answered.load(Relaxed),
            refused: self.refused.load(Relaxed),
            panics: self.panics.load(Relaxed),
            in_flight,
            unflushed,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of a count far below 2^52")]
fn up(count: &AtomicU64) -> f64 {
    (count.fetch_add(1, Relaxed) + 1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a gauge of a count far below 2^52")]
fn down(count: &AtomicU64) -> f64 {
    count.fetch_sub(1, Relaxed).saturating_sub(1) as f64
}
