//! Reading SYSVOL: the folders of GPOs.
//!
//! Promise: a source never changes anything, opens nothing but plain files in plain folders below the place that a GPO's own
//! name gives it ([`postern_engine::policy::sysvol::places`]), and what it gives is whole and of one version, or an error that says
//! what is wrong.

use futures_util::future::BoxFuture;
use postern_engine::policy::{
    gpo::{Gpo, gpt_ini_version},
    sysvol::{Contents, Limits, Refused, Tree, version_file},
};

/// Reads the folders of GPOs. It bounds its own waits and what it takes.
pub trait SysvolSource: Send + Sync + 'static {
    /// Reads a GPO's folder; `known` is the version that the caller has, of which it needs no second copy.
    fn folder<'s>(
        &'s self,
        gpo: &'s Gpo,
        known: Option<u32>,
    ) -> BoxFuture<'s, Result<SysvolRead, SysvolError>>;
}

/// What a reading gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysvolRead {
    /// It is the version that is known.
    Same,
    /// All of it.
    Contents(Box<Contents>),
}

impl SysvolRead {
    /// Reads a folder wherever it lies. The version file is read before and after: files that were put there in
    /// between belong to no version.
    ///
    /// # Errors
    /// The folder is hostile, or changed while it was read.
    pub fn of(tree: &dyn Tree, known: Option<u32>, limits: &Limits) -> Result<Self, SysvolError> {
        let before = version_file(tree, limits);
        let version = before.as_deref().map(gpt_ini_version);
        if let (Ok(Ok(version)), Some(known)) = (&version, known)
            && *version == known
        {
            return Ok(Self::Same);
        }
        let contents = Contents::read(tree, limits).map_err(SysvolError::Hostile)?;
        if contents.gpt_ini != before || version_file(tree, limits) != before {
            return Err(SysvolError::Changing);
        }
        Ok(Self::Contents(Box::new(contents)))
    }
}

/// Why a GPO's folder could not be read, or does not count. No text of it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysvolError {
    /// The place where SYSVOL is cannot be reached.
    #[error("SYSVOL cannot be reached: {0}")]
    Down(String),
    /// An answer did not come in time.
    #[error("SYSVOL does not answer in time")]
    Slow,
    /// The account may not sign in, or may not read.
    #[error("SYSVOL refuses the account: {0}")]
    Account(String),
    /// The server neither signs nor encrypts, or takes the account as a guest. Nothing that it says counts.
    #[error("SYSVOL is not protected: {0}")]
    Unprotected(String),
    /// The GPO's name leads to no folder.
    #[error("the GPO has no GUID or no domain")]
    NoName,
    /// There is no folder of it.
    #[error("SYSVOL holds no folder of it")]
    NoFolder,
    /// It changed while it was read.
    #[error("it changed while it was read")]
    Changing,
    /// What is there is refused.
    #[error(transparent)]
    Hostile(Refused),
    /// A file is not what it should be.
    #[error("{0}")]
    Damaged(String),
    /// All folders together are larger than the limit, in octets.
    #[error("the settings of all GPOs are larger than {0} octets")]
    TooLarge(u64),
}

impl SysvolError {
    /// The word in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Down(_) => "down",
            Self::Slow => "slow",
            Self::Account(_) => "account",
            Self::Unprotected(_) => "unprotected",
            Self::NoName => "no-name",
            Self::NoFolder => "no-folder",
            Self::Changing => "changing",
            Self::Hostile(_) => "hostile",
            Self::Damaged(_) => "damaged",
            Self::TooLarge(_) => "too-large",
        }
    }

    /// Whether it may well pass by itself: a place that is down, files that are on their way.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Down(_)
                | Self::Slow
                | Self::Changing
                | Self::NoFolder
                | Self::Hostile(Refused::Missing(_) | Refused::Unreadable(..))
        )
    }

    /// Whether it is about the place and not about one GPO: asking for the next one is of no use.
    #[must_use]
    pub fn is_of_the_place(&self) -> bool {
        matches!(self, Self::Down(_) | Self::Slow | Self::Account(_) | Self::Unprotected(_))
    }
}
