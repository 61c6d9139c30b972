//! The timeline of a command: every state it was in, since when and why. Written by [`crate::commands`] only.

use diesel::prelude::*;
use postern_wire::terms::{CommandId, CommandState, DmSessionId, UtcMillis};

use crate::{
    column::{db, row},
    conn::{
        Conn, each,
        kept::{Kept, Value, text},
    },
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

const ADD: &str =
    "INSERT INTO timeline (command, revision, state, cause, session, at) VALUES (?, ?, ?, ?, ?, ?)";

const ADD_ALL: &str = "INSERT INTO timeline (command, revision, state, cause, session, at) \
    SELECT * FROM unnest(?, ?, ?, ?, ?, ?)";

pub(crate) fn add(tx: &mut Tx, events: Vec<Event>) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    match &mut tx.conn {
        Conn::Sqlite(c) => {
            for event in &events {
                let values = vec![
                    Value::octets(event.command.0.as_bytes()),
                    Value::integer(event.revision),
                    Value::text(event.state.as_str()),
                    Value::text(&event.cause),
                    Value::Octets(event.session.as_ref().map(|session| session.0.as_bytes().as_slice())),
                    Value::integer(event.at.0),
                ];
                Kept::<()>::new(ADD, values).execute(c)?;
            }
        }
        Conn::Postgres(c) => {
            let session = |event: &'_ Event| event.session.map(|session| session.0.into_bytes());
            let sessions: Vec<_> = events.iter().map(session).collect();
            let values = vec![
                Value::OctetsColumn(events.iter().map(|e| Some(e.command.0.as_bytes().as_slice())).collect()),
                Value::IntegerColumn(events.iter().map(|e| Some(e.revision)).collect()),
                Value::TextColumn(events.iter().map(|e| Some(e.state.as_str().into())).collect()),
                Value::TextColumn(events.iter().map(|e| Some(text(&e.cause))).collect()),
                Value::OctetsColumn(sessions.iter().map(|s| s.as_ref().map(|s| s.as_slice())).collect()),
                Value::IntegerColumn(events.iter().map(|e| Some(e.at.0)).collect()),
            ];
            Kept::<()>::new(ADD_ALL, values).execute(c)?;
        }
    }
    Ok(())
}
