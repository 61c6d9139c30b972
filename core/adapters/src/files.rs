//! Files that an adapter's settings name: secrets and certificates.

use std::path::{Path, PathBuf};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Settings that no adapter can work with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file that cannot be read.
    #[error("{path}: {why}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A setting that cannot be right.
    #[error("{key}: {why}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// Why.
        why: String,
    },
}

impl OpenError {
    /// A key of the configuration whose value cannot work.
    #[must_use]
    pub fn setting(key: &'static str, why: impl Into<String>) -> Self {
        Self::Setting { key, why: why.into() }
    }
}

/// A file's first line.
pub(crate) fn secret(path: &Path) -> Result<SecretString, OpenError> {
    let refused = |why: String| OpenError::File { path: path.to_owned(), why };
    let text =
        std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| refused(error.to_string()))?;
    match text.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
        Some(line) => Ok(SecretString::from(line)),
        None => Err(refused("is empty".to_owned())),
    }
}

/// The certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let refused = |why: String| OpenError::File { path: path.to_owned(), why };
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| refused(error.to_string()))?.collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err(refused("holds no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(refused(error.to_string())),
    }
}
