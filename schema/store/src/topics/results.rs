//! What devices answered: the items of Results, kept with the command that asked.

use diesel::prelude::*;
use postern_wire::terms::{CommandId, EnrolmentId, ProofClass, UtcMillis};

use crate::{
    column::{db, row},
    conn::{
        Conn, each,
        kept::{Kept, Value, text},
    },
    errors::StoreError,
    tables::results::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// One item of a Results command.
    pub struct ResultItem in results {
        /// The command that asked.
        pub command: CommandId,
        /// The item's place among the command's results, from 0.
        pub position: i64,
        /// The device that answered.
        pub enrolment: EnrolmentId,
        /// Item/Source/LocURI.
        pub source_uri: Option<String>,
        /// Meta/Format.
        pub format: Option<String>,
        /// Meta/Type.
        pub media_type: Option<String>,
        /// The data as the device sent it; sealed when `sealed`.
        pub data: Vec<u8>,
        /// Whether `data` is a [`crate::Sealed`] value.
        pub sealed: bool,
        /// How strongly the session that brought it was proved.
        pub proof: ProofClass,
        /// When it came.
        pub at: UtcMillis,
    }
}

/// The results of a command, in order.
pub fn of(r: &mut Reader, command: CommandId) -> Result<Vec<ResultItem>, StoreError> {
    Ok(each!(r.conn, c => t::results
        .filter(t::command.eq(db(command)))
        .order(t::position)
        .select(ResultItem::as_select())
        .load(c))?)
}

const ADD: &str = "INSERT INTO results (command, position, enrolment, source_uri, format, media_type, data, sealed, \
    proof, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const ADD_ALL: &str = "INSERT INTO results (command, position, enrolment, source_uri, format, media_type, data, \
    sealed, proof, at) SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Adds results. A second set for the same command and position is a `Conflict`.
pub fn insert(tx: &mut Tx, items: &[ResultItem]) -> Result<(), StoreError> {
    if items.is_empty() {
        return Ok(());
    }
    match &mut tx.conn {
        Conn::Sqlite(c) => {
            for item in items {
                let values = vec![
                    Value::octets(item.command.0.as_bytes()),
                    Value::integer(item.position),
                    Value::octets(item.enrolment.0.as_bytes()),
                    Value::maybe_text(item.source_uri.as_deref()),
                    Value::maybe_text(item.format.as_deref()),
                    Value::maybe_text(item.media_type.as_deref()),
                    Value::octets(&item.data),
                    Value::integer(i64::from(item.sealed)),
                    Value::text(item.proof.as_str()),
                    Value::integer(item.at.0),
                ];
                Kept::<()>::new(ADD, values).execute(c)?;
            }
        }
        Conn::Postgres(c) => {
            let words = |of: fn(&ResultItem) -> Option<&str>| {
                Value::TextColumn(items.iter().map(|item| of(item).map(text)).collect())
            };
            let values = vec![
                Value::OctetsColumn(items.iter().map(|i| Some(i.command.0.as_bytes().as_slice())).collect()),
                Value::IntegerColumn(items.iter().map(|i| Some(i.position)).collect()),
                Value::OctetsColumn(
                    items.iter().map(|i| Some(i.enrolment.0.as_bytes().as_slice())).collect(),
                ),
                words(|item| item.source_uri.as_deref()),
                words(|item| item.format.as_deref()),
                words(|item| item.media_type.as_deref()),
                Value::OctetsColumn(items.iter().map(|i| Some(i.data.as_slice())).collect()),
                Value::TruthColumn(items.iter().map(|i| i.sealed).collect()),
                words(|item| Some(item.proof.as_str())),
                Value::IntegerColumn(items.iter().map(|i| Some(i.at.0)).collect()),
            ];
            Kept::<()>::new(ADD_ALL, values).execute(c)?;
        }
    }
    Ok(())
}
