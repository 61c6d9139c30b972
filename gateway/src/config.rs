//! The gateway's own configuration file: where it listens, its certificates, its state folder.
//!
//! Promise: every key is documented here and checked before anything starts; an unknown key is refused. What an admin
//! changes while the gateway runs is not here but in the settings document that the core sends
//! (`postern_wire::link::Settings`). Relative paths start at the file's folder. A variable
//! `POSTERN_GATEWAY__DEVICE__LISTEN` overrides the key `listen` of the table `device`, and so on for each key.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The prefix of the variables that override keys.
pub const ENVIRONMENT_PREFIX: &str = "POSTERN_GATEWAY__";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The gateway's name: the core dials it by this name, and its link certificate carries it
    /// (SAN URI `postern:gateway:<name>`).
    pub name: String,
    /// The folder that holds the last good settings and lists. Made when it is not there.
    pub state: PathBuf,
    /// Threads that serve devices. Default 0: as many as the machine has processors.
    #[serde(default)]
    pub workers: usize,
    /// After SIGTERM, messages that are being relayed have so many seconds to finish. Default 30.
    #[serde(default = "drain_s")]
    pub drain_s: u64,
    /// The certificates and keys of both ports are made through the core and renewed by it (`postern-gateway join` sets
    /// this). Default: no, they are the operator's own files.
    #[serde(default)]
    pub managed: bool,
    /// The device port.
    pub device: DevicePort,
    /// The link port.
    pub link: LinkPort,
    /// Health, readiness and metrics.
    #[serde(default)]
    pub observe: Observe,
}

/// The port that devices come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevicePort {
    /// Address and port, such as `0.0.0.0:443`.
    pub listen: SocketAddr,
    /// The certificate chain that devices see, PEM. Read again when it changes.
    pub certificate: PathBuf,
    /// Its private key, PEM. Read again when it changes.
    pub key: PathBuf,
    /// The device CA, all generations that are in use, PEM. Without it no device is asked for a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// Generations of the device CA that were retired, PEM: their devices get no more than a wipe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_authority: Option<PathBuf>,
    /// A TLS handshake has so many seconds. Default 20; 1 to 120.
    #[serde(default = "handshake_s")]
    pub handshake_s: u64,
}

/// The port that the core comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkPort {
    /// Address and port, such as `0.0.0.0:4433`; the firewall lets only the inside reach it.
    pub listen: SocketAddr,
    /// The gateway's link certificate, PEM. Read again when it changes.
    pub certificate: PathBuf,
    /// Its private key, PEM. Read again when it changes.
    pub key: PathBuf,
    /// The link CA, PEM.
    pub authority: PathBuf,
    /// TLS and hello have so many seconds. Default 5; 1 to 60.
    #[serde(default = "accept_s")]
    pub accept_s: u64,
    /// A request link that was idle so long is pinged, milliseconds. Default 20,000; 100 to 300,000.
    #[serde(default = "ping_idle_ms")]
    pub ping_idle_ms: u64,
    /// A ping has so many milliseconds. Default 2,000; 50 to 30,000.
    #[serde(default = "ping_limit_ms")]
    pub ping_limit_ms: u64,
}

/// The port for health, readiness and metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observe {
    /// A loopback address and port. Default `127.0.0.1:9464`.
    pub listen: SocketAddr,
}

impl Default for Observe {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)) }
    }
}

const fn drain_s() -> u64 {
    30
}
const fn handshake_s() -> u64 {
    20
}
const fn accept_s() -> u64 {
    5
}
const fn ping_idle_ms() -> u64 {
    postern_wire::link::PING_IDLE_MS
}
const fn ping_limit_ms() -> u64 {
    postern_wire::link::PING_LIMIT_MS
}

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML, or a key is unknown, missing or of another type.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// A value that is not allowed.
    #[error("{key} is {found}: {allowed}")]
    Value {
        /// The key with its table.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would be taken.
        allowed: &'static str,
    },
    /// The core retired this gateway.
    #[error("this gateway was retired by its core ({path}); to make it one again, join it with a new bundle")]
    Retired {
        /// The file that says so.
        path: PathBuf,
    },
    /// A file that a key names is not there.
    #[error("{key} names {path}, which cannot be read: {source}")]
    File {
        /// The key with its table.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DevicePort {
    /// A device port at `listen`, its files not named yet.
    pub(crate) fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            authority: None,
            retired_authority: None,
            handshake_s: handshake_s(),
        }
    }
}

impl LinkPort {
    /// A link port at `listen`, its files not named yet.
    pub(crate) fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            authority: PathBuf::new(),
            accept_s: accept_s(),
            ping_idle_ms: ping_idle_ms(),
            ping_limit_ms: ping_limit_ms(),
        }
    }
}

