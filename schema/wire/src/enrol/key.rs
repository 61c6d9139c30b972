//! The pre-shared key of an enrolment: what the handshake is keyed with, and what the core keeps of a password.
//!
//! Promise: argon2id over the secret, salted with the version and the request's code. The secret is 80 random bits, so the
//! cost of one guess does not carry the construction; it keeps the password itself out of the core's memory and store.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::RequestCode;

const OCTETS: usize = 32;
const SALT: &[u8] = b"postern enrolment v1";
/// argon2id: 8 MiB, two passes, one lane (RFC 9106). Part of the protocol: both sides must compute the same.
const MEMORY_KIB: u32 = 8 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A pre-shared key. Debug shows nothing of it; comparing takes constant time.
#[derive(Clone)]
pub struct Psk(Zeroizing<[u8; OCTETS]>);

impl Psk {
    /// The key in these octets, from where the core keeps it sealed.
    #[must_use]
    pub fn from_bytes(octets: [u8; OCTETS]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// Its octets, to be sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; OCTETS] {
        &self.0
    }

    pub(super) fn derive(secret: &[u8], code: RequestCode) -> Self {
        let salt = Sha256::new().chain_update(SALT).chain_update(code.as_bytes()).finalize();
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(OCTETS)).expect("they are within RFC 9106");
        let mut key = Zeroizing::new([0; OCTETS]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(secret, &salt, &mut *key)
            .expect("10 octets of secret and 32 of salt are within RFC 9106");
        Self(key)
    }
}

impl PartialEq for Psk {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for Psk {}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(…)")
    }
}
