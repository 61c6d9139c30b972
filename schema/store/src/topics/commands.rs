//! Commands: the truth about what was asked of devices (docs/ARCHITECTURE.md, "One command, and why it cannot be lost").
//!
//! `commands_pending` holds queued and sent commands only; finishing one moves its row to `commands_done` in the
//! same transaction, writes its timeline, and keeps the enrolment's count of pending ones.

use std::collections::BTreeMap;

use diesel::{OptionalExtension, connection::DefaultLoadingMode, prelude::*};
use postern_wire::terms::{
    CommandId, CommandState, DmSessionId, EnrolmentId, Lane, OperationId, OperationKind, ProofClass,
    Redelivery, UtcMillis, Verb,
};

mod moves;

use super::{enrolments, timeline};
use crate::{
    column::{db, row},
    conn::{Conn, each, insert as insert_rows},
    errors::StoreError,
    tables::{commands_done as done, commands_pending as pending},
    tx::{Reader, Tx},
};
use moves::Together;

row! {
    /// A command, pending or finished.
    pub struct Command in commands_pending, commands_done {
        /// Its id (UUIDv7: in order of creation).
        pub id: CommandId,
        /// The operation it belongs to.
        pub operation: OperationId,
        /// The device it is for.
        pub enrolment: EnrolmentId,
        /// The generation it is for; another generation never gets it.
        pub generation: i64,
        /// What the operation is for.
        pub kind: OperationKind,
        /// How soon.
        pub lane: Lane,
        /// The sending order: kind first, then lane (see [`rank`]).
        pub rank: i64,
        /// Its place among the commands of one operation for one device, from 0.
        pub position: i64,
        /// The DM verb.
        pub verb: Verb,
        /// The first (usually the only) target URI, for people and searches.
        pub uri: String,
        /// The command's items as the engine writes them; sealed when `sealed`.
        pub payload: Vec<u8>,
        /// Whether `payload` is a [`crate::Sealed`] value.
        pub sealed: bool,
        /// What may be done when its fate is unknown.
        pub redelivery: Redelivery,
        /// For `ProbeFirst`: what to read and what to expect, as the engine writes it.
        pub probe: Option<String>,
        /// The MAC of a destructive command; checked before it is sent.
        pub mac: Option<Vec<u8>>,
        /// Where it stands.
        pub state: CommandState,
        /// How often it was sent.
        pub attempts: i64,
        /// Since when it waits.
        pub created_at: UtcMillis,
        /// Not to be sent before.
        pub not_before: Option<UtcMillis>,
        /// Expires when not sent by then.
        pub deadline: Option<UtcMillis>,
        /// When it was sent last.
        pub sent_at: Option<UtcMillis>,
        /// The session that it was sent in last.
        pub session: Option<DmSessionId>,
        /// Where in that session, as the engine's caller writes it: what the device's Status will refer to.
        pub reference: Option<String>,
        /// When the device accepted it and promised to tell the end later (202).
        pub accepted_at: Option<UtcMillis>,
        /// When it was finished.
        pub finished_at: Option<UtcMillis>,
        /// The device's status code (SyncML Representation Protocol 10).
        pub status: Option<i64>,
        /// Why it is in its state, in a few words.
        pub cause: String,
        /// How strongly the answer was proved.
        pub proof: Option<ProofClass>,
        /// Grows with each step of its timeline; from 1.
        pub revision: i64,
    }
}

/// The sending order of a command: the coalescing order of kinds, then the lane.
#[must_use]
pub fn rank(kind: OperationKind, lane: Lane) -> i64 {
    let of = |position: Option<usize>| position.and_then(|p| i64::try_from(p).ok()).unwrap_or(i64::MAX / 32);
    let kind = of(OperationKind::ALL.iter().position(|k| *k == kind));
    let lane = of(Lane::ALL.iter().position(|l| *l == lane));
    kind * 16 + lane
}

/// A command that is about to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// Which ones.
    pub ids: Vec<CommandId>,
    /// In which session.
    pub session: DmSessionId,
    /// Why now (`session`, `redelivered`).
    pub cause: String,
    /// Where in that session.
    pub reference: String,
}

/// How a command's count of attempts changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// Not at all.
    Same,
    /// The last one does not count: the device said that it did not execute it.
    OneLess,
    /// None counts: a probe found that it never took effect.
    None,
}

/// A step of a command that stays pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub id: CommandId,
    /// Queued again, or still sent.
    pub state: CommandState,
    /// Why, in a few words.
    pub cause: String,
    /// The session in which it happened.
    pub session: Option<DmSessionId>,
    /// What becomes of its attempts.
    pub attempts: Attempts,
    /// When the device accepted it for later, if that is the step.
    pub accepted_at: Option<UtcMillis>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Which.
    pub id: CommandId,
    /// Its last state: any but queued and sent.
    pub state: CommandState,
    /// The device's status, if it gave one.
    pub status: Option<i64>,
    /// Why, in a few words.
    pub cause: String,
    /// How strongly the answer was proved.
    pub proof: Option<ProofClass>,
    /// The session in which it ended.
    pub session: Option<DmSessionId>,
}

// --- reading

