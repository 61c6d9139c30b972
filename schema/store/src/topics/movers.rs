//! Who changed what policy is made of, since all of it was last in force: who so asked for what a wide change does.
//!
//! Promise: written in the change's own transaction; each person with each token stands once, by its latest change.

use diesel::prelude::*;
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::policy_movers::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// Somebody who changed documents, assignments, groups or bindings.
    pub struct Mover in policy_movers {
        /// Of this change: another with each.
        pub id: Uuid,
        /// The admin's name.
        pub person: String,
        /// By which token.
        pub token: Option<Uuid>,
        /// By which operation: `policy.apply`.
        pub operation: String,
        /// When.
        pub at: UtcMillis,
    }
}

/// Notes a change.
pub fn note(tx: &mut Tx, person: &str, token: Option<Uuid>, operation: &str) -> Result<(), StoreError> {
    let mover = Mover {
        id: tx.fresh_id(),
        person: person.to_owned(),
        token,
        operation: operation.to_owned(),
        at: tx.now(),
    };
    each!(tx.conn, c => {
        let before = t::policy_movers.filter(t::person.eq(person));
        match token {
            Some(token) => diesel::delete(before.filter(t::token.eq(db(Some(token))))).execute(c)?,
            None => diesel::delete(before.filter(t::token.is_null())).execute(c)?,
        };
        diesel::insert_into(t::policy_movers).values(mover).execute(c)
    })?;
    Ok(())
}

/// The first `limit` of them.
pub fn list(r: &mut Reader, limit: i64) -> Result<Vec<Mover>, StoreError> {
    Ok(each!(r.conn, c => t::policy_movers
        .order((t::person, t::id))
        .limit(limit)
        .select(Mover::as_select())
        .load(c))?)
}

/// These changes are in force.
pub fn forget(tx: &mut Tx, ids: &[Uuid]) -> Result<(), StoreError> {
    for id in ids {
        each!(tx.conn, c => diesel::delete(t::policy_movers.filter(t::id.eq(db(*id)))).execute(c))?;
    }
    Ok(())
}
