//! A device's recovery password on its way to the core: sealed on the device, so that only who has an escrow key's private
//! half can read it.
//!
//! The original's recovery password: 20 decimal digits that the device made, good for one reset of the device's own password,
//! also without a network. It crosses the network as a JWE in compact serialisation (RFC 7516) with `alg` RSA-OAEP-256 and `enc`
//! A256GCM (RFC 7518, 4.3 and 5.3), and rests as that. Its protected header names key, enrolment, generation and number, so that
//! one device's text is no other's, and an older one no newer. docs/RECOVERY.md argues it.
//!
//! Promise: pure code; randomness and the ciphers are the caller's. Each text has its limit, each refusal its type; a
//! password shows in no Debug and no error.

mod chain;
mod key;
mod password;
mod sealed;

pub use chain::{BadChain, CHAIN_LIMIT, KeyChain, KeyChange, LINKS_LIMIT};
pub use key::{BadEscrowKey, EscrowKey, KeyId};
pub use password::{BadRecoveryPassword, DIGITS, RecoveryPassword};
pub use sealed::{BadSealed, SealParts, Sealed, SealedHeader, TEXT_LIMIT};

/// The object of our own device.
pub const NODE: &str = "./Vendor/Postern/Recovery";
/// Exec: make a new recovery password.
pub const RENEW: &str = "./Vendor/Postern/Recovery/Renew";
/// Get: the escrow key's SubjectPublicKeyInfo in base64. Replace: a signed order and, after a line's end, a [`KeyChain`].
pub const ESCROW_KEY: &str = "./Vendor/Postern/Recovery/EscrowKey";
/// The type of the generic alert whose Data is a [`Sealed`].
pub const ALERT: &str = "com.postern:recovery-password";
