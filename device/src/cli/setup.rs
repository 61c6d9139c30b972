//! What `run` and `bootstrap` share: who the device is, and how it reaches the servers of its bootstraps.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use postern_wire::bootstrap::mac::NetworkSecret;
use secrecy::SecretString;

use super::{Failure, Output, config::Config, run::observer, with_causes};
use crate::{
    csp::RecoveryProvider,
    device::Settings,
    enrolment::{Account, Enrolment, EnrolmentFolder, FolderError, KeptIdentity, key_made_by_hand},
    event::Event,
    recovery::{Of, Recovery},
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
};

/// The certificate authorities that Debian's ca-certificates keeps.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";
const CA_FILE: &str = "ca.pem";
const DEVICE_ID_FILE: &str = "device-id";

#[derive(Clone, Debug, Args)]
pub(super) struct Identity {
    /// The enrolment file; without it the enrolment that rests in the state folder, else the device lives by its bootstraps.
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
    /// The enrolment, as it was renewed since, and the key that belongs to it where it does not hold it itself.
    fn enrolled(&self) -> Result<Option<(Enrolment, Option<SecretString>)>, Failure> {
        let failed = |error: FolderError| Failure::invalid(with_causes(&error));
        let folder = EnrolmentFolder::open(&self.state).map_err(failed)?;
        let Some(file) = &self.enrolment else {
            return Ok(folder.enrolment().map_err(failed)?.map(|enrolment| (enrolment, None)));
        };
        let mut enrolment = Enrolment::read(file).map_err(|error| Failure::invalid(with_causes(&error)))?;
        enrolment.key_pem = key_made_by_hand(&self.state).or(enrolment.key_pem);
        Ok(Some((folder.renewed(enrolment).map_err(failed)?, None)))
    }

    /// What takes new identities of the enrolment, if there is one.
    pub(super) fn kept(&self, options: &Arc<HttpsOptions>) -> Result<Option<KeptIdentity>, Failure> {
        let Some((enrolment, _)) = self.enrolled()? else { return Ok(None) };
        let folder =
            EnrolmentFolder::open(&self.state).map_err(|error| Failure::invalid(with_causes(&error)))?;
        Ok(Some(KeptIdentity::new(enrolment, Some(folder), Arc::clone(options))))
    }

    /// The device has left: account and keys go.
    pub(super) fn erase(&self, output: Output) -> Result<(), Failure> {
        let erased = EnrolmentFolder::open(&self.state).and_then(|folder| folder.erase());
        erased.map_err(|error| Failure::invalid(with_causes(&error)))?;
        if let Some(file) = &self.enrolment {
            let gone = fs::remove_file(file);
            gone.map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))?;
        }
        observer(output)(&Event::Left);
        Ok(())
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
        let enrolled = self.enrolled()?.map(|(enrolment, _)| enrolment);
        let ca_pem = match &enrolled {
            Some(enrolment) => enrolment.ca_pem.clone(),
            None => self.authorities()?,
        };
        let hardware = Arc::new(config.hardware());
        let csp = config.providers(&self.state, &ca_pem)?;
        let csp = match &enrolled {
            Some(enrolment) => csp.with(recovery(&self.state, enrolment)),
            None => csp,
        };
        Ok(Settings { hardware, csp: Arc::new(csp), ..Settings::default() })
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

/// The recovery password of an enrolment that rests in this folder.
pub(super) fn recovery(state: &Path, enrolment: &Enrolment) -> RecoveryProvider {
    let of = Of { enrolment: enrolment.enrolment, generation: enrolment.generation };
    RecoveryProvider::new(Recovery::at(state), of, &enrolment.server_id, enrolment.escrow_key.clone())
}

/// What names this machine for ever and tells nobody its machine id: a digest of it, as machine-id(5) asks for.
pub(super) fn hardware_id() -> Result<String, String> {
    let file = "/etc/machine-id";
    let id = fs::read_to_string(file)
        .map_err(|error| format!("{file}: {error}; say --hardware-id"))?
        .trim()
        .to_owned();
    if id.is_empty() {
        return Err(format!("{file} is empty; say --hardware-id"));
    }
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        format!("postern hardware id v1 {id}").as_bytes(),
    );
    Ok(digest.as_ref()[..16].iter().map(|octet| format!("{octet:02x}")).collect())
}

/// The IMSI in a file.
pub(super) fn network_secret(file: &Path) -> Result<NetworkSecret, Failure> {
    let text =
        fs::read_to_string(file).map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))?;
    Ok(NetworkSecret::Imsi(SecretString::from(text.trim())))
}
