//! The link's TLS on the core's side: 1.3 only, the core's certificate, and the check that the gateway that answers is
//! the one that was dialed.

use std::{collections::HashSet, fs, io, path::Path, sync::Arc};

use postern_wire::link::{ALPN, CertificateName, gateway_uri};
use rustls::{
    CertificateError, ClientConfig, Error, RootCertStore,
    client::{Resumption, verify_server_cert_signed_by_trust_anchor},
    crypto::{CryptoProvider, aws_lc_rs},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::{extensions::GeneralName, prelude::FromDer};

use super::{
    IsBlocked, LinksConfig,
    verify::{Judge, Verifier},
};

/// Why the TLS side of a link cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("{path} holds no usable {what}")]
    Empty { path: String, what: &'static str },
    #[error("the link certificate cannot be used: {0}")]
    Unusable(#[from] Error),
}

/// A TLS client that proves itself with the core's certificate and accepts only the gateway `name`, by a certificate whose serial number
/// is not among `refused`.
pub(super) fn client_config(
    links: &LinksConfig,
    name: &str,
    refused: Arc<HashSet<String>>,
) -> Result<ClientConfig, TlsError> {
    let files = &links.files;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let trusted = (links.anchors)();
    let trusted = if trusted.is_empty() { certificates(&files.authority)? } else { trusted };
    for authority in trusted {
        roots.add(authority)?;
    }
    let judge = is_of(roots, gateway_uri(name), refused, Arc::clone(&links.is_blocked), &provider);
    let verifier = Verifier::new(Arc::clone(&provider), judge);
    let chain = certificates(&files.certificate)?;
    let key = read(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| TlsError::Empty { path: files.key.display().to_string(), what: "private key" })?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty { path: path.display().to_string(), what: "certificate" };
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<_, _>>().map_err(|_| empty())?;
    if found.is_empty() { Err(empty()) } else { Ok(found) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.display().to_string(), source })
}

/// A certificate of the link CA whose SAN URI is the gateway's that was dialed is taken, and no other.
fn is_of(
    roots: RootCertStore,
    uri: String,
    refused: Arc<HashSet<String>>,
    is_blocked: IsBlocked,
    provider: &CryptoProvider,
) -> Judge {
    let algorithms = provider.signature_verification_algorithms.all;
    Box::new(move |end_entity, intermediates, now| {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, intermediates, now, algorithms)?;
        let is_refused = |name: CertificateName| refused.contains(&name.serial) || is_blocked(&name);
        if name_of(end_entity).is_none_or(is_refused) {
            return Err(Error::InvalidCertificate(CertificateError::Revoked));
        }
        let is_dialed = has_uri(end_entity, &uri);
        is_dialed.then_some(()).ok_or(Error::InvalidCertificate(CertificateError::NotValidForName))
    })
}

fn name_of(certificate: &CertificateDer<'_>) -> Option<CertificateName> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    Some(CertificateName::new(parsed.raw_serial(), parsed.issuer().as_raw()))
}

fn has_uri(certificate: &CertificateDer<'_>, uri: &str) -> bool {
    let Ok((_, parsed)) = x509_parser::certificate::X509Certificate::from_der(certificate) else {
        return false;
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return false };
    names.value.general_names.iter().any(|name| matches!(name, GeneralName::URI(found) if *found == uri))
}
