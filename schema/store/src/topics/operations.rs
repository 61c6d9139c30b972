//! Operations: what an admin or a supervisor wants of devices. Each is carried out by command rows.

use diesel::{OptionalExtension, dsl::count_star, prelude::*};
use postern_wire::terms::{CommandState, Lane, OperationId, OperationKind, UtcMillis};

use crate::{
    column::{Db, db, row},
    conn::each,
    errors::StoreError,
    tables::{commands_done, commands_pending, operations::dsl as t},
    tx::{Reader, Tx},
};

row! {
    /// One operation.
    pub struct Operation in operations {
        /// Its id.
        pub id: OperationId,
        /// What it is for.
        pub kind: OperationKind,
        /// How soon.
        pub lane: Lane,
        /// Who or which service wants it.
        pub actor: String,
        /// Why, in their words.
        pub reason: String,
        /// What exactly, as JSON of the planner's.
        pub detail: String,
        /// Since when.
        pub created_at: UtcMillis,
        /// What has not been sent by then expires.
        pub deadline: Option<UtcMillis>,
        /// How many devices it is for.
        pub devices: i64,
        /// How many commands it was planned into.
        pub commands: i64,
    }
}

/// How the commands of an operation stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// Each state that has commands, and how many; in the order of the states.
    pub states: Vec<(CommandState, i64)>,
}

impl Rollup {
    /// How many commands are in a state.
    #[must_use]
    pub fn of(&self, state: CommandState) -> i64 {
        self.states.iter().find(|(s, _)| *s == state).map_or(0, |(_, n)| *n)
    }

    /// How many are not finished.
    #[must_use]
    pub fn open(&self) -> i64 {
        self.of(CommandState::Queued) + self.of(CommandState::Sent)
    }
}

/// Adds an operation.
pub fn insert(tx: &mut Tx, operation: Operation) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::operations).values(operation).execute(c))?;
    Ok(())
}

/// The operation with this id.
pub fn find(r: &mut Reader, id: OperationId) -> Result<Option<Operation>, StoreError> {
    Ok(
        each!(r.conn, c => t::operations.filter(t::id.eq(db(id))).select(Operation::as_select()).get_result(c).optional())?,
    )
}

/// The latest operations before `before` (by id), newest first.
pub fn list(r: &mut Reader, before: Option<OperationId>, limit: i64) -> Result<Vec<Operation>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = t::operations.into_boxed().order(t::id.desc()).limit(limit).select(Operation::as_select());
        if let Some(before) = before {
            query = query.filter(t::id.lt(db(before)));
        }
        query.load(c)
    })?)
}

/// How an operation's commands stand.
pub fn rollup(r: &mut Reader, id: OperationId) -> Result<Rollup, StoreError> {
    let mut counts: Vec<(Db<CommandState>, i64)> = each!(r.conn, c => commands_pending::table
        .filter(commands_pending::operation.eq(db(id)))
        .group_by(commands_pending::state)
        .select((commands_pending::state, count_star()))
        .load(c))?;
    counts.extend(each!(r.conn, c => commands_done::table
        .filter(commands_done::operation.eq(db(id)))
        .group_by(commands_done::state)
        .select((commands_done::state, count_star()))
        .load::<(Db<CommandState>, i64)>(c))?);
    let mut states = Vec::with_capacity(counts.len());
    for (state, n) in counts {
        let state = CommandState::try_from(state).map_err(|e| StoreError::Damaged(e.to_string()))?;
        states.push((state, n));
    }
    states.sort_unstable();
    Ok(Rollup { states })
}
