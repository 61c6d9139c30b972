//! One far end's deliveries: what is due is tried, and what came of it is written down.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use postern_engine::mail::delivery::Outcome;
use postern_store::{
    StoreError, Tx, WriteError,
    alarms::{self, Severity},
    outbox::{self, Delivery},
};
use postern_wire::terms::DeliveryState;
use uuid::Uuid;

use super::{
    Mail, MailError, PARKED, TOGETHER,
    parcel::{self, Facts},
    plan::is_nobodys,
};
use crate::{Carrier, CarryError};

/// Tries at one far end at a time.
const AT_ONCE: usize = 4;
/// A try has so long; a carrier bounds its own waits, this only catches one that does not.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a far end rests that lets nobody in, at first; it doubles.
const REST: Duration = Duration::from_secs(15);
/// It grows to this.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// A far end, and what is known of it.
pub(super) struct FarEnd {
    pub(super) carrier: Arc<dyn Carrier>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Monotonic time until which nothing is tried.
    rests_until: Option<Duration>,
    /// How often in a row it let nobody in.
    closed: u32,
    /// What was said of deliveries and is not written down yet.
    unwritten: HashMap<Uuid, Delivery>,
}

impl FarEnd {
    pub(super) fn new(carrier: Arc<dyn Carrier>) -> Self {
        Self { carrier, state: Mutex::default() }
    }

