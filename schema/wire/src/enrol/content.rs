//! What the two sides say inside the handshake: JSON, read strictly.
//!
//! Promise: a field that is not known, is missing or is beyond its limit refuses the whole message by name; text holds no
//! control characters. Writing holds the same limits as reading.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _};
use zeroize::Zeroizing;

use crate::terms::{AuthType, EnrolmentId, UtcMillis};

/// A text is at most so many octets.
pub const TEXT_LIMIT: usize = 256;
/// A message's JSON is at most so many octets; a Noise message holds 65535.
const CONTENT_LIMIT: usize = 60_000;
/// A certificate, a request or a key is at most so many octets of DER.
const DER_LIMIT: usize = 8_192;
/// Anchors of one kind: the generations of a CA that are kept; certificates of a chain.
const MOST_CERTIFICATES: usize = 8;

/// Something in DER; base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Der(pub Vec<u8>);

/// What the device says first. Whoever learns the password later can read it, so nothing in it names the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The client and its version, `postern-device/0.1.0`.
    pub software: String,
    /// The system that it runs on, `linux`.
    pub platform: String,
}

/// What the device's key has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// ECDSA over P-256, with SHA-256.
    EcdsaP256,
}

/// What the device is to trust from now on. Whose word it is, the handshake has proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// The CAs of the device port's server certificate: one, or every generation during a roll-over.
    pub server_cas: Vec<Der>,
    /// The CAs that issue device certificates.
    pub device_cas: Vec<Der>,
    /// The core's key for replies (SubjectPublicKeyInfo).
    pub message_key: Der,
    /// The core's key for orders (SubjectPublicKeyInfo).
    pub order_key: Der,
    /// What the device's key has to be.
    pub key_type: KeyType,
    /// The key that the device's recovery password is sealed to (SubjectPublicKeyInfo of RSA), where the core escrows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escrow_key: Option<Der>,
}

/// What the device asks for, and who it says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// PKCS #10. The issuer takes the key from it and nothing else.
    pub csr: Der,
    /// DevId.
    pub device_id: String,
    /// What stays the same when the device is set up anew: a serial number, a machine id.
    pub hardware_id: String,
    /// DevInfo/Man.
    pub manufacturer: String,
    /// DevInfo/Mod.
    pub model: String,
    /// The system that it runs on, `linux`.
    pub platform: String,
    /// Whose it is, where the person at the device said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// The end of it: the device's certificate, and where to go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admitted {
    /// The device's certificate, then each one's issuer as far as the device needs it.
    pub chain: Vec<Der>,
    /// The account.
    pub bootstrap: Bootstrap,
}

/// The account of an enrolled device. Debug shows no secrets.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// `https://host[:port]/dm/1/<route>`.
    pub server_uri: String,
    /// The enrolment's id.
    pub enrolment: EnrolmentId,
    /// Its generation.
    pub generation: u32,
    /// DevId, as the core has it.
    pub device_id: String,
    /// ServerID.
    pub server_id: String,
    /// How the device proves itself.
    pub auth: AuthType,
    /// AAuthName of the device, where it has a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// AAuthSecret of the device (basic, md5, hmac).
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "reveal")]
    pub password: Option<SecretString>,
    /// AAuthSecret of the server.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "reveal")]
    pub server_password: Option<SecretString>,
    /// From when on the core has the certificate renewed.
    pub renew_from: UtcMillis,
}

/// Content that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadContent {
    /// More than a message holds.
    #[error("the message is longer than {CONTENT_LIMIT} octets")]
    TooLarge,
    /// Not the JSON of this message: a field that is missing, twice there, unknown or of another type.
    #[error("the message is not what belongs here (column {column})")]
    Json {
        /// Where reading stopped.
        column: usize,
    },
    /// A field is beyond its limits.
    #[error("{field} {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Hello {
    /// Reads it.
    ///
    /// # Errors
    /// [`BadContent`].
    pub fn read(json: &[u8]) -> Result<Self, BadContent> {
        read(json, Self::check)
    }

    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, BadContent> {
        write(self, Self::check)
    }

    fn check(&self) -> Result<(), BadContent> {
        text("software", &self.software)?;
        text("platform", &self.platform)
    }
}

