//! Certificates for devices: who enrols or renews one asks this, whatever CA stands behind it.

use postern_wire::terms::{EnrolmentId, UtcMillis};

use crate::CertificateFacts;

/// Issues device certificates and says what is to be trusted.
///
/// Nothing is written by it: who asked keeps what was issued in the transaction that needs it
/// (`postern_store::certificates`), so that a certificate that nobody was given is in no table.
pub trait Authority: Send + Sync + 'static {
    /// A certificate for a device's own key. Of the request only the key is taken, after its signature was checked.
    ///
    /// # Errors
    /// [`AuthorityError`].
    fn issue_device(&self, request: DeviceCsr<'_>, now: UtcMillis) -> Result<IssuedDevice, AuthorityError>;

    /// What the parties are to trust now.
    fn anchors(&self) -> Anchors;
}

/// A signing request of a device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceCsr<'a> {
    /// PKCS#10, DER.
    pub der: &'a [u8],
    /// The enrolment that the certificate is to name.
    pub enrolment: EnrolmentId,
    /// Its generation; it goes into the table of certificates, not into the certificate.
    pub generation: u64,
    /// A DNS name that the certificate is to bear as well: an admin's word, never the request's.
    pub dns_name: Option<&'a str>,
}

/// A device certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedDevice {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// What stands between it and an anchor, the issuing CA first, DER.
    pub chain_der: Vec<Vec<u8>>,
    /// Serial number, lower-case hex without leading zero octets.
    pub serial: String,
    /// The issuer, as the blocked list names it (`postern_wire::link::issuer_hash`).
    pub issuer: String,
    /// Which generation of the device CA signed it.
    pub authority: u64,
    /// The enrolment that it names.
    pub enrolment: EnrolmentId,
    /// The DNS name that it bears.
    pub dns_name: Option<String>,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
    /// Not before.
    pub not_before: UtcMillis,
    /// Not after.
    pub not_after: UtcMillis,
}

impl IssuedDevice {
    /// What the actors' rules read of it.
    #[must_use]
    pub fn facts(&self) -> CertificateFacts {
        CertificateFacts {
            enrolment: Some(self.enrolment),
            dns_name: self.dns_name.clone(),
            serial: self.serial.clone(),
            issuer: self.issuer.clone(),
            fingerprint: self.fingerprint,
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

/// Why no certificate was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The request is not one, does not bear its own key's signature, or holds a key that is not taken. The text
    /// completes "the signing request …".
    #[error("the signing request {0}")]
    Request(&'static str),
    /// There is no device CA that can sign now: its key is missing or guarded badly, or it has expired.
    #[error("no device certificate can be issued: {0}")]
    Unavailable(String),
}

/// What is to be trusted, DER. The newest generation of a role comes first; both are there during a roll-over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchors {
    /// The CAs of the device port's server certificates: what devices trust.
    pub server: Vec<Vec<u8>>,
    /// The CAs of device certificates: what gateways trust.
    pub device: Vec<Vec<u8>>,
}

#[cfg(test)]
pub(crate) mod fake {
    //! An authority without cryptography: the "certificate" says what it was made of.

    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Certificates hold so long.
    pub(crate) const LIFE_MS: i64 = 365 * 86_400_000;

    /// Refuses a request that begins with `bad`; issues for any other.
    #[derive(Debug, Default)]
    pub(crate) struct FakeAuthority(AtomicU64);

    impl Authority for FakeAuthority {
        fn issue_device(
            &self,
            request: DeviceCsr<'_>,
            now: UtcMillis,
        ) -> Result<IssuedDevice, AuthorityError> {
            if request.der.starts_with(b"bad") {
                return Err(AuthorityError::Request("is bad"));
            }
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&number.to_be_bytes());
            Ok(IssuedDevice {
                dns_name: None,
                der: format!("certificate {number} of {}", request.enrolment).into_bytes(),
                chain_der: vec![b"device ca".to_vec()],
                serial: format!("40{number:08x}"),
                issuer: "00".repeat(16),
                authority: 1,
                enrolment: request.enrolment,
                fingerprint,
                not_before: now,
                not_after: now.plus(LIFE_MS),
            })
        }

        fn anchors(&self) -> Anchors {
            Anchors { server: vec![b"server ca".to_vec()], device: vec![b"device ca".to_vec()] }
        }
    }

    #[test]
    fn two_certificates_of_the_fake_are_told_apart() {
        let authority = FakeAuthority::default();
        let enrolment = EnrolmentId(uuid::Uuid::from_u128(1));
        let issue = |der: &[u8]| {
            authority
                .issue_device(DeviceCsr { der, enrolment, generation: 1, dns_name: None }, UtcMillis(1_000))
        };
        let (one, two) = (issue(b"a").unwrap(), issue(b"a").unwrap());
        assert_ne!((one.serial, one.fingerprint), (two.serial, two.fingerprint));
        assert_eq!(issue(b"bad"), Err(AuthorityError::Request("is bad")));
        assert_eq!(authority.anchors().device.len(), 1);
    }
}
