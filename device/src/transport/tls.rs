//! TLS of the device: the CA of its enrolment file and no other, TLS 1.2 and 1.3, its certificate when it has one.

use std::{collections::HashMap, sync::Arc};

use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};

use crate::enrolment::Enrolment;

/// How TLS sessions are made.
#[derive(Clone, Copy, Debug)]
pub struct TlsOptions {
    /// Resume earlier sessions; off, every connection is a full handshake.
    pub resumption: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { resumption: true }
    }
}

/// Certificates or keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM of the expected kind, or none in it.
    #[error("{0} holds no usable PEM")]
    Pem(&'static str),
    /// The library refused them.
    #[error("the certificates or the key cannot be used for TLS")]
    Unusable(#[from] rustls::Error),
}

/// Makes TLS configurations, and shares one among devices that differ in nothing that TLS sees.
#[derive(Debug, Default)]
pub struct ClientTls {
    options: TlsOptions,
    without_certificate: HashMap<String, Arc<ClientConfig>>,
}

impl ClientTls {
    /// With these options for every device.
    #[must_use]
    pub fn new(options: TlsOptions) -> Self {
        Self { options, without_certificate: HashMap::new() }
    }

    /// The configuration of one device; its certificate is shown when it has one and the key to it.
    pub fn config(
        &mut self,
        enrolment: &Enrolment,
        key_pem: Option<&SecretString>,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let key = key_pem.or(enrolment.key_pem.as_ref());
        if let (Some(certificate), Some(key)) = (&enrolment.certificate_pem, key) {
            let config = self.make(&enrolment.ca_pem, Some((certificate, key.expose_secret())))?;
            return Ok(Arc::new(config));
        }
        if let Some(shared) = self.without_certificate.get(&enrolment.ca_pem) {
            return Ok(Arc::clone(shared));
        }
        let config = Arc::new(self.make(&enrolment.ca_pem, None)?);
        self.without_certificate.insert(enrolment.ca_pem.clone(), Arc::clone(&config));
        Ok(config)
    }

    /// The configuration for servers of an authority, without a certificate of our own.
    pub fn of_authority(&self, ca_pem: &str) -> Result<Arc<ClientConfig>, TlsError> {
        self.make(ca_pem, None).map(Arc::new)
    }

    fn make(&self, ca_pem: &str, own: Option<(&String, &str)>) -> Result<ClientConfig, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca_pem, "ca_pem")? {
            roots.add(certificate)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                    .map_err(|_| TlsError::Pem("the device key"))?;
                builder.with_client_auth_cert(certificates(chain, "certificate_pem")?, key)?
            }
        };
        if !self.options.resumption {
            config.resumption = Resumption::disabled();
        }
        Ok(config)
    }
}

fn certificates(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|read| !read.is_empty()).ok_or(TlsError::Pem(what))
}
