//! `postern-device run`: one device with a state folder, its accounts and its bearers.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use postern_wire::{
    bootstrap::mac::NetworkSecret,
    push::{Application, Push, PushMedia},
};
use tokio::sync::mpsc;

use super::{
    EncodingName, Failure, Output,
    pace::{Pace, sleep_until},
    print,
    setup::{Identity, network_secret},
    with_causes,
};
use crate::{
    bearer::{Framing, LongPoll, Modem, forward},
    device::{Device, DeviceError, Settings},
    edge,
    enrolment::{Account, Origin},
    event::{Event, Observer},
    interaction::Terminal,
    state::Storage,
    transport::HttpsOptions,
    unit::{Cause, UnitSettings},
};

/// Pushes that wait for the device to have time; more are dropped.
const WAITING: usize = 16;

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    identity: Identity,
    /// Seconds between check-ins, instead of the schedule that the server sets (8 hours until it does).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=31_536_000))]
    interval: Option<u32>,
    /// Check in once and end.
    #[arg(long)]
    once: bool,
    /// How messages are encoded.
    #[arg(long, value_enum, default_value_t)]
    encoding: EncodingName,
    /// A new connection for each message.
    #[arg(long)]
    connection_per_message: bool,
    /// Put servers' questions to the person at this terminal.
    #[arg(long)]
    interactive: bool,
    /// Listen for notifications at the gateway.
    #[arg(long)]
    listen: bool,
    /// Take the user data of short messages from this UDP port.
    #[arg(long)]
    sms_udp: Option<SocketAddr>,
    /// Take them from this Unix datagram socket.
    #[arg(long)]
    sms_socket: Option<PathBuf>,
    /// Take them from files *.sms in this folder.
    #[arg(long)]
    sms_folder: Option<PathBuf>,
    /// Take WSP pushes from this UDP port (WDP over IP, 2948).
    #[arg(long)]
    wdp_udp: Option<SocketAddr>,
    /// A file that holds the IMSI, which proves bootstraps of the network.
    #[arg(long)]
    imsi: Option<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Run {
    pub(super) fn perform(self) -> Result<(), Failure> {
        let mut device = self.device()?;
        self.connect(&mut device)?;
        self.identity.keep()?;
        let network = self.imsi.as_deref().map(network_secret).transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure { code: 1, why: error.to_string() })?;
        runtime.block_on(self.live(device, network))
    }

    fn options(&self) -> Arc<HttpsOptions> {
        let connection_per_message = self.connection_per_message;
        Arc::new(HttpsOptions { connection_per_message, ..HttpsOptions::default() })
    }

    fn device(&self) -> Result<Device, Failure> {
        let storage =
            Storage::folder(&self.identity.state).map_err(|error| Failure::invalid(with_causes(&error)))?;
        let account = self.identity.account()?;
        let settings = Settings {
            unit: Arc::new(UnitSettings { encoding: self.encoding.into(), ..UnitSettings::default() }),
            ..self.identity.settings()?
        };
        let transport = self.identity.transport(&self.options())?;
        let device = Device::new(Arc::new(account), settings, storage, transport)
            .map_err(|error| Failure::of_session(&error))?;
        let device = device.observed_by(observer(self.output));
        let device = match self.identity.kept(&self.options())? {
            Some(identity) => device.renewed_by(identity),
            None => device,
        };
        Ok(if self.interactive { device.with_user(Terminal::default()) } else { device })
    }

    /// Gives every account in the tree a way to its server, and takes those away that are there no more.
    fn connect(&self, device: &mut Device) -> Result<(), Failure> {
        let in_tree = device.accounts_in_tree();
        device.disconnect(|id| {
            !in_tree.iter().any(|(_, account)| account.as_ref().is_ok_and(|known| known.server_id == id))
        });
        for (path, account) in in_tree {
            match account {
                Ok(account) => device.connect(account, self.identity.bootstrapped(&self.options())?),
                Err(error) => tracing::warn!(object = %path, %error, "an account cannot be used"),
            }
        }
        Ok(())
    }

    async fn live(&self, mut device: Device, network: Option<NetworkSecret>) -> Result<(), Failure> {
        let mut random = |octets: &mut [u8]| edge::random(octets);
        let mut pace = Pace::default();
        let at_once = self.once || self.interval.is_some();
        let mut next = if at_once { edge::now() } else { device.due(edge::now()) };
        let (sender, mut pushes) = mpsc::channel(WAITING);
        if device.has_left() {
            return self.identity.erase(self.output);
        }
        if !self.once {
            self.bearers(&device, &sender).await?;
        }
        loop {
            tokio::select! {
                go_on = sleep_until(next) => if !go_on { return Ok(()) },
                Some(push) = pushes.recv() => {
                    self.take(&mut device, &push, network.clone(), &sender).await;
                    continue;
                }
            }
            let outcome = self.check_in(&mut device).await;
            if device.has_left() {
                return self.identity.erase(self.output);
            }
            if self.once {
                return outcome.map_err(|error| Failure::of_session(&error));
            }
            let now = edge::now();
            let planned = device.plan(now, &mut random).map_err(|error| Failure::of_session(&error))?;
            let regular = self.interval.map_or(planned, |seconds| now.plus(i64::from(seconds) * 1_000));
            let untold = !device.state().completions.is_empty();
            let mut part = [0];
            random(&mut part);
            next = pace.next(now, regular, outcome.err().as_ref(), untold, part[0]);
        }
    }

    /// One session with each account's server. The first failure is the outcome.
    async fn check_in(&self, device: &mut Device) -> Result<(), DeviceError> {
        let ids: Vec<_> = device.accounts().map(|account| account.server_id.clone()).collect();
        let mut outcome = if ids.is_empty() && self.once { Err(DeviceError::NoAccount) } else { Ok(()) };
        for id in ids {
            let mut random = |octets: &mut [u8]| edge::random(octets);
            let session = device.check_in_as(&id, Cause::Client, edge::now(), &mut random).await;
            if let Err(error) = session {
                tracing::warn!(server_id = %id, error = %with_causes(&error), "check-in failed");
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    /// Opens the bearers that were asked for.
    async fn bearers(&self, device: &Device, to: &mpsc::Sender<Push>) -> Result<(), Failure> {
        let failed = |error| Failure::invalid(with_causes(&error));
        for (address, framing) in [(self.sms_udp, Framing::Sms), (self.wdp_udp, Framing::Wdp)] {
            if let Some(address) = address {
                let modem = Modem::udp(address, framing, edge::now).await.map_err(failed)?;
                tokio::spawn(forward(modem, to.clone()));
            }
        }
        if let Some(path) = &self.sms_socket {
            let modem = Modem::unix(path, edge::now).map_err(failed)?;
            tokio::spawn(forward(modem, to.clone()));
        }
        if let Some(folder) = &self.sms_folder {
            tokio::spawn(forward(Modem::folder(folder, edge::now), to.clone()));
        }
        device.accounts().try_for_each(|account| self.listen_for(account, to))
    }

    /// Listens for an account's notifications at its gateway, where that was asked for.
    fn listen_for(&self, account: &Account, to: &mpsc::Sender<Push>) -> Result<(), Failure> {
        if self.listen {
            let https = match account.origin {
                Origin::Enrolled => self.identity.transport(&self.options())?,
                _ => self.identity.bootstrapped(&self.options())?,
            };
            tokio::spawn(forward(LongPoll::new(https, &account.server), to.clone()));
        }
        Ok(())
    }

    /// Does what a push asks for. Whatever it is, the device goes on.
    async fn take(
        &self,
        device: &mut Device,
        push: &Push,
        network: Option<NetworkSecret>,
        to: &mpsc::Sender<Push>,
    ) {
        let mut random = |octets: &mut [u8]| edge::random(octets);
        let done = match push.media {
            PushMedia::Notification => {
                if push.application.as_ref().is_some_and(|application| *application != Application::SyncmlDm)
                {
                    return;
                }
                device.notified(&push.body, edge::now(), &mut random).await.map(drop)
            }
            PushMedia::Other(_) => return,
            _ => self.bootstrapped(device, push, network, to).await,
        };
        if let Err(error) = done {
            tracing::warn!(error = %with_causes(&error), "a push led to nothing");
        }
    }

    /// Puts a bootstrap's accounts in; their servers are gone to at once where they want it.
    async fn bootstrapped(
        &self,
        device: &mut Device,
        push: &Push,
        network: Option<NetworkSecret>,
        to: &mpsc::Sender<Push>,
    ) -> Result<(), DeviceError> {
        let known: Vec<_> = device.accounts().map(|account| account.server_id.clone()).collect();
        let installed = device.bootstrap(push, network)?;
        let listened = self.connect(device).and_then(|()| {
            let mut new = device.accounts().filter(|account| !known.contains(&account.server_id));
            new.try_for_each(|account| self.listen_for(account, to))
        });
        if let Err(failure) = listened {
            tracing::warn!(why = %failure.why, "no way to the new account's server");
            return Ok(());
        }
        for account in installed.iter().filter(|account| account.init) {
            let mut random = |octets: &mut [u8]| edge::random(octets);
            device.check_in_as(&account.server_id, Cause::Client, edge::now(), &mut random).await?;
        }
        Ok(())
    }
}

pub(super) fn observer(output: Output) -> Observer {
    Arc::new(move |event: &Event| match output {
        Output::Text => print(&event.to_string()),
        Output::Json => print(&serde_json::to_string(event).unwrap_or_default()),
    })
}
