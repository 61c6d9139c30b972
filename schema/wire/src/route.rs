//! The path segment of one enrolment generation: `/dm/1/<26 characters>`.
//!
//! 128 random bits in base32 (RFC 4648, lower case, no padding), never reused. A gateway knows only a truncated
//! hash of each live one.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize, de::Error as _};
use sha2::{Digest as _, Sha256};

/// What stands before the route in a device's URL.
pub const PREFIX: &str = "/dm/1/";

/// What stands behind the route where a device listens for a notification.
pub const LISTEN: &str = "/listen";

/// One enrolment's route: 16 random octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId([u8; 16]);

/// A route that is not 26 characters of lower-case base32, or a hash that is not 32 of lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a device route")]
pub struct BadRoute;

impl RouteId {
    /// The route of these octets (from the caller's random source).
    #[must_use]
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the 26 characters. Each route has one spelling only: upper case and spare bits are refused.
    ///
    /// # Errors
    /// [`BadRoute`].
    pub fn parse(text: &str) -> Result<Self, BadRoute> {
        if text.len() != 26 || text.bytes().any(|octet| octet.is_ascii_uppercase()) {
            return Err(BadRoute);
        }
        let octets = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| BadRoute)?;
        octets.try_into().map(Self).map_err(|_| BadRoute)
    }

    /// Reads a request path: `/dm/1/<route>`, with or without a query (Windows adds its own).
    ///
    /// # Errors
    /// [`BadRoute`].
    pub fn from_path(path_and_query: &str) -> Result<Self, BadRoute> {
        let path = path_and_query.split('?').next().unwrap_or_default();
        Self::parse(path.strip_prefix(PREFIX).ok_or(BadRoute)?)
    }

    /// Reads the path where a device listens: `/dm/1/<route>/listen`.
    ///
    /// # Errors
    /// [`BadRoute`].
    pub fn from_listen_path(path_and_query: &str) -> Result<Self, BadRoute> {
        let path = path_and_query.split('?').next().unwrap_or_default();
        Self::from_path(path.strip_suffix(LISTEN).ok_or(BadRoute)?)
    }

    /// The path where the device listens.
    #[must_use]
    pub fn listen_path(&self) -> String {
        format!("{PREFIX}{self}{LISTEN}")
    }

    /// The request path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{PREFIX}{self}")
    }

    /// The hash that a gateway may know.
    #[must_use]
    pub fn hash(&self) -> RouteHash {
        let digest = Sha256::digest(self.0);
        let mut octets = [0; 16];
        octets.copy_from_slice(&digest[..16]);
        RouteHash(octets)
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl FromStr for RouteId {
    type Err = BadRoute;
    fn from_str(text: &str) -> Result<Self, BadRoute> {
        Self::parse(text)
    }
}

impl Serialize for RouteId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RouteId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The first 16 octets of SHA-256 over the 16 octets of a route; in hex wherever it is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteHash([u8; 16]);

impl RouteHash {
    /// The hash of these octets, as read back from storage.
    #[must_use]
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RouteHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for RouteHash {
    type Err = BadRoute;
    fn from_str(text: &str) -> Result<Self, BadRoute> {
        let octets = HEXLOWER.decode(text.as_bytes()).map_err(|_| BadRoute)?;
        octets.try_into().map(Self).map_err(|_| BadRoute)
    }
}

impl Serialize for RouteHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RouteHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_26_characters_of_lower_case_base32_and_comes_back() {
        let route = RouteId::from_bytes(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff");
        assert_eq!(route.to_string(), "aaisem2ekvthpcezvk54zxpo74");
        assert_eq!(
            RouteId::from_path("/dm/1/aaisem2ekvthpcezvk54zxpo74?mode=Maintenance&Platform=WoA"),
            Ok(route)
        );
        assert_eq!(route.path(), "/dm/1/aaisem2ekvthpcezvk54zxpo74");
    }

    #[test]
    fn a_route_has_one_spelling_only() {
        for other in [
            "AAISEM2EKVTHPCEZVK54ZXPO74",
            "aaisem2ekvthpcezvk54zxpo75",
            "aaisem2ekvthpcezvk54zxpo7",
            "",
            "aaisem2ekvthpcezvk54zxpo1!",
        ] {
            assert_eq!(RouteId::parse(other), Err(BadRoute), "{other}");
        }
        assert_eq!(RouteId::from_path("/dm/2/aaisem2ekvthpcezvk54zxpo74"), Err(BadRoute));
        assert_eq!(RouteId::from_path("/dm/1/aaisem2ekvthpcezvk54zxpo74/"), Err(BadRoute));
    }

    #[test]
    fn a_gateway_sees_only_half_of_a_sha_256_of_the_route() {
        let hash = RouteId::from_bytes([0; 16]).hash();
        assert_eq!(hash.to_string(), "374708fff7719dd5979ec875d56cd228");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("374708FFF7719DD5979EC875D56CD228".parse::<RouteHash>().is_err());
    }
}
