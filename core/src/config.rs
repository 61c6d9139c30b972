//! The core's configuration: TOML, `POSTERN_<SECTION>_<KEY>` overrides, secrets only as paths of files.
//!
//! Promise: an unknown key is refused with its line; every key stands in [`KEYS`] with what it does, and a test
//! holds the two together. Relative paths are taken from the configuration file's own folder.

mod documented;
mod notifications;
mod sections;
mod sign_in;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use documented::{KEYS, Key};
pub use notifications::{Notifications, Push};
pub use postern_adapters::{
    ldap::{LdapConfig, LdapWriterConfig},
    smtp::SmtpConfig,
    stream::StreamConfig,
    syslog::SyslogConfig,
    sysvol::SysvolConfig,
    webhook::WebhookConfig,
};
pub use sections::{
    Admin, Audit, Commands, Core, Database, DatabaseKind, Devices, Gateway, Keys, Links, Log, LogFormat,
    Observe, Policy,
};
pub use sign_in::{SignIn, SignInRoles};

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this core is.
    pub core: Core,
    /// The admin API's port.
    #[serde(default)]
    pub admin: Admin,
    /// Health, readiness and metrics.
    #[serde(default)]
    pub observe: Observe,
    /// The database.
    #[serde(default)]
    pub database: Database,
    /// The links to the gateways.
    #[serde(default)]
    pub links: Links,
    /// The gateways.
    #[serde(default, rename = "gateway")]
    pub gateways: Vec<Gateway>,
    /// The devices.
    pub devices: Devices,
    /// Key files.
    #[serde(default)]
    pub keys: Keys,
    /// The audit log.
    #[serde(default)]
    pub audit: Audit,
    /// Commands and what is kept of them.
    #[serde(default)]
    pub commands: Commands,
    /// The bearers of pushes to telephone numbers.
    #[serde(default)]
    pub push: Push,
    /// How devices are asked to come.
    #[serde(default)]
    pub notifications: Notifications,
    /// The mail server; without it nothing is mailed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<SmtpConfig>,
    /// Other systems that are told of events.
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<WebhookConfig>,
    /// The syslog server that is told of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syslog: Option<SyslogConfig>,
    /// The file that events are added to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamConfig>,
    /// The directory; without it no policy comes from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<LdapConfig>,
    /// The folders of the directory's GPOs; without it no settings come from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysvol: Option<SysvolConfig>,
    /// What policy is computed with, beside directory and documents.
    #[serde(default)]
    pub policy: Policy,
    /// What is written into the directory; without it nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_writer: Option<LdapWriterConfig>,
    /// Admins who sign in by the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    /// The core's own log.
    #[serde(default)]
    pub log: Log,
    /// The folder that relative paths are taken from.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read ({source}); make one with `postern-core init --state DIR`", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not TOML, a key is unknown or a value has the wrong type.
    #[error("{path}: {text}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        text: String,
    },
    /// An override does not fit.
    #[error("the environment variable {name}: {reason}")]
    Override {
        /// The variable.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A value is out of its range.
    #[error("{key}: {reason}")]
    Value {
        /// `section.key`.
        key: &'static str,
        /// What is wrong and what would do.
        reason: String,
    },
}

