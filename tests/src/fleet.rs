//! Gateways that join a site at run time, each a real process with a folder and ports of its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::{
    binaries,
    process::{self, Process},
    proxy::FaultProxy,
    raw,
    site::{READY, Site},
    wait,
};

/// How long a gateway may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(35);

/// A gateway that joins.
#[derive(Debug)]
pub struct Joiner {
    /// Its name.
    pub name: String,
    /// The bundle's file.
    pub bundle: PathBuf,
    /// Its folder.
    pub state: PathBuf,
    /// Its process, while it runs.
    pub process: Option<Process>,
    /// Between the core and its link port.
    pub proxy: FaultProxy,
    device: u16,
    link: u16,
    observe: u16,
    log: PathBuf,
}

impl Joiner {
    /// Adds a gateway to the site by `posternctl gateway add` with these options more; starts nothing.
    #[must_use]
    pub fn add(site: &Site, name: &str, more: &[&str]) -> Self {
        let [device, link, observe] = process::free_ports();
        let proxy = FaultProxy::before(loopback(link));
        let joiner = Self {
            name: name.to_owned(),
            bundle: site.path(&format!("{name}.bundle")),
            state: site.path(&format!("joined-{name}")),
            process: None,
            proxy,
            device,
            link,
            observe,
            log: site.path(&format!("joined-{name}.log")),
        };
        joiner.make_bundle(site, more);
        joiner
    }

    /// Makes a bundle for this gateway's name and address.
    pub fn make_bundle(&self, site: &Site, more: &[&str]) {
        let _ = std::fs::remove_file(&self.bundle);
        let (address, out) = (self.proxy.address().to_string(), self.bundle.to_string_lossy().into_owned());
        let add = ["gateway", "add", self.name.as_str(), "--address", &address, "-o", &out];
        let _ = site.ctl().ok(&[&add, more].concat());
    }

    /// The same name, bundle and ports with another folder: another machine at the same address.
    #[must_use]
    pub fn on_another_machine(&self, site: &Site) -> Self {
        Self {
            name: self.name.clone(),
            bundle: self.bundle.clone(),
            state: site.path(&format!("other-{}", self.name)),
            process: None,
            proxy: FaultProxy::before(loopback(self.link)),
            device: self.device,
            link: self.link,
            observe: self.observe,
            log: site.path(&format!("other-{}.log", self.name)),
        }
    }

    /// Starts `postern-gateway join` with this bundle; it goes on as the gateway.
    pub fn join(&mut self) {
        let mut command = Command::new(binaries::path("postern-gateway"));
        command.arg("join").arg(&self.bundle).arg("--state").arg(&self.state);
        for (flag, port) in [
            ("--device-listen", self.device),
            ("--link-listen", self.link),
            ("--observe-listen", self.observe),
        ] {
            command.arg(flag).arg(loopback(port).to_string());
        }
        self.process = Some(Process::start(&self.name, &mut command, &self.log));
    }

    /// Starts the joined gateway from its folder.
    pub fn run(&mut self) {
        let mut command = Command::new(binaries::path("postern-gateway"));
        command.arg("run").arg("--config").arg(self.state.join("gateway.toml"));
        self.process = Some(Process::start(&self.name, &mut command, &self.log));
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill_9();
        }
    }

    /// Stops it in order.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(GRACE);
        }
    }

    /// Waits until it is ready: a core behind it, whose lists it holds.
    pub fn wait_ready(&self, site: &Site) {
        let ready = || self.is_ready().then_some(());
        wait::until("the joined gateway's readiness", READY, ready, || self.logs(site));
    }

    /// Whether it says that it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        raw::plain_get(loopback(self.observe), "/readyz").is_ok_and(|answer| answer.status == 200)
    }

    /// A figure of its metrics.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let answer = raw::plain_get(loopback(self.observe), "/metrics").ok()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Its device port.
    #[must_use]
    pub fn device_address(&self) -> SocketAddr {
        loopback(self.device)
    }

    /// What the core shows of it.
    #[must_use]
    pub fn show(&self, site: &Site) -> Value {
        site.ctl().ok(&["gateway", "show", &self.name])
    }

    /// What its settings are to be, as the core shows them.
    #[must_use]
    pub fn settings(&self, site: &Site) -> Value {
        site.ctl().ok(&["gateway", "settings", "get", &self.name])
    }

    /// Everything that it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of the site's logs and its own.
    #[must_use]
    pub fn logs(&self, site: &Site) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        format!("{}\n--- {}\n{tail}", site.logs(), self.name)
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
