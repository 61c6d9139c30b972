//! Certificates and keys out of PEM files, with errors that name the file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds nothing that is looked for.
    #[error("{path} holds no {what}")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is looked for.
        what: &'static str,
    },
    /// TLS does not take what it holds.
    #[error("{path} cannot be used: {message}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

impl PemError {
    pub(crate) fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Self {
        Self::Unusable { path: path.to_owned(), message: error.to_string() }
    }
}

/// All certificates of a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let octets = read(path)?;
    match CertificateDer::pem_slice_iter(&octets).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(PemError::Empty { path: path.to_owned(), what: "certificate" }),
    }
}

/// The private key of a file.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|_| PemError::Empty { path: path.to_owned(), what: "private key" })
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    fs::read(path).map_err(|source| PemError::Read { path: path.to_owned(), source })
}
