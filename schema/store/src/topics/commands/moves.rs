//! What moves commands through their lives with every session, in statements that stay prepared ([`Kept`]).
//!
//! PostgreSQL does each move in one statement and one round trip: rows, timeline and counts together. SQLite, which
//! changes rows in no `WITH`, does it command by command; there a statement costs microseconds.

use std::collections::BTreeMap;

use diesel::{
    OptionalExtension, RunQueryDsl,
    sql_types::{BigInt, Binary, Nullable},
};
use postern_wire::terms::{CommandId, CommandState, DmSessionId, EnrolmentId, UtcMillis};

use super::Finish;
use crate::{
    column::Column,
    conn::{
        Conn,
        kept::{Kept, Value, text},
    },
    errors::StoreError,
    topics::{enrolments, timeline},
    tx::Tx,
};

/// A step that many pending commands take at once.
pub(super) struct Together<'a> {
    pub(super) state: CommandState,
    pub(super) cause: &'a str,
    /// Session and place in it, of commands that are sent.
    pub(super) place: Option<(DmSessionId, &'a str)>,
}

const SEND: &str = "UPDATE commands_pending SET state = 'sent', cause = ?, session = ?, reference = ?, \
    accepted_at = NULL, sent_at = ?, attempts = attempts + 1, revision = revision + 1 WHERE id = ? RETURNING revision";

const REQUEUE: &str = "UPDATE commands_pending SET state = 'queued', cause = ?, revision = revision + 1 \
    WHERE id = ? RETURNING revision";

const SEND_ALL: &str = "WITH moved AS (\
    UPDATE commands_pending SET state = 'sent', cause = ?, session = ?, reference = ?, accepted_at = NULL, \
        sent_at = ?, attempts = attempts + 1, revision = revision + 1 WHERE id = ANY(?) RETURNING id, revision), \
    lines AS (INSERT INTO timeline (command, revision, state, cause, session, at) \
        SELECT id, revision, 'sent', ?, ?, ? FROM moved) \
    SELECT id FROM moved";

const REQUEUE_ALL: &str = "WITH moved AS (\
    UPDATE commands_pending SET state = 'queued', cause = ?, revision = revision + 1 WHERE id = ANY(?) \
        RETURNING id, revision), \
    lines AS (INSERT INTO timeline (command, revision, state, cause, session, at) \
        SELECT id, revision, 'queued', ?, NULL, ? FROM moved) \
    SELECT id FROM moved";

/// Takes a step with the commands of `ids` that are pending, and gives these.
pub(super) fn step(
    tx: &mut Tx,
    ids: &[CommandId],
    step: &Together<'_>,
) -> Result<Vec<CommandId>, StoreError> {
    let now = tx.now();
    let session = step.place.map(|(session, _)| session);
    let place = || {
        let (session, reference) = step.place.as_ref()?;
        Some((Value::octets(session.0.as_bytes()), Value::text(reference)))
    };
    let c = match &mut tx.conn {
        Conn::Postgres(c) => {
            let keys = ids.iter().map(|id| Some(id.0.as_bytes().as_slice())).collect();
            let keys = Value::OctetsColumn(keys);
            let (cause, again) = (Value::text(step.cause), Value::text(step.cause));
            let statement = match place() {
                Some((session, reference)) => {
                    let told = Value::Octets(step.place.as_ref().map(|(id, _)| id.0.as_bytes().as_slice()));
                    let (sent_at, at) = (Value::integer(now.0), Value::integer(now.0));
                    Kept::<Binary>::new(
                        SEND_ALL,
                        vec![cause, session, reference, sent_at, keys, again, told, at],
                    )
                }
                None => Kept::new(REQUEUE_ALL, vec![cause, keys, again, Value::integer(now.0)]),
            };
            let moved: Vec<Vec<u8>> = statement.load(c)?;
            return moved.into_iter().map(command).collect();
        }
        Conn::Sqlite(c) => c,
    };
    let mut events = Vec::with_capacity(ids.len());
    for id in ids {
        let (cause, key) = (Value::text(step.cause), Value::octets(id.0.as_bytes()));
        let statement = match place() {
            Some((session, reference)) => {
                Kept::<BigInt>::new(SEND, vec![cause, session, reference, Value::integer(now.0), key])
            }
            None => Kept::new(REQUEUE, vec![cause, key]),
        };
        if let Some(revision) = statement.get_result::<i64>(c).optional()? {
            let (state, cause) = (step.state, step.cause.to_owned());
            events.push(timeline::Event { command: *id, revision, state, cause, session, at: now });
        }
    }
    let moved = events.iter().map(|event| event.command).collect();
    timeline::add(tx, events)?;
    Ok(moved)
}

const KEEP: &str = "INSERT INTO commands_done (id, operation, enrolment, generation, kind, lane, rank, position, verb, \
    uri, payload, sealed, redelivery, probe, mac, state, attempts, created_at, not_before, deadline, sent_at, session, \
    reference, accepted_at, finished_at, status, cause, proof, revision) \
    SELECT id, operation, enrolment, generation, kind, lane, rank, position, verb, uri, payload, sealed, redelivery, \
    probe, mac, ?, attempts, created_at, not_before, deadline, sent_at, coalesce(?, session), reference, accepted_at, \
    ?, ?, ?, ?, revision + 1 FROM commands_pending WHERE id = ? RETURNING enrolment, session, revision";

