//! Requests that somebody else has to agree to. The rules are the engine's (`safety::approval`).
//!
//! Promise: what was asked rests frozen with its hash; a decision is written in the transaction of what it does.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::approvals::dsl as t,
    tx::{Reader, Tx},
};

/// The spelling of the state of a request that nobody has decided.
pub const WAITING: &str = "waiting";
/// The spelling of the state of one that is agreed to and waits for the end of its cooling-off.
pub const COOLING: &str = "cooling";

/// The spelling of the state of one that is agreed to, and that who asked carries out.
pub const GRANTED: &str = "granted";

row! {
    /// One request.
    pub struct Approval in approvals {
        /// Its id.
        pub id: Uuid,
        /// What kind of thing is asked.
        pub kind: String,
        /// Where it stands: the engine's `safety::approval::State`.
        pub state: String,
        /// Which admin asks, by name.
        pub requester: String,
        /// By which token.
        pub token: Option<Uuid>,
        /// Why, in that person's words.
        pub reason: String,
        /// What exactly, as the hash covers it (JSON).
        pub content: String,
        /// The hash.
        pub hash: [u8; 32],
        /// How many devices.
        pub targets: i64,
        /// When it was asked.
        pub created_at: UtcMillis,
        /// Until when it may be decided.
        pub expires_at: UtcMillis,
        /// How long it waits once it is agreed to, in milliseconds.
        pub cooling_ms: i64,
        /// From when on who asked may give it, where nobody else may.
        pub alone_from: Option<UtcMillis>,
        /// When it was agreed to.
        pub agreed_at: Option<UtcMillis>,
        /// By whom.
        pub agreed_by: Option<String>,
        /// When it ended.
        pub decided_at: Option<UtcMillis>,
        /// By whom.
        pub decided_by: Option<String>,
        /// Why it stands so.
        pub because: String,
        /// Grows with each change.
        pub revision: i64,
    }
}

/// The request with this id.
pub fn find(r: &mut Reader, id: Uuid) -> Result<Option<Approval>, StoreError> {
    Ok(each!(r.conn, c => t::approvals
        .filter(t::id.eq(db(id)))
        .select(Approval::as_select())
        .get_result(c)
        .optional())?)
}

/// The open request of this person for exactly this.
pub fn same(r: &mut Reader, requester: &str, hash: [u8; 32]) -> Result<Option<Approval>, StoreError> {
    Ok(each!(r.conn, c => t::approvals
        .filter(t::state.eq_any([WAITING, COOLING]))
        .filter(t::requester.eq(requester))
        .filter(t::hash.eq(db(hash)))
        .order(t::id)
        .limit(1)
        .select(Approval::as_select())
        .get_result(c)
        .optional())?)
}

/// The request of this person for exactly this, where it is agreed to and not carried out yet.
pub fn granted(r: &mut Reader, requester: &str, hash: [u8; 32]) -> Result<Option<Approval>, StoreError> {
    Ok(each!(r.conn, c => t::approvals
        .filter(t::state.eq(GRANTED))
        .filter(t::requester.eq(requester))
        .filter(t::hash.eq(db(hash)))
        .order(t::id)
        .limit(1)
        .select(Approval::as_select())
        .get_result(c)
        .optional())?)
}

/// Requests before `before` (by id), the newest first; only those in `state` where it is given.
pub fn list(
    r: &mut Reader,
    state: Option<&str>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Approval>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = t::approvals.into_boxed().order(t::id.desc()).limit(limit).select(Approval::as_select());
        if let Some(state) = state {
            query = query.filter(t::state.eq(state.to_owned()));
        }
        if let Some(before) = before {
            query = query.filter(t::id.lt(db(before)));
        }
        query.load(c)
    })?)
}

/// Requests that may still be decided or carried out, the oldest first.
pub fn open(r: &mut Reader, limit: i64) -> Result<Vec<Approval>, StoreError> {
    Ok(each!(r.conn, c => t::approvals
        .filter(t::state.eq_any([WAITING, COOLING, GRANTED]))
        .order(t::id)
        .limit(limit)
        .select(Approval::as_select())
        .load(c))?)
}

/// How many requests of this person are open.
pub fn open_of(r: &mut Reader, requester: &str) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => t::approvals
        .filter(t::state.eq_any([WAITING, COOLING]))
        .filter(t::requester.eq(requester))
        .count()
        .get_result(c))?)
}

/// Adds a request.
pub fn insert(tx: &mut Tx, approval: Approval) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::approvals).values(approval).execute(c))?;
    Ok(())
}

/// Moves a request on. `Conflict` where it changed since it was read.
pub fn set(tx: &mut Tx, approval: &Approval) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(
        t::approvals.filter(t::id.eq(db(approval.id))).filter(t::revision.eq(approval.revision)),
    )
    .set((
        t::state.eq(approval.state.clone()),
        t::agreed_at.eq(approval.agreed_at.map(|at| at.0)),
        t::agreed_by.eq(approval.agreed_by.clone()),
        t::decided_at.eq(approval.decided_at.map(|at| at.0)),
        t::decided_by.eq(approval.decided_by.clone()),
        t::because.eq(db(approval.because.clone())),
        t::revision.eq(approval.revision + 1),
    ))
    .execute(c))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict("the request changed meanwhile".to_owned())) }
}

/// Forgets requests that ended before `before`. Gives how many went.
pub fn purge(tx: &mut Tx, before: UtcMillis) -> Result<usize, StoreError> {
    Ok(each!(tx.conn, c => diesel::delete(
        t::approvals.filter(t::decided_at.lt(before.0).assume_not_null()),
    )
    .execute(c))?)
}