impl Config {
    /// A configuration of this name with the defaults; its ports are to be put in.
    pub(crate) fn named(name: &str) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            name: name.to_owned(),
            state: "state".into(),
            workers: 0,
            drain_s: drain_s(),
            managed: false,
            device: DevicePort::at(nowhere),
            link: LinkPort::at(nowhere),
            observe: Observe::default(),
        }
    }

    /// Reads a file, with `overrides` (variables and their values; see [`ENVIRONMENT_PREFIX`]) over it.
    ///
    /// # Errors
    /// [`ConfigError`] with a sentence that names file and key.
    pub fn read(
        path: &Path,
        overrides: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder, overrides)
            .map_err(|message| ConfigError::Parse { path: path.to_owned(), message })
            .and_then(|config| config.check().map(|()| config))
    }

    /// Checks values and that the files named are there.
    ///
    /// # Errors
    /// [`ConfigError`] for the first key that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(good) {
            let found = format!("{:?}", self.name);
            let allowed = "a name is 1 to 64 of a-z, 0-9, '-', '.' and '_'";
            return Err(ConfigError::Value { key: "name", found, allowed });
        }
        let retired = self.retired_file();
        if retired.exists() {
            return Err(ConfigError::Retired { path: retired });
        }
        let within = |key, value: u64, range: std::ops::RangeInclusive<u64>, allowed| {
            let error = || ConfigError::Value { key, found: value.to_string(), allowed };
            range.contains(&value).then_some(()).ok_or_else(error)
        };
        within("workers", self.workers as u64, 0..=256, "0 to 256 are allowed")?;
        within("drain_s", self.drain_s, 0..=600, "0 to 600 seconds are allowed")?;
        within("device.handshake_s", self.device.handshake_s, 1..=120, "1 to 120 seconds are allowed")?;
        within("link.accept_s", self.link.accept_s, 1..=60, "1 to 60 seconds are allowed")?;
        within("link.ping_idle_ms", self.link.ping_idle_ms, 100..=300_000, "100 to 300000 are allowed")?;
        within("link.ping_limit_ms", self.link.ping_limit_ms, 50..=30_000, "50 to 30000 are allowed")?;
        if !self.observe.listen.ip().is_loopback() {
            return Err(ConfigError::Value {
                key: "observe.listen",
                found: self.observe.listen.to_string(),
                allowed: "only a loopback address is allowed, for it asks nobody who he is",
            });
        }
        self.files().into_iter().try_for_each(|(key, path)| {
            fs::metadata(path).map(drop).map_err(|source| ConfigError::File {
                key,
                path: path.to_owned(),
                source,
            })
        })
    }

    /// The file that says that the core retired this gateway.
    #[must_use]
    pub fn retired_file(&self) -> PathBuf {
        self.state.join("retired")
    }

    /// The files that are read, with the keys that name them.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let mut files: Vec<(&'static str, &Path)> = vec![
            ("device.certificate", &self.device.certificate),
            ("device.key", &self.device.key),
            ("link.certificate", &self.link.certificate),
            ("link.key", &self.link.key),
            ("link.authority", &self.link.authority),
        ];
        files.extend(self.device.authority.as_deref().map(|path| ("device.authority", path)));
        files.extend(self.device.retired_authority.as_deref().map(|path| ("device.retired_authority", path)));
        files
    }

    fn parse(
        text: &str,
        folder: &Path,
        overrides: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, String> {
        let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        for (name, value) in overrides {
            let Some(keys) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            let keys: Vec<String> = keys.split("__").map(str::to_ascii_lowercase).collect();
            set(&mut table, &keys, &value).ok_or_else(|| format!("{name} names no key"))?;
        }
        let mut config: Self = table.try_into().map_err(|error: toml::de::Error| error.to_string())?;
        let mut paths = vec![
            &mut config.state,
            &mut config.device.certificate,
            &mut config.device.key,
            &mut config.link.certificate,
            &mut config.link.key,
            &mut config.link.authority,
        ];
        paths.extend(&mut config.device.authority);
        paths.extend(&mut config.device.retired_authority);
        for path in paths {
            *path = folder.join(&*path);
        }
        Ok(config)
    }
}

/// Sets a key of a nested table; a number stays a number.
fn set(table: &mut toml::Table, keys: &[String], value: &str) -> Option<()> {
    let (last, tables) = keys.split_last()?;
    let mut table = table;
    for key in tables {
        table = table.entry(key).or_insert_with(|| toml::Table::new().into()).as_table_mut()?;
    }
    let value = value.parse::<i64>().map_or_else(|_| toml::Value::from(value), toml::Value::from);
    table.insert(last.clone(), value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../gateway.example.toml");

    #[test]
    fn the_example_file_is_read_and_its_paths_start_at_its_folder() {
        let config = Config::parse(EXAMPLE, Path::new("/etc/postern"), []).expect("the example is good");
        assert_eq!(config.device.certificate, Path::new("/etc/postern/device.pem"));
        assert_eq!(config.link.ping_idle_ms, 20_000);
    }

    #[test]
    fn a_variable_overrides_its_key() {
        let variables = [
            ("POSTERN_GATEWAY__DEVICE__LISTEN".to_owned(), "127.0.0.1:8443".to_owned()),
            ("POSTERN_GATEWAY__DRAIN_S".to_owned(), "7".to_owned()),
            ("POSTERN_CORE__LISTEN".to_owned(), "of no concern".to_owned()),
        ];
        let config = Config::parse(EXAMPLE, Path::new(""), variables).expect("good");
        assert_eq!((config.device.listen.port(), config.drain_s), (8443, 7));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let text = format!("{EXAMPLE}\n[devcie]\n");
        let error = Config::parse(&text, Path::new(""), []).expect_err("refused");
        assert!(error.contains("devcie"), "{error}");
    }

    #[test]
    fn metrics_are_refused_on_an_address_that_others_can_reach() {
        let variables = [("POSTERN_GATEWAY__OBSERVE__LISTEN".to_owned(), "0.0.0.0:9464".to_owned())];
        let config = Config::parse(EXAMPLE, Path::new(""), variables).expect("read");
        assert!(
            config.check().expect_err("refused").to_string().starts_with("observe.listen is 0.0.0.0:9464")
        );
    }
}
