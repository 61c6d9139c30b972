//! How a gateway joins: the bundle that a person carries to it, and what core and gateway say to each other once.
//!
//! The gateway never connects inward. It listens on its link port, the core dials it with [`JOIN_ALPN`] and TLS 1.3; the
//! gateway's certificate is self-signed and proves nothing. What proves both is the bundle's one-time secret: each side
//! sends [`JoinSecret::proof`], an HMAC-SHA-256 over its own role, the gateway's id and the connection's *exported
//! keying material* (RFC 8446 7.5, label [`JOIN_EXPORTER`]: the channel binding `tls-exporter` of RFC 9266 under a label
//! of our own). Both ends of one TLS connection export the same octets, the ends of two connections never do; so
//! somebody in the middle, who has one connection to each side, holds no proof that fits the other one, and a recorded
//! proof fits no later connection. The role in the HMAC keeps a proof from being sent back to who made it.
//!
//! Messages are JSON behind a length of 4 octets, big-endian ([`frame`]):
//! 1. core → gateway [`CoreSays::Hello`] with its proof;
//! 2. gateway → core [`GatewaySays::Proof`] with its proof and its signing requests, only after the first one held;
//! 3. core → gateway [`CoreSays::Grant`] with certificates and trust anchors, after it has committed them;
//! 4. gateway → core [`GatewaySays::Stored`] when they are on its disk.
//!
//! Whatever dies between two steps, the same exchange is made again, with the same keys, until it has succeeded or the
//! secret has expired.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::terms::UtcMillis;

/// The ALPN protocol of a joining gateway's link port; both ends refuse any other.
pub const JOIN_ALPN: &[u8] = b"postern-join/1";
/// The label of the exported keying material that the proofs are made over; its context is empty.
pub const JOIN_EXPORTER: &[u8] = b"EXPORTER-postern-join";
/// Octets of keying material that are exported.
pub const JOIN_EXPORTED: usize = 32;
/// The longest message of a join, octets.
pub const JOIN_OCTETS: usize = 256 * 1024;
/// A bundle holds so long unless the admin says otherwise, hours.
pub const BUNDLE_HOURS: u32 = 24;
/// What a bundle's `bundle` field says.
pub const BUNDLE_FORMAT: u32 = 1;

/// Which side made a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinSide {
    /// The core.
    Core,
    /// The gateway.
    Gateway,
}

impl JoinSide {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Core => b"postern join 1 core\0",
            Self::Gateway => b"postern join 1 gateway\0",
        }
    }
}

/// The one-time secret of a bundle: 256 random bits. Wiped when dropped, and never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct JoinSecret([u8; 32]);

impl JoinSecret {
    /// From random octets.
    #[must_use]
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets, to be sealed.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The proof of `side` on the connection with this keying material: 64 hex digits.
    #[must_use]
    pub fn proof(&self, side: JoinSide, gateway: Uuid, exported: &[u8; JOIN_EXPORTED]) -> String {
        data_encoding::HEXLOWER.encode(&self.mac(side, gateway, exported).finalize().into_bytes())
    }

    /// Whether `proof` is the one of `side` on this connection; compared in constant time.
    #[must_use]
    pub fn holds(&self, proof: &str, side: JoinSide, gateway: Uuid, exported: &[u8; JOIN_EXPORTED]) -> bool {
        let Ok(octets) = data_encoding::HEXLOWER.decode(proof.as_bytes()) else { return false };
        self.mac(side, gateway, exported).verify_slice(&octets).is_ok()
    }

    fn mac(&self, side: JoinSide, gateway: Uuid, exported: &[u8; JOIN_EXPORTED]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(side.label());
        mac.update(gateway.as_bytes());
        mac.update(exported);
        mac
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(…)")
    }
}

impl Serialize for JoinSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for JoinSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        let octets = BASE64URL_NOPAD.decode(text.as_bytes()).ok().map(zeroize::Zeroizing::new);
        let octets = octets.and_then(|octets| octets.as_slice().try_into().ok());
        octets.map(Self).ok_or_else(|| serde::de::Error::custom("the secret is not 256 bits in base64url"))
    }
}

/// What a person carries to a new gateway: a JSON file, to be kept as secret as a password until it has been used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// [`BUNDLE_FORMAT`].
    pub bundle: u32,
    /// The gateway's name.
    pub gateway: String,
    /// Which joining of that name; a later bundle has another.
    pub id: Uuid,
    /// The port that the core dials.
    pub link_port: u16,
    /// The link CA's certificates, PEM: what the gateway will trust on its link port.
    pub link_authority: String,
    /// The one-time secret.
    pub secret: JoinSecret,
    /// When it is over.
    pub expires_at: UtcMillis,
}

/// What the core says while a gateway joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "kebab-case")]
pub enum CoreSays {
    /// First.
    Hello {
        /// The bundle's id.
        gateway: Uuid,
        /// [`JoinSecret::proof`] of the core.
        proof: String,
    },
    /// The gateway has proved itself; this is what it gets.
    Grant(Grant),
    /// It gets nothing.
    Refused {
        /// Why.
        reason: JoinRefusal,
    },
}

