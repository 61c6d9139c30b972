//! A site: core, gateway and database as real processes on loopback, with their state in a temporary folder.
//!
//! Everything is made by `postern-core init` as an operator would make it; only the ports are chosen here. Parts
//! can be stopped, killed and started again under the same state. Dropping a site ends its processes and removes
//! its folder.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use postern_api::devices::EnrolmentFile;
use postern_store::testkit::Cluster;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::{
    binaries,
    ctl::{Ctl, Ran},
    device::Device,
    dm_client::DmClient,
    process::{self, Process},
    proxy::FaultProxy,
    raw, wait,
    wall::WallClock,
};

/// How long a part may take to be ready, on a busy machine with a debug build.
pub const READY: Duration = Duration::from_secs(30);
/// How long a part may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(35);
/// The gateway's name.
pub const GATEWAY: &str = "edge";

/// What a site is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan<'p> {
    /// A PostgreSQL database of this cluster instead of SQLite.
    pub postgres: Option<&'p Cluster>,
    /// Put a fault proxy between the core and the gateway's link port.
    pub link_proxy: bool,
    /// The wall clock of core and gateway instead of the machine's.
    pub clock: Option<&'p WallClock>,
    /// More lines for core.toml, each `section.key = value`, as environment overrides: `POSTERN_SECTION_KEY`.
    pub core_settings: &'p [(&'p str, &'p str)],
    /// The same for the gateway: `POSTERN_GATEWAY__SECTION__KEY`.
    pub gateway_settings: &'p [(&'p str, &'p str)],
}

/// A running site.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    ports: Ports,
    environment: Environment,
    core_state: String,
    /// The core; `None` while it is stopped.
    pub core: Option<Process>,
    /// A second core on the same database; `None` unless started.
    pub standby: Option<Process>,
    /// The gateway; `None` while it is stopped.
    pub gateway: Option<Process>,
    /// Between the core and the gateway's link port, when the plan has one.
    pub link_proxy: Option<FaultProxy>,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    device: u16,
    link: u16,
    gateway_observe: u16,
    admin: u16,
    observe: u16,
    standby_admin: u16,
    standby_observe: u16,
}

#[derive(Clone, Debug, Default)]
struct Environment {
    clock: Vec<(String, String)>,
    core: Vec<(String, String)>,
    gateway: Vec<(String, String)>,
}

impl Site {
    /// Makes a site and starts it; ready when this returns.
    #[must_use]
    pub fn start(plan: &Plan<'_>) -> Self {
        let mut site = Self::make(plan);
        site.start_gateway();
        site.start_core();
        site.wait_ready();
        site
    }

    /// Makes a site's state and starts nothing.
    #[must_use]
    pub fn make(plan: &Plan<'_>) -> Self {
        let [device, link, gateway_observe, admin, observe, standby_admin, standby_observe] =
            process::free_ports();
        let ports = Ports { device, link, gateway_observe, admin, observe, standby_admin, standby_observe };
        let folder = tempfile::Builder::new().prefix("postern-site-").tempdir().expect("a temporary folder");
        let link_proxy = plan.link_proxy.then(|| FaultProxy::before(loopback(link)));
        let dialed = link_proxy.as_ref().map_or(loopback(link), FaultProxy::address);
        let addresses = Addresses {
            device_name: "localhost".to_owned(),
            gateway_listen: loopback(0).ip(),
            device_port: device,
            link_port: link,
            dialed,
            gateway_observe: loopback(gateway_observe),
            admin: loopback(admin),
            observe: loopback(observe),
        };
        init(&folder.path().join("state"), &addresses);
        let owned = |settings: &[(&str, &str)]| {
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        let mut environment = Environment {
            core: owned(plan.core_settings),
            gateway: owned(plan.gateway_settings),
            clock: Vec::new(),
        };
        // Most tests look at commands of their own; those of the first session have tests of their own.
        environment.core.insert(0, ("POSTERN_DEVICES_READ_CONFIGURATION".to_owned(), "false".to_owned()));
        if let Some(cluster) = plan.postgres {
            environment.core.extend(postgres(cluster, folder.path()));
        }
        if let Some(clock) = plan.clock {
            environment.core.extend(clock.environment());
            environment.gateway.extend(clock.environment());
            environment.clock = clock.environment();
        }
        let core_state = "state".to_owned();
        Self { folder, ports, environment, core_state, core: None, standby: None, gateway: None, link_proxy }
    }

    /// Makes the folder of one more gateway, which the core does not dial.
    #[must_use]
    pub fn make_gateway(&self, name: &str) -> PathBuf {
        let mut command = Command::new(binaries::path("postern-core"));
        command.arg("add-gateway").arg("--state").arg(self.path("state")).args([
            "--device-name",
            "localhost",
            "--gateway",
            &format!("{name}=127.0.0.1:1"),
        ]);
        let output = command.output().expect("postern-core starts");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        self.path("state/gateways").join(name)
    }

    /// The gateway's configuration file.
    #[must_use]
    pub fn gateway_config(&self) -> PathBuf {
        self.path("state/gateways").join(GATEWAY).join("gateway.toml")
    }

    /// Starts the gateway.
    pub fn start_gateway(&mut self) {
        let config = self.gateway_config();
        let mut command = Command::new(binaries::path("postern-gateway"));
        command.arg("run").arg("--config").arg(config).envs(self.environment.gateway.clone());
        self.gateway = Some(Process::start("gateway", &mut command, &self.path("gateway.log")));
    }

    /// Starts the core.
    pub fn start_core(&mut self) {
        let mut command = self.core_command();
        self.core = Some(Process::start("core", &mut command, &self.path("core.log")));
    }

    /// Starts a second core on the same database, with ports of its own.
    pub fn start_standby(&mut self) {
        let mut command = self.core_command();
        command
            .env("POSTERN_ADMIN_LISTEN", loopback(self.ports.standby_admin).to_string())
            .env("POSTERN_OBSERVE_LISTEN", loopback(self.ports.standby_observe).to_string())
            .env("POSTERN_AUDIT_ANCHOR", self.path("standby-heads.jsonl"));
        self.standby = Some(Process::start("standby", &mut command, &self.path("standby.log")));
    }

    /// Stops the gateway in order.
    pub fn stop_gateway(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.stop(GRACE);
        }
    }

