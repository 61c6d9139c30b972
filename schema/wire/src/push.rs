//! What a server pushes to a device that holds no connection, and the framings that carry it there.
//!
//! - [`Push`]: a body with the headers that every framing carries: media type, SEC and MAC, application id.
//! - [`content_type`]: media types with their parameters SEC and MAC, as text.
//! - [`wsp`]: the WSP connectionless push PDU (OMA-TS-DM_Notification 1.2.1, 7.1; WAP-230-WSP 8.2.4).
//! - [`sms`]: user data headers, segments and their reassembly (3GPP TS 23.040, 9.2.3.24).
//! - [`pap`]: the Push Access Protocol that a push proxy gateway speaks (OMA-WAP-TS-PAP 2.0).
//! - [`smpp`]: the PDUs of SMPP 3.4 that a short-message centre speaks.
//!
//! Promise: what is written is read back the same, and every reader is bounded. Sockets and retries are not here:
//! they belong to the adapters.

pub mod content_type;
pub mod pap;
pub mod smpp;
pub mod sms;
pub mod wsp;

use std::fmt;

pub use content_type::{BadContentType, Mac, PushMedia, Security, SecurityMethod};

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
        content_type::write(&self.media, self.security.as_ref())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_known_by_its_uri_and_by_its_code() {
        for (text, application) in [
            ("7", Application::SyncmlDm),
            ("X-WAP-application:syncml.DM", Application::SyncmlDm),
            ("300", Application::Code(300)),
            ("x-wap-application:wml.ua", Application::Name("x-wap-application:wml.ua".to_owned())),
        ] {
            assert_eq!(Application::from_text(text), application);
            assert_eq!(Application::from_text(&application.to_string()), application);
        }
    }

    #[test]
    fn debug_never_shows_a_body() {
        let push = Push::bootstrap(PushMedia::ConnectivityXml, None, b"OhBehave".to_vec());
        assert!(!format!("{push:?}").contains("OhBehave") && format!("{push:?}").contains("body_octets: 8"));
    }
}
