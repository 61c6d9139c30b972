//! The sections of the configuration that every core has, with their defaults.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `[core]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Core {
    pub id: Uuid,
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Admin {
    pub listen: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub first_token: PathBuf,
    pub workers: usize,
    pub body_octets: usize,
    pub commands_octets: usize,
    pub failures_per_minute: u32,
}

/// `[observe]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Observe {
    pub listen: SocketAddr,
}

/// Which database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// A file, in this process.
    #[default]
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// `[database]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Database {
    pub kind: DatabaseKind,
    pub path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    pub readers: usize,
    pub queue: usize,
    pub retry_s: u64,
}

/// `[links]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Links {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
    pub heartbeat_ms: u64,
    pub threads: usize,
}

/// `[[gateway]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Gateway {
    pub name: String,
    pub address: String,
}

/// `[devices]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Devices {
    pub url: String,
    #[serde(default = "server_id")]
    pub server_id: String,
    #[serde(default = "device_ca")]
    pub ca: PathBuf,
    #[serde(default = "device_ca_key")]
    pub ca_key: PathBuf,
    #[serde(default = "server_ca")]
    pub server_ca: PathBuf,
    #[serde(default = "certificate_days")]
    pub certificate_days: u32,
    #[serde(default)]
    pub threads: usize,
    #[serde(default = "object_octets")]
    pub object_octets: u64,
    #[serde(default = "spool_octets")]
    pub spool_octets: u64,
    #[serde(default = "read_configuration")]
    pub read_configuration: bool,
}

/// `[keys]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Keys {
    pub master: PathBuf,
    pub audit: PathBuf,
    pub order: PathBuf,
    pub message: PathBuf,
    pub escrow: PathBuf,
    pub break_glass: PathBuf,
}

/// `[audit]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Audit {
    pub anchor: PathBuf,
    pub every_s: u64,
}

/// `[commands]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Commands {
    pub deadline_days: u32,
    pub per_device: usize,
    pub keep_days: u32,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            certificate: "core/admin.pem".into(),
            key: "core/admin.key".into(),
            first_token: "admin.token".into(),
            workers: 2,
            body_octets: 1024 * 1024,
            commands_octets: 16 * 1024 * 1024,
            failures_per_minute: 20,
        }
    }
}

impl Default for Observe {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)) }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            kind: DatabaseKind::Sqlite,
            path: "postern.sqlite".into(),
            url_file: None,
            ca: None,
            certificate: None,
            key: None,
            readers: 4,
            queue: 8192,
            retry_s: 15,
        }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self {
            certificate: "core/link.pem".into(),
            key: "core/link.key".into(),
            ca: "ca/link-ca.pem".into(),
            heartbeat_ms: 1000,
            threads: 0,
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            master: "keys/master.key".into(),
            audit: "keys/audit.key".into(),
            order: "keys/order.key".into(),
            message: "keys/message.key".into(),
            escrow: "keys/escrow".into(),
            break_glass: "keys/break-glass".into(),
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { anchor: "audit-heads.jsonl".into(), every_s: 60 }
    }
}

/// `[policy]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct Policy {
    pub tables: Vec<PathBuf>,
}

impl Default for Commands {
    fn default() -> Self {
        Self { deadline_days: 30, per_device: 1000, keep_days: 90 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info,actix_server=warn".into(), format: LogFormat::Text }
    }
}

impl Devices {
    /// Devices that reach their gateways at `url`, the rest by default.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            server_id: server_id(),
            ca: device_ca(),
            ca_key: device_ca_key(),
            server_ca: server_ca(),
            certificate_days: certificate_days(),
            threads: 0,
            object_octets: object_octets(),
            spool_octets: spool_octets(),
            read_configuration: read_configuration(),
        }
    }
}

fn server_id() -> String {
    "postern".into()
}
fn device_ca() -> PathBuf {
    "ca/device-ca.pem".into()
}
fn device_ca_key() -> PathBuf {
    "ca/device-ca.key".into()
}
fn server_ca() -> PathBuf {
    "ca.pem".into()
}
const fn certificate_days() -> u32 {
    365
}

const fn object_octets() -> u64 {
    8 * 1024 * 1024
}

const fn spool_octets() -> u64 {
    256 * 1024 * 1024
}

const fn read_configuration() -> bool {
    true
}
