//! Package 0, the notification that asks a device to open a session (OMA-TS-DM_Notification 1.2.1, section 6).
//!
//! `digest(16) | trigger`. The digest proves that the sender knows the server's secret on that device; it covers
//! everything behind it, vendor data among it. Integers are big-endian.
//!
//! Promise: a trigger is written bit for bit as the specification draws it, and every trigger that is read is
//! written back the same. Versions 1.0, 1.1 and 1.2 are read; 1.1 is written. A package that does not verify says
//! nothing about its sender: its reader ignores it.

use std::fmt;

use crate::auth;

/// Octets of the digest.
pub const DIGEST_OCTETS: usize = 16;
/// Octets of a trigger without its server identifier and vendor data.
const FIXED_OCTETS: usize = 8;
/// Most octets of a package that is read: what 255 concatenated short messages would carry is far more than any
/// server sends.
pub const MOST_OCTETS: usize = 4_096;
/// A longer server identifier is refused by the AOSP/Motorola client.
pub const SERVER_ID_WARNING: usize = 23;
/// The version that is written: 1.1.
pub const VERSION: u16 = 11;

const FUTURE_USE_BITS: u32 = 27;

/// What the user may see of the session (6.2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UiMode {
    /// Not specified: the device decides.
    #[default]
    NotSpecified,
    /// Nothing.
    Background,
    /// An announcement.
    Informative,
    /// The user has to agree.
    UserInteraction,
}

impl UiMode {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 4] =
        [Self::NotSpecified, Self::Background, Self::Informative, Self::UserInteraction];

    /// The stable word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSpecified => "not-specified",
            Self::Background => "background",
            Self::Informative => "informative",
            Self::UserInteraction => "user-interaction",
        }
    }

    fn bits(self) -> u64 {
        match self {
            Self::NotSpecified => 0,
            Self::Background => 1,
            Self::Informative => 2,
            Self::UserInteraction => 3,
        }
    }
}

impl fmt::Display for UiMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who wanted the session (6.2.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initiator {
    /// The user, by way of the server.
    Client,
    /// The server.
    #[default]
    Server,
}

/// The id of the session that is asked for: 1 to 0xFFFF. The device's package 1 bears it as [`SessionId::to_string`]
/// writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(std::num::NonZeroU16);

impl SessionId {
    /// The id of a number; `None` for 0.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        std::num::NonZeroU16::new(number).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0.get()
    }

    /// The id that a SessionID of SyncHdr writes: hexadecimal digits of either case, leading zeros allowed.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits =
            !text.is_empty() && text.len() <= 8 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
        u16::from_str_radix(text, 16).ok().filter(|_| digits).and_then(Self::new)
    }
}

/// Upper-case hexadecimal digits without leading zeros (6.2.10).
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

/// What package 0 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Ten times the version of the notification specification: 10, 11 or 12.
    pub version: u16,
    /// What the user may see.
    pub ui_mode: UiMode,
    /// Who wants the session.
    pub initiator: Initiator,
    /// 27 bits without a meaning yet: zero when written new, kept when read.
    pub future_use: u32,
    /// The session that is asked for.
    pub session_id: SessionId,
    /// The ServerID of the account that the session belongs to.
    pub server_id: String,
    /// Vendor-specific octets behind the server identifier.
    pub vendor: Vec<u8>,
}

impl Trigger {
    /// A trigger of the server, in the background, without vendor data.
    #[must_use]
    pub fn new(session_id: SessionId, server_id: &str) -> Self {
        Self {
            version: VERSION,
            ui_mode: UiMode::Background,
            initiator: Initiator::Server,
            future_use: 0,
            session_id,
            server_id: server_id.to_owned(),
            vendor: Vec::new(),
        }
    }

    /// Whether clients are known that refuse the length of the server identifier (NOT-13).
    #[must_use]
    pub fn server_id_is_long(&self) -> bool {
        self.server_id.len() > SERVER_ID_WARNING
    }

