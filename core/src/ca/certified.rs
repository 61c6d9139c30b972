//! A certificate that one of our CAs has issued, with what stands above it and the row that is kept of it.

use postern_actors::AuthorityError;
use postern_store::{StoreError, Tx, authorities as rows, certificates};
use postern_wire::{
    link::{CORE_URI_PREFIX, CertificateName, gateway_uri},
    terms::CaRole,
};
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Issued, Subject, certificate_pem};
use crate::device::Certificate;

/// A certificate that one of our CAs has issued.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate.
    pub issued: Issued,
    /// What stands between it and an anchor, the issuing CA first, DER.
    pub chain_der: Vec<Vec<u8>>,
    /// Serial and issuer, as the blocked list names it.
    pub name: CertificateName,
    /// What it is for.
    pub role: CaRole,
    /// Which generation signed it.
    pub authority: i64,
    /// Whose: `postern:<what>:<id>`.
    pub subject: String,
}

impl Certified {
    /// The certificate and what stands above it, PEM.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        std::iter::once(&self.issued.der).chain(&self.chain_der).map(|der| certificate_pem(der)).collect()
    }

    /// Its row, to be kept in the transaction that makes it count.
    #[must_use]
    pub fn row(&self, subject_generation: i64) -> certificates::Issued {
        certificates::Issued {
            name: self.name.clone(),
            role: self.role,
            subject: self.subject.clone(),
            subject_generation,
            fingerprint: self.issued.fingerprint,
            not_before: self.issued.not_before,
            not_after: self.issued.not_after,
        }
    }
}

impl Subject {
    /// Which role's CA it takes.
    #[must_use]
    pub const fn role(&self) -> CaRole {
        match self {
            Self::Device(_) | Self::DeviceWithName { .. } => CaRole::Device,
            Self::CoreLink(_) | Self::GatewayLink(_) => CaRole::Link,
            Self::Server { .. } => CaRole::Server,
        }
    }

    /// Its SAN URI.
    #[must_use]
    pub fn uri(&self) -> String {
        match self {
            Self::Device(id) | Self::DeviceWithName { id, .. } => certificates::device(*id),
            Self::CoreLink(id) => format!("{CORE_URI_PREFIX}{id}"),
            Self::GatewayLink(name) => gateway_uri(name),
            Self::Server { role, id, .. } => format!("postern:{role}:{id}"),
        }
    }
}

/// What `authority`, whose chain is `chain`, issued.
pub(super) fn certified(
    authority: &rows::Authority,
    chain: &[CertificateDer<'static>],
    subject: &Subject,
    issued: Issued,
) -> Result<Certified, AuthorityError> {
    let read =
        Certificate::read(&issued.der).map_err(|error| AuthorityError::Unavailable(error.to_string()))?;
    // A root proves nothing to who has it, and nothing to who has not; before a bridge it would even lead readers astray
    // that follow one path only (OpenSSL takes the first issuer that fits).
    let (all, bridged) = (chain.len(), authority.bridge.is_some());
    let root = chain.last().is_some_and(is_self_signed);
    let above = if root && (bridged || all > 1) { all - 1 } else { all };
    let own = chain[..above].iter().map(|der| der.to_vec());
    let chain_der = own.chain(authority.bridge.iter().cloned()).collect();
    Ok(Certified {
        name: read.name(),
        issued,
        chain_der,
        role: authority.role,
        authority: authority.generation,
        subject: subject.uri(),
    })
}

fn is_self_signed(der: &CertificateDer<'static>) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, read)| read.subject().as_raw() == read.issuer().as_raw())
}

/// Keeps a certificate that was issued.
///
/// # Errors
/// Where the row cannot be written.
pub fn keep(tx: &mut Tx, certified: &Certified, subject_generation: i64) -> Result<(), StoreError> {
    certificates::insert(tx, &certified.row(subject_generation))
}
