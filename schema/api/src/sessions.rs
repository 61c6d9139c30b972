//! Sessions: those that were held, and the live dialogue of a watched device.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::Time;

/// The longest wait of a watch, in seconds.
pub const WAIT_S: u32 = 60;
/// Sessions that can be asked to be recorded at a time.
pub const RECORD_MOST: u32 = 20;

/// Which part of a watch: query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionWatchQuery {
    /// Only exchanges after this one; `next` of the answer before. Absent: begin, which is audited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Answer when there is one, or after this many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
}

/// A piece of the live dialogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchedSessions {
    /// What was said since the place that was asked for.
    pub exchanges: Vec<SessionExchange>,
    /// Exchanges that are no longer kept: the watcher was slow, or the dialogue long.
    pub missed: u64,
    /// Give this back as `after`.
    pub next: u64,
    /// Sessions that are still to be recorded.
    pub recording: u32,
}

/// One message of the device and what it was answered, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionExchange {
    /// From 1, rising by 1.
    pub seq: u64,
    /// When the message came.
    pub at: Time,
    /// The session that it belongs to, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
    /// What the device sent.
    pub request: SessionMessage,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What it was answered; nothing where the status says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<SessionMessage>,
    /// What the core decided, and why, in order.
    pub decisions: Vec<SessionDecision>,
}

/// One message, decoded and masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionMessage {
    /// Its Content-Type.
    pub content_type: String,
    /// Its size as it crossed the network, in octets.
    pub octets: u64,
    /// The message as XML, whatever encoding it had; secrets are masked. Text from a device: escape it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncml: Option<String>,
    /// Why it cannot be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One decision of the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionDecision {
    /// The rule that decided.
    pub rule: String,
    /// What and why. May hold text from a device: escape it.
    pub text: String,
}

/// A session that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordedSession {
    /// The session.
    pub session: Uuid,
    /// When it ended.
    pub at: Time,
    /// Messages of the device in it.
    pub messages: u64,
    /// The size of its transcript in octets.
    pub octets: u64,
}

/// Have the next sessions of a device recorded: kept in view of a watch, and as transcripts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSessions {
    /// How many; 0 takes it back.
    pub sessions: u32,
}