    fn state<T>(&self, of: impl FnOnce(&mut State) -> T) -> T {
        of(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn rests(&self, monotonic: Duration) -> bool {
        self.state(|state| state.rests_until.is_some_and(|until| monotonic < until))
    }

    /// It let nobody in, or somebody.
    fn told(&self, open: bool, monotonic: Duration) {
        self.state(|state| match (open, state.rests_until) {
            (true, _) => (state.closed, state.rests_until) = (0, None),
            // Tries that ended together count once.
            (false, Some(until)) if monotonic < until => {}
            (false, _) => {
                let rest = REST.saturating_mul(1 << state.closed.min(8)).min(LONGEST_REST);
                state.closed += 1;
                state.rests_until = Some(monotonic + rest);
            }
        });
    }
}

impl Mail {
    /// Tries what is due at one far end. Gives how many deliveries were tried.
    pub(super) async fn send(&self, at: usize) -> Result<usize, MailError> {
        let end = &self.0.ends[at];
        self.write_down(end).await?;
        let clock = &self.0.parts.clock;
        if end.rests(clock.monotonic()) {
            return Ok(0);
        }
        let carrier = &end.carrier;
        let due = self.due(Some((carrier.channel(), carrier.name().map(str::to_owned))), self.now());
        let rows = self
            .0
            .parts
            .store
            .read(move |r| {
                let rows = outbox::due(r, &due, TOGETHER)?;
                rows.into_iter()
                    .map(|(row, entry)| Ok((row, parcel::facts(r, entry)?)))
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let tries = rows.into_iter().map(|(row, facts)| self.attempt(end, row, facts));
        let tried: Vec<Result<bool, MailError>> =
            stream::iter(tries).buffer_unordered(AT_ONCE).collect().await;
        let mut count = 0;
        for one in tried {
            count += usize::from(one?);
        }
        Ok(count)
    }

    /// One try, from the note that it begins to the note of how it ended. False when it was not made.
    async fn attempt(&self, end: &FarEnd, row: Delivery, facts: Facts) -> Result<bool, MailError> {
        let parts = &self.0.parts;
        if end.rests(parts.clock.monotonic()) {
            return Ok(false);
        }
        if is_nobodys(&row) {
            return self.readdressed(row, facts).await.map(|()| false);
        }
        let now = self.now();
        let since = row.created_at;
        let begun = Delivery {
            attempts: row.attempts + 1,
            last_at: Some(now),
            next_at: Some(now.plus(parts.rules.lease_ms)),
            revision: row.revision + 1,
            ..row
        };
        let note = begun.clone();
        match parts.store.write(move |tx| outbox::change(tx, &note)).await {
            Ok(()) => {}
            // A person was quicker.
            Err(WriteError::Rejected(StoreError::Conflict(_))) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let templates = parts.templates.of(facts.entry.kind);
        let kind = facts.entry.kind;
        let parcel = facts.parcel(&begun, parts.sign_in.as_deref(), &templates, now);
        let carried = tokio::time::timeout(LIMIT, end.carrier.carry(parcel)).await;
        let carried = carried.unwrap_or_else(|_| Err(CarryError::Closed("no answer in time".to_owned())));
        let monotonic = parts.clock.monotonic();
        end.told(!matches!(carried, Err(CarryError::Closed(_))), monotonic);
        let outcome = match carried {
            Ok(said) => Outcome::Taken(said),
            Err(CarryError::Never(reason)) => Outcome::Never(reason),
            Err(CarryError::Closed(reason)) => Outcome::Later { reason, after_ms: None },
            Err(CarryError::Later { reason, after }) => {
                let after_ms = after.map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
                Outcome::Later { reason, after_ms }
            }
        };
        let now = self.now();
        let steady = self.0.steady.holds(now, monotonic);
        let next = parts.rules.after(outcome, begun.attempts, since, now, steady);
        let (channel, attempts, state) = (begun.channel, begun.attempts, next.state);
        metrics::counter!("postern_outbox_tries_total", "channel" => channel.as_str(), "state" => state.as_str())
            .increment(1);
        tracing::info!(event = %begun.event, delivery = %begun.id, %kind, %channel, attempts, %state, said = ?next.cause, "an event was carried");
        let settled = Delivery {
            state,
            cause: next.cause,
            next_at: next.next_at,
            finished_at: next.next_at.is_none().then_some(now),
            revision: begun.revision + 1,
            ..begun
        };
        end.state(|state| state.unwritten.insert(settled.id, settled));
        self.write_down(end).await.map(|()| true)
    }

    /// A person has a delivery tried again that was for somebody without an address: it goes to the address that there is by
    /// now, else it is parked once more.
    async fn readdressed(&self, row: Delivery, facts: Facts) -> Result<(), MailError> {
        let (mail, now) = (self.clone(), self.now());
        let written = self.0.parts.store.write(move |tx| {
            let Some(cause) = mail.readdress(tx, &row, &facts.entry)? else { return Ok(()) };
            let parked = Delivery {
                state: DeliveryState::Parked,
                cause,
                next_at: None,
                finished_at: Some(now),
                revision: row.revision + 1,
                ..row.clone()
            };
            outbox::change(tx, &parked)
        });
        match written.await {
            // A conflict: a person was quicker.
            Ok(()) | Err(WriteError::Rejected(StoreError::Conflict(_))) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes down what was said. What cannot be written now is kept, and nothing is sent before it is written.
    async fn write_down(&self, end: &FarEnd) -> Result<(), MailError> {
        let waiting: Vec<Delivery> = end.state(|state| state.unwritten.values().cloned().collect());
        for row in waiting {
            let note = row.clone();
            match self.0.parts.store.write(move |tx| settle(tx, &note)).await {
                // A conflict: it is written already, or a person changed it since.
                Ok(()) | Err(WriteError::Rejected(StoreError::Conflict(_))) => {
                    end.state(|state| state.unwritten.remove(&row.id));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Keeps a delivery as it stands after a try, with the alarm that belongs to it.
pub(super) fn settle(tx: &mut Tx, row: &Delivery) -> Result<(), StoreError> {
    outbox::change(tx, row)?;
    let about = format!("{}:{}", row.channel, row.target);
    match row.state {
        DeliveryState::Parked => {
            let text = format!(
                "an event for {about} is tried no more: {}; when that is put right: `posternctl mail retry {}`",
                row.cause, row.id
            );
            alarms::raise(tx, Severity::Warning, PARKED, &about, &text).map(drop)
        }
        DeliveryState::Delivered
            if alarms::open(tx, PARKED, &about)?.is_some()
                && outbox::parked(tx, row.channel, &row.target)? == 0 =>
        {
            alarms::clear(tx, PARKED, &about, "what was parked went out").map(drop)
        }
        DeliveryState::Delivered | DeliveryState::Waiting | DeliveryState::Held => Ok(()),
    }
}
