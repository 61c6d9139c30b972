//! Registry settings put into nodes of a device's tree, by tables for each dialect (docs/POLICY.md).
//!
//! Promise: the tables are data, built in or an operator's; what a table says nothing of, or what its node
//! does not take, is a typed reason, never silence. Where several nodes could take a setting the rule is: a list
//! template of which every item matches, then the node that has the setting's own meaning, then a policy of an
//! administrative template; in each by address.

pub mod admx;
pub mod classic;
pub mod operator;
pub mod plan;
pub mod table;

use serde::Serialize;

use super::{gpo::Half, rsop::settings::Data};

/// The way of speaking of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// OMA DM devices, our own among them.
    Classic,
    /// The client of Windows 10 and 11.
    Windows,
}

/// A setting to be mapped.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'s> {
    /// Its half.
    pub half: Half,
    /// The key, without its hive.
    pub key: &'s str,
    /// The value's name.
    pub value: &'s str,
    /// The value; `None` deletes it.
    pub data: Option<&'s Data>,
}

/// Why a setting goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unmapped {
    /// The table has no row for it.
    #[error("no mapping")]
    NoMapping,
    /// Another type than the row's.
    #[error("the type is not {0}")]
    WrongType(&'static str),
    /// A value that the node does not take.
    #[error("the node takes {0}")]
    ValueNotAllowed(String),
    /// The device's version is too old.
    #[error("from version {0} on")]
    NotYet(String),
    /// Other settings of the same policy are missing.
    #[error("other settings of {0} are missing")]
    Incomplete(String),
}

impl Unmapped {
    /// The word in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoMapping => "no-mapping",
            Self::WrongType(_) => "wrong-type",
            Self::ValueNotAllowed(_) => "value-not-allowed",
            Self::NotYet(_) => "version-too-old",
            Self::Incomplete(_) => "incomplete",
        }
    }
}
