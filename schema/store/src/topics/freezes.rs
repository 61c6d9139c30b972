//! Freezes: while one stands, nothing destructive is accepted or sent; and break-glass, which goes all the same.
//!
//! Promise: at most one freeze stands. A code from the safe opens break-glass once, for one person and token, for so many
//! devices and for a while.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::{break_glass::dsl as b, freezes::dsl as t},
    tx::{Reader, Tx},
};

row! {
    /// One freeze.
    pub struct Freeze in freezes {
        /// Its id.
        pub id: Uuid,
        /// Since when.
        pub since: UtcMillis,
        /// By whom: `admin:NAME`, `service:safety`.
        pub frozen_by: String,
        /// Why.
        pub reason: String,
        /// Whether a limit did it, and no person.
        pub automatic: bool,
        /// When it was lifted.
        pub thawed_at: Option<UtcMillis>,
        /// By whom: two persons, where there are two.
        pub thawed_by: Option<String>,
        /// Why.
        pub thawed_because: Option<String>,
    }
}

row! {
    /// One opening of break-glass.
    pub struct BreakGlass in break_glass {
        /// Its id.
        pub id: Uuid,
        /// For which admin, by name.
        pub person: String,
        /// For which token.
        pub token: Uuid,
        /// Since when.
        pub opened_at: UtcMillis,
        /// Until when.
        pub until: UtcMillis,
        /// For how many devices.
        pub devices: i64,
        /// How many of these are spent.
        pub spent: i64,
        /// SHA-256 of the code: it is not taken again.
        pub code_hash: [u8; 32],
        /// Why, in that person's words.
        pub reason: String,
    }
}

/// The freeze that stands.
pub fn current(r: &mut Reader) -> Result<Option<Freeze>, StoreError> {
    Ok(each!(r.conn, c => t::freezes
        .filter(t::thawed_at.is_null())
        .order(t::since.desc())
        .limit(1)
        .select(Freeze::as_select())
        .get_result(c)
        .optional())?)
}

/// When a freeze was lifted last.
pub fn last_thaw(r: &mut Reader) -> Result<Option<UtcMillis>, StoreError> {
    let at: Option<Option<i64>> = each!(r.conn, c => t::freezes
        .filter(t::thawed_at.is_not_null())
        .order(t::thawed_at.desc())
        .limit(1)
        .select(t::thawed_at)
        .get_result(c)
        .optional())?;
    Ok(at.flatten().map(UtcMillis))
}

/// The latest freezes, the newest first.
pub fn list(r: &mut Reader, limit: i64) -> Result<Vec<Freeze>, StoreError> {
    Ok(each!(r.conn, c => t::freezes
        .order((t::since.desc(), t::id.desc()))
        .limit(limit)
        .select(Freeze::as_select())
        .load(c))?)
}

/// The opening of break-glass that is good for this person and token now.
pub fn glass(
    r: &mut Reader,
    person: &str,
    token: Uuid,
    now: UtcMillis,
) -> Result<Option<BreakGlass>, StoreError> {
    Ok(each!(r.conn, c => b::break_glass
        .filter(b::person.eq(person))
        .filter(b::until.gt(now.0))
        .filter(b::token.eq(db(token)))
        .order(b::opened_at.desc())
        .limit(1)
        .select(BreakGlass::as_select())
        .get_result(c)
        .optional())?)
}

/// Whether a code was used.
pub fn is_used(r: &mut Reader, code_hash: [u8; 32]) -> Result<bool, StoreError> {
    let used: i64 = each!(r.conn, c => b::break_glass
        .filter(b::code_hash.eq(db(code_hash)))
        .count()
        .get_result(c))?;
    Ok(used > 0)
}

// --- writing

/// Freezes; where one stands already, that one is given.
pub fn freeze(tx: &mut Tx, by: &str, reason: &str, automatic: bool) -> Result<Freeze, StoreError> {
    if let Some(stands) = current(tx)? {
        return Ok(stands);
    }
    let row = Freeze {
        id: tx.fresh_id(),
        since: tx.now(),
        frozen_by: by.to_owned(),
        reason: reason.to_owned(),
        automatic,
        thawed_at: None,
        thawed_by: None,
        thawed_because: None,
    };
    each!(tx.conn, c => diesel::insert_into(t::freezes).values(row.clone()).execute(c))?;
    Ok(row)
}

/// Lifts the freeze that stands. False where none does.
pub fn thaw(tx: &mut Tx, by: &str, reason: &str) -> Result<bool, StoreError> {
    let now = tx.now();
    let changed = each!(tx.conn, c => diesel::update(t::freezes.filter(t::thawed_at.is_null()))
        .set((
            t::thawed_at.eq(Some(now.0)),
            t::thawed_by.eq(Some(by)),
            t::thawed_because.eq(db(Some(reason.to_owned()))),
        ))
        .execute(c))?;
    Ok(changed > 0)
}

/// Opens break-glass. `Conflict` where the code was used before.
pub fn open_glass(tx: &mut Tx, row: BreakGlass) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(b::break_glass).values(row).execute(c))?;
    Ok(())
}

/// Spends so many devices of an opening.
pub fn spend(tx: &mut Tx, id: Uuid, devices: i64) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::update(b::break_glass.filter(b::id.eq(db(id))))
        .set(b::spent.eq(b::spent + devices))
        .execute(c))?;
    Ok(())
}
