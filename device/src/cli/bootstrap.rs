//! `postern-device bootstrap`: puts an account in from a file.

use std::{fs, path::PathBuf};

use clap::Args;
use postern_wire::push::{Push, PushMedia, content_type, wsp};
use secrecy::SecretString;

use super::{
    Failure, print,
    setup::{Identity, network_secret},
    with_causes,
};
use crate::{
    bootstrap::KnownPin,
    device::{Device, DeviceError},
    interaction::Terminal,
    state::Storage,
};

#[derive(Debug, Args)]
pub(super) struct Bootstrap {
    /// The bootstrap: a WSP push, or a document of either profile.
    file: PathBuf,
    #[command(flatten)]
    identity: Identity,
    /// The user's PIN; without it the terminal is asked.
    #[arg(long)]
    pin: Option<String>,
    /// A file that holds the IMSI, which is the network's secret.
    #[arg(long)]
    imsi: Option<PathBuf>,
    /// Of a document: its Content-Type with SEC and MAC, as the server gave it.
    #[arg(long)]
    content_type: Option<String>,
    /// Take a document without proof: whoever may write this device's state vouches for it.
    #[arg(long)]
    unproved: bool,
}

impl Bootstrap {
    pub(super) fn perform(self) -> Result<(), Failure> {
        let storage =
            Storage::folder(&self.identity.state).map_err(|error| Failure::invalid(with_causes(&error)))?;
        let account = self.identity.account()?;
        let transport = self.identity.transport_for_bootstrap()?;
        let device = Device::new(account.into(), self.identity.settings()?, storage, transport)
            .map_err(|error| Failure::of_session(&error))?;
        let mut device = match self.pin.clone() {
            Some(pin) => device.with_user(KnownPin(Some(SecretString::from(pin)))),
            None => device.with_user(Terminal::default()),
        };
        let push = self.push()?;
        let network = self.imsi.as_deref().map(network_secret).transpose()?;
        let applied =
            if self.unproved { device.bootstrap_unproved(&push) } else { device.bootstrap(&push, network) };
        let installed = applied.map_err(|error| match error {
            DeviceError::Bootstrap(why) => Failure { code: 1, why: why.to_string() },
            other => Failure::of_session(&other),
        })?;
        self.identity.keep()?;
        for account in installed {
            print(&format!("{} {}", account.object, account.server_id.escape_debug()));
        }
        Ok(())
    }

    /// What the file holds: a push by itself, or a document.
    fn push(&self) -> Result<Push, Failure> {
        let octets = fs::read(&self.file)
            .map_err(|error| Failure::invalid(format!("{}: {error}", self.file.display())))?;
        if let Some(text) = &self.content_type {
            let (media, security) = content_type::read(text).map_err(Failure::invalid)?;
            return Ok(Push::bootstrap(media, security, octets));
        }
        if let Ok(received) = wsp::decode(&octets) {
            return Ok(received.push);
        }
        let is = |text: &str| octets.windows(text.len()).any(|part| part == text.as_bytes());
        let media = match octets.as_slice() {
            [b'<' | 0xEF | b' ' | b'\n', ..] if is("wap-provisioningdoc") => PushMedia::ConnectivityXml,
            [b'<' | 0xEF | b' ' | b'\n', ..] => PushMedia::DmXml,
            [_, 0x0B, ..] => PushMedia::ConnectivityWbxml,
            _ => PushMedia::DmWbxml,
        };
        Ok(Push::bootstrap(media, None, octets))
    }
}
