//! The WSP connectionless push PDU (WAP-230-WSP 8.2.4.1; OMA-TS-DM_Notification 1.2.1, 7.1):
//! `TID 06 headers-length content-type headers body`.
//!
//! Promise: a notification and a bootstrap are written octet for octet as the vectors have them. The reader takes
//! media types and parameters as well-known codes and as text, since push proxy gateways write either.

use super::{
    Application, BadContentType, Push, PushMedia, Security, SecurityMethod,
    content_type::{self, Parameters},
};

/// The PDU type Push.
const PUSH: u8 = 0x06;
/// Most octets of a PDU: more than the segments of one short message carry.
pub const MOST_OCTETS: usize = 65_535;
/// Most octets of its headers, content type included.
pub const MOST_HEADER_OCTETS: usize = 1_024;
/// The field name X-Wap-Application-Id.
const APPLICATION_ID: u8 = 0x2F;
/// The parameter SEC.
const SEC: u8 = 0x11;
/// The parameter MAC.
const MAC: u8 = 0x12;
/// A short integer.
const SHORT: u8 = 0x80;
/// Announces a length as uintvar.
const LENGTH_QUOTE: u8 = 0x1F;
/// Stands before a text whose first character is above 0x7F.
const TEXT_QUOTE: u8 = 0x7F;

/// Writes a push with a transaction id.
///
/// # Errors
/// [`BadPush::Text`] and [`BadPush::TooLong`]: what the PDU cannot carry.
pub fn encode(push: &Push, transaction: u8) -> Result<Vec<u8>, BadPush> {
    let mut headers = Vec::with_capacity(64);
    put_content_type(push, &mut headers)?;
    match &push.application {
        None => {}
        Some(Application::SyncmlDm) => headers.extend([SHORT | APPLICATION_ID, SHORT | 7]),
        Some(Application::Code(code)) => {
            headers.push(SHORT | APPLICATION_ID);
            put_integer(*code, &mut headers);
        }
        Some(Application::Name(name)) => {
            headers.push(SHORT | APPLICATION_ID);
            put_text(name, &mut headers)?;
        }
    }
    if headers.len() > MOST_HEADER_OCTETS {
        return Err(BadPush::TooLong);
    }
    let mut pdu = Vec::with_capacity(4 + headers.len() + push.body.len());
    pdu.extend([transaction, PUSH]);
    put_uintvar(headers.len(), &mut pdu);
    pdu.extend_from_slice(&headers);
    pdu.extend_from_slice(&push.body);
    if pdu.len() > MOST_OCTETS { Err(BadPush::TooLong) } else { Ok(pdu) }
}

/// A push as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedPush {
    /// The transaction id.
    pub transaction: u8,
    /// The push.
    pub push: Push,
}

/// Reads a push.
///
/// # Errors
/// [`BadPush`].
pub fn decode(pdu: &[u8]) -> Result<ReceivedPush, BadPush> {
    if pdu.len() > MOST_OCTETS {
        return Err(BadPush::TooLong);
    }
    let mut reader = Reader { rest: pdu };
    let transaction = reader.octet()?;
    let kind = reader.octet()?;
    if kind != PUSH {
        return Err(BadPush::NotAPush(kind));
    }
    let length = reader.uintvar()?;
    if length > MOST_HEADER_OCTETS {
        return Err(BadPush::TooLong);
    }
    let mut headers = Reader { rest: reader.take(length)? };
    let (media, security) = headers.content_type()?;
    let mut application = None;
    while !headers.rest.is_empty() {
        if let Some(found) = headers.header()? {
            application = Some(found);
        }
    }
    Ok(ReceivedPush { transaction, push: Push { media, security, application, body: reader.rest.to_vec() } })
}

