//! The settings of a webhook.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[[webhook]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct WebhookConfig {
    pub name: String,
    pub url: String,
    pub secret_file: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    #[serde(default)]
    pub allow_local: bool,
    #[serde(default = "connect_ms")]
    pub connect_ms: u64,
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
}

impl WebhookConfig {
    /// The settings for a receiver, everything else as it is by default.
    #[must_use]
    pub fn at(name: &str, url: &str, secret_file: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            secret_file: secret_file.into(),
            ca: None,
            allow_local: false,
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

/// Every key of [`WebhookConfig`], with what an operator has to know of it.
pub const KEYS: &[(&str, &str)] = &[
    ("name", "What we call it: lower-case letters, digits and hyphens."),
    (
        "url",
        "Where events are posted to: https://HOST[:PORT]/PATH. No loopback, link-local or special address.",
    ),
    (
        "secret_file",
        "A file whose first line is the secret of its signatures: 24 octets or more, or whsec_BASE64.",
    ),
    ("ca", "The CA (or CAs) of its certificate, PEM. Without it the machine's own trust store."),
    ("allow_local", "For tests only: http:// and any address will do. Said loudly. Default false."),
    ("connect_ms", "How long a connection may take to stand, in milliseconds. Default 10000."),
    ("answer_ms", "How long an answer may take, in milliseconds. Default 30000."),
];
