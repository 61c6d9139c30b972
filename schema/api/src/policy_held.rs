//! The change of policy that waits until somebody agrees (docs/POLICY.md, "Desired state: from a resultant set to confirmed settings").

use postern_wire::terms::EnrolmentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{device_policy::PolicySource, time::Time};

/// Characters of a value that are shown.
pub const VALUE_SHOWN: usize = 4_096;

/// What waits, with a page of its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldPolicy {
    /// The change that waits; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<HeldPolicyChange>,
    /// Its settings: first what nobody wants any longer, then what is grave, other values, what comes on top; of each what concerns
    /// most devices first.
    pub settings: Vec<HeldPolicySetting>,
    /// Give this back as `cursor` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A change that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldPolicyChange {
    /// Its id.
    pub id: Uuid,
    /// The request for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Uuid>,
    /// SHA-256 over the devices and what is to be desired of each, in hexadecimal digits; the request has it, too.
    pub digest: String,
    /// Devices that would lose something.
    pub devices: u64,
    /// Devices that there are.
    pub managed: u64,
    /// Settings that would be altered or removed, over all devices.
    pub settings: u64,
    /// Since when it waits.
    pub since: Time,
    /// Who changed what policy is made of since it was last wholly in force: none of them agrees to it.
    pub askers: Vec<String>,
    /// Devices that wait and that `settings` do not count, because the fleet is too different.
    pub left_out: u64,
}

/// A setting that would be another, on all devices where it would be so in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldPolicySetting {
    /// `removed` (nobody wants it any longer), `grave` (it comes on top and deletes the node, or may cut the device off), `altered`,
    /// `added`.
    pub kind: String,
    /// The node.
    pub uri: String,
    /// The value that is desired now, its first 4096 characters; absent where none is. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The value that would be. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Who says so; where nobody does any longer, who said what stands.
    pub source: PolicySource,
    /// On how many devices.
    pub devices: u64,
    /// Some of them.
    pub examples: Vec<HeldPolicyDevice>,
}

/// A device of a change that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldPolicyDevice {
    /// The enrolment's id.
    #[schema(value_type = uuid::Uuid)]
    pub id: EnrolmentId,
    /// Its name. May hold text from outside: escape it.
    pub name: String,
}

/// Which change, and which page: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldPolicyQuery {
    /// Only this one, by its id or that of its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Uuid>,
    /// Most settings wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
