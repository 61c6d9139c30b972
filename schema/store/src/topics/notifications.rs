//! Notification jobs, their steps, and where each device is reached.
//!
//! Promise: a device has one open job at most; a job that was changed by somebody else in between is a conflict; each
//! change leaves a step.

use diesel::prelude::*;
use postern_wire::terms::{
    CommandState, DmSessionId, EnrolmentId, EnrolmentState, NotificationState, UtcMillis,
};
use uuid::Uuid;

use super::enrolments::one;
use crate::{
    column::{Db, db, row},
    conn::each,
    errors::StoreError,
    tables::{
        commands_pending::dsl as c, enrolments::dsl as e, notification_steps::dsl as s,
        notifications::dsl as t, push_addresses::dsl as a,
    },
    tx::{Reader, Tx},
};

row! {
    /// Where a device is reached when it holds no connection.
    pub struct PushAddress in push_addresses {
        /// Which device.
        pub enrolment: EnrolmentId,
        /// Its telephone number; none for a device that only listens.
        pub address: Option<String>,
        /// The bearer that is tried first.
        pub bearer: Option<String>,
        /// Since when.
        pub at: UtcMillis,
    }
}

row! {
    /// One job: package 0 to one device until a session answers it.
    pub struct Notification in notifications {
        /// Its id.
        pub id: Uuid,
        /// Whom.
        pub enrolment: EnrolmentId,
        /// The SessionID that is asked for, 1 to 0xFFFF.
        pub session_id: i64,
        /// Where it stands.
        pub state: NotificationState,
        /// The person that asked for it; none when commands did.
        pub asked_by: Option<String>,
        /// The only bearer that it may take.
        pub forced: Option<String>,
        /// It does not wait for others to join.
        pub urgent: bool,
        /// Its digest bears the default nonce, to resynchronise.
        pub resync: bool,
        /// The bearer of the last attempt.
        pub bearer: Option<String>,
        /// Attempts to hand it to a bearer.
        pub attempts: i64,
        /// Of these, taken by the bearer.
        pub handed: i64,
        /// Why it is where it is.
        pub cause: String,
        /// When it was made.
        pub created_at: UtcMillis,
        /// When something is to be done; none when it is over.
        pub next_at: Option<UtcMillis>,
        /// When it was last handed to a bearer.
        pub last_at: Option<UtcMillis>,
        /// When it is worth nothing any more.
        pub expires_at: UtcMillis,
        /// When it ended.
        pub finished_at: Option<UtcMillis>,
        /// The session that answered it.
        pub session: Option<DmSessionId>,
        /// Counts its changes, from 1.
        pub revision: i64,
    }
}

row! {
    /// One step in the life of a job.
    pub struct Step in notification_steps {
        /// Of which job.
        pub notification: Uuid,
        /// Its place, from 1: the job's revision after it.
        pub position: i64,
        /// Whose.
        pub enrolment: EnrolmentId,
        /// The state after it.
        pub state: NotificationState,
        /// The bearer that it is about.
        pub bearer: Option<String>,
        /// The bearer's name of the push.
        pub reference: Option<String>,
        /// What happened.
        pub cause: String,
        /// When.
        pub at: UtcMillis,
    }
}

/// What a step says beside what the job says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepNote {
    /// The bearer that it is about.
    pub bearer: Option<String>,
    /// The bearer's name of the push.
    pub reference: Option<String>,
}

/// Where a device is reached.
pub fn address(r: &mut Reader, id: EnrolmentId) -> Result<Option<PushAddress>, StoreError> {
    Ok(each!(r.conn, x => a::push_addresses
        .filter(a::enrolment.eq(db(id)))
        .select(PushAddress::as_select())
        .first(x)
        .optional())?)
}

/// Sets where a device is reached.
pub fn set_address(tx: &mut Tx, row: PushAddress) -> Result<(), StoreError> {
    each!(tx.conn, x => diesel::insert_into(a::push_addresses)
        .values(row.clone())
        .on_conflict(a::enrolment)
        .do_update()
        .set((a::address.eq(row.address.clone()), a::bearer.eq(row.bearer.clone()), a::at.eq(row.at.0)))
        .execute(x))?;
    Ok(())
}

/// Forgets where a device is reached. Whether it was known.
pub fn clear_address(tx: &mut Tx, id: EnrolmentId) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, x =>
        diesel::delete(a::push_addresses.filter(a::enrolment.eq(db(id)))).execute(x))?;
    Ok(gone > 0)
}

