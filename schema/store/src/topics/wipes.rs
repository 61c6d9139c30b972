//! Wipes: one row for each that was ever asked for, and a row for each step of its life.
//!
//! Promise: a device has one outstanding wipe at most, by a unique index; a change is refused when the row was changed
//! since it was read; a step stands with the state that it made, in one transaction. Rows are never purged: whether a
//! lost device was wiped is asked years later.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{
    CommandId, DmSessionId, EnrolmentId, OperationId, ProofClass, UtcMillis, WipeEvidence, WipeKind,
    WipeState,
};
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::{wipe_steps::dsl as s, wipes::dsl as t},
    tx::{Reader, Tx},
};

row! {
    /// One wipe.
    pub struct Wipe in wipes {
        /// Its id (UUIDv7: in order of request).
        pub id: Uuid,
        /// The device.
        pub enrolment: EnrolmentId,
        /// Its generation: no other one gets this wipe.
        pub generation: i64,
        /// Its DevId then.
        pub device_id: String,
        /// Its route then.
        pub route: [u8; 16],
        /// Where it stands.
        pub state: WipeState,
        /// What it takes away.
        pub kind: WipeKind,
        /// How it is done, in the engine's word.
        pub way: String,
        /// The device as the request named it.
        pub asked_for: String,
        /// Why it was asked for.
        pub reason: String,
        /// The device is lost or stolen: its owner's mailbox may be in other hands too.
        pub lost: bool,
        /// Who asked, as the audit names them.
        pub requested_by: String,
        /// The admin who asked, where it was one.
        pub requester: Option<Uuid>,
        /// When.
        pub requested_at: UtcMillis,
        /// What was set then: the engine's settings as JSON.
        pub settings: String,
        /// The approval that it waited for.
        pub approval: Option<Uuid>,
        /// Since when it is armed.
        pub armed_at: Option<UtcMillis>,
        /// When it expires.
        pub expires_at: Option<UtcMillis>,
        /// When it is to be looked at next; never when absent.
        pub next_at: Option<UtcMillis>,
        /// The operation of the try that is under way.
        pub operation: Option<OperationId>,
        /// Its command that wipes.
        pub command: Option<CommandId>,
        /// Tries so far.
        pub tries: i64,
        /// When the device acknowledged the try that is under way.
        pub accepted_at: Option<UtcMillis>,
        /// When it came to its state, of one that is over.
        pub finished_at: Option<UtcMillis>,
        /// The device's status or result code, as it gave it.
        pub status: Option<i64>,
        /// What it was counted as done on.
        pub evidence: Option<WipeEvidence>,
        /// How strongly the device's word was proved.
        pub proof: Option<ProofClass>,
        /// Why it stands where it stands, in a few words.
        pub cause: String,
        /// Gateways that have not yet shown that they have the change of the blocked list: `wait`; none when none is waited for.
        pub perimeter: Option<String>,
        /// The first of the two persons who disarm it.
        pub disarm_by: Option<String>,
        /// What the request was, sealed: a row that nobody asked for is never carried out.
        pub mark: Vec<u8>,
        /// Counts its steps, from 1.
        pub revision: i64,
    }
}

row! {
    /// One step.
    pub struct WipeStep in wipe_steps {
        /// Of which wipe.
        pub wipe: Uuid,
        /// Which one, from 1.
        pub revision: i64,
        /// The state after it.
        pub state: WipeState,
        /// What happened.
        pub event: String,
        /// Why, in a few words.
        pub cause: String,
        /// Who brought it about, as the audit names them.
        pub actor: String,
        /// The device's status or result code.
        pub status: Option<i64>,
        /// The session in which it happened.
        pub session: Option<DmSessionId>,
        /// SHA-256 over the request and the reply in which it happened.
        pub exchange: Option<[u8; 32]>,
        /// The row of the audit log that was written with it.
        pub audit: i64,
        /// When.
        pub at: UtcMillis,
    }
}

/// What a list of wipes is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<WipeState>,
    /// Of this device, whatever its generation.
    pub enrolment: Option<EnrolmentId>,
    /// Outstanding ones only, or those that are over.
    pub outstanding: Option<bool>,
}

/// The wipe of this id.
pub fn find(r: &mut Reader, id: Uuid) -> Result<Option<Wipe>, StoreError> {
    Ok(each!(r.conn, c => t::wipes.filter(t::id.eq(db(id))).select(Wipe::as_select()).first(c).optional())?)
}

/// The outstanding wipe of a device.
pub fn outstanding(r: &mut Reader, enrolment: EnrolmentId) -> Result<Option<Wipe>, StoreError> {
    let open: Vec<&str> =
        WipeState::ALL.iter().filter(|state| state.is_outstanding()).map(|state| state.as_str()).collect();
    Ok(each!(r.conn, c => t::wipes
        .filter(t::enrolment.eq(db(enrolment)))
        .filter(t::state.eq_any(open))
        .select(Wipe::as_select())
        .first(c)
        .optional())?)
}

