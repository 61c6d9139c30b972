//! Where an enrolment's life stands beside its state: by which door it came, how long it has been silent, whether it
//! is about to leave, and the renewal of its certificate.
//!
//! Promise: one row an enrolment, made with its first generation that needs one; an enrolment without a row came by
//! hand and nothing has happened to it. The words are those of the engine's enrolment rules.

use diesel::prelude::*;
use postern_wire::terms::{EnrolmentId, EnrolmentState, OperationId, UtcMillis};
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::{enrolments::dsl as e, lives::dsl as t},
    tx::{Reader, Tx},
};

row! {
    /// One life.
    pub struct Life in lives {
        /// Whose.
        pub enrolment: EnrolmentId,
        /// The generation that this is about.
        pub generation: i64,
        /// The door that it came by.
        pub door: String,
        /// The request that it came with.
        pub request: Option<Uuid>,
        /// `managed`, `quiet` or `stale`.
        pub standing: String,
        /// Since when.
        pub standing_since: UtcMillis,
        /// The enrolment that has the same hardware, of a quarantined one.
        pub twin: Option<EnrolmentId>,
        /// How far it is on its way out; none while it stays.
        pub leaving: Option<String>,
        /// Why.
        pub leaving_because: String,
        /// Who wanted it.
        pub leaving_by: String,
        /// The order to the device.
        pub leaving_operation: Option<OperationId>,
        /// Since when.
        pub leaving_at: Option<UtcMillis>,
        /// From when its certificate holds.
        pub certificate_from: Option<UtcMillis>,
        /// How far the renewal of its certificate is.
        pub renewal: String,
        /// The order to the device.
        pub renewal_operation: Option<OperationId>,
        /// Since when it is there.
        pub renewal_at: Option<UtcMillis>,
        /// How often it was begun.
        pub renewal_tries: i64,
        /// Why it is there.
        pub renewal_cause: String,
        /// The certificate that is on its way to the device: its serial number, lower-case hex.
        pub next_serial: Option<String>,
        /// SHA-256 of it.
        pub next_fingerprint: Option<[u8; 32]>,
        /// From when it holds.
        pub next_from: Option<UtcMillis>,
        /// Until when.
        pub next_until: Option<UtcMillis>,
        /// Counts its changes, from 1.
        pub revision: i64,
    }
}

impl Life {
    /// The life of an enrolment that has just come by this door.
    #[must_use]
    pub fn new(enrolment: EnrolmentId, generation: i64, door: &str, now: UtcMillis) -> Self {
        Self {
            enrolment,
            generation,
            door: door.to_owned(),
            request: None,
            standing: "managed".to_owned(),
            standing_since: now,
            twin: None,
            leaving: None,
            leaving_because: String::new(),
            leaving_by: String::new(),
            leaving_operation: None,
            leaving_at: None,
            certificate_from: None,
            renewal: "none".to_owned(),
            renewal_operation: None,
            renewal_at: None,
            renewal_tries: 0,
            renewal_cause: String::new(),
            next_serial: None,
            next_fingerprint: None,
            next_from: None,
            next_until: None,
            revision: 1,
        }
    }
}

/// The life of an enrolment, where it has a row.
pub fn find(r: &mut Reader, id: EnrolmentId) -> Result<Option<Life>, StoreError> {
    Ok(each!(r.conn, c => t::lives
        .filter(t::enrolment.eq(db(id)))
        .select(Life::as_select())
        .first(c)
        .optional())?)
}

/// Puts a life in the place of the one that was there.
pub fn put(tx: &mut Tx, life: Life) -> Result<(), StoreError> {
    each!(tx.conn, c => {
        diesel::delete(t::lives.filter(t::enrolment.eq(db(life.enrolment)))).execute(c)?;
        let row = Life { revision: life.revision + 1, ..life };
        diesel::insert_into(t::lives).values(row).execute(c)
    })?;
    Ok(())
}

/// Lives on their way out, in order of enrolment.
pub fn leaving(r: &mut Reader, after: Option<EnrolmentId>, limit: i64) -> Result<Vec<Life>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(Uuid::nil()));
    Ok(each!(r.conn, c => t::lives
        .filter(t::leaving.is_not_null())
        .filter(t::enrolment.gt(db(after)))
        .order(t::enrolment)
        .limit(limit)
        .select(Life::as_select())
        .load(c))?)
}

/// Lives whose renewal is at this step, in order of enrolment.
pub fn renewing(
    r: &mut Reader,
    step: &str,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<Life>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(Uuid::nil()));
    Ok(each!(r.conn, c => t::lives
        .filter(t::renewal.eq(step))
        .filter(t::enrolment.gt(db(after)))
        .order(t::enrolment)
        .limit(limit)
        .select(Life::as_select())
        .load(c))?)
}

/// Lives at this standing, in order of enrolment.
pub fn standing(
    r: &mut Reader,
    standing: &str,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<Life>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(Uuid::nil()));
    Ok(each!(r.conn, c => t::lives
        .filter(t::standing.eq(standing))
        .filter(t::enrolment.gt(db(after)))
        .order(t::enrolment)
        .limit(limit)
        .select(Life::as_select())
        .load(c))?)
}

/// Enrolments that are not retired and whose certificates end before this moment, in order of id.
pub fn certificates_ending(
    r: &mut Reader,
    before: UtcMillis,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(Uuid::nil()));
    let rows: Vec<crate::column::Db<EnrolmentId>> = each!(r.conn, c => e::enrolments
        .filter(e::state.ne(db(EnrolmentState::Retired)))
        .filter(e::certificate_not_after.lt(before.0).assume_not_null())
        .filter(e::id.gt(db(after)))
        .order(e::id)
        .limit(limit)
        .select(e::id)
        .load(c))?;
    ids(rows)
}

fn ids(rows: Vec<crate::column::Db<EnrolmentId>>) -> Result<Vec<EnrolmentId>, StoreError> {
    rows.into_iter()
        .map(|id| EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string())))
        .collect()
}

/// Forgets the life of an enrolment that is purged.
pub(crate) fn forget(tx: &mut Tx, id: EnrolmentId) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::delete(t::lives.filter(t::enrolment.eq(db(id)))).execute(c))?;
    Ok(())
}
