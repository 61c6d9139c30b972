//! The system under measurement: the real binaries, a gateway and a core as processes of their own, on a database
//! in a temporary folder, with devices enrolled by the bulk loader.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use postern_core::{
    ca::{Ca, Subject, Validity},
    config,
    init::{InitOptions, NewGateway, init},
};
use postern_store::{
    Ambient, MasterKey, Options, Place, Sealer, Store,
    credentials::Credentials,
    enrolments,
    lists::{self, Change, List},
    testkit::{Cluster, Durability},
};
use postern_wire::{
    auth,
    route::RouteId,
    terms::{AuthType, EnrolmentId, UtcMillis},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use secrecy::ExposeSecret as _;

use crate::{admin::Admin, clock, load::Player};

/// Which database the core runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// SQLite, synchronous=FULL.
    Sqlite,
    /// A private PostgreSQL cluster, fsync on.
    Postgres,
}

/// A running system.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    place: Place,
    cluster: Option<Cluster>,
    config: PathBuf,
    gateway_config: PathBuf,
    core: Option<Child>,
    gateway: Option<Child>,
    /// The device port.
    pub device: SocketAddr,
    core_observe: SocketAddr,
    gateway_observe: SocketAddr,
    admin: SocketAddr,
}

impl Site {
    /// CAs, keys, configuration and an empty database.
    ///
    /// # Errors
    /// PostgreSQL could not be started; the folder could not be made.
    pub(crate) fn prepare(database: Database) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("postern-bench-").tempdir()?;
        let state = folder.path().join("state");
        let (device, link, admin) = (free()?, free()?, free()?);
        let (core_observe, gateway_observe) = (free()?, free()?);
        let mut settings = config::Database::default();
        let (place, cluster) = match database {
            Database::Sqlite => (Place::Sqlite { path: state.join("postern.sqlite") }, None),
            Database::Postgres => {
                let cluster = Cluster::start(Durability::On)?;
                let place = cluster.database()?;
                let file = folder.path().join("database.url");
                std::fs::write(&file, place.url.expose_secret())?;
                settings.kind = config::DatabaseKind::Postgres;
                settings.url_file = Some(file);
                settings.ca = place.ca_file.clone();
                (Place::Postgres(place), Some(cluster))
            }
        };
        let options = InitOptions {
            state: state.clone(),
            gateways: vec![NewGateway {
                name: "bench".into(),
                address: link.to_string(),
                device_listen: device,
                link_listen: link,
                observe_listen: gateway_observe,
            }],
            device_url: format!("https://localhost:{}", device.port()),
            device_names: vec!["localhost".into(), "127.0.0.1".into()],
            admin_names: vec!["localhost".into(), "127.0.0.1".into()],
            admin_listen: admin,
            observe_listen: core_observe,
            database: settings,
        };
        let made =
            init(&options, &postern_actors::SystemClock::new(), &postern_actors::SystemRandom::default())?;
        Ok(Self {
            config: made.config,
            gateway_config: made.gateways.first().context("a gateway's folder")?.join("gateway.toml"),
            folder,
            place,
            cluster,
            core: None,
            gateway: None,
            device,
            core_observe,
            gateway_observe,
            admin,
        })
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Enrols `count` devices straight into the store; the first `players` of them can be played.
    ///
    /// # Errors
    /// The store refused.
    pub(crate) fn enrol(&self, count: usize, players: usize) -> anyhow::Result<Vec<Player>> {
        self.enrol_with(count, players, None)
    }

