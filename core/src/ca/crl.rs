//! Certificate revocation lists (RFC 5280 5): made for third parties and TLS peers, imported from other CAs.
//!
//! Promise: the blocked list is the gate, by which gateways and cores judge each request, also with no core at hand;
//! a CRL says the same to who is not ours. A CRL of ours is made anew after each revocation and each day, its number one
//! more than the last; it lists what is revoked and has not ended a week ago. A CRL of another CA is taken when it bears
//! that CA's signature, and what it lists joins the blocked list in the same transaction.

use postern_store::{
    WriteError,
    authorities::{self as rows, Authority},
    certificates, crls,
};
use postern_wire::{
    link::{CertificateName, issuer_hash},
    terms::{CaState, RevocationReason, UtcMillis},
};
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason as Reason, RevokedCertParams, SerialNumber,
};
use x509_parser::{
    extensions::ParsedExtension,
    prelude::{CertificateRevocationList, FromDer as _, X509Certificate},
    x509::ReasonCode,
};

use super::{Ca, CaError, DAY_MS, since_epoch};
use crate::inside::Inside;

/// A CRL holds so long, in days.
pub const DAYS: i64 = 7;
/// A CRL is made anew after so long, milliseconds.
const ANEW_MS: i64 = DAY_MS;
/// The largest CRL that is read, in octets.
pub const CRL_LIMIT: usize = 4 * 1024 * 1024;

impl Ca {
    /// A CRL of this CA, DER.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn crl(
        &self,
        number: u64,
        revoked: &[certificates::Certificate],
        now: UtcMillis,
    ) -> Result<Vec<u8>, CaError> {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let entry = |row: &certificates::Certificate| {
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(
                    &data_encoding::HEXLOWER.decode(row.serial.as_bytes()).ok()?,
                ),
                revocation_time: epoch + since_epoch(row.revoked_at?),
                reason_code: row.reason.and_then(code),
                invalidity_date: None,
            })
        };
        let octets = number.to_be_bytes();
        let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1);
        let params = CertificateRevocationListParams {
            this_update: epoch + since_epoch(now),
            next_update: epoch + since_epoch(now.plus(DAYS * DAY_MS)),
            crl_number: SerialNumber::from_slice(&octets[start..]),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().filter_map(entry).collect(),
            key_identifier_method: self.key_identifier(),
        };
        Ok(params.signed_by(&self.issuer)?.der().to_vec())
    }

    /// The CA's own key identifier: another CA may have made it by a way of its own.
    fn key_identifier(&self) -> KeyIdMethod {
        let own = X509Certificate::from_der(&self.certificate).ok().and_then(|(_, read)| {
            read.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            })
        });
        own.map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified)
    }
}

const fn code(reason: RevocationReason) -> Option<Reason> {
    match reason {
        // RFC 5280 5.3.1: absent rather than unspecified.
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(Reason::KeyCompromise),
        RevocationReason::CaCompromise => Some(Reason::CaCompromise),
        RevocationReason::AffiliationChanged => Some(Reason::AffiliationChanged),
        RevocationReason::Superseded => Some(Reason::Superseded),
        RevocationReason::CessationOfOperation => Some(Reason::CessationOfOperation),
        RevocationReason::CertificateHold => Some(Reason::CertificateHold),
        RevocationReason::PrivilegeWithdrawn => Some(Reason::PrivilegeWithdrawn),
    }
}

const fn reason_of(code: Option<ReasonCode>) -> RevocationReason {
    match code {
        Some(ReasonCode::KeyCompromise) => RevocationReason::KeyCompromise,
        Some(ReasonCode::CACompromise) => RevocationReason::CaCompromise,
        Some(ReasonCode::AffiliationChanged) => RevocationReason::AffiliationChanged,
        Some(ReasonCode::Superseded) => RevocationReason::Superseded,
        Some(ReasonCode::CessationOfOperation) => RevocationReason::CessationOfOperation,
        Some(ReasonCode::CertificateHold) => RevocationReason::CertificateHold,
        Some(ReasonCode::PrivilegeWithdrawn) => RevocationReason::PrivilegeWithdrawn,
        _ => RevocationReason::Unspecified,
    }
}

/// Whether a CA's CRL is to be made now.
#[must_use]
pub fn is_due(row: &Authority, now: UtcMillis) -> bool {
    let ours = !row.key_file.is_empty() && row.state != CaState::Requested && now < row.not_after;
    ours && (row.crl_stale || row.crl_at.is_none_or(|at| now.since(at) >= ANEW_MS || now < at))
}

