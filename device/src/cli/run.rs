//! `postern-device run`: one device with a state folder.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use secrecy::SecretString;

use super::{EncodingName, Failure, Output, key_file, print, with_causes};
use crate::{
    device::{Device, DeviceError, Settings},
    edge,
    enrolment::{Account, Enrolment},
    event::{Event, Observer},
    interaction::Terminal,
    state::Storage,
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
    unit::UnitSettings,
};

/// The first wait after a failed session; doubled up to the interval.
const FIRST_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The enrolment file.
    #[arg(long)]
    enrolment: PathBuf,
    /// The folder of the device's state; made if it is not there.
    #[arg(long)]
    state: PathBuf,
    /// Seconds between check-ins.
    #[arg(long, default_value_t = 900)]
    interval: u64,
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
        let settings = Settings {
            unit: Arc::new(UnitSettings { encoding: self.encoding.into(), ..UnitSettings::default() }),
            ..Settings::default()
        };
        let device = Device::new(Arc::new(account), settings, storage, Https::new(tls, Arc::new(options)))
            .map_err(|error| Failure::of_session(&error))?;
        let device = device.observed_by(observer(self.output));
        Ok(if self.interactive { device.with_user(Terminal::default()) } else { device })
    }

    async fn check_in(&self, mut device: Device) -> Result<(), Failure> {
        let mut failures = 0;
        loop {
            let outcome = device.check_in(edge::now(), &mut |octets| edge::random(octets)).await;
            if let Err(error) = &outcome {
                tracing::warn!(error = %with_causes(error), "check-in failed");
            }
            if self.once {
                return outcome.map(drop).map_err(|error| Failure::of_session(&error));
            }
            failures = if outcome.is_ok() { 0 } else { failures + 1 };
            let wait = self.wait(outcome.err().as_ref(), failures);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }

    /// The interval after a success; after failures sooner, but never before the server wants to be asked.
    fn wait(&self, error: Option<&DeviceError>, failures: u32) -> Duration {
        let interval = Duration::from_secs(self.interval.max(1));
        let Some(error) = error else { return interval };
        let backoff = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(interval);
        let mut jitter = [0];
        edge::random(&mut jitter);
        let backoff = backoff.mul_f64(0.75 + f64::from(jitter[0]) / 512.0);
        backoff.max(Duration::from_secs(error.retry_after().unwrap_or_default().min(86_400)))
    }
}

fn observer(output: Output) -> Observer {
    Arc::new(move |event: &Event| match output {
        Output::Text => print(&event.to_string()),
        Output::Json => print(&serde_json::to_string(event).unwrap_or_default()),
    })
}
