//! Why a session failed, or something else that was wanted of a device.

use postern_wire::{signature::SignatureError, syncml::DecodeError};

use crate::{
    bootstrap::BootstrapError, codes::Code, enrolment::BadAccount, keys::KeyError, origin::BadServerUri,
    router::Ignored, state::StateError, transport::TransportError, unit::SessionError,
};

/// A session that failed.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An answer that is no message.
    #[error("the server answered HTTP {status}{}", slug.as_deref().map(|slug| format!(" ({slug})")).unwrap_or_default())]
    Http {
        /// The HTTP status.
        status: u16,
        /// The problem's slug, when the answer is a problem document.
        slug: Option<String>,
        /// Retry-After in seconds.
        retry_after: Option<u64>,
    },
    /// An answer of another type than asked for.
    #[error("the answer's type is {0:?}")]
    MediaType(String),
    /// A message that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// A reply without the core's signature, or with another's.
    #[error("the reply is not the core's: {0}")]
    Signature(#[from] SignatureError),
    /// The device's key cannot sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The session cannot go on.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The state cannot be read or kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was renewed cannot be kept.
    #[error("the renewed identity cannot be kept: {0}")]
    Identity(String),
    /// No account of that server, or none at all.
    #[error("the device has no account for this")]
    NoAccount,
    /// The account in the tree cannot be used.
    #[error(transparent)]
    Account(BadAccount),
    /// A bootstrap that was not applied.
    #[error(transparent)]
    Bootstrap(BootstrapError),
    /// A notification that was ignored.
    #[error("the notification is ignored: {0}")]
    Ignored(Ignored),
    /// The providers do not fit the tree.
    #[error("the tree cannot be planted (code {0})")]
    Plant(Code),
}

impl From<BadServerUri> for DeviceError {
    fn from(error: BadServerUri) -> Self {
        Self::Session(SessionError::RespUri(error))
    }
}

impl DeviceError {
    /// A stable word for summaries.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Transport(error) => error.kind().to_owned(),
            Self::Http { status, slug, .. } => match slug {
                Some(slug) => format!("http-{status}-{slug}"),
                None => format!("http-{status}"),
            },
            Self::MediaType(_) => "media-type".to_owned(),
            Self::Decode(error) => error.slug().to_owned(),
            Self::Signature(_) => "reply-signature".to_owned(),
            Self::Key(_) => "key".to_owned(),
            Self::Session(error) => match error {
                SessionError::Misfit(_) => "misfit".to_owned(),
                SessionError::Refused(code) => format!("refused-{code}"),
                SessionError::OtherScheme(_) => "other-scheme".to_owned(),
                SessionError::ServerNotProved => "server-not-proved".to_owned(),
                SessionError::Endless(_) => "endless".to_owned(),
                SessionError::RespUri(_) => "resp-uri".to_owned(),
                SessionError::NoRoom(_) => "no-room".to_owned(),
                SessionError::Encode(_) => "encode".to_owned(),
            },
            Self::State(_) => "state".to_owned(),
            Self::Identity(_) => "identity".to_owned(),
            Self::Plant(_) => "plant".to_owned(),
            Self::NoAccount | Self::Account(_) => "account".to_owned(),
            Self::Bootstrap(_) => "bootstrap".to_owned(),
            Self::Ignored(_) => "notification".to_owned(),
        }
    }

    /// Whether the server does not know this device, or not any more.
    #[must_use]
    pub const fn is_of_a_stranger(&self) -> bool {
        matches!(
            self,
            Self::Http { status: 401 | 403 | 404 | 410, .. } | Self::Session(SessionError::Refused(_))
        )
    }

    /// When the server wants to be asked again, in seconds from now.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Http { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