impl Config {
    /// Reads `path` and lays the overrides of `environment` over it.
    ///
    /// # Errors
    /// [`ConfigError`], each a sentence that says where and what.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Self::read(&text, path, folder, environment)
    }

    fn read(
        text: &str,
        path: &Path,
        folder: PathBuf,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let invalid = |error: &dyn fmt::Display| ConfigError::Invalid {
            path: path.to_owned(),
            text: error.to_string(),
        };
        let mut table: toml::Table = toml::from_str(text).map_err(|error| invalid(&error))?;
        // Read once as it stands, so that a mistake is reported with its line.
        let mut config: Self = toml::from_str(text).map_err(|error| invalid(&error))?;
        let mut overridden = Vec::new();
        for (name, value) in environment {
            if let Some(key) = KEYS.iter().find(|key| variable(key.path).as_deref() == Some(name.as_str())) {
                lay_over(&mut table, key.path, &value);
                overridden.push(name);
            }
        }
        if !overridden.is_empty() {
            config = Self::deserialize(toml::Value::Table(table)).map_err(|error| ConfigError::Override {
                name: overridden.join(", "),
                reason: error.to_string(),
            })?;
        }
        config.folder = folder;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key, reason: String| Err(ConfigError::Value { key, reason });
        if !self.observe.listen.ip().is_loopback() {
            return wrong(
                "observe.listen",
                format!("{} is not a loopback address; metrics have no access control", self.observe.listen),
            );
        }
        let host = self.devices.url.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
            return wrong("devices.url", format!("{:?} is not https://HOST[:PORT]", self.devices.url));
        }
        if self.database.kind == DatabaseKind::Postgres && self.database.url_file.is_none() {
            return wrong("database.url_file", "needed with kind = \"postgres\"".into());
        }
        if self.admin.workers == 0 || self.database.readers == 0 || self.database.queue == 0 {
            return wrong("admin.workers", "workers, readers and queue are at least 1".into());
        }
        if self.audit.every_s == 0 || self.links.heartbeat_ms == 0 {
            return wrong("audit.every_s", "every_s and heartbeat_ms are at least 1".into());
        }
        if let Some(page) = self.mail.as_ref().and_then(|mail| mail.sign_in.as_ref())
            && (!page.starts_with("https://") || page.contains(char::is_whitespace) || page.contains('#'))
        {
            return wrong("mail.sign_in", format!("{page:?} is not https://HOST[:PORT]/PATH"));
        }
        if self.directory_writer.is_some() && self.directory.is_none() {
            return wrong("directory_writer.account", "there is no [directory] to write into".into());
        }
        if let Some(sign_in) = &self.sign_in {
            if self.directory.is_none() {
                return wrong("sign_in.domain", "people sign in by a [directory], and none is set up".into());
            }
            sign_in.check()?;
        }
        for (at, webhook) in self.webhooks.iter().enumerate() {
            if self.webhooks[..at].iter().any(|other| other.name == webhook.name) {
                return wrong("webhook.name", format!("{:?} stands twice", webhook.name));
            }
        }
        for (at, gateway) in self.gateways.iter().enumerate() {
            if !is_gateway_name(&gateway.name) {
                return wrong(
                    "gateway.name",
                    format!("{:?}: use lower-case letters, digits and hyphens, at most 63", gateway.name),
                );
            }
            if self.gateways[..at].iter().any(|other| other.name == gateway.name) {
                return wrong("gateway.name", format!("{:?} stands twice", gateway.name));
            }
            if !gateway
                .address
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            {
                return wrong("gateway.address", format!("{:?} is not HOST:PORT", gateway.address));
            }
        }
        Ok(())
    }

    /// `path`, taken from the configuration's folder when it is relative.
    #[must_use]
    pub fn at(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The text of a core.toml with this configuration, each key under its explanation.
    #[must_use]
    pub fn document(&self) -> String {
        let table = toml::Table::try_from(self).expect("the configuration's types all have a TOML form");
        let mut out = String::from(
            "# Postern core. Relative paths are taken from this file's folder. Each key can be overridden by the\n\
             # environment variable POSTERN_<SECTION>_<KEY>, but for those of [[gateway]].\n",
        );
        let mut section = "";
        for key in KEYS.iter().filter(|key| !of_a_list(key.path)) {
            let (named, name) = key.path.rsplit_once('.').expect("a key's path has a dot");
            let held = named.split('.').try_fold(&table, |table, step| table.get(step)?.as_table());
            // A section that is not set up, such as a bearer's, is shown and not begun.
            let mark = if held.is_some() { "" } else { "# " };
            if named != section {
                section = named;
                out.push_str(&format!("\n{mark}[{section}]\n"));
            }
            out.push_str(&format!("# {}\n", key.doc));
            match held.and_then(|held| held.get(name)) {
                Some(value) => out.push_str(&format!("{name} = {value}\n")),
                None => out.push_str(&format!("# {name} = \n")),
            }
        }
        for gateway in &self.gateways {
            out.push_str(&format!(
                "\n[[gateway]]\nname = {}\naddress = {}\n",
                toml::Value::from(gateway.name.as_str()),
                toml::Value::from(gateway.address.as_str())
            ));
        }
        for webhook in &self.webhooks {
            let table = toml::to_string(webhook).expect("a webhook's settings all have a TOML form");
            out.push_str(&format!("\n[[webhook]]\n{table}"));
        }
        out
    }
}