const FORGET: &str = "DELETE FROM commands_pending WHERE id = ?";

const FINISH_ALL: &str = "WITH ends AS (SELECT * FROM unnest(?, ?, ?, ?, ?, ?) \
        AS e (id, state, session, status, cause, proof)), \
    gone AS (DELETE FROM commands_pending p USING ends e WHERE p.id = e.id RETURNING p.id, p.operation, p.enrolment, \
        p.generation, p.kind, p.lane, p.rank, p.position, p.verb, p.uri, p.payload, p.sealed, p.redelivery, p.probe, \
        p.mac, e.state, p.attempts, p.created_at, p.not_before, p.deadline, p.sent_at, \
        coalesce(e.session, p.session) AS session, p.reference, p.accepted_at, e.status, e.cause, e.proof, \
        p.revision + 1 AS revision), \
    kept AS (INSERT INTO commands_done (id, operation, enrolment, generation, kind, lane, rank, position, verb, uri, \
        payload, sealed, redelivery, probe, mac, state, attempts, created_at, not_before, deadline, sent_at, session, \
        reference, accepted_at, finished_at, status, cause, proof, revision) \
        SELECT id, operation, enrolment, generation, kind, lane, rank, position, verb, uri, payload, sealed, \
        redelivery, probe, mac, state, attempts, created_at, not_before, deadline, sent_at, session, reference, \
        accepted_at, ?, status, cause, proof, revision FROM gone), \
    fewer AS (UPDATE enrolments n SET pending = n.pending - g.ended \
        FROM (SELECT enrolment, count(*) AS ended FROM gone GROUP BY enrolment) g WHERE n.id = g.enrolment), \
    lines AS (INSERT INTO timeline (command, revision, state, cause, session, at) \
        SELECT id, revision, state, cause, session, ? FROM gone) \
    SELECT id FROM gone ORDER BY id";

/// Moves the pending commands among `ends` to the finished ones, with timeline and counts, and gives these in order
/// of id.
pub(super) fn finish(tx: &mut Tx, ends: &[Finish]) -> Result<Vec<CommandId>, StoreError> {
    let now = tx.now();
    let proof = |end: &Finish| end.proof.map(|proof| proof.as_str());
    let c = match &mut tx.conn {
        Conn::Postgres(c) => {
            let session = |end: &'_ Finish| end.session.map(|session| session.0.into_bytes());
            let sessions: Vec<_> = ends.iter().map(session).collect();
            let values = vec![
                Value::OctetsColumn(ends.iter().map(|end| Some(end.id.0.as_bytes().as_slice())).collect()),
                Value::TextColumn(ends.iter().map(|end| Some(end.state.as_str().into())).collect()),
                Value::OctetsColumn(sessions.iter().map(|s| s.as_ref().map(|s| s.as_slice())).collect()),
                Value::IntegerColumn(ends.iter().map(|end| end.status).collect()),
                Value::TextColumn(ends.iter().map(|end| Some(text(&end.cause))).collect()),
                Value::TextColumn(ends.iter().map(|end| proof(end).map(Into::into)).collect()),
                Value::integer(now.0),
                Value::integer(now.0),
            ];
            let moved: Vec<Vec<u8>> = Kept::<Binary>::new(FINISH_ALL, values).load(c)?;
            return moved.into_iter().map(command).collect();
        }
        Conn::Sqlite(c) => c,
    };
    let mut events = Vec::with_capacity(ends.len());
    let mut per_device: BTreeMap<EnrolmentId, i64> = BTreeMap::new();
    for end in ends {
        let (key, session) = (end.id.0.as_bytes().as_slice(), end.session.map(|session| session.0));
        let values = vec![
            Value::text(end.state.as_str()),
            Value::Octets(session.as_ref().map(|session| session.as_bytes().as_slice())),
            Value::integer(now.0),
            Value::Integer(end.status),
            Value::text(&end.cause),
            Value::maybe_text(proof(end)),
            Value::octets(key),
        ];
        let kept = Kept::<(Binary, Nullable<Binary>, BigInt)>::new(KEEP, values);
        let Some((enrolment, session, revision)) = kept.get_result::<Moved>(c).optional()? else { continue };
        Kept::<()>::new(FORGET, vec![Value::octets(key)]).execute(c)?;
        let session = Option::<DmSessionId>::raise(session).map_err(StoreError::Damaged)?;
        *per_device.entry(EnrolmentId::raise(enrolment).map_err(StoreError::Damaged)?).or_default() += 1;
        events.push(event(end, revision, session, now));
    }
    for (enrolment, fewer) in per_device {
        enrolments::add_pending(tx, enrolment, -fewer)?;
    }
    let mut moved: Vec<_> = events.iter().map(|event| event.command).collect();
    moved.sort_unstable();
    timeline::add(tx, events)?;
    Ok(moved)
}

/// Device, session and revision of a command that was moved.
type Moved = (Vec<u8>, Option<Vec<u8>>, i64);

fn event(end: &Finish, revision: i64, session: Option<DmSessionId>, at: UtcMillis) -> timeline::Event {
    timeline::Event { command: end.id, revision, state: end.state, cause: end.cause.clone(), session, at }
}

fn command(id: Vec<u8>) -> Result<CommandId, StoreError> {
    CommandId::raise(id).map_err(StoreError::Damaged)
}
