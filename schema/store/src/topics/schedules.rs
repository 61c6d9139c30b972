//! The schedule of each device: the interval that it is held to, and what it was told of it.
//!
//! Promise: one row a device at most, written when its settings changed and when it answered, never for an idle
//! check-in. A device without a row is held to the default that the caller names.

use diesel::{
    OptionalExtension,
    prelude::*,
    sql_types::{BigInt, Nullable},
};
use postern_wire::terms::{EnrolmentId, EnrolmentState, OperationId, UtcMillis};

use crate::{
    column::{Db, db, row},
    conn::each,
    errors::StoreError,
    tables::{enrolments::dsl as e, schedules::dsl as t},
    tx::{Reader, Tx},
};

row! {
    /// One device's schedule.
    pub struct ScheduleRow in schedules {
        /// Whose.
        pub enrolment: EnrolmentId,
        /// The generation of the enrolment that it was told to.
        pub generation: i64,
        /// Seconds between connections that the device is held to.
        pub interval_s: i64,
        /// Seconds that it may be late on purpose.
        pub jitter_s: i64,
        /// The interval that the settings asked for when they were last compared.
        pub wanted_s: i64,
        /// The jitter that they asked for.
        pub wanted_jitter_s: i64,
        /// What it was told: `expected` (it knows no node for it), `ordered`, `acknowledged`, `refused`.
        pub told: String,
        /// The operation that told it.
        pub operation: Option<OperationId>,
        /// The status that it answered with.
        pub status: Option<i64>,
        /// When this was written.
        pub at: UtcMillis,
        /// When it acknowledged.
        pub acknowledged_at: Option<UtcMillis>,
    }
}

/// The schedule of a device.
pub fn find(r: &mut Reader, id: EnrolmentId) -> Result<Option<ScheduleRow>, StoreError> {
    Ok(each!(r.conn, c => t::schedules
        .filter(t::enrolment.eq(db(id)))
        .select(ScheduleRow::as_select())
        .get_result(c)
        .optional())?)
}

/// Writes a device's schedule in place of what was there.
pub fn put(tx: &mut Tx, row: ScheduleRow) -> Result<(), StoreError> {
    let id = row.enrolment;
    each!(tx.conn, c => {
        diesel::delete(t::schedules.filter(t::enrolment.eq(db(id)))).execute(c)?;
        diesel::insert_into(t::schedules).values(row).execute(c)
    })?;
    Ok(())
}

/// The device answered what `operation` told it: with success it is held to what was wanted from now on. An answer
/// to an operation that is not the newest changes nothing. Gives whether it changed something.
pub fn answered(
    tx: &mut Tx,
    id: EnrolmentId,
    operation: OperationId,
    success: bool,
    status: Option<i64>,
) -> Result<bool, StoreError> {
    let now = tx.now();
    let newest = t::schedules.filter(t::enrolment.eq(db(id))).filter(t::operation.eq(db(Some(operation))));
    let changed = if success {
        each!(tx.conn, c => diesel::update(newest)
            .set((
                t::told.eq("acknowledged"),
                t::interval_s.eq(t::wanted_s),
                t::jitter_s.eq(t::wanted_jitter_s),
                t::status.eq(status),
                t::acknowledged_at.eq(Some(now.0)),
            ))
            .execute(c))?
    } else {
        each!(tx.conn, c => diesel::update(newest)
            .set((t::told.eq("refused"), t::status.eq(status)))
            .execute(c))?
    };
    Ok(changed > 0)
}

/// What makes a device overdue, for the queries below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Now.
    pub now: UtcMillis,
    /// Milliseconds after the latest expected moment.
    pub grace_ms: i64,
    /// Interval and jitter, in seconds, of a device that has no row.
    pub default_s: i64,
}

diesel::define_sql_function! {
    /// The first of the two that is not null.
    fn coalesce(one: Nullable<BigInt>, other: BigInt) -> BigInt;
}

/// Neither retired nor seen within its interval, jitter and grace. One that was never seen counts from its enrolment.
macro_rules! late {
    ($rule:expr) => {
        e::enrolments
            .left_join(t::schedules.on(t::enrolment.eq(e::id)))
            .filter(e::state.ne(db(EnrolmentState::Retired)))
            .filter(
                (coalesce(e::last_seen_at, e::created_at)
                    + coalesce((t::interval_s + t::jitter_s).nullable(), $rule.default_s) * 1000_i64)
                    .lt($rule.now.0.saturating_sub($rule.grace_ms)),
            )
    };
}

/// A gateway's devices: those whose last session it carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfGateway {
    /// The gateway.
    pub gateway: String,
    /// Devices that came within the window and are not overdue.
    pub seen: i64,
    /// Devices that became overdue within the window and have not come since.
    pub silent: i64,
}

/// The devices of each gateway that came or fell silent within the last `window_ms`, in order of name.
pub fn by_gateway(r: &mut Reader, rule: Overdue, window_ms: i64) -> Result<Vec<OfGateway>, StoreError> {
    let since = rule.now.plus(-window_ms);
    let due = |at: i64| at.saturating_sub(rule.grace_ms);
    let (now, before) = (due(rule.now.0), due(since.0));
    let late_at = || {
        coalesce(e::last_seen_at, e::created_at)
            + coalesce((t::interval_s + t::jitter_s).nullable(), rule.default_s) * 1000_i64
    };
    macro_rules! counted {
        ($filter:expr) => {
            each!(r.conn, c => e::enrolments
                .left_join(t::schedules.on(t::enrolment.eq(e::id)))
                .filter(e::state.ne(db(EnrolmentState::Retired)))
                .filter(e::last_gateway.is_not_null())
                .filter($filter)
                .group_by(e::last_gateway)
                .select((e::last_gateway, diesel::dsl::count_star()))
                .load::<(Option<String>, i64)>(c))?
        };
    }
    let seen = counted!(e::last_seen_at.gt(since.0).and(late_at().ge(now)));
    let silent = counted!(late_at().lt(now).and(late_at().ge(before)));
    let mut all: std::collections::BTreeMap<String, OfGateway> = std::collections::BTreeMap::new();
    let mut of = |name: Option<String>, seen: i64, silent: i64| {
        let gateway = name.unwrap_or_default();
        let entry =
            all.entry(gateway.clone()).or_insert_with(|| OfGateway { gateway, ..OfGateway::default() });
        entry.seen += seen;
        entry.silent += silent;
    };
    seen.into_iter().for_each(|(name, count)| of(name, count, 0));
    silent.into_iter().for_each(|(name, count)| of(name, 0, count));
    Ok(all.into_values().collect())
}

/// How many devices are overdue.
pub fn count_overdue(r: &mut Reader, rule: Overdue) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => late!(rule).count().get_result(c))?)
}

/// Whether this device is.
pub fn is_overdue(r: &mut Reader, rule: Overdue, id: EnrolmentId) -> Result<bool, StoreError> {
    let count: i64 = each!(r.conn, c => late!(rule).filter(e::id.eq(db(id))).count().get_result(c))?;
    Ok(count > 0)
}

/// A page of the overdue devices in order of id, those after `after`.
pub fn overdue(
    r: &mut Reader,
    rule: Overdue,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let after = after.unwrap_or(EnrolmentId(uuid::Uuid::nil()));
    let rows: Vec<Db<EnrolmentId>> = each!(r.conn, c => late!(rule)
        .filter(e::id.gt(db(after)))
        .order(e::id)
        .limit(limit)
        .select(e::id)
        .load(c))?;
    rows.into_iter()
        .map(|id| EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string())))
        .collect()
}
