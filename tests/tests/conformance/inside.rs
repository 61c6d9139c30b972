//! postern-device inside the test's own process, for what its command line does not do: DM 1.1, notifications and
//! bootstraps that are handed over.

use std::{path::PathBuf, sync::Arc, thread::JoinHandle};

use postern_device::{
    Account, Device, Encoding, Enrolment, Settings,
    edge::{now, random},
    interaction::{Reaction, Scripted},
    state::Storage,
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
    unit::UnitSettings,
};
use postern_wire::{push::wsp, syncml::Version};
use serde_json::Value;
use tokio::sync::oneshot;

/// What a device is to do.
pub(crate) struct Work {
    pub(crate) verb: String,
    pub(crate) input: Value,
    pub(crate) state: PathBuf,
}

/// A device at work. Dropping it ends it, so that nothing of it reaches the next case.
pub(crate) struct Begun {
    thread: Option<JoinHandle<Result<(), String>>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

impl Begun {
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Work {
    /// Begins it.
    pub(crate) fn begin(self) -> Begun {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let until_stopped = async {
                tokio::select! {
                    done = self.run() => done,
                    _ = stopped => Err("stopped".to_owned()),
                }
            };
            runtime.map_err(|error| error.to_string())?.block_on(until_stopped)
        });
        Begun { thread: Some(thread), stop: Some(stop) }
    }

    async fn run(self) -> Result<(), String> {
        let input = &self.input;
        let enrolment =
            Enrolment::from_json(&input["account"].to_string()).map_err(|error| error.to_string())?;
        let account = Account::new(&enrolment, None).map_err(|error| error.to_string())?;
        let tls = ClientTls::new(TlsOptions::default())
            .config(&enrolment, None)
            .map_err(|error| error.to_string())?;
        let https = || Https::new(tls.clone(), Arc::new(HttpsOptions::default()));
        let unit = UnitSettings {
            encoding: if input["encoding"] == "wbxml" { Encoding::Wbxml } else { Encoding::Xml },
            version: if input["version"] == "1.1" { Version::V1_1 } else { Version::V1_2 },
            ..UnitSettings::default()
        };
        let settings = Settings { unit: Arc::new(unit), ..Settings::default() };
        let storage = Storage::folder(&self.state).map_err(|error| error.to_string())?;
        let device =
            Device::new(Arc::new(account), settings, storage, https()).map_err(|error| error.to_string())?;
        let pin = input["pin"].as_str().map(|pin| Reaction::Text(pin.to_owned()));
        let mut device = device.with_user(Scripted::new(pin));
        let mut fill = |octets: &mut [u8]| random(octets);
        let done = match self.verb.as_str() {
            "notify" => device.notified(&unhex(&input["package0"]), now(), &mut fill).await,
            "bootstrap" => {
                let push = wsp::decode(&unhex(&input["push"])).map_err(|error| error.to_string())?.push;
                device.bootstrap(&push, None).map_err(|error| error.to_string())?;
                for (_, account) in device.accounts_in_tree() {
                    device.connect(account.map_err(|error| error.to_string())?, https());
                }
                device
                    .check_in_as(
                        input["server_id"].as_str().unwrap_or_default(),
                        postern_device::unit::Cause::Client,
                        now(),
                        &mut fill,
                    )
                    .await
            }
            _ => device.check_in(now(), &mut fill).await,
        };
        done.map(drop).map_err(|error| error.to_string())
    }
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits: Vec<_> = value.as_str().unwrap_or_default().chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).filter_map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}