/// One job.
pub fn find(r: &mut Reader, id: Uuid) -> Result<Option<Notification>, StoreError> {
    Ok(each!(r.conn, x => t::notifications
        .filter(t::id.eq(db(id)))
        .select(Notification::as_select())
        .first(x)
        .optional())?)
}

/// The open job of a device.
pub fn open_of(r: &mut Reader, id: EnrolmentId) -> Result<Option<Notification>, StoreError> {
    Ok(each!(r.conn, x => t::notifications
        .filter(t::enrolment.eq(db(id)))
        .filter(t::finished_at.is_null())
        .select(Notification::as_select())
        .first(x)
        .optional())?)
}

/// The latest jobs of a device, newest first.
pub fn of(r: &mut Reader, id: EnrolmentId, limit: i64) -> Result<Vec<Notification>, StoreError> {
    Ok(each!(r.conn, x => t::notifications
        .filter(t::enrolment.eq(db(id)))
        .order((t::created_at.desc(), t::id.desc()))
        .limit(limit)
        .select(Notification::as_select())
        .load(x))?)
}

/// What happened to jobs of a device from `from` to `to`, in order; at most `limit` steps.
pub fn steps_between(
    r: &mut Reader,
    id: EnrolmentId,
    from: UtcMillis,
    to: UtcMillis,
    limit: i64,
) -> Result<Vec<Step>, StoreError> {
    Ok(each!(r.conn, x => s::notification_steps
        .filter(s::enrolment.eq(db(id)))
        .filter(s::at.ge(from.0))
        .filter(s::at.le(to.0))
        .order((s::at, s::notification, s::position))
        .limit(limit)
        .select(Step::as_select())
        .load(x))?)
}

/// The steps of one job, in order.
pub fn steps(r: &mut Reader, id: Uuid) -> Result<Vec<Step>, StoreError> {
    Ok(each!(r.conn, x => s::notification_steps
        .filter(s::notification.eq(db(id)))
        .order(s::position)
        .select(Step::as_select())
        .load(x))?)
}

/// The job that a bearer's report is about.
pub fn by_reference(
    r: &mut Reader,
    bearer: &str,
    reference: &str,
) -> Result<Option<Notification>, StoreError> {
    let ids: Vec<Db<Uuid>> = each!(r.conn, x => s::notification_steps
        .filter(s::bearer.eq(bearer))
        .filter(s::reference.eq(reference))
        .order(s::at.desc())
        .limit(1)
        .select(s::notification)
        .load(x))?;
    let Some(id) = ids.into_iter().next() else { return Ok(None) };
    let id = Uuid::try_from(id).map_err(|error| StoreError::Damaged(error.to_string()))?;
    find(r, id)
}

/// Open jobs on which something is to be done, the longest due first.
pub fn due(r: &mut Reader, now: UtcMillis, limit: i64) -> Result<Vec<Notification>, StoreError> {
    Ok(each!(r.conn, x => t::notifications
        .filter(t::finished_at.is_null())
        .filter(t::next_at.le(now.0))
        .order((t::next_at, t::id))
        .limit(limit)
        .select(Notification::as_select())
        .load(x))?)
}

/// The devices that have an open job.
pub fn open_ids(r: &mut Reader) -> Result<Vec<EnrolmentId>, StoreError> {
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, x => t::notifications
        .filter(t::finished_at.is_null())
        .select(t::enrolment)
        .load(x))?;
    ids.into_iter()
        .map(|id| EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string())))
        .collect()
}

/// Devices that have an address and a queued command which no job has taken up: what a core that died in between left
/// behind.
pub fn forgotten(r: &mut Reader, limit: i64) -> Result<Vec<EnrolmentId>, StoreError> {
    let ids: Vec<Db<EnrolmentId>> = each!(r.conn, x => a::push_addresses
        .inner_join(e::enrolments.on(e::id.eq(a::enrolment)))
        .filter(e::pending.gt(0))
        .filter(e::state.ne(EnrolmentState::Retired.as_str()))
        .filter(diesel::dsl::exists(
            c::commands_pending
                .filter(c::enrolment.eq(a::enrolment))
                .filter(c::state.eq(CommandState::Queued.as_str()))
                .filter(diesel::dsl::not(diesel::dsl::exists(
                    t::notifications
                        .filter(t::enrolment.eq(a::enrolment))
                        .filter(t::finished_at.is_null().or(t::finished_at.ge(c::created_at.nullable()))),
                ))),
        ))
        .order(a::enrolment)
        .limit(limit)
        .select(a::enrolment)
        .load(x))?;
    ids.into_iter()
        .map(|id| EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string())))
        .collect()
}

