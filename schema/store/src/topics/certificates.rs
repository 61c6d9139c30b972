//! Every certificate that our CAs issued: for whom, by which generation, how long, and whether it was revoked.
//!
//! Promise: a row is written in the transaction that makes the certificate count. To revoke is one act ([`revoke`]):
//! the row, the blocked list (the gate: gateways and cores judge each request by it) and the mark that the CRL (for
//! third parties) is to be made anew commit together.

use diesel::{OptionalExtension, prelude::*};
use postern_wire::{
    link::{Admission, BlockedEntry, BlockedSubject, CertificateName},
    terms::{CaRole, CaState, EnrolmentId, EnrolmentState, RevocationReason, UtcMillis},
};

use crate::{
    authorities,
    column::{Db, db, row},
    conn::each,
    errors::StoreError,
    lists::{self, Change, List},
    tables::{certificate_names::dsl as n, certificates::dsl as t, enrolments::dsl as e},
    tx::{Reader, Tx},
};

row! {
    /// What a device's certificate bears beside the enrolment.
    pub struct DnsName in certificate_names {
        /// The device.
        pub enrolment: EnrolmentId,
        /// The DNS name of its SAN, in small letters.
        pub dns_name: String,
    }
}

row! {
    /// One certificate.
    pub struct Certificate in certificates {
        /// Its issuer, as the blocked list names it.
        pub issuer: String,
        /// Its serial number, lower-case hex without leading zero octets.
        pub serial: String,
        /// What it is for.
        pub role: CaRole,
        /// Which generation of that role's CA signed it; 0 for a CA that is not ours.
        pub authority: i64,
        /// Whose: `postern:device:<enrolment>`, `postern:gateway:<name>`, `postern:core:<id>`.
        pub subject: String,
        /// The enrolment's generation; 0 where there is none.
        pub subject_generation: i64,
        /// SHA-256 of its DER.
        pub fingerprint: [u8; 32],
        /// Not before.
        pub not_before: UtcMillis,
        /// Not after.
        pub not_after: UtcMillis,
        /// When it was written here.
        pub issued_at: UtcMillis,
        /// When it was revoked.
        pub revoked_at: Option<UtcMillis>,
        /// Why.
        pub reason: Option<RevocationReason>,
        /// The serial number of the one that took its place.
        pub replaced_by: Option<String>,
    }
}

/// A certificate to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Serial and issuer.
    pub name: CertificateName,
    /// The role, where the issuer is none of ours.
    pub role: CaRole,
    /// Whose.
    pub subject: String,
    /// The enrolment's generation; 0 where there is none.
    pub subject_generation: i64,
    /// SHA-256 of its DER.
    pub fingerprint: [u8; 32],
    /// Not before.
    pub not_before: UtcMillis,
    /// Not after.
    pub not_after: UtcMillis,
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Revoked {
    /// The certificate as it stands now.
    pub certificate: Certificate,
    /// What joined the blocked list: to be told to the gateways after the commit.
    pub blocked: Option<BlockedEntry>,
}

/// What a list of certificates is narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Its role.
    pub role: Option<CaRole>,
    /// Whose, exactly.
    pub subject: Option<String>,
    /// Revoked ones only, or those that are not.
    pub revoked: Option<bool>,
    /// Those that end before this moment.
    pub ends_before: Option<UtcMillis>,
}

/// The subject of a device's certificate.
#[must_use]
pub fn device(enrolment: EnrolmentId) -> String {
    format!("postern:device:{enrolment}")
}

/// The DNS name that a device's certificates bear.
pub fn dns_name(r: &mut Reader, id: EnrolmentId) -> Result<Option<String>, StoreError> {
    Ok(each!(r.conn, c => n::certificate_names
        .filter(n::enrolment.eq(db(id)))
        .select(n::dns_name)
        .get_result(c)
        .optional())?)
}

/// From now on a device's certificates bear this DNS name, or none.
pub fn set_dns_name(tx: &mut Tx, id: EnrolmentId, dns_name: Option<&str>) -> Result<(), StoreError> {
    each!(tx.conn, c => diesel::delete(n::certificate_names.filter(n::enrolment.eq(db(id)))).execute(c))?;
    if let Some(name) = dns_name {
        let row = DnsName { enrolment: id, dns_name: name.to_ascii_lowercase() };
        each!(tx.conn, c => diesel::insert_into(n::certificate_names).values(row).execute(c))?;
    }
    Ok(())
}

