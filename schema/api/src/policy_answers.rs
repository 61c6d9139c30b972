//! Answers about policy: why a device is to be as it is, what would be if, what tells two devices apart (docs/POLICY.md, "Answers").

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    device_policy::{PolicySetting, PolicySource, UnmappedSetting},
    policy::PolicyFile,
};

/// Why a device is to be as it is: the whole chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyExplanation {
    /// The enrolment's id.
    #[schema(value_type = uuid::Uuid)]
    pub device: Uuid,
    /// Its name.
    pub name: String,
    /// Why nothing can be computed now, so that the last good state stays. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
    /// Its computer object. Text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computer: Option<String>,
    /// Its owner's user object. Text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The site that it counts to. Text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Why that site, or none; absent of a device without an account. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_because: Option<String>,
    /// The groups of documents that it is in, the outermost first.
    pub groups: Vec<String>,
    /// Every GPO's link on the way, nearest container first, the device's part before its owner's.
    pub links: Vec<PolicyLink>,
    /// The documents that count, first applied first: the last wins.
    pub documents: Vec<PolicyLayer>,
    /// The mapping tables that say where settings go: the first that takes one counts.
    #[serde(default)]
    pub tables: Vec<String>,
    /// The settings by address, or the one that was asked for.
    pub settings: Vec<PolicySetting>,
    /// Settings that go nowhere on this device.
    pub unmapped: Vec<UnmappedSetting>,
}

/// A GPO's link on the way. All of it is text from outside: escape it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyLink {
    /// `computer` or `user`.
    pub part: String,
    /// The GPO.
    pub gpo: String,
    /// The container.
    pub som: String,
    /// 1 is the strongest in its container.
    pub link_order: u64,
    /// Whether the link is enforced.
    pub enforced: bool,
    /// Why it applies, or why not: a word of docs/POLICY.md.
    pub reason: String,
    /// What the word does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Its place in the order of application, from 1; none where it does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
}

/// A document that counts for a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyLayer {
    /// Its name.
    pub name: String,
    /// Its version; 0 of one that is only supposed.
    pub version: i64,
    /// The group that it came by.
    pub group: String,
    /// How deep that is nested.
    pub depth: u64,
    /// Its place there: 1 wins.
    pub order: i64,
    /// Whether it is enforced.
    pub enforced: bool,
}

/// What is supposed of a device. Nothing is touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SupposePolicy {
    /// Its computer object lies in this container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_to: Option<String>,
    /// It is in these groups, too: of documents, or of the directory; of both where both have one of the name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_groups: Vec<String>,
    /// These GPOs are linked, too, each as the weakest link of its container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<SupposeLink>,
    /// These documents are applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PolicyFile>,
}

/// A link that is supposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SupposeLink {
    /// The GPO: its name, GUID or distinguished name.
    pub gpo: String,
    /// The container's distinguished name.
    pub som: String,
    /// Whether the link is enforced.
    #[serde(default)]
    pub enforced: bool,
}

/// What tells two states apart: of two devices, or of one now and as supposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyComparison {
    /// What stands on the left.
    pub one: String,
    /// What stands on the right.
    pub other: String,
    /// The nodes that differ in value, or in who says so, by address.
    pub differences: Vec<PolicyNodeDifference>,
    /// How many nodes are the same.
    pub same: u64,
    /// What was supposed, as it was understood; empty for two devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supposed: Vec<String>,
    /// The links on the way of the right side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<PolicyLink>,
    /// The documents that count on the right side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<PolicyLayer>,
}

/// A node that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyNodeDifference {
    /// The node.
    pub uri: String,
    /// `value`, or `source` where only who says so is another.
    pub what: String,
    /// On the left; none where nobody sets it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one: Option<PolicyValue>,
    /// On the right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<PolicyValue>,
}

/// A value and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyValue {
    /// The value; none where the node is not to be there. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Who says so.
    pub source: PolicySource,
}
