//! The Push Access Protocol, by which a push proxy gateway is asked to push (WAP-247-PAP and OMA-WAP-TS-PAP 2.0).
//!
//! - [`Submission::write`]: a push-message as the body of one HTTP POST: multipart/related, the control entity first.
//! - [`Answer::read`]: what a gateway answers, and the resultnotification that it may send later.
//! - [`Code::verdict`]: what a result code means for whoever submitted.
//!
//! Promise: every answer is bounded and its code kept; an answer that is none is a typed error.

use std::fmt;

pub use crate::elements::BadXml;
use crate::{
    elements::{self, Element},
    push::Push,
    terms::UtcMillis,
};

/// Most octets of one text of an answer that are kept.
const MOST_TEXT: usize = 256;

/// Which version's DOCTYPE the control entity bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// PAP 1.0.
    V1_0,
    /// PAP 2.0.
    #[default]
    V2_0,
}

impl Version {
    fn prolog(self) -> &'static str {
        match self {
            Self::V1_0 => {
                "<?xml version=\"1.0\"?>\n<!DOCTYPE pap PUBLIC \"-//WAPFORUM//DTD PAP 1.0//EN\" \
                 \"http://www.wapforum.org/DTD/pap_1.0.dtd\">\n"
            }
            Self::V2_0 => {
                "<?xml version=\"1.0\"?>\n<!DOCTYPE pap PUBLIC \"-//WAPFORUM//DTD PAP 2.0//EN\" \
                 \"http://www.wapforum.org/DTD/pap_2.0.dtd\">\n"
            }
        }
    }
}

/// The control entity of a push-message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushMessage {
    /// Ours, unique among all that this gateway ever gets.
    pub push_id: String,
    /// To whom: [`plmn_address`].
    pub address: String,
    /// When the push is worth nothing any more.
    pub deliver_before: Option<UtcMillis>,
    /// Where the gateway sends its resultnotification to.
    pub notify_to: Option<String>,
    /// Whether it has to go over the short messages of a GSM network and over nothing else.
    pub sms_required: bool,
}

/// The address of a telephone number behind a push proxy gateway: `WAPPUSH=+NUMBER/TYPE=PLMN@host`.
///
/// # Errors
/// [`BadPap::Number`], [`BadPap::Host`].
pub fn plmn_address(number: &str, gateway_host: &str) -> Result<String, BadPap> {
    let digits = number.strip_prefix('+').unwrap_or(number);
    if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(BadPap::Number);
    }
    let named = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-');
    if gateway_host.is_empty() || gateway_host.len() > 253 || !gateway_host.bytes().all(named) {
        return Err(BadPap::Host);
    }
    Ok(format!("WAPPUSH={number}/TYPE=PLMN@{gateway_host}"))
}

/// The body of a POST to a gateway, and its Content-Type.
#[derive(Clone, PartialEq, Eq)]
pub struct Submission {
    /// The Content-Type of the POST.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").field("body_octets", &self.body.len()).finish_non_exhaustive()
    }
}

impl Submission {
    /// Writes a push-message with what it pushes.
    ///
    /// # Errors
    /// [`BadPap::Xml`]: a character that XML cannot carry. [`BadPap::Header`]: a text that no MIME header can carry.
    pub fn write(message: &PushMessage, push: &Push, version: Version) -> Result<Self, BadPap> {
        let control = control(message, version)?;
        let mut headers = format!("Content-Type: {}\r\n", header_text(&push.content_type())?);
        if let Some(application) = &push.application {
            let application = application.to_string();
            headers.push_str(&format!("X-Wap-Application-Id: {}\r\n", header_text(&application)?));
        }
        let boundary = boundary(&push.body, &control);
        let mut body = Vec::with_capacity(1_024 + push.body.len());
        for text in [
            "--",
            &boundary,
            "\r\nContent-Type: application/xml\r\n\r\n",
            &control,
            "\r\n--",
            &boundary,
            "\r\n",
            &headers,
            "\r\n",
        ] {
            body.extend_from_slice(text.as_bytes());
        }
        body.extend_from_slice(&push.body);
        for text in ["\r\n--", &boundary, "--\r\n"] {
            body.extend_from_slice(text.as_bytes());
        }
        let content_type = format!("multipart/related; boundary={boundary}; type=\"application/xml\"");
        Ok(Self { content_type, body })
    }
}

fn control(message: &PushMessage, version: Version) -> Result<String, BadPap> {
    let mut push = Element::new("push-message").with("push-id", &message.push_id);
    if let Some(before) = message.deliver_before {
        push = push.with("deliver-before-timestamp", &timestamp(before)?);
    }
    if let Some(url) = &message.notify_to {
        push = push.with("ppg-notify-requested-to", url);
    }
    let mut quality = Element::new("quality-of-service").with("delivery-method", "unconfirmed");
    if message.sms_required {
        quality = quality
            .with("network-required", "true")
            .with("network", "GSM")
            .with("bearer-required", "true")
            .with("bearer", "SMS");
    }
    push.children = vec![Element::new("address").with("address-value", &message.address), quality];
    let pap = Element { children: vec![push], ..Element::new("pap").with("product-name", "Postern") };
    let mut text = version.prolog().to_owned();
    elements::write(&pap, &mut text)?;
    Ok(text)
}

