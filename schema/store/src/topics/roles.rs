//! Which admin holds which role, within which scope.

use diesel::prelude::*;
use postern_wire::terms::{Role, UtcMillis};
use uuid::Uuid;

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    tables::role_grants::dsl as t,
    tx::{Reader, Tx},
};

row! {
    /// One role of one admin.
    pub struct Grant in role_grants {
        /// Who holds it.
        pub admin: Uuid,
        /// Which role.
        pub role: Role,
        /// The group (its id) that it is limited to; none: everything.
        pub scope: Option<String>,
        /// Who gave it.
        pub granted_by: String,
        /// When.
        pub at: UtcMillis,
    }
}

/// The roles of an admin.
pub fn of(r: &mut Reader, admin: Uuid) -> Result<Vec<Grant>, StoreError> {
    Ok(each!(r.conn, c => t::role_grants
        .filter(t::admin.eq(db(admin)))
        .order(t::role)
        .select(Grant::as_select())
        .load(c))?)
}

/// All grants, in order of admin and role.
pub fn list(r: &mut Reader) -> Result<Vec<Grant>, StoreError> {
    Ok(each!(r.conn, c => t::role_grants.order((t::admin, t::role)).select(Grant::as_select()).load(c))?)
}

/// Gives a role, or changes its scope.
pub fn grant(tx: &mut Tx, grant: Grant) -> Result<(), StoreError> {
    let (scope, by, at) = (grant.scope.clone(), grant.granted_by.clone(), grant.at);
    each!(tx.conn, c => diesel::insert_into(t::role_grants)
        .values(grant)
        .on_conflict((t::admin, t::role))
        .do_update()
        .set((t::scope.eq(scope), t::granted_by.eq(by), t::at.eq(at.0)))
        .execute(c))?;
    Ok(())
}

/// Takes a role away.
pub fn revoke(tx: &mut Tx, admin: Uuid, role: Role) -> Result<bool, StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(
        t::role_grants.filter(t::admin.eq(db(admin))).filter(t::role.eq(db(role))),
    )
    .execute(c))?;
    Ok(gone > 0)
}
