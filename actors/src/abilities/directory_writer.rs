//! Writing into a directory: a computer for a device, and what becomes of it after a wipe.
//!
//! Promise: what is written is one computer of one device. A writer never takes over an entry that it did not make, and never touches a
//! domain controller, an account with more rights than a device needs, or anything outside the container that it is for. Each act can
//! be repeated: what was done already is found done.

use futures_util::future::BoxFuture;
use postern_engine::policy::{dn::Dn, sid::Sid};
use secrecy::SecretString;

use super::{BindRefusal, DirectoryError};

/// Writes into a directory; an ability of its own, with an account of its own. It bounds its own waits.
pub trait DirectoryWriter: Send + Sync + 'static {
    /// Makes a computer, or finds the one that an earlier try with the same mark made. Gives its SID and name.
    fn create(&self, computer: NewComputer) -> BoxFuture<'_, Result<(Sid, Dn), DirectoryWriteError>>;

    /// Takes a device's computer out of use.
    fn take_out(&self, sid: Sid, act: TakeOut) -> BoxFuture<'_, Result<TakenOut, DirectoryWriteError>>;
}

/// A computer that is to be made.
#[derive(Debug)]
pub struct NewComputer {
    /// Names that it may have, the first that nobody else has is taken; at most 15 letters, digits and hyphens each.
    pub names: Vec<String>,
    /// What it is known again by after a try whose end nobody saw: no other entry has it.
    pub mark: String,
    /// A password that nobody knows: devices do not sign in to the directory.
    pub password: SecretString,
}

/// How a computer is taken out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOut {
    /// It is disabled.
    Disable,
    /// It is moved.
    Move,
    /// It is deleted.
    Delete,
}

impl TakeOut {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Move => "move",
            Self::Delete => "delete",
        }
    }

    /// The one with this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Disable, Self::Move, Self::Delete].into_iter().find(|act| act.as_str() == text)
    }
}

/// What became of a computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenOut {
    /// It is out of use, in words.
    Done(String),
    /// The account that writes finds none with this SID.
    NotThere,
}

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryWriteError {
    /// The directory, or the account that writes, is in trouble.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Not now, for this one.
    #[error("{0}")]
    Later(String),
    /// The controller refuses it until a person changes something: a right, a container, the entry.
    #[error("{0}")]
    Refused(String),
    /// It must not be done, now or later.
    #[error("{0}")]
    Never(String),
}

impl DirectoryWriteError {
    /// Whether it holds for whatever else is to be written now, too.
    #[must_use]
    pub const fn is_of_all(&self) -> bool {
        match self {
            Self::Directory(DirectoryError::Half(_) | DirectoryError::TooLarge(_)) => false,
            Self::Directory(DirectoryError::Refused(refusal)) => !matches!(refusal, BindRefusal::NoRights),
            Self::Directory(_) => true,
            Self::Later(_) | Self::Refused(_) | Self::Never(_) => false,
        }
    }

    /// Whether it cannot pass by itself.
    #[must_use]
    pub const fn needs_a_person(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Directory(DirectoryError::Refused(refusal)) => {
                !matches!(refusal, BindRefusal::Locked | BindRefusal::Restricted)
            }
            Self::Directory(_) | Self::Later(_) | Self::Never(_) => false,
        }
    }
}