    /// The same with a password of the server's, so that the devices can be notified.
    ///
    /// # Errors
    /// The store refused.
    pub(crate) fn enrol_with(
        &self,
        count: usize,
        players: usize,
        server_password: Option<&str>,
    ) -> anyhow::Result<Vec<Player>> {
        let state = self.state();
        let key = MasterKey::load(&state.join("keys/master.key"))?;
        let sealer = Sealer::new(&key, &[])?;
        let ca = Ca::load(
            &std::fs::read_to_string(state.join("ca/device-ca.pem"))?,
            &std::fs::read_to_string(state.join("ca/device-ca.key"))?,
        )?;
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(state.join("ca.pem"))? {
            roots.add(root?)?;
        }
        let store =
            Store::open(Options::new(self.place.clone(), uuid::Uuid::from_u128(1)), Ambient::system())?;
        let now = UtcMillis(clock::utc_millis());
        let mut all = Vec::with_capacity(players);
        let mut rows = Vec::new();
        for number in 0..count {
            let id = EnrolmentId(uuid::Uuid::from_u128(
                0x0190_0000_0000_7000_8000_0000_0000_0000 + number as u128,
            ));
            let mut octets = [0_u8; 16];
            octets[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
            octets[8..].copy_from_slice(&(number as u64).to_be_bytes());
            let route = RouteId::from_bytes(octets);
            let device_id = device_id(number);
            let password = format!("password-{number}");
            let mut row = enrolments::Enrolment::new(id, octets, &device_id, AuthType::Md5, now);
            let credentials = Credentials {
                user: device_id.clone(),
                password: Some(password.clone().into()),
                server_id: server_password.map(|_| "postern".to_owned()).unwrap_or_default(),
                server_password: server_password.map(Into::into),
            };
            row.credentials = Some(credentials.seal(&sealer, id)?);
            if number < players {
                let mut serial = [7_u8; 16];
                serial[8..].copy_from_slice(&(number as u64 + 1).to_be_bytes());
                let (issued, key) = ca.issue(&Subject::Device(id), serial, Validity { now, days: 30 })?;
                row.certificate_serial = Some(issued.serial.clone());
                row.certificate_fingerprint = Some(issued.fingerprint);
                row.certificate_not_after = Some(issued.not_after);
                let mut tls = rustls::ClientConfig::builder()
                    .with_root_certificates(roots.clone())
                    .with_client_auth_cert(
                        CertificateDer::pem_slice_iter(issued.pem.as_bytes())
                            .collect::<Result<Vec<_>, _>>()?,
                        PrivateKeyDer::from_pem_slice(key.as_bytes())?,
                    )?;
                tls.resumption = rustls::client::Resumption::disabled();
                all.push(Player {
                    path: route.path(),
                    device_id: device_id.clone(),
                    user: device_id,
                    password_hash: auth::user_password_hash(&row.device_id, &password),
                    tls: Arc::new(tls),
                });
            }
            rows.push(row);
            if rows.len() == 1000 || number + 1 == count {
                let batch = std::mem::take(&mut rows);
                store.write_blocking(move |tx| {
                    enrolments::insert_many(tx, batch.clone())?;
                    let routes = batch
                        .iter()
                        .map(|row| Change::Add {
                            entry: RouteId::from_bytes(row.route).hash().to_string(),
                            verdict: String::new(),
                        })
                        .collect::<Vec<_>>();
                    lists::change(tx, List::Routes, &routes).map(|_| ())
                })?;
            }
        }
        store.shutdown();
        Ok(all)
    }

    /// Starts core and gateway and waits until a device would be served.
    ///
    /// # Errors
    /// One of them did not get ready within a minute.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.core =
            Some(self.spawn("postern-core", &self.config.clone(), "core.log", &[without_readings()])?);
        self.gateway =
            Some(self.spawn("postern-gateway", &self.gateway_config.clone(), "gateway.log", &[])?);
        self.wait_ready(self.core_observe)?;
        self.wait_ready(self.gateway_observe)
    }

