//! The minimal CA: one issuing CA for each role (device, link, server), and certificates under them.
//!
//! Promise: of a signing request only the public key is taken, after its own signature was checked; every
//! extension is ours. SAN URIs are `postern:<role>:<id>` (architecture, "Certificates"). Keys are ECDSA P-256.
//!
//! - `authorities`: the CAs of a running core, as who enrols devices asks for them.

mod authorities;

pub use authorities::Authorities;

use std::net::IpAddr;

use postern_wire::terms::{EnrolmentId, UtcMillis};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// A new certificate holds from so much before now: clocks are never quite equal.
const SKEW_MS: i64 = 5 * 60 * 1000;
/// How long a CA holds, in days.
pub const CA_DAYS: u32 = 3650;
/// The longest signing request that is read, in octets.
pub const CSR_LIMIT: usize = 16 * 1024;

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
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl Ca {
    /// Makes a CA for `role`; gives it with its key in PEM.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn make(role: &str, serial: [u8; 16], validity: Validity) -> Result<(Self, String), CaError> {
        let key = KeyPair::generate()?;
        let key_pem = key.serialize_pem();
        let mut params = params(serial, validity);
        params.distinguished_name.push(DnType::CommonName, format!("Postern {role} CA"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok((Self { issuer: Issuer::new(params, key), certificate_pem }, key_pem))
    }

    /// A CA from its files; of several certificates the first signs.
    ///
    /// # Errors
    /// [`CaError::Issuer`].
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, CaError> {
        let key = KeyPair::from_pem(key_pem)?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(certificate_pem, key)?,
            certificate_pem: certificate_pem.to_owned(),
        })
    }

    /// The CA's own certificate (or certificates), PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
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

    fn sign(
        &self,
        key: &impl rcgen::PublicKeyData,
        subject: &Subject,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Issued, CaError> {
        let mut params = params(serial, validity);
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

fn params(mut serial: [u8; 16], validity: Validity) -> CertificateParams {
    serial[0] = (serial[0] & 0x7f) | 0x40; // positive, and of full length
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    // rcgen's time type is of a crate that we do not name: it is reached from the epoch.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since =
        |at: UtcMillis| std::time::Duration::from_secs(u64::try_from(at.0.div_euclid(1000)).unwrap_or(0));
    params.not_before = epoch + since(validity.now.plus(-SKEW_MS));
    params.not_after = epoch + since(validity.now.plus(i64::from(validity.days) * DAY_MS));
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

/// A signing request in PEM as DER.
///
/// # Errors
/// [`CaError::Request`].
pub fn request_der(request_pem: &str) -> Result<Vec<u8>, CaError> {
    if request_pem.len() > CSR_LIMIT {
        return Err(CaError::Request("is too long"));
    }
    let (_, pem) = x509_parser::pem::parse_x509_pem(request_pem.as_bytes())
        .map_err(|_| CaError::Request("is not PEM"))?;
    if !matches!(pem.label.as_str(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
        return Err(CaError::Request("is PEM of another kind"));
    }
    Ok(pem.contents)
}

/// The public key of a PKCS#10 request, its own signature checked. EC P-256 and P-384, RSA of 2048 bits and more.
fn public_key(request_der: &[u8]) -> Result<SubjectPublicKeyInfo, CaError> {
    if request_der.len() > CSR_LIMIT {
        return Err(CaError::Request("is too long"));
    }
    let (rest, request) =
        X509CertificationRequest::from_der(request_der).map_err(|_| CaError::Request("is not PKCS#10"))?;
    if !rest.is_empty() {
        return Err(CaError::Request("has octets behind its end"));
    }
    request.verify_signature().map_err(|_| CaError::Request("does not bear its own key's signature"))?;
    let spki = &request.certification_request_info.subject_pki;
    match spki.parsed().map_err(|_| CaError::Request("holds a key that cannot be read"))? {
        x509_parser::public_key::PublicKey::EC(point) if matches!(point.key_size(), 256 | 384) => {}
        x509_parser::public_key::PublicKey::RSA(key) if key.key_size() >= 2048 => {}
        _ => {
            return Err(CaError::Request(
                "holds a key that is neither EC P-256 or P-384 nor RSA of 2048 bits",
            ));
        }
    }
    SubjectPublicKeyInfo::from_der(spki.raw).map_err(|_| CaError::Request("holds a key of an unknown kind"))
}

/// A certificate in PEM, lines of 64 characters (RFC 7468).
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    pem("CERTIFICATE", der)
}

fn pem(label: &str, der: &[u8]) -> String {
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