fn put_content_type(push: &Push, out: &mut Vec<u8>) -> Result<(), BadPush> {
    let Some(security) = &push.security else { return put_media(&push.media, out) };
    let mut value = Vec::with_capacity(64);
    put_media(&push.media, &mut value)?;
    // The codes of SEC are OMA CP's; the words of the DM profile go as text.
    if push.media.is_dm_profile() {
        put_text("SEC", &mut value)?;
        put_text(security.method.name(&push.media), &mut value)?;
    } else {
        value.extend([SHORT | SEC, SHORT | security.method.code()]);
    }
    if let Some(mac) = &security.mac {
        if push.media.is_dm_profile() {
            put_text("MAC", &mut value)?;
        } else {
            value.push(SHORT | MAC);
        }
        put_text(&mac.to_string(), &mut value)?;
    }
    match u8::try_from(value.len()) {
        Ok(length @ 0..LENGTH_QUOTE) => out.push(length),
        _ => {
            out.push(LENGTH_QUOTE);
            put_uintvar(value.len(), out);
        }
    }
    out.extend_from_slice(&value);
    Ok(())
}

fn put_media(media: &PushMedia, out: &mut Vec<u8>) -> Result<(), BadPush> {
    match media.code() {
        Some(code) => out.push(SHORT | code),
        None => put_text(media.name(), out)?,
    }
    Ok(())
}

/// Text with its NUL: visible ASCII and spaces, which is all that the headers here ever need.
fn put_text(text: &str, out: &mut Vec<u8>) -> Result<(), BadPush> {
    // A leading quotation mark would be taken for WSP's own.
    if text.is_empty() || text.starts_with('"') || text.bytes().any(|octet| !(0x20..0x7F).contains(&octet)) {
        return Err(BadPush::Text);
    }
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Ok(())
}

fn put_integer(value: u32, out: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(short) if short < SHORT => out.push(SHORT | short),
        _ => {
            let octets = value.to_be_bytes();
            let significant = &octets[value.leading_zeros() as usize / 8..];
            out.push(significant.len() as u8);
            out.extend_from_slice(significant);
        }
    }
}

fn put_uintvar(value: usize, out: &mut Vec<u8>) {
    let mut shift = 28;
    while shift > 0 && value >> shift == 0 {
        shift -= 7;
    }
    while shift > 0 {
        out.push(SHORT | (value >> shift & 0x7F) as u8);
        shift -= 7;
    }
    out.push((value & 0x7F) as u8);
}

struct Reader<'a> {
    rest: &'a [u8],
}

