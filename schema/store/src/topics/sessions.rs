//! Management sessions that were held, for people who ask later. Written in batches after the answer.

use diesel::prelude::*;
use postern_wire::terms::{DmSessionId, EnrolmentId, ProofClass, UtcMillis};

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::sessions::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// One session.
    pub struct SessionRow in sessions {
        /// Our id of it.
        pub id: DmSessionId,
        /// Whose.
        pub enrolment: EnrolmentId,
        /// The device's SessionID.
        pub session_id: String,
        /// When its first message was accepted.
        pub opened_at: UtcMillis,
        /// When it ended, or was given up.
        pub closed_at: Option<UtcMillis>,
        /// How it ended: `completed`, `replaced`, `timed-out`, `aborted`, `refused: ...`.
        pub outcome: Option<String>,
        /// The strongest proof in it.
        pub proof: ProofClass,
        /// `1.1` or `1.2`.
        pub dm_version: String,
        /// The device's address, as the gateway saw it.
        pub source: Option<String>,
        /// The gateway.
        pub gateway: Option<String>,
        /// Messages received.
        pub messages: i64,
        /// Commands sent.
        pub commands: i64,
    }
}

/// The latest sessions of a device, newest first.
pub fn of(r: &mut Reader, id: EnrolmentId, limit: i64) -> Result<Vec<SessionRow>, StoreError> {
    Ok(each!(r.conn, c => t::sessions
        .filter(t::enrolment.eq(db(id)))
        .order((t::opened_at.desc(), t::id.desc()))
        .limit(limit)
        .select(SessionRow::as_select())
        .load(c))?)
}

/// Writes sessions as they stand now; one that is there already is brought up to date.
pub fn record(tx: &mut Tx, sessions: Vec<SessionRow>) -> Result<(), StoreError> {
    for s in sessions {
        each!(tx.conn, c => diesel::insert_into(t::sessions)
            .values(s.clone())
            .on_conflict(t::id)
            .do_update()
            .set((
                t::closed_at.eq(s.closed_at.map(|at| at.0)),
                t::outcome.eq(s.outcome.clone()),
                t::proof.eq(db(s.proof)),
                t::messages.eq(s.messages),
                t::commands.eq(s.commands),
            ))
            .execute(c))?;
    }
    Ok(())
}

/// Removes up to `limit` sessions opened before `before`. Gives how many went.
pub fn purge(tx: &mut Tx, before: UtcMillis, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<Vec<u8>> = each!(tx.conn, c => t::sessions
        .filter(t::opened_at.lt(before.0))
        .order(t::opened_at)
        .limit(limit)
        .select(t::id)
        .load(c))?;
    Ok(each!(tx.conn, c => diesel::delete(t::sessions.filter(t::id.eq_any(old))).execute(c))?)
}
