//! Why a device is not enrolled.

use std::time::Duration;

use postern_wire::enrol::{BadContent, BadDiscovery, EnrolError, Refusal};

use crate::{
    enrolment::{EnrolmentError, identity::BadIdentity},
    origin::BadServerUri,
    transport::TransportError,
};

/// An enrolment over the air that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum AirError {
    /// Not an e-mail address, or an answer to a discovery that leads nowhere.
    #[error(transparent)]
    Discovery(#[from] BadDiscovery),
    /// The server's address is none.
    #[error(transparent)]
    Server(#[from] BadServerUri),
    /// No host of the domain answered.
    #[error("no server was found")]
    Unavailable,
    /// No answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The core refused.
    #[error("{}", .refusal.title())]
    Refused {
        /// Why.
        refusal: Refusal,
        /// When it is worth asking again.
        retry_after: Option<Duration>,
    },
    /// An answer other than 200 and other than a refusal of the core.
    #[error("the server answered HTTP {status}{}", slug.as_deref().map(|slug| format!(" ({slug})")).unwrap_or_default())]
    Http {
        /// The HTTP status.
        status: u16,
        /// The problem's slug, when the answer is a problem document.
        slug: Option<String>,
        /// When it is worth asking again.
        retry_after: Option<Duration>,
    },
    /// An answer of another type than asked for.
    #[error("the server answers with something else than an enrolment")]
    MediaType,
    /// The server did not prove the password, or said something that cannot be used.
    #[error(transparent)]
    Protocol(EnrolError),
    /// What this device says of itself is beyond the limits.
    #[error("this device cannot say who it is: {0}")]
    Own(BadContent),
    /// An anchor or a key that is none.
    #[error("the {0} that the server gave cannot be used")]
    Unusable(&'static str),
    /// The certificate is not for this device.
    #[error("the certificate that the server gave is not believed")]
    Certificate(#[from] BadIdentity),
    /// The account cannot be used.
    #[error("the account that the server gave cannot be used")]
    Account(#[from] EnrolmentError),
}

impl From<EnrolError> for AirError {
    fn from(error: EnrolError) -> Self {
        Self::Protocol(error)
    }
}

impl AirError {
    /// What this device was about to say is beyond the limits.
    pub(super) fn of_own_words(error: EnrolError) -> Self {
        match error {
            EnrolError::Content(content) => Self::Own(content),
            other => Self::Protocol(other),
        }
    }

    /// Whether another try may end better, and how long to wait for it at least.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        match self {
            Self::Transport(error) if error.is_transient() => Some(Duration::ZERO),
            Self::Refused { refusal: Refusal::HandshakeUnknown | Refusal::Busy, retry_after } => {
                Some(retry_after.unwrap_or_default())
            }
            Self::Http { status: 429 | 502..=504, retry_after, .. } => Some(retry_after.unwrap_or_default()),
            _ => None,
        }
    }

    /// Whether no server was reached.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Unavailable | Self::Http { status: 502..=504, .. })
    }

    /// Whether the person gave something that cannot be.
    #[must_use]
    pub const fn is_invalid_input(&self) -> bool {
        matches!(self, Self::Discovery(BadDiscovery::Email) | Self::Server(_) | Self::Own(_))
    }

    /// A stable word for summaries.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Discovery(_) | Self::Server(_) | Self::Unavailable => "discovery".to_owned(),
            Self::Transport(error) => error.kind().to_owned(),
            Self::Refused { refusal, .. } => refusal.slug().to_owned(),
            Self::Http { status, slug: Some(slug), .. } => format!("http-{status}-{slug}"),
            Self::Http { status, slug: None, .. } => format!("http-{status}"),
            Self::MediaType => "media-type".to_owned(),
            Self::Protocol(EnrolError::NotProved) => "server-not-proved".to_owned(),
            Self::Protocol(_) | Self::Own(_) => "protocol".to_owned(),
            Self::Unusable(_) | Self::Certificate(_) | Self::Account(_) => "not-believed".to_owned(),
        }
    }
}
