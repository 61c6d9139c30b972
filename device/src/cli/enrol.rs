//! `postern-device enrol`: over the air, by a one-time password; and `postern-device unenrol`.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead as _, Write as _},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use postern_wire::enrol::{EnrolError, OneTimePassword};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Failure, Output, print,
    run::observer,
    setup::{hardware_id, recovery},
    with_causes,
};
use crate::{
    csp::{Hardware, Providers},
    device::{Device, DeviceError, Settings},
    edge,
    enrolment::{
        Account, Enrolment, EnrolmentFolder, FolderError, KeptIdentity,
        air::{self, AirError, AirOptions, Applicant, Proof},
    },
    event::Event,
    origin::ServerUri,
    state::Storage,
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
};

/// A new route may take a moment to reach every gateway: the first session is tried so often.
const FIRST_SESSIONS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// `HOST=ADDR:PORT`.
#[derive(Clone, Debug)]
pub(super) struct Resolve(pub(super) String, pub(super) SocketAddr);

impl std::str::FromStr for Resolve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, address) = text.split_once('=').ok_or("say HOST=ADDRESS:PORT")?;
        let address = address.parse().map_err(|_| format!("{address:?} is not ADDRESS:PORT"))?;
        Ok(Self(host.to_ascii_lowercase(), address))
    }
}

