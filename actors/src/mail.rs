//! The mail supervisor: what was put into the outbox goes out, by mail, webhook, syslog and stream.
//!
//! Promise: the rules are `postern_engine::mail`'s, the truth is the rows; this moves parcels and keeps the time. Each
//! far end has a loop of its own, so that one that hangs holds up no other. A try is written down before its first
//! octet leaves; what the far end said is written down after, and kept in memory while the database is away, so that
//! nothing that was taken goes again because of a database. A far end that lets nobody in rests, and costs no single
//! delivery its tries.
//!
//! - [`plan`]: who is told of an event, by what.
//! - [`send`]: one far end's deliveries.
//! - [`parcel`]: an event as a letter and as a document.

mod parcel;
mod plan;
mod send;

use std::{sync::Arc, time::Duration};

use postern_engine::mail::{
    delivery::Rules,
    letter::{Letter, Told},
};
use postern_store::{
    ReadError, Store, WriteError,
    alarms::{self, Severity},
    outbox::{self, Delivery, Due},
};
use postern_wire::terms::{Channel, DeliveryState, EventKind, UtcMillis};
use tokio::{sync::Notify, time::MissedTickBehavior};
use uuid::Uuid;

pub use parcel::document;
pub use postern_engine::mail::{address, delivery, letter, sink, words};
use send::FarEnd;

use crate::{Carrier, CarryError, Clock, LetterTemplates, steady::Steady};

/// How often is looked for what is due.
const LOOK: Duration = Duration::from_secs(1);
/// How often is looked for what nobody carries, and for what waits too long.
const TIDY: Duration = Duration::from_secs(60);
/// How long a far end may take to answer a look that sends nothing.
const PROBE: Duration = Duration::from_secs(10);
/// Events that are planned, and deliveries that are looked at, together.
const TOGETHER: i64 = 100;
/// A delivery that waits so long raises an alarm: 15 minutes.
const LATE_MS: i64 = 15 * 60_000;
/// The alarm of a delivery that is tried no more.
pub const PARKED: &str = "mail-parked";
/// The alarm of deliveries that wait too long.
pub const LATE: &str = "mail-late";

/// What the supervisor needs to run.
pub struct MailParts {
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How often and how long a delivery is tried.
    pub rules: Rules,
    /// The far ends.
    pub carriers: Vec<Arc<dyn Carrier>>,
    /// The operator's templates.
    pub templates: Arc<dyn LetterTemplates>,
    /// Addresses that are told whatever concerns security.
    pub security: Vec<String>,
    /// The domain of Message-IDs.
    pub domain: String,
    /// Where people sign in; without it a mail has no link.
    pub sign_in: Option<String>,
}

/// The supervisor: a handle.
#[derive(Clone)]
pub struct Mail(Arc<Inner>);

struct Inner {
    parts: MailParts,
    steady: Steady,
    ends: Vec<FarEnd>,
    wake: Notify,
}

