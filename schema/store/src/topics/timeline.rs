//! The timeline of a command: every state it was in, since when and why. Written by [`crate::commands`] only.

use diesel::prelude::*;
use postern_wire::terms::{CommandId, CommandState, DmSessionId, UtcMillis};

use crate::{
    column::{db, row},
    conn::{each, insert as insert_rows},
    errors::StoreError,
    tables::timeline::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// One step in a command's life.
    pub struct Event in timeline {
        /// Which command.
        pub command: CommandId,
        /// The command's revision after this step; counts from 1.
        pub revision: i64,
        /// The state after this step.
        pub state: CommandState,
        /// Why, in a few words.
        pub cause: String,
        /// The session in which it happened, if it happened in one.
        pub session: Option<DmSessionId>,
        /// When.
        pub at: UtcMillis,
    }
}

/// The life of a command, in order.
pub fn of(r: &mut Reader, command: CommandId) -> Result<Vec<Event>, StoreError> {
    Ok(each!(r.conn, c => t::timeline
        .filter(t::command.eq(db(command)))
        .order(t::revision)
        .select(Event::as_select())
        .load(c))?)
}

pub(crate) fn add(tx: &mut Tx, events: Vec<Event>) -> Result<(), StoreError> {
    Ok(insert_rows!(tx.conn, t::timeline, events)?)
}
