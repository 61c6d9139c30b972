//! What devices answered: the items of Results, kept with the command that asked.

use diesel::prelude::*;
use postern_wire::terms::{CommandId, EnrolmentId, ProofClass, UtcMillis};

use crate::{
    column::{db, row},
    conn::{each, insert as insert_rows},
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

/// Adds results. A second set for the same command and position is a `Conflict`.
pub fn insert(tx: &mut Tx, items: Vec<ResultItem>) -> Result<(), StoreError> {
    Ok(insert_rows!(tx.conn, t::results, items)?)
}
