//! The device's certificate and the anchors that it believes, and how new ones take their place.
//!
//! Promise: a certificate is taken only when it fits the device's own key, comes from a device CA that is believed, and names
//! this enrolment. New ones are tried beside the old, which stay until the new proved themselves in a session.

use std::{sync::Arc, time::Duration};

use postern_wire::terms::{EnrolmentId, UtcMillis};
use rustls::{RootCertStore, crypto::aws_lc_rs, server::WebPkiClientVerifier, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The SAN URI of a device certificate begins so; the enrolment's id follows.
const DEVICE_URI: &str = "postern:device:";
/// More certificates in a chain are not looked at.
const MOST: usize = 8;

/// A certificate that is not for this device.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadIdentity {
    /// No certificates in PEM, or too many.
    #[error("there is no chain of certificates in it")]
    NoChain,
    /// No device CA is known.
    #[error("no device CA is known to judge it by")]
    NoAnchor,
    /// It is of another key.
    #[error("it is not of this device's key")]
    OtherKey,
    /// No chain to a device CA that is believed, not for clients, or not valid at this moment by this device's clock.
    #[error("it is not valid here: {0}")]
    Invalid(rustls::Error),
    /// Its SAN URI does not name this enrolment alone.
    #[error("it names another enrolment")]
    OtherEnrolment,
}

/// What takes the place of something in an enrolment.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextIdentity {
    /// The private key, PKCS #8 in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_pem: Option<String>,
    /// Its certificate and chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
    /// The server CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// The device CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_ca_pem: Option<String>,
}

impl NextIdentity {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This, and over it what `later` brings.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            key_pem: later.key_pem.or(self.key_pem),
            certificate_pem: later.certificate_pem.or(self.certificate_pem),
            ca_pem: later.ca_pem.or(self.ca_pem),
            device_ca_pem: later.device_ca_pem.or(self.device_ca_pem),
        }
    }
}

impl std::fmt::Debug for NextIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NextIdentity")
            .field("key", &self.key_pem.is_some())
            .field("certificate", &self.certificate_pem.is_some())
            .field("ca", &self.ca_pem.is_some())
            .field("device_ca", &self.device_ca_pem.is_some())
            .finish()
    }
}

/// The certificates in a text of PEM.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, BadIdentity> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|read| (1..=MOST).contains(&read.len())).ok_or(BadIdentity::NoChain)
}

/// Whether a chain is a certificate of this key, issued for this enrolment by a CA that is believed, at this moment.
pub(crate) fn fits(
    chain: &[CertificateDer<'static>],
    anchors: &[CertificateDer<'static>],
    key_pem: &str,
    enrolment: EnrolmentId,
    now: UtcMillis,
) -> Result<(), BadIdentity> {
    let (leaf, rest) = chain.split_first().ok_or(BadIdentity::NoChain)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| BadIdentity::OtherKey)?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| BadIdentity::OtherKey)?;
    CertifiedKey::new(vec![leaf.clone()], key).keys_match().map_err(|_| BadIdentity::OtherKey)?;
    let mut roots = RootCertStore::empty();
    for anchor in anchors {
        roots.add(anchor.clone()).map_err(BadIdentity::Invalid)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| BadIdentity::NoAnchor)?;
    let moment = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now.0).unwrap_or(0)));
    verifier.verify_client_cert(leaf, rest, moment).map_err(BadIdentity::Invalid)?;
    if names(leaf).is_some_and(|names| names == [format!("{DEVICE_URI}{enrolment}")]) {
        Ok(())
    } else {
        Err(BadIdentity::OtherEnrolment)
    }
}

/// The SAN URIs of a certificate that name devices.
fn names(leaf: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with(DEVICE_URI) => Some((*uri).to_owned()),
        _ => None,
    });
    Some(uris.collect())
}

/// A CA of the tests' own.
#[cfg(test)]
pub(crate) mod testing {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    };

    pub(crate) struct TestCa {
        issuer: Issuer<'static, KeyPair>,
        pub(crate) pem: String,
    }

    impl TestCa {
        pub(crate) fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let pem = params.self_signed(&key).unwrap().pem();
            Self { issuer: Issuer::new(params, key), pem }
        }

        /// A client certificate over the key, with these SAN URIs.
        pub(crate) fn issue(&self, key_pem: &str, uris: &[&str]) -> String {
            let key = KeyPair::from_pem(key_pem).unwrap();
            let mut params = CertificateParams::default();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.subject_alt_names =
                uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
            params.signed_by(&key, &self.issuer).unwrap().pem()
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{testing::TestCa, *};
    use crate::keys::NewRequest;

    /// 2026, within the validity that rcgen gives.
    const NOW: UtcMillis = UtcMillis(1_780_000_000_000);

    #[test]
    fn only_a_certificate_of_our_key_our_ca_and_our_enrolment_fits() {
        let (ca, other_ca) = (TestCa::new(), TestCa::new());
        let (own, other) = (NewRequest::make("d").unwrap(), NewRequest::make("d").unwrap());
        let enrolment = EnrolmentId(Uuid::from_u128(5));
        let uri = format!("postern:device:{enrolment}");
        let stranger = format!("postern:device:{}", Uuid::from_u128(6));
        let judge = |chain: &str, anchors: &str, now| {
            fits(&certificates(chain)?, &certificates(anchors)?, &own.key_pem, enrolment, now)
        };
        let good = ca.issue(&own.key_pem, &[&uri, "https://example.org"]);
        assert_eq!(judge(&good, &ca.pem, NOW), Ok(()));
        assert_eq!(judge(&good, &format!("{}{}", other_ca.pem, ca.pem), NOW), Ok(()));
        assert_eq!(judge(&format!("{good}{}", ca.pem), &ca.pem, NOW), Ok(()));
        assert!(matches!(judge(&good, &other_ca.pem, NOW), Err(BadIdentity::Invalid(_))));
        assert!(matches!(judge(&good, &ca.pem, UtcMillis(i64::MAX)), Err(BadIdentity::Invalid(_))));
        for (chain, why) in [
            (ca.issue(&other.key_pem, &[&uri]), BadIdentity::OtherKey),
            (ca.issue(&own.key_pem, &[&stranger]), BadIdentity::OtherEnrolment),
            (ca.issue(&own.key_pem, &[&uri, &stranger]), BadIdentity::OtherEnrolment),
            (ca.issue(&own.key_pem, &["https://example.org"]), BadIdentity::OtherEnrolment),
            (String::new(), BadIdentity::NoChain),
            ("x".to_owned(), BadIdentity::NoChain),
        ] {
            assert_eq!(judge(&chain, &ca.pem, NOW), Err(why));
        }
    }
}
