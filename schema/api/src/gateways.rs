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
    /// `connected`, `connecting`, `unreachable`, `joining`, `retired`, `compromised` (it is in other hands and never dialed
    /// again), or `standby` (this core is not the active one).
    pub state: String,
    /// `configuration`: it stands in the core's file; `joined`: it came with a bundle.
    #[serde(default)]
    pub origin: String,
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
    /// The gateway's clock less the core's, in milliseconds, the way there and back taken out.
    pub clock_skew_ms: i64,
    /// By how much that may be wrong, in milliseconds.
    #[serde(default)]
    pub clock_skew_error_ms: i64,
    /// How long it has run, in seconds.
    #[serde(default)]
    pub uptime_s: u64,
    /// Where it listens for devices.
    #[serde(default)]
    pub listening: Vec<String>,
    /// The settings version that proved good there last.
    #[serde(default)]
    pub settings_good: u64,
    /// The certificates that it uses.
    #[serde(default)]
    pub certificates: Vec<GatewayCertificateInUse>,
    /// What is wrong there, a sentence each.
    #[serde(default)]
    pub troubles: Vec<String>,
    /// Device connections open.
    pub connections: u64,
    /// TLS sessions that devices opened since it started.
    #[serde(default)]
    pub sessions: u64,
    /// Devices that listen for a notification.
    #[serde(default)]
    pub listeners: u64,
    /// Requests being relayed.
    pub in_flight: u64,
    /// Requests relayed since it started.
    pub requests: u64,
    /// Refusals since it started, by reason.
    pub refusals: std::collections::BTreeMap<String, u64>,
    /// Of these, limits that were hit: rates, sizes, times and places.
    #[serde(default)]
    pub limits_hit: std::collections::BTreeMap<String, u64>,
    /// Resident memory in octets.
    pub resident_octets: u64,
    /// When its device-side certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_not_after: Option<Time>,
}

/// A certificate that a gateway uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayCertificateInUse {
    /// `link` or `server`.
    pub port: String,
    /// Serial number, lower-case hex.
    pub serial: String,
    /// When it ends.
    pub not_after: Time,
    /// Renewed through the core; else the operator's own files.
    pub managed: bool,
}

/// A gateway's settings document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewaySettings {
    /// Its version, from 1; 0: the defaults.
    pub version: u64,
    /// The newest version, wanted or not; the ETag.
    #[serde(default)]
    pub newest: u64,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// SHA-256 of the document as it is sent, in hex.
    pub sha256: String,
    /// `pending`, `in-force` (on trial, or good), `rejected` or `replaced`.
    pub state: String,
    /// Why the gateway rejected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// When it was sent first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_at: Option<Time>,
    /// When the gateway answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Time>,
    /// When it had passed its trial there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_at: Option<Time>,
    /// The version that the gateway said it has.
    #[serde(default)]
    pub in_force: u64,
    /// The version that passed its trial last.
    #[serde(default)]
    pub last_good: u64,
    /// The newest version, when it was rejected: the one before is wanted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallen: Option<FallenSettings>,
    /// The whole document (the link contract's settings).
    #[schema(value_type = Object)]
    pub document: serde_json::Value,
    /// What is set for this gateway alone.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub own: serde_json::Value,
    /// The version of what is set for all gateways that it was made with; 0: nothing is.
    #[serde(default)]
    pub defaults: u64,
    /// Every value with where it comes from; only where one document is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<GatewaySettingValue>,
}

/// A version that a gateway did not keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FallenSettings {
    /// Which.
    pub version: u64,
    /// When it was rejected.
    pub at: Time,
    /// Why.
    pub because: String,
}

/// One value of a gateway's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewaySettingValue {
    /// The key; tables before a dot.
    pub key: String,
    /// Its value.
    #[schema(value_type = Object)]
    pub value: serde_json::Value,
    /// `default`, `all` or `gateway`.
    pub from: String,
}

