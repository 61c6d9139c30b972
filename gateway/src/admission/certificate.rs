//! What a device's certificate says, read once a connection; judged with every request.
//!
//! TLS proves chain and key only. Validity, the blocked list and a retired CA are judged here, because a resumed TLS
//! session never comes to the verifier, and because a lost device whose certificate has expired must still reach its
//! wipe (docs/CERTIFICATES.md, "Revocation").

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use postern_wire::{
    link::{Admission, BlockedSubject, CertificateName, PortRole, RefusalReason, issuer_hash},
    terms::UtcMillis,
};
use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer, time::ASN1Time,
};

use crate::{listeners::Fingerprint, lists::ListSet};

/// A device's certificate as far as the gateway needs it.
pub(crate) struct PeerCertificate {
    /// The value of Client-Cert (RFC 9440).
    pub(crate) client_cert: HeaderValue,
    /// Which certificate exactly.
    pub(crate) fingerprint: Fingerprint,
    /// Its name on the blocked list.
    pub(crate) name: CertificateName,
    subject: BlockedSubject,
    not_before: UtcMillis,
    not_after: UtcMillis,
    issuer: Vec<u8>,
    authority_key: Option<Vec<u8>>,
    retired: Retired,
}

impl PeerCertificate {
    /// Reads a certificate that TLS has accepted; `None` when it cannot be read.
    pub(crate) fn read(der: &CertificateDer<'_>, retired: &Retired) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let name = CertificateName::new(certificate.raw_serial(), certificate.issuer().as_raw());
        let mut client_cert = HeaderValue::try_from(format!(":{}:", STANDARD.encode(der))).ok()?;
        client_cert.set_sensitive(true);
        Some(Self {
            client_cert,
            fingerprint: Fingerprint::of(der),
            subject: BlockedSubject::Certificate(name.clone()),
            name,
            not_before: millis(certificate.validity().not_before),
            not_after: millis(certificate.validity().not_after),
            issuer: certificate.issuer().as_raw().to_vec(),
            authority_key: authority_key(&certificate),
            retired: Arc::clone(retired),
        })
    }

    /// The verdict now, and the reason unless it is `admit`.
    pub(crate) fn judge(&self, lists: &ListSet, now: UtcMillis) -> (Admission, Option<RefusalReason>) {
        let against = [
            (lists.verdict(&self.subject), RefusalReason::CertificateBlocked),
            (refuse_if(now < self.not_before), RefusalReason::CertificateNotYetValid),
            (wipe_only_if(now > self.not_after), RefusalReason::CertificateExpired),
            (wipe_only_if(self.is_retired()), RefusalReason::CertificateAuthorityRetired),
        ];
        let mut worst = (Admission::Admit, None);
        for (verdict, reason) in against {
            if verdict as u8 > worst.0 as u8 {
                worst = (verdict, Some(reason));
            }
        }
        worst
    }
}

impl PeerCertificate {
    fn is_retired(&self) -> bool {
        self.retired.load().issued(&self.issuer, self.authority_key.as_deref())
    }
}

/// The key by which a certificate names its issuer's.
fn authority_key(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

/// A certificate's name on the blocked list; `None` when it cannot be read.
pub(crate) fn name_of(der: &CertificateDer<'_>) -> Option<CertificateName> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(CertificateName::new(certificate.raw_serial(), certificate.issuer().as_raw()))
}

fn refuse_if(wrong: bool) -> Admission {
    if wrong { Admission::Refuse } else { Admission::Admit }
}

fn wipe_only_if(wrong: bool) -> Admission {
    if wrong { Admission::WipeOnly } else { Admission::Admit }
}

fn millis(time: ASN1Time) -> UtcMillis {
    UtcMillis(time.timestamp().saturating_mul(1_000))
}

/// What is told of a certificate of the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) role: PortRole,
    pub(crate) serial: String,
    /// Who issued it, as the blocked list names issuers.
    pub(crate) issuer: String,
    pub(crate) not_before: UtcMillis,
    pub(crate) not_after: UtcMillis,
}

impl Facts {
    /// Of the first certificate of a chain; empty where it cannot be read.
    pub(crate) fn of(chain: &[CertificateDer<'_>], role: PortRole) -> Self {
        let leaf = chain.first().and_then(|der| X509Certificate::from_der(der).ok());
        match leaf {
            Some((_, leaf)) => Self {
                role,
                serial: CertificateName::new(leaf.raw_serial(), &[]).serial,
                issuer: issuer_hash(leaf.issuer().as_raw()),
                not_before: millis(leaf.validity().not_before),
                not_after: millis(leaf.validity().not_after),
            },
            None => Self {
                role,
                serial: String::new(),
                issuer: String::new(),
                not_before: UtcMillis::default(),
                not_after: UtcMillis::default(),
            },
        }
    }
}

/// The device CAs that were retired, as they are now.
pub(crate) type Retired = Arc<ArcSwap<RetiredAuthorities>>;

/// Device CAs that were retired.
#[derive(Clone, Default)]
pub(crate) struct RetiredAuthorities {
    /// Subject (DER) and subject key identifier.
    authorities: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl RetiredAuthorities {
    /// From the CAs' certificates.
    pub(crate) fn new(certificates: &[CertificateDer<'_>]) -> Self {
        let read = |der: &CertificateDer<'_>| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            let key =
                certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                    _ => None,
                });
            Some((certificate.subject().as_raw().to_vec(), key))
        };
        Self { authorities: certificates.iter().filter_map(read).collect() }
    }

    /// By issuer name, and where both name a key, by that: two generations of a CA may bear one name.
    fn issued(&self, issuer: &[u8], key: Option<&[u8]>) -> bool {
        self.authorities.iter().any(|(subject, authority_key)| {
            let same_name = subject.as_slice() == issuer;
            let other_key = matches!((authority_key, key), (Some(ours), Some(theirs)) if ours != theirs);
            same_name && !other_key
        })
    }
}
