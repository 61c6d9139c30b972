//! The public half of an escrow key, and its name.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

/// A SubjectPublicKeyInfo of RSA is at most so many octets: 4096 bits take 550.
const MOST_OCTETS: usize = 1_024;
const ID_OCTETS: usize = 16;

/// A key's name: the first 16 octets of the SHA-256 of its SubjectPublicKeyInfo, in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_OCTETS]);

/// An RSA public key that recovery passwords are sealed to (SubjectPublicKeyInfo, DER). Whether the octets are such a key, whoever
/// encrypts with it finds out.
#[derive(Clone, PartialEq, Eq)]
pub struct EscrowKey(Vec<u8>);

/// Why something is no escrow key or no name of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEscrowKey {
    /// Not 32 lower-case hexadecimal digits.
    #[error("an escrow key's id is 32 lower-case hexadecimal digits")]
    Id,
    /// Empty, too long or not base64.
    #[error("an escrow key is base64 of at most 1024 octets of SubjectPublicKeyInfo")]
    Key,
}

impl EscrowKey {
    /// The key in these octets.
    ///
    /// # Errors
    /// [`BadEscrowKey::Key`] where there are none or too many.
    pub fn from_der(spki: impl Into<Vec<u8>>) -> Result<Self, BadEscrowKey> {
        let spki = spki.into();
        if (1..=MOST_OCTETS).contains(&spki.len()) { Ok(Self(spki)) } else { Err(BadEscrowKey::Key) }
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = Sha256::digest(&self.0);
        KeyId(std::array::from_fn(|at| digest[at]))
    }

    /// As it is written: base64 without line ends.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.0)
    }
}

impl FromStr for EscrowKey {
    type Err = BadEscrowKey;

    fn from_str(text: &str) -> Result<Self, BadEscrowKey> {
        if text.len() > MOST_OCTETS * 2 {
            return Err(BadEscrowKey::Key);
        }
        Self::from_der(BASE64.decode(text.trim()).map_err(|_| BadEscrowKey::Key)?)
    }
}

impl fmt::Debug for EscrowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EscrowKey({})", self.id())
    }
}

impl Serialize for EscrowKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for EscrowKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = BadEscrowKey;

    fn from_str(text: &str) -> Result<Self, BadEscrowKey> {
        let octets = HEXLOWER.decode(text.as_bytes()).map_err(|_| BadEscrowKey::Id)?;
        octets.try_into().map(Self).map_err(|_| BadEscrowKey::Id)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_name_is_of_its_octets_and_reads_back() {
        let (one, other) = (EscrowKey::from_der([1; 294]).unwrap(), EscrowKey::from_der([2; 294]).unwrap());
        assert_ne!(one.id(), other.id());
        assert_eq!(one.id().to_string().parse(), Ok(one.id()));
        assert_eq!(one.to_base64().parse(), Ok(one));
    }

    #[test]
    fn what_is_no_key_or_no_name_is_refused() {
        for text in ["", "!", &"A".repeat(4_096)] {
            assert_eq!(text.parse::<EscrowKey>(), Err(BadEscrowKey::Key), "{text}");
        }
        assert_eq!(EscrowKey::from_der([0; 1_025]), Err(BadEscrowKey::Key));
        for text in ["", "00", &"0".repeat(33), &"A".repeat(32), &"g".repeat(32)] {
            assert_eq!(text.parse::<KeyId>(), Err(BadEscrowKey::Id), "{text}");
        }
    }
}