/// The value of a field or parameter, by its first octet (8.4.1.2).
enum Value<'a> {
    /// A short integer.
    Short(u8),
    /// Octets behind a length.
    Octets(&'a [u8]),
    /// Text.
    Text(&'a str),
}

impl<'a> Reader<'a> {
    fn content_type(&mut self) -> Result<(PushMedia, Option<Security>), BadPush> {
        match self.value()? {
            Value::Short(code) => Ok((media_of(u32::from(code))?, None)),
            Value::Text(text) => Ok(content_type::read(text)?),
            Value::Octets(octets) => Reader { rest: octets }.parameterised(),
        }
    }

    fn parameterised(&mut self) -> Result<(PushMedia, Option<Security>), BadPush> {
        let media = match self.value()? {
            Value::Short(code) => media_of(u32::from(code))?,
            Value::Octets(octets) => media_of(long_integer(octets).ok_or(BadPush::Header)?)?,
            Value::Text(text) => content_type::read(text)?.0,
        };
        let mut parameters = Parameters::default();
        while !self.rest.is_empty() {
            let name = self.value()?;
            let value = self.value()?;
            match (name, value) {
                (Value::Short(SEC), Value::Short(code)) => {
                    parameters.method(SecurityMethod::from_code(code))?;
                }
                (Value::Short(SEC), _) => return Err(BadContentType::Security.into()),
                (Value::Short(MAC), Value::Text(digits)) => parameters.mac(digits)?,
                (Value::Short(MAC), _) => return Err(BadContentType::Mac.into()),
                (Value::Text(name), Value::Text(value)) => parameters.named(name, value)?,
                (Value::Text(name), Value::Short(code)) => parameters.named(name, &code.to_string())?,
                (Value::Octets(_), _) => return Err(BadPush::Header),
                _ => {}
            }
        }
        Ok((media, parameters.security()?))
    }

    /// One header; the application id if it is one.
    fn header(&mut self) -> Result<Option<Application>, BadPush> {
        let named = match *self.rest.first().ok_or(BadPush::Truncated)? {
            // A code page other than the default one has no field that matters here.
            0x01..=0x1F | TEXT_QUOTE => return Err(BadPush::Header),
            code @ SHORT.. => {
                self.octet()?;
                code == SHORT | APPLICATION_ID
            }
            _ => self.text()?.eq_ignore_ascii_case("X-Wap-Application-Id"),
        };
        let value = self.value()?;
        if !named {
            return Ok(None);
        }
        Ok(Some(match value {
            Value::Short(code) => Application::from_code(u32::from(code)),
            Value::Octets(octets) => Application::from_code(long_integer(octets).ok_or(BadPush::Header)?),
            Value::Text(text) => Application::from_text(text),
        }))
    }

    fn value(&mut self) -> Result<Value<'a>, BadPush> {
        match *self.rest.first().ok_or(BadPush::Truncated)? {
            short @ SHORT.. => {
                self.octet()?;
                Ok(Value::Short(short & !SHORT))
            }
            LENGTH_QUOTE => {
                self.octet()?;
                let length = self.uintvar()?;
                self.take(length).map(Value::Octets)
            }
            // A text of no characters is its NUL alone, which reads as no octets.
            length @ ..LENGTH_QUOTE => {
                self.octet()?;
                self.take(usize::from(length)).map(Value::Octets)
            }
            _ => self.text().map(Value::Text),
        }
    }

    fn text(&mut self) -> Result<&'a str, BadPush> {
        let end = self.rest.iter().position(|octet| *octet == 0).ok_or(BadPush::Truncated)?;
        let mut text = self.take(end)?;
        self.octet()?;
        if let Some((&(TEXT_QUOTE | b'"'), unquoted)) = text.split_first() {
            text = unquoted;
        }
        std::str::from_utf8(text).map_err(|_| BadPush::Text)
    }

    fn octet(&mut self) -> Result<u8, BadPush> {
        let (first, rest) = self.rest.split_first().ok_or(BadPush::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], BadPush> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(BadPush::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn uintvar(&mut self) -> Result<usize, BadPush> {
        let mut value = 0_u64;
        for _ in 0..5 {
            let octet = self.octet()?;
            value = value << 7 | u64::from(octet & 0x7F);
            if octet & SHORT == 0 {
                return usize::try_from(value).map_err(|_| BadPush::TooLong);
            }
        }
        Err(BadPush::Header)
    }
}

fn media_of(code: u32) -> Result<PushMedia, BadPush> {
    u8::try_from(code).ok().and_then(PushMedia::from_code).ok_or(BadPush::Media(code))
}

fn long_integer(octets: &[u8]) -> Option<u32> {
    if octets.is_empty() || octets.len() > 4 {
        return None;
    }
    Some(octets.iter().fold(0, |value, octet| value << 8 | u32::from(*octet)))
}

/// A push that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPush {
    /// It ends too early.
    #[error("the push ends too early")]
    Truncated,
    /// It, or its headers, are longer than any push.
    #[error("the push is longer than {MOST_OCTETS} octets, or its headers than {MOST_HEADER_OCTETS}")]
    TooLong,
    /// Another PDU.
    #[error("the WSP PDU 0x{0:02X} is not Push (0x06)")]
    NotAPush(u8),
    /// A well-known media type that no DM client takes.
    #[error("the media type 0x{0:02X} is not one that a DM client takes")]
    Media(u32),
    /// The content type.
    #[error(transparent)]
    ContentType(#[from] BadContentType),
    /// A header that is not one.
    #[error("a header of the push is malformed")]
    Header,
    /// Text that is not.
    #[error("a text in the push's headers is empty or not printable ASCII")]
    Text,
}