/// A moment in whole seconds of UTC, as PAP writes it.
fn timestamp(at: UtcMillis) -> Result<String, BadPap> {
    let second = jiff::Timestamp::from_second(at.0.div_euclid(1_000)).map_err(|_| BadPap::Time)?;
    Ok(second.to_string())
}

fn header_text(text: &str) -> Result<&str, BadPap> {
    let fits = text.len() <= 512 && text.bytes().all(|octet| (0x20..0x7F).contains(&octet));
    if fits { Ok(text) } else { Err(BadPap::Header) }
}

/// A boundary that stands in neither part.
fn boundary(body: &[u8], control: &str) -> String {
    let occurs = |candidate: &str| {
        control.contains(candidate)
            || body.windows(candidate.len()).any(|window| window == candidate.as_bytes())
    };
    let mut number = 0_u64;
    loop {
        let candidate = format!("postern-part-{number}");
        if !occurs(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// A result code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u16);

/// What a result code means for whoever submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The gateway has it.
    Accepted,
    /// The same push may go later.
    Retry,
    /// The same push will never go.
    Refused,
}

impl Code {
    /// The push is done.
    pub const OK: Self = Self(1000);
    /// The push is accepted for processing.
    pub const ACCEPTED: Self = Self(1001);
    /// A push with that id was taken before.
    pub const DUPLICATE: Self = Self(2007);

    /// By the thousands (1 success, 2 the submitter's fault, 3 the gateway's, 4 the service's, 5 the device's). A
    /// duplicate id is a success: the answer to the first try got lost.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self.0 {
            2007 | 1000..=1999 => Verdict::Accepted,
            // Internal error; capability, network or bearer not there now.
            3000 | 3008..=3010 | 4000..=5999 => Verdict::Retry,
            _ => Verdict::Refused,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a gateway says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// push-response: to a push-message.
    Push {
        /// The push that it answers, if it names it.
        push_id: Option<String>,
        /// How it went.
        result: ResultCode,
    },
    /// badmessage-response: it could not read the message.
    BadMessage(ResultCode),
    /// resultnotification-message: what became of a push.
    ResultNotification {
        /// The push.
        push_id: String,
        /// `delivered`, `undeliverable`, `expired` …
        state: MessageState,
        /// How it went.
        result: ResultCode,
    },
}

/// A code with what the gateway says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultCode {
    /// The code.
    pub code: Code,
    /// For people; from outside, cut to 256 characters.
    pub description: String,
}

/// message-state of a resultnotification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// The device has it.
    Delivered,
    /// Still on its way.
    Pending,
    /// It will not arrive: rejected, undeliverable, expired, aborted, timeout, cancelled, unknown or another word.
    Failed,
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`BadPap`].
    pub fn read(octets: &[u8]) -> Result<Self, BadPap> {
        let root = elements::read(octets)?;
        if root.name != "pap" {
            return Err(BadPap::NotPap);
        }
        if let Some(response) = root.child("push-response") {
            let result = response.child("response-result").ok_or(BadPap::Missing("response-result"))?;
            let push_id = response.attribute("push-id").map(cut);
            return Ok(Self::Push { push_id, result: result_code(result)? });
        }
        if let Some(notification) = root.child("resultnotification-message") {
            let push_id = notification.attribute("push-id").ok_or(BadPap::Missing("push-id"))?;
            let state =
                match notification.attribute("message-state").ok_or(BadPap::Missing("message-state"))? {
                    "delivered" => MessageState::Delivered,
                    "pending" => MessageState::Pending,
                    _ => MessageState::Failed,
                };
            let result = result_code(notification)?;
            return Ok(Self::ResultNotification { push_id: cut(push_id), state, result });
        }
        let bad = root.child("badmessage-response").ok_or(BadPap::NotPap)?;
        Ok(Self::BadMessage(result_code(bad)?))
    }
}

fn result_code(element: &Element) -> Result<ResultCode, BadPap> {
    let code = element.attribute("code").ok_or(BadPap::Missing("code"))?;
    let code = code.trim().parse().map_err(|_| BadPap::Code)?;
    Ok(ResultCode { code: Code(code), description: element.attribute("desc").map(cut).unwrap_or_default() })
}

fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MOST_TEXT).collect()
}

/// The answer to a resultnotification: that it was taken.
///
/// # Errors
/// [`BadPap::Xml`].
pub fn notification_response(push_id: &str, version: Version) -> Result<String, BadPap> {
    let response = Element::new("resultnotification-response").with("push-id", push_id).with("code", "1000");
    let mut text = version.prolog().to_owned();
    elements::write(&Element { children: vec![response], ..Element::new("pap") }, &mut text)?;
    Ok(text)
}

/// PAP that cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPap {
    /// The XML.
    #[error(transparent)]
    Xml(#[from] BadXml),
    /// Another document.
    #[error("the document is no PAP message that is known here")]
    NotPap,
    /// Something that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A code that is no number.
    #[error("the result code is no number")]
    Code,
    /// Not a telephone number.
    #[error("a telephone number has 1 to 20 digits, with or without a leading +")]
    Number,
    /// Not the name of a host.
    #[error("the push proxy gateway's name is not the name of a host")]
    Host,
    /// A moment that no calendar knows.
    #[error("the moment is out of range")]
    Time,
    /// Text that no header can carry.
    #[error("a content type or application id is too long, or not printable ASCII")]
    Header,
}
