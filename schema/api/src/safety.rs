//! The safety of destructive operations: limits, freeze, break-glass.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::Time;

/// Characters of a reason at most.
pub const REASON: usize = 1000;

/// How it stands with destructive operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Safety {
    /// The freeze that stands: nothing destructive is accepted or sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Freeze>,
    /// Devices of the fleet, the retired ones left out.
    pub fleet: u64,
    /// Devices that all persons together may hit in an hour before everything is frozen.
    pub fleet_limit: u64,
    /// Devices that all persons hit in the last hour; what was approved and what went by break-glass is left out.
    pub hit_by_all: u64,
    /// Devices that you hit in the last hour.
    pub hit_by_you: u64,
    /// Devices that you may hit in an hour without another's approval.
    pub your_limit: u64,
    /// Who may approve, and since when.
    pub approvers: Vec<Approver>,
    /// Requests that wait for somebody.
    pub waiting: u64,
}

/// One who may approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Approver {
    /// The admin's name.
    pub name: String,
    /// From when on: a new admin, and a new holder of the role, waits 24 hours.
    pub from: Time,
}

/// One freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freeze {
    /// Its id.
    pub id: Uuid,
    /// Since when.
    pub since: Time,
    /// By whom: `admin:NAME`, or `service:safety` where a limit did it.
    pub by: String,
    /// Why. May hold text from outside: escape it.
    pub reason: String,
    /// Whether a limit did it, and no person.
    pub automatic: bool,
}

/// A freeze is asked for, or its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeOrThaw {
    /// Why.
    pub reason: String,
}

/// What came of a thaw or a change of limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SafetyChange {
    /// Whether it is in force.
    pub done: bool,
    /// The request that waits for a second person, or for the day that who is alone waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Uuid>,
}

/// The limits in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SafetyLimits {
    /// Each limit.
    pub limits: Vec<SafetyLimit>,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SafetyLimit {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: u64,
    /// The built-in value.
    pub default: u64,
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// What it is.
    pub what: String,
    /// Who set it; absent: it is the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Time>,
}

/// Limits are to be changed. What allows nothing more than before is in force at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSafetyLimits {
    /// Values by name; what is not named stays.
    pub limits: BTreeMap<String, u64>,
    /// Why.
    pub reason: String,
}

/// Break-glass is to be opened, with a code from the safe: for who asks, with the token that asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenBreakGlass {
    /// The code; each is good once.
    pub code: String,
    /// For how many devices, 1 to 25.
    pub devices: u64,
    /// Why.
    pub reason: String,
}

impl std::fmt::Debug for OpenBreakGlass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenBreakGlass").field("devices", &self.devices).finish_non_exhaustive()
    }
}

/// Break-glass is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BreakGlass {
    /// Until when, for requests with the header `Postern-Break-Glass: yes` and this token.
    pub until: Time,
    /// For how many devices.
    pub devices: u64,
    /// Codes that are left.
    pub codes_left: u64,
}
