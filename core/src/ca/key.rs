//! The keys of our CAs, behind a trait: files today, a token (PKCS#11) later.
//!
//! Promise: a file key is read for each signature and wiped after it, so that no thread holds its octets between two;
//! a file that others than its owner may read is not used, and the reason is told.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use zeroize::Zeroizing;

use super::pem;
use crate::files::{self, FileError};

/// The longest key file that is read, in octets.
const FILE_LIMIT: u64 = 16 * 1024;
/// Permissions that nobody but the owner may have.
const OTHERS: u32 = 0o077;
/// What a key file's text begins with.
const LABEL: &str = "PRIVATE KEY";

/// A key that signs for a CA: ECDSA P-256 with SHA-256.
pub trait CaKey: Send + Sync {
    /// The public key: an uncompressed point.
    fn public(&self) -> &[u8];

    /// Signs; the signature in ASN.1.
    ///
    /// # Errors
    /// [`KeyFault`].
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyFault>;
}

/// Why a CA's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// Its file is not here.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read its file.
    #[error(
        "{path} has mode {mode:04o}: others than its owner may read it; `chmod 600` it, and think of who did"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{path} does not hold an ECDSA P-256 key in PKCS#8 PEM")]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The file holds another key than the CA's certificate says.
    #[error("{path} holds another key than the CA's certificate")]
    OtherKey {
        /// The file.
        path: PathBuf,
    },
    /// The provider refused.
    #[error("the cryptographic provider refused to sign")]
    Refused,
}

/// A key in a file for its owner only.
pub struct FileKey {
    path: PathBuf,
    public: Vec<u8>,
}

impl FileKey {
    /// Makes a key and its file; an existing file is never overwritten.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let (text, pair) = fresh();
        files::write_secret(path, &text)?;
        Ok(Self { path: path.to_owned(), public: pair.public_key().as_ref().to_vec() })
    }

    /// A key in a file that is there.
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn open(path: &Path) -> Result<Self, KeyFault> {
        let pair = read(path)?;
        Ok(Self { path: path.to_owned(), public: pair.public_key().as_ref().to_vec() })
    }
}

impl CaKey for FileKey {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyFault> {
        let pair = read(&self.path)?;
        if pair.public_key().as_ref() != self.public {
            return Err(KeyFault::OtherKey { path: self.path.clone() });
        }
        sign(&pair, text)
    }
}

/// A key in memory: of a CA that is just being made, and of tests.
pub struct HeldKey {
    pair: EcdsaKeyPair,
}

impl HeldKey {
    /// A new key, and its file's text.
    #[must_use]
    pub fn fresh() -> (Self, Zeroizing<String>) {
        let (text, pair) = fresh();
        (Self { pair }, text)
    }

    /// From a key file's text.
    #[must_use]
    pub fn from_pem(text: &str) -> Option<Self> {
        Some(Self { pair: pair_of(text)? })
    }
}

impl CaKey for HeldKey {
    fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyFault> {
        sign(&self.pair, text)
    }
}

fn fresh() -> (Zeroizing<String>, EcdsaKeyPair) {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
        .expect("P-256 keys are made from the provider's own random source");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, made.as_ref())
        .expect("the provider reads what it wrote");
    (Zeroizing::new(pem(LABEL, made.as_ref())), pair)
}

fn sign(pair: &EcdsaKeyPair, text: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let signature = pair.sign(&SystemRandom::new(), text).map_err(|_| KeyFault::Refused)?;
    Ok(signature.as_ref().to_vec())
}

fn read(path: &Path) -> Result<EcdsaKeyPair, KeyFault> {
    let failed = |source| KeyFault::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(KeyFault::Open { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    file.take(FILE_LIMIT).read_to_string(&mut text).map_err(failed)?;
    pair_of(&text).ok_or_else(|| KeyFault::NotAKey { path: path.to_owned() })
}

fn pair_of(text: &str) -> Option<EcdsaKeyPair> {
    let (_, rest) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let base64: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let der = Zeroizing::new(data_encoding::BASE64.decode(base64.as_bytes()).ok()?);
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_file_that_others_may_read_is_not_used_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.key");
        let key = FileKey::create(&path).unwrap();
        assert!(key.sign(b"text").is_ok());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(key.sign(b"text"), Err(KeyFault::Open { mode: 0o640, .. })), "also while it runs");
        let refused = FileKey::open(&path).err().unwrap().to_string();
        assert!(refused.contains("0640") && refused.contains("chmod 600"), "{refused}");
    }

    #[test]
    fn a_key_that_was_exchanged_under_a_running_core_signs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.key");
        let key = FileKey::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(matches!(key.sign(b"text"), Err(KeyFault::Read { .. })));
        FileKey::create(&path).unwrap();
        assert!(matches!(key.sign(b"text"), Err(KeyFault::OtherKey { .. })));
        fs::write(&path, "no key").unwrap();
        assert!(matches!(key.sign(b"text"), Err(KeyFault::NotAKey { .. })));
    }
}