    /// The trigger's octets.
    ///
    /// # Errors
    /// [`BadNotification::Version`], [`BadNotification::FutureUse`], [`BadNotification::ServerId`] and
    /// [`BadNotification::TooLong`]: what a trigger cannot say.
    pub fn encode(&self) -> Result<Vec<u8>, BadNotification> {
        check_version(self.version)?;
        check_server_id(self.server_id.as_bytes())?;
        if self.future_use >> FUTURE_USE_BITS != 0 {
            return Err(BadNotification::FutureUse);
        }
        let length = u8::try_from(self.server_id.len()).map_err(|_| BadNotification::ServerIdLength)?;
        let total = DIGEST_OCTETS + FIXED_OCTETS + self.server_id.len() + self.vendor.len();
        if total > MOST_OCTETS {
            return Err(BadNotification::TooLong(total));
        }
        let bits = u64::from(self.version) << 30
            | self.ui_mode.bits() << 28
            | u64::from(self.initiator == Initiator::Server) << FUTURE_USE_BITS
            | u64::from(self.future_use);
        let mut octets = Vec::with_capacity(total);
        octets.extend_from_slice(&bits.to_be_bytes()[3..]);
        octets.extend_from_slice(&self.session_id.number().to_be_bytes());
        octets.push(length);
        octets.extend_from_slice(self.server_id.as_bytes());
        octets.extend_from_slice(&self.vendor);
        Ok(octets)
    }

    /// Reads a trigger: everything behind the digest.
    ///
    /// # Errors
    /// [`BadNotification`].
    pub fn decode(octets: &[u8]) -> Result<Self, BadNotification> {
        let (fixed, rest) = octets.split_at_checked(FIXED_OCTETS).ok_or(BadNotification::Truncated)?;
        let mut bits = [0; 8];
        bits[3..].copy_from_slice(&fixed[..5]);
        let bits = u64::from_be_bytes(bits);
        let version = (bits >> 30 & 0x3FF) as u16;
        check_version(version)?;
        let session_id = SessionId::new(u16::from_be_bytes([fixed[5], fixed[6]]));
        let (server_id, vendor) =
            rest.split_at_checked(usize::from(fixed[7])).ok_or(BadNotification::Truncated)?;
        let server_id = check_server_id(server_id)?;
        Ok(Self {
            version,
            ui_mode: UiMode::ALL[(bits >> 28 & 3) as usize],
            initiator: if bits >> FUTURE_USE_BITS & 1 == 1 { Initiator::Server } else { Initiator::Client },
            future_use: (bits & ((1 << FUTURE_USE_BITS) - 1)) as u32,
            session_id: session_id.ok_or(BadNotification::SessionId)?,
            server_id: server_id.to_owned(),
            vendor: vendor.to_vec(),
        })
    }
}

/// A package 0 whose digest nobody has looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package0 {
    /// What it claims to say.
    pub trigger: Trigger,
    digest: [u8; DIGEST_OCTETS],
    octets: Vec<u8>,
}

impl Package0 {
    /// Signs a trigger with B64(H(server-id:password)) and a nonce's octets.
    ///
    /// # Errors
    /// As [`Trigger::encode`].
    pub fn seal(trigger: Trigger, server_password_hash: &str, nonce: &[u8]) -> Result<Self, BadNotification> {
        let octets = trigger.encode()?;
        Ok(Self { digest: auth::trigger_digest(server_password_hash, nonce, &octets), trigger, octets })
    }

    /// Reads a package.
    ///
    /// # Errors
    /// [`BadNotification`].
    pub fn decode(octets: &[u8]) -> Result<Self, BadNotification> {
        if octets.len() > MOST_OCTETS {
            return Err(BadNotification::TooLong(octets.len()));
        }
        let (digest, octets) = octets.split_first_chunk().ok_or(BadNotification::Truncated)?;
        Ok(Self { trigger: Trigger::decode(octets)?, digest: *digest, octets: octets.to_vec() })
    }

