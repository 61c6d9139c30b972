//! Our CAs, one row for each generation of a role: which one signs, which are still trusted, which are retired.
//!
//! Promise: of a role at most one generation signs; the trust of all parties has one version that rises with every
//! change of a row ([`trust_version`]). Keys are in files, never here.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::{CaRole, CaState, UtcMillis};

use crate::{
    column::{db, row},
    conn::each,
    errors::StoreError,
    meta,
    tables::authorities::dsl as t,
    tx::{Reader, Tx},
};

/// Where the version of the trust is.
const VERSION: &str = "trust-version";

row! {
    /// One generation of a CA.
    pub struct Authority in authorities {
        /// What its certificates are for.
        pub role: CaRole,
        /// Counts from 1.
        pub generation: i64,
        /// Where it stands.
        pub state: CaState,
        /// Its subject, for people.
        pub name: String,
        /// Its name as issuer in lists and certificates (`postern_wire::link::issuer_hash`); no two have the same.
        pub issuer: String,
        /// Its certificate and what is above it up to the root where that is known, DER one behind the other; empty
        /// while it is requested.
        pub chain: Vec<u8>,
        /// The same key and name certified by the generation before, DER.
        pub bridge: Option<Vec<u8>>,
        /// The file with its key; empty when its key is not ours.
        pub key_file: String,
        /// Its certificate's Not before.
        pub not_before: UtcMillis,
        /// Its certificate's Not after.
        pub not_after: UtcMillis,
        /// When it was made.
        pub made_at: UtcMillis,
        /// By whom.
        pub made_by: String,
        /// When it was retired.
        pub retired_at: Option<UtcMillis>,
        /// The number of its newest CRL (RFC 5280 5.2.3); 0 before the first.
        pub crl_number: i64,
        /// Its newest CRL, DER.
        pub crl: Option<Vec<u8>>,
        /// When that was made.
        pub crl_at: Option<UtcMillis>,
        /// When the next one is there at the latest.
        pub crl_next: Option<UtcMillis>,
        /// A revocation is not in the CRL yet.
        pub crl_stale: bool,
    }
}

/// All generations of all roles, the newest of a role first.
pub fn list(r: &mut Reader) -> Result<Vec<Authority>, StoreError> {
    Ok(each!(r.conn, c => t::authorities
        .order((t::role, t::generation.desc()))
        .select(Authority::as_select())
        .load(c))?)
}

/// One generation.
pub fn find(r: &mut Reader, role: CaRole, generation: i64) -> Result<Option<Authority>, StoreError> {
    Ok(each!(r.conn, c => t::authorities
        .filter(t::role.eq(db(role)))
        .filter(t::generation.eq(generation))
        .select(Authority::as_select())
        .first(c)
        .optional())?)
}

/// The generation that bears this name as issuer.
pub fn by_issuer(r: &mut Reader, issuer: &str) -> Result<Option<Authority>, StoreError> {
    Ok(each!(r.conn, c => t::authorities
        .filter(t::issuer.eq(issuer))
        .select(Authority::as_select())
        .first(c)
        .optional())?)
}

/// The generation of a role that signs.
pub fn signing(r: &mut Reader, role: CaRole) -> Result<Option<Authority>, StoreError> {
    Ok(each!(r.conn, c => t::authorities
        .filter(t::role.eq(db(role)))
        .filter(t::state.eq(db(CaState::Signing)))
        .order(t::generation.desc())
        .select(Authority::as_select())
        .first(c)
        .optional())?)
}

/// Adds a generation.
///
/// # Errors
/// [`StoreError::Conflict`] when there is one of this number or name; [`StoreError::Refused`] when another signs.
pub fn insert(tx: &mut Tx, row: Authority) -> Result<(), StoreError> {
    if find(tx, row.role, row.generation)?.is_some() || by_issuer(tx, &row.issuer)?.is_some() {
        return Err(StoreError::Conflict(format!(
            "there is a {} CA of generation {} or of this name",
            row.role, row.generation
        )));
    }
    if row.state == CaState::Signing {
        nobody_signs(tx, row.role)?;
    }
    each!(tx.conn, c => diesel::insert_into(t::authorities).values(row).execute(c))?;
    trust_changed(tx)
}

