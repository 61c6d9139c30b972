//! A device's certificate as the core's rules read it. The gateway's handshake proved chain and key; what is
//! judged here is judged again for each request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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

/// Certificates that were read lately, by the octets that were shown: reading one costs more than any other step of
/// an idle check-in, and a session shows the same in each of its requests. Nothing is judged here; validity and the
/// blocked list are, with each request.
#[derive(Debug, Default)]
pub struct Known {
    held: Mutex<Generations>,
}

/// The older generation goes when the younger is full, so what is used stays.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Certificate>>,
    old: HashMap<Box<str>, Arc<Certificate>>,
}

/// So many certificates are in a generation: about a mebioctet for both, whatever gateways show.
const GENERATION: usize = 512;
/// A field longer than this is read, and not kept.
const KEPT_OCTETS: usize = 4096;

impl Known {
    /// The certificate behind the field `shown`, read by `read` when it is not known.
    ///
    /// # Errors
    /// Those of `read`; they are not remembered.
    pub(super) fn find(
        &self,
        shown: &str,
        read: impl FnOnce() -> Result<Certificate, BadCertificate>,
    ) -> Result<Arc<Certificate>, BadCertificate> {
        if let Some(known) = self.lock().find(shown) {
            return Ok(known);
        }
        let certificate = Arc::new(read()?);
        if shown.len() <= KEPT_OCTETS {
            self.lock().keep(shown.into(), Arc::clone(&certificate));
        }
        Ok(certificate)
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn find(&mut self, shown: &str) -> Option<Arc<Certificate>> {
        if let Some(known) = self.young.get(shown) {
            return Some(Arc::clone(known));
        }
        let (key, known) = self.old.remove_entry(shown)?;
        self.keep(key, Arc::clone(&known));
        Some(known)
    }

    fn keep(&mut self, shown: Box<str>, certificate: Arc<Certificate>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(shown, certificate);
    }
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
            dns_name: dns_name(&parsed),
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
    let mut named = names(certificate).filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(DEVICE_URI),
        _ => None,
    });
    let first = named.next()?.parse().ok()?;
    named.next().is_none().then_some(first)
}

/// The one DNS name of the SAN; of two none counts.
fn dns_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut named = names(certificate).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let first = named.next()?;
    named.next().is_none().then_some(first)
}

fn names<'c>(certificate: &'c X509Certificate<'c>) -> impl Iterator<Item = &'c GeneralName<'c>> {
    let extensions = certificate.extensions().iter();
    extensions
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(serial: usize) -> Certificate {
        let facts = CertificateFacts {
            enrolment: None,
            dns_name: None,
            serial: serial.to_string(),
            issuer: String::new(),
            fingerprint: [0; 32],
            not_before: UtcMillis(0),
            not_after: UtcMillis(0),
        };
        Certificate { facts, public_key: Vec::new() }
    }

    #[test]
    fn a_certificate_is_read_once_while_it_is_used_and_the_number_kept_is_bounded() {
        let known = Known::default();
        let read = |serial: usize| {
            let shown = serial.to_string();
            known.find(&shown, || Ok(certificate(serial))).expect("a certificate").facts.serial.clone()
        };
        assert_eq!(read(0), "0");
        for serial in 1..GENERATION * 8 {
            assert_eq!(read(serial), serial.to_string());
            assert!(
                known.find("0", || Err(BadCertificate::Der)).is_ok(),
                "used all the time, so still known"
            );
        }
        let held = known.lock();
        assert!(held.young.len() + held.old.len() <= 2 * GENERATION + 1);
    }

    #[test]
    fn what_could_not_be_read_is_not_remembered() {
        let known = Known::default();
        assert_eq!(known.find("x", || Err(BadCertificate::Der)).err(), Some(BadCertificate::Der));
        assert!(known.find("x", || Ok(certificate(1))).is_ok());
    }
}
