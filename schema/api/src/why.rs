//! Why a device is as it is: what an admin asks when nothing seems to happen.

use postern_wire::terms::ProofClass;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{commands::CommandSummary, devices::Device, schema, time::Time};

/// Everything that explains a device's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The device.
    pub device: Device,
    /// What was found, the most telling first.
    pub findings: Vec<Finding>,
    /// Its last sessions, newest first.
    pub sessions: Vec<SessionSummary>,
    /// What gateways and the core refused of it, newest first.
    pub refusals: Vec<RefusalSummary>,
    /// Pending commands, each with the reason why it has not been sent.
    pub pending: Vec<PendingReason>,
    /// Its entries in the blocked list.
    pub blocked: Vec<BlockedEntry>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// `ok`, `note` or `problem`.
    pub level: String,
    /// A stable name for scripts.
    pub slug: String,
    /// One sentence, with what to do where there is something to do.
    pub text: String,
}

/// A session in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionSummary {
    /// Its id.
    pub id: Uuid,
    /// When its first message came.
    pub started_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// How it ended or stands.
    pub outcome: String,
    /// How strongly the device proved itself.
    #[schema(value_type = schema::ProofClass)]
    pub proof_class: ProofClass,
    /// Messages received.
    pub messages: u32,
    /// Through which gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A refusal in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusalSummary {
    /// When it was last seen.
    pub at: Time,
    /// Who refused: `gateway NAME` or `core`.
    pub by: String,
    /// The reason's slug.
    pub reason: String,
    /// The certificate's serial, where one was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How often.
    pub count: u64,
}

/// A pending command and why it waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PendingReason {
    /// The command.
    pub command: CommandSummary,
    /// One sentence.
    pub reason: String,
}

/// An entry of the blocked list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockedEntry {
    /// `certificate` or `route`.
    pub kind: String,
    /// The certificate's serial or the route's hash.
    pub key: String,
    /// `wipe-only` or `refuse`.
    pub verdict: String,
    /// Since when.
    pub since: Time,
}
