//! Descriptions of management objects that operators imported, beside those that are built in.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;

use crate::{
    column::row,
    conn::each,
    errors::StoreError,
    tables::ddfs::dsl as t,
    topics::meta,
    tx::{Reader, Tx},
};

/// Descriptions that operators may have.
pub const MOST: i64 = 500;
/// Counts the changes, so that who keeps them read knows when to read again.
const VERSION: &str = "ddfs/version";

row! {
    /// One description.
    pub struct StoredDdf in ddfs {
        /// Its name, unique.
        pub name: String,
        /// The document, as it was given.
        pub document: Vec<u8>,
        /// How many nodes it describes.
        pub nodes: i64,
        /// How many elements of it were read over.
        pub skipped: i64,
        /// Who gave it.
        pub set_by: String,
        /// When.
        pub at: UtcMillis,
        /// Grows with each change.
        pub revision: i64,
    }
}

/// Grows with each change of any description.
pub fn version(r: &mut Reader) -> Result<i64, StoreError> {
    Ok(meta::get(r, VERSION)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// All descriptions in order of name.
pub fn list(r: &mut Reader) -> Result<Vec<StoredDdf>, StoreError> {
    Ok(each!(r.conn, c => t::ddfs.order(t::name).limit(MOST).select(StoredDdf::as_select()).load(c))?)
}

/// The description with this name.
pub fn find(r: &mut Reader, name: &str) -> Result<Option<StoredDdf>, StoreError> {
    Ok(each!(r.conn, c => t::ddfs
        .filter(t::name.eq(name))
        .select(StoredDdf::as_select())
        .get_result(c)
        .optional())?)
}

/// Puts a description in place of the one with its name; `at` and `revision` are set here. `Refused` when there are
/// [`MOST`] already. Gives it as it stands.
pub fn put(tx: &mut Tx, ddf: StoredDdf) -> Result<StoredDdf, StoreError> {
    let name = ddf.name.clone();
    let revision = match find(tx, &name)? {
        Some(old) => {
            each!(tx.conn, c => diesel::delete(t::ddfs.filter(t::name.eq(&name))).execute(c))?;
            old.revision + 1
        }
        None => 1,
    };
    let count: i64 = each!(tx.conn, c => t::ddfs.count().get_result(c))?;
    if count >= MOST {
        return Err(StoreError::Refused(format!("there are {count} descriptions, {MOST} is the limit")));
    }
    let row = StoredDdf { at: tx.now(), revision, ..ddf };
    each!(tx.conn, c => diesel::insert_into(t::ddfs).values(row.clone()).execute(c))?;
    changed(tx)?;
    Ok(row)
}

/// Removes a description.
pub fn remove(tx: &mut Tx, name: &str) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(t::ddfs.filter(t::name.eq(name))).execute(c))? > 0;
    if gone {
        changed(tx)?;
    }
    Ok(gone)
}

fn changed(tx: &mut Tx) -> Result<(), StoreError> {
    let next = version(tx)? + 1;
    meta::set(tx, VERSION, &next.to_string())
}
