//! `postern-core init`: a state folder with CAs, keys, the first admin's token and, for each gateway, a folder
//! that is ready to be copied to it.
//!
//! Promise: nothing that exists is overwritten; core.toml is written last, so a folder with one is complete.
//! Secrets are for their owner only (0600 in 0700 folders).

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use postern_actors::{Clock, Randomness};
use postern_api::tokens;
use postern_store::{MasterKey, StoreError};
use uuid::Uuid;

use crate::{
    ca::{CA_DAYS, Ca, CaError, OWN_DAYS, Subject, Validity},
    config::{self, Config},
    files::{self, FileError},
    keys::SigningKey,
};

/// A gateway to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGateway {
    /// Its name.
    pub name: String,
    /// Where the core dials its link port: `HOST:PORT`.
    pub address: String,
    /// Where it listens for devices.
    pub device_listen: SocketAddr,
    /// Where it listens for the core.
    pub link_listen: SocketAddr,
    /// Where its health and metrics are.
    pub observe_listen: SocketAddr,
}

/// What `init` makes.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The folder; made when it is not there.
    pub state: PathBuf,
    /// The gateways.
    pub gateways: Vec<NewGateway>,
    /// How devices reach the gateways: `https://HOST[:PORT]`.
    pub device_url: String,
    /// Names and addresses in the gateways' device-side certificates.
    pub device_names: Vec<String>,
    /// Names and addresses in the admin API's certificate.
    pub admin_names: Vec<String>,
    /// Where the admin API listens.
    pub admin_listen: SocketAddr,
    /// Where health and metrics are.
    pub observe_listen: SocketAddr,
    /// The database.
    pub database: config::Database,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// core.toml.
    pub config: PathBuf,
    /// The first admin's token.
    pub token: PathBuf,
    /// The CA that clients of both ports trust.
    pub ca: PathBuf,
    /// The gateways' folders.
    pub gateways: Vec<PathBuf>,
}

/// Why a state folder was not made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is one.
    #[error(
        "{0} holds a system already: start it with `postern-core run --config {0}/core.toml`, or give another --state"
    )]
    Exists(String),
    /// Files of an earlier, broken try are in the way.
    #[error(
        "{0} holds files but no core.toml: an earlier init did not finish; delete the folder or give another --state"
    )]
    Broken(String),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate could not be made.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The master key could not be made.
    #[error(transparent)]
    MasterKey(#[from] StoreError),
    /// A value does not do.
    #[error(transparent)]
    Config(#[from] config::ConfigError),
}

/// Makes a state folder.
///
/// # Errors
/// [`InitError`], one sentence each.
pub fn init(
    options: &InitOptions,
    clock: &dyn Clock,
    random: &dyn Randomness,
) -> Result<Initialised, InitError> {
    let state = &options.state;
    let shown = state.display().to_string();
    if state.join("core.toml").exists() {
        return Err(InitError::Exists(shown));
    }
    if state.join("ca").exists() || state.join("keys").exists() {
        return Err(InitError::Broken(shown));
    }
    let core = random.id(clock.wall());
    let config = config_of(options, core);
    config.check()?;
    for folder in ["", "ca", "keys", "core", "gateways"] {
        files::make_folder(&state.join(folder))?;
    }

    let maker = Maker { clock, random };
    let device = maker.ca(state, "device")?;
    let link = maker.ca(state, "link")?;
    let server = maker.ca(state, "server")?;
    files::write_public(&state.join("ca.pem"), server.certificate_pem())?;
    let admin = Subject::Server { role: "core", id: core.to_string(), names: options.admin_names.clone() };
    maker.certificate(&state.join("core"), "admin", &server, &admin)?;
    maker.certificate(&state.join("core"), "link", &link, &Subject::CoreLink(core))?;
    write_keys(&state.join("keys"))?;
    files::write_secret(&state.join("admin.token"), &format!("{}\n", new_token(random)))?;

    let mut gateways = Vec::new();
    for gateway in &options.gateways {
        gateways.push(maker.gateway(state, gateway, &options.device_names, &device, &link, &server)?);
    }
    files::write_public(&state.join("core.toml"), &config.document())?;
    Ok(Initialised {
        config: state.join("core.toml"),
        token: state.join("admin.token"),
        ca: state.join("ca.pem"),
        gateways,
    })
}

/// Makes one more gateway's folder under a state folder that `init` made. The core's core.toml is left alone: the
/// lines to be added to it come back.
///
/// # Errors
/// [`InitError`].
pub fn add_gateway(
    state: &Path,
    gateway: &NewGateway,
    device_names: &[String],
    clock: &dyn Clock,
    random: &dyn Randomness,
) -> Result<(PathBuf, String), InitError> {
    if !config::is_gateway_name(&gateway.name) {
        return Err(InitError::Config(config::ConfigError::Value {
            key: "gateway.name",
            reason: format!("{:?}: use lower-case letters, digits and hyphens, at most 63", gateway.name),
        }));
    }
    let load = |role: &str| -> Result<Ca, InitError> {
        let certificate = files::read(&state.join(format!("ca/{role}-ca.pem")))?;
        Ok(Ca::load(&certificate, &files::read(&state.join(format!("ca/{role}-ca.key")))?)?)
    };
    let maker = Maker { clock, random };
    let folder =
        maker.gateway(state, gateway, device_names, &load("device")?, &load("link")?, &load("server")?)?;
    let lines = format!("[[gateway]]\nname = {:?}\naddress = {:?}\n", gateway.name, gateway.address);
    Ok((folder, lines))
}

/// A new token's text: 256 random bits behind the prefix by which scanners find it.
#[must_use]
pub fn new_token(random: &dyn Randomness) -> String {
    let mut bits = [0_u8; 32];
    random.fill(&mut bits);
    format!("{}{}", tokens::PREFIX, data_encoding::BASE64URL_NOPAD.encode(&bits))
}

fn config_of(options: &InitOptions, core: Uuid) -> Config {
    Config {
        core: config::Core { id: core },
        admin: config::Admin { listen: options.admin_listen, ..config::Admin::default() },
        observe: config::Observe { listen: options.observe_listen },
        database: options.database.clone(),
        links: config::Links::default(),
        gateways: options
            .gateways
            .iter()
            .map(|gateway| config::Gateway { name: gateway.name.clone(), address: gateway.address.clone() })
            .collect(),
        devices: config::Devices::at(&options.device_url),
        keys: config::Keys::default(),
        audit: config::Audit::default(),
        commands: config::Commands::default(),
        push: config::Push::default(),
        notifications: config::Notifications::default(),
        mail: None,
        webhooks: Vec::new(),
        syslog: None,
        stream: None,
        directory: None,
        sysvol: None,
        policy: config::Policy::default(),
        directory_writer: None,
        sign_in: None,
        log: config::Log::default(),
        folder: options.state.clone(),
    }
}

fn write_keys(folder: &Path) -> Result<(), InitError> {
    MasterKey::create(&folder.join("master.key"))?;
    for name in ["audit", "order", "message"] {
        let (private, public) = SigningKey::generate();
        files::write_secret(&folder.join(format!("{name}.key")), &private)?;
        files::write_public(&folder.join(format!("{name}.pub.pem")), &public)?;
    }
    Ok(())
}

struct Maker<'a> {
    clock: &'a dyn Clock,
    random: &'a dyn Randomness,
}

