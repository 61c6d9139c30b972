//! The media type of a push with its parameters SEC and MAC, as MIME writes them
//! (OMA-WAP-ProvBoot, OMA-TS-DM_Security 1.2.1, 5.7.2).

use std::fmt;

use data_encoding::{HEXUPPER, HEXUPPER_PERMISSIVE};

/// Most octets of a content type that is read.
const MOST_OCTETS: usize = 512;

/// Writes a media type with its parameters.
#[must_use]
pub fn write(media: &PushMedia, security: Option<&Security>) -> String {
    let Some(security) = security else { return media.name().to_owned() };
    let mut text = format!("{}; SEC={}", media.name(), security.method.name(media));
    if let Some(mac) = &security.mac {
        text.push_str("; MAC=");
        text.push_str(&mac.to_string());
    }
    text
}

/// Reads a media type with its parameters; others than SEC and MAC are read over.
///
/// # Errors
/// [`BadContentType`].
pub fn read(text: &str) -> Result<(PushMedia, Option<Security>), BadContentType> {
    if text.len() > MOST_OCTETS {
        return Err(BadContentType::TooLong);
    }
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let token = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic());
    if !name.split_once('/').is_some_and(|(kind, rest)| token(kind) && token(rest)) {
        return Err(BadContentType::Syntax);
    }
    let mut parameters = Parameters::default();
    for parameter in parts.filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or(BadContentType::Syntax)?;
        parameters.named(name.trim(), value.trim().trim_matches('"'))?;
    }
    Ok((PushMedia::from_name(name), parameters.security()?))
}

/// SEC and MAC as they come in, in either order.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    method: Option<SecurityMethod>,
    mac: Option<Mac>,
}

impl Parameters {
    /// Takes a parameter by its name; SEC may also be written as a number.
    pub(super) fn named(&mut self, name: &str, value: &str) -> Result<(), BadContentType> {
        if name.eq_ignore_ascii_case("SEC") {
            let method = SecurityMethod::from_name(value)
                .or_else(|| value.parse().ok().and_then(SecurityMethod::from_code));
            return self.method(method);
        }
        if name.eq_ignore_ascii_case("MAC") {
            return self.mac(value);
        }
        Ok(())
    }

    /// Takes the value of SEC.
    pub(super) fn method(&mut self, method: Option<SecurityMethod>) -> Result<(), BadContentType> {
        let method = method.ok_or(BadContentType::Security)?;
        if self.method.replace(method).is_some() { Err(BadContentType::Twice) } else { Ok(()) }
    }

    /// Takes the value of MAC.
    pub(super) fn mac(&mut self, digits: &str) -> Result<(), BadContentType> {
        let mac = Mac::from_hex(digits).ok_or(BadContentType::Mac)?;
        if self.mac.replace(mac).is_some() { Err(BadContentType::Twice) } else { Ok(()) }
    }

    /// What both together say.
    pub(super) fn security(self) -> Result<Option<Security>, BadContentType> {
        match (self.method, self.mac) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(BadContentType::Security),
            (Some(method), mac) => Ok(Some(Security { method, mac })),
        }
    }
}

/// A content type that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadContentType {
    /// It is longer than any that is pushed.
    #[error("the content type is longer than {MOST_OCTETS} octets")]
    TooLong,
    /// Not a media type with parameters.
    #[error("the content type is not a media type with parameters")]
    Syntax,
    /// SEC is unknown, or missing beside a MAC.
    #[error("the content type's SEC is missing or names no known method")]
    Security,
    /// MAC is not 40 hexadecimal digits.
    #[error("the content type's MAC is not 40 hexadecimal digits")]
    Mac,
    /// SEC or MAC stands twice.
    #[error("the content type has SEC or MAC twice")]
    Twice,
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
            assert_eq!(write(&media, security.as_ref()), expected);
            assert_eq!(read(&expected), Ok((media, security.clone())));
        }
    }

    #[test]
    fn a_content_type_is_read_in_every_spelling_and_refused_with_its_reason() {
        let mac = "ab".repeat(20);
        let security = Some(Security { method: SecurityMethod::UserPin, mac: Some(Mac([0xAB; 20])) });
        for (text, security) in [
            (format!("A/B;mac=\"{mac}\" ; charset=utf-8;sec=UserPin;"), security.clone()),
            (format!("a/b; SEC=1; MAC={mac}"), security),
            ("a/b; q=1".to_owned(), None),
        ] {
            assert_eq!(read(&text), Ok((PushMedia::Other("a/b".to_owned()), security)), "{text}");
        }
        for (text, refusal) in [
            (String::new(), BadContentType::Syntax),
            ("a".to_owned(), BadContentType::Syntax),
            ("a/ ".to_owned(), BadContentType::Syntax),
            ("a/b; c".to_owned(), BadContentType::Syntax),
            ("a/b; SEC=4".to_owned(), BadContentType::Security),
            (format!("a/b; MAC={mac}"), BadContentType::Security),
            ("a/b; SEC=0; MAC=AB".to_owned(), BadContentType::Mac),
            ("a/b; SEC=0; SEC=0".to_owned(), BadContentType::Twice),
            (format!("a/{}", "b".repeat(512)), BadContentType::TooLong),
        ] {
            assert_eq!(read(&text), Err(refusal), "{text}");
        }
    }
}
