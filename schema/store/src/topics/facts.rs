//! Facts: what is known of a device, one value a key, with where it came from and since when.

use diesel::prelude::*;
use postern_wire::terms::{EnrolmentId, UtcMillis};

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::facts::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// One fact.
    pub struct Fact in facts {
        /// Of which device.
        pub enrolment: EnrolmentId,
        /// What: a management-tree URI (`./DevInfo/Mod`) or a word of ours.
        pub key: String,
        /// The value as text.
        pub value: String,
        /// Who said so: `device`, `admin`, `directory`.
        pub source: String,
        /// Since when the value stands.
        pub at: UtcMillis,
    }
}

/// All facts of a device, in order of key.
pub fn of(r: &mut Reader, id: EnrolmentId) -> Result<Vec<Fact>, StoreError> {
    Ok(each!(r.conn, c => t::facts
        .filter(t::enrolment.eq(db(id)))
        .order(t::key)
        .select(Fact::as_select())
        .load(c))?)
}

/// Sets facts; a value that stands already keeps its moment. Gives how many changed.
pub fn set(tx: &mut Tx, facts: Vec<Fact>) -> Result<usize, StoreError> {
    use diesel::{query_dsl::methods::FilterDsl, upsert::excluded};
    let mut changed = 0;
    for fact in facts {
        changed += each!(tx.conn, c => diesel::insert_into(t::facts)
            .values(fact.clone())
            .on_conflict((t::enrolment, t::key))
            .do_update()
            .set((t::value.eq(excluded(t::value)), t::source.eq(excluded(t::source)), t::at.eq(excluded(t::at))))
            .filter(t::value.ne(excluded(t::value)))
            .execute(c))?;
    }
    Ok(changed)
}

/// Forgets one fact.
pub fn remove(tx: &mut Tx, id: EnrolmentId, key: &str) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        t::facts.filter(t::enrolment.eq(db(id))).filter(t::key.eq(key)),
    )
    .execute(c))?;
    Ok(gone > 0)
}
