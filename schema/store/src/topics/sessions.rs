//! Management sessions that were held, for people who ask later. Written in batches after the answer.

use diesel::prelude::*;
use postern_wire::terms::{DmSessionId, EnrolmentId, ProofClass, UtcMillis};

use crate::{
    column::{db, row},
    conn::{
        Conn, each,
        kept::{Kept, Value, text},
    },
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

/// A session that is there already is brought up to date.
const RECORD: &str = "INSERT INTO sessions (id, enrolment, session_id, opened_at, closed_at, outcome, proof, \
    dm_version, source, gateway, messages, commands) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
    ON CONFLICT (id) DO UPDATE SET closed_at = excluded.closed_at, outcome = excluded.outcome, \
    proof = excluded.proof, messages = excluded.messages, commands = excluded.commands";

const RECORD_ALL: &str = "INSERT INTO sessions (id, enrolment, session_id, opened_at, closed_at, outcome, proof, \
    dm_version, source, gateway, messages, commands) SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
    ON CONFLICT (id) DO UPDATE SET closed_at = excluded.closed_at, outcome = excluded.outcome, \
    proof = excluded.proof, messages = excluded.messages, commands = excluded.commands";

/// Writes sessions as they stand now, each of them once; one that is there already is brought up to date.
pub fn record(tx: &mut Tx, sessions: &[&SessionRow]) -> Result<(), StoreError> {
    if sessions.is_empty() {
        return Ok(());
    }
    match &mut tx.conn {
        Conn::Sqlite(c) => {
            for s in sessions {
                let values = vec![
                    Value::octets(s.id.0.as_bytes()),
                    Value::octets(s.enrolment.0.as_bytes()),
                    Value::text(&s.session_id),
                    Value::integer(s.opened_at.0),
                    Value::Integer(s.closed_at.map(|at| at.0)),
                    Value::maybe_text(s.outcome.as_deref()),
                    Value::text(s.proof.as_str()),
                    Value::text(&s.dm_version),
                    Value::maybe_text(s.source.as_deref()),
                    Value::maybe_text(s.gateway.as_deref()),
                    Value::integer(s.messages),
                    Value::integer(s.commands),
                ];
                Kept::<()>::new(RECORD, values).execute(c)?;
            }
        }
        Conn::Postgres(c) => {
            let words = |of: fn(&SessionRow) -> Option<&str>| {
                Value::TextColumn(sessions.iter().map(|s| of(s).map(text)).collect())
            };
            let numbers = |of: fn(&SessionRow) -> Option<i64>| {
                Value::IntegerColumn(sessions.iter().map(|s| of(s)).collect())
            };
            let values = vec![
                Value::OctetsColumn(sessions.iter().map(|s| Some(s.id.0.as_bytes().as_slice())).collect()),
                Value::OctetsColumn(
                    sessions.iter().map(|s| Some(s.enrolment.0.as_bytes().as_slice())).collect(),
                ),
                words(|s| Some(&s.session_id)),
                numbers(|s| Some(s.opened_at.0)),
                numbers(|s| s.closed_at.map(|at| at.0)),
                words(|s| s.outcome.as_deref()),
                words(|s| Some(s.proof.as_str())),
                words(|s| Some(&s.dm_version)),
                words(|s| s.source.as_deref()),
                words(|s| s.gateway.as_deref()),
                numbers(|s| Some(s.messages)),
                numbers(|s| Some(s.commands)),
            ];
            Kept::<()>::new(RECORD_ALL, values).execute(c)?;
        }
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
