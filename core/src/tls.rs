//! The admin port's TLS: 1.2 and 1.3, the certificate read again when its file changes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::files::{self, FileError};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Why the port has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error("{path} holds no {what} in PEM; make a new one, or restore it from your backup")]
    Empty {
        /// The file.
        path: String,
        /// What is missing.
        what: &'static str,
    },
    /// Certificate and key do not fit, or the key is of an unknown kind.
    #[error("{path} cannot be used with its key: {source}")]
    Unusable {
        /// The certificate's file.
        path: String,
        /// Why.
        source: rustls::Error,
    },
}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: (PathBuf, PathBuf),
    now: ArcSwap<CertifiedKey>,
}

impl Certificate {
    pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let now = ArcSwap::from_pointee(read(certificate, key)?);
        Ok(Arc::new(Self { files: (certificate.to_owned(), key.to_owned()), now }))
    }

    /// Reads the files again whenever one changed, until it is dropped. What cannot be used leaves the last in use.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        let stamp = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let stamps = || (stamp(&self.files.0), stamp(&self.files.1));
        let mut seen = stamps();
        loop {
            tokio::time::sleep(LOOK).await;
            let found = stamps();
            if found == seen {
                continue;
            }
            seen = found;
            match read(&self.files.0, &self.files.1) {
                Ok(key) => {
                    self.now.store(Arc::new(key));
                    tracing::info!(path = %self.files.0.display(), "certificate read again");
                }
                Err(error) => tracing::error!(%error, "the changed certificate is not used"),
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now.load_full())
    }
}

/// A server's configuration with this certificate; no client certificates.
pub(crate) fn server_config(certificate: Arc<Certificate>) -> Result<ServerConfig, TlsError> {
    let path = certificate.files.0.display().to_string();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|source| TlsError::Unusable { path, source })?;
    Ok(builder.with_no_client_auth().with_cert_resolver(certificate))
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let empty = |path: &Path, what| TlsError::Empty { path: path.display().to_string(), what };
    let text = files::read(certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| empty(certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(empty(certificate, "certificate"));
    }
    let key_der =
        PrivateKeyDer::from_pem_slice(files::read(key)?.as_bytes()).map_err(|_| empty(key, "private key"))?;
    let unusable = |source| TlsError::Unusable { path: certificate.display().to_string(), source };
    let signer = aws_lc_rs::sign::any_supported_type(&key_der).map_err(unusable)?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(unusable)?;
    Ok(certified)
}
