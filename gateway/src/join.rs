//! How a gateway becomes one: `postern-gateway join BUNDLE` (the exchange is in `postern_wire::link::join`).
//!
//! Promise: it opens no connection; it listens on the link port until a core has dialed and both have proved the bundle's
//! one-time secret on that connection. Keys are made here first and kept, so that a crash at any point repeats the same
//! join; `gateway.toml` is written last, so a folder with one is a joined gateway and one without is none.

mod exchange;
mod store;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use postern_wire::link::join::{BUNDLE_FORMAT, Bundle};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time::timeout};

use crate::{
    config::{Config, ConfigError},
    keys::KeysError,
    ports,
    shared::Clock,
};

use exchange::Joining;

/// So many connections may be trying at once.
const AT_ONCE: usize = 16;
/// A join has so long from its first octet to its last.
const LIMIT: Duration = Duration::from_secs(30);
/// After a refusal the next try is taken up so much later.
const PAUSE: Duration = Duration::from_millis(200);

/// What the person who joins a gateway may choose; the rest is in the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinOptions {
    /// The folder of the new gateway.
    pub state: PathBuf,
    /// Where devices are listened for, until settings say otherwise. Default `0.0.0.0:443`.
    pub device_listen: Option<SocketAddr>,
    /// Where the core is listened for. Default: any address, the bundle's port.
    pub link_listen: Option<SocketAddr>,
    /// Health and metrics, on loopback. Default `127.0.0.1:9464`.
    pub observe_listen: Option<SocketAddr>,
}

/// Why a gateway has not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinModeError {
    /// The bundle cannot be read.
    #[error("{path} is not a bundle: {message}")]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The bundle's time is over.
    #[error(
        "the bundle of gateway {0:?} has expired; make another with `posternctl gateway add {0} --replace`"
    )]
    Expired(String),
    /// The folder is another gateway's.
    #[error("{path} is the folder of gateway {name:?}; give another --state")]
    Taken {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        name: String,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key cannot be made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The configuration that was written is not good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The link port cannot be had.
    #[error("cannot listen on the link port {address}: {source}; see --link-listen")]
    Listen {
        /// Its address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Reads a bundle.
///
/// # Errors
/// [`JoinModeError::Bundle`].
pub fn read_bundle(path: &Path) -> Result<Bundle, JoinModeError> {
    let wrong = |message: String| JoinModeError::Bundle { path: path.to_owned(), message };
    let text = zeroize::Zeroizing::new(std::fs::read(path).map_err(|error| wrong(error.to_string()))?);
    let bundle: Bundle = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    match bundle.bundle {
        BUNDLE_FORMAT => Ok(bundle),
        other => Err(wrong(format!("its format is {other}; this program knows {BUNDLE_FORMAT}"))),
    }
}

/// Joins, unless the folder is this gateway's already; gives the configuration to start it with. Waits for the core until
/// the bundle expires.
///
/// # Errors
/// [`JoinModeError`], one sentence.
pub async fn join(bundle: Bundle, options: &JoinOptions, clock: &Clock) -> Result<Config, JoinModeError> {
    if let Some(config) = store::joined(&bundle, options)? {
        return Ok(config);
    }
    if bundle.expires_at <= clock() {
        return Err(JoinModeError::Expired(bundle.gateway));
    }
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), bundle.link_port);
    let address = options.link_listen.unwrap_or(any);
    let listener = ports::bind(address)
        .and_then(TcpListener::from_std)
        .map_err(|source| JoinModeError::Listen { address, source })?;
    let joining = Arc::new(Joining::new(bundle, options.clone(), address, Arc::clone(clock))?);
    let left = joining.bundle.expires_at.since(clock());
    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
    tracing::info!(%address, gateway = joining.bundle.gateway, "waiting for the core to dial");
    match timeout(left, wait_for_core(listener, Arc::clone(&joining))).await {
        Ok(config) => config,
        Err(_) => Err(JoinModeError::Expired(joining.bundle.gateway.clone())),
    }
}

async fn wait_for_core(listener: TcpListener, joining: Arc<Joining>) -> Result<Config, JoinModeError> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut tries = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, peer)) = accepted else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                let joining = Arc::clone(&joining);
                tries.spawn(async move {
                    let _place = place;
                    match timeout(LIMIT, joining.talk(stream)).await {
                        Ok(Ok(())) => return true,
                        Ok(Err(error)) => tracing::warn!(%peer, %error, "not joined"),
                        Err(_) => tracing::warn!(%peer, "not joined: too slow"),
                    }
                    tokio::time::sleep(PAUSE).await;
                    false
                });
            }
            Some(tried) = tries.join_next() => {
                if matches!(tried, Ok(true)) {
                    return store::read(&joining.options.state);
                }
            }
        }
    }
}