    /// Stops the core in order.
    pub fn stop_core(&mut self) {
        if let Some(mut core) = self.core.take() {
            core.stop(GRACE);
        }
    }

    /// kill -9 of the core.
    pub fn kill_core(&mut self) {
        if let Some(mut core) = self.core.take() {
            core.kill_9();
        }
    }

    /// kill -9 of the gateway.
    pub fn kill_gateway(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.kill_9();
        }
    }

    /// The process numbers of core and gateway.
    ///
    /// # Panics
    /// When one of them does not run.
    #[must_use]
    pub fn pids(&self) -> (u32, u32) {
        let pid = |part: &Option<Process>| part.as_ref().expect("it runs").pid();
        (pid(&self.core), pid(&self.gateway))
    }

    /// Waits until core and gateway say that they are ready.
    pub fn wait_ready(&self) {
        self.wait_ok("the core's readiness", self.core_observe());
        self.wait_gateway_ready();
    }

    /// Waits until the gateway is ready: it has a core behind it whose lists it holds.
    pub fn wait_gateway_ready(&self) {
        self.wait_ok("the gateway's readiness", self.gateway_observe());
    }

    fn wait_ok(&self, what: &str, address: SocketAddr) {
        let ready =
            || raw::plain_get(address, "/readyz").ok().filter(|answer| answer.status == 200).map(drop);
        wait::until(what, READY, ready, || self.logs());
    }

    /// The last lines of every part's log.
    #[must_use]
    pub fn logs(&self) -> String {
        let parts = [self.core.as_ref(), self.standby.as_ref(), self.gateway.as_ref()];
        parts.into_iter().flatten().map(Process::log_tail).collect::<Vec<_>>().join("\n")
    }

    /// The text of a part's log: `core`, `standby` or `gateway`.
    #[must_use]
    pub fn log(&self, part: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{part}.log"))).unwrap_or_default()
    }

    /// posternctl with the first admin's token.
    #[must_use]
    pub fn ctl(&self) -> Ctl {
        self.ctl_at(self.ports.admin)
    }

    /// posternctl that asks the standby.
    #[must_use]
    pub fn standby_ctl(&self) -> Ctl {
        self.ctl_at(self.ports.standby_admin)
    }

    fn ctl_at(&self, port: u16) -> Ctl {
        Ctl {
            url: format!("https://localhost:{port}"),
            token_file: self.path("state/admin.token"),
            ca_file: self.path("state/ca.pem"),
            prefix: Vec::new(),
        }
    }

    /// Enrols a device and gives its enrolment file.
    #[must_use]
    pub fn enrol(&self, device_id: &str, auth: &str, more: &[&str]) -> (EnrolmentFile, PathBuf) {
        let file =
            self.path(&format!("{}.json", device_id.replace(|c: char| !c.is_ascii_alphanumeric(), "_")));
        let out = file.to_string_lossy().into_owned();
        let args = ["device", "enrol", "--device-id", device_id, "--auth", auth, "--out", &out];
        let _ = self.ctl().ok(&[&args, more].concat());
        let text = std::fs::read_to_string(&file).expect("posternctl wrote the enrolment");
        let enrolment: EnrolmentFile = serde_json::from_str(&text).expect("an enrolment file");
        self.wait_route(&enrolment);
        (enrolment, file)
    }

    /// Enrols a device of ours.
    #[must_use]
    pub fn device(&self, device_id: &str, auth: &str) -> Device {
        let mut device = Device::enrol(&self.ctl(), self.folder.path(), device_id, auth);
        device.environment.clone_from(&self.environment.clock);
        let text = std::fs::read_to_string(&device.enrolment).expect("posternctl wrote the enrolment");
        self.wait_route(&serde_json::from_str(&text).expect("an enrolment file"));
        device
    }

    /// Waits until the gateway knows an enrolment's route: the core sends it as a delta. Until then it says 404, and
    /// after that 415 to what is no SyncML.
    pub fn wait_route(&self, enrolment: &EnrolmentFile) {
        let client = self.client(enrolment.clone());
        let known = || {
            let answer = client.connect().and_then(|mut tls| tls.post(&client.path(), &[], b"")).ok()?;
            (answer.status == 415).then_some(())
        };
        wait::until("the gateway to know a new route", READY, known, || self.logs());
    }

    /// A scripted client for an enrolment.
    #[must_use]
    pub fn client(&self, enrolment: EnrolmentFile) -> DmClient {
        DmClient::new(enrolment, self.device_address())
    }

    /// The device port.
    #[must_use]
    pub fn device_address(&self) -> SocketAddr {
        loopback(self.ports.device)
    }

    /// The gateway's link port.
    #[must_use]
    pub fn link_address(&self) -> SocketAddr {
        loopback(self.ports.link)
    }

    /// The core's health, readiness and metrics.
    #[must_use]
    pub fn core_observe(&self) -> SocketAddr {
        loopback(self.ports.observe)
    }

    /// The standby's health, readiness and metrics.
    #[must_use]
    pub fn standby_observe(&self) -> SocketAddr {
        loopback(self.ports.standby_observe)
    }

    /// The gateway's health, readiness and metrics.
    #[must_use]
    pub fn gateway_observe(&self) -> SocketAddr {
        loopback(self.ports.gateway_observe)
    }

    /// The CA that both ports' certificates come from, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.read("state/ca.pem")
    }

    /// A file of the site, as text.
    #[must_use]
    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// A path below the site's folder; the system's state is in `state`.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// `postern-core` with the core's environment, for what is done beside `run`.
    #[must_use]
    pub fn core_tool(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(binaries::path("postern-core"));
        let output = command.args(args).envs(self.environment.core.clone()).output();
        let output = output.expect("postern-core starts");
        Ran {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// From the next start on the core runs from this folder of the site; the gateway stays as it is.
    pub fn run_core_from(&mut self, state: &str) {
        state.clone_into(&mut self.core_state);
    }

    /// From now on the core has a new, empty database of this cluster.
    pub fn use_new_database(&mut self, cluster: &Cluster) {
        let settings = postgres(cluster, self.folder.path());
        self.environment.core.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
        self.environment.core.extend(settings);
    }

    /// Another variable for the core, from its next start on.
    pub fn set_core(&mut self, name: &str, value: &str) {
        self.environment.core.push((name.to_owned(), value.to_owned()));
    }

    fn core_command(&self) -> Command {
        let mut command = Command::new(binaries::path("postern-core"));
        command
            .arg("run")
            .arg("--config")
            .arg(self.path(&self.core_state).join("core.toml"))
            .envs(self.environment.core.clone());
        command
    }
}

/// Where the parts of a system listen, and how they find each other.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The name or address that devices connect to.
    pub device_name: String,
    /// The address that the gateway listens at.
    pub gateway_listen: IpAddr,
    /// The gateway's port for devices.
    pub device_port: u16,
    /// The gateway's port for the core.
    pub link_port: u16,
    /// Where the core dials the link port.
    pub dialed: SocketAddr,
    /// The gateway's health and metrics.
    pub gateway_observe: SocketAddr,
    /// The admin API.
    pub admin: SocketAddr,
    /// The core's health and metrics.
    pub observe: SocketAddr,
}

