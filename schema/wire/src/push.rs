//! What a server pushes to a device that holds no connection, and the framings that carry it there.
//!
//! - [`Push`]: a body with the headers that every framing carries: media type, SEC and MAC, application id.
//! - [`wsp`]: the WSP connectionless push PDU (OMA-TS-DM_Notification 1.2.1, 7.1; WAP-230-WSP 8.2.4).
//! - [`sms`]: user data headers, segments and their reassembly (3GPP TS 23.040, 9.2.3.24).
//! - [`pap`]: the Push Access Protocol that a push proxy gateway speaks (OMA-WAP-TS-PAP 2.0).
//! - [`smpp`]: the PDUs of SMPP 3.4 that a short-message centre speaks.
//!
//! Promise: what is written is read back the same, and every reader is bounded. Sockets and retries are not here:
//! they belong to the adapters.

pub mod pap;
pub mod smpp;
pub mod sms;
pub mod wsp;

use std::fmt;

use data_encoding::{HEXUPPER, HEXUPPER_PERMISSIVE};

/// What is pushed.
#[derive(Clone, PartialEq, Eq)]
pub struct Push {
    /// What the body is.
    pub media: PushMedia,
    /// How a bootstrap proves where it comes from.
    pub security: Option<Security>,
    /// Which of the device's applications it is for.
    pub application: Option<Application>,
    /// The body, octet for octet.
    pub body: Vec<u8>,
}

impl Push {
    /// A notification (package 0) for the DM client: media type and application id as 7.1 of the notification
    /// specification wants them.
    #[must_use]
    pub fn notification(package0: Vec<u8>) -> Self {
        Self {
            media: PushMedia::Notification,
            security: None,
            application: Some(Application::SyncmlDm),
            body: package0,
        }
    }

    /// A bootstrap document. The provisioning port alone tells what it is for, so there is no application id.
    #[must_use]
    pub fn bootstrap(media: PushMedia, security: Option<Security>, document: Vec<u8>) -> Self {
        Self { media, security, application: None, body: document }
    }

    /// The media type with its parameters, as a MIME header carries it.
    #[must_use]
    pub fn content_type(&self) -> String {
        let Some(security) = &self.security else { return self.media.name().to_owned() };
        let mut text = format!("{}; SEC={}", self.media.name(), security.method.name(&self.media));
        if let Some(mac) = &security.mac {
            text.push_str("; MAC=");
            text.push_str(&mac.to_string());
        }
        text
    }
}

/// The body may hold a device's credentials: Debug prints its length only.
impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("media", &self.media)
            .field("security", &self.security)
            .field("application", &self.application)
            .field("body_octets", &self.body.len())
            .finish()
    }
}

/// Media types that are pushed. The codes are WSP's well-known ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushMedia {
    /// Package 0: `application/vnd.syncml.notification`, 0x44.
    Notification,
    /// OMA CP in WBXML: `application/vnd.wap.connectivity-wbxml`, 0x36.
    ConnectivityWbxml,
    /// OMA CP in XML: `text/vnd.wap.connectivity-xml`, 0x35.
    ConnectivityXml,
    /// A DM message in WBXML: `application/vnd.syncml.dm+wbxml`, 0x42.
    DmWbxml,
    /// A DM message in XML: `application/vnd.syncml.dm+xml`, 0x43.
    DmXml,
    /// Any other, without parameters.
    Other(String),
}

impl PushMedia {
    const KNOWN: [(Self, u8, &'static str); 5] = [
        (Self::Notification, 0x44, "application/vnd.syncml.notification"),
        (Self::ConnectivityWbxml, 0x36, "application/vnd.wap.connectivity-wbxml"),
        (Self::ConnectivityXml, 0x35, "text/vnd.wap.connectivity-xml"),
        (Self::DmWbxml, 0x42, "application/vnd.syncml.dm+wbxml"),
        (Self::DmXml, 0x43, "application/vnd.syncml.dm+xml"),
    ];

    /// Its name, without parameters.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => Self::KNOWN.iter().find(|(media, _, _)| media == known).map_or("", |(_, _, name)| name),
        }
    }

    /// WSP's well-known code.
    #[must_use]
    pub fn code(&self) -> Option<u8> {
        Self::KNOWN.iter().find(|(media, _, _)| media == self).map(|(_, code, _)| *code)
    }

    /// The media type of a well-known code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::KNOWN.iter().find(|(_, known, _)| *known == code).map(|(media, _, _)| media.clone())
    }

    /// The media type of a name without parameters; case does not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let known = Self::KNOWN.iter().find(|(_, _, known)| known.eq_ignore_ascii_case(name));
        known.map_or_else(|| Self::Other(name.to_ascii_lowercase()), |(media, _, _)| media.clone())
    }

    /// Whether SEC takes its values from the DM profile (OMA-TS-DM_Security 5.7.2) and not from OMA CP.
    #[must_use]
    pub fn is_dm_profile(&self) -> bool {
        matches!(self, Self::DmWbxml | Self::DmXml)
    }
}

