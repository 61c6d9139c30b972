//! The settings of the mail server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// When TLS begins. There is no way without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// By STARTTLS, demanded.
    #[default]
    Starttls,
    /// With the first octet.
    Implicit,
}

/// `[mail]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct SmtpConfig {
    pub server: String,
    #[serde(default = "port")]
    pub port: u16,
    #[serde(default)]
    pub tls: SmtpTls,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    pub user: String,
    pub password_file: PathBuf,
    pub from: String,
    #[serde(default)]
    pub security: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<String>,
    #[serde(default = "connect_ms")]
    pub connect_ms: u64,
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
}

impl SmtpConfig {
    /// The settings for a server, everything else as it is by default.
    #[must_use]
    pub fn at(server: &str, from: &str, user: &str, password_file: &str) -> Self {
        Self {
            server: server.to_owned(),
            port: port(),
            tls: SmtpTls::default(),
            ca: None,
            user: user.to_owned(),
            password_file: password_file.into(),
            from: from.to_owned(),
            security: Vec::new(),
            templates: None,
            sign_in: None,
            hello: None,
            connect_ms: connect_ms(),
            answer_ms: answer_ms(),
        }
    }
}

fn port() -> u16 {
    587
}

fn connect_ms() -> u64 {
    10_000
}

fn answer_ms() -> u64 {
    60_000
}

/// Every key of [`SmtpConfig`], with what an operator has to know of it.
pub const KEYS: &[(&str, &str)] = &[
    ("server", "The mail server that takes our mail: the name that its certificate bears."),
    ("port", "Its port. Default 587; 465 is usual with tls = \"implicit\"."),
    ("tls", "starttls (demanded; default) or implicit. Mail never goes without TLS."),
    ("ca", "The CA (or CAs) of its certificate, PEM. Without it the machine's own trust store."),
    ("user", "The user of its authentication, which is demanded."),
    ("password_file", "A file whose first line is that user's password."),
    ("from", "Who mails are from: ADDRESS or NAME <ADDRESS>. Its domain stands in Message-IDs."),
    ("security", "The security list: addresses that are told whatever concerns security."),
    ("templates", "A folder with templates of your own (docs/MAIL.md). Without it the built-in ones."),
    ("sign_in", "The https:// address of the page where people sign in; without it mails have no link."),
    ("hello", "The name that is given to the server. Default: the domain of from."),
    ("connect_ms", "How long a connection may take to stand, in milliseconds. Default 10000."),
    ("answer_ms", "How long a whole try may take, in milliseconds. Default 60000."),
];