/// `postern-core init`: a system of a core and one gateway, [`GATEWAY`], in a new state folder.
pub fn init(state: &Path, addresses: &Addresses) {
    let mut command = Command::new(binaries::path("postern-core"));
    command.arg("init").arg("--state").arg(state);
    for (option, value) in [
        ("--gateway", format!("{GATEWAY}={}", addresses.dialed)),
        ("--device-name", addresses.device_name.clone()),
        ("--device-port", addresses.device_port.to_string()),
        ("--link-port", addresses.link_port.to_string()),
        ("--gateway-listen", addresses.gateway_listen.to_string()),
        ("--gateway-observe-listen", addresses.gateway_observe.to_string()),
        ("--admin-listen", addresses.admin.to_string()),
        ("--observe-listen", addresses.observe.to_string()),
    ] {
        command.arg(option).arg(value);
    }
    let output = command.output().expect("postern-core starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The overrides that put the core on a new database of a cluster.
fn postgres(cluster: &Cluster, folder: &Path) -> Vec<(String, String)> {
    let place = cluster.database().expect("a new database");
    let url_file = folder.join("postgres.url");
    std::fs::write(&url_file, place.url.expose_secret()).expect("a file in the site's folder");
    let mut settings = vec![
        ("POSTERN_DATABASE_KIND".to_owned(), "postgres".to_owned()),
        ("POSTERN_DATABASE_URL_FILE".to_owned(), url_file.display().to_string()),
    ];
    if let Some(ca) = &place.ca_file {
        settings.push(("POSTERN_DATABASE_CA".to_owned(), ca.display().to_string()));
    }
    settings
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