/// Sets where a generation stands.
///
/// # Errors
/// [`StoreError::Refused`] when another one of its role signs already; [`StoreError::NotFound`].
pub fn set_state(tx: &mut Tx, role: CaRole, generation: i64, state: CaState) -> Result<(), StoreError> {
    if state == CaState::Signing {
        nobody_signs(tx, role)?;
    }
    let retired = (state == CaState::Retired).then_some(tx.now().0);
    let changed = each!(tx.conn, c => diesel::update(t::authorities)
        .filter(t::role.eq(db(role)))
        .filter(t::generation.eq(generation))
        .set((t::state.eq(db(state)), t::retired_at.eq(retired)))
        .execute(c))?;
    if changed == 0 {
        return Err(StoreError::NotFound("CA"));
    }
    trust_changed(tx)
}

/// A generation that was requested has its certificate.
pub fn certify(tx: &mut Tx, row: &Authority) -> Result<(), StoreError> {
    let changed = each!(tx.conn, c => diesel::update(t::authorities)
        .filter(t::role.eq(db(row.role)))
        .filter(t::generation.eq(row.generation))
        .set((
            t::name.eq(&row.name),
            t::issuer.eq(&row.issuer),
            t::chain.eq(&row.chain),
            t::bridge.eq(&row.bridge),
            t::not_before.eq(row.not_before.0),
            t::not_after.eq(row.not_after.0),
        ))
        .execute(c))?;
    if changed == 0 {
        return Err(StoreError::NotFound("CA"));
    }
    trust_changed(tx)
}

/// Removes a generation that never had a certificate.
pub fn withdraw(tx: &mut Tx, role: CaRole, generation: i64) -> Result<(), StoreError> {
    let gone = each!(tx.conn, c => diesel::delete(t::authorities
        .filter(t::role.eq(db(role)))
        .filter(t::generation.eq(generation))
        .filter(t::state.eq(db(CaState::Requested))))
        .execute(c))?;
    if gone == 0 { Err(StoreError::NotFound("requested CA")) } else { Ok(()) }
}

/// Keeps a new CRL. Its number has to be the one after the last.
///
/// # Errors
/// [`StoreError::Conflict`] when another one was made meanwhile.
pub fn set_crl(
    tx: &mut Tx,
    issuer: &str,
    number: i64,
    crl: &[u8],
    next: UtcMillis,
) -> Result<(), StoreError> {
    let now = tx.now().0;
    let changed = each!(tx.conn, c => diesel::update(t::authorities)
        .filter(t::issuer.eq(issuer))
        .filter(t::crl_number.eq(number - 1))
        .set((
            t::crl_number.eq(number),
            t::crl.eq(Some(crl)),
            t::crl_at.eq(Some(now)),
            t::crl_next.eq(Some(next.0)),
            t::crl_stale.eq(false),
        ))
        .execute(c))?;
    if changed == 0 { Err(StoreError::Conflict("another CRL was made meanwhile".to_owned())) } else { Ok(()) }
}

/// Notes that a CRL lacks a revocation.
pub(crate) fn crl_is_stale(tx: &mut Tx, issuer: &str) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::update(t::authorities.filter(t::issuer.eq(issuer)))
        .set(t::crl_stale.eq(true))
        .execute(c))?;
    Ok(())
}

/// The version of what is trusted; 0 before the first CA.
pub fn trust_version(r: &mut Reader) -> Result<i64, StoreError> {
    Ok(meta::get(r, VERSION)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn trust_changed(tx: &mut Tx) -> Result<(), StoreError> {
    let next = trust_version(tx)? + 1;
    meta::set(tx, VERSION, &next.to_string())
}

fn nobody_signs(r: &mut Reader, role: CaRole) -> Result<(), StoreError> {
    match signing(r, role)? {
        Some(other) => Err(StoreError::Refused(format!(
            "generation {} of the {role} CA signs; of a role one does",
            other.generation
        ))),
        None => Ok(()),
    }
}
