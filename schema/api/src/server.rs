//! The system's own parts: cores, gateways and supervisors; what doctor found; release after a restore.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// Characters of a reason at most.
pub const REASON: usize = 500;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and will not for ever.
    Warn,
    /// Something does not work.
    Fail,
}

impl Verdict {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that doctor looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What was looked at: a heading of docs/OPERATIONS.md, such as `clock.gateway`.
    pub name: String,
    /// Of which one, where there are several: `gateway:NAME`, a file … May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What was found.
    pub verdict: Verdict,
    /// What is there, and what it means. May hold text from outside: escape it.
    pub finding: String,
    /// What to do; empty when nothing is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// All that doctor looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doctor {
    /// The worst verdict.
    pub verdict: Verdict,
    /// The core's version.
    pub version: String,
    /// The core's time when it looked.
    pub now: Time,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Doctor {
    /// The worst of these.
    #[must_use]
    pub fn worst(checks: &[Check]) -> Verdict {
        checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
    }
}

/// A core, a gateway or a supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// `core`, `gateway` or `supervisor`.
    pub kind: String,
    /// Its name: a core's id, a gateway's name, a supervisor's.
    pub name: String,
    /// `active`, `standby`, `lost`, `serving`, `connecting`, `unreachable`, `running` …
    pub role: String,
    /// `healthy`, `degraded` or `down`.
    pub health: String,
    /// Its version, where it told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Where it is: host and address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// Since when it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it was last heard of, or last did its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Time>,
    /// What waits in it, where it has a queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<u64>,
    /// What went wrong last. May hold text from outside: escape it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Let destructive orders out again after a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseServer {
    /// What was looked at and why it is right; stands in the audit log.
    pub reason: String,
}

/// What a release let go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Released {
    /// When the system was restored.
    pub restored_at: Time,
    /// When the backup was made.
    pub backup_at: Time,
    /// Orders that waited and go out now.
    pub orders: u64,
}

/// Change what is logged, for a time: of one device, of a module, or of all of Postern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLogLevel {
    /// Lines about this device: an enrolment's id, a DevId or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Lines of this module and those below, such as `postern_core::links`; without device and module: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// `error`, `warn`, `info`, `debug` or `trace`; absent: end the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// For so many seconds; at most a day. Default: half an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u32>,
}

/// The longest change of a log level, in seconds.
pub const LOG_MOST_S: u32 = 86_400;
/// The change's life when none is named, in seconds.
pub const LOG_S: u32 = 1_800;

/// A log level that was changed for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLevel {
    /// `device:ID`, `module:NAME` or `all`.
    pub subject: String,
    /// The level down to which lines are written.
    pub level: String,
    /// When the change ends by itself.
    pub until: Time,
}

/// What a person who helps from outside needs to see, without secrets: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupportQuery {
    /// Leave names, addresses and ids as they are. Without it they are replaced, the same one by the same word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<bool>,
}

/// One part of a support bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SupportPart {
    /// `about`, `status`, `doctor`, `servers`, `configuration`, `settings`, `metrics` or `log`.
    pub part: String,
    /// What it holds: text, or a JSON document.
    #[schema(value_type = Object)]
    pub content: serde_json::Value,
}