/// Whether a text can be a gateway's name: it stands in a SAN URI and names a folder.
#[must_use]
pub fn is_gateway_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
}

/// Whether a key is of the tables in a list.
fn of_a_list(path: &str) -> bool {
    ["gateway.", "webhook."].iter().any(|list| path.starts_with(list))
}

/// The environment variable of a key; the tables in a list have none.
fn variable(path: &str) -> Option<String> {
    (!of_a_list(path)).then(|| format!("POSTERN_{}", path.replace('.', "_").to_uppercase()))
}

/// Sets `path` to `value`: read as TOML where that works (numbers, truth), else as text.
fn lay_over(table: &mut toml::Table, path: &str, value: &str) {
    let Some((section, name)) = path.rsplit_once('.') else { return };
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .filter(|value| !value.is_table() && !value.is_array())
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut at = table;
    for step in section.split('.') {
        let inner = at.entry(step).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(inner) = inner else { return };
        at = inner;
    }
    at.insert(name.to_owned(), parsed);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SMALL: &str =
        "[core]\nid = \"0199f7a0-0000-7000-8000-000000000001\"\n[devices]\nurl = \"https://d.example\"\n";

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(text, Path::new("core.toml"), PathBuf::new(), environment)
    }

    /// A small configuration, for other modules' tests.
    pub(crate) fn example() -> Config {
        read(SMALL, &[]).unwrap()
    }

    #[test]
    fn every_key_is_documented_and_every_documented_key_exists() {
        let mut config = read(SMALL, &[]).unwrap();
        config.gateways = vec![Gateway { name: "a".into(), address: "b:1".into() }];
        config.database = Database {
            url_file: Some("x".into()),
            ca: Some("x".into()),
            certificate: Some("x".into()),
            key: Some("x".into()),
            ..Database::default()
        };
        let all = |keys: &[(&str, &str)]| {
            let text = keys.iter().map(|(name, _)| format!("{name} = {}\n", any_value(name)));
            text.collect::<String>()
        };
        config.push.pap = Some(toml::from_str(&all(postern_adapters::pap::KEYS)).unwrap());
        config.push.smpp = Some(toml::from_str(&all(postern_adapters::smpp::KEYS)).unwrap());
        config.mail = Some(toml::from_str(&all(postern_adapters::smtp::KEYS)).unwrap());
        config.webhooks = vec![toml::from_str(&all(postern_adapters::webhook::KEYS)).unwrap()];
        config.syslog = Some(toml::from_str(&all(postern_adapters::syslog::KEYS)).unwrap());
        config.stream = Some(toml::from_str(&all(postern_adapters::stream::KEYS)).unwrap());
        config.directory = Some(toml::from_str(&all(postern_adapters::ldap::KEYS)).unwrap());
        config.sysvol = Some(toml::from_str(&all(postern_adapters::sysvol::KEYS)).unwrap());
        config.directory_writer = Some(toml::from_str(&all(postern_adapters::ldap::WRITER_KEYS)).unwrap());
        config.sign_in = Some(SignIn { domain: Some("x".into()), ..SignIn::default() });
        let table = toml::Table::try_from(&config).unwrap();
        let mut found = Vec::new();
        for (section, value) in &table {
            let value = value.as_array().map_or(value, |list| &list[0]);
            for (name, value) in value.as_table().unwrap() {
                match value.as_table() {
                    Some(inner) => found.extend(inner.keys().map(|key| format!("{section}.{name}.{key}"))),
                    None => found.push(format!("{section}.{name}")),
                }
            }
        }
        let mut documented: Vec<String> = KEYS.iter().map(|key| key.path.to_owned()).collect();
        found.sort();
        documented.sort();
        assert_eq!(found, documented);
    }

    /// A value that the key's type takes.
    fn any_value(name: &str) -> &'static str {
        match name {
            "version" => "\"1.0\"",
            "notify_listen" => "\"127.0.0.1:1\"",
            "sms_required" | "receipts" => "true",
            "response_ids" | "receipt_ids" => "\"text\"",
            "source_ton" | "source_npi" | "window" | "port" | "look_s" | "page" | "range" | "entries"
            | "octets" => "1",
            "tls" => "\"starttls\"",
            "after_wipe" => "\"move\"",
            "transport" => "\"tcp\"",
            "security" | "servers" => "[\"x\"]",
            "allow_local" | "starttls" | "ntlm" | "encrypt" => "true",
            "kind" => "\"folder\"",
            _ if name.ends_with("_ms") => "1",
            _ => "\"x\"",
        }
    }

    #[test]
    fn the_adapters_keys_are_documented_in_their_own_words() {
        let ours = |path: String| KEYS.iter().find(|key| key.path == path).map(|key| key.doc);
        let adapters = [
            ("push.pap", postern_adapters::pap::KEYS),
            ("push.smpp", postern_adapters::smpp::KEYS),
            ("mail", postern_adapters::smtp::KEYS),
            ("webhook", postern_adapters::webhook::KEYS),
            ("syslog", postern_adapters::syslog::KEYS),
            ("stream", postern_adapters::stream::KEYS),
            ("directory", postern_adapters::ldap::KEYS),
            ("sysvol", postern_adapters::sysvol::KEYS),
            ("directory_writer", postern_adapters::ldap::WRITER_KEYS),
        ];
        for (name, keys) in adapters {
            for (key, doc) in keys {
                assert_eq!(ours(format!("{name}.{key}")), Some(*doc), "{name}.{key}");
            }
        }
    }

    #[test]
    fn a_bearer_that_is_set_up_is_read_back_and_overridden() {
        let pap = "[push.pap]\nurl = \"http://ppg.example/wappush\"\n";
        let config =
            read(&format!("{SMALL}{pap}"), &[("POSTERN_PUSH_PAP_GATEWAY_HOST", "ppg.example")]).unwrap();
        assert_eq!(config.push.pap.as_ref().unwrap().gateway_host.as_deref(), Some("ppg.example"));
        assert_eq!(read(&config.document(), &[]).unwrap(), config);
    }

    #[test]
    fn the_document_is_read_back_as_the_same_configuration() {
        let mut config = read(SMALL, &[]).unwrap();
        config.gateways = vec![Gateway { name: "edge-1".into(), address: "127.0.0.1:9443".into() }];
        config.webhooks = vec![WebhookConfig::at("siem", "https://siem.example/", "siem.secret")];
        config.mail = Some(SmtpConfig {
            security: vec!["security@corp.example".into()],
            ..SmtpConfig::at("mail.corp.example", "mdm@corp.example", "mdm", "mail.password")
        });
        assert_eq!(read(&config.document(), &[]).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = read(&format!("{SMALL}[admin]\nlisten_on = 1\n"), &[]).unwrap_err().to_string();
        assert!(error.contains("line 6") && error.contains("listen_on"), "{error}");
    }

    #[test]
    fn an_override_wins_over_the_file() {
        let config =
            read(SMALL, &[("POSTERN_ADMIN_WORKERS", "7"), ("POSTERN_DEVICES_SERVER_ID", "x")]).unwrap();
        assert_eq!((config.admin.workers, config.devices.server_id.as_str()), (7, "x"));
    }

    #[test]
    fn an_override_that_does_not_fit_is_refused_by_its_name() {
        let error = read(SMALL, &[("POSTERN_ADMIN_WORKERS", "many")]).unwrap_err().to_string();
        assert!(error.contains("POSTERN_ADMIN_WORKERS"), "{error}");
    }

    #[test]
    fn values_out_of_their_range_are_refused_by_their_key() {
        for (text, key) in [
            ("[observe]\nlisten = \"0.0.0.0:1\"\n", "observe.listen"),
            ("[sign_in]\nminutes = 60\n", "sign_in.domain"),
            ("[database]\nkind = \"postgres\"\n", "database.url_file"),
            ("[[gateway]]\nname = \"A/B\"\naddress = \"x:1\"\n", "gateway.name"),
            ("[[gateway]]\nname = \"a\"\naddress = \"x\"\n", "gateway.address"),
            (
                "[mail]\nserver = \"m\"\nuser = \"u\"\npassword_file = \"p\"\nfrom = \"a@b\"\nsign_in = \"http://x\"\n",
                "mail.sign_in",
            ),
        ] {
            let error = read(&format!("{SMALL}{text}"), &[]).unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }
}
