//! Facts: what is known of a device, one value a key, with where it came from and since when.

use std::{borrow::Cow, collections::BTreeMap};

use diesel::prelude::*;
use postern_wire::terms::{EnrolmentId, UtcMillis};

use crate::{
    column::{db, row},
    conn::{
        Conn, each,
        kept::{Kept, Value, text},
    },
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

const SET: &str = "INSERT INTO facts (enrolment, key, value, source, at) VALUES (?, ?, ?, ?, ?) \
    ON CONFLICT (enrolment, key) DO UPDATE SET value = excluded.value, source = excluded.source, at = excluded.at \
    WHERE facts.value <> excluded.value";

const SET_ALL: &str = "INSERT INTO facts (enrolment, key, value, source, at) SELECT * FROM unnest(?, ?, ?, ?, ?) \
    ON CONFLICT (enrolment, key) DO UPDATE SET value = excluded.value, source = excluded.source, at = excluded.at \
    WHERE facts.value <> excluded.value";

/// Sets facts, of one key the last; a value that stands already keeps its moment. Gives how many changed.
pub fn set<'a>(tx: &mut Tx, facts: impl IntoIterator<Item = &'a Fact>) -> Result<usize, StoreError> {
    // By the key as it rests: PostgreSQL refuses to change a row twice in one statement.
    let last: BTreeMap<(EnrolmentId, Cow<'_, str>), &Fact> =
        facts.into_iter().map(|fact| ((fact.enrolment, text(&fact.key)), fact)).collect();
    if last.is_empty() {
        return Ok(0);
    }
    match &mut tx.conn {
        Conn::Sqlite(c) => {
            let mut changed = 0;
            for fact in last.values() {
                let values = vec![
                    Value::octets(fact.enrolment.0.as_bytes()),
                    Value::text(&fact.key),
                    Value::text(&fact.value),
                    Value::text(&fact.source),
                    Value::integer(fact.at.0),
                ];
                changed += Kept::<()>::new(SET, values).execute(c)?;
            }
            Ok(changed)
        }
        Conn::Postgres(c) => {
            let words = |of: fn(&Fact) -> &str| {
                Value::TextColumn(last.values().map(|fact| Some(text(of(fact)))).collect())
            };
            let values = vec![
                Value::OctetsColumn(
                    last.values().map(|f| Some(f.enrolment.0.as_bytes().as_slice())).collect(),
                ),
                words(|fact| &fact.key),
                words(|fact| &fact.value),
                words(|fact| &fact.source),
                Value::IntegerColumn(last.values().map(|f| Some(f.at.0)).collect()),
            ];
            Ok(Kept::<()>::new(SET_ALL, values).execute(c)?)
        }
    }
}

/// Forgets one fact.
pub fn remove(tx: &mut Tx, id: EnrolmentId, key: &str) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        t::facts.filter(t::enrolment.eq(db(id))).filter(t::key.eq(key)),
    )
    .execute(c))?;
    Ok(gone > 0)
}