/// What the gateway says while it joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "kebab-case")]
pub enum GatewaySays {
    /// The core has proved itself; this is the gateway's proof and what it wants signed.
    Proof {
        /// [`JoinSecret::proof`] of the gateway.
        proof: String,
        /// The gateway's program version.
        version: String,
        /// PKCS#10 request for the link certificate, PEM.
        link_request: String,
        /// PKCS#10 request for the device port's certificate, PEM.
        server_request: String,
    },
    /// All of the grant is on disk.
    Stored,
    /// The core has not proved itself.
    Refused {
        /// Why.
        reason: JoinRefusal,
    },
}

/// What a gateway that proved itself gets. PEM each; nothing of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its link certificate with what stands between it and the link CA.
    pub link_certificate: String,
    /// The link CA, all generations that are in use.
    pub link_authority: String,
    /// The device port's certificate with what stands between it and the server CA.
    pub server_certificate: String,
    /// The device CA, all generations that are in use; empty where devices are not asked for certificates.
    #[serde(default)]
    pub device_authority: String,
}

/// Why a join was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JoinRefusal {
    /// The proof does not hold: another secret, or another connection.
    WrongSecret,
    /// The bundle is not of this joining.
    OtherGateway,
    /// The secret's time is over.
    Expired,
    /// The secret was used, revoked, or tried wrongly too often.
    Closed,
    /// Another key was certified with this secret already.
    OtherKey,
    /// A signing request does not hold.
    Request,
    /// The other side cannot do it now; it may be tried again.
    Later,
    /// A reason of a newer program that this one does not know.
    #[serde(other)]
    Other,
}

impl JoinRefusal {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongSecret => "wrong-secret",
            Self::OtherGateway => "other-gateway",
            Self::Expired => "expired",
            Self::Closed => "closed",
            Self::OtherKey => "other-key",
            Self::Request => "request",
            Self::Later => "later",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for JoinRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a message of a join cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It is longer than [`JOIN_OCTETS`].
    #[error("a message of {0} octets is too long")]
    TooLong(usize),
    /// It is not what was expected.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
}

/// A message with its length before it.
///
/// # Errors
/// [`JoinError`] when it is too long.
pub fn frame(message: &impl Serialize) -> Result<Vec<u8>, JoinError> {
    let text = serde_json::to_vec(message).map_err(|error| JoinError::Unreadable(error.to_string()))?;
    let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= JOIN_OCTETS);
    let length = length.ok_or(JoinError::TooLong(text.len()))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&text);
    Ok(framed)
}

/// The length that these 4 octets announce.
///
/// # Errors
/// [`JoinError::TooLong`].
pub fn frame_length(head: [u8; 4]) -> Result<usize, JoinError> {
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length <= JOIN_OCTETS { Ok(length) } else { Err(JoinError::TooLong(length)) }
}

/// Reads a message without its length.
///
/// # Errors
/// [`JoinError::Unreadable`].
pub fn read<T: DeserializeOwned>(octets: &[u8]) -> Result<T, JoinError> {
    serde_json::from_slice(octets).map_err(|error| JoinError::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Uuid = Uuid::from_u128(7);

    #[test]
    fn a_proof_holds_for_its_secret_side_gateway_and_connection_alone() {
        let secret = JoinSecret::new([1; 32]);
        let proof = secret.proof(JoinSide::Core, GATEWAY, &[9; 32]);
        assert!(secret.holds(&proof, JoinSide::Core, GATEWAY, &[9; 32]));
        assert!(!JoinSecret::new([2; 32]).holds(&proof, JoinSide::Core, GATEWAY, &[9; 32]), "another secret");
        assert!(!secret.holds(&proof, JoinSide::Gateway, GATEWAY, &[9; 32]), "sent back to who made it");
        assert!(!secret.holds(&proof, JoinSide::Core, Uuid::from_u128(8), &[9; 32]), "another gateway");
        assert!(!secret.holds(&proof, JoinSide::Core, GATEWAY, &[8; 32]), "relayed, or replayed later");
        assert!(!secret.holds("", JoinSide::Core, GATEWAY, &[9; 32]));
    }

    #[test]
    fn a_bundle_is_read_back_and_its_secret_is_not_shown() {
        let bundle = Bundle {
            bundle: BUNDLE_FORMAT,
            gateway: "edge".to_owned(),
            id: GATEWAY,
            link_port: 8844,
            link_authority: "PEM".to_owned(),
            secret: JoinSecret::new([3; 32]),
            expires_at: UtcMillis(5),
        };
        let text = serde_json::to_string(&bundle).expect("JSON");
        assert_eq!(serde_json::from_str::<Bundle>(&text).expect("read back"), bundle);
        assert!(!format!("{bundle:?}").contains("3, 3"), "{bundle:?}");
        let short = text.replace(&BASE64URL_NOPAD.encode(&[3; 32]), "AAAA");
        assert!(serde_json::from_str::<Bundle>(&short).is_err(), "a shorter secret is none");
    }

    #[test]
    fn a_message_has_a_length_and_a_limit() {
        let framed = frame(&GatewaySays::Stored).expect("short enough");
        let head = [framed[0], framed[1], framed[2], framed[3]];
        assert_eq!(frame_length(head), Ok(framed.len() - 4));
        assert_eq!(read::<GatewaySays>(&framed[4..]), Ok(GatewaySays::Stored));
        assert!(frame_length([0xff; 4]).is_err());
        assert!(frame(&GatewaySays::Refused { reason: JoinRefusal::Expired }).is_ok());
        assert!(read::<CoreSays>(b"{}").is_err());
    }
}
