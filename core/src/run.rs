//! Starting and stopping a core: the store, the admin port, the observe port, and the part that only the active
//! core plays ([`crate::inside::Active`]).
//!
//! Promise: a refusal to start is one sentence that says what to do. An expired certificate, an unreachable gateway
//! or a database that another core holds is no reason to refuse: the core starts degraded, or stands by, and says so.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle};
use arc_swap::ArcSwapOption;
use postern_actors::{Clock, Randomness, SystemClock, SystemRandom};
use postern_store::{Activity, Ambient, MasterKey, Options, Place, PostgresPlace, Sealer, Store, StoreError};
use tokio::sync::watch;

use crate::{
    active,
    admin::{self, auth::SignIns},
    ca::Authorities,
    config::{Config, ConfigError, DatabaseKind},
    device::MessageKey,
    files::{self, FileError},
    inside::Inside,
    keys::{KeyError, SigningKey},
    observe,
    register::Registered,
    tls::{self, Certificate, TlsError},
};

/// A TLS handshake of an admin may take so long.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// A request's headers may take so long.
const HEADERS: Duration = Duration::from_secs(20);
/// A connection may be idle so long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections of admins at once, for each worker.
const CONNECTIONS: usize = 1024;

/// The clock and the random source that a core works with.
#[derive(Clone)]
pub struct Edge {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Randomness>,
}

impl Edge {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock::new()), random: Arc::new(SystemRandom::default()) }
    }
}

/// Why a core did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of the state folder cannot be read.
    #[error("{0}; restore it from your backup, or make a new state folder with `postern-core init`")]
    File(#[from] FileError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The admin port's certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Store(#[from] StoreError),
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

/// Where a core listens; a port 0 of the configuration is a real one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The admin API.
    pub admin: SocketAddr,
    /// Health, readiness and metrics.
    pub observe: SocketAddr,
}

/// A running core.
pub struct Core {
    inside: Arc<Inside>,
    addresses: Addresses,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    registered: Registered,
}

/// Runs a core until `shutdown`, or until another core took its database over.
///
/// # Errors
/// [`StartError`].
pub async fn run(
    config: Config,
    edge: Edge,
    shutdown: impl Future<Output = ()>,
) -> Result<Ended, StartError> {
    let core = blocking(move || Core::start(config, edge)).await?;
    let mut activity = core.inside.store.activity();
    let ended = tokio::select! {
        () = shutdown => Ended::Asked,
        _ = activity.wait_for(|activity| matches!(activity, Activity::Lost | Activity::Stopped)) => Ended::Replaced,
    };
    blocking(move || {
        core.stop();
        Ok(())
    })
    .await?;
    Ok(ended)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StartError::Thread(io::Error::other(error)))?
}

/// Why a core ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Asked,
    /// Another core took over: this process should be started anew, to stand by.
    Replaced,
}

impl Core {
    /// Starts a core on threads of its own. Blocks until its ports are open; call it off a runtime's thread.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: Config, edge: Edge) -> Result<Self, StartError> {
        config.check()?;
        let admin = listen("admin port", "admin.listen", config.admin.listen)?;
        let observe = listen("observe port", "observe.listen", config.observe.listen)?;
        let addresses = Addresses { admin: admin.local_addr()?, observe: observe.local_addr()? };
        let certificate =
            Certificate::load(&config.at(&config.admin.certificate), &config.at(&config.admin.key))?;
        let message_key = SigningKey::load(&config.at(&config.keys.message))?;
        let message_key_ = MessageKey::from_pkcs8(message_key.pkcs8())
            .map_err(|_| KeyError::NotAKey { path: config.keys.message.display().to_string() })?;
        let inside = Arc::new(open(config, &edge, &message_key)?);
        let own = options(&inside.config, inside.store.holder())?;
        let registered = Registered::start(Arc::clone(&inside), own, addresses.admin.to_string())?;
        let (stop, stopped) = watch::channel(false);
        let (told, started) = mpsc::channel();
        let ports = Ports { admin, observe, certificate, message_key: Arc::new(message_key_) };
        let thread = {
            let inside = Arc::clone(&inside);
            thread::Builder::new().name("postern-core".to_owned()).spawn(move || {
                actix_rt::System::new().block_on(serve(inside, ports, stopped, told));
            })?
        };
        let core = Self { inside, addresses, stop, thread, registered };
        match started.recv() {
            Ok(Ok(())) => {
                tracing::info!(admin = %addresses.admin, observe = %addresses.observe, "core started");
                Ok(core)
            }
            Ok(Err(error)) => {
                core.stop();
                Err(error)
            }
            Err(_) => {
                core.stop();
                Err(StartError::Thread(io::Error::other("the core's own thread ended at its start")))
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Its inside, for who runs it in the same process.
    #[must_use]
    pub fn inside(&self) -> &Arc<Inside> {
        &self.inside
    }

    /// Whether devices can be served: it is active and watched by a gateway.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let active = self.inside.active.load_full();
        active.is_some_and(|active| active.links.status().iter().any(|link| link.watching))
    }

    /// Whether it is the active core and its admin API takes orders.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.inside.active.load().is_some()
    }