/// Queued commands of a device that were made after `since`.
pub fn queued_since(r: &mut Reader, id: EnrolmentId, since: UtcMillis) -> Result<i64, StoreError> {
    Ok(each!(r.conn, x => c::commands_pending
        .filter(c::enrolment.eq(db(id)))
        .filter(c::state.eq(CommandState::Queued.as_str()))
        .filter(c::created_at.gt(since.0))
        .count()
        .get_result(x))?)
}

/// Keeps a new job with its first step.
///
/// # Errors
/// [`StoreError::Conflict`] when the device has an open one.
pub fn insert(tx: &mut Tx, job: Notification) -> Result<(), StoreError> {
    if open_of(tx, job.enrolment)?.is_some() {
        return Err(StoreError::Conflict("the device has an open notification".to_owned()));
    }
    let step = step_of(&job, StepNote::default(), job.created_at);
    each!(tx.conn, x => diesel::insert_into(t::notifications).values(job.clone()).execute(x))?;
    add_step(tx, step)
}

/// Keeps a changed job, whose revision is one more than the stored one's, with the step that tells of it.
///
/// # Errors
/// [`StoreError::Conflict`] when it was changed in between.
pub fn change(tx: &mut Tx, job: &Notification, note: StepNote) -> Result<(), StoreError> {
    let now = tx.now();
    let step = step_of(job, note, now);
    let j = job.clone();
    let changed = each!(tx.conn, x => diesel::update(
        t::notifications.filter(t::id.eq(db(j.id))).filter(t::revision.eq(j.revision - 1)),
    )
    .set((
        t::state.eq(db(j.state)),
        t::forced.eq(j.forced.clone()),
        t::urgent.eq(j.urgent),
        t::resync.eq(j.resync),
        t::bearer.eq(j.bearer.clone()),
        t::attempts.eq(j.attempts),
        t::handed.eq(j.handed),
        t::cause.eq(db(j.cause.clone())),
        t::next_at.eq(j.next_at.map(|at| at.0)),
        t::last_at.eq(j.last_at.map(|at| at.0)),
        t::finished_at.eq(j.finished_at.map(|at| at.0)),
        t::session.eq(db(j.session)),
        t::revision.eq(j.revision),
    ))
    .execute(x))?;
    one(changed).map_err(|_| StoreError::Conflict("the notification was changed in between".to_owned()))?;
    add_step(tx, step)
}

fn step_of(job: &Notification, note: StepNote, at: UtcMillis) -> Step {
    Step {
        notification: job.id,
        position: job.revision,
        enrolment: job.enrolment,
        state: job.state,
        bearer: note.bearer,
        reference: note.reference,
        cause: job.cause.clone(),
        at,
    }
}

fn add_step(tx: &mut Tx, step: Step) -> Result<(), StoreError> {
    each!(tx.conn, x => diesel::insert_into(s::notification_steps).values(step.clone()).execute(x))?;
    Ok(())
}

/// Removes up to `limit` jobs that ended before `before`, with their steps. Gives how many went.
pub fn purge(tx: &mut Tx, before: UtcMillis, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<Vec<u8>> = each!(tx.conn, x => t::notifications
        .filter(t::finished_at.lt(before.0))
        .order(t::finished_at)
        .limit(limit)
        .select(t::id)
        .load(x))?;
    each!(tx.conn, x => diesel::delete(s::notification_steps.filter(s::notification.eq_any(old.clone())))
        .execute(x))?;
    Ok(each!(tx.conn, x => diesel::delete(t::notifications.filter(t::id.eq_any(old))).execute(x))?)
}

/// Forgets everything about a device.
pub(crate) fn forget(tx: &mut Tx, id: EnrolmentId) -> Result<(), StoreError> {
    each!(tx.conn, x => diesel::delete(s::notification_steps.filter(s::enrolment.eq(db(id)))).execute(x))?;
    each!(tx.conn, x => diesel::delete(t::notifications.filter(t::enrolment.eq(db(id)))).execute(x))?;
    clear_address(tx, id)?;
    Ok(())
}