/// Put what is set for a gateway (or for all) in place of what was; `If-Match` names the newest version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutGatewaySettings {
    /// What is set; every other key is what it is for all, or by default. `version` in it is set by the core.
    #[schema(value_type = Object)]
    pub document: serde_json::Value,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Give a gateway again what it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBackGatewaySettings {
    /// Which version; without it the last good one before the one that is wanted now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is set for all gateways, and how far its roll-out is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayDefaults {
    /// The newest version, from 1; the ETag; 0: nothing was ever set.
    pub version: u64,
    /// The version that counts; another than the newest while it is rolled out, or when that was stopped.
    pub in_force: u64,
    /// `rolling-out`, `in-force` or `stopped`.
    pub state: String,
    /// Why it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// When it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is set, in the newest version.
    #[schema(value_type = Object)]
    pub document: serde_json::Value,
    /// What is set in the version that counts.
    #[schema(value_type = Object)]
    pub in_force_document: serde_json::Value,
    /// The gateways in the order of their turns.
    pub steps: Vec<RollOutStep>,
}

/// One gateway in a roll-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RollOutStep {
    /// Which gateway.
    pub gateway: String,
    /// `waiting`, `given`, `done`, `failed` or `put-off`.
    pub state: String,
    /// The version of its settings that was made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why it failed or was put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Since when.
    pub at: Time,
}

/// Add a gateway, or put a new one in the place of one that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddGateway {
    /// Its name.
    pub name: String,
    /// Where the core dials its link port: `HOST:PORT`.
    pub address: String,
    /// Names and addresses in its device port's certificate; empty: the host of the devices' URL.
    #[serde(default)]
    pub names: Vec<String>,
    /// Minutes until the bundle is worth nothing; 1 to 43,200, 1,440 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Take the place of a gateway of that name; its certificates are revoked.
    #[serde(default)]
    pub replace: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A bundle, shown once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayBundle {
    /// The gateway's name.
    pub gateway: String,
    /// When it is worth nothing any more.
    pub expires_at: Time,
    /// What goes into the bundle's file. It holds the one-time secret.
    #[schema(value_type = Object)]
    pub bundle: serde_json::Value,
}

/// Retire a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireGateway {
    /// Why.
    pub reason: String,
}

/// What a retired gateway had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RetiredGateway {
    /// Its name.
    pub gateway: String,
    /// It said that it has put away its keys and lists. If not, they are on that machine still: its certificates are
    /// revoked, its lists name routes by truncated hashes.
    pub put_away: bool,
    /// The certificates that were revoked.
    pub revoked: Vec<RevokedGatewayCertificate>,
    /// What it last told of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<GatewayHeartbeat>,
}

/// A certificate that was revoked with its gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevokedGatewayCertificate {
    /// `link` or `server`.
    pub port: String,
    /// Serial number, lower-case hex.
    pub serial: String,
}

/// A key of a gateway, with its signing request and its certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayCertificate {
    /// `link` or `server`.
    pub port: String,
    /// SHA-256 of the public key, lower-case hex.
    pub key_hash: String,
    /// When it was asked for.
    pub asked_at: Time,
    /// `waiting` (for an external CA), `issued` or `revoked`.
    pub state: String,
    /// PKCS#10, PEM.
    pub request: String,
    /// Serial number of the certificate, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
}

/// Make a gateway ask for a new certificate, over a new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewGatewayCertificate {
    /// `link` or `server`.
    pub port: String,
}

/// The chain that an external CA made for a gateway's device port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportGatewayCertificate {
    /// The certificate and what stands between it and its CA, PEM.
    pub chain: String,
}

/// Who has the blocked list and the known routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayLists {
    /// The blocked list's version.
    pub blocked: u64,
    /// The routes' version.
    pub routes: u64,
    /// Every connected gateway has both. One that is not connected serves nobody until it has.
    pub acknowledged_by_all: bool,
    /// Each gateway.
    pub gateways: Vec<GatewayListState>,
}

/// What one gateway has of the lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatewayListState {
    /// Which.
    pub gateway: String,
    /// It is connected.
    pub connected: bool,
    /// The blocked list's version that it acknowledged.
    pub blocked: u64,
    /// The routes' version that it acknowledged.
    pub routes: u64,
    /// Versions that it is behind, both lists together.
    pub lag: u64,
}
