//! The settings of a short-message centre.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a centre writes a message's id in one kind of PDU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdForm {
    /// As text, compared as it is.
    #[default]
    Text,
    /// A number in hexadecimal digits.
    Hex,
    /// A number in decimal digits.
    Decimal,
}

impl IdForm {
    /// The id in the form in which ids are compared.
    pub(super) fn normal(self, id: &str) -> String {
        let number = match self {
            Self::Text => None,
            Self::Hex => u128::from_str_radix(id, 16).ok(),
            Self::Decimal => id.parse::<u128>().ok(),
        };
        number.map_or_else(|| id.to_owned(), |number| number.to_string())
    }
}

/// `[push.smpp]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct SmppConfig {
    pub address: String,
    pub system_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default)]
    pub system_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    #[serde(default)]
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ton: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_npi: Option<u8>,
    #[serde(default)]
    pub service_type: String,
    #[serde(default = "window")]
    pub window: usize,
    #[serde(default = "receipts")]
    pub receipts: bool,
    #[serde(default)]
    pub response_ids: IdForm,
    #[serde(default)]
    pub receipt_ids: IdForm,
    #[serde(default = "connect_ms")]
    pub connect_ms: u64,
    #[serde(default = "response_ms")]
    pub response_ms: u64,
    #[serde(default = "push_ms")]
    pub push_ms: u64,
    #[serde(default = "enquire_link_ms")]
    pub enquire_link_ms: u64,
    #[serde(default = "reconnect_ms")]
    pub reconnect_ms: u64,
    #[serde(default = "reconnect_most_ms")]
    pub reconnect_most_ms: u64,
    #[serde(default = "throttle_ms")]
    pub throttle_ms: u64,
}

fn window() -> usize {
    10
}

fn receipts() -> bool {
    true
}

fn connect_ms() -> u64 {
    10_000
}

fn response_ms() -> u64 {
    10_000
}

fn push_ms() -> u64 {
    60_000
}

fn enquire_link_ms() -> u64 {
    30_000
}

fn reconnect_ms() -> u64 {
    1_000
}

fn reconnect_most_ms() -> u64 {
    60_000
}

fn throttle_ms() -> u64 {
    1_000
}

/// Every key of [`SmppConfig`], with what an operator has to know of it.
pub const KEYS: &[(&str, &str)] = &[
    ("address", "The short-message centre: HOST:PORT."),
    ("system_id", "The name that we bind as: at most 15 characters."),
    (
        "password_file",
        "A file whose first line is the password: at most 8 characters. Without it an empty one.",
    ),
    ("system_type", "The system_type that the centre wants: at most 12 characters. Default empty."),
    ("ca", "The CA (or CAs) of the centre's certificate, PEM. With it TLS is spoken; without it clear text."),
    (
        "source",
        "The sender that messages bear: a number, a short code or a name. Default empty: the centre's own.",
    ),
    ("source_ton", "Its type of number. Default: 1 with a leading +, 5 for a name, else 0."),
    ("source_npi", "Its numbering plan. Default: 0 for a name, else 1."),
    ("service_type", "The service_type that the centre wants: at most 5 characters. Default empty."),
    ("window", "Messages that may wait for the centre's response at the same time. Default 10."),
    ("receipts", "Ask for delivery receipts. Default true."),
    ("response_ids", "How the centre writes a message's id in its response: text (default), hex or decimal."),
    ("receipt_ids", "How it writes the same id in a delivery receipt: text (default), hex or decimal."),
    ("connect_ms", "How long a connection and the bind may take to stand, in milliseconds. Default 10000."),
    ("response_ms", "How long a response may take, in milliseconds. Default 10000."),
    (
        "push_ms",
        "How long one push may take in all, waits for throttling among it, in milliseconds. Default 60000.",
    ),
    (
        "enquire_link_ms",
        "How long the centre may be silent before it is asked, in milliseconds. Default 30000.",
    ),
    ("reconnect_ms", "The pause before the first new connection, in milliseconds; it doubles. Default 1000."),
    ("reconnect_most_ms", "The longest such pause, in milliseconds. Default 60000."),
    (
        "throttle_ms",
        "The pause after the centre throttles, in milliseconds; it doubles up to 30 s. Default 1000.",
    ),
];