/// The applications of a device (X-Wap-Application-Id).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Application {
    /// The DM client: `x-wap-application:syncml.dm`, code 7.
    SyncmlDm,
    /// Another, by its code.
    Code(u32),
    /// Another, by its URI.
    Name(String),
}

impl Application {
    /// The URI of the DM client.
    pub const SYNCML_DM: &str = "x-wap-application:syncml.dm";
    /// Its code.
    pub const SYNCML_DM_CODE: u32 = 7;

    /// The application of a header's text: a URI or a decimal code.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text.parse() {
            Ok(code) => Self::from_code(code),
            Err(_) if text.eq_ignore_ascii_case(Self::SYNCML_DM) => Self::SyncmlDm,
            Err(_) => Self::Name(text.to_owned()),
        }
    }

    /// The application of a code.
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        if code == Self::SYNCML_DM_CODE { Self::SyncmlDm } else { Self::Code(code) }
    }
}

impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SyncmlDm => f.write_str(Self::SYNCML_DM),
            Self::Code(code) => write!(f, "{code}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// How a bootstrap proves that it comes from somebody who knows a secret of the device's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// With which secret: the parameter SEC.
    pub method: SecurityMethod,
    /// The parameter MAC; USERPINMAC carries none.
    pub mac: Option<Mac>,
}

/// The secret that keys a bootstrap's MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityMethod {
    /// The network's secret: NETWPIN in OMA CP, NETWORKID in the DM profile.
    NetworkPin,
    /// A PIN that the user was told: USERPIN in both.
    UserPin,
    /// Both: USERNETWPIN in OMA CP, USERPIN_NETWORKID in the DM profile.
    UserNetworkPin,
    /// A PIN that holds its own check digits: USERPINMAC, only in OMA CP.
    UserPinMac,
}

impl SecurityMethod {
    /// All of them, in the order of their WSP codes.
    pub const ALL: [Self; 4] = [Self::NetworkPin, Self::UserPin, Self::UserNetworkPin, Self::UserPinMac];

    /// The value of SEC as text, for this media type.
    #[must_use]
    pub fn name(self, media: &PushMedia) -> &'static str {
        match (self, media.is_dm_profile()) {
            (Self::NetworkPin, false) => "NETWPIN",
            (Self::NetworkPin, true) => "NETWORKID",
            (Self::UserPin, _) => "USERPIN",
            (Self::UserNetworkPin, false) => "USERNETWPIN",
            (Self::UserNetworkPin, true) => "USERPIN_NETWORKID",
            (Self::UserPinMac, _) => "USERPINMAC",
        }
    }

    /// The method of a text value, of either profile; case does not matter.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let spelt = |method: &Self, media: PushMedia| method.name(&media).eq_ignore_ascii_case(name);
        Self::ALL
            .into_iter()
            .find(|method| spelt(method, PushMedia::ConnectivityWbxml) || spelt(method, PushMedia::DmWbxml))
    }

    /// The value of SEC as a WSP short integer.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::NetworkPin => 0,
            Self::UserPin => 1,
            Self::UserNetworkPin => 2,
            Self::UserPinMac => 3,
        }
    }

    /// The method of a WSP short integer.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.code() == code)
    }
}

/// HMAC-SHA1 over a bootstrap document. Written as 40 upper-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 20]);

impl Mac {
    /// Reads hexadecimal digits of either case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let octets = HEXUPPER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        Some(Self(octets.try_into().ok()?))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXUPPER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_and_a_security_method_are_read_back_from_every_spelling() {
        for (media, code, name) in PushMedia::KNOWN {
            assert_eq!(PushMedia::from_code(code), Some(media.clone()));
            assert_eq!(PushMedia::from_name(&name.to_ascii_uppercase()), media);
            for method in SecurityMethod::ALL {
                assert_eq!(SecurityMethod::from_name(method.name(&media)), Some(method));
                assert_eq!(SecurityMethod::from_code(method.code()), Some(method));
            }
        }
        assert_eq!(PushMedia::from_name("text/X-y"), PushMedia::Other("text/x-y".to_owned()));
        assert_eq!(Application::from_text("7"), Application::SyncmlDm);
        assert_eq!(Application::from_text("X-WAP-application:syncml.DM"), Application::SyncmlDm);
    }

    #[test]
    fn the_content_type_names_the_secret_in_the_words_of_its_profile() {
        let security = Some(Security { method: SecurityMethod::NetworkPin, mac: Some(Mac([0xAB; 20])) });
        let mac = "AB".repeat(20);
        for (media, expected) in [
            (
                PushMedia::ConnectivityWbxml,
                format!("application/vnd.wap.connectivity-wbxml; SEC=NETWPIN; MAC={mac}"),
            ),
            (PushMedia::DmWbxml, format!("application/vnd.syncml.dm+wbxml; SEC=NETWORKID; MAC={mac}")),
        ] {
            assert_eq!(Push::bootstrap(media, security.clone(), vec![1]).content_type(), expected);
        }
    }

    #[test]
    fn debug_never_shows_a_body() {
        let push = Push::bootstrap(PushMedia::ConnectivityXml, None, b"OhBehave".to_vec());
        assert!(!format!("{push:?}").contains("OhBehave") && format!("{push:?}").contains("body_octets: 8"));
    }
}
