//! Devices' management trees: read them, see what is known, compare.

use postern_wire::terms::{EnrolmentId, OperationId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::Time;

/// Read a part of a device's tree; answered 202 with the [`TreeReading`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadTree {
    /// The node; the root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Read everything below it: by TNDS where the device can, else StructData, else node by node.
    #[serde(default)]
    pub whole: bool,
    /// Or so many levels, 1 to 64: 1, the default, is the node with the names of what is below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
    /// Why; stands in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A reading of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeReading {
    /// Its id.
    pub id: Uuid,
    /// The device.
    #[schema(value_type = Uuid)]
    pub device: EnrolmentId,
    /// The node.
    pub uri: String,
    /// Whether everything below it is wanted.
    pub whole: bool,
    /// How many levels are wanted, when not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
    /// open, done or failed.
    pub state: String,
    /// Why it stands there, in words.
    pub cause: String,
    /// How many commands it has taken.
    pub asked: u64,
    /// The operation of the commands that are out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub operation: Option<OperationId>,
    /// The snapshot that it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Uuid>,
    /// Who asked.
    pub requested_by: String,
    /// Since when.
    pub created_at: Time,
    /// When something last happened.
    pub updated_at: Time,
}

/// A part of a device's tree as it was told at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeSnapshot {
    /// Its id.
    pub id: Uuid,
    /// The node that was asked about.
    pub uri: String,
    /// Whether everything below it was asked for.
    pub whole: bool,
    /// How many nodes it has.
    pub nodes: u64,
    /// Octets that it takes.
    pub octets: u64,
    /// When it was finished.
    pub at: Time,
}

/// What is known of a device's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tree {
    /// The device.
    #[schema(value_type = Uuid)]
    pub device: EnrolmentId,
    /// The node that was asked about.
    pub uri: String,
    /// The snapshot that is shown; absent when several are laid over each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<TreeSnapshot>,
    /// The node and what is below it, each before what is below it.
    pub nodes: Vec<TreeNode>,
}

/// A node as the device told of it. Text from a device: escape it for where you show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeNode {
    /// Its address.
    pub uri: String,
    /// Format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Type: a media type, or the identifier of a management object.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Its value when that is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its value in base64 when that is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// ACL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
    /// Title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// TStamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t_stamp: Option<String>,
    /// VerNo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ver_no: Option<String>,
    /// Whether all names below it are known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explored: bool,
    /// Whether it holds a secret: its value is neither asked for nor kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// Whether its value was too long to be kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_long: bool,
    /// The status with which the device refused to tell of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u32>,
    /// When the device told of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// What is different between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeDiff {
    /// The older one.
    pub from: TreeSnapshot,
    /// The newer one.
    pub to: TreeSnapshot,
    /// The differences, in the order of a tree. Only what both know is compared.
    pub changes: Vec<TreeChange>,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreeChange {
    /// The node.
    pub uri: String,
    /// added, removed or changed.
    pub kind: String,
    /// Of a change: value, format, type, acl, title or verno.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// What it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Query parameters of a device's tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeQuery {
    /// The node; the root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// This snapshot alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Uuid>,
}

/// Query parameters of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeDiffQuery {
    /// Snapshots of this node; of any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The older snapshot; the one before `to` of the same node when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Uuid>,
    /// The newer snapshot; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Uuid>,
}

/// Query parameters of a reading's GET: a long poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadingQuery {
    /// Answer when it has ended, or after this many seconds (most 60).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
}
