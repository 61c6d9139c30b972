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
    #[serde(default = "look_s")]
    pub look_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_below: Option<String>,
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

fn look_s() -> u64 {
    60
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
        "Domain controllers, tried in turn: `ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]` with starttls.",
    ),
    ("starttls", "Encrypt by StartTLS; `ldap://` without it is refused. Default false."),
    ("ca", "The CA (or CAs) of the controllers' certificates, PEM."),
    ("account", "The account that reads: `name@domain`, `DOMAIN\\name` or its distinguished name."),
    ("password_file", "A file whose first line is that account's password."),
    ("look_s", "Seconds between two looks at what changed, 5 to 3600. Default 60."),
    (
        "devices_below",
        "The container below which the devices' computers lie: none elsewhere is taken for a device by name or certificate. Without it: anywhere, but no domain controller.",
    ),
    ("page", "Entries asked for at once, 1 to 1000. Default 500."),
    ("range", "Members of a group asked for at once, 1 to 1500. Default 1000."),
    (
        "connect_ms",
        "How long connection and encryption, and again the sign-in, may take, in milliseconds. Default 10000.",
    ),
    ("answer_ms", "How long each entry of an answer may take, in milliseconds. Default 30000."),
    ("pass_ms", "How long a whole reading may take, in milliseconds. Default 600000."),
    ("entries", "Entries read at most. Default 500000."),
    ("octets", "Octets read at most on one connection. Default 1073741824."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_documented_and_has_the_default_it_says() {
        let config: LdapConfig = toml::from_str(
            "devices_below = \"OU=Devices\"\nservers = [\"ldaps://dc1\"]\nca = \"ca.pem\"\naccount = \"a@b\"\npassword_file = \"p\"",
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
                assert_eq!(written[*key].to_string(), default.trim_end_matches('.'), "{key}");
            }
        }
    }
}
