//! The device's configuration file, in TOML: what its owner lets servers do with the machine that it runs on.
//!
//! ```toml
//! [host]                        # ./Vendor/Linux, and DevInfo and DevDetail of this machine
//! allow.files = ["/srv/app"]    # folders below which files may be written
//! allow.units = ["app.service"] # units that may be restarted
//!
//! [software]                    # ./SCOMO; without the section: https from the enrolment's authority, 512 MiB
//! folder = "/srv/software"
//! sources = ["https://software.example.org/"]
//! files = "/srv/packages"       # file URLs below it
//! ca_file = "/etc/ssl/certs/ca-certificates.crt"
//! limit_mib = 512
//!
//! [lock]                        # programs that ./LAWMO runs, by their arguments
//! fully_lock = ["/usr/bin/loginctl", "lock-sessions"]
//!
//! [password]                    # the device's own password, of `postern-device password`
//! apply = ["/usr/local/sbin/set-password"] # told the new one, one line on its standard input
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use super::{Failure, with_causes};
use crate::{
    csp::{Hardware, Lawmo, LawmoOperation, Providers, Scomo, Web, WipeItem},
    transport::{ClientTls, TlsOptions},
    tree::path::Path as TreePath,
};

const LIMIT_MIB: u64 = 512;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    host: Option<Host>,
    software: Software,
    lock: Programs,
    password: PasswordProgram,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PasswordProgram {
    apply: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Host {
    #[cfg(target_os = "linux")]
    allow: crate::csp::Allow,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Software {
    folder: Option<PathBuf>,
    sources: Vec<String>,
    files: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    limit_mib: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Programs {
    fully_lock: Vec<String>,
    partially_lock: Vec<String>,
    unlock: Vec<String>,
    factory_reset: Vec<String>,
}

impl Config {
    /// Reads the file; without one, everything is as it is without a section.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else { return Ok(Self::default()) };
        let invalid = |why: &dyn std::error::Error| {
            Failure::invalid(format!("{}: {}", file.display(), with_causes(why)))
        };
        let text = fs::read_to_string(file).map_err(|error| invalid(&error))?;
        let config: Self = toml::from_str(&text).map_err(|error| invalid(&error))?;
        #[cfg(target_os = "linux")]
        if let Some(host) = &config.host {
            host.allow.check().map_err(|why| Failure::invalid(format!("{}: {why}", file.display())))?;
        }
        Ok(config)
    }

    /// The program that tells the machine its new password; none where there is none to be told.
    pub(super) fn password_program(&self) -> &[String] {
        &self.password.apply
    }

    /// What the device says it is.
    pub(super) fn hardware(&self) -> Hardware {
        #[cfg(target_os = "linux")]
        if self.host.is_some() {
            return crate::csp::Linux::hardware();
        }
        Hardware::default()
    }

    /// The providers. `state` is the device's folder, `ca_pem` the authority of its enrolment.
    pub(super) fn providers(self, state: &Path, ca_pem: &str) -> Result<Providers, Failure> {
        let folder = self.software.folder.unwrap_or_else(|| state.join("software"));
        let ca = match &self.software.ca_file {
            Some(file) => fs::read_to_string(file)
                .map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))?,
            None => ca_pem.to_owned(),
        };
        let tls = ClientTls::new(TlsOptions::default())
            .of_authority(&ca)
            .map_err(|error| Failure::invalid(with_causes(&error)))?;
        let web = Web::new(tls).only_from(self.software.sources);
        let web = match self.software.files {
            Some(files) => web.with_files_of(files),
            None => web,
        };
        let limit = self.software.limit_mib.unwrap_or(LIMIT_MIB).saturating_mul(1 << 20);
        let scomo = Scomo::new(folder.clone(), Arc::new(web), limit);
        let providers = Providers::default().with(scomo).replacing(lawmo(self.lock, folder));
        #[cfg(target_os = "linux")]
        if let Some(host) = self.host {
            return Ok(providers.with(crate::csp::Linux::new(host.allow)));
        }
        Ok(providers)
    }
}

/// A lock that runs the owner's programs, and a wipe that takes software and files with it.
fn lawmo(programs: Programs, software: PathBuf) -> Lawmo {
    let item = |name: &str, top: &str, folder| WipeItem {
        name: name.to_owned(),
        subtree: TreePath::root().child(top),
        memory: None,
        folder,
    };
    let lawmo = Lawmo::default().with_item(item("Accounts", "SyncAcc", None)).with_item(item(
        "Software",
        "SCOMO",
        Some(software),
    ));
    let programs = [
        (LawmoOperation::FullyLock, programs.fully_lock),
        (LawmoOperation::PartiallyLock, programs.partially_lock),
        (LawmoOperation::UnLock, programs.unlock),
        (LawmoOperation::FactoryReset, programs.factory_reset),
    ];
    let named = programs.into_iter().filter(|(_, arguments)| !arguments.is_empty());
    named.fold(lawmo, |lawmo, (operation, arguments)| lawmo.with_program(operation, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Config::read(Some(file.path()))
    }

    #[test]
    fn the_example_of_this_module_is_a_configuration() {
        let config = read(
            "[host]\nallow.files = [\"/srv/app\"]\nallow.units = [\"app.service\"]\n[software]\n\
             folder = \"/srv/software\"\nsources = [\"https://software.example.org/\"]\nfiles = \"/srv/packages\"\n\
             limit_mib = 512\n[lock]\nfully_lock = [\"/usr/bin/loginctl\", \"lock-sessions\"]\n",
        );
        assert!(config.unwrap().host.is_some());
        assert!(Config::read(None).unwrap().host.is_none());
    }

    #[test]
    fn what_is_unknown_or_cannot_be_meant_is_refused() {
        for text in [
            "[hosts]\n",
            "[host]\nallow.folders = []\n",
            "[host]\nallow.files = [\"relative\"]\n",
            "[host]\nallow.units = [\"a b\"]\n",
            "[software]\nlimit_mib = -1\n",
            "[lock]\nwipe = []\n",
            "nonsense",
        ] {
            assert_eq!(read(text).map(drop).map_err(|failure| failure.code), Err(2), "{text}");
        }
        assert!(Config::read(Some(Path::new("/nowhere/at/all"))).is_err());
    }
}
