//! What was destroyed, and by whom: one row for each device of each destructive operation that was let through. This is
//! what is counted; the rules are the engine's (`safety`), the judging is in `postern_actors::safety`, inside the
//! transaction that commits.
//!
//! Promise: a row is written before anything is done, and never changed but for its operation and its first sending.

use diesel::{OptionalExtension, dsl::count_star, prelude::*};
use postern_wire::terms::{EnrolmentId, EnrolmentState, OperationId, UtcMillis};
use uuid::Uuid;

use crate::{
    column::{Db, db, row},
    conn::{each, insert as insert_rows},
    errors::StoreError,
    tables::{destructive_acts::dsl as t, enrolments::dsl as e, safety_limits::dsl as l},
    tx::{Reader, Tx},
};

row! {
    /// One device of one destructive operation that was let through.
    pub struct DestructiveAct in destructive_acts {
        /// Its id.
        pub id: Uuid,
        /// The same for all devices of one request.
        pub admission: Uuid,
        /// The device.
        pub enrolment: EnrolmentId,
        /// Its generation then.
        pub generation: i64,
        /// What is done: the engine's `safety::Class`.
        pub class: String,
        /// Which admin, by name, whatever the token; none: a service.
        pub person: Option<String>,
        /// By which token.
        pub token: Option<Uuid>,
        /// When it was let through.
        pub at: UtcMillis,
        /// The operation that carries it out; none where it was done at once.
        pub operation: Option<OperationId>,
        /// The approval that let it through.
        pub approval: Option<Uuid>,
        /// Whether break-glass let it through.
        pub glass: bool,
        /// When it was sent first.
        pub sent_at: Option<UtcMillis>,
    }
}

row! {
    /// A limit that is not the built-in one.
    pub struct SetLimit in safety_limits {
        /// Its name: the engine's `safety::limits`.
        pub name: String,
        /// Its value.
        pub value: i64,
        /// Who set it.
        pub set_by: String,
        /// When.
        pub at: UtcMillis,
    }
}

/// Whose acts are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// One person's.
    Person(&'a str),
    /// All persons'.
    Persons,
    /// The services'.
    Services,
}

/// The devices that were hit after `since`, each once; what was approved or went by break-glass is left out.
pub fn hit(r: &mut Reader, whose: Whose<'_>, since: UtcMillis) -> Result<Vec<EnrolmentId>, StoreError> {
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => {
        let query = t::destructive_acts
            .filter(t::at.gt(since.0))
            .filter(t::approval.is_null())
            .filter(t::glass.eq(false))
            .select(t::enrolment)
            .distinct()
            .into_boxed();
        match whose {
            Whose::Person(name) => query.filter(t::person.eq(name.to_owned())).load(c),
            Whose::Persons => query.filter(t::person.is_not_null()).load(c),
            Whose::Services => query.filter(t::person.is_null()).load(c),
        }
    })?;
    ids.into_iter()
        .map(|id| EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string())))
        .collect()
}

/// Devices other than `but` to which something destructive of a person was sent after `since`; what was approved or went
/// by break-glass is left out.
pub fn sent_to(r: &mut Reader, since: UtcMillis, but: EnrolmentId) -> Result<u64, StoreError> {
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, c => t::destructive_acts
        .filter(t::sent_at.gt(since.0).assume_not_null())
        .filter(t::person.is_not_null())
        .filter(t::approval.is_null())
        .filter(t::glass.eq(false))
        .filter(t::enrolment.ne(db(but)))
        .select(t::enrolment)
        .distinct()
        .load(c))?;
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}

/// Devices of the fleet, the retired ones left out.
pub fn fleet(r: &mut Reader) -> Result<u64, StoreError> {
    let count: i64 = each!(r.conn, c => e::enrolments
        .filter(e::state.ne(db(EnrolmentState::Retired)))
        .select(count_star())
        .get_result(c))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// What let this operation hit this device.
pub fn of_operation(
    r: &mut Reader,
    operation: OperationId,
    enrolment: EnrolmentId,
) -> Result<Option<DestructiveAct>, StoreError> {
    Ok(each!(r.conn, c => t::destructive_acts
        .filter(t::operation.eq(db(Some(operation))))
        .filter(t::enrolment.eq(db(enrolment)))
        .order(t::id.desc())
        .limit(1)
        .select(DestructiveAct::as_select())
        .get_result(c)
        .optional())?)
}

/// The latest acts before `before` (by id), the newest first.
pub fn list(r: &mut Reader, before: Option<Uuid>, limit: i64) -> Result<Vec<DestructiveAct>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query =
            t::destructive_acts.into_boxed().order(t::id.desc()).limit(limit).select(DestructiveAct::as_select());
        if let Some(before) = before {
            query = query.filter(t::id.lt(db(before)));
        }
        query.load(c)
    })?)
}

/// The limits that were set, in order of name.
pub fn limits(r: &mut Reader) -> Result<Vec<SetLimit>, StoreError> {
    Ok(each!(r.conn, c => l::safety_limits.order(l::name).select(SetLimit::as_select()).load(c))?)
}

// --- writing

/// Adds what was let through.
pub fn insert(tx: &mut Tx, acts: Vec<DestructiveAct>) -> Result<(), StoreError> {
    insert_rows!(tx.conn, t::destructive_acts, acts)?;
    Ok(())
}

/// Names the operation that carries an admission out: for one device, or for all of it. Gives how many rows that were.
pub fn bind(
    tx: &mut Tx,
    admission: Uuid,
    device: Option<EnrolmentId>,
    operation: OperationId,
) -> Result<usize, StoreError> {
    Ok(match device {
        Some(device) => each!(tx.conn, c => diesel::update(
            t::destructive_acts.filter(t::admission.eq(db(admission))).filter(t::enrolment.eq(db(device))),
        )
        .set(t::operation.eq(db(Some(operation))))
        .execute(c))?,
        None => each!(tx.conn, c => diesel::update(
            t::destructive_acts.filter(t::admission.eq(db(admission))),
        )
        .set(t::operation.eq(db(Some(operation))))
        .execute(c))?,
    })
}

/// An act is sent for the first time.
pub fn sent(tx: &mut Tx, id: Uuid) -> Result<(), StoreError> {
    let now = tx.now();
    each!(tx.conn, c => diesel::update(
        t::destructive_acts.filter(t::id.eq(db(id))).filter(t::sent_at.is_null()),
    )
    .set(t::sent_at.eq(Some(now.0)))
    .execute(c))?;
    Ok(())
}

/// Sets limits; each takes the place of the one with its name.
pub fn set_limits(tx: &mut Tx, limits: Vec<SetLimit>) -> Result<(), StoreError> {
    for limit in limits {
        each!(tx.conn, c => {
            diesel::delete(l::safety_limits.filter(l::name.eq(limit.name.clone()))).execute(c)?;
            diesel::insert_into(l::safety_limits).values(limit.clone()).execute(c)
        })?;
    }
    Ok(())
}

/// Forgets acts older than `before`. Gives how many went.
pub fn purge(tx: &mut Tx, before: UtcMillis) -> Result<usize, StoreError> {
    Ok(each!(tx.conn, c => diesel::delete(t::destructive_acts.filter(t::at.lt(before.0))).execute(c))?)
}
