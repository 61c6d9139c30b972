//! What a password is checked against: argon2id with a salt of its own.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use super::Fill;

const SALT_OCTETS: usize = 16;
const HASH_OCTETS: usize = 32;
/// argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash of one password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Verifier {
    salt: [u8; SALT_OCTETS],
    hash: [u8; HASH_OCTETS],
}

impl Verifier {
    pub(super) fn of(password: &str, random: Fill<'_>) -> Self {
        let mut salt = [0; SALT_OCTETS];
        random(&mut salt);
        Self { salt, hash: *hash(password, &salt) }
    }

    /// In constant time.
    pub(super) fn verifies(&self, password: &str) -> bool {
        let given = hash(password, &self.salt);
        aws_lc_rs::constant_time::verify_slices_are_equal(&*given, &self.hash).is_ok()
    }
}

fn hash(password: &str, salt: &[u8]) -> Zeroizing<[u8; HASH_OCTETS]> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_OCTETS)).expect("they are within RFC 9106");
    let mut hash = Zeroizing::new([0; HASH_OCTETS]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut *hash)
        .expect("a password of a few hundred octets and 16 of salt are within RFC 9106");
    hash
}

impl Serialize for Verifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (salt, hash) = (BASE64.encode(self.salt), BASE64.encode(self.hash));
        serializer.serialize_str(&format!("argon2id-v1.{salt}.{hash}"))
    }
}

impl<'de> Deserialize<'de> for Verifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut parts = text.split('.');
        let octets = |part: Option<&str>| BASE64.decode(part.unwrap_or_default()).unwrap_or_default();
        if parts.next() != Some("argon2id-v1") {
            return Err(D::Error::custom("not a verifier that is known here"));
        }
        let bad = |_| D::Error::custom("not a verifier");
        let salt = octets(parts.next()).try_into().map_err(bad)?;
        let hash = octets(parts.next()).try_into().map_err(bad)?;
        Ok(Self { salt, hash })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(…)")
    }
}
