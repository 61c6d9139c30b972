//! Policy documents: what is applied, what that changes, what stands (docs/POLICY.md, "Policy documents").

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// Files that one request may hold.
pub const MAX_FILES: usize = 2000;

/// Documents to be applied, or to be compared with what stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyPolicies {
    /// The files.
    pub files: Vec<PolicyFile>,
    /// Take away every document that is in none of the files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prune: bool,
    /// What a node means that no description and no table knows.
    #[serde(default)]
    pub unknown_nodes: UnknownNodes,
    /// Why; stands with each version and in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A file of documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// What refusals call it.
    pub name: String,
    /// YAML, one document or several parted by `---`; or JSON.
    pub text: String,
}

/// What a node means that no description and no table knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownNodes {
    /// A warning.
    #[default]
    Warn,
    /// A refusal.
    Refuse,
}

/// What documents change, or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyPlan {
    /// Whether it was done.
    pub applied: bool,
    /// The number of the whole set that this was decided on, or that stands now; the ETag.
    pub revision: u64,
    /// One for each document of the files and each that is taken away, by name.
    pub changes: Vec<PolicyChange>,
    /// How many devices would have another document's value at some node. GPOs that are enforced may hide it.
    pub devices: u64,
    /// What is doubtful.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<PolicyWarning>,
}

/// What becomes of one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyChange {
    /// The document's name.
    pub name: String,
    /// `create`, `change`, `remove` or `unchanged`.
    pub action: String,
    /// Its version: that which stands, or with a change that which comes.
    pub version: u64,
    /// What is another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<PolicyDifference>,
    /// How many devices this change alone would alter.
    pub devices: u64,
}

/// One difference between two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDifference {
    /// `add`, `change` or `remove`.
    pub kind: String,
    /// `setting camera`, `assignment Field Phones` …
    pub what: String,
    /// What was there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub before: String,
    /// What comes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub after: String,
}

/// Something doubtful about a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyWarning {
    /// The document and the setting.
    pub at: String,
    /// A stable word: `undescribed`, `no-node`.
    pub word: String,
    /// What.
    pub detail: String,
}

/// A document as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDocument {
    /// Its name; unique.
    pub name: String,
    /// Its newest version; the ETag.
    pub version: u64,
    /// Whether that one took it away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How many settings it has.
    pub settings: u64,
    /// The groups that it is for.
    pub assignments: Vec<PolicyAssignment>,
    /// SHA-256 of its canonical JSON.
    pub sha256: String,
    /// When its newest version came.
    pub changed_at: Time,
    /// Who brought it.
    pub changed_by: String,
}

/// A document's assignment to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyAssignment {
    /// The group's name of today.
    pub group: String,
    /// The document's place among those of groups of this depth: 1 wins.
    pub order: u64,
    /// Whether deeper groups cannot override it.
    pub enforced: bool,
}

/// A document with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDocumentDetail {
    /// The document.
    #[serde(flatten)]
    pub document: PolicyDocument,
    /// As YAML; applied again it is the same document. Empty where it was taken away.
    pub text: String,
}

/// One version of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyVersion {
    /// The document's name.
    pub name: String,
    /// From 1.
    pub version: u64,
    /// Whether it took the document away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// The version that it brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_version: Option<u64>,
    /// SHA-256 of the canonical JSON.
    pub sha256: String,
    /// Why, where somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who.
    pub set_by: String,
    /// When.
    pub at: Time,
    /// The document as YAML, of one version only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Bring back an earlier version of a document, as a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBackPolicy {
    /// Which; without it the one before the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
