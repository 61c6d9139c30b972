//! The ciphers: RSA-OAEP with SHA-256 around a fresh key of AES-256-GCM (RFC 7518, 4.3 and 5.3), and RSASSA-PSS with SHA-256 over
//! changes of the escrow key. By aws-lc-rs, like all else.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey},
    signature::{ParsedPublicKey, RSA_PSS_2048_8192_SHA256},
};
use postern_wire::recovery::{EscrowKey, RecoveryPassword, SealParts, Sealed, SealedHeader};
use zeroize::Zeroizing;

use super::Fill;

/// Bits of an RSA key that is believed.
const KEY_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// Whether passwords can be sealed to this key: RSA of 2048 to 4096 bits.
#[must_use]
pub fn can_seal(key: &EscrowKey) -> bool {
    encrypting(key).is_some()
}

/// Whether `key` signed these octets.
#[must_use]
pub fn signed_by(key: &EscrowKey, octets: &[u8], signature: &[u8]) -> bool {
    ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.der())
        .is_ok_and(|key| key.verify_sig(octets, signature).is_ok())
}

/// `password` sealed to `key`; `None` where the key is none, or the provider refuses.
fn sealed(
    key: &EscrowKey,
    header: SealedHeader,
    password: &RecoveryPassword,
    random: Fill<'_>,
) -> Option<Sealed> {
    let public = encrypting(key)?;
    let mut content_key = Zeroizing::new([0; 32]);
    random(&mut *content_key);
    let mut nonce = [0; 12];
    random(&mut nonce);
    let mut room = vec![0; public.ciphertext_size()];
    let encrypted = public.encrypt(&OAEP_SHA256_MGF1SHA256, &*content_key, &mut room, None).ok()?;
    let encrypted_key = encrypted.to_vec();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*content_key).ok()?);
    let mut ciphertext = password.digits().as_bytes().to_vec();
    let nonce_once = Nonce::assume_unique_for_key(nonce);
    let aad = Aad::from(header.protected());
    let tag = cipher.seal_in_place_separate_tag(nonce_once, aad, &mut ciphertext).ok()?;
    let tag = tag.as_ref().try_into().ok()?;
    Sealed::assemble(header, SealParts { encrypted_key, nonce, ciphertext, tag }).ok()
}

pub(super) fn seal(
    key: &EscrowKey,
    header: SealedHeader,
    password: &RecoveryPassword,
    random: Fill<'_>,
) -> Result<Sealed, &'static str> {
    sealed(key, header, password, random).ok_or("the escrow key is no RSA key of 2048 to 4096 bits")
}

fn encrypting(key: &EscrowKey) -> Option<OaepPublicEncryptingKey> {
    let public = PublicEncryptingKey::from_der(key.der()).ok()?;
    KEY_BITS.contains(&public.key_size_bits()).then_some(())?;
    OaepPublicEncryptingKey::new(public).ok()
}