impl Maker<'_> {
    fn validity(&self, days: u32) -> Validity {
        Validity { now: self.clock.wall(), days }
    }

    fn serial(&self) -> [u8; 16] {
        let mut serial = [0_u8; 16];
        self.random.fill(&mut serial);
        serial
    }

    fn ca(&self, state: &Path, role: &str) -> Result<Ca, InitError> {
        let (ca, key) = Ca::make(role, self.serial(), self.validity(CA_DAYS))?;
        files::write_public(&state.join(format!("ca/{role}-ca.pem")), ca.certificate_pem())?;
        files::write_secret(&state.join(format!("ca/{role}-ca.key")), &key)?;
        Ok(ca)
    }

    fn certificate(&self, folder: &Path, name: &str, ca: &Ca, subject: &Subject) -> Result<(), InitError> {
        let (certificate, key) = ca.issue(subject, self.serial(), self.validity(OWN_DAYS))?;
        files::write_public(&folder.join(format!("{name}.pem")), &certificate.pem)?;
        files::write_secret(&folder.join(format!("{name}.key")), &key)?;
        Ok(())
    }

    fn gateway(
        &self,
        state: &Path,
        gateway: &NewGateway,
        device_names: &[String],
        device: &Ca,
        link: &Ca,
        server: &Ca,
    ) -> Result<PathBuf, InitError> {
        let folder = state.join("gateways").join(&gateway.name);
        if folder.exists() {
            return Err(InitError::Exists(folder.display().to_string()));
        }
        files::make_folder(&folder.join("state"))?;
        let front =
            Subject::Server { role: "gateway", id: gateway.name.clone(), names: device_names.to_vec() };
        self.certificate(&folder, "device", server, &front)?;
        self.certificate(&folder, "link", link, &Subject::GatewayLink(gateway.name.clone()))?;
        files::write_public(&folder.join("device-ca.pem"), device.certificate_pem())?;
        files::write_public(&folder.join("link-ca.pem"), link.certificate_pem())?;
        files::write_public(&folder.join("gateway.toml"), &gateway_toml(gateway))?;
        Ok(folder)
    }
}

/// The gateway's configuration, with the keys as the gateway's own documentation names them.
fn gateway_toml(gateway: &NewGateway) -> String {
    let NewGateway { name, device_listen, link_listen, observe_listen, .. } = gateway;
    format!(
        "# Made by postern-core init. Relative paths are taken from this file's folder.\n\
         name = \"{name}\"\n\
         state = \"state\"\n\n\
         [device]\n\
         listen = \"{device_listen}\"\n\
         certificate = \"device.pem\"\n\
         key = \"device.key\"\n\
         authority = \"device-ca.pem\"\n\n\
         [link]\n\
         listen = \"{link_listen}\"\n\
         certificate = \"link.pem\"\n\
         key = \"link.key\"\n\
         authority = \"link-ca.pem\"\n\n\
         [observe]\n\
         listen = \"{observe_listen}\"\n",
    )
}