#[derive(Debug, Args)]
pub(super) struct Enrol {
    /// The e-mail address of whose device this is: its domain says which server.
    #[arg(long, required_unless_present = "server")]
    email: Option<String>,
    /// The server, `https://HOST[:PORT]`, instead of asking the domain.
    #[arg(long)]
    server: Option<String>,
    /// A file that holds the one-time password; without it the terminal is asked.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Dial ADDRESS:PORT for HOST; may be given again.
    #[arg(long, value_name = "HOST=ADDRESS:PORT")]
    resolve: Vec<Resolve>,
    /// The folder of the device's state; made if it is not there.
    #[arg(long, default_value = "postern-device-state")]
    state: PathBuf,
    /// DevId; made of the hardware's id without it.
    #[arg(long)]
    device_id: Option<String>,
    /// What names this hardware for ever; made of the machine's id without it.
    #[arg(long)]
    hardware_id: Option<String>,
    /// Let go of the account that is there.
    #[arg(long)]
    replace: bool,
    /// Do not check in at once.
    #[arg(long)]
    no_session: bool,
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Unenrol {
    /// The folder of the device's state.
    #[arg(long, default_value = "postern-device-state")]
    state: PathBuf,
    /// Erase account and keys even when the server does not acknowledge it.
    #[arg(long)]
    force: bool,
    /// Dial ADDRESS:PORT for HOST; may be given again.
    #[arg(long, value_name = "HOST=ADDRESS:PORT")]
    resolve: Vec<Resolve>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Enrol {
    pub(super) fn perform(self) -> Result<(), Failure> {
        let password = self.password()?;
        let folder = EnrolmentFolder::open(&self.state).map_err(|error| of_folder(&error))?;
        let there = folder.enrolment().map_err(|error| of_folder(&error))?;
        runtime()?.block_on(async {
            let repeated = there.as_ref().is_some_and(|there| there.request == Some(password.code()));
            let enrolment = match there {
                // the answer to it was lost on the way to the person
                Some(enrolment) if repeated => enrolment,
                Some(enrolment) if !self.replace => {
                    let why = format!(
                        "{} holds the enrolment {} already; --replace lets go of it",
                        self.state.display(),
                        enrolment.enrolment
                    );
                    return Err(Failure::invalid(why));
                }
                _ => self.enrol(&password, &folder).await?,
            };
            self.say(&enrolment);
            if self.no_session { Ok(()) } else { self.first_session(&folder, &enrolment).await }
        })
    }

    fn password(&self) -> Result<OneTimePassword, Failure> {
        let text = match &self.password_file {
            Some(file) => fs::read_to_string(file)
                .map_err(|error| Failure::invalid(format!("{}: {error}", file.display())))?,
            None => {
                let _unprintable = write!(io::stderr(), "One-time password: ");
                let mut line = String::new();
                io::stdin().lock().read_line(&mut line).map_err(Failure::invalid)?;
                line
            }
        };
        let text = SecretString::from(text);
        OneTimePassword::parse(text.expose_secret()).map_err(Failure::invalid)
    }

    async fn enrol(
        &self,
        password: &OneTimePassword,
        folder: &EnrolmentFolder,
    ) -> Result<Enrolment, Failure> {
        let options = AirOptions { resolve: addresses(&self.resolve), ..AirOptions::default() };
        let server = match (&self.server, &self.email) {
            (Some(server), _) => ServerUri::parse(server).map_err(Failure::invalid)?,
            (None, Some(email)) => air::discover(email, &options).await.map_err(|error| of_air(&error))?,
            (None, None) => return Err(Failure { code: 64, why: "give --email or --server".to_owned() }),
        };
        let hardware_id = match &self.hardware_id {
            Some(id) => id.clone(),
            None => hardware_id().map_err(|why| Failure { code: 64, why })?,
        };
        let hardware = Hardware::default();
        let applicant = Applicant {
            device_id: self.device_id.clone().unwrap_or_else(|| format!("POSTERN:{hardware_id}")),
            hardware_id,
            manufacturer: hardware.manufacturer,
            model: hardware.model,
            platform: std::env::consts::OS.to_owned(),
            email: self.email.clone(),
        };
        let proof = Proof { code: password.code(), psk: password.psk() };
        let key = folder.request(&applicant.device_id).map_err(|error| of_folder(&error))?;
        let enrolled = air::enrol(&server, &proof, &applicant, &key, &options).await;
        let enrolment = enrolled.map_err(|error| of_air(&error))?;
        folder.keep(&enrolment).map_err(|error| of_folder(&error))?;
        Ok(enrolment)
    }

    fn say(&self, enrolment: &Enrolment) {
        print(&match self.output {
            Output::Text => format!(
                "enrolled as {} (enrolment {}, generation {})",
                enrolment.device_id.escape_debug(),
                enrolment.enrolment,
                enrolment.generation
            ),
            Output::Json => serde_json::json!({
                "event": "enrolled",
                "enrolment": enrolment.enrolment,
                "generation": enrolment.generation,
                "device_id": enrolment.device_id,
                "server_uri": enrolment.server_uri,
            })
            .to_string(),
        });
    }

    async fn first_session(&self, folder: &EnrolmentFolder, enrolment: &Enrolment) -> Result<(), Failure> {
        let mut device =
            device(&self.state, folder, enrolment, &self.resolve)?.observed_by(observer(self.output));
        let mut wait = FIRST_WAIT;
        let mut left = FIRST_SESSIONS;
        loop {
            let Err(error) = check_in(&mut device).await else { return Ok(()) };
            left -= 1;
            let soon = match &error {
                DeviceError::Http { status: 404 | 502..=504, .. } => true,
                DeviceError::Transport(error) => error.is_transient(),
                _ => false,
            };
            if left == 0 || !soon {
                let failure = Failure::of_session(&error);
                let why = format!("enrolled, but the first session failed: {}", failure.why);
                return Err(Failure { why, ..failure });
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }
}

impl Unenrol {
    pub(super) fn perform(self) -> Result<(), Failure> {
        let folder = EnrolmentFolder::open(&self.state).map_err(|error| of_folder(&error))?;
        let there = folder.enrolment().map_err(|error| of_folder(&error))?;
        let Some(enrolment) = there else {
            return Err(Failure::invalid(format!("{} holds no enrolment", self.state.display())));
        };
        let told = runtime()?.block_on(self.tell(&folder, &enrolment));
        if let Err(failure) = told {
            if !self.force {
                return Err(failure);
            }
            tracing::warn!(why = %failure.why, "the server does not know that this device leaves");
        }
        folder.erase().map_err(|error| of_folder(&error))?;
        observer(self.output)(&Event::Left);
        Ok(())
    }

    async fn tell(&self, folder: &EnrolmentFolder, enrolment: &Enrolment) -> Result<(), Failure> {
        let mut device =
            device(&self.state, folder, enrolment, &self.resolve)?.observed_by(observer(self.output));
        device.leave().map_err(|error| Failure::invalid(with_causes(&error)))?;
        let outcome = check_in(&mut device).await;
        if device.has_left() {
            return Ok(());
        }
        outcome.map_err(|error| Failure::of_session(&error))?;
        let why = "the server did not acknowledge that this device leaves; --force erases the account anyway";
        Err(Failure { code: 1, why: why.to_owned() })
    }
}

fn device(
    state: &std::path::Path,
    folder: &EnrolmentFolder,
    enrolment: &Enrolment,
    resolve: &[Resolve],
) -> Result<Device, Failure> {
    let storage = Storage::folder(state).map_err(|error| Failure::invalid(with_causes(&error)))?;
    let account = Account::new(enrolment, None).map_err(Failure::invalid)?;
    let dial = addresses(resolve).get(&account.server.host).copied();
    let options = Arc::new(HttpsOptions { dial, ..HttpsOptions::default() });
    let tls = ClientTls::new(TlsOptions::default()).config(enrolment, None);
    let tls = tls.map_err(|error| Failure::invalid(with_causes(&error)))?;
    let transport = Https::new(tls, Arc::clone(&options));
    let csp = Arc::new(Providers::default().with(recovery(state, enrolment)));
    let settings = Settings { csp, ..Settings::default() };
    let device = Device::new(Arc::new(account), settings, storage, transport)
        .map_err(|error| Failure::of_session(&error))?;
    Ok(device.renewed_by(KeptIdentity::new(enrolment.clone(), Some(folder.clone()), options)))
}

async fn check_in(device: &mut Device) -> Result<(), DeviceError> {
    let mut random = |octets: &mut [u8]| edge::random(octets);
    device.check_in(edge::now(), &mut random).await.map(drop)
}

fn addresses(resolve: &[Resolve]) -> BTreeMap<String, SocketAddr> {
    resolve.iter().map(|Resolve(host, address)| (host.clone(), *address)).collect()
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure { code: 1, why: error.to_string() })
}

fn of_folder(error: &FolderError) -> Failure {
    Failure::invalid(with_causes(error))
}

fn of_air(error: &AirError) -> Failure {
    let code = match error {
        error if error.is_invalid_input() => 2,
        error if error.is_unreachable() => 3,
        _ => 1,
    };
    let why = match error {
        AirError::Protocol(EnrolError::NotProved) => {
            "the server did not prove that it knows the one-time password; nothing of it is believed"
                .to_owned()
        }
        error => with_causes(error),
    };
    Failure { code, why }
}
