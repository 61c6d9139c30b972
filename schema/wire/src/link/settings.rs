//! A gateway's settings document: what an admin may change while it runs. Each key has a default and a limit.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The settings document. Unknown keys are refused, missing ones have their default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Version of the document; 0 is what a gateway has before any came.
    pub version: u64,
    /// The names that devices use for this gateway; a request for another Host is 421. Empty: any.
    pub device_names: Vec<String>,
    /// Where devices are listened for, such as `0.0.0.0:443`. Empty: what the gateway was started with. At most 16.
    pub device_listen: Vec<SocketAddr>,
    /// Which TLS devices may speak.
    pub tls: TlsPolicy,
    /// Where the device port's certificate comes from. Default: the core's server CA.
    pub certificate: CertificateSource,
    /// How much the gateway logs. Default: what it was started with.
    pub log: LogLevel,
    /// New settings are on trial for so many seconds: when the core is out of reach as long, the ones before come back
    /// by themselves. Default 30; 1 to 600.
    pub trial_s: u64,
    /// A device must show a certificate of the device CA. Default: no.
    pub require_client_certificate: bool,
    /// Devices may enrol here (`/enrol/1/…`). Default: yes.
    pub enrolment: bool,
    /// Each message is read as SyncML before it is passed on, and refused when it cannot be. Default: yes.
    pub decode_before_relay: bool,
    /// The largest message from a device, and the largest reply to it, octets. Default 1 MiB; 4 KiB to 16 MiB.
    pub message_octets: usize,
    /// The largest header section, octets. Default 16 KiB; 1 KiB to 64 KiB.
    pub header_octets: usize,
    /// A request's headers must be in after so many seconds. Default 20; 1 to 120.
    pub header_timeout_s: u64,
    /// A body must be in after so many seconds. Default 60; 1 to 600.
    pub body_timeout_s: u64,
    /// A body may not come slower than this, octets a second, after a first 5 seconds. Default 64; 0 to 65,536.
    pub body_octets_a_second: u64,
    /// A connection may be idle between messages for so many seconds. Default 30; 0 (close at once) to 600.
    pub keep_alive_s: u64,
    /// Device connections at once. Default 20,000; 1 to 1,000,000.
    pub connections: usize,
    /// The limit for an address before it has shown that it is a device of ours, and for its failures.
    pub address: AddressLimit,
    /// The limit for a route.
    pub route: RouteLimit,
    /// How many devices may listen, and how long.
    pub listen: ListenLimits,
    /// How many request links are kept.
    pub links: LinkCountLimits,
    /// A message waits so long for a free link, milliseconds. Default 5,000; 0 to 60,000.
    pub link_wait_ms: u64,
    /// The core's reply must be in after so many seconds. Default 30; 1 to 300.
    pub reply_timeout_s: u64,
    /// What Retry-After says when a device is to come again, seconds; at the most, where it waits for tokens. Default 60; 1 to 86,400.
    pub retry_after_s: u64,
    /// Balancers that send a PROXY protocol v2 header first, as networks. Default: none.
    pub proxy_protocol_from: Vec<Network>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: 0,
            device_names: Vec::new(),
            device_listen: Vec::new(),
            tls: TlsPolicy::default(),
            certificate: CertificateSource::Issued,
            log: LogLevel::Started,
            trial_s: 30,
            require_client_certificate: false,
            enrolment: true,
            decode_before_relay: true,
            message_octets: 1024 * 1024,
            header_octets: 16 * 1024,
            header_timeout_s: 20,
            body_timeout_s: 60,
            body_octets_a_second: 64,
            keep_alive_s: 30,
            connections: 20_000,
            address: AddressLimit::default(),
            route: RouteLimit::default(),
            listen: ListenLimits::default(),
            links: LinkCountLimits::default(),
            link_wait_ms: 5_000,
            reply_timeout_s: 30,
            retry_after_s: 60,
            proxy_protocol_from: Vec::new(),
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246, with ECDHE and AEAD only.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V13,
}

/// Which TLS devices may speak.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsPolicy {
    /// The oldest version. Default 1.2.
    pub min_version: TlsVersion,
    /// Cipher suites in the gateway's order of preference, of [`CIPHER_SUITES`]. Empty: the TLS library's own.
    pub ciphers: Vec<String>,
}

