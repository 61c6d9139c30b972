//! The system's state on one screen.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{alarms::AlarmCounts, gateways::Gateway, schema, time::Time};
use postern_wire::terms::EnrolmentState;

/// How the system is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// `healthy`, `degraded` or `standby`.
    pub state: String,
    /// What is wrong, one sentence each; empty when healthy.
    pub problems: Vec<String>,
    /// The core's version.
    pub version: String,
    /// The core's time.
    pub now: Time,
    /// When this core started.
    pub started_at: Time,
    /// The database.
    pub database: DatabaseStatus,
    /// The gateways.
    pub gateways: Vec<Gateway>,
    /// The core's certificates and CAs.
    pub certificates: Vec<CertificateStatus>,
    /// The command queue.
    pub queue: QueueStatus,
    /// Devices by state.
    pub devices: Vec<DeviceCount>,
    /// Devices that are overdue; none while the core's clock is in doubt.
    #[serde(default)]
    pub overdue: u64,
    /// Open alarms.
    #[serde(default)]
    pub alarms: AlarmCounts,
    /// The audit log's last signed head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_signed_at: Option<Time>,
}

/// The database's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseStatus {
    /// `sqlite` or `postgres`.
    pub kind: String,
    /// Whether it answers.
    pub up: bool,
    /// Whether this core is the active one.
    pub active: bool,
    /// The epoch that this core writes under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Jobs that wait for the writer.
    pub write_queue: u64,
    /// How long the oldest of them has waited, in milliseconds.
    pub write_queue_oldest_ms: u64,
    /// The last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<Time>,
}

/// One certificate's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateStatus {
    /// Which one: `admin`, `link`, `device-ca`, `link-ca`, `server-ca`, `gateway NAME`.
    pub name: String,
    /// When it expires, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    /// `valid`, `expiring` (less than a third of its life, at most 30 days, is left), `expired` or `unreadable`.
    pub state: String,
}

/// The command queue's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueStatus {
    /// Commands queued.
    pub queued: u64,
    /// Commands sent and not answered.
    pub sent: u64,
    /// Commands in doubt.
    pub in_doubt: u64,
    /// When the oldest pending one was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pending: Option<Time>,
}

/// How many devices are in a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceCount {
    /// The state.
    #[schema(value_type = schema::EnrolmentState)]
    pub state: EnrolmentState,
    /// How many.
    pub count: u64,
}
