//! Starting, draining and stopping a gateway: its ports, its threads, its chores.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use crate::{
    config::{Config, ConfigError},
    device_port, identity,
    link_port::{
        cores::reconsider,
        keep,
        link::{self, Accepted},
    },
    observe_port,
    pem::PemError,
    ports::{self, Ports},
    settings,
    shared::{Clock, Phase, Retirement, SetLog, Shared},
};

/// So many connections to the link port may be unproven at once.
const UNPROVEN_LINKS: usize = 64;
/// How often it is looked which core is to be used, beside every event.
const LOOK: Duration = Duration::from_millis(250);
/// How often changed routes are written.
const WRITE: Duration = Duration::from_secs(2);
/// How often it is looked whether a certificate file has changed.
const FILES: Duration = Duration::from_secs(5);
/// How often it is looked whether a certificate is to be renewed.
const RENEW: Duration = Duration::from_secs(1);
/// How often it is settled how many links are wanted.
const SETTLE: Duration = Duration::from_secs(30);

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Files(#[from] PemError),
    /// The state folder cannot be used.
    #[error(
        "the state folder {path} cannot be used: {source}; make it writable for this user or set `state`"
    )]
    State {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program has the port.
    #[error("the {port} {address} is in use by another program: stop that, or set `{key}` to another port")]
    Busy {
        /// Which port.
        port: &'static str,
        /// Its address.
        address: SocketAddr,
        /// The key that sets it.
        key: &'static str,
    },
    /// The port cannot be had.
    #[error("cannot listen on the {port} {address}: {source}; see `{key}`")]
    Listen {
        /// Which port.
        port: &'static str,
        /// Its address.
        address: SocketAddr,
        /// The key that sets it.
        key: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A thread or its runtime could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] io::Error),
}

/// A running gateway.
pub struct Gateway {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    addresses: Addresses,
}

/// What a gateway may be started with besides its configuration.
#[derive(Clone, Default)]
pub struct Extra {
    /// Sets the program's log filter; without it the settings cannot change it.
    pub set_log: Option<SetLog>,
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The device port.
    pub device: SocketAddr,
    /// The link port.
    pub link: SocketAddr,
    /// Health, readiness and metrics.
    pub observe: SocketAddr,
}

impl Gateway {
    /// Starts a gateway on threads of its own. `boot` is a random id, made anew at each start.
    ///
    /// # Errors
    /// [`StartError`], with a sentence that says what to do.
    pub fn start(config: Config, clock: Clock, boot: Uuid) -> Result<Self, StartError> {
        Self::start_with(config, clock, boot, Extra::default())
    }

    /// Like [`Gateway::start`], with more.
    ///
    /// # Errors
    /// [`StartError`], with a sentence that says what to do.
    pub fn start_with(config: Config, clock: Clock, boot: Uuid, extra: Extra) -> Result<Self, StartError> {
        config.check()?;
        fs::create_dir_all(&config.state)
            .map_err(|source| StartError::State { path: config.state.clone(), source })?;
        let workers = match config.workers {
            0 => thread::available_parallelism().map_or(2, usize::from),
            workers => workers,
        };
        // Looked at before the files are read: a change in between is noticed.
        let seen = changed_at(&config);
        let (started_with, link_at, observe_at) =
            (config.device.listen, config.link.listen, config.observe.listen);
        let shared = Shared::new(config, clock, boot, workers, extra.set_log, |settings| {
            Ports::bind(&settings.device_addresses(started_with))
                .map_err(|(address, source)| cannot_listen("device port", "device.listen", address, source))
        })?;
        let shared = Arc::new(shared);
        let link = listen("link port", "link.listen", link_at)?;
        let observe = listen("metrics port", "observe.listen", observe_at)?;
        let addresses = Addresses {
            device: shared.ports.addresses().first().copied().unwrap_or(started_with),
            link: link.local_addr()?,
            observe: observe.local_addr()?,
        };
        let mut gateway = Self { shared, threads: Vec::new(), addresses };
        let mut to_workers = Vec::new();
        for worker in 0..workers {
            let (accepted, links) = mpsc::unbounded_channel();
            to_workers.push(accepted);
            let shared = Arc::clone(&gateway.shared);
            gateway.spawn(format!("gateway-{worker}"), move || work(shared, worker, links))?;
        }
        let shared = Arc::clone(&gateway.shared);
        gateway
            .spawn("gateway-control".to_owned(), move || control(shared, link, to_workers, observe, seen))?;
        tracing::info!(?addresses, workers, "gateway started");
        Ok(gateway)
    }