/// The cipher suites that there are, as [`TlsPolicy::ciphers`] names them: IANA's names, those of TLS 1.3 with their `13`.
pub const CIPHER_SUITES: &[&str] = &[
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Where the device port's certificate comes from. Its key is made on the gateway in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateSource {
    /// The core's server CA, renewed by itself.
    #[default]
    Issued,
    /// Another CA: an admin takes the signing request out and brings the chain in.
    External,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// What the program was started with.
    #[default]
    Started,
    /// Only what has failed.
    Error,
    /// And what is odd.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The filter that it means; `None` for the one of the start.
    #[must_use]
    pub const fn filter(self) -> Option<&'static str> {
        match self {
            Self::Started => None,
            Self::Error => Some("error"),
            Self::Warn => Some("warn"),
            Self::Info => Some("info"),
            Self::Debug => Some("debug"),
            Self::Trace => Some("trace"),
        }
    }
}

/// What one address (an IPv6 /64 counts as one) may do unproved: each connection costs one, which comes back with its
/// first message that is passed on; each failure costs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddressLimit {
    /// Default 600; 1 to 1,000,000.
    pub per_minute: u32,
    /// Default 300; 1 to 1,000,000.
    pub burst: u32,
}

impl Default for AddressLimit {
    fn default() -> Self {
        Self { per_minute: 600, burst: 300 }
    }
}

/// How many messages one route may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteLimit {
    /// Default 600; 1 to 1,000,000.
    pub per_minute: u32,
    /// Default 300; 1 to 1,000,000.
    pub burst: u32,
}

impl Default for RouteLimit {
    fn default() -> Self {
        Self { per_minute: 600, burst: 300 }
    }
}

/// What devices that listen for a notification (`GET /dm/1/<route>/listen`) may take of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenLimits {
    /// Devices that listen at once; 0: none may. Each holds a connection. Default 10,000; 0 to 1,000,000.
    pub devices: usize,
    /// A listener is answered 204 after so many seconds without a notification. Default 300; 1 to 3,600.
    pub poll_s: u64,
    /// A notification whose device does not listen is kept for so many seconds. Default 60; 0 (not at all) to 600.
    pub keep_s: u64,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self { devices: 10_000, poll_s: 300, keep_s: 60 }
    }
}

/// How many request links a gateway wants of its core; each carries one message at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkCountLimits {
    /// Kept even when idle. Default 4; 1 to 1,024.
    pub min: u32,
    /// Never more. Default 64; `min` to 1,024.
    pub max: u32,
}

impl Default for LinkCountLimits {
    fn default() -> Self {
        Self { min: 4, max: 64 }
    }
}

/// Why a settings document is not taken: the key, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not JSON, an unknown key or a value of another type.
    #[error("the document cannot be read: {0}")]
    Unreadable(String),
    /// A value outside its limits.
    #[error("{key} is {found}, allowed is {allowed}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would be taken.
        allowed: String,
    },
    /// The document is not the one that its line announces.
    #[error("the document's {0} is not the announced one")]
    NotTheAnnounced(&'static str),
}

impl Settings {
    /// Where devices are listened for, with what the gateway was started with.
    #[must_use]
    pub fn device_addresses(&self, started_with: SocketAddr) -> Vec<SocketAddr> {
        if self.device_listen.is_empty() { vec![started_with] } else { self.device_listen.clone() }
    }

