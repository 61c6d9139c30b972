//! Admins: the people and services that may ask something of the core.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::admins::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// One admin.
    pub struct Admin in admins {
        /// Its id.
        pub id: Uuid,
        /// Its name, unique.
        pub name: String,
        /// argon2id of the password (PHC string), when it has one.
        pub password: Option<String>,
        /// Since when.
        pub created_at: UtcMillis,
        /// Who made it.
        pub created_by: String,
        /// It cannot approve before this moment (24 hours after it was made; at once for the first).
        pub may_approve_from: UtcMillis,
        /// Since when it is shut out.
        pub disabled_at: Option<UtcMillis>,
        /// Grows with each change.
        pub revision: i64,
    }
}

/// All admins, in order of name.
pub fn list(r: &mut Reader) -> Result<Vec<Admin>, StoreError> {
    Ok(each!(r.conn, c => t::admins.order(t::name).select(Admin::as_select()).load(c))?)
}

/// The admin with this id.
pub fn find(r: &mut Reader, id: Uuid) -> Result<Option<Admin>, StoreError> {
    Ok(
        each!(r.conn, c => t::admins.filter(t::id.eq(db(id))).select(Admin::as_select()).get_result(c).optional())?,
    )
}

/// The admin with this name.
pub fn by_name(r: &mut Reader, name: &str) -> Result<Option<Admin>, StoreError> {
    Ok(
        each!(r.conn, c => t::admins.filter(t::name.eq(name)).select(Admin::as_select()).get_result(c).optional())?,
    )
}

/// Adds an admin. `Conflict` when the name is taken.
pub fn insert(tx: &mut Tx, admin: Admin) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::insert_into(t::admins).values(admin).execute(c))?;
    Ok(())
}

/// Shuts an admin out, or lets it in again. Its tokens count for nothing while it is out.
pub fn set_disabled(tx: &mut Tx, id: Uuid, disabled: bool) -> Result<(), StoreError> {
    let at = disabled.then(|| tx.now().0);
    let changed = each!(tx.conn, c => diesel::update(t::admins.filter(t::id.eq(db(id))))
        .set((t::disabled_at.eq(at), t::revision.eq(t::revision + 1)))
        .execute(c))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::NotFound("admin")) }
}

/// Sets an admin's password, as its hash.
pub fn set_password(tx: &mut Tx, id: Uuid, hash: &str) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::admins.filter(t::id.eq(db(id))))
        .set((t::password.eq(Some(hash)), t::revision.eq(t::revision + 1)))
        .execute(c))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::NotFound("admin")) }
}