    /// Starts only the gateway and waits until it listens.
    ///
    /// # Errors
    /// The binary is missing.
    pub(crate) fn start_gateway(&mut self) -> anyhow::Result<()> {
        self.gateway =
            Some(self.spawn("postern-gateway", &self.gateway_config.clone(), "gateway.log", &[])?);
        for _ in 0..200 {
            if std::net::TcpStream::connect(self.device).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the gateway does not listen")
    }

    /// Starts only the core; does not wait.
    ///
    /// # Errors
    /// The binary is missing.
    pub(crate) fn start_core(&mut self) -> anyhow::Result<()> {
        self.core = Some(self.spawn("postern-core", &self.config.clone(), "core.log", &[])?);
        Ok(())
    }

    /// Starts a second core on the same database, as a standby; it becomes the site's core when the first is killed.
    ///
    /// # Errors
    /// The binary is missing, or the standby does not come up.
    pub(crate) fn start_standby(&self) -> anyhow::Result<Child> {
        let observe = free()?;
        let environment = [
            ("POSTERN_ADMIN_LISTEN", free()?.to_string()),
            ("POSTERN_OBSERVE_LISTEN", observe.to_string()),
            without_readings(),
        ];
        let child = self.spawn("postern-core", &self.config.clone(), "standby.log", &environment)?;
        for _ in 0..200 {
            if std::net::TcpStream::connect(observe).is_ok() {
                return Ok(child);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!(
            "the standby does not come up: {}",
            std::fs::read_to_string(self.folder.path().join("standby.log"))?
        )
    }

    /// Makes `core` the core that is stopped at the end.
    pub(crate) fn adopt(&mut self, core: Child) {
        self.core = Some(core);
    }

    /// Codes for break-glass, as somebody makes them on the core's host and puts them into the safe.
    ///
    /// # Errors
    /// The core refused.
    pub(crate) fn break_glass_codes(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let made = Command::new(binary("postern-core")?)
            .args(["break-glass-codes", "--count", &count.to_string(), "--config"])
            .arg(&self.config)
            .output()?;
        if !made.status.success() {
            bail!("break-glass-codes: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(String::from_utf8(made.stdout)?.lines().map(str::to_owned).collect())
    }

    /// Waits until so many devices listen at the gateway, as it says itself.
    ///
    /// # Errors
    /// They do not within some seconds, or the gateway does not answer.
    pub(crate) fn wait_listeners(&self, count: usize) -> anyhow::Result<()> {
        use std::io::{Read as _, Write as _};
        let wanted = format!("postern_gateway_listeners {count}");
        for _ in 0..2_000 {
            let mut stream = std::net::TcpStream::connect(self.gateway_observe)?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            if answer.lines().any(|line| line == wanted) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("{count} devices do not listen at the gateway")
    }

    /// A client of the admin API.
    ///
    /// # Errors
    /// The token or the CA cannot be read.
    pub(crate) fn admin(&self) -> anyhow::Result<Admin> {
        let base = format!("https://localhost:{}", self.admin.port());
        Admin::new(base, &self.state().join("ca.pem"), &self.state().join("admin.token"))
    }

    /// Process ids of core and gateway.
    ///
    /// # Errors
    /// They do not run.
    pub(crate) fn pids(&self) -> anyhow::Result<(u32, u32)> {
        Ok((self.core.as_ref().context("no core")?.id(), self.gateway.as_ref().context("no gateway")?.id()))
    }

    /// Process id of the gateway.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn gateway_pid(&self) -> anyhow::Result<u32> {
        Ok(self.gateway.as_ref().context("no gateway")?.id())
    }

    /// CPU time of core, gateway, and the database's processes so far.
    ///
    /// # Errors
    /// A process is gone.
    pub(crate) fn cpu(&self) -> anyhow::Result<(Duration, Duration, Duration)> {
        let (core, gateway) = self.pids()?;
        let database = self.cluster.as_ref().map_or(Ok(Duration::ZERO), |cluster| {
            clock::cpu_of_tree(clock::pid_with(&format!("port={}", cluster.port()))?)
        })?;
        Ok((clock::cpu_of(core)?, clock::cpu_of(gateway)?, database))
    }

    /// Stops the core at once (kill -9).
    pub(crate) fn kill_core(&mut self) {
        if let Some(mut core) = self.core.take() {
            // It is ours and may be gone already; either way it is gone after this.
            let _ = core.kill();
            let _ = core.wait();
        }
    }

    /// The gateway's and the core's certificates and keys for the baseline: (certificate, key, client CA).
    pub(crate) fn device_tls(&self) -> (PathBuf, PathBuf, PathBuf) {
        let folder = self.gateway_config.parent().unwrap_or(Path::new("/")).to_owned();
        (folder.join("device.pem"), folder.join("device.key"), folder.join("device-ca.pem"))
    }

    fn spawn(
        &self,
        name: &str,
        config: &Path,
        log: &str,
        environment: &[(&str, String)],
    ) -> anyhow::Result<Child> {
        let file =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join(log))?;
        Command::new(binary(name)?)
            .args(["run", "--config"])
            .arg(config)
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {name}"))
    }

    fn wait_ready(&self, address: SocketAddr) -> anyhow::Result<()> {
        use std::io::{Read as _, Write as _};
        for _ in 0..600 {
            if let Ok(mut stream) = std::net::TcpStream::connect(address) {
                stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
                let mut answer = String::new();
                // A server that is just starting may reset; then it is asked again.
                let _ = stream.read_to_string(&mut answer);
                if answer.split_whitespace().nth(1) == Some("200") {
                    return Ok(());
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let logs = ["core.log", "gateway.log"]
            .map(|log| std::fs::read_to_string(self.folder.path().join(log)).unwrap_or_default());
        bail!("{address} was not ready within a minute\n{}\n{}", logs[0], logs[1])
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Core and gateway go before the database that they use.
        for child in [self.gateway.take(), self.core.take()].into_iter().flatten() {
            let mut child = child;
            // Ours, recorded by handle; nothing to do when it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(cluster) = &self.cluster {
            cluster.stop();
        }
    }
}

/// A binary of the same build, beside this one.
pub(crate) fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is missing: build it first with `cargo build --release -p {name}`", path.display());
    }
    Ok(path)
}

/// A free loopback address.
pub(crate) fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// The DevId of the device with this number.
pub(crate) fn device_id(number: usize) -> String {
    format!("BENCH:{number:06}")
}

/// An idle check-in has nothing to say: what a first session reads of a device is not asked for.
fn without_readings() -> (&'static str, String) {
    ("POSTERN_DEVICES_READ_CONFIGURATION", "false".to_owned())
}
