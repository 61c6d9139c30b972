//! Quirk profiles that operators added, beside those that are built in. The engine reads the documents.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;

use crate::{
    column::row,
    conn::each,
    errors::StoreError,
    tables::quirk_profiles::dsl as t,
    tx::{Reader, Tx},
};

/// Profiles that operators may have.
pub const MOST: i64 = 500;

row! {
    /// One profile.
    pub struct QuirkProfile in quirk_profiles {
        /// Its name, unique.
        pub name: String,
        /// The document, as it was given.
        pub document: String,
        /// Who gave it.
        pub set_by: String,
        /// When.
        pub at: UtcMillis,
        /// Grows with each change.
        pub revision: i64,
    }
}

/// All profiles in order of name.
pub fn list(r: &mut Reader) -> Result<Vec<QuirkProfile>, StoreError> {
    Ok(each!(r.conn, c => t::quirk_profiles
        .order(t::name)
        .limit(MOST)
        .select(QuirkProfile::as_select())
        .load(c))?)
}

/// The profile with this name.
pub fn find(r: &mut Reader, name: &str) -> Result<Option<QuirkProfile>, StoreError> {
    Ok(each!(r.conn, c => t::quirk_profiles
        .filter(t::name.eq(name))
        .select(QuirkProfile::as_select())
        .get_result(c)
        .optional())?)
}

/// Puts a profile in place of the one with its name. `Refused` when there are [`MOST`] already. Gives its revision.
pub fn put(tx: &mut Tx, name: &str, document: &str, by: &str) -> Result<i64, StoreError> {
    let now = tx.now();
    let revision = match find(tx, name)? {
        Some(old) => {
            each!(tx.conn, c => diesel::delete(t::quirk_profiles.filter(t::name.eq(name))).execute(c))?;
            old.revision + 1
        }
        None => 1,
    };
    let count: i64 = each!(tx.conn, c => t::quirk_profiles.count().get_result(c))?;
    if count >= MOST {
        return Err(StoreError::Refused(format!("there are {count} profiles, {MOST} is the limit")));
    }
    let row = QuirkProfile {
        name: name.to_owned(),
        document: document.to_owned(),
        set_by: by.to_owned(),
        at: now,
        revision,
    };
    each!(tx.conn, c => diesel::insert_into(t::quirk_profiles).values(row).execute(c))?;
    Ok(revision)
}

/// Removes a profile.
pub fn remove(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    Ok(each!(tx.conn, c => diesel::delete(t::quirk_profiles.filter(t::name.eq(name))).execute(c))? > 0)
}