/// Devices other than `except`, not retired, whose certificate bears this DNS name (in small letters), or is the one with this SHA-256.
pub fn devices_by(
    r: &mut Reader,
    dns_name: Option<&str>,
    fingerprints: &[[u8; 32]],
    except: EnrolmentId,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let mut ids: Vec<Db<EnrolmentId>> = Vec::new();
    if let Some(name) = dns_name {
        ids.extend(each!(r.conn, c => n::certificate_names
            .inner_join(e::enrolments.on(e::id.eq(n::enrolment)))
            .filter(n::dns_name.eq(name))
            .filter(e::state.ne(EnrolmentState::Retired.as_str()))
            .select(e::id)
            .load::<Db<EnrolmentId>>(c))?);
    }
    if !fingerprints.is_empty() {
        let wanted: Vec<Vec<u8>> = fingerprints.iter().map(|digest| digest.to_vec()).collect();
        ids.extend(each!(r.conn, c => e::enrolments
            .filter(e::certificate_fingerprint.eq_any(&wanted))
            .filter(e::state.ne(EnrolmentState::Retired.as_str()))
            .select(e::id)
            .load::<Db<EnrolmentId>>(c))?);
    }
    let ids = ids
        .into_iter()
        .map(|id| EnrolmentId::try_from(id).map_err(|error| StoreError::Damaged(error.to_string())));
    let mut found: Vec<EnrolmentId> = ids.collect::<Result<_, _>>()?;
    found.retain(|id| *id != except);
    Ok(found)
}

/// Whether the certificate of a device other than `except`, not retired, bears this DNS name (in small letters) too.
pub fn shares_dns_name(r: &mut Reader, dns_name: &str, except: EnrolmentId) -> Result<bool, StoreError> {
    let found: i64 = each!(r.conn, c => n::certificate_names
        .inner_join(e::enrolments.on(e::id.eq(n::enrolment)))
        .filter(n::dns_name.eq(dns_name))
        .filter(n::enrolment.ne(db(except)))
        .filter(e::state.ne(EnrolmentState::Retired.as_str()))
        .count()
        .get_result(c))?;
    Ok(found > 0)
}

/// Keeps a certificate; the ones that its subject had of the same role, and that are neither revoked nor replaced,
/// are replaced by it from now on (they stay valid until they end or are revoked).
pub fn insert(tx: &mut Tx, issued: &Issued) -> Result<(), StoreError> {
    let authority = authorities::by_issuer(tx, &issued.name.issuer)?;
    let role = authority.as_ref().map_or(issued.role, |authority| authority.role);
    each!(tx.conn, c => diesel::update(t::certificates)
        .filter(t::subject.eq(&issued.subject))
        .filter(t::role.eq(db(role)))
        .filter(t::revoked_at.is_null())
        .filter(t::replaced_by.is_null())
        .set(t::replaced_by.eq(Some(&issued.name.serial)))
        .execute(c))?;
    let row = Certificate {
        issuer: issued.name.issuer.clone(),
        serial: issued.name.serial.clone(),
        role,
        authority: authority.map_or(0, |authority| authority.generation),
        subject: issued.subject.clone(),
        subject_generation: issued.subject_generation,
        fingerprint: issued.fingerprint,
        not_before: issued.not_before,
        not_after: issued.not_after,
        issued_at: tx.now(),
        revoked_at: None,
        reason: None,
        replaced_by: None,
    };
    each!(tx.conn, c => diesel::insert_into(t::certificates).values(row).execute(c))?;
    Ok(())
}

/// The certificate of this name.
pub fn find(r: &mut Reader, name: &CertificateName) -> Result<Option<Certificate>, StoreError> {
    Ok(each!(r.conn, c => t::certificates
        .filter(t::issuer.eq(&name.issuer))
        .filter(t::serial.eq(&name.serial))
        .select(Certificate::as_select())
        .first(c)
        .optional())?)
}

/// The certificates with this serial number: of one CA at most one, of several CAs perhaps more.
pub fn by_serial(r: &mut Reader, serial: &str) -> Result<Vec<Certificate>, StoreError> {
    let serial = normal(serial);
    Ok(each!(r.conn, c => t::certificates
        .filter(t::serial.eq(&serial))
        .limit(10)
        .select(Certificate::as_select())
        .load(c))?)
}

/// A subject's certificates, the newest first.
pub fn of(r: &mut Reader, subject: &str, limit: i64) -> Result<Vec<Certificate>, StoreError> {
    Ok(each!(r.conn, c => t::certificates
        .filter(t::subject.eq(subject))
        .order((t::issued_at.desc(), t::serial))
        .limit(limit)
        .select(Certificate::as_select())
        .load(c))?)
}

