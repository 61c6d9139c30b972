//! Alarms: what a person has to know of, or to do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::Time;

/// Characters of a reason at most.
pub const REASON: usize = 500;

/// One alarm: while a trouble lasts there is one for its kind and subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// Its id.
    pub id: Uuid,
    /// What kind of trouble; docs/OPERATIONS.md has a paragraph under each.
    pub kind: String,
    /// What it is about: `gateway:NAME`, `device:ID`, `database` … May hold text from outside: escape it.
    pub subject: String,
    /// `notice`, `warning` or `critical`; the system is degraded while a critical one is open.
    pub severity: String,
    /// What is wrong, in one sentence. May hold text from outside: escape it.
    pub text: String,
    /// When it was raised first.
    pub since: Time,
    /// When it was raised last.
    pub last: Time,
    /// How often it was raised.
    pub count: u64,
    /// Who has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Time>,
    /// What that person said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_because: Option<String>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Time>,
    /// Why it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_because: Option<String>,
}

/// Which alarms: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmQuery {
    /// `open` (the default), `cleared` or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Of exactly this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Say that an alarm was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeAlarm {
    /// What is being done about it, or why nothing is; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Close it as well: for those that no machine sees the end of. It comes back if it is raised again.
    #[serde(default)]
    pub close: bool,
}

/// How many alarms are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmCounts {
    /// All that are open.
    pub open: u64,
    /// Of these, the critical ones.
    pub critical: u64,
    /// Of these, the ones that nobody has acknowledged.
    pub unacknowledged: u64,
}