/// The command with this id, pending or finished.
pub fn find(r: &mut Reader, id: CommandId) -> Result<Option<Command>, StoreError> {
    let waiting = each!(r.conn, c => pending::table
        .filter(pending::id.eq(db(id)))
        .get_result(c)
        .optional())?;
    if waiting.is_some() {
        return Ok(waiting);
    }
    Ok(each!(r.conn, c => done::table.filter(done::id.eq(db(id))).get_result(c).optional())?)
}

/// A device's pending commands in sending order: rank, then age, then place.
pub fn pending_of(r: &mut Reader, id: EnrolmentId, limit: i64) -> Result<Vec<Command>, StoreError> {
    let query = pending::table.filter(pending::enrolment.eq(db(id))).order((
        pending::rank,
        pending::id,
        pending::position,
    ));
    Ok(match &mut r.conn {
        // Rows come one by one, so it can end where it will; a LIMIT would have it prepared anew (see `each!`).
        Conn::Sqlite(c) => query
            .load_iter::<Command, DefaultLoadingMode>(c)?
            .take(usize::try_from(limit).unwrap_or(0))
            .collect::<Result<_, _>>()?,
        Conn::Postgres(c) => query.limit(limit).load(c)?,
    })
}

/// A device's finished commands before `before`, newest first.
pub fn finished_of(
    r: &mut Reader,
    id: EnrolmentId,
    before: Option<CommandId>,
    limit: i64,
) -> Result<Vec<Command>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = done::table
            .into_boxed()
            .filter(done::enrolment.eq(db(id)))
            .order(done::id.desc())
            .limit(limit);
        if let Some(before) = before {
            query = query.filter(done::id.lt(db(before)));
        }
        query.load(c)
    })?)
}

/// The commands of an operation after `after`, in order of id, pending and finished together.
pub fn of_operation(
    r: &mut Reader,
    operation: OperationId,
    after: Option<CommandId>,
    limit: i64,
) -> Result<Vec<Command>, StoreError> {
    let after = after.unwrap_or(CommandId(uuid::Uuid::nil()));
    let mut all: Vec<Command> = each!(r.conn, c => pending::table
        .filter(pending::operation.eq(db(operation)))
        .filter(pending::id.gt(db(after)))
        .order(pending::id)
        .limit(limit)
        .load(c))?;
    all.extend(each!(r.conn, c => done::table
        .filter(done::operation.eq(db(operation)))
        .filter(done::id.gt(db(after)))
        .order(done::id)
        .limit(limit)
        .load::<Command>(c))?);
    all.sort_by_key(|command| command.id);
    all.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(all)
}

/// Queued commands whose deadline is at or before `now`, earliest first.
pub fn past_deadline(r: &mut Reader, now: UtcMillis, limit: i64) -> Result<Vec<Command>, StoreError> {
    Ok(each!(r.conn, c => pending::table
        .filter(pending::deadline.le(now.0).assume_not_null())
        .filter(pending::state.eq(db(CommandState::Queued)))
        .order(pending::deadline)
        .limit(limit)
        .load(c))?)
}

/// When the oldest pending command was created, and how many are pending.
pub fn backlog(r: &mut Reader) -> Result<(Option<UtcMillis>, i64), StoreError> {
    use diesel::dsl::{count_star, min};
    let (oldest, count): (Option<i64>, i64) =
        each!(r.conn, c => pending::table.select((min(pending::created_at), count_star())).get_result(c))?;
    Ok((oldest.map(UtcMillis), count))
}

/// How many pending commands are in a state.
pub fn count_pending(r: &mut Reader, state: CommandState) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => pending::table.filter(pending::state.eq(db(state))).count().get_result(c))?)
}

/// How many finished commands are in a state, of those that are kept.
pub fn count_finished(r: &mut Reader, state: CommandState) -> Result<i64, StoreError> {
    Ok(each!(r.conn, c => done::table.filter(done::state.eq(db(state))).count().get_result(c))?)
}

// --- writing

/// Adds queued commands, in one statement for each few hundred, with their timeline and the counts of their devices.
pub fn insert(tx: &mut Tx, commands: Vec<Command>) -> Result<(), StoreError> {
    let mut per_device: BTreeMap<EnrolmentId, i64> = BTreeMap::new();
    let mut events = Vec::with_capacity(commands.len());
    for command in &commands {
        *per_device.entry(command.enrolment).or_default() += 1;
        events.push(event(command));
    }
    insert_rows!(tx.conn, pending::table, commands)?;
    for (enrolment, more) in per_device {
        enrolments::add_pending(tx, enrolment, more)?;
    }
    timeline::add(tx, events)
}

/// Marks a pending command as one that this server made ([`Command::mac`]).
pub fn set_mac(tx: &mut Tx, id: CommandId, mac: &[u8]) -> Result<(), StoreError> {
    let marked = each!(tx.conn, c => diesel::update(pending::table.filter(pending::id.eq(db(id))))
        .set(pending::mac.eq(Some(mac)))
        .execute(c))?;
    if marked == 1 { Ok(()) } else { Err(StoreError::NotFound("pending command")) }
}