/// A page of certificates in order of serial number, those after `after`.
pub fn list(
    r: &mut Reader,
    filter: &Filter,
    after: &str,
    limit: i64,
) -> Result<Vec<Certificate>, StoreError> {
    Ok(each!(r.conn, c => {
        let mut query = t::certificates
            .into_boxed()
            .filter(t::serial.gt(after))
            .order(t::serial)
            .limit(limit)
            .select(Certificate::as_select());
        if let Some(role) = filter.role {
            query = query.filter(t::role.eq(db(role)));
        }
        if let Some(subject) = &filter.subject {
            query = query.filter(t::subject.eq(subject.clone()));
        }
        match filter.revoked {
            Some(true) => query = query.filter(t::revoked_at.is_not_null()),
            Some(false) => query = query.filter(t::revoked_at.is_null()),
            None => {}
        }
        if let Some(before) = filter.ends_before {
            query = query.filter(t::not_after.lt(before.0));
        }
        query.load(c)
    })?)
}

/// What a CA's CRL lists: its revoked certificates that end after `ended`.
pub fn revoked(r: &mut Reader, issuer: &str, ended: UtcMillis) -> Result<Vec<Certificate>, StoreError> {
    Ok(each!(r.conn, c => t::certificates
        .filter(t::issuer.eq(issuer))
        .filter(t::revoked_at.is_not_null())
        .filter(t::not_after.gt(ended.0))
        .order(t::serial)
        .select(Certificate::as_select())
        .load(c))?)
}

/// The verdict of the blocked list over a certificate that was revoked for this reason: whose key somebody else may
/// have is refused; any other may still fetch its wipe.
#[must_use]
pub const fn verdict(reason: RevocationReason) -> Admission {
    match reason {
        RevocationReason::KeyCompromise | RevocationReason::CaCompromise => Admission::Refuse,
        _ => Admission::WipeOnly,
    }
}

/// Revokes the certificate with this serial number.
///
/// # Errors
/// [`StoreError::NotFound`]; [`StoreError::Conflict`] when several CAs gave this number; [`StoreError::Refused`] when
/// it is revoked already (a later, graver reason is taken: `certificate-hold` to any, any to a compromise).
pub fn revoke(tx: &mut Tx, serial: &str, reason: RevocationReason) -> Result<Revoked, StoreError> {
    let mut found = by_serial(tx, serial)?;
    if found.len() > 1 {
        return Err(StoreError::Conflict(format!(
            "{} CAs have given the serial number {serial}",
            found.len()
        )));
    }
    let mut row = found.pop().ok_or(StoreError::NotFound("certificate"))?;
    if let (Some(at), Some(before)) = (row.revoked_at, row.reason) {
        let graver = verdict(before) != Admission::Refuse && verdict(reason) == Admission::Refuse;
        let from_hold = before == RevocationReason::CertificateHold && reason != before;
        if !graver && !from_hold {
            return Err(StoreError::Refused(format!("the certificate was revoked at {at}: {before}")));
        }
    }
    let at = row.revoked_at.unwrap_or(tx.now());
    each!(tx.conn, c => diesel::update(t::certificates)
        .filter(t::issuer.eq(&row.issuer))
        .filter(t::serial.eq(&row.serial))
        .set((t::revoked_at.eq(Some(at.0)), t::reason.eq(db(Some(reason)))))
        .execute(c))?;
    row.revoked_at = Some(at);
    row.reason = Some(reason);
    authorities::crl_is_stale(tx, &row.issuer)?;
    // Devices judge a server by its CRL; whoever comes to us is judged by the blocked list.
    let blocked = match row.role {
        CaRole::Server => None,
        CaRole::Device => Some(verdict(reason)),
        CaRole::Link => Some(Admission::Refuse),
    };
    let blocked = match blocked {
        Some(verdict) => {
            let name = CertificateName { serial: row.serial.clone(), issuer: row.issuer.clone() };
            let entry = BlockedEntry { subject: BlockedSubject::Certificate(name), verdict };
            lists::change(tx, List::Blocked, &[as_change(&entry)?])?;
            Some(entry)
        }
        None => None,
    };
    Ok(Revoked { certificate: row, blocked })
}

/// An entry of the blocked list as its rows have it.
pub(crate) fn as_change(entry: &BlockedEntry) -> Result<Change, StoreError> {
    let text =
        serde_json::to_string(&entry.subject).map_err(|error| StoreError::Damaged(error.to_string()))?;
    Ok(Change::Add { entry: text, verdict: entry.verdict.as_str().to_owned() })
}

/// Devices whose certificate another generation than `signing` has signed, in order of id: enrolments that are not
/// retired. What a certificate is shows in its row; a device without one is no straggler.
pub fn device_stragglers(
    r: &mut Reader,
    signing: i64,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<(EnrolmentId, String, i64)>, StoreError> {
    use crate::tables::enrolments::dsl as e;
    let rows: Vec<(Vec<u8>, String, i64)> = each!(r.conn, c => {
        let mut query = e::enrolments
            .inner_join(t::certificates.on(t::serial.nullable().eq(e::certificate_serial)))
            .filter(t::role.eq(db(CaRole::Device)))
            .filter(t::authority.ne(signing))
            .filter(e::state.ne(db(EnrolmentState::Retired)))
            .order(e::id)
            .limit(limit)
            .select((e::id, e::name, t::authority))
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(e::id.gt(db(after)));
        }
        query.load(c)
    })?;
    rows.into_iter().map(|(octets, name, authority)| Ok((enrolment_id(octets)?, name, authority))).collect()
}

