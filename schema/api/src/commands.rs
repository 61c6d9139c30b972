//! DM commands and the operations that they belong to: queue, show, watch, cancel.

use postern_wire::terms::{
    CommandId, CommandState, EnrolmentId, Lane, OperationId, OperationKind, ProofClass, Redelivery, Verb,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{schema, time::Time};

/// Queue DM commands for one device: `commands`, or `syncml`, never both. Answered 202 with the [`Operation`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueCommands {
    /// The commands, sent in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandSpec>,
    /// SyncML commands as XML: a whole SyncML message (its header is ignored), a SyncBody, or the commands alone.
    /// Add, Replace, Get, Delete, Copy, Exec, Atomic, Sequence, and the display alerts 1100 to 1104.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncml: Option<String>,
    /// Each command waits for the answer to the one before.
    #[serde(default)]
    pub ordered: bool,
    /// Queue even what the description of its node forbids; needs the permission `commands.force`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// How soon. Default: normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Lane>)]
    pub lane: Option<Lane>,
    /// Not sent after this time. Default: the core's `commands.deadline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Why; stands in the audit log and on the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One DM command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// What to do.
    #[schema(value_type = schema::Verb)]
    pub verb: Verb,
    /// Target LocURI.
    pub uri: String,
    /// Source LocURI, for copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The item's Data; base64 when `format` is `b64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Meta Format: chr, int, bool, bin, b64, xml, node, null, date, time, float. Without it, what the node's
    /// description says, else chr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Meta Type: a media type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
}

/// Something wanted of a device, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: OperationId,
    /// What it is for.
    #[schema(value_type = schema::OperationKind)]
    pub kind: OperationKind,
    /// How many devices it is for.
    pub devices: u64,
    /// Who asked: an admin's name, or a service's.
    pub requested_by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub created_at: Time,
    /// Rolled up from its commands: queued, sent, succeeded, failed, partly-failed, in-doubt, expired, cancelled, superseded.
    pub state: String,
    /// Its commands, in sending order; the first [`OPERATION_COMMANDS_SHOWN`].
    pub commands: Vec<CommandSummary>,
}

/// How many commands an [`Operation`] lists.
pub const OPERATION_COMMANDS_SHOWN: u32 = 500;

/// A command in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommandSummary {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: CommandId,
    /// Its operation.
    #[schema(value_type = Uuid)]
    pub operation: OperationId,
    /// The device.
    #[schema(value_type = Uuid)]
    pub device: EnrolmentId,
    /// What it does.
    #[schema(value_type = schema::Verb)]
    pub verb: Verb,
    /// Target LocURI of its first item.
    pub uri: String,
    /// Where it stands.
    #[schema(value_type = schema::CommandState)]
    pub state: CommandState,
    /// The device's Status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it stands there, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How soon it is to go.
    #[schema(value_type = schema::Lane)]
    pub lane: Lane,
    /// When it was queued.
    pub created_at: Time,
    /// When it finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Counts the changes of its state, from 1.
    pub revision: u64,
}

/// A command with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Command {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: CommandSummary,
    /// What is sent: its items. Absent when they are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<CommandItem>>,
    /// How often it was sent.
    pub attempts: u64,
    /// When it was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Time>,
    /// What may be done when its fate is unknown.
    #[schema(value_type = schema::Redelivery)]
    pub redelivery: Redelivery,
    /// Not sent after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// How strongly the answer was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ProofClass>)]
    pub proof_class: Option<ProofClass>,
    /// The gateway in other hands that carried the answer and may have changed it; gone once the device was read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubtful: Option<String>,
    /// What the device sent back.
    pub results: Vec<CommandResult>,
    /// Everything that happened to it, oldest first.
    pub timeline: Vec<CommandEvent>,
}

/// One item of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandItem {
    /// Target LocURI.
    pub uri: String,
    /// Source LocURI, of a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Meta Format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Meta Type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Its Data when that is text or markup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Its Data in base64 when that is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_base64: Option<String>,
}

/// One item of Results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandResult {
    /// The item's LocURI. Text from a device: escape it for where you show it.
    pub uri: String,
    /// Meta Format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Meta Type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Its Data when that is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Its Data in base64 when that is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_base64: Option<String>,
}

/// One thing that happened to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandEvent {
    /// When.
    pub at: Time,
    /// The state after it.
    #[schema(value_type = schema::CommandState)]
    pub state: CommandState,
    /// Why, in a few words.
    pub cause: String,
    /// The command's revision after it.
    pub revision: u64,
    /// In which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Uuid>,
}

/// Query parameters of a command's GET: a long poll with `wait` and `revision`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchQuery {
    /// Answer when the revision is above `revision`, or after this many seconds (most 60).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
    /// The revision that the caller has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Query parameters of a device's list of commands, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandQuery {
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<CommandState>,
    /// Most items wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