    /// Reads and checks a document.
    ///
    /// # Errors
    /// [`SettingsError`] with a sentence that names the key.
    pub fn read(document: &serde_json::Value) -> Result<Self, SettingsError> {
        let settings =
            Self::deserialize(document).map_err(|error| SettingsError::Unreadable(error.to_string()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Checks every value against its limits.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`] for the first key that is outside.
    pub fn check(&self) -> Result<(), SettingsError> {
        let within = |key, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(SettingsError::OutOfRange {
                    key,
                    found: value.to_string(),
                    allowed: format!("{low} to {high}"),
                })
            }
        };
        within("device_listen", self.device_listen.len() as u64, 0, 16)?;
        within("trial_s", self.trial_s, 1, 600)?;
        within("tls.ciphers", self.tls.ciphers.len() as u64, 0, CIPHER_SUITES.len() as u64)?;
        for suite in &self.tls.ciphers {
            if !CIPHER_SUITES.contains(&suite.as_str()) {
                return Err(SettingsError::OutOfRange {
                    key: "tls.ciphers",
                    found: format!("{suite:?}"),
                    allowed: CIPHER_SUITES.join(", "),
                });
            }
        }
        within("message_octets", self.message_octets as u64, 4 * 1024, 16 * 1024 * 1024)?;
        within("header_octets", self.header_octets as u64, 1024, 64 * 1024)?;
        within("header_timeout_s", self.header_timeout_s, 1, 120)?;
        within("body_timeout_s", self.body_timeout_s, 1, 600)?;
        within("body_octets_a_second", self.body_octets_a_second, 0, 65_536)?;
        within("keep_alive_s", self.keep_alive_s, 0, 600)?;
        within("connections", self.connections as u64, 1, 1_000_000)?;
        within("address.per_minute", self.address.per_minute.into(), 1, 1_000_000)?;
        within("address.burst", self.address.burst.into(), 1, 1_000_000)?;
        within("route.per_minute", self.route.per_minute.into(), 1, 1_000_000)?;
        within("route.burst", self.route.burst.into(), 1, 1_000_000)?;
        within("listen.devices", self.listen.devices as u64, 0, 1_000_000)?;
        within("listen.poll_s", self.listen.poll_s, 1, 3_600)?;
        within("listen.keep_s", self.listen.keep_s, 0, 600)?;
        within("links.min", self.links.min.into(), 1, 1_024)?;
        within("links.max", self.links.max.into(), self.links.min.into(), 1_024)?;
        within("link_wait_ms", self.link_wait_ms, 0, 60_000)?;
        within("reply_timeout_s", self.reply_timeout_s, 1, 300)?;
        within("retry_after_s", self.retry_after_s, 1, 86_400)?;
        within("device_names", self.device_names.len() as u64, 0, 256)?;
        within("proxy_protocol_from", self.proxy_protocol_from.len() as u64, 0, 256)?;
        for name in &self.device_names {
            let good = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
            if name.is_empty() || name.len() > 253 || !name.chars().all(good) {
                return Err(SettingsError::OutOfRange {
                    key: "device_names",
                    found: format!("{name:?}"),
                    allowed: "host names and addresses".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// SHA-256 over the document's compact JSON with sorted keys, in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> String {
        let value = serde_json::to_value(self).expect("settings hold no map with other keys than strings");
        digest_of(&value)
    }
}

/// SHA-256 over a JSON value's compact form; serde_json's maps are sorted by key.
pub(crate) fn digest_of(value: &serde_json::Value) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(value.to_string()))
}

impl Settings {
    /// Checks that `document` is the one that its watch line announced, then reads it.
    ///
    /// # Errors
    /// [`SettingsError`] with a sentence for the admin.
    pub fn read_announced(
        version: u64,
        sha256: &str,
        document: &serde_json::Value,
    ) -> Result<Self, SettingsError> {
        if !digest_of(document).eq_ignore_ascii_case(sha256) {
            return Err(SettingsError::NotTheAnnounced("digest"));
        }
        let settings = Self::read(document)?;
        if settings.version != version {
            return Err(SettingsError::NotTheAnnounced("version"));
        }
        Ok(settings)
    }
}

/// A network: an address and how many of its leading bits count. `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` is in this network. An IPv4 address in its IPv6-mapped form counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(found)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == found.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(found)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == found.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network such as 192.0.2.0/24")]
pub struct NotANetwork(String);

impl FromStr for Network {
    type Err = NotANetwork;
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?,
            None => most,
        };
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_the_limits() {
        Settings::default().check().expect("defaults are allowed");
    }

    #[test]
    fn an_empty_document_is_the_defaults_and_an_unknown_key_is_refused() {
        let read = |text: &str| Settings::read(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(read("{}"), Ok(Settings::default()));
        let error = read(r#"{"mesage_octets":1}"#).expect_err("refused");
        assert!(error.to_string().contains("mesage_octets"), "{error}");
    }

    #[test]
    fn a_value_outside_its_limits_is_refused_with_its_key() {
        let mut settings = Settings { message_octets: 1, ..Settings::default() };
        assert!(settings.check().expect_err("refused").to_string().starts_with("message_octets is 1,"));
        settings = Settings { links: LinkCountLimits { min: 8, max: 4 }, ..Settings::default() };
        assert!(settings.check().is_err());
    }

    #[test]
    fn a_document_other_than_the_announced_one_is_refused() {
        let settings = Settings { version: 4, ..Settings::default() };
        let document = serde_json::to_value(&settings).expect("JSON");
        assert!(Settings::read_announced(4, &settings.digest(), &document).is_ok());
        assert!(Settings::read_announced(5, &settings.digest(), &document).is_err());
        assert!(Settings::read_announced(4, "00", &document).is_err());
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "192.0.2.1", false),
        ];
        for (network, address, inside) in cases {
            let network: Network = network.parse().expect("a network");
            assert_eq!(network.contains(address.parse().expect("an address")), inside, "{network} {address}");
        }
        assert!("192.0.2.0/33".parse::<Network>().is_err());
    }
}
