//! The settings of a push proxy gateway.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Which version of PAP the gateway is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PapVersion {
    /// PAP 1.0.
    #[serde(rename = "1.0")]
    V1_0,
    /// PAP 2.0.
    #[default]
    #[serde(rename = "2.0")]
    V2_0,
}

/// `[push.pap]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct PapConfig {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_host: Option<String>,
    #[serde(default)]
    pub version: PapVersion,
    #[serde(default)]
    pub sms_required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_secret_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_listen: Option<SocketAddr>,
    #[serde(default = "connect_ms")]
    pub connect_ms: u64,
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
}

impl PapConfig {
    /// The settings for a gateway, everything else as it is by default.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            user: None,
            password_file: None,
            ca: None,
            gateway_host: None,
            version: PapVersion::default(),
            sms_required: false,
            notify_url: None,
            notify_secret_file: None,
            notify_listen: None,
            connect_ms: connect_ms(),
            answer_ms: answer_ms(),
        }
    }
}

fn connect_ms() -> u64 {
    10_000
}

fn answer_ms() -> u64 {
    30_000
}

/// Every key of [`PapConfig`], with what an operator has to know of it.
pub const KEYS: &[(&str, &str)] = &[
    ("url", "Where the push proxy gateway takes PAP: http://… or https://HOST[:PORT]/PATH."),
    ("user", "The user of its basic authentication. Without it none is sent."),
    ("password_file", "A file whose first line is that user's password."),
    ("ca", "The CA (or CAs) of its certificate, PEM. Without it the machine's own trust store."),
    ("gateway_host", "The host behind the @ of a device's address. Default: the URL's."),
    ("version", "The version of PAP: \"1.0\" or \"2.0\" (default)."),
    ("sms_required", "Ask for short messages in a GSM network and for nothing else. Default false."),
    (
        "notify_url",
        "Where the gateway is asked to send its result notifications to. Without it none are asked for.",
    ),
    (
        "notify_secret_file",
        "A file whose first line (32 or more of A-Z a-z 0-9 - _) is put behind notify_url as its last segment.",
    ),
    (
        "notify_listen",
        "Where this core takes result notifications: a loopback or private ADDRESS:PORT, plain HTTP. Needs notify_url and notify_secret_file.",
    ),
    ("connect_ms", "How long a connection may take to stand, in milliseconds. Default 10000."),
    ("answer_ms", "How long an answer may take, in milliseconds. Default 30000."),
];
