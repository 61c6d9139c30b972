//! Management objects: what their descriptions say, and descriptions of one's own.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// A management object in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManagementObject {
    /// Its name here.
    pub name: String,
    /// built-in or imported.
    pub origin: String,
    /// Identifiers of management objects that it describes.
    pub ids: Vec<String>,
    /// Where it usually stands; `*` is any one name.
    pub places: Vec<String>,
    /// How many nodes it describes.
    pub nodes: u64,
    /// How many elements of the document were read over, because DDF 1.2 does not know them.
    pub skipped: u64,
    /// Who imported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_by: Option<String>,
    /// When it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_at: Option<Time>,
}

/// A management object with its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManagementObjectDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub object: ManagementObject,
    /// Its nodes, each before what is below it; at most [`NODES_SHOWN`].
    pub described: Vec<DescribedNode>,
}

/// How many nodes a [`ManagementObjectDetail`] lists.
pub const NODES_SHOWN: usize = 5_000;

/// What a description says of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DescribedNode {
    /// Its address; a name that is chosen when the node is made stands as `<Title>`.
    pub uri: String,
    /// The object that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Whether its last name is chosen when it is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub placeholder: bool,
    /// Whether something may stand below it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// DFFormat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// AccessType: the commands that it may be the target of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<String>,
    /// Occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurrence: Option<String>,
    /// DFType.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Import a description.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportObject {
    /// Its name here; the name of its first node when absent. One that is imported already is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The DDF document (version 1.2), as XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The same in base64: as WBXML, or as XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_base64: Option<String>,
}

/// The ways in which a begun address can go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Completions {
    /// By address.
    pub items: Vec<DescribedNode>,
}

/// Query parameters of a completion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompleteQuery {
    /// What was begun.
    #[serde(default)]
    pub prefix: String,
    /// A device: names and places that it is known to have are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}
