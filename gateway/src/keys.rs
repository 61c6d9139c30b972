//! Keys that are made here, signing requests over them, and files that hold a key with its certificate.
//!
//! Promise: a private key never leaves this machine; a key and its certificate stand in one file, so that a crash between
//! two files cannot part them.

use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::disk;

/// A key that wants a certificate.
pub(crate) struct NewKey {
    pair: KeyPair,
}

/// Why a key or its certificate cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The key cannot be used.
    #[error("the key cannot be used: {0}")]
    Key(String),
    /// The certificate is not one over this key.
    #[error("the certificate {0}")]
    Certificate(&'static str),
}

impl NewKey {
    /// The key in `path`; made and written when it is not there. ECDSA P-256.
    pub(crate) fn at(path: &Path) -> Result<Self, KeysError> {
        let error = |source| KeysError::File { path: path.display().to_string(), source };
        if let Some(octets) = disk::read_if_there(path).map_err(error)? {
            let pem = String::from_utf8_lossy(&octets);
            return Ok(Self {
                pair: KeyPair::from_pem(&pem).map_err(|why| KeysError::Key(why.to_string()))?,
            });
        }
        let pair = KeyPair::generate().map_err(|why| KeysError::Key(why.to_string()))?;
        disk::write_secret(path, pair.serialize_pem().as_bytes()).map_err(error)?;
        Ok(Self { pair })
    }

    /// PKCS#10, PEM. It names nothing: who this is, the link says.
    pub(crate) fn request(&self) -> Result<String, KeysError> {
        let made = nameless().serialize_request(&self.pair).and_then(|request| request.pem());
        made.map_err(|why| KeysError::Key(why.to_string()))
    }

    /// A certificate that the key signs itself: it carries TLS and proves nothing.
    pub(crate) fn self_signed(&self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), KeysError> {
        let wrong = |why: rcgen::Error| KeysError::Key(why.to_string());
        let certificate = nameless().self_signed(&self.pair).map_err(wrong)?;
        let key = PrivateKeyDer::try_from(self.pair.serialize_der())
            .map_err(|why| KeysError::Key(why.to_owned()))?;
        Ok((certificate.der().clone(), key))
    }

    /// Writes `chain` (PEM) and the key into one file, whole or not at all.
    pub(crate) fn install(&self, chain: &str, path: &Path) -> Result<(), KeysError> {
        self.check(chain)?;
        let both = format!("{}\n{}", chain.trim_end(), self.pair.serialize_pem());
        disk::write_secret(path, both.as_bytes())
            .map_err(|source| KeysError::File { path: path.display().to_string(), source })
    }

    /// Whether the first certificate of `chain` is over this key.
    pub(crate) fn check(&self, chain: &str) -> Result<(), KeysError> {
        let leaf = CertificateDer::pem_slice_iter(chain.as_bytes()).next();
        let leaf = leaf.and_then(Result::ok).ok_or(KeysError::Certificate("is not PEM"))?;
        let (_, leaf) =
            X509Certificate::from_der(&leaf).map_err(|_| KeysError::Certificate("is not X.509"))?;
        if leaf.public_key().raw == self.pair.subject_public_key_info() {
            Ok(())
        } else {
            Err(KeysError::Certificate("is over another key"))
        }
    }
}

fn nameless() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_takes_only_a_certificate_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = NewKey::at(&folder.path().join("a.key")).expect("made");
        let again = NewKey::at(&folder.path().join("a.key")).expect("read");
        let other = NewKey::at(&folder.path().join("b.key")).expect("made");
        let certificate = |key: &NewKey| {
            let made = nameless().self_signed(&key.pair).expect("signed");
            made.pem()
        };
        assert!(again.check(&certificate(&key)).is_ok());
        assert!(matches!(
            key.install(&certificate(&other), &folder.path().join("x")),
            Err(KeysError::Certificate(_))
        ));
        assert!(!folder.path().join("x").exists());
        key.install(&certificate(&key), &folder.path().join("both.pem")).expect("written");
        assert_eq!(crate::pem::certificates(&folder.path().join("both.pem")).expect("read").len(), 1);
        crate::pem::key(&folder.path().join("both.pem")).expect("the key is in it");
        assert!(key.request().expect("made").contains("CERTIFICATE REQUEST"));
    }
}
