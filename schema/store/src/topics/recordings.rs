//! Recorded sessions: sealed transcripts for `session save`.
//!
//! Promise: so many for each device, so many in all, the oldest go first; nothing older than its time is kept.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{DmSessionId, EnrolmentId, UtcMillis};

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::recordings::dsl as t,
    tx::{Reader, Tx},
};

/// Recorded sessions of one device.
pub const PER_DEVICE: i64 = 20;
/// Recorded sessions of all devices.
pub const IN_ALL: i64 = 1000;

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

/// The recorded session with this id.
pub fn find(r: &mut Reader, session: DmSessionId) -> Result<Option<Recording>, StoreError> {
    Ok(each!(r.conn, c => t::recordings
        .filter(t::session.eq(db(session)))
        .select(Recording::as_select())
        .get_result(c)
        .optional())?)
}

/// The recorded sessions of a device, the newest first.
pub fn of(r: &mut Reader, id: EnrolmentId) -> Result<Vec<Recording>, StoreError> {
    Ok(each!(r.conn, c => t::recordings
        .filter(t::enrolment.eq(db(id)))
        .order((t::at.desc(), t::session.desc()))
        .limit(PER_DEVICE)
        .select(Recording::as_select())
        .load(c))?)
}

/// Keeps a recorded session; what is then too many goes, the oldest first. One that is there already is replaced.
pub fn keep(tx: &mut Tx, recording: Recording) -> Result<(), StoreError> {
    let (session, id) = (recording.session, recording.enrolment);
    each!(tx.conn, c => {
        diesel::delete(t::recordings.filter(t::session.eq(db(session)))).execute(c)?;
        diesel::insert_into(t::recordings).values(recording).execute(c)
    })?;
    let own: Vec<Vec<u8>> = each!(tx.conn, c => t::recordings
        .filter(t::enrolment.eq(db(id)))
        .order((t::at.desc(), t::session.desc()))
        .offset(PER_DEVICE)
        .limit(IN_ALL)
        .select(t::session)
        .load(c))?;
    let all: Vec<Vec<u8>> = each!(tx.conn, c => t::recordings
        .order((t::at.desc(), t::session.desc()))
        .offset(IN_ALL)
        .limit(IN_ALL)
        .select(t::session)
        .load(c))?;
    let surplus: Vec<Vec<u8>> = own.into_iter().chain(all).collect();
    if !surplus.is_empty() {
        each!(tx.conn, c => diesel::delete(t::recordings.filter(t::session.eq_any(surplus))).execute(c))?;
    }
    Ok(())
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
