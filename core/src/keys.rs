//! The core's own signing keys: ECDSA P-256 over SHA-256, fixed 64-octet signatures, PKCS#8 in PEM files.
//!
//! Three of them, so that what one signs can never pass for another's: audit heads, destructive orders, messages.

use std::path::Path;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use postern_actors::enrolment::OrderSigner;
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use sha2::{Digest, Sha256};

use crate::files::{self, FileError};

/// A key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not hold one.
    #[error("{path} does not hold an ECDSA P-256 key in PKCS#8 PEM; restore it from your backup")]
    NotAKey {
        /// The file.
        path: String,
    },
    /// The provider refused to sign.
    #[error("the cryptographic provider refused to sign")]
    Refused,
}

/// A key that signs.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    der: PrivatePkcs8KeyDer<'static>,
    public_pem: String,
    id: String,
}

impl SigningKey {
    /// A new key in PEM: private, public.
    #[must_use]
    pub fn generate() -> (String, String) {
        let key =
            rcgen::KeyPair::generate().expect("P-256 keys are made from the provider's own random source");
        (key.serialize_pem(), key.public_key_pem())
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = files::read(path)?;
        Self::read(&text).ok_or_else(|| KeyError::NotAKey { path: path.display().to_string() })
    }

    fn read(pem: &str) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).ok()?;
        let parsed = rcgen::KeyPair::from_pem(pem).ok()?;
        let spki = rcgen::PublicKeyData::subject_public_key_info(&parsed);
        let id = data_encoding::HEXLOWER.encode(&Sha256::digest(&spki)[..8]);
        Some(Self { pair, random: SystemRandom::new(), der, public_pem: parsed.public_key_pem(), id })
    }

    /// Signs `text`: r‖s, 64 octets.
    ///
    /// # Errors
    /// [`KeyError::Refused`].
    pub fn sign(&self, text: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = self.pair.sign(&self.random, text).map_err(|_| KeyError::Refused)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Refused)
    }

    /// The private key as PKCS#8 DER.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        self.der.secret_pkcs8_der()
    }

    /// The public key in PEM.
    #[must_use]
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The key's name: the first 16 hex digits of its SubjectPublicKeyInfo's SHA-256.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl OrderSigner for SigningKey {
    fn sign(&self, octets: &[u8]) -> Result<[u8; 64], String> {
        Self::sign(self, octets).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_generated_key_is_read_back_and_its_signature_verifies() {
        let (private, public) = SigningKey::generate();
        let key = SigningKey::read(&private).unwrap();
        assert_eq!(key.public_pem(), public);
        let signature = key.sign(b"text").unwrap();
        let parsed = rcgen::KeyPair::from_pem(&private).unwrap();
        let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, parsed.public_key_raw());
        assert!(verifier.verify(b"text", &signature).is_ok());
        assert!(verifier.verify(b"other", &signature).is_err());
    }

    #[test]
    fn a_file_without_a_key_is_refused() {
        assert!(SigningKey::read("no key").is_none());
    }
}
