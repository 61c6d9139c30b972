//! What a document says.

use std::collections::{BTreeMap, BTreeSet};

use postern_wire::{terms::Dialect, tnds::Format};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::policy::desired::Removal;

/// What `order` is where neither document nor assignment says.
pub const ORDER: u32 = 100;
/// The largest `order`.
pub const MAX_ORDER: u32 = 10_000;

/// A policy document. Serialised, it is the canonical JSON that its hash covers and that reads back as the same document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    postern: &'static str,
    /// Its name; unique, and what it is applied again by.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Which devices it speaks to; empty for all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub dialects: BTreeSet<Dialect>,
    /// Its place among the documents of one depth where its assignment says none: 1 wins.
    #[serde(skip_serializing_if = "is_usual")]
    pub order: u32,
    /// Whether it is enforced where its assignment does not say.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub enforced: bool,
    /// The groups that it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assign: Vec<Assign>,
    /// What it sets, in the order given.
    pub settings: Vec<Setting>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_usual(order: &u32) -> bool {
    *order == ORDER
}

/// A group that a document is for, as the document writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Assign {
    /// The group's name.
    pub group: String,
    /// The document's place there; `None` for the document's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    /// Whether it is enforced there; `None` for what the document says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced: Option<bool>,
}

/// A document's assignment to a group, with everything said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assignment {
    /// The document's name.
    pub document: String,
    /// The group's name.
    pub group: String,
    /// Its place among the documents of that depth: 1 wins.
    pub order: u32,
    /// Whether it is enforced.
    pub enforced: bool,
}

/// One thing that a document sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// What is set.
    #[serde(flatten)]
    pub subject: Subject,
    /// The node's format, where it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// To what.
    #[serde(flatten)]
    pub value: Value,
    /// What becomes of it when nothing sets it any more; `None` for what the server has as its rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
}

/// What is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A node of the tree: its whole address, `./Vendor/…`.
    Uri(String),
    /// A setting of `mapping/tables/settings.tsv` by its name; a table says which node that is on a device.
    Setting(String),
}

impl Subject {
    /// The address or the name.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Uri(text) | Self::Setting(text) => text,
        }
    }
}

/// To what something is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// To this.
    Value(Scalar),
    /// A list: entries by their names.
    #[serde(rename = "value")]
    Entries(BTreeMap<String, String>),
    /// It is not to be there. Always `true`.
    Absent(bool),
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// Any text.
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Absent(_) => f.write_str("absent"),
            Self::Entries(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(name, text)| format!("{name}={text}")).collect();
                f.write_str(&entries.join(", "))
            }
        }
    }
}

/// What can become of a node when no policy sets it any more.
pub(super) const REMOVALS: [Removal; 3] = [Removal::Leave, Removal::Delete, Removal::Restore];

impl Document {
    /// What stands at the head of each document, with the version of its form.
    pub const FORM: &'static str = "policy/1";

    /// An empty one of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            postern: Self::FORM,
            name: name.to_owned(),
            description: String::new(),
            dialects: BTreeSet::new(),
            order: ORDER,
            enforced: false,
            assign: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// The canonical JSON: the same for every text that says the same.
    #[must_use]
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and truth only")
    }

    /// SHA-256 of the canonical JSON.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.canonical().as_bytes()).into()
    }

    /// Its assignments, with everything said.
    pub fn assignments(&self) -> impl Iterator<Item = Assignment> {
        self.assign.iter().map(|assign| Assignment {
            document: self.name.clone(),
            group: assign.group.clone(),
            order: assign.order.unwrap_or(self.order),
            enforced: assign.enforced.unwrap_or(self.enforced),
        })
    }

    /// Whether it speaks to devices of this dialect.
    #[must_use]
    pub fn is_for(&self, dialect: Dialect) -> bool {
        self.dialects.is_empty() || self.dialects.contains(&dialect)
    }
}
