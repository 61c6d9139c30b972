//! `postern-device new-csr`: the private key stays in the state folder, the request goes to whoever enrols.

use std::{fs, io::Write as _, path::PathBuf};

use clap::Args;

use super::{CSR_FILE, Failure, key_file, print};
use crate::{keys::new_request, state::private_file};

#[derive(Debug, Args)]
pub(super) struct NewCsr {
    /// The device's state folder; device.key and device.csr are written there.
    #[arg(long)]
    state: PathBuf,
    /// The DevId: the request's subject.
    #[arg(long)]
    device_id: String,
    /// Replace a key that is there already. Enrolments made with it stop working.
    #[arg(long)]
    replace: bool,
}

impl NewCsr {
    pub(super) fn perform(self) -> Result<(), Failure> {
        let (key, csr) = (key_file(&self.state), self.state.join(CSR_FILE));
        if key.exists() && !self.replace {
            return Err(Failure::invalid(format!(
                "{} is there already; --replace makes a new one",
                key.display()
            )));
        }
        let request = new_request(&self.device_id).map_err(Failure::invalid)?;
        fs::create_dir_all(&self.state).map_err(Failure::invalid)?;
        private_file(&key)
            .and_then(|mut file| file.write_all(request.key_pem.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|error| Failure::invalid(format!("{}: {error}", key.display())))?;
        fs::write(&csr, request.csr_pem)
            .map_err(|error| Failure::invalid(format!("{}: {error}", csr.display())))?;
        print(&csr.display().to_string());
        Ok(())
    }
}
