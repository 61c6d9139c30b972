//! The two lists that a gateway holds: who is blocked, and which routes are live. Both go out as versioned deltas.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Admission, RefusalReason};
use crate::route::RouteHash;

/// Names a certificate: serial number and issuer, as RFC 5280 4.1.2.2 makes them unique together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CertificateName {
    /// The serial number's octets in lower-case hex, leading zero octets removed.
    pub serial: String,
    /// [`issuer_hash`] of the issuer.
    pub issuer: String,
}

impl CertificateName {
    /// The name of the certificate with this serial number (big-endian octets) and this issuer (DER of its Name).
    #[must_use]
    pub fn new(serial: &[u8], issuer_der: &[u8]) -> Self {
        let start = serial.iter().position(|octet| *octet != 0).unwrap_or(serial.len());
        Self { serial: data_encoding::HEXLOWER.encode(&serial[start..]), issuer: issuer_hash(issuer_der) }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.serial, self.issuer)
    }
}

/// The first 16 octets of SHA-256 over an issuer's DER-encoded Name, in lower-case hex.
#[must_use]
pub fn issuer_hash(issuer_der: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(issuer_der)[..16])
}

/// What a blocked entry is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockedSubject {
    /// A client certificate.
    Certificate(CertificateName),
    /// A device route, by its hash.
    Route(RouteHash),
}

/// One entry of the blocked list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedEntry {
    /// Who.
    pub subject: BlockedSubject,
    /// `wipe-only` or `refuse`.
    pub verdict: Admission,
}

impl BlockedEntry {
    /// The reason that goes with this entry in a refusal.
    #[must_use]
    pub const fn reason(&self) -> RefusalReason {
        match self.subject {
            BlockedSubject::Certificate(_) => RefusalReason::CertificateBlocked,
            BlockedSubject::Route(_) => RefusalReason::RouteBlocked,
        }
    }
}

/// A change of the blocked list. Parts with `more` are held back until the last one has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedDelta {
    /// The list's version once all parts are in.
    pub version: u64,
    /// The list starts empty; without it, from what the gateway holds.
    #[serde(default)]
    pub full: bool,
    /// Another part of the same version follows.
    #[serde(default)]
    pub more: bool,
    /// Entries that are new or changed.
    #[serde(default)]
    pub add: Vec<BlockedEntry>,
    /// Subjects that are no longer blocked.
    #[serde(default)]
    pub remove: Vec<BlockedSubject>,
}

/// A change of the known routes. Parts with `more` are held back until the last one has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutesDelta {
    /// The list's version once all parts are in.
    pub version: u64,
    /// The list starts empty; without it, from what the gateway holds.
    #[serde(default)]
    pub full: bool,
    /// Another part of the same version follows.
    #[serde(default)]
    pub more: bool,
    /// Routes that are live now.
    #[serde(default)]
    pub add: Vec<RouteHash>,
    /// Routes that no longer are.
    #[serde(default)]
    pub remove: Vec<RouteHash>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_one_name_however_its_serial_is_padded() {
        assert_eq!(
            CertificateName::new(&[0, 0, 0x8f, 1], b"issuer"),
            CertificateName::new(&[0x8f, 1], b"issuer")
        );
        assert_ne!(CertificateName::new(&[1], b"issuer"), CertificateName::new(&[1], b"another"));
    }
}