/// Makes the CRLs that are due. Gives how many were made.
///
/// # Errors
/// Where the rows cannot be read or written; a CA that cannot sign costs its own CRL only.
pub(crate) async fn make_due(inside: &Inside) -> Result<usize, WriteError> {
    let now = inside.now();
    let mut made = 0;
    let all = inside
        .store
        .read(rows::list)
        .await
        .map_err(|error| WriteError::Rejected(postern_store::StoreError::Database(error.to_string())))?;
    for row in all.into_iter().filter(|row| is_due(row, now)) {
        let authorities = std::sync::Arc::clone(&inside.authorities);
        let (role, generation) = (row.role, row.generation);
        let written = inside
            .store
            .write(move |tx| {
                // Read in the transaction that numbers it: what is revoked meanwhile is in the next one.
                let revoked = certificates::revoked(tx, &row.issuer, now.plus(-DAYS * DAY_MS))?;
                let number = row.crl_number + 1;
                let signed = authorities.with_generation(&row.issuer, |ca| {
                    ca.crl(u64::try_from(number).unwrap_or(1), &revoked, now)
                });
                let crl = signed.map_err(|error| postern_store::StoreError::Refused(error.to_string()))?;
                rows::set_crl(tx, &row.issuer, number, &crl, now.plus(DAYS * DAY_MS))?;
                Ok((number, revoked.len()))
            })
            .await;
        match written {
            Ok((number, revoked)) => {
                made += 1;
                tracing::info!(%role, generation, number, revoked, "CRL made");
            }
            Err(WriteError::Rejected(error)) => {
                tracing::error!(%role, generation, %error, "a CRL was not made");
            }
            Err(other) => return Err(other),
        }
    }
    Ok(made)
}

/// Why a CRL of another CA is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCrl {
    /// More than [`CRL_LIMIT`].
    #[error("the CRL is larger than 4 MiB")]
    TooLarge,
    /// It is none.
    #[error("this is no CRL in DER or PEM")]
    Unreadable,
    /// It is a delta, or for some certificates only.
    #[error("the CRL has a critical extension that is not served: only whole CRLs are")]
    Critical,
    /// Nobody knows its issuer.
    #[error("the CRL's issuer is none of the CAs that are known: give the CA's certificate with it")]
    UnknownIssuer,
    /// It is not the CA's word.
    #[error("the CRL does not bear its issuer's signature")]
    Signature,
    /// It should be newer.
    #[error("the CRL is out of date: its nextUpdate has passed")]
    OutOfDate,
    /// Its clock is ahead of ours.
    #[error("the CRL is of the future: its thisUpdate has not come")]
    Future,
}

/// A CRL of another CA, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// Its row, without who imported it.
    pub crl: crls::Imported,
    /// What it lists.
    pub entries: Vec<crls::Entry>,
}

/// Judges a CRL (DER or PEM). Its issuer is one of `known` (DER).
///
/// # Errors
/// [`BadCrl`].
pub fn judge(octets: &[u8], known: &[Vec<u8>], now: UtcMillis) -> Result<Foreign, BadCrl> {
    const SKEW_MS: i64 = 5 * 60 * 1000;
    if octets.len() > CRL_LIMIT {
        return Err(BadCrl::TooLarge);
    }
    let der = match x509_parser::pem::parse_x509_pem(octets) {
        Ok((_, pem)) if pem.label == "X509 CRL" => pem.contents,
        Ok(_) => return Err(BadCrl::Unreadable),
        Err(_) => octets.to_vec(),
    };
    let (rest, crl) = CertificateRevocationList::from_der(&der).map_err(|_| BadCrl::Unreadable)?;
    if !rest.is_empty() {
        return Err(BadCrl::Unreadable);
    }
    if crl.extensions().iter().any(|extension| extension.critical)
        || crl.iter_revoked_certificates().any(|entry| entry.extensions().iter().any(|one| one.critical))
    {
        return Err(BadCrl::Critical);
    }
    let issuer = crl.issuer().as_raw();
    let mut found = false;
    let signed = known.iter().any(|der| {
        let Ok((_, ca)) = X509Certificate::from_der(der) else { return false };
        let may = ca.key_usage().ok().flatten().is_none_or(|usage| usage.value.crl_sign());
        if ca.subject().as_raw() != issuer || !ca.is_ca() || !may {
            return false;
        }
        found = true;
        crl.verify_signature(ca.public_key()).is_ok()
    });
    match (found, signed) {
        (false, _) => return Err(BadCrl::UnknownIssuer),
        (true, false) => return Err(BadCrl::Signature),
        (true, true) => {}
    }
    let millis = |time: x509_parser::time::ASN1Time| UtcMillis(time.timestamp().saturating_mul(1000));
    let (this_update, next_update) = (millis(crl.last_update()), crl.next_update().map(millis));
    if next_update.is_some_and(|next| next < now) {
        return Err(BadCrl::OutOfDate);
    }
    if this_update > now.plus(SKEW_MS) {
        return Err(BadCrl::Future);
    }
    let name = issuer_hash(issuer);
    let entries: Vec<crls::Entry> = crl
        .iter_revoked_certificates()
        .map(|entry| crls::Entry {
            issuer: name.clone(),
            serial: CertificateName::new(entry.raw_serial(), issuer).serial,
            reason: reason_of(entry.reason_code().map(|(_, code)| code)),
            revoked_at: millis(entry.revocation_date),
        })
        .collect();
    // A hostile or careless list may name one twice: the last word holds.
    let entries: std::collections::BTreeMap<String, crls::Entry> =
        entries.into_iter().map(|entry| (entry.serial.clone(), entry)).collect();
    let number = crl.crl_number().map(|number| data_encoding::HEXLOWER.encode(&number.to_bytes_be()));
    Ok(Foreign {
        crl: crls::Imported {
            issuer: name,
            name: crl.issuer().to_string(),
            number: number.unwrap_or_default(),
            this_update,
            next_update,
            entries: i64::try_from(entries.len()).unwrap_or(i64::MAX),
            imported_at: now,
            imported_by: String::new(),
        },
        entries: entries.into_values().collect(),
    })
}