    /// The package's octets, the digest first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.digest.as_slice(), &self.octets].concat()
    }

    /// The digest that it bears.
    #[must_use]
    pub fn digest(&self) -> [u8; DIGEST_OCTETS] {
        self.digest
    }

    /// Under which of `readings` of the stored nonce (base64, as NextNonce brought it) the digest is the one that
    /// B64(H(server-id:password)) makes; `None` for a forged, stale or damaged package.
    #[must_use]
    pub fn verify(
        &self,
        server_password_hash: &str,
        stored_nonce: &str,
        readings: &[NonceReading],
    ) -> Option<NonceReading> {
        let fits = |reading: &NonceReading| {
            let Some(nonce) = reading.octets(stored_nonce) else { return false };
            auth::equal(&auth::trigger_digest(server_password_hash, &nonce, &self.octets), &self.digest)
        };
        readings.iter().copied().find(fits)
    }
}

/// Which octets a peer takes for the nonce (OMA-TS-DM_Notification 1.2.1, 5.1, which the implementations read differently). Two are about the stored nonce,
/// the others about the default nonce "0x00000000", by which a server that lost its nonce asks for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceReading {
    /// The stored nonce, base64 decoded: what the specification means.
    Decoded,
    /// The stored nonce's base64 text itself.
    Undecoded,
    /// The default nonce as four zero octets.
    ZeroOctets,
    /// The default nonce as the ten characters `0x00000000`.
    ZeroText,
    /// The default nonce as the text `AAAAAA==`, four zero octets left undecoded.
    ZeroUndecoded,
}

impl NonceReading {
    /// All of them, those of the stored nonce first.
    pub const ALL: [Self; 5] =
        [Self::Decoded, Self::Undecoded, Self::ZeroOctets, Self::ZeroText, Self::ZeroUndecoded];
    /// Those of the stored nonce.
    pub const STORED: [Self; 2] = [Self::Decoded, Self::Undecoded];

    /// The nonce's octets; `None` when the stored nonce is not base64.
    #[must_use]
    pub fn octets(self, stored_nonce: &str) -> Option<Vec<u8>> {
        match self {
            Self::Decoded => auth::decode_nonce(stored_nonce),
            Self::Undecoded => Some(stored_nonce.as_bytes().to_vec()),
            Self::ZeroOctets => Some(vec![0; 4]),
            Self::ZeroText => Some(b"0x00000000".to_vec()),
            Self::ZeroUndecoded => Some(b"AAAAAA==".to_vec()),
        }
    }

    /// Whether it is the default nonce: the two sides have to agree on new ones, and a verifier accepts it once.
    #[must_use]
    pub fn is_resynchronisation(self) -> bool {
        !matches!(self, Self::Decoded | Self::Undecoded)
    }

    /// The stable word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decoded => "stored",
            Self::Undecoded => "stored-undecoded",
            Self::ZeroOctets => "zero-octets",
            Self::ZeroText => "zero-text",
            Self::ZeroUndecoded => "zero-undecoded",
        }
    }
}

/// A notification that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNotification {
    /// It ends too early.
    #[error("the notification ends too early")]
    Truncated,
    /// It is longer than any server makes one.
    #[error("the notification has {0} octets, more than {MOST_OCTETS}")]
    TooLong(usize),
    /// A version that is not 1.0, 1.1 or 1.2.
    #[error("the notification's version field is {0}, not 10, 11 or 12")]
    Version(u16),
    /// More than 27 bits.
    #[error("the notification's future-use field has 27 bits")]
    FutureUse,
    /// The session id 0.
    #[error("the notification's session id is 0")]
    SessionId,
    /// The server identifier is empty or longer than 255 octets.
    #[error("the notification's server identifier has to have 1 to 255 octets")]
    ServerIdLength,
    /// The server identifier is not printable ASCII.
    #[error("the notification's server identifier is not printable ASCII")]
    ServerId,
}

fn check_version(version: u16) -> Result<(), BadNotification> {
    if (10..=12).contains(&version) { Ok(()) } else { Err(BadNotification::Version(version)) }
}

fn check_server_id(octets: &[u8]) -> Result<&str, BadNotification> {
    if octets.is_empty() || octets.len() > usize::from(u8::MAX) {
        return Err(BadNotification::ServerIdLength);
    }
    let text = std::str::from_utf8(octets).map_err(|_| BadNotification::ServerId)?;
    if text.bytes().all(|octet| (0x20..0x7F).contains(&octet)) {
        Ok(text)
    } else {
        Err(BadNotification::ServerId)
    }
}