    /// Drains and stops: what runs is finished, the epoch is released. Blocks.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            tracing::error!("the core's own thread panicked");
        }
        self.registered.stop();
        self.inside.store.shutdown();
    }
}

struct Ports {
    admin: TcpListener,
    observe: TcpListener,
    certificate: Arc<Certificate>,
    message_key: Arc<MessageKey>,
}

fn listen(port: &'static str, key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::Busy { port, address, key },
        _ => StartError::Listen { port, address, key, source },
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Opens the store and reads the keys.
fn open(config: Config, edge: &Edge, message_key: &SigningKey) -> Result<Inside, StartError> {
    let troubles: Vec<String> = Vec::new();
    let audit_key = SigningKey::load(&config.at(&config.keys.audit))?;
    let order_key = SigningKey::load(&config.at(&config.keys.order))?;
    let master = MasterKey::load(&config.at(&config.keys.master))?;
    let sealer = Arc::new(Sealer::new(&master, &[])?);
    let authorities = Arc::new(Authorities::new(&config, Arc::clone(&edge.random)));
    for trouble in &troubles {
        tracing::error!(trouble, "starting degraded");
    }
    let now = edge.clock.wall();
    let options = options(&config, edge.random.id(now))?;
    let clock = Arc::clone(&edge.clock);
    let store = Store::open(options, Ambient::with_clock(Arc::new(move || clock.wall())))?;
    Ok(Inside {
        store,
        sealer,
        clock: Arc::clone(&edge.clock),
        random: Arc::clone(&edge.random),
        authorities,
        certificates_due: tokio::sync::Notify::new(),
        audit_key,
        message_public_pem: message_key.public_pem().to_owned(),
        order_public_pem: order_key.public_pem().to_owned(),
        order_key: Arc::new(order_key),
        objects: postern_actors::objects::Objects::default(),
        active: ArcSwapOption::empty(),
        sign_ins: SignIns::default(),
        tries: admin::sign_in::Tries::default(),
        troubles: Mutex::new(troubles),
        supervisors: crate::supervisors::Supervisors::default(),
        started_at: now,
        config,
    })
}

pub(crate) fn options(config: &Config, holder: uuid::Uuid) -> Result<Options, StartError> {
    let database = &config.database;
    let at = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| config.at(path));
    let place = match database.kind {
        DatabaseKind::Sqlite => Place::Sqlite { path: config.at(&database.path) },
        DatabaseKind::Postgres => {
            let file = at(&database.url_file).unwrap_or_default();
            let mut place = PostgresPlace::at(files::read(&file)?.trim());
            place.ca_file = at(&database.ca);
            place.client_certificate_file = at(&database.certificate);
            place.client_key_file = at(&database.key);
            Place::Postgres(place)
        }
    };
    let mut options = Options::new(place, holder);
    options.readers = database.readers;
    options.queue_limit = database.queue;
    options.retry_for = Duration::from_secs(database.retry_s);
    Ok(options)
}

/// The core's own thread: both ports and the active part, until `stop`.
async fn serve(
    inside: Arc<Inside>,
    ports: Ports,
    stop: watch::Receiver<bool>,
    told: mpsc::Sender<Result<(), StartError>>,
) {
    let Ports { admin, observe, certificate, message_key } = ports;
    let servers = match servers(&inside, admin, observe, &certificate) {
        Ok(servers) => servers,
        Err(error) => {
            let _ = told.send(Err(error));
            return;
        }
    };
    let fresh = actix_rt::spawn(certificate.keep_fresh());
    let _ = told.send(Ok(()));
    active::stand(Arc::clone(&inside), message_key, stop.clone()).await;
    // Also when the epoch was lost: the API answers (as a standby does) until this core is stopped.
    let mut stop = stop;
    let _ = stop.wait_for(|stop| *stop).await;
    fresh.abort();
    for server in servers {
        server.stop(true).await;
    }
}

fn servers(
    inside: &Arc<Inside>,
    admin: TcpListener,
    observe: TcpListener,
    certificate: &Arc<Certificate>,
) -> Result<[ServerHandle; 2], StartError> {
    let api = admin::configure(inside);
    let tls = tls::server_config(Arc::clone(certificate))?;
    let admin = HttpServer::new(move || App::new().configure(api.clone()))
        .workers(inside.config.admin.workers)
        .tcp_nodelay(true)
        .tls_handshake_timeout(HANDSHAKE)
        .client_request_timeout(HEADERS)
        .keep_alive(KEEP_ALIVE)
        .max_connections(CONNECTIONS)
        .shutdown_timeout(5)
        .disable_signals()
        .listen_rustls_0_23(admin, tls)?
        .run();
    let figures = observe::configure(inside);
    let observe = HttpServer::new(move || App::new().configure(figures.clone()))
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(observe)?
        .run();
    let handles = [admin.handle(), observe.handle()];
    actix_rt::spawn(admin);
    actix_rt::spawn(observe);
    Ok(handles)
}
