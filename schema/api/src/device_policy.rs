//! What policy wants of a device, and how each setting stands.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::Time;

/// What policy wants of a device, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DevicePolicy {
    /// The enrolment's id.
    #[schema(value_type = uuid::Uuid)]
    pub device: Uuid,
    /// `none` where nothing was ever desired of it, `settled`, `pending`, `held` where a change waits until somebody agrees, or
    /// `stale` where the last good state stays because another cannot be computed.
    pub state: String,
    /// Why it stands so. May hold text from outside: escape it.
    pub because: String,
    /// SHA-256 over what is desired, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The epoch of its last change.
    pub epoch: i64,
    /// When what is desired last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Time>,
    /// When the device was last brought to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Time>,
    /// When its settings are read back next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_at: Option<Time>,
    /// The operation that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub operation: Option<Uuid>,
    /// The settings by address; those that still have to go behind them.
    pub settings: Vec<PolicySetting>,
    /// Settings that go nowhere on this device.
    pub unmapped: Vec<UnmappedSetting>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicySetting {
    /// The node.
    pub uri: String,
    /// `compliant`, `pending`, `error`, `not-supported` or `conflict`.
    pub state: String,
    /// The device's status code, where it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// What the word does not say. May hold text from outside: escape it.
    pub because: String,
    /// Its format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The value that is desired; absent where the node is not to be there. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether the node is not to be there.
    pub deleted: bool,
    /// `leave`, `delete` or `restore`: what becomes of it when nobody wants it any longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<PolicySource>,
    /// Who said something, too, and lost: the nearest to winning first.
    pub losers: Vec<PolicySource>,
    /// When the device confirmed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Time>,
    /// How often it was found with another value than it had confirmed.
    pub drift: u32,
    /// Nobody wants it any longer, and it is not removed yet.
    pub leaving: bool,
}

/// Who says something of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicySource {
    /// `gpo` or `document`.
    pub kind: String,
    /// The GPO's or document's name. Text from outside: escape it.
    pub name: String,
    /// The container or group that it is linked or assigned to. Text from outside: escape it.
    pub place: String,
    /// Whether it is enforced.
    pub enforced: bool,
    /// The GPO's name in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dn: Option<String>,
    /// The registry setting that a GPO sets: half, key and value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// The document's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

/// A setting that goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnmappedSetting {
    /// The setting. Text from outside: escape it.
    pub setting: String,
    /// Why, as a word: `no-mapping`, `wrong-type`, `value-not-allowed`, `version-too-old`, `incomplete`.
    pub reason: String,
    /// What the word does not say.
    pub detail: String,
    /// Who says it.
    pub source: PolicySource,
}
