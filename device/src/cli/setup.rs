//! What `run` and `bootstrap` share: who the device is, and how it reaches the servers of its bootstraps.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use postern_wire::bootstrap::mac::NetworkSecret;
use secrecy::SecretString;

use super::{Failure, config::Config, key_file, with_causes};
use crate::{
    device::Settings,
    enrolment::{Account, Enrolment},
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
};

/// The certificate authorities that Debian's ca-certificates keeps.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";
const CA_FILE: &str = "ca.pem";
const DEVICE_ID_FILE: &str = "device-id";

#[derive(Clone, Debug, Args)]
pub(super) struct Identity {
    /// The enrolment file; a device without one lives by its bootstraps.
    #[arg(long)]
    pub(super) enrolment: Option<PathBuf>,
    /// The folder of the device's state; made if it is not there.
    #[arg(long)]
    pub(super) state: PathBuf,
    /// DevId of a device without an enrolment; kept in the state folder.
    #[arg(long)]
    device_id: Option<String>,
    /// The CA certificates of servers that bootstraps name; kept in the state folder. Without it the system's.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// What servers may do with this machine; see docs/DEVICE.md.
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Identity {
    fn enrolled(&self) -> Result<Option<(Enrolment, Option<SecretString>)>, Failure> {
        let Some(file) = &self.enrolment else { return Ok(None) };
        let enrolment = Enrolment::read(file).map_err(|error| Failure::invalid(with_causes(&error)))?;
        let key = fs::read_to_string(key_file(&self.state)).ok().map(SecretString::from);
        Ok(Some((enrolment, key)))
    }

    /// The enrolled account, or that of nobody.
    pub(super) fn account(&self) -> Result<Account, Failure> {
        if let Some((enrolment, key)) = self.enrolled()? {
            return Account::new(&enrolment, key.as_ref()).map_err(Failure::invalid);
        }
        let kept = || fs::read_to_string(self.state.join(DEVICE_ID_FILE)).ok();
        let device_id = self.device_id.clone().or_else(kept).map(|text| text.trim().to_owned());
        let device_id = device_id.filter(|id| !id.is_empty());
        let device_id = device_id.ok_or_else(|| Failure::invalid("give --enrolment or --device-id"))?;
        Ok(Account::nobody(&device_id))
    }

    /// The way to the enrolled server; without one, that of bootstraps.
    pub(super) fn transport(&self, options: &Arc<HttpsOptions>) -> Result<Https, Failure> {
        let Some((enrolment, key)) = self.enrolled()? else { return self.bootstrapped(options) };
        let tls = ClientTls::new(TlsOptions::default()).config(&enrolment, key.as_ref());
        let tls = tls.map_err(|error| Failure::invalid(with_causes(&error)))?;
        Ok(Https::new(tls, Arc::clone(options)))
    }

    /// The way to the servers that bootstraps name.
    pub(super) fn bootstrapped(&self, options: &Arc<HttpsOptions>) -> Result<Https, Failure> {
        let pem = self.authorities()?;
        let tls = ClientTls::new(TlsOptions::default()).of_authority(&pem);
        let tls = tls.map_err(|error| Failure::invalid(with_causes(&error)))?;
        Ok(Https::new(tls, Arc::clone(options)))
    }

    /// What the machine is and what its servers may do with it.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let config = Config::read(self.config.as_deref())?;
        let ca_pem = match self.enrolled()? {
            Some((enrolment, _)) => enrolment.ca_pem,
            None => self.authorities()?,
        };
        Ok(Settings {
            hardware: Arc::new(config.hardware()),
            csp: Arc::new(config.providers(&self.state, &ca_pem)?),
            ..Settings::default()
        })
    }

    /// The authorities of the servers that bootstraps name.
    fn authorities(&self) -> Result<String, Failure> {
        let own = self.state.join(CA_FILE);
        let file = match &self.ca {
            Some(given) => given.clone(),
            None if own.exists() => own,
            None => PathBuf::from(SYSTEM_CA),
        };
        fs::read_to_string(&file).map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))
    }

    pub(super) fn transport_for_bootstrap(&self) -> Result<Https, Failure> {
        self.transport(&Arc::new(HttpsOptions::default()))
    }

    /// Keeps what was given on the command line beside the state.
    pub(super) fn keep(&self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::invalid(format!("{}: {error}", self.state.display()));
        if let Some(id) = &self.device_id {
            fs::write(self.state.join(DEVICE_ID_FILE), id).map_err(failed)?;
        }
        let own = self.state.join(CA_FILE);
        if let Some(ca) = self.ca.as_ref().filter(|ca| **ca != own) {
            fs::copy(ca, own).map_err(failed)?;
        }
        Ok(())
    }
}

/// The IMSI in a file.
pub(super) fn network_secret(file: &Path) -> Result<NetworkSecret, Failure> {
    let text =
        fs::read_to_string(file).map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))?;
    Ok(NetworkSecret::Imsi(SecretString::from(text.trim())))
}
