//! The link's TLS on the core's side: 1.3 only, the core's certificate, and the check that the gateway that answers is
//! the one that was dialed.

use std::{collections::HashSet, fs, io, path::Path, sync::Arc};

use postern_wire::link::{ALPN, CertificateName, gateway_uri};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use x509_parser::{extensions::GeneralName, prelude::FromDer};

use super::{IsBlocked, LinksConfig};

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
    let verifier = GatewayVerifier {
        roots,
        uri: gateway_uri(name),
        refused,
        is_blocked: Arc::clone(&links.is_blocked),
        provider: Arc::clone(&provider),
    };
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

/// Accepts a certificate of the link CA whose SAN URI is the gateway's that was dialed, and no other.
struct GatewayVerifier {
    roots: RootCertStore,
    uri: String,
    refused: Arc<HashSet<String>>,
    is_blocked: IsBlocked,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for GatewayVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayVerifier").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for GatewayVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        let refused = |name: CertificateName| self.refused.contains(&name.serial) || (self.is_blocked)(&name);
        if name_of(end_entity).is_none_or(refused) {
            return Err(Error::InvalidCertificate(CertificateError::Revoked));
        }
        if has_uri(end_entity, &self.uri) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
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
