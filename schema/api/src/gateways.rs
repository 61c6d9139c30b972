//! Gateways: what the core knows of each, and the settings documents that it sends them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// A gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// Its name: `postern:gateway:<name>` in its certificate.
    pub name: String,
    /// Where the core dials it.
    pub address: String,
    /// `connected`, `connecting`, `unreachable`, or `standby` (this core is not the active one).
    pub state: String,
    /// Since when it is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Why it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The software version that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Request links that stand.
    pub links: u32,
    /// What is in force there of the documents that the core sends.
    pub documents: Vec<DocumentState>,
    /// What it last told of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<GatewayHeartbeat>,
    /// When its link certificate expires, as the core saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_certificate_not_after: Option<Time>,
}

/// One document's state at a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DocumentState {
    /// `settings`, `blocked` or `routes`.
    pub kind: String,
    /// The version that the core wants there.
    pub wanted: u64,
    /// The version that is in force there; absent when it never acknowledged one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<u64>,
    /// `in-sync`, `pending` or `rejected`.
    pub state: String,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A gateway's figures from its last heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayHeartbeat {
    /// When the core got it.
    pub at: Time,
    /// The gateway's clock less the core's, in milliseconds.
    pub clock_skew_ms: i64,
    /// Device connections open.
    pub connections: u64,
    /// Requests being relayed.
    pub in_flight: u64,
    /// Requests relayed since it started.
    pub requests: u64,
    /// Refusals since it started, by reason.
    pub refusals: std::collections::BTreeMap<String, u64>,
    /// Resident memory in octets.
    pub resident_octets: u64,
    /// When its device-side certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_not_after: Option<Time>,
}

/// A gateway's settings document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewaySettings {
    /// Its version, from 1; the ETag.
    pub version: u64,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: String,
    /// SHA-256 of the document as it is sent, in hex.
    pub sha256: String,
    /// `pending`, `in-force`, `rejected` or `replaced`.
    pub state: String,
    /// Why the gateway rejected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The document (the link contract's settings).
    #[schema(value_type = Object)]
    pub document: serde_json::Value,
}

/// Put a new settings document in place of the last; `If-Match` names the version that it replaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutGatewaySettings {
    /// The whole document; `version` in it is set by the core.
    #[schema(value_type = Object)]
    pub document: serde_json::Value,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
