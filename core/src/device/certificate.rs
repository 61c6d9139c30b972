//! A device's certificate as the core's rules read it. The gateway's handshake proved chain and key; what is
//! judged here is judged again for each request.

use postern_actors::CertificateFacts;
use postern_wire::{
    link::{Admission, CertificateName},
    terms::{EnrolmentId, UtcMillis},
};
use sha2::{Digest as _, Sha256};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer as _, X509Certificate},
};

/// How far a device's and the core's clock may part before a certificate "not valid yet" is refused.
const SKEW_MS: i64 = 5 * 60 * 1000;
/// What the SAN URI of a device's certificate begins with.
const DEVICE_URI: &str = "postern:device:";

/// A device's certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What the actors see of it.
    pub facts: CertificateFacts,
    /// Its public key: the octets of the subjectPublicKey bit string.
    pub public_key: Vec<u8>,
}

/// A Client-Cert field that holds no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// It is no byte sequence (RFC 9440 2.1).
    #[error("the Client-Cert field is no byte sequence")]
    Field,
    /// It is no certificate in DER.
    #[error("the Client-Cert field holds no certificate")]
    Der,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`BadCertificate::Der`].
    pub fn read(der: &[u8]) -> Result<Self, BadCertificate> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| BadCertificate::Der)?;
        if !rest.is_empty() {
            return Err(BadCertificate::Der);
        }
        let validity = parsed.validity();
        let name = CertificateName::new(parsed.raw_serial(), parsed.issuer().as_raw());
        let facts = CertificateFacts {
            enrolment: named_enrolment(&parsed),
            serial: name.serial,
            issuer: name.issuer,
            fingerprint: Sha256::digest(der).into(),
            not_before: UtcMillis(validity.not_before.timestamp().saturating_mul(1000)),
            not_after: UtcMillis(validity.not_after.timestamp().saturating_mul(1000)),
        };
        let public_key = parsed.public_key().subject_public_key.data.to_vec();
        Ok(Self { facts, public_key })
    }

    /// As the blocked list names it.
    #[must_use]
    pub fn name(&self) -> CertificateName {
        CertificateName { serial: self.facts.serial.clone(), issuer: self.facts.issuer.clone() }
    }

    /// Expired: wipe-only, so that a lost device still reaches its wipe. Not valid yet: refused.
    #[must_use]
    pub fn validity(&self, now: UtcMillis) -> Admission {
        if now > self.facts.not_after {
            Admission::WipeOnly
        } else if now.plus(SKEW_MS) < self.facts.not_before {
            Admission::Refuse
        } else {
            Admission::Admit
        }
    }
}

/// The enrolment of the one SAN URI `postern:device:<id>`; two of them name nobody.
fn named_enrolment(certificate: &X509Certificate<'_>) -> Option<EnrolmentId> {
    let mut named = certificate
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix(DEVICE_URI),
            _ => None,
        });
    let first = named.next()?.parse().ok()?;
    named.next().is_none().then_some(first)
}
