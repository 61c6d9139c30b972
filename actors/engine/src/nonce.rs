//! Nonces that a device has to answer with (DM_Security 5.3.3): 16 octets, 24 characters of base64 (LD-07).
//!
//! Promise: the next client nonce is `HMAC-SHA-256(key made at core start, enrolment ‖ counter)` cut to 16 octets,
//! so an idle check-in writes nothing and a restart costs one challenge.

use hmac::{Hmac, KeyInit, Mac};
use postern_wire::terms::EnrolmentId;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of a nonce in octets.
pub const NONCE_OCTETS: usize = 16;

/// The default nonce "0x00000000" of OMA-TS-DM_Notification 5.1, as clients read it: four octets of zero, or the ten
/// characters.
pub const DEFAULT_NONCES: [&[u8]; 2] = [&[0; 4], b"0x00000000"];

/// A nonce for syncml:auth-md5.
pub type Nonce = [u8; NONCE_OCTETS];

/// The key of the client nonces: 32 random octets made when the core starts, never stored.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct NonceKey([u8; 32]);

impl NonceKey {
    /// A key of these octets.
    #[must_use]
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The client nonce of `enrolment` number `counter`.
    #[must_use]
    pub fn client_nonce(&self, enrolment: EnrolmentId, counter: u32) -> Nonce {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC-SHA-256 takes a key of any length");
        mac.update(enrolment.0.as_bytes());
        mac.update(&counter.to_be_bytes());
        let tag = mac.finalize().into_bytes();
        let mut nonce = [0; NONCE_OCTETS];
        nonce.copy_from_slice(&tag[..NONCE_OCTETS]);
        nonce
    }
}

impl std::fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NonceKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn sec_10_a_thousand_nonces_are_unique_and_of_128_bits() {
        let key = NonceKey::new([7; 32]);
        let enrolment = EnrolmentId(Uuid::from_u128(1));
        let seen: HashSet<Nonce> = (0..1000).map(|n| key.client_nonce(enrolment, n)).collect();
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn another_enrolment_or_another_start_gives_other_nonces() {
        let one = EnrolmentId(Uuid::from_u128(1));
        let two = EnrolmentId(Uuid::from_u128(2));
        let key = NonceKey::new([7; 32]);
        assert_ne!(key.client_nonce(one, 0), key.client_nonce(two, 0));
        assert_ne!(key.client_nonce(one, 0), NonceKey::new([8; 32]).client_nonce(one, 0));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", NonceKey::new([7; 32])), "NonceKey(…)");
    }
}