/// The devices that are not retired and whose certificate is of this generation of the device CA, in order of id after `after`.
pub fn devices_of(
    r: &mut Reader,
    generation: i64,
    after: Option<EnrolmentId>,
    limit: i64,
) -> Result<Vec<EnrolmentId>, StoreError> {
    use crate::tables::enrolments::dsl as e;
    let rows: Vec<Vec<u8>> = each!(r.conn, c => {
        let mut query = e::enrolments
            .inner_join(t::certificates.on(t::serial.nullable().eq(e::certificate_serial)))
            .filter(t::role.eq(db(CaRole::Device)))
            .filter(t::authority.eq(generation))
            .filter(e::state.ne(db(EnrolmentState::Retired)))
            .order(e::id)
            .limit(limit)
            .select(e::id)
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(e::id.gt(db(after)));
        }
        query.load(c)
    })?;
    rows.into_iter().map(enrolment_id).collect()
}

/// A device is known to trust the server CA of this generation.
pub fn trusts_server(tx: &mut Tx, enrolment: EnrolmentId, generation: i64) -> Result<(), StoreError> {
    use crate::tables::server_trust::dsl as s;
    let at = tx.now().0;
    each!(tx.conn, c => diesel::delete(s::server_trust.filter(s::enrolment.eq(db(enrolment)))).execute(c))?;
    each!(tx.conn, c => diesel::insert_into(s::server_trust)
        .values((s::enrolment.eq(db(enrolment)), s::generation.eq(generation), s::at.eq(at)))
        .execute(c))?;
    Ok(())
}

/// Devices that are not known to trust the server CA of generation `signing`, in order of id: enrolments that are not
/// retired. One of which nothing is known was enrolled under the first generation.
pub fn server_stragglers(
    r: &mut Reader,
    signing: i64,
    limit: i64,
) -> Result<Vec<(EnrolmentId, String, i64)>, StoreError> {
    use crate::tables::{enrolments::dsl as e, server_trust::dsl as s};
    let rows: Vec<(Vec<u8>, String, Option<i64>)> = each!(r.conn, c => e::enrolments
        .left_join(s::server_trust.on(s::enrolment.eq(e::id)))
        .filter(e::state.ne(db(EnrolmentState::Retired)))
        .filter(s::generation.is_null().or(s::generation.lt(signing).assume_not_null()))
        .order(e::id)
        .limit(limit)
        .select((e::id, e::name, s::generation.nullable()))
        .load(c))?;
    rows.into_iter()
        .map(|(octets, name, generation)| Ok((enrolment_id(octets)?, name, generation.unwrap_or(1))))
        .collect()
}

fn enrolment_id(octets: Vec<u8>) -> Result<EnrolmentId, StoreError> {
    let id = uuid::Uuid::from_slice(&octets);
    id.map(EnrolmentId).map_err(|_| StoreError::Damaged(format!("an id of {} octets", octets.len())))
}

/// Certificates of a role, neither revoked nor replaced nor ended, that another generation than `signing` has signed.
pub fn stragglers(
    r: &mut Reader,
    role: CaRole,
    signing: i64,
    now: UtcMillis,
    limit: i64,
) -> Result<Vec<Certificate>, StoreError> {
    Ok(each!(r.conn, c => t::certificates
        .filter(t::role.eq(db(role)))
        .filter(t::authority.ne(signing))
        .filter(t::revoked_at.is_null())
        .filter(t::replaced_by.is_null())
        .filter(t::not_after.gt(now.0))
        .order(t::subject)
        .limit(limit)
        .select(Certificate::as_select())
        .load(c))?)
}

/// When a certificate is to be renewed: before a third of its life is left, or as soon as its CA no longer signs.
#[must_use]
pub fn is_due(certificate: &Certificate, signs: Option<CaState>, now: UtcMillis) -> bool {
    let life = certificate.not_after.since(certificate.not_before).max(0);
    let aged = now >= certificate.not_after.plus(-(life / 3));
    aged || matches!(signs, Some(CaState::Trusted | CaState::Retired))
}

fn normal(serial: &str) -> String {
    let plain: String = serial.chars().filter(|c| *c != ':').collect();
    plain.trim_start_matches("00").to_ascii_lowercase()
}
