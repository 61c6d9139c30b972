//! Requests that somebody else has to agree to.

use postern_wire::terms::EnrolmentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::Time;

/// Devices of a request that are shown.
pub const DEVICES_SHOWN: usize = 1000;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// Its id.
    pub id: Uuid,
    /// What is asked: `wipe`, `lock`, `retire`, `unenrol`, `re-enrol`, `certificate`, `limits`, `admins`, `thaw` …
    pub kind: String,
    /// `waiting`, `cooling`, `granted` (who asked carries it out by asking again), `approved`, `rejected`, `expired`,
    /// `stale`.
    pub state: String,
    /// Who asks.
    pub requester: String,
    /// Why. May hold text from outside: escape it.
    pub reason: String,
    /// The hash of what is asked, in hexadecimal: an approval names it.
    pub hash: String,
    /// How many devices.
    pub device_count: u64,
    /// The devices with the generations that they had, the first 1000.
    pub devices: Vec<ApprovalDevice>,
    /// All that says what exactly is done.
    pub settings: serde_json::Value,
    /// When it was asked.
    pub created_at: Time,
    /// Until when it may be decided.
    pub expires_at: Time,
    /// How long it waits once it is agreed to, in seconds.
    pub cooling_s: u64,
    /// When an agreed one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_at: Option<Time>,
    /// From when on who asked may give it, where nobody else may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone_from: Option<Time>,
    /// Who agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_by: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why it stands so. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// One device of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalDevice {
    /// The device.
    #[schema(value_type = uuid::Uuid)]
    pub id: EnrolmentId,
    /// The generation that it had when it was asked.
    pub generation: u32,
    /// Its name now. May hold text from outside: escape it.
    pub name: String,
    /// Its owner now. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Which requests: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalQuery {
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A request is agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The hash that was seen.
    pub hash: String,
    /// Why, if it is to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A request is refused, or one's own is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// Why.
    pub reason: String,
}
