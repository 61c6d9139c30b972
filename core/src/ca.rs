//! The minimal CA: one issuing CA for each role (device, link, server), and certificates under them.
//!
//! Promise: of a signing request only the public key is taken, after its own signature was checked; every
//! extension is ours. SAN URIs are `postern:<role>:<id>` (docs/CERTIFICATES.md, "Who trusts what"). Keys are ECDSA P-256.
//!
//! - [`key`]: the CAs' own keys; `request`: signing requests.
//! - `authorities`: the CAs of a running core, by role and generation, as who needs a certificate asks for them.
//! - [`roll`]: from one generation to the next; `trust`: who is told what to trust; [`crl`]: revocation lists, made and
//!   imported; [`external`]: certificates of a CA that is not ours; `own`: this core's own
//!   certificates; `expiry`: alarms; `serve`: CRLs for whoever asks.

mod authorities;
mod certified;
pub mod crl;
mod expiry;
pub mod external;
pub mod key;
mod own;
mod request;
pub mod roll;
mod serve;
pub(crate) mod stragglers;
mod trust;

pub(crate) use authorities::chain_of;
pub use authorities::{Authorities, certificates_of as certificates_in};
pub use certified::{Certified, keep};
pub(crate) use own::keep_certificates;
pub use request::{CSR_LIMIT, request_der};
pub(crate) use serve::{CrlEndpoint, configure as configure_crls};
pub(crate) use trust::changed;

use std::net::IpAddr;

use postern_wire::terms::{EnrolmentId, UtcMillis};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use key::{CaKey, HeldKey};
use request::public_key;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// A new certificate holds from so much before now: clocks are never quite equal.
const SKEW_MS: i64 = 5 * 60 * 1000;
/// How long servers' and links' own certificates hold, in days.
pub const OWN_DAYS: u32 = 398;
/// How long a CA holds, in days.
pub const CA_DAYS: u32 = 3650;
/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The signing request is not one, or does not hold.
    #[error("the signing request {0}")]
    Request(&'static str),
    /// A name cannot stand in a certificate.
    #[error("{0:?} cannot stand in a certificate")]
    Name(String),
    /// The CA's own certificate or key cannot be used.
    #[error("the CA cannot sign: {0}")]
    Issuer(String),
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Issuer(error.to_string())
    }
}

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A device: clientAuth, `postern:device:<enrolment>`.
    Device(EnrolmentId),
    /// The same, with the DNS name of its computer in the directory.
    DeviceWithName {
        /// The enrolment.
        id: EnrolmentId,
        /// The name.
        dns_name: String,
    },
    /// A core's side of the links: clientAuth, `postern:core:<id>`.
    CoreLink(uuid::Uuid),
    /// A gateway's side of the links: serverAuth, `postern:gateway:<name>`.
    GatewayLink(String),
    /// A server that devices or admins reach: serverAuth, names and addresses, `postern:<role>:<id>`.
    Server {
        /// `core` or `gateway`.
        role: &'static str,
        /// Its id or name.
        id: String,
        /// Host names and addresses.
        names: Vec<String>,
    },
}

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The moment of issue.
    pub now: UtcMillis,
    /// For how many days.
    pub days: u32,
}

impl Validity {
    const fn ends(self) -> UtcMillis {
        self.now.plus(self.days as i64 * DAY_MS)
    }
}

fn since_epoch(at: UtcMillis) -> std::time::Duration {
    std::time::Duration::from_secs(u64::try_from(at.0.div_euclid(1000)).unwrap_or(0))
}

/// A certificate and what is kept of it.
#[derive(Clone, Debug)]
pub struct Issued {
    /// PEM, without its issuer.
    pub pem: String,
    /// DER.
    pub der: Vec<u8>,
    /// Serial number in lower-case hex.
    pub serial: String,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
    /// Not before.
    pub not_before: UtcMillis,
    /// Not after.
    pub not_after: UtcMillis,
}

/// A CA that can sign.
pub struct Ca {
    issuer: Issuer<'static, Signer>,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    not_after: UtcMillis,
}

/// A CA's key as the library wants it.
struct Signer(Box<dyn CaKey>);

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.0.public()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(text).map_err(|fault| {
            tracing::error!(%fault, "a CA's key cannot be used");
            rcgen::Error::RemoteKeyError
        })
    }
}

