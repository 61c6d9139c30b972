//! The settings of SYSVOL.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::OpenError;

/// Where SYSVOL is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SysvolKind {
    /// A folder of this machine.
    #[default]
    Folder,
    /// A domain controller's share.
    Smb,
}

/// `[sysvol]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is documented in KEYS, where the operator reads it")]
pub struct SysvolConfig {
    #[serde(default)]
    pub kind: SysvolKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default)]
    pub ntlm: bool,
    #[serde(default)]
    pub encrypt: bool,
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
}

fn answer_ms() -> u64 {
    60_000
}

/// Keys of `[sysvol]`, and what each one means.
pub const KEYS: &[(&str, &str)] = &[
    (
        "kind",
        "Where SYSVOL is read: `folder`, a folder of this machine, or `smb`, the share of a domain controller, in programs built with the feature smb only. Default folder.",
    ),
    (
        "path",
        "folder: the one that holds `Policies`, or the domains' folders that do; a read-only mount of the share, or a copy.",
    ),
    ("servers", "smb: domain controllers, tried in turn: `HOST` or `HOST:PORT`."),
    ("account", "smb: the account that reads: `name@domain` or `DOMAIN\\name`."),
    ("password_file", "smb: a file whose first line is that account's password."),
    (
        "ntlm",
        "smb: allow NTLM, the only way in which this client signs in; mount the share with Kerberos where it must not be. Default false.",
    ),
    ("encrypt", "smb: refuse a server that does not encrypt; without it signing suffices. Default false."),
    ("answer_ms", "How long reading one GPO may take, in milliseconds. Default 60000."),
];

impl SysvolConfig {
    /// A folder of this machine, and nothing else set.
    #[must_use]
    pub fn of_folder(path: &std::path::Path) -> Self {
        Self {
            kind: SysvolKind::Folder,
            path: Some(path.to_owned()),
            servers: Vec::new(),
            account: None,
            password_file: None,
            ntlm: false,
            encrypt: false,
            answer_ms: answer_ms(),
        }
    }

    /// Whether the settings can be right together.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), OpenError> {
        let wrong = |key, why: &str| Err(OpenError::setting(key, why));
        match self.kind {
            SysvolKind::Folder if self.path.is_none() => wrong("sysvol.path", "is missing"),
            SysvolKind::Folder if !self.servers.is_empty() || self.account.is_some() => wrong(
                "sysvol.servers",
                "a folder has none: `kind = \"smb\"` was meant, or the keys are too much",
            ),
            SysvolKind::Smb if self.path.is_some() => wrong(
                "sysvol.path",
                "a share has none: `kind = \"folder\"` was meant, or the key is too much",
            ),
            SysvolKind::Smb if self.servers.is_empty() => wrong("sysvol.servers", "is missing"),
            SysvolKind::Smb if self.account.is_none() => wrong("sysvol.account", "is missing"),
            SysvolKind::Smb if self.password_file.is_none() => wrong("sysvol.password_file", "is missing"),
            SysvolKind::Smb if !self.ntlm => wrong(
                "sysvol.ntlm",
                "this client signs in by NTLM alone: allow it, or mount the share with Kerberos and use `folder`",
            ),
            _ if !(100..=3_600_000).contains(&self.answer_ms) => {
                wrong("sysvol.answer_ms", "is not between 100 and 3600000")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> SysvolConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_key_is_documented_and_has_the_default_it_says() {
        let full = config("path = \"/mnt\"\nservers = [\"dc1\"]\naccount = \"a@b\"\npassword_file = \"p\"");
        let written = toml::Table::try_from(&full).unwrap();

        let mut documented: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        documented.sort_unstable();
        let mut keys: Vec<&str> = written.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, documented);
        for (key, meaning) in KEYS {
            if let Some((_, default)) = meaning.rsplit_once("Default ") {
                let written = written[*key].to_string();
                assert_eq!(written.trim_matches('"'), default.trim_end_matches('.'), "{key}");
            }
        }
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused_by_their_key() {
        let smb = "kind = \"smb\"\nservers = [\"dc1\"]\naccount = \"a@b\"\npassword_file = \"p\"";
        for (text, refused) in [
            ("path = \"/mnt\"", None),
            (&format!("{smb}\nntlm = true"), None),
            ("", Some("sysvol.path")),
            ("path = \"/mnt\"\nservers = [\"dc1\"]", Some("sysvol.servers")),
            ("path = \"/mnt\"\nanswer_ms = 0", Some("sysvol.answer_ms")),
            ("kind = \"smb\"", Some("sysvol.servers")),
            (smb, Some("sysvol.ntlm")),
            (&format!("{smb}\nntlm = true\npath = \"/mnt\""), Some("sysvol.path")),
        ] {
            let key = config(text).check().err().map(|error| match error {
                OpenError::Setting { key, .. } => key,
                OpenError::File { .. } => "a file",
            });
            assert_eq!(key, refused, "{text}");
        }
    }
}
