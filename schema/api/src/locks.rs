//! Lock, unlock and the reset of a PIN.

use postern_wire::terms::{EnrolmentId, OperationId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Devices that one request may name.
pub const DEVICES: usize = 10_000;

/// Devices are to be locked or unlocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LockDevices {
    /// `full`, `partial`, `unlock`, `reset-pin` or `recover-pin`, as far as each device's dialect has it.
    pub action: String,
    /// The devices: ids, DevIds, names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// All devices of this group, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Why.
    pub reason: String,
    /// Only say what would be hit and what would become of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Locked {
    /// `queued`, or with a dry run `would-go`, `would-go-alone`, `would-wait-for-approval`, `would-freeze` or `is-frozen`.
    pub outcome: String,
    /// Each device; its operation, once there is one.
    pub devices: Vec<LockedDevice>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockedDevice {
    /// The device.
    #[schema(value_type = uuid::Uuid)]
    pub id: EnrolmentId,
    /// Its name. May hold text from outside: escape it.
    pub name: String,
    /// The operation that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub operation: Option<OperationId>,
}
