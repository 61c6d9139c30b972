//! The enrolment log: each attempt to enrol, and how it ended, with its reason.
//!
//! Promise: bounded in all: somebody who only knocks cannot fill the disk (equal knocks are counted together by who
//! writes them).

use diesel::prelude::*;
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::enrolment_attempts::dsl as t,
    tx::{Reader, Tx},
};

/// Kept in all.
pub const KEEP_ALL: i64 = 100_000;

row! {
    /// One attempt, or several equal ones.
    pub struct Attempt in enrolment_attempts {
        /// Its id.
        pub id: Uuid,
        /// When, the last time.
        pub at: UtcMillis,
        /// The request that it named, where there is such a one.
        pub request: Option<Uuid>,
        /// The door that it came by.
        pub door: String,
        /// How far it had come.
        pub step: String,
        /// `ok` or `refused`.
        pub outcome: String,
        /// The reason's slug; empty when all went well.
        pub reason: String,
        /// What there is to say of it.
        pub detail: String,
        /// From which address.
        pub source: String,
        /// Through which gateway.
        pub gateway: String,
        /// The enrolment that came of it.
        pub enrolment: Option<EnrolmentId>,
        /// How often.
        pub count: i64,
    }
}

/// A page of the log, the newest first, those before `before`; of one request when it is named.
pub fn list(
    r: &mut Reader,
    request: Option<Uuid>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Attempt>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = t::enrolment_attempts
            .into_boxed()
            .order(t::id.desc())
            .limit(limit)
            .select(Attempt::as_select());
        if let Some(before) = before {
            query = query.filter(t::id.lt(db(before)));
        }
        if request.is_some() {
            query = query.filter(t::request.eq(db(request)));
        }
        query.load(c)
    })?)
}

/// Keeps attempts.
pub fn insert(tx: &mut Tx, attempts: Vec<Attempt>) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::enrolment_attempts).values(attempts).execute(c))?;
    Ok(())
}

/// Forgets attempts before this moment, and the oldest beyond [`KEEP_ALL`]; at most `limit` of them.
pub fn purge(tx: &mut Tx, before: UtcMillis, limit: i64) -> Result<usize, StoreError> {
    let total: i64 = each!(tx.conn, c => t::enrolment_attempts.count().get_result(c))?;
    let beyond = (total - KEEP_ALL).clamp(0, limit);
    let old: Vec<Vec<u8>> = each!(tx.conn, c => t::enrolment_attempts
        .filter(t::at.lt(before.0))
        .limit(limit)
        .select(t::id)
        .load(c))?;
    let first: Vec<Vec<u8>> = each!(tx.conn, c => t::enrolment_attempts
        .order(t::id)
        .limit(beyond)
        .select(t::id)
        .load(c))?;
    let gone: Vec<Vec<u8>> = old.into_iter().chain(first).collect();
    if gone.is_empty() {
        return Ok(0);
    }
    Ok(each!(tx.conn, c =>
        diesel::delete(t::enrolment_attempts.filter(t::id.eq_any(gone))).execute(c))?)
}
