//! What may be written later: last-seen times, session records, facts, refusals. Losing some in a crash costs a
//! repeat, never a command.
//!
//! Promise: bounded; one write for many devices; newer values take the place of older ones that still wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use postern_store::{
    Store, StoreError, Tx, WriteError, enrolments,
    enrolments::Seen,
    facts::{self, Fact},
    refusals::{self, Refusal as RefusalRow},
    sessions::{self, SessionRow},
};
use postern_wire::terms::{DmSessionId, EnrolmentId};
use tokio::sync::Notify;

use crate::device::PROFILES;

/// What waits to be written.
#[derive(Clone, Debug, Default)]
struct Batch {
    seen: HashMap<EnrolmentId, Seen>,
    nonces: HashMap<EnrolmentId, Vec<u8>>,
    sessions: HashMap<DmSessionId, SessionRow>,
    facts: HashMap<EnrolmentId, Vec<Fact>>,
    refusals: Vec<RefusalRow>,
}

/// The deferred writes of one core.
#[derive(Debug)]
pub(crate) struct Later {
    waiting: Mutex<Batch>,
    full: Notify,
    limit: usize,
}

/// One thing to be written later.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    Seen(Seen),
    ServerNonce(EnrolmentId, Vec<u8>),
    Session(SessionRow),
    Facts(EnrolmentId, Vec<Fact>),
    Refused(RefusalRow),
}

impl Later {
    /// Room for `limit` entries of each kind before a flush is asked for at once, and for four times as many
    /// before new ones are dropped.
    pub(crate) fn new(limit: usize) -> Self {
        Self { waiting: Mutex::default(), full: Notify::new(), limit: limit.max(1) }
    }

    pub(crate) fn add(&self, note: Note) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.add(note, self.limit.saturating_mul(4));
        if waiting.longest() >= self.limit {
            self.full.notify_one();
        }
    }

    /// How many last-seen times wait.
    pub(crate) fn unflushed(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).seen.len()
    }

    /// Waits until a flush is due before its time.
    pub(crate) async fn full(&self) {
        self.full.notified().await;
    }

    /// Writes what waits. What could not be written waits on, unless the write itself was at fault.
    pub(crate) async fn flush(&self, store: &Store) {
        let batch = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if batch.longest() == 0 {
            return;
        }
        let batch = Arc::new(batch);
        let written = {
            let batch = batch.clone();
            store.write(move |tx| batch.write(tx)).await
        };
        match written {
            Ok(()) => {}
            Err(WriteError::Rejected(cause)) => {
                tracing::error!(%cause, "deferred writes were rejected and are lost");
            }
            Err(cause) => {
                tracing::debug!(%cause, "deferred writes wait on");
                let batch = Arc::try_unwrap(batch).unwrap_or_else(|batch| (*batch).clone());
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let newer = std::mem::replace(&mut *waiting, batch);
                for note in newer.into_notes() {
                    waiting.add(note, self.limit.saturating_mul(4));
                }
            }
        }
    }
}

impl Batch {
    fn longest(&self) -> usize {
        [self.seen.len(), self.nonces.len(), self.sessions.len(), self.facts.len(), self.refusals.len()]
            .into_iter()
            .max()
            .unwrap_or(0)
    }

    fn add(&mut self, note: Note, limit: usize) {
        match note {
            Note::Seen(seen) => put(&mut self.seen, seen.id, seen, limit),
            Note::ServerNonce(id, nonce) => put(&mut self.nonces, id, nonce, limit),
            Note::Session(row) => put(&mut self.sessions, row.id, row, limit),
            Note::Facts(id, facts) => put(&mut self.facts, id, facts, limit),
            Note::Refused(row) => {
                if self.refusals.len() < limit {
                    self.refusals.push(row);
                }
            }
        }
    }

    fn into_notes(self) -> impl Iterator<Item = Note> {
        let Self { seen, nonces, sessions, facts, refusals } = self;
        (seen.into_values().map(Note::Seen))
            .chain(nonces.into_iter().map(|(id, nonce)| Note::ServerNonce(id, nonce)))
            .chain(sessions.into_values().map(Note::Session))
            .chain(facts.into_iter().map(|(id, facts)| Note::Facts(id, facts)))
            .chain(refusals.into_iter().map(Note::Refused))
    }

    fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        enrolments::seen(tx, self.seen.values())?;
        for (id, nonce) in &self.nonces {
            enrolments::set_server_nonce(tx, *id, Some(nonce))?;
        }
        sessions::record(tx, &self.sessions.values().collect::<Vec<_>>())?;
        facts::set(tx, self.facts.values().flatten())?;
        for facts in self.facts.values() {
            // Whoever tells DevInfo and matches no profile any longer is not held to one.
            let info = facts.iter().find(|fact| fact.key.starts_with("./DevInfo/"));
            if let Some(Fact { enrolment, .. }) = info
                && facts.iter().all(|fact| fact.key != PROFILES)
            {
                facts::remove(tx, *enrolment, PROFILES)?;
            }
        }
        if !self.refusals.is_empty() {
            refusals::record(tx, self.refusals.clone())?;
        }
        Ok(())
    }
}

fn put<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, value: V, limit: usize) {
    if map.len() < limit || map.contains_key(&key) {
        map.insert(key, value);
    }
}
