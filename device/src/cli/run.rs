//! `postern-device run`: one device with a state folder.

use std::{fs, path::PathBuf, sync::Arc};

use clap::Args;
use secrecy::SecretString;

use super::{
    EncodingName, Failure, Output,
    config::Config,
    key_file,
    pace::{Pace, sleep_until},
    print, with_causes,
};
use crate::{
    device::{Device, Settings},
    edge,
    enrolment::{Account, Enrolment},
    event::{Event, Observer},
    interaction::Terminal,
    state::Storage,
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
    unit::UnitSettings,
};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The enrolment file.
    #[arg(long)]
    enrolment: PathBuf,
    /// The folder of the device's state; made if it is not there.
    #[arg(long)]
    state: PathBuf,
    /// What servers may do with this machine; see docs/DEVICE.md.
    #[arg(long)]
    config: Option<PathBuf>,
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
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Run {
    pub(super) fn perform(self) -> Result<(), Failure> {
        let device = self.device()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure { code: 1, why: error.to_string() })?;
        runtime.block_on(self.check_in(device))
    }

    fn device(&self) -> Result<Device, Failure> {
        let storage = Storage::folder(&self.state).map_err(|error| Failure::invalid(with_causes(&error)))?;
        let enrolment =
            Enrolment::read(&self.enrolment).map_err(|error| Failure::invalid(with_causes(&error)))?;
        let key = fs::read_to_string(key_file(&self.state)).ok().map(SecretString::from);
        let account = Account::new(&enrolment, key.as_ref()).map_err(Failure::invalid)?;
        let tls = ClientTls::new(TlsOptions::default())
            .config(&enrolment, key.as_ref())
            .map_err(|error| Failure::invalid(with_causes(&error)))?;
        let options =
            HttpsOptions { connection_per_message: self.connection_per_message, ..HttpsOptions::default() };
        let config = Config::read(self.config.as_deref())?;
        let settings = Settings {
            unit: Arc::new(UnitSettings { encoding: self.encoding.into(), ..UnitSettings::default() }),
            hardware: Arc::new(config.hardware()),
            csp: Arc::new(config.providers(&self.state, &enrolment.ca_pem)?),
            ..Settings::default()
        };
        let device = Device::new(Arc::new(account), settings, storage, Https::new(tls, Arc::new(options)))
            .map_err(|error| Failure::of_session(&error))?;
        let device = device.observed_by(observer(self.output));
        Ok(if self.interactive { device.with_user(Terminal::default()) } else { device })
    }

    async fn check_in(&self, mut device: Device) -> Result<(), Failure> {
        let mut random = |octets: &mut [u8]| edge::random(octets);
        let mut pace = Pace::default();
        let at_once = self.once || self.interval.is_some();
        let mut next = if at_once { edge::now() } else { device.due(edge::now()) };
        while sleep_until(next).await {
            let outcome = device.check_in(edge::now(), &mut random).await;
            if let Err(error) = &outcome {
                tracing::warn!(error = %with_causes(error), "check-in failed");
            }
            if self.once {
                return outcome.map(drop).map_err(|error| Failure::of_session(&error));
            }
            let now = edge::now();
            let planned = device.plan(now, &mut random).map_err(|error| Failure::of_session(&error))?;
            let regular = self.interval.map_or(planned, |seconds| now.plus(i64::from(seconds) * 1_000));
            let untold = !device.state().completions.is_empty();
            let mut part = [0];
            random(&mut part);
            next = pace.next(now, regular, outcome.err().as_ref(), untold, part[0]);
        }
        Ok(())
    }
}

fn observer(output: Output) -> Observer {
    Arc::new(move |event: &Event| match output {
        Output::Text => print(&event.to_string()),
        Output::Json => print(&serde_json::to_string(event).unwrap_or_default()),
    })
}
