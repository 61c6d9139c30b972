//! What gateways refused, so that `why DEVICE` can answer. Bounded for each subject and in all: a port scanner
//! cannot fill the disk.

use diesel::prelude::*;
use postern_wire::terms::{EnrolmentId, UtcMillis};
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::refusals::dsl as t,
    tx::{Reader, Tx},
};

/// Kept for each subject.
pub const KEEP_EACH: i64 = 50;
/// Kept in all.
pub const KEEP_ALL: i64 = 20_000;

row! {
    /// One kind of refusal at one time (a gateway counts equal ones together).
    pub struct Refusal in refusals {
        /// Its id.
        pub id: Uuid,
        /// The device that it is about, when that is known.
        pub enrolment: Option<EnrolmentId>,
        /// What rows are bounded by: the enrolment's id, else the route hash, else the serial, else `-`.
        pub subject: String,
        /// Which gateway.
        pub gateway: String,
        /// The reason's slug.
        pub reason: String,
        /// The certificate's serial, lower-case hex.
        pub serial: Option<String>,
        /// The route's hash, hex.
        pub route: Option<String>,
        /// From which address.
        pub source: String,
        /// How often.
        pub count: i64,
        /// When, the last time.
        pub at: UtcMillis,
    }
}

/// The latest refusals about a subject, newest first.
pub fn of(r: &mut Reader, subject: &str, limit: i64) -> Result<Vec<Refusal>, StoreError> {
    Ok(each!(r.conn, c => t::refusals
        .filter(t::subject.eq(subject))
        .order((t::at.desc(), t::id.desc()))
        .limit(limit)
        .select(Refusal::as_select())
        .load(c))?)
}

/// The latest refusals of all, newest first.
pub fn list(r: &mut Reader, limit: i64) -> Result<Vec<Refusal>, StoreError> {
    Ok(each!(r.conn, c => t::refusals
        .order((t::at.desc(), t::id.desc()))
        .limit(limit)
        .select(Refusal::as_select())
        .load(c))?)
}

/// Keeps refusals, and lets the oldest of their subjects go beyond [`KEEP_EACH`] and [`KEEP_ALL`].
pub fn record(tx: &mut Tx, refusals: Vec<Refusal>) -> Result<(), StoreError> {
    /// 10 columns each.
    const CHUNK: usize = 1000;
    let mut subjects: Vec<String> = refusals.iter().map(|one| one.subject.clone()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let mut refusals = refusals;
    while !refusals.is_empty() {
        let rest = refusals.split_off(refusals.len().min(CHUNK));
        each!(tx.conn, c => diesel::insert_into(t::refusals).values(refusals).execute(c))?;
        refusals = rest;
    }
    for subject in subjects {
        let old: Vec<Vec<u8>> = each!(tx.conn, c => t::refusals
            .filter(t::subject.eq(&subject))
            .order((t::at.desc(), t::id.desc()))
            .offset(KEEP_EACH)
            .limit(KEEP_ALL)
            .select(t::id)
            .load(c))?;
        remove(tx, old)?;
    }
    let old: Vec<Vec<u8>> = each!(tx.conn, c => t::refusals
        .order((t::at.desc(), t::id.desc()))
        .offset(KEEP_ALL)
        .limit(KEEP_ALL)
        .select(t::id)
        .load(c))?;
    remove(tx, old)
}

/// Removes what is known about a device that is purged.
pub fn forget(tx: &mut Tx, id: EnrolmentId) -> Result<usize, StoreError> {
    Ok(each!(tx.conn, c => diesel::delete(t::refusals.filter(t::enrolment.eq(db(Some(id))))).execute(c))?)
}

fn remove(tx: &mut Tx, ids: Vec<Vec<u8>>) -> Result<(), StoreError> {
    if !ids.is_empty() {
        each!(tx.conn, c => diesel::delete(t::refusals.filter(t::id.eq_any(ids))).execute(c))?;
    }
    Ok(())
}
