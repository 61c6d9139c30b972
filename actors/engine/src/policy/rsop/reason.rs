//! Why a linked GPO applies, or why not: the words of reports, and what stands beside them.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::WmiUnknown;
use crate::policy::{
    dn::Dn,
    gpo::{Extension, Gpo, Half, NoSecurity},
};

/// One word for each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "docs/POLICY.md has the table of the words")]
pub enum Reason {
    Applied,
    LinkDisabled,
    BlockedInheritance,
    #[serde(rename = "bad-functionality-version")]
    BadFunctionalityVersion,
    GpoDisabled,
    DeniedRead,
    DeniedExplicit,
    DeniedNotGranted,
    #[serde(rename = "empty-version-0")]
    EmptyVersion,
    NoExtension,
    WmiFilterUnevaluated,
    WmiFilterFalse,
    SysvolUnreadable,
    NotReadableByService,
}

impl Reason {
    /// Every word, in the order in which the states are looked for.
    pub const ALL: [Self; 14] = [
        Self::NotReadableByService,
        Self::LinkDisabled,
        Self::BlockedInheritance,
        Self::BadFunctionalityVersion,
        Self::GpoDisabled,
        Self::DeniedRead,
        Self::DeniedExplicit,
        Self::DeniedNotGranted,
        Self::EmptyVersion,
        Self::NoExtension,
        Self::WmiFilterUnevaluated,
        Self::WmiFilterFalse,
        Self::SysvolUnreadable,
        Self::Applied,
    ];

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::LinkDisabled => "link-disabled",
            Self::BlockedInheritance => "blocked-inheritance",
            Self::BadFunctionalityVersion => "bad-functionality-version",
            Self::GpoDisabled => "gpo-disabled",
            Self::DeniedRead => "denied-read",
            Self::DeniedExplicit => "denied-explicit",
            Self::DeniedNotGranted => "denied-not-granted",
            Self::EmptyVersion => "empty-version-0",
            Self::NoExtension => "no-extension",
            Self::WmiFilterUnevaluated => "wmi-filter-unevaluated",
            Self::WmiFilterFalse => "wmi-filter-false",
            Self::SysvolUnreadable => "sysvol-unreadable",
            Self::NotReadableByService => "not-readable-by-service",
        }
    }
}

/// What the word does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    None,
    /// The container that blocks.
    Blocks(Dn),
    /// The half that is off, or whose versions are 0.
    Half(Half),
    /// The value that is not 2.
    Functionality(Option<i64>),
    /// Whose token lacks the right to read; the entry that denies it, if one does.
    Read(Half, Option<Denial>),
    /// The entry that denies.
    Denied(Denial),
    /// The state of the list of extensions.
    Extension(Extension),
    /// The filter that nobody can decide, and what that is taken for.
    Unevaluated(Arc<str>, WmiUnknown),
    /// The filter that finds nothing, and the values that it was asked with.
    Finds(Arc<str>, Vec<String>),
    /// The filter object that was not found: the GPO applies.
    NoFilter(Arc<str>),
    /// What is wrong in SYSVOL.
    Folder(Arc<str>),
    /// The GPO is not there, or not for the service account.
    NotReturned,
    /// Why nobody can tell who may read it.
    Security(NoSecurity),
}

/// An entry of a GPO's security descriptor that denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The GPO.
    pub gpo: Arc<Gpo>,
    /// The entry's place in its DACL.
    pub ace: usize,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.gpo.security.as_ref().ok().and_then(|security| security.dacl.as_ref());
        match entries.and_then(|entries| entries.get(self.ace)) {
            Some(ace) => write!(f, "entry {} denies {}: {}", self.ace + 1, ace.sid, ace.sddl(None)),
            None => write!(f, "entry {}", self.ace + 1),
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Blocks(som) => write!(f, "{som} blocks inheritance"),
            Self::Half(half) => write!(f, "the {} half", half.word()),
            Self::Functionality(None) => f.write_str("no gPCFunctionalityVersion"),
            Self::Functionality(Some(number)) => write!(f, "gPCFunctionalityVersion is {number}"),
            Self::Read(whose, None) => write!(f, "the {} is not granted Read", whose.word()),
            Self::Read(whose, Some(denial)) => write!(f, "the {} is denied Read: {denial}", whose.word()),
            Self::Denied(denial) => write!(f, "{denial}"),
            Self::Extension(extension) => f.write_str(match extension {
                Extension::Present => "the registry extension is there",
                Extension::NoList => "no list of extensions",
                Extension::OthersOnly => "other extensions only",
                Extension::OutOfOrder => "the list of extensions is out of order",
                Extension::Malformed => "the list of extensions cannot be read",
            }),
            Self::Unevaluated(query, WmiUnknown::Deny) => {
                write!(f, "cannot be decided, and what cannot be decided does not apply: {query}")
            }
            Self::Unevaluated(query, WmiUnknown::Allow) => {
                write!(f, "cannot be decided, and what cannot be decided applies: {query}")
            }
            Self::Finds(query, values) if values.is_empty() => write!(f, "finds nothing: {query}"),
            Self::Finds(query, values) => write!(f, "finds nothing: {query}; {}", values.join(", ")),
            Self::NoFilter(id) => write!(f, "the WMI filter {id} was not found, so it filters nothing"),
            Self::Folder(why) => f.write_str(why),
            Self::NotReturned => f.write_str("linked, but not returned to the service account"),
            Self::Security(why) => write!(f, "{why}"),
        }
    }
}