/// Records that commands are sent, before their bytes leave. Gives the ids that were pending; others (cancelled
/// meanwhile) must not leave.
pub fn sending(tx: &mut Tx, sending: &Sending) -> Result<Vec<CommandId>, StoreError> {
    let Sending { ids, session, cause, reference } = sending;
    moves::step(tx, ids, &Together { state: CommandState::Sent, cause, place: Some((*session, reference)) })
}

/// Records a step of a command that stays pending. `Conflict` when it is not pending any longer.
pub fn step(tx: &mut Tx, step: &Step) -> Result<(), StoreError> {
    if !is_open(step.state) {
        return Err(StoreError::Refused(format!("{} is an end", step.state)));
    }
    let now = tx.now();
    let row: Option<Command> =
        each!(tx.conn, c => pending::table.filter(pending::id.eq(db(step.id))).get_result(c).optional())?;
    let row =
        row.ok_or_else(|| StoreError::Conflict(format!("command {} is not pending any longer", step.id)))?;
    let revision = row.revision + 1;
    let attempts = match step.attempts {
        Attempts::Same => row.attempts,
        Attempts::OneLess => (row.attempts - 1).max(0),
        Attempts::None => 0,
    };
    each!(tx.conn, c => diesel::update(pending::table.filter(pending::id.eq(db(step.id))))
        .set((
            pending::state.eq(db(step.state)),
            pending::cause.eq(step.cause.as_str()),
            pending::attempts.eq(attempts),
            pending::accepted_at.eq(step.accepted_at.or(row.accepted_at).map(|at| at.0)),
            pending::revision.eq(revision),
        ))
        .execute(c))?;
    let event = timeline::Event {
        command: step.id,
        revision,
        state: step.state,
        cause: step.cause.clone(),
        session: step.session,
        at: now,
    };
    timeline::add(tx, vec![event])
}

/// Puts sent commands back into the queue, to be sent again. Gives the ids that were pending.
pub fn requeue(tx: &mut Tx, ids: &[CommandId], cause: &str) -> Result<Vec<CommandId>, StoreError> {
    moves::step(tx, ids, &Together { state: CommandState::Queued, cause, place: None })
}

/// Ends commands: moves their rows, writes their timeline, lowers their devices' counts. Gives the ids that were
/// pending; one that was finished before is left as it is.
pub fn finish(tx: &mut Tx, ends: &[Finish]) -> Result<Vec<CommandId>, StoreError> {
    if let Some(open) = ends.iter().find(|e| is_open(e.state)) {
        return Err(StoreError::Refused(format!("{} is not an end", open.state)));
    }
    moves::finish(tx, ends)
}

/// Decides the fate of a command in doubt, from a probe or a person. `Refused` when it is not in doubt.
pub fn resolve(tx: &mut Tx, end: &Finish) -> Result<(), StoreError> {
    let now = tx.now();
    let mut command: Command = each!(tx.conn, c => done::table
        .filter(done::id.eq(db(end.id)))
        .get_result(c)
        .optional())?
    .ok_or(StoreError::NotFound("command"))?;
    if command.state != CommandState::InDoubt || is_open(end.state) {
        return Err(StoreError::Refused(format!("{} cannot become {}", command.state, end.state)));
    }
    command.state = end.state;
    command.revision += 1;
    command.cause.clone_from(&end.cause);
    each!(tx.conn, c => diesel::update(done::table.filter(done::id.eq(db(end.id))))
        .set((
            done::state.eq(db(end.state)),
            done::status.eq(end.status),
            done::cause.eq(end.cause.as_str()),
            done::proof.eq(db(end.proof)),
            done::finished_at.eq(Some(now.0)),
            done::revision.eq(command.revision),
        ))
        .execute(c))?;
    timeline::add(tx, vec![timeline::Event { at: now, session: end.session, ..event(&command) }])
}

/// Removes up to `limit` commands that were finished before `before`, with their results and timelines. Gives how
/// many went.
pub fn purge(tx: &mut Tx, before: UtcMillis, limit: i64) -> Result<usize, StoreError> {
    use crate::tables::{results::dsl as res, timeline::dsl as line};
    let old: Vec<Vec<u8>> = each!(tx.conn, c => done::table
        .filter(done::finished_at.lt(before.0).assume_not_null())
        .order(done::finished_at)
        .limit(limit)
        .select(done::id)
        .load(c))?;
    if old.is_empty() {
        return Ok(0);
    }
    each!(tx.conn, c => diesel::delete(res::results.filter(res::command.eq_any(old.clone()))).execute(c))?;
    each!(tx.conn, c => diesel::delete(line::timeline.filter(line::command.eq_any(old.clone()))).execute(c))?;
    Ok(each!(tx.conn, c => diesel::delete(done::table.filter(done::id.eq_any(old))).execute(c))?)
}

fn event(command: &Command) -> timeline::Event {
    timeline::Event {
        command: command.id,
        revision: command.revision,
        state: command.state,
        cause: command.cause.clone(),
        session: command.session,
        at: command.created_at,
    }
}

const fn is_open(state: CommandState) -> bool {
    matches!(state, CommandState::Queued | CommandState::Sent)
}
