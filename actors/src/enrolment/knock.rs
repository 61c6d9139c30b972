//! Who knocks: the key that a code stands for, and the passwords that were wrong.
//!
//! Promise: a knock is answered before it is counted, and the same whether its code exists or not; equal knocks are
//! counted together, and what is held of them is bounded.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use postern_engine::enrolment::{
    Door,
    request::{self, Event, Step},
};
use postern_store::{
    StoreError, Tx,
    attempts::{self, Attempt},
    requests,
};
use postern_wire::{
    enrol::{Psk, RequestCode},
    terms::{EnrolmentId, RequestState},
};
use serde_json::json;

use super::{EnrolmentError, Enrolments, requests as made};
use crate::{
    AuditActor,
    orders::{Unwritten, audit},
};

/// Different knocks that are held until they are written; beyond them they are counted as one.
const HELD: usize = 2_048;

/// Somebody who proved nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Knock {
    /// The code that was named.
    pub code: Option<RequestCode>,
    /// How far it had come: `start` or `finish`.
    pub step: &'static str,
    /// Why it was refused.
    pub reason: &'static str,
    /// From which address.
    pub source: String,
    /// Through which gateway.
    pub gateway: String,
}

/// Knocks that wait to be counted.
#[derive(Debug, Default)]
pub(super) struct Knocks(Mutex<HashMap<Knock, i64>>);

impl Knocks {
    fn add(&self, knock: Knock) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= HELD && !held.contains_key(&knock) {
            let source = "many".to_owned();
            let all =
                Knock { code: None, reason: "enrolment-not-proved", source, gateway: String::new(), ..knock };
            *held.entry(all).or_default() += 1;
            return;
        }
        *held.entry(knock).or_default() += 1;
    }

    fn take(&self) -> Vec<(Knock, i64)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

impl Enrolments {
    /// The key of the request with this code; none where no device can come with it.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn key(&self, code: RequestCode) -> Result<Option<Psk>, EnrolmentError> {
        let shared = self.shared();
        let read = shared.store.look_up(move |r| requests::by_code(r, code.as_str())).await;
        let row = read.map_err(|error| EnrolmentError::Unavailable(error.to_string()))?;
        let Some(row) = row.filter(|row| request::proves(row.state)) else { return Ok(None) };
        let Some(sealed) = row.psk else { return Ok(None) };
        let open = shared.sealer.open(EnrolmentId(row.id), &sealed);
        let open = open.map_err(|error| EnrolmentError::Unavailable(error.to_string()))?;
        let octets = <[u8; 32]>::try_from(open.as_slice());
        let octets =
            octets.map_err(|_| EnrolmentError::Unavailable("a key has another length".to_owned()))?;
        Ok(Some(Psk::from_bytes(octets)))
    }

    /// Notes somebody who proved nothing; counted with the next look.
    pub fn knocked(&self, knock: Knock) {
        tracing::info!(
            cause = knock.reason,
            step = knock.step,
            source = %knock.source.escape_debug(),
            gateway = %knock.gateway.escape_debug(),
            "an enrolment was refused"
        );
        self.inner.knocks.add(knock);
    }
}

/// Counts what was held: with its request where there is one, and in the log.
pub(super) async fn count(enrolments: &Enrolments) -> Result<(), EnrolmentError> {
    let knocks = enrolments.inner.knocks.take();
    if knocks.is_empty() {
        return Ok(());
    }
    let shared = enrolments.shared();
    let rules = std::sync::Arc::clone(&enrolments.inner.parts.rules);
    let steady = enrolments.inner.devices.clock_is_steady();
    let written = shared.store.write(move |tx| {
        let most = rules.read(tx)?.wrong_passwords;
        let mut rows = Vec::with_capacity(knocks.len());
        for (knock, times) in &knocks {
            rows.push(one(tx, knock, *times, most, steady)?);
        }
        attempts::insert(tx, rows)
    });
    written.await.map_err(Unwritten::from)?;
    Ok(())
}

fn one(tx: &mut Tx, knock: &Knock, times: i64, most: i64, steady: bool) -> Result<Attempt, StoreError> {
    let now = tx.now();
    let row = match knock.code {
        Some(code) => requests::by_code(tx, code.as_str())?,
        None => None,
    };
    let request = row.as_ref().map(|row| row.id);
    if let Some(mut row) = row.filter(|_| knock.step == "start") {
        let mut changed = false;
        for _ in 0..times {
            let event = Event::WrongPassword { most };
            let Ok(step) = request::step(&made::seen(&row), event, now, steady) else { break };
            changed |= step != Step::Keep;
            if step == Step::Become(RequestState::Locked) {
                row.failures += 1;
                locked(tx, &row, knock)?;
            }
            made::take(&mut row, step, "service:enrolment", "too many wrong passwords", now);
        }
        if changed {
            row.last_failure_at = Some(now);
            row.last_failure_source = Some(knock.source.clone());
            requests::update(tx, &row)?;
        }
    }
    Ok(Attempt {
        id: tx.fresh_id(),
        at: now,
        request,
        door: Door::Air.as_str().to_owned(),
        step: knock.step.to_owned(),
        outcome: "refused".to_owned(),
        reason: knock.reason.to_owned(),
        detail: knock.code.map_or_else(String::new, |code| format!("code {code}")),
        source: knock.source.clone(),
        gateway: knock.gateway.clone(),
        enrolment: None,
        count: times,
    })
}

fn locked(tx: &mut Tx, row: &requests::Request, knock: &Knock) -> Result<(), StoreError> {
    let detail = json!({ "code": row.code, "failures": row.failures, "last_source": knock.source });
    let actor = AuditActor::service("enrolment");
    audit(tx, &actor, "enrolment.lock", format!("enrolment-request:{}", row.id), &detail)
}