impl Welcome {
    /// Reads it.
    ///
    /// # Errors
    /// [`BadContent`].
    pub fn read(json: &[u8]) -> Result<Self, BadContent> {
        read(json, Self::check)
    }

    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, BadContent> {
        write(self, Self::check)
    }

    fn check(&self) -> Result<(), BadContent> {
        certificates("server_cas", &self.server_cas)?;
        certificates("device_cas", &self.device_cas)?;
        der("message_key", &self.message_key)?;
        der("order_key", &self.order_key)?;
        self.escrow_key.as_ref().map_or(Ok(()), |key| der("escrow_key", key))
    }
}

impl Application {
    /// Reads it.
    ///
    /// # Errors
    /// [`BadContent`].
    pub fn read(json: &[u8]) -> Result<Self, BadContent> {
        read(json, Self::check)
    }

    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, BadContent> {
        write(self, Self::check)
    }

    fn check(&self) -> Result<(), BadContent> {
        der("csr", &self.csr)?;
        text("device_id", &self.device_id)?;
        text("hardware_id", &self.hardware_id)?;
        text("manufacturer", &self.manufacturer)?;
        text("model", &self.model)?;
        text("platform", &self.platform)?;
        optional("email", self.email.as_deref())
    }
}

impl Admitted {
    /// Reads it.
    ///
    /// # Errors
    /// [`BadContent`].
    pub fn read(json: &[u8]) -> Result<Self, BadContent> {
        read(json, Self::check)
    }

    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, BadContent> {
        write(self, Self::check)
    }

    fn check(&self) -> Result<(), BadContent> {
        certificates("chain", &self.chain)?;
        let bootstrap = &self.bootstrap;
        text("server_uri", &bootstrap.server_uri)?;
        text("device_id", &bootstrap.device_id)?;
        text("server_id", &bootstrap.server_id)?;
        optional("user", bootstrap.user.as_deref())?;
        optional("password", bootstrap.password.as_ref().map(SecretString::expose_secret))?;
        optional("server_password", bootstrap.server_password.as_ref().map(SecretString::expose_secret))
    }
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap")
            .field("enrolment", &self.enrolment)
            .field("generation", &self.generation)
            .field("device_id", &self.device_id)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({} octets)", self.0.len())
    }
}

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

fn reveal<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(SecretString::expose_secret).serialize(serializer)
}

fn read<T: DeserializeOwned>(
    json: &[u8],
    check: impl FnOnce(&T) -> Result<(), BadContent>,
) -> Result<T, BadContent> {
    if json.len() > CONTENT_LIMIT {
        return Err(BadContent::TooLarge);
    }
    // what serde would say of it quotes values
    let value = serde_json::from_slice(json).map_err(|error| BadContent::Json { column: error.column() })?;
    check(&value).map(|()| value)
}

fn write<T: Serialize>(
    value: &T,
    check: impl FnOnce(&T) -> Result<(), BadContent>,
) -> Result<Zeroizing<Vec<u8>>, BadContent> {
    check(value)?;
    let json = Zeroizing::new(serde_json::to_vec(value).expect("a message holds only text and numbers"));
    if json.len() > CONTENT_LIMIT { Err(BadContent::TooLarge) } else { Ok(json) }
}

fn text(field: &'static str, value: &str) -> Result<(), BadContent> {
    let refused = |why| Err(BadContent::Field { field, why });
    match value {
        "" => refused("is empty"),
        long if long.len() > TEXT_LIMIT => refused("is longer than 256 octets"),
        strange if strange.chars().any(char::is_control) => refused("holds control characters"),
        _ => Ok(()),
    }
}

fn optional(field: &'static str, value: Option<&str>) -> Result<(), BadContent> {
    value.map_or(Ok(()), |value| text(field, value))
}

fn der(field: &'static str, value: &Der) -> Result<(), BadContent> {
    match value.0.len() {
        0 => Err(BadContent::Field { field, why: "is empty" }),
        1..=DER_LIMIT => Ok(()),
        _ => Err(BadContent::Field { field, why: "is longer than 8192 octets" }),
    }
}

fn certificates(field: &'static str, all: &[Der]) -> Result<(), BadContent> {
    match all.len() {
        0 => Err(BadContent::Field { field, why: "is empty" }),
        1..=MOST_CERTIFICATES => all.iter().try_for_each(|one| der(field, one)),
        _ => Err(BadContent::Field { field, why: "holds more than 8 certificates" }),
    }
}