    /// Where it listens; a port 0 of the configuration is a real one here.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Whether messages can be relayed now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.cores.active().is_some()
    }

    /// What is wrong now, a sentence each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.shared.troubles()
    }

    /// Waits until the core has retired this gateway: everything that made it one is put away, and the core knows.
    pub async fn retired(&self) {
        // The sender lives in `self`: waiting cannot fail.
        let _ = self.shared.retirement.subscribe().wait_for(|told| *told == Retirement::Told).await;
    }

    /// Reads certificates and keys again, for new connections; what fails leaves the ones before in use.
    pub fn reload_certificates(&self) {
        self.shared.reload_certificates();
    }

    /// Takes nothing new, lets what runs finish (at most `drain_s`), then stops.
    pub async fn drain(self) {
        self.shared.advance(Phase::Draining);
        let counters = &self.shared.counters;
        let finished = async {
            while counters.connections() > 0 || counters.messages_in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = Duration::from_secs(self.shared.config.drain_s);
        if tokio::time::timeout(limit, finished).await.is_err() {
            tracing::warn!(connections = counters.connections(), "drain limit passed, connections are cut");
        }
        self.stop();
    }

    /// Stops at once and waits for the threads.
    pub fn stop(mut self) {
        self.shared.advance(Phase::Stopped);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a gateway thread has panicked");
            }
        }
        tracing::info!("gateway stopped");
    }

    fn spawn<F: Future<Output = ()> + 'static>(
        &mut self,
        name: String,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let runtime_needed = move || {
            let mut phase = shared.phase();
            let runtime = match actix_rt::Runtime::new() {
                Ok(runtime) => runtime,
                Err(error) => return tracing::error!(%error, "a gateway thread has no runtime"),
            };
            runtime.block_on(async move {
                tokio::select! {
                    () = work() => {}
                    _ = phase.wait_for(|phase| *phase == Phase::Stopped) => {}
                }
            });
        };
        self.threads.push(thread::Builder::new().name(name).spawn(runtime_needed)?);
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.advance(Phase::Stopped);
    }
}

/// Runs a gateway until `shutdown`, then drains it.
///
/// # Errors
/// [`StartError`] when it did not start.
pub async fn run(
    config: Config,
    clock: Clock,
    boot: Uuid,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let gateway = Gateway::start(config, clock, boot)?;
    shutdown.await;
    gateway.drain().await;
    Ok(())
}

fn listen(port: &'static str, key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    ports::bind(address).map_err(|source| cannot_listen(port, key, address, source))
}

fn cannot_listen(
    port: &'static str,
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
) -> StartError {
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::Busy { port, address, key },
        _ => StartError::Listen { port, address, key, source },
    }
}

/// A worker: devices, and the links that it drives.
async fn work(shared: Arc<Shared>, worker: usize, links: mpsc::UnboundedReceiver<Accepted>) {
    actix_rt::spawn(link::drive(Arc::clone(&shared), worker, links));
    actix_rt::spawn(device_port::serve::ports(Arc::clone(&shared), worker));
    keep::keep(shared, worker).await;
}

/// The control thread: accepts links for the workers, answers on the metrics port, and does the chores.
async fn control(
    shared: Arc<Shared>,
    link: TcpListener,
    workers: Vec<mpsc::UnboundedSender<Accepted>>,
    observe: TcpListener,
    seen: FileTimes,
) {
    actix_rt::spawn(accept_links(Arc::clone(&shared), link, workers));
    actix_rt::spawn(observe_port::serve(Arc::clone(&shared), observe));
    chores(shared, seen).await;
}

/// Gives each accepted link to the workers in turn.
async fn accept_links(
    shared: Arc<Shared>,
    listener: TcpListener,
    workers: Vec<mpsc::UnboundedSender<Accepted>>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return shared.trouble("link port", Some(error.to_string())),
    };
    let unproven = Arc::new(Semaphore::new(UNPROVEN_LINKS));
    for turn in 0_usize.. {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a link cannot be accepted");
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        let (Ok(unproven), Ok(stream)) = (Arc::clone(&unproven).try_acquire_owned(), stream.into_std())
        else {
            shared.counters.links_refused.add(1);
            continue;
        };
        // A worker that is gone: the gateway stops.
        let _ = workers[turn % workers.len()].send(Accepted { stream, peer, unproven });
    }
}

async fn chores(shared: Arc<Shared>, mut seen: FileTimes) {
    let mut look = tokio::time::interval(LOOK);
    let (mut write, mut files, mut settle) =
        (tokio::time::interval(WRITE), tokio::time::interval(FILES), tokio::time::interval(SETTLE));
    let mut renew = tokio::time::interval(RENEW);
    loop {
        tokio::select! {
            _ = look.tick() => {
                reconsider(&shared);
                settings::look(&shared);
            }
            _ = renew.tick() => identity::look(&shared),
            _ = write.tick() => write_routes(&shared).await,
            _ = settle.tick() => shared.pool.settle_want(&shared),
            _ = files.tick() => {
                let now = changed_at(&shared.config);
                if now != seen {
                    seen = now;
                    shared.reload_certificates();
                }
            }
        }
    }
}

async fn write_routes(shared: &Arc<Shared>) {
    if !shared.routes_to_write.swap(false, Ordering::Relaxed) {
        return;
    }
    let for_writing = Arc::clone(shared);
    let written = actix_rt::task::spawn_blocking(move || {
        for_writing.list_files.store_routes(&for_writing.lists.load())
    });
    let trouble = match written.await {
        Ok(written) => written.err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    if trouble.is_some() {
        shared.routes_to_write.store(true, Ordering::Relaxed);
    }
    shared.trouble("routes on disk", trouble);
}

/// When each file of the configuration was last changed.
type FileTimes = Vec<Option<SystemTime>>;

fn changed_at(config: &Config) -> FileTimes {
    let changed = |path| fs::metadata(path).and_then(|data| data.modified()).ok();
    config.files().into_iter().map(|(_, path)| changed(path)).collect()
}
