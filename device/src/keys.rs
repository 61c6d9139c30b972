//! Keys of ECDSA P-256 with SHA-256, signatures as 64 octets r‖s: the device's own, and those of the core that
//! it believes.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, ParsedPublicKey},
};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not PEM of the expected kind.
    #[error("the {0} is not PEM of that kind")]
    Pem(&'static str),
    /// PEM, but not a key of ECDSA P-256.
    #[error("the {0} is not a P-256 key")]
    NotP256(&'static str),
    /// The key or its request could not be made.
    #[error("a new key or its request could not be made")]
    Making(#[source] rcgen::Error),
    /// The key could not sign.
    #[error("the key cannot sign")]
    Signing,
}

/// A private key that signs this device's messages. Debug shows nothing of it.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// Reads a PKCS #8 private key in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let what = "device key";
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Pem(what))?;
        let PrivateKeyDer::Pkcs8(key) = key else { return Err(KeyError::Pem(what)) };
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der())
            .map(Self)
            .map_err(|_| KeyError::NotP256(what))
    }

    /// Signs `octets`; r‖s.
    pub fn sign(&self, octets: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = self.0.sign(&SystemRandom::new(), octets).map_err(|_| KeyError::Signing)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Signing)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A public key whose signatures are believed.
#[derive(Clone, Debug)]
pub struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// Reads a SubjectPublicKeyInfo in PEM (`BEGIN PUBLIC KEY`). `what` names the key in errors.
    pub fn from_pem(pem: &str, what: &'static str) -> Result<Self, KeyError> {
        let info =
            SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Pem(what))?;
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, info.as_ref())
            .map(Self)
            .map_err(|_| KeyError::NotP256(what))
    }

    /// Whether this key made `signature` (r‖s) over `octets`.
    #[must_use]
    pub fn verifies(&self, octets: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_sig(octets, signature).is_ok()
    }
}

/// A private key and a request for a certificate over it.
pub struct NewRequest {
    /// PKCS #8 in PEM; to be written where only the device reads it.
    pub key_pem: String,
    /// PKCS #10 in PEM, subject CN = the device id.
    pub csr_pem: String,
    /// The same in DER.
    pub csr_der: Vec<u8>,
}

impl NewRequest {
    /// Makes a P-256 key and a request over it; the issuing CA sets everything but the key.
    pub fn make(device_id: &str) -> Result<Self, KeyError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(KeyError::Making)?;
        Self::over(&key, device_id)
    }

    /// A request over a key that is there.
    pub fn of_key(key_pem: &str, device_id: &str) -> Result<Self, KeyError> {
        let key = KeyPair::from_pem(key_pem).map_err(|_| KeyError::Pem("device key"))?;
        Self::over(&key, device_id)
    }

    fn over(key: &KeyPair, device_id: &str) -> Result<Self, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, device_id);
        let request = params.serialize_request(key).map_err(KeyError::Making)?;
        let csr_pem = request.pem().map_err(KeyError::Making)?;
        Ok(Self { key_pem: key.serialize_pem(), csr_pem, csr_der: request.der().to_vec() })
    }
}

/// Makes a P-256 key and its certificate request; the issuing CA sets everything but the key.
pub fn new_request(device_id: &str) -> Result<NewRequest, KeyError> {
    NewRequest::make(device_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_key_of_a_request_signed_verifies_with_its_public_half_only() {
        let (own, other) = (new_request("dev-1").unwrap(), new_request("dev-2").unwrap());
        let public = |request: &NewRequest| {
            let pem = KeyPair::from_pem(&request.key_pem).unwrap().public_key_pem();
            VerifyingKey::from_pem(&pem, "key").unwrap()
        };
        let signature = SigningKey::from_pem(&own.key_pem).unwrap().sign(b"base").unwrap();
        assert!(public(&own).verifies(b"base", &signature));
        assert!(!public(&own).verifies(b"Base", &signature));
        assert!(!public(&other).verifies(b"base", &signature));
        assert!(own.csr_pem.contains("BEGIN CERTIFICATE REQUEST"));
    }

    #[test]
    fn what_is_no_key_is_named() {
        assert!(matches!(SigningKey::from_pem("x"), Err(KeyError::Pem("device key"))));
        assert!(matches!(VerifyingKey::from_pem("x", "order key"), Err(KeyError::Pem("order key"))));
    }
}
