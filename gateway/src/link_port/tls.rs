//! The link port's TLS: 1.3 only, mutual, no tickets, one ALPN protocol.

use std::sync::Arc;

use postern_wire::link::{ALPN, CORE_URI_PREFIX, PortRole, TrustedAuthorities};
use rustls::{
    CertificateError, Error, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::{
    admission::certificate::Facts,
    config::LinkPort,
    pem::{self, PemError},
    tls::Judged,
};

/// What the link port needs of TLS.
pub(crate) struct LinkTls {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) facts: Facts,
}

impl LinkTls {
    /// Reads the files; `told`, where the core told it, takes the place of the configured link CAs.
    pub(crate) fn load(port: &LinkPort, told: Option<&TrustedAuthorities>) -> Result<Self, PemError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        let authorities = match told {
            Some(told) => told.link.iter().map(|der| CertificateDer::from(der.clone())).collect(),
            None => pem::certificates(&port.authority)?,
        };
        for authority in authorities {
            roots.add(authority).map_err(|error| PemError::unusable(&port.authority, &error))?;
        }
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| PemError::unusable(&port.authority, &error))?;
        let chain = pem::certificates(&port.certificate)?;
        let facts = Facts::of(&chain, PortRole::Link);
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| PemError::unusable(&port.certificate, &error))?
            .with_client_cert_verifier(Arc::new(Judged { chains, judge }))
            .with_single_cert(chain, pem::key(&port.key)?)
            .map_err(|error| PemError::unusable(&port.certificate, &error))?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        // Without resumption every link goes through the verifier.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { server: Arc::new(server), facts })
    }
}

/// A certificate of the link CA whose SAN URI names a core. A gateway's own certificate, of the same CA, is refused.
fn judge(
    chains: &dyn ClientCertVerifier,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<ClientCertVerified, Error> {
    let verified = chains.verify_client_cert(end_entity, intermediates, now)?;
    if names_a_core(end_entity) {
        Ok(verified)
    } else {
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }
}

fn names_a_core(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return false };
    let of_core =
        |name: &GeneralName<'_>| matches!(name, GeneralName::URI(uri) if uri.starts_with(CORE_URI_PREFIX));
    names.value.general_names.iter().any(of_core)
}
