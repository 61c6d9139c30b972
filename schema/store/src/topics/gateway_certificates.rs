//! What gateways asked to be signed, by key, and what they got.
//!
//! Promise: a key is certified once; who asks again for the same key is given the same certificate. A certificate that was
//! revoked here is not accepted on a link any more.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::terms::UtcMillis;

use crate::{
    column::row,
    conn::each,
    errors::StoreError,
    tables::gateway_certificates::dsl as t,
    tx::{Reader, Tx},
};

/// Certificates of one gateway and port that are kept; older ones, whose time is over, go.
const KEEP: usize = 32;

row! {
    /// A request, and its certificate.
    pub struct Certificate in gateway_certificates {
        /// Whose.
        pub gateway: String,
        /// `link` or `server`.
        pub role: String,
        /// SHA-256 of the public key (SubjectPublicKeyInfo), lower-case hex.
        pub key_hash: String,
        /// PKCS#10, PEM.
        pub request: String,
        /// When it was asked first.
        pub asked_at: UtcMillis,
        /// The certificate with what stands between it and its CA, PEM; none while it waits.
        pub chain: Option<String>,
        /// Serial number, lower-case hex without leading zero octets.
        pub serial: Option<String>,
        /// The issuer, as `postern_wire::link::issuer_hash` names it.
        pub issuer: Option<String>,
        /// When it ends.
        pub not_after: Option<UtcMillis>,
        /// When it was made.
        pub issued_at: Option<UtcMillis>,
        /// When it was revoked.
        pub revoked_at: Option<UtcMillis>,
    }
}

/// The request and certificate of a key.
pub fn find(
    r: &mut Reader,
    gateway: &str,
    role: &str,
    key_hash: &str,
) -> Result<Option<Certificate>, StoreError> {
    Ok(each!(r.conn, c => t::gateway_certificates
        .filter(t::gateway.eq(gateway))
        .filter(t::role.eq(role))
        .filter(t::key_hash.eq(key_hash))
        .select(Certificate::as_select())
        .first(c)
        .optional())?)
}

/// All of a gateway, the newest first.
pub fn of(r: &mut Reader, gateway: &str) -> Result<Vec<Certificate>, StoreError> {
    Ok(each!(r.conn, c => t::gateway_certificates
        .filter(t::gateway.eq(gateway))
        .order((t::asked_at.desc(), t::key_hash))
        .select(Certificate::as_select())
        .load(c))?)
}

/// Keeps a request, or a request with its certificate, in the place of what was kept of that key.
pub fn keep(tx: &mut Tx, certificate: Certificate) -> Result<(), StoreError> {
    let (gateway, role, key) =
        (certificate.gateway.clone(), certificate.role.clone(), certificate.key_hash.clone());
    each!(tx.conn, c => diesel::delete(
        t::gateway_certificates
            .filter(t::gateway.eq(gateway.as_str()))
            .filter(t::role.eq(role.as_str()))
            .filter(t::key_hash.eq(key.as_str())),
    )
    .execute(c))?;
    each!(tx.conn, c => diesel::insert_into(t::gateway_certificates).values(certificate).execute(c))?;
    let over: Vec<String> = of(tx, &gateway)?
        .into_iter()
        .filter(|kept| kept.role == role)
        .skip(KEEP)
        .filter(|kept| kept.not_after.is_none_or(|end| end < tx.now()))
        .map(|kept| kept.key_hash)
        .collect();
    each!(tx.conn, c => diesel::delete(
        t::gateway_certificates
            .filter(t::gateway.eq(gateway.as_str()))
            .filter(t::role.eq(role.as_str()))
            .filter(t::key_hash.eq_any(over)),
    )
    .execute(c))?;
    Ok(())
}

/// Revokes all certificates of a gateway that still hold, and forgets the requests that wait. Gives what was revoked.
pub fn revoke_all(tx: &mut Tx, gateway: &str) -> Result<Vec<Certificate>, StoreError> {
    let now = tx.now();
    let live = |kept: &Certificate| {
        kept.revoked_at.is_none() && kept.serial.is_some() && kept.not_after.is_some_and(|end| end > now)
    };
    let revoked: Vec<Certificate> = of(tx, gateway)?.into_iter().filter(live).collect();
    each!(tx.conn, c => diesel::update(
        t::gateway_certificates.filter(t::gateway.eq(gateway)).filter(t::revoked_at.is_null()).filter(t::serial.is_not_null()),
    )
    .set(t::revoked_at.eq(Some(now.0)))
    .execute(c))?;
    each!(tx.conn, c => diesel::delete(
        t::gateway_certificates.filter(t::gateway.eq(gateway)).filter(t::serial.is_null()),
    )
    .execute(c))?;
    Ok(revoked)
}

/// The serial numbers of all link certificates that were revoked.
pub fn revoked_links(r: &mut Reader) -> Result<Vec<String>, StoreError> {
    let serials: Vec<Option<String>> = each!(r.conn, c => t::gateway_certificates
        .filter(t::role.eq("link"))
        .filter(t::revoked_at.is_not_null())
        .select(t::serial)
        .load(c))?;
    Ok(serials.into_iter().flatten().collect())
}
