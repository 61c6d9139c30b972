//! The settings of a directory.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[directory]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct LdapConfig {
    pub servers: Vec<String>,
    #[serde(default)]
    pub starttls: bool,
    pub ca: PathBuf,
    pub account: String,
    pub password_file: PathBuf,
    #[serde(default = "page")]
    pub page: u32,
    #[serde(default = "range")]
    pub range: u32,
    #[serde(default = "connect_ms")]
    pub connect_ms: u64,
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
    #[serde(default = "pass_ms")]
    pub pass_ms: u64,
    #[serde(default = "entries")]
    pub entries: usize,
    #[serde(default = "octets")]
    pub octets: u64,
}

fn page() -> u32 {
    500
}

fn range() -> u32 {
    1_000
}

fn connect_ms() -> u64 {
    10_000
}

fn answer_ms() -> u64 {
    30_000
}

fn pass_ms() -> u64 {
    600_000
}

fn entries() -> usize {
    500_000
}

fn octets() -> u64 {
    1 << 30
}

/// Keys of `[directory]`, and what each one means.
pub const KEYS: &[(&str, &str)] = &[
    (
        "servers",
        "domain controllers, tried in turn: `ldaps://host[:port]`, or `ldap://host[:port]` with `starttls`",
    ),
    ("starttls", "encrypt by StartTLS; `ldap://` without it is refused. Default false"),
    ("ca", "PEM file of the authorities that the servers' certificates come from"),
    ("account", "the account that reads, as `name@domain`, `DOMAIN\\name` or its distinguished name"),
    ("password_file", "file whose first line is the account's password"),
    ("page", "entries asked for at once, 1 to 1000. Default 500"),
    ("range", "members of a group asked for at once, 1 to 1500. Default 1000"),
    ("connect_ms", "milliseconds for connection, encryption and sign-in. Default 10000"),
    ("answer_ms", "milliseconds for each entry of an answer. Default 30000"),
    ("pass_ms", "milliseconds for a whole reading. Default 600000"),
    ("entries", "entries read at most. Default 500000"),
    ("octets", "octets read at most on one connection. Default 1073741824"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_documented_and_has_the_default_it_says() {
        let config: LdapConfig = toml::from_str(
            "servers = [\"ldaps://dc1\"]\nca = \"ca.pem\"\naccount = \"a@b\"\npassword_file = \"p\"",
        )
        .unwrap();
        let written = toml::Table::try_from(&config).unwrap();

        let keys: Vec<&str> = written.keys().map(String::as_str).collect();
        let mut documented: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        documented.sort_unstable();
        let mut keys_sorted = keys.clone();
        keys_sorted.sort_unstable();
        assert_eq!(keys_sorted, documented);
        for (key, meaning) in KEYS {
            if let Some((_, default)) = meaning.rsplit_once("Default ") {
                assert_eq!(written[*key].to_string(), default, "{key}");
            }
        }
    }
}
