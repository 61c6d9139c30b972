//! A gateway with real ports in this process, cores dialing it with the core's own link code, and certificates made for
//! the test. What stands behind the core is a recorder that answers each message with its own octets.

pub(crate) mod core_stub;
pub(crate) mod fake_core;
pub(crate) mod identities;

use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use postern_core::links::{GatewayTarget, LinkFiles};
use postern_gateway::{Clock, Config, Gateway};
use postern_tests::{
    raw::{self, Identity, Response, Tls},
    wait,
};
use postern_wire::{link::Settings, route::RouteId, terms::UtcMillis};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) use core_stub::CoreStub;
pub(crate) use identities::{Authority, Leaf};

/// The gateway's name.
pub(crate) const NAME: &str = "edge";
/// How long a test waits for something that should come soon.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// A message of a device.
pub(crate) const MESSAGE: &[u8] =
    include_bytes!("../../../schema/wire/tests/data/omadm/xml/own_01_pkg1_nocred_1201.xml");
/// Its content type.
pub(crate) const XML: (&str, &str) = ("Content-Type", "application/vnd.syncml.dm+xml");

/// One gateway, its certificates and its folder.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) server_ca: Authority,
    pub(crate) device_ca: Authority,
    pub(crate) retired_ca: Authority,
    pub(crate) link_ca: Authority,
    pub(crate) config: Config,
    gateway: Option<Gateway>,
}

impl Site {
    /// A gateway that runs, with no core.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// With another configuration.
    pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut site = Self::prepare();
        change(&mut site.config);
        site.start_gateway();
        site
    }

    /// Everything but a running gateway.
    pub(crate) fn prepare() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = |name: &str| Authority::new(name);
        let (server_ca, device_ca, retired_ca, link_ca) =
            (authority("server"), authority("device"), authority("device old"), authority("link"));
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let pair = |name: &str, identity: &Identity| {
            let certificate = write(&format!("{name}.pem"), &identity.certificate_pem);
            (certificate, write(&format!("{name}.key"), &identity.key_pem))
        };
        let device = pair("device", &server_ca.issue(&Leaf::server("localhost")));
        let link = pair("link", &link_ca.issue(&Leaf::gateway(NAME)));
        pair("core", &link_ca.issue(&Leaf::core("one")));
        let device_authority = write("device-ca.pem", &device_ca.pem);
        let retired_authority = write("device-ca-retired.pem", &retired_ca.pem);
        let link_authority = write("link-ca.pem", &link_ca.pem);
        let any = "127.0.0.1:0";
        let text = format!(
            "name = {NAME:?}\nstate = {state:?}\nworkers = 2\ndrain_s = 5\n\
             [device]\nlisten = {any:?}\ncertificate = {:?}\nkey = {:?}\nauthority = {device_authority:?}\n\
             retired_authority = {retired_authority:?}\nhandshake_s = 2\n\
             [link]\nlisten = {any:?}\ncertificate = {:?}\nkey = {:?}\nauthority = {link_authority:?}\n\
             accept_s = 2\nping_idle_ms = 400\nping_limit_ms = 300\n[observe]\nlisten = {any:?}\n",
            device.0,
            device.1,
            link.0,
            link.1,
            state = folder.path().join("state"),
        );
        let file = write("gateway.toml", &text);
        let config = Config::read(&file, []).expect("the configuration is good");
        Self { folder, server_ca, device_ca, retired_ca, link_ca, config, gateway: None }
    }

    pub(crate) fn start_gateway(&mut self) {
        let gateway = Gateway::start(self.config.clone(), clock(), boot_id()).expect("the gateway starts");
        // The same ports after a restart: a core dials what it has been told.
        self.config.device.listen = gateway.addresses().device;
        self.config.link.listen = gateway.addresses().link;
        self.config.observe.listen = gateway.addresses().observe;
        self.gateway = Some(gateway);
    }

    pub(crate) fn stop_gateway(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop();
        }
    }

    pub(crate) fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().expect("the gateway runs")
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("the gateway runs")
    }

    pub(crate) fn target(&self) -> GatewayTarget {
        GatewayTarget { name: NAME.to_owned(), address: self.config.link.listen.to_string() }
    }

    pub(crate) fn core_files(&self) -> LinkFiles {
        let file = |name: &str| self.folder.path().join(name);
        LinkFiles { certificate: file("core.pem"), key: file("core.key"), authority: file("link-ca.pem") }
    }

    /// Puts another identity where cores read theirs.
    pub(crate) fn write_identity(&self, name: &str, identity: &Identity) {
        let put = |end: &str, text: &str| {
            fs::write(self.folder.path().join(format!("{name}.{end}")), text).expect("written");
        };
        put("pem", &identity.certificate_pem);
        put("key", &identity.key_pem);
    }

    pub(crate) fn state_file(&self, name: &str) -> PathBuf {
        self.config.state.join(name)
    }

    /// Until messages can be relayed.
    pub(crate) fn wait_until_ready(&self) {
        let why = || {
            let readiness = raw::plain_get(self.gateway().addresses().observe, "/readyz");
            readiness.map_or_else(|e| e.to_string(), |r| String::from_utf8_lossy(&r.body).into_owned())
        };
        wait::until("the gateway to be ready", SOON, || self.gateway().is_ready().then_some(()), why);
    }

    pub(crate) fn wait_until_not_ready(&self) {
        let ready = || (!self.gateway().is_ready()).then_some(());
        wait::until("the gateway to have no core", SOON, ready, String::new);
    }

    pub(crate) fn connect(&self, identity: Option<&Identity>) -> Tls {
        let config = raw::client_config(&self.server_ca.pem, identity);
        Tls::connect(self.gateway().addresses().device, "localhost", config).expect("connected")
    }

    /// One message over a connection of its own.
    pub(crate) fn post(&self, path: &str) -> Response {
        self.connect(None).post(path, &[XML], MESSAGE).expect("an answer")
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = raw::plain_get(self.gateway().addresses().observe, "/metrics").expect("metrics").body;
        let text = String::from_utf8(text).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    pub(crate) fn refusals(&self, reason: &str) -> f64 {
        self.metric(&format!("postern_gateway_refusals_total{{reason=\"{reason}\"}}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop_gateway();
    }
}

/// Route number `number`.
pub(crate) fn route(number: u8) -> RouteId {
    RouteId::from_bytes([number; 16])
}

/// Settings of version 1 with quick limits.
pub(crate) fn settings() -> Settings {
    Settings { version: 1, link_wait_ms: 2_000, retry_after_s: 17, ..Settings::default() }
}

/// An address where nothing listens.
pub(crate) fn nowhere() -> SocketAddr {
    TcpListener::bind((IpAddr::from([127, 0, 0, 1]), 0)).expect("a port").local_addr().expect("its address")
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("readable")
}

pub(crate) fn clock() -> Clock {
    Arc::new(now)
}

#[expect(clippy::disallowed_methods, reason = "the tests' edge")]
pub(crate) fn now() -> UtcMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    UtcMillis(i64::try_from(since.as_millis()).expect("before year 292 million"))
}

#[expect(clippy::disallowed_methods, reason = "the tests' edge")]
pub(crate) fn boot_id() -> Uuid {
    Uuid::new_v4()
}
