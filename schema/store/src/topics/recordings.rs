//! Recorded sessions: sealed transcripts for `session save`, and whose next sessions are to be recorded.
//!
//! Promise: so many for each device, so many in all, the oldest go first; nothing older than its time is kept. An order
//! to record outlives a restart, and ends by itself.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{DmSessionId, EnrolmentId, UtcMillis};

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::{recording_orders::dsl as o, recordings::dsl as t},
    tx::{Reader, Tx},
};

/// Recorded sessions of one device.
pub const PER_DEVICE: i64 = 20;
/// Recorded sessions of all devices.
pub const IN_ALL: i64 = 1000;
/// Octets of the transcripts of one device.
pub const OCTETS_PER_DEVICE: i64 = 32 << 20;
/// Octets of all transcripts.
pub const OCTETS_IN_ALL: i64 = 512 << 20;
/// Devices whose next sessions may be waited for at a time.
pub const ORDERS: i64 = 64;

row! {
    /// One recorded session.
    pub struct Recording in recordings {
        /// The session.
        pub session: DmSessionId,
        /// Whose.
        pub enrolment: EnrolmentId,
        /// When it ended.
        pub at: UtcMillis,
        /// The size of `content` before it was sealed.
        pub octets: i64,
        /// Messages of the device in it.
        pub messages: i64,
        /// The transcript, sealed for the enrolment.
        pub content: Vec<u8>,
    }
}

row! {
    /// The next sessions of a device are to be recorded.
    pub struct RecordingOrder in recording_orders {
        /// Whose.
        pub enrolment: EnrolmentId,
        /// How many more.
        pub sessions: i64,
        /// Who asked.
        pub asked_by: String,
        /// When.
        pub at: UtcMillis,
        /// When nobody waits for them any longer.
        pub until: UtcMillis,
    }
}

/// A recorded session without its transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingHead {
    /// The session.
    pub session: DmSessionId,
    /// When it ended.
    pub at: UtcMillis,
    /// The size of its transcript.
    pub octets: i64,
    /// Messages of the device in it.
    pub messages: i64,
}

/// The orders that still stand at `now`.
pub fn orders(r: &mut Reader, now: UtcMillis) -> Result<Vec<RecordingOrder>, StoreError> {
    Ok(each!(r.conn, c => o::recording_orders
        .filter(o::until.gt(now.0))
        .order(o::at)
        .limit(ORDERS)
        .select(RecordingOrder::as_select())
        .load(c))?)
}

/// Puts an order in the place of the device's last; one for no session takes it back. `Refused` when there are [`ORDERS`].
pub fn order(tx: &mut Tx, order: RecordingOrder) -> Result<(), StoreError> {
    let (id, now) = (order.enrolment, tx.now());
    each!(tx.conn, c => diesel::delete(
        o::recording_orders.filter(o::enrolment.eq(db(id)).or(o::until.le(now.0))),
    )
    .execute(c))?;
    if order.sessions <= 0 {
        return Ok(());
    }
    let count: i64 = each!(tx.conn, c => o::recording_orders.count().get_result(c))?;
    if count >= ORDERS {
        return Err(StoreError::Refused(format!(
            "sessions of {count} devices are waited for, {ORDERS} is the limit"
        )));
    }
    each!(tx.conn, c => diesel::insert_into(o::recording_orders).values(order).execute(c))?;
    Ok(())
}

/// A session of the device was recorded: one fewer is waited for. Gives how many more.
pub fn recorded(tx: &mut Tx, id: EnrolmentId) -> Result<i64, StoreError> {
    let row: Option<RecordingOrder> = each!(tx.conn, c => o::recording_orders
        .filter(o::enrolment.eq(db(id)))
        .select(RecordingOrder::as_select())
        .first(c)
        .optional())?;
    let Some(row) = row else { return Ok(0) };
    let left = row.sessions - 1;
    order(tx, RecordingOrder { sessions: left, ..row })?;
    Ok(left)
}

/// What is kept of a device, the newest first.
pub fn heads(r: &mut Reader, id: EnrolmentId) -> Result<Vec<RecordingHead>, StoreError> {
    let rows: Vec<(Vec<u8>, i64, i64, i64)> = each!(r.conn, c => t::recordings
        .filter(t::enrolment.eq(db(id)))
        .order((t::at.desc(), t::session.desc()))
        .limit(PER_DEVICE)
        .select((t::session, t::at, t::octets, t::messages))
        .load(c))?;
    rows.into_iter()
        .map(|(session, at, octets, messages)| {
            let id = uuid::Uuid::from_slice(&session);
            let session = DmSessionId(id.map_err(|error| StoreError::Database(error.to_string()))?);
            Ok(RecordingHead { session, at: UtcMillis(at), octets, messages })
        })
        .collect()
}

/// Removes a recorded session of a device.
pub fn forget(tx: &mut Tx, id: EnrolmentId, session: DmSessionId) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        t::recordings.filter(t::session.eq(db(session))).filter(t::enrolment.eq(db(id))),
    )
    .execute(c))?;
    Ok(gone > 0)
}

/// The recorded session with this id.
pub fn find(r: &mut Reader, session: DmSessionId) -> Result<Option<Recording>, StoreError> {
    Ok(each!(r.conn, c => t::recordings
        .filter(t::session.eq(db(session)))
        .select(Recording::as_select())
        .get_result(c)
        .optional())?)
}

/// Keeps a recorded session; what is then too many goes, the oldest first. One that is there already is replaced.
pub fn keep(tx: &mut Tx, recording: Recording) -> Result<(), StoreError> {
    let (session, id) = (recording.session, recording.enrolment);
    each!(tx.conn, c => {
        diesel::delete(t::recordings.filter(t::session.eq(db(session)))).execute(c)?;
        diesel::insert_into(t::recordings).values(recording).execute(c)
    })?;
    let own: Vec<(Vec<u8>, i64)> = each!(tx.conn, c => t::recordings
        .filter(t::enrolment.eq(db(id)))
        .order((t::at.desc(), t::session.desc()))
        .select((t::session, t::octets))
        .load(c))?;
    let all: Vec<(Vec<u8>, i64)> = each!(tx.conn, c => t::recordings
        .order((t::at.desc(), t::session.desc()))
        .select((t::session, t::octets))
        .load(c))?;
    let mut surplus = beyond(own, PER_DEVICE, OCTETS_PER_DEVICE);
    surplus.extend(beyond(all, IN_ALL, OCTETS_IN_ALL));
    if !surplus.is_empty() {
        each!(tx.conn, c => diesel::delete(t::recordings.filter(t::session.eq_any(surplus))).execute(c))?;
    }
    Ok(())
}

/// What is more than `most`, or than so many octets; the newest one stays whatever its size.
fn beyond(rows: Vec<(Vec<u8>, i64)>, most: i64, octets: i64) -> Vec<Vec<u8>> {
    let mut sum = 0_i64;
    let place = |(place, (session, size)): (i64, (Vec<u8>, i64))| {
        sum = sum.saturating_add(size);
        (place > 0 && (place >= most || sum > octets)).then_some(session)
    };
    (0..).zip(rows).filter_map(place).collect()
}

/// Removes up to `limit` recordings older than `before`. Gives how many went.
pub fn purge(tx: &mut Tx, before: UtcMillis, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<Vec<u8>> = each!(tx.conn, c => t::recordings
        .filter(t::at.lt(before.0))
        .order(t::at)
        .limit(limit)
        .select(t::session)
        .load(c))?;
    Ok(each!(tx.conn, c => diesel::delete(t::recordings.filter(t::session.eq_any(old))).execute(c))?)
}