/// Why nothing went out now; the next look tries again.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The database.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Mail {
    /// A supervisor that does nothing yet.
    #[must_use]
    pub fn new(parts: MailParts) -> Self {
        let ends = parts.carriers.iter().map(|carrier| FarEnd::new(Arc::clone(carrier))).collect();
        let steady = Steady::new(parts.clock.wall(), parts.clock.monotonic());
        Self(Arc::new(Inner { parts, steady, ends, wake: Notify::new() }))
    }

    /// Runs until it is dropped.
    pub async fn keep_sending(self) {
        let senders = (0..self.0.ends.len()).map(|at| self.keep_end(at));
        tokio::join!(self.keep_planning(), futures_util::future::join_all(senders));
    }

    /// Something was put into the outbox: it is looked at now.
    pub fn look(&self) {
        self.0.wake.notify_waiters();
    }

    async fn keep_planning(&self) {
        let (mut look, mut tidy) = (tokio::time::interval(LOOK), tokio::time::interval(TIDY));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = self.0.wake.notified() => self.plan().await.map(drop),
                _ = look.tick() => self.plan().await.map(drop),
                _ = tidy.tick() => self.tidy().await,
            };
            if let Err(error) = done {
                tracing::debug!(%error, "the outbox waits for the database");
            }
        }
    }

    async fn keep_end(&self, at: usize) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if let Err(error) = self.send(at).await {
                tracing::debug!(%error, "deliveries wait for the database");
            }
        }
    }

    /// Plans what is new and sends what is due, once. Gives how many deliveries were tried.
    ///
    /// # Errors
    /// The database.
    pub async fn step(&self) -> Result<usize, MailError> {
        self.plan().await?;
        let mut tried = 0;
        for at in 0..self.0.ends.len() {
            tried += self.send(at).await?;
        }
        self.tidy().await?;
        Ok(tried)
    }

    /// The far ends, each with how far a try without sending came.
    pub async fn probe(&self) -> Vec<(Channel, Option<String>, Result<String, CarryError>)> {
        let probes = self.0.ends.iter().map(|end| async {
            let found = tokio::time::timeout(PROBE, end.carrier.probe()).await;
            let found = found.unwrap_or_else(|_| Err(CarryError::Closed("no answer in time".to_owned())));
            (end.carrier.channel(), end.carrier.name().map(str::to_owned), found)
        });
        futures_util::future::join_all(probes).await
    }

    /// Whether mail goes out.
    #[must_use]
    pub fn mails(&self) -> bool {
        self.carries(Channel::Mail, "")
    }

    fn carries(&self, channel: Channel, target: &str) -> bool {
        self.0.ends.iter().any(|end| {
            end.carrier.channel() == channel && end.carrier.name().is_none_or(|name| name == target)
        })
    }

    /// The letter of an event as it would go out now; an example's without one.
    ///
    /// # Errors
    /// The database.
    pub async fn preview(&self, kind: EventKind, event: Option<Uuid>) -> Result<Option<Letter>, MailError> {
        let templates = self.0.parts.templates.of(kind);
        let sign_in = self.0.parts.sign_in.as_deref();
        let Some(id) = event else {
            let data = letter::example(kind);
            let (event, at) = (Uuid::nil(), self.0.parts.clock.wall());
            let told = Told { event, kind, subject: "example:1", data: &data, at, sign_in };
            return Ok(Some(letter::letter(&told, &templates)));
        };
        let found = self.0.parts.store.read(move |r| parcel::told(r, id)).await?;
        Ok(found.map(|facts| {
            let templates = self.0.parts.templates.of(facts.entry.kind);
            facts.letter(sign_in, &templates)
        }))
    }

    /// Parks what nobody carries any more, and says so when something waits too long.
    async fn tidy(&self) -> Result<(), MailError> {
        let store = &self.0.parts.store;
        let now = self.now();
        let due = self.due(None, now);
        let (orphans, oldest, alarm) = store
            .read(move |r| {
                let rows = outbox::due(r, &due, TOGETHER)?;
                Ok((rows, outbox::oldest_waiting(r)?, alarms::open(r, LATE, "outbox")?))
            })
            .await?;
        let orphans: Vec<Delivery> = orphans
            .into_iter()
            .map(|(row, _)| row)
            .filter(|row| !self.carries(row.channel, &row.target))
            .map(|row| Delivery {
                state: DeliveryState::Parked,
                cause: format!("no {} of this name is set up any more", row.channel),
                next_at: None,
                finished_at: Some(now),
                revision: row.revision + 1,
                ..row
            })
            .collect();
        let late = oldest.filter(|since| now.since(*since) > LATE_MS);
        if orphans.is_empty() && late.is_some() == alarm.is_some() {
            return Ok(());
        }
        store
            .write(move |tx| {
                for row in &orphans {
                    send::settle(tx, row)?;
                }
                match late {
                    Some(since) => {
                        let text = format!("something has waited since {since} to be told: `posternctl mail outbox --state waiting`");
                        alarms::raise(tx, Severity::Warning, LATE, "outbox", &text).map(drop)
                    }
                    None => alarms::clear(tx, LATE, "outbox", "nothing waits so long any more").map(drop),
                }
            })
            .await?;
        Ok(())
    }

    fn now(&self) -> UtcMillis {
        self.0.parts.clock.wall()
    }

    fn due(&self, channel: Option<(Channel, Option<String>)>, now: UtcMillis) -> Due {
        let rules = &self.0.parts.rules;
        Due {
            channel,
            by: now,
            beyond: now.plus(rules.longest_wait_ms.max(rules.lease_ms).saturating_mul(2)),
        }
    }
}