impl Ca {
    /// Makes the first CA for `role`; gives it with its key in PEM.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn make(
        role: &str,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<(Self, Zeroizing<String>), CaError> {
        let (key, text) = HeldKey::fresh();
        Ok((Self::make_with(&ca_name(role, 1), Box::new(key), serial, validity)?, text))
    }

    /// Makes a CA of this name with this key, certified by itself.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn make_with(
        name: &str,
        key: Box<dyn CaKey>,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Self, CaError> {
        let signer = Signer(key);
        // One CA may stand below it: the one of the next generation, while both are trusted.
        let certificate = ca_params(name, serial, validity, 1).self_signed(&signer)?;
        Self::with(certificate.der().clone(), signer.0)
    }

    /// A CA from its files; of several certificates the first signs.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, CaError> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes())
            .map_err(|_| CaError::Issuer("its certificate is not PEM".to_owned()))?;
        let key = HeldKey::from_pem(key_pem)
            .ok_or_else(|| CaError::Issuer("its key is not ECDSA P-256 in PKCS#8 PEM".to_owned()))?;
        let mut ca = Self::with(CertificateDer::from(pem.contents), Box::new(key))?;
        ca.certificate_pem = certificate_pem.to_owned();
        Ok(ca)
    }

    /// A CA from its certificate and its key, which have to belong together.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn with(certificate: CertificateDer<'static>, key: Box<dyn CaKey>) -> Result<Self, CaError> {
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|_| CaError::Issuer("its certificate is not X.509".to_owned()))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public() {
            return Err(CaError::Issuer("its certificate is of another key".to_owned()));
        }
        let not_after = UtcMillis(parsed.validity().not_after.timestamp().saturating_mul(1000));
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&certificate, Signer(key))?,
            certificate_pem: certificate_pem(&certificate),
            certificate,
            not_after,
        })
    }

    /// Certifies the next generation's key under its own name: who trusts this CA alone can follow to the next.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn bridge(
        &self,
        next: &Self,
        name: &str,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<CertificateDer<'static>, CaError> {
        let mut distinguished = rcgen::DistinguishedName::new();
        distinguished.push(DnType::CommonName, name);
        self.bridge_named(next, distinguished, serial, validity)
    }

    fn bridge_named(
        &self,
        next: &Self,
        name: rcgen::DistinguishedName,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<CertificateDer<'static>, CaError> {
        let mut params = ca_params("", serial, validity, 0);
        params.distinguished_name = name;
        params.use_authority_key_identifier_extension = true;
        self.clamp(&mut params, validity);
        let made = params.signed_by(next.issuer.key(), &self.issuer)?.der().clone();
        let names = |der: &CertificateDer<'_>| {
            X509Certificate::from_der(der).map(|(_, read)| read.subject().as_raw().to_vec()).ok()
        };
        if names(&made).is_none() || names(&made) != names(&next.certificate) {
            return Err(CaError::Issuer("the next CA's name cannot be written as it stands".to_owned()));
        }
        Ok(made)
    }

    /// A signing request for this CA's key and name: another CA is to certify it.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn request(name: &str, key: Box<dyn CaKey>) -> Result<Vec<u8>, CaError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params.serialize_request(&Signer(key))?.der().to_vec())
    }

    /// The CA's own certificate (or certificates), PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's own certificate, DER.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A new key and a certificate over it; gives the key in PEM.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue(
        &self,
        subject: &Subject,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<(Issued, String), CaError> {
        let key = KeyPair::generate()?;
        Ok((self.sign(&key, subject, serial, validity)?, key.serialize_pem()))
    }

    /// A certificate over the public key of a PKCS#10 request in PEM.
    ///
    /// # Errors
    /// [`CaError::Request`] when the request does not hold; others as named.
    pub fn sign_request(
        &self,
        request_pem: &str,
        subject: &Subject,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Issued, CaError> {
        self.sign_request_der(&request_der(request_pem)?, subject, serial, validity)
    }

    /// A certificate over the public key of a PKCS#10 request in DER.
    ///
    /// # Errors
    /// [`CaError::Request`] when the request does not hold; others as named.
    pub fn sign_request_der(
        &self,
        request: &[u8],
        subject: &Subject,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Issued, CaError> {
        let key = public_key(request)?;
        self.sign(&key, subject, serial, validity)
    }

    /// What it signs ends with it at the latest.
    fn clamp(&self, params: &mut CertificateParams, validity: Validity) {
        if self.not_after < validity.ends() {
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(self.not_after);
        }
    }

    fn sign(
        &self,
        key: &impl rcgen::PublicKeyData,
        subject: &Subject,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Issued, CaError> {
        let mut params = params(serial, validity);
        self.clamp(&mut params, validity);
        describe(&mut params, subject)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params.signed_by(key, &self.issuer)?;
        let facts = read_certificate(certificate.der()).map_err(|reason| {
            CaError::Issuer(format!("the certificate that was made cannot be read: {reason}"))
        })?;
        Ok(Issued {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            serial: facts.serial,
            fingerprint: facts.fingerprint,
            not_before: facts.not_before,
            not_after: facts.not_after,
        })
    }
}

/// The name of a role's CA.
#[must_use]
pub fn ca_name(role: &str, generation: i64) -> String {
    match generation {
        1 => format!("Postern {role} CA"),
        _ => format!("Postern {role} CA {generation}"),
    }
}

fn ca_params(name: &str, serial: [u8; 16], validity: Validity, below: u8) -> CertificateParams {
    let mut params = params(serial, validity);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(mut serial: [u8; 16], validity: Validity) -> CertificateParams {
    serial[0] = (serial[0] & 0x7f) | 0x40; // positive, and of full length
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    // rcgen's time type is of a crate that we do not name: it is reached from the epoch.
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(validity.now.plus(-SKEW_MS));
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(validity.ends());
    params
}

fn describe(params: &mut CertificateParams, subject: &Subject) -> Result<(), CaError> {
    let mut uri = |role: &str, id: &str| -> Result<(), CaError> {
        let uri = format!("postern:{role}:{id}");
        let name = uri.clone().try_into().map_err(|_| CaError::Name(uri))?;
        params.subject_alt_names.push(SanType::URI(name));
        params.distinguished_name.push(DnType::CommonName, id);
        Ok(())
    };
    let usage = match subject {
        Subject::Device(id) => {
            uri("device", &id.to_string())?;
            ExtendedKeyUsagePurpose::ClientAuth
        }
        Subject::DeviceWithName { id, dns_name } => {
            uri("device", &id.to_string())?;
            let name = dns_name.clone().try_into().map_err(|_| CaError::Name(dns_name.clone()))?;
            params.subject_alt_names.push(SanType::DnsName(name));
            ExtendedKeyUsagePurpose::ClientAuth
        }
        Subject::CoreLink(id) => {
            uri("core", &id.to_string())?;
            ExtendedKeyUsagePurpose::ClientAuth
        }
        Subject::GatewayLink(name) => {
            uri("gateway", name)?;
            ExtendedKeyUsagePurpose::ServerAuth
        }
        Subject::Server { role, id, names } => {
            uri(role, id)?;
            for name in names {
                params.subject_alt_names.push(match name.parse::<IpAddr>() {
                    Ok(address) => SanType::IpAddress(address),
                    Err(_) => {
                        SanType::DnsName(name.clone().try_into().map_err(|_| CaError::Name(name.clone()))?)
                    }
                });
            }
            ExtendedKeyUsagePurpose::ServerAuth
        }
    };
    params.extended_key_usages = vec![usage];
    Ok(())
}

/// A certificate in PEM, lines of 64 characters (RFC 7468).
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    pem("CERTIFICATE", der)
}

/// DER in PEM under a label.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let base64 = data_encoding::BASE64.encode(der);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// What is read of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Serial number in lower-case hex.
    pub serial: String,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
    /// Not before.
    pub not_before: UtcMillis,
    /// Not after.
    pub not_after: UtcMillis,
}

/// Reads a certificate.
///
/// # Errors
/// One clause that says what is wrong.
pub fn read_certificate(der: &CertificateDer<'_>) -> Result<CertificateFacts, &'static str> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "it is not X.509")?;
    Ok(CertificateFacts {
        serial: data_encoding::HEXLOWER.encode(certificate.raw_serial()),
        fingerprint: Sha256::digest(der.as_ref()).into(),
        not_before: UtcMillis(certificate.validity().not_before.timestamp().saturating_mul(1000)),
        not_after: UtcMillis(certificate.validity().not_after.timestamp().saturating_mul(1000)),
    })
}
