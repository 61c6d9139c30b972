//! What a device's certificate says, read once a connection; judged with every request.
//!
//! TLS proves chain and key only. Validity, the blocked list and a retired CA are judged here, because a resumed TLS
//! session never comes to the verifier, and because a lost device whose certificate has expired must still reach its
//! wipe (architecture, "Certificates").

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use postern_wire::{
    link::{Admission, BlockedSubject, CertificateName, PortRole, RefusalReason},
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
    retired: bool,
}

impl PeerCertificate {
    /// Reads a certificate that TLS has accepted; `None` when it cannot be read.
    pub(crate) fn read(der: &CertificateDer<'_>, retired: &RetiredAuthorities) -> Option<Self> {
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
            retired: retired.issued(&certificate),
        })
    }

    /// The verdict now, and the reason unless it is `admit`.
    pub(crate) fn judge(&self, lists: &ListSet, now: UtcMillis) -> (Admission, Option<RefusalReason>) {
        let against = [
            (lists.verdict(&self.subject), RefusalReason::CertificateBlocked),
            (refuse_if(now < self.not_before), RefusalReason::CertificateNotYetValid),
            (wipe_only_if(now > self.not_after), RefusalReason::CertificateExpired),
            (wipe_only_if(self.retired), RefusalReason::CertificateAuthorityRetired),
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
                not_before: millis(leaf.validity().not_before),
                not_after: millis(leaf.validity().not_after),
            },
            None => Self {
                role,
                serial: String::new(),
                not_before: UtcMillis::default(),
                not_after: UtcMillis::default(),
            },
        }
    }
}

/// Device CAs that were retired.
#[derive(Default)]
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
    fn issued(&self, certificate: &X509Certificate<'_>) -> bool {
        let key = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
            _ => None,
        });
        self.authorities.iter().any(|(subject, authority_key)| {
            let same_name = subject.as_slice() == certificate.issuer().as_raw();
            let other_key = matches!((authority_key, key), (Some(ours), Some(theirs)) if ours != theirs);
            same_name && !other_key
        })
    }
}