/// The wipe of which this operation is a try.
pub fn of_operation(r: &mut Reader, operation: OperationId) -> Result<Option<Wipe>, StoreError> {
    Ok(each!(r.conn, c => t::wipes
        .filter(t::operation.eq(db(Some(operation))))
        .select(Wipe::as_select())
        .first(c)
        .optional())?)
}

/// The wipes that wait for this approval, in order of id.
pub fn of_approval(r: &mut Reader, approval: Uuid) -> Result<Vec<Wipe>, StoreError> {
    Ok(each!(r.conn, c => t::wipes
        .filter(t::approval.eq(db(Some(approval))))
        .order(t::id)
        .select(Wipe::as_select())
        .load(c))?)
}

/// A page of wipes, the newest first, those before `before`.
pub fn list(
    r: &mut Reader,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Wipe>, StoreError> {
    let open: Vec<&str> =
        WipeState::ALL.iter().filter(|state| state.is_outstanding()).map(|state| state.as_str()).collect();
    Ok(each!(r.conn, c => {
        let mut query =
            t::wipes.into_boxed().order(t::id.desc()).limit(limit).select(Wipe::as_select());
        if let Some(before) = before {
            query = query.filter(t::id.lt(db(before)));
        }
        if let Some(state) = filter.state {
            query = query.filter(t::state.eq(db(state)));
        }
        if let Some(enrolment) = filter.enrolment {
            query = query.filter(t::enrolment.eq(db(enrolment)));
        }
        match filter.outstanding {
            Some(true) => query = query.filter(t::state.eq_any(open)),
            Some(false) => query = query.filter(t::state.ne_all(open)),
            None => {}
        }
        query.load(c)
    })?)
}

/// Wipes that are to be looked at by `now`, the longest due first.
pub fn due(r: &mut Reader, now: UtcMillis, limit: i64) -> Result<Vec<Wipe>, StoreError> {
    Ok(each!(r.conn, c => t::wipes
        .filter(t::next_at.le(now.0).assume_not_null())
        .order((t::next_at, t::id))
        .limit(limit)
        .select(Wipe::as_select())
        .load(c))?)
}

/// How many wipes are in a state.
pub fn count(r: &mut Reader, state: WipeState) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => t::wipes.filter(t::state.eq(db(state))).count().get_result(c))?)
}

/// The steps of a wipe, the first first.
pub fn steps(r: &mut Reader, wipe: Uuid) -> Result<Vec<WipeStep>, StoreError> {
    Ok(each!(r.conn, c => s::wipe_steps
        .filter(s::wipe.eq(db(wipe)))
        .order(s::revision)
        .select(WipeStep::as_select())
        .load(c))?)
}

/// Adds a wipe with its first step. `Conflict` when the device has one outstanding.
pub fn insert(tx: &mut Tx, wipe: Wipe, step: WipeStep) -> Result<(), StoreError> {
    if wipe.state.is_outstanding()
        && let Some(other) = outstanding(tx, wipe.enrolment)?
    {
        return Err(StoreError::Conflict(format!("the wipe {} of this device is {}", other.id, other.state)));
    }
    each!(tx.conn, c => diesel::insert_into(t::wipes).values(wipe).execute(c))?;
    add_step(tx, step)
}

/// Writes what has become of a wipe that was read at `wipe.revision`, with its step. `Conflict` when it changed since.
/// Gives its new revision.
pub fn update(tx: &mut Tx, wipe: Wipe, step: WipeStep) -> Result<i64, StoreError> {
    let read = wipe.revision;
    let wipe = Wipe { revision: read + 1, ..wipe };
    put(tx, read, wipe)?;
    add_step(tx, WipeStep { revision: read + 1, ..step })?;
    Ok(read + 1)
}

/// Writes when a wipe is to be looked at next, and what is waited for; no step of its life.
pub fn defer(tx: &mut Tx, id: Uuid, revision: i64, next_at: Option<UtcMillis>) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::update(
        t::wipes.filter(t::id.eq(db(id))).filter(t::revision.eq(revision)),
    )
    .set(t::next_at.eq(db(next_at)))
    .execute(c))?;
    Ok(())
}

fn put(tx: &mut Tx, read: i64, wipe: Wipe) -> Result<(), StoreError> {
    let (id, enrolment) = (wipe.id, wipe.enrolment);
    if wipe.state.is_outstanding()
        && let Some(other) = outstanding(tx, enrolment)?.filter(|other| other.id != id)
    {
        return Err(StoreError::Conflict(format!("the wipe {} of this device is {}", other.id, other.state)));
    }
    let gone = each!(tx.conn, c => diesel::delete(
        t::wipes.filter(t::id.eq(db(id))).filter(t::revision.eq(read)),
    )
    .execute(c))?;
    if gone != 1 {
        return Err(StoreError::Conflict(format!("wipe {id} is not at revision {read}")));
    }
    each!(tx.conn, c => diesel::insert_into(t::wipes).values(wipe).execute(c))?;
    Ok(())
}

fn add_step(tx: &mut Tx, step: WipeStep) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(s::wipe_steps).values(step).execute(c))?;
    Ok(())
}
