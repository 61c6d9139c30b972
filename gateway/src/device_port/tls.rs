//! The device port's TLS, made anew whenever a file changes.

use std::{sync::Arc, time::Duration};

use postern_wire::terms::UtcMillis;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::aws_lc_rs,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    admission::certificate::{RetiredAuthorities, not_after},
    config::DevicePort,
    pem::{self, PemError},
};

/// What a connection needs of TLS.
pub(crate) struct DeviceTls {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) retired: RetiredAuthorities,
    pub(crate) not_after: UtcMillis,
}

impl DeviceTls {
    /// Reads the files.
    pub(crate) fn load(port: &DevicePort) -> Result<Self, PemError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| PemError::unusable(&port.certificate, &error))?;
        let chain = pem::certificates(&port.certificate)?;
        let not_after = chain.first().and_then(|leaf| not_after(leaf)).unwrap_or_default();
        let retired = match &port.retired_authority {
            Some(path) => pem::certificates(path)?,
            None => Vec::new(),
        };
        let builder = match &port.authority {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in pem::certificates(path)?.into_iter().chain(retired.iter().cloned()) {
                    roots.add(authority).map_err(|error| PemError::unusable(path, &error))?;
                }
                let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| PemError::unusable(path, &error))?;
                builder.with_client_cert_verifier(Arc::new(DeviceVerifier { chains }))
            }
            None => builder.with_no_client_auth(),
        };
        let mut server = builder
            .with_single_cert(chain, pem::key(&port.key)?)
            .map_err(|error| PemError::unusable(&port.certificate, &error))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        server.ticketer =
            aws_lc_rs::Ticketer::new().map_err(|error| PemError::unusable(&port.certificate, &error))?;
        server.send_tls13_tickets = 1;
        Ok(Self { server: Arc::new(server), retired: RetiredAuthorities::new(&retired), not_after })
    }
}

/// Chain, key and EKU clientAuth; not the time, which is judged with each request.
#[derive(Debug)]
struct DeviceVerifier {
    chains: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for DeviceVerifier {
    fn offer_client_auth(&self) -> bool {
        self.chains.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chains.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let (_, certificate) = X509Certificate::from_der(end_entity).map_err(|_| bad())?;
        let usage = certificate.extended_key_usage().map_err(|_| bad())?;
        if !usage.is_some_and(|usage| usage.value.client_auth) {
            return Err(Error::InvalidCertificate(CertificateError::InvalidPurpose));
        }
        let second = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        let (first, last) =
            (second(certificate.validity().not_before), second(certificate.validity().not_after));
        let within = now.as_secs().max(first).min(last);
        let within = UnixTime::since_unix_epoch(Duration::from_secs(within));
        self.chains.verify_client_cert(end_entity, intermediates, within)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
