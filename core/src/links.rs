//! The links: the core dials every configured gateway and serves requests on what it dialed.
//!
//! Promise (docs/THREATS.md, "The perimeter"): the core opens every connection, proves itself with its link
//! certificate, and talks only to the gateway that it dialed. On a link the gateway asks: device routes and the
//! link's own control routes are answered, anything else is 404. A gateway gets settings and lists over its watch
//! ([`Lists`] is what it gets), tells its acknowledgements, refusals and state over its report link
//! ([`GatewayReports`]), and gets as many request links as it asks for, within limits.
//!
//! - [`lists`]: settings, blocked list and routes, by version.
//! - `tls`: the link's TLS on this side, and the check of who answers.
//! - `dial`: one task a link: dial, serve, again.
//! - `serve`: what is served on a link.
//! - `watch`: the watch stream.

mod dial;
pub mod lists;
mod serve;
mod state;
mod tls;
pub(crate) mod verify;
mod watch;

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use actix_web::web;
use postern_wire::{
    link::{CertificateName, ReportBatch},
    terms::UtcMillis,
};
use rustls_pki_types::CertificateDer;
use uuid::Uuid;

pub use lists::{Lists, ListsAt, Wake};
pub use state::GatewayStatus;

use state::{Hub, Phase};

/// A gateway that the core dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayTarget {
    /// Its name, as its link certificate's SAN URI `postern:gateway:<name>` must carry it.
    pub name: String,
    /// Host (or address) and port of its link port.
    pub address: String,
}

/// Where the core's link certificate, its key and the link CA are; read again at each dial.
#[derive(Clone, Debug)]
pub struct LinkFiles {
    /// Certificate chain, PEM; SAN URI `postern:core:<id>`.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The link CA's certificates, PEM.
    pub authority: PathBuf,
}

/// The link CAs that are trusted now, DER; while there are none, [`LinkFiles::authority`] holds.
pub type Anchors = Arc<dyn Fn() -> Vec<CertificateDer<'static>> + Send + Sync>;

/// Whether a gateway's certificate is blocked.
pub type IsBlocked = Arc<dyn Fn(&CertificateName) -> bool + Send + Sync>;

/// What [`Links::start`] needs to know.
#[derive(Clone)]
pub struct LinksConfig {
    /// Made anew at each start of the core.
    pub core: Uuid,
    /// The gateways to dial at first; [`Links::set_gateways`] changes them.
    pub gateways: Vec<GatewayTarget>,
    /// The core's own link certificate.
    pub files: LinkFiles,
    /// The link CAs that are trusted, asked at each dial.
    pub anchors: Anchors,
    /// Which certificates are blocked, asked at each dial.
    pub is_blocked: IsBlocked,
    /// Threads that serve links; at least 1.
    pub threads: usize,
    /// Time between beats of the watch, and between heartbeats of a gateway.
    pub heartbeat: Duration,
    /// Dial, TLS and the gateway's hello must be done in this time.
    pub dial_timeout: Duration,
    /// The first wait after a failed dial; it doubles, with jitter, up to `backoff_most`.
    pub backoff_first: Duration,
    /// The longest wait between dials.
    pub backoff_most: Duration,
    /// No gateway gets more request links than this, whatever it asks for.
    pub request_links_most: u32,
}

impl LinksConfig {
    /// A configuration with the defaults: 2 threads, beats each 5 seconds, dials within 10 seconds,
    /// waits of 250 milliseconds to 15 seconds, at most 256 request links a gateway.
    #[must_use]
    pub fn new(core: Uuid, files: LinkFiles, gateways: Vec<GatewayTarget>) -> Self {
        Self {
            core,
            gateways,
            files,
            anchors: Arc::new(Vec::new),
            is_blocked: Arc::new(|_| false),
            threads: 2,
            heartbeat: Duration::from_secs(5),
            dial_timeout: Duration::from_secs(10),
            backoff_first: Duration::from_millis(250),
            backoff_most: Duration::from_secs(15),
            request_links_most: 256,
        }
    }
}

/// Takes what gateways report.
pub trait GatewayReports: Send + Sync + 'static {
    /// Takes one batch from the gateway `gateway`; the future gives whether it was taken (and, where that is due,
    /// stored). A batch that was not taken comes again.
    fn take(&self, gateway: &str, batch: ReportBatch) -> Pin<Box<dyn Future<Output = bool> + Send>>;

    /// Is told that this version of its settings was sent to the gateway.
    fn pushed(&self, gateway: &str, version: u64) {
        let _ = (gateway, version);
    }
}

/// A clock, as a parameter.
pub type Clock = Arc<dyn Fn() -> UtcMillis + Send + Sync>;

/// Why links could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// The calling thread belongs to no actix System, which the link threads need.
    #[error("links need a running actix System")]
    NoSystem,
}

/// The running links; clones are handles of the same.
#[derive(Clone)]
pub struct Links {
    hub: Arc<Hub>,
}

impl Links {
    /// Starts the link threads and dials every gateway. `configure` mounts the device routes (`/dm/1/{route}`);
    /// whatever else it mounts is not reachable over a link. `epoch` is this core's epoch, 0 while it stands by.
    ///
    /// # Errors
    /// [`LinksError`].
    pub fn start<F>(
        config: LinksConfig,
        lists: Arc<Lists>,
        reports: Arc<dyn GatewayReports>,
        epoch: tokio::sync::watch::Receiver<u64>,
        clock: Clock,
        configure: F,
    ) -> Result<Self, LinksError>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        if actix_rt::System::try_current().is_none() {
            return Err(LinksError::NoSystem);
        }
        let gateways = config.gateways.clone();
        let hub = Arc::new(Hub::new(config, lists, reports, epoch, clock));
        serve::start_threads(&hub, &configure);
        let links = Self { hub };
        links.set_gateways(&gateways);
        Ok(links)
    }

    /// Makes `gateways` the ones that are dialed: new ones are dialed, others are left, unchanged ones keep their
    /// links.
    pub fn set_gateways(&self, gateways: &[GatewayTarget]) {
        self.hub.set_gateways(gateways);
    }

    /// Accepts no link certificate of these serial numbers (lower-case hex, no leading zero octets) any more.
    pub fn refuse_certificates(&self, serials: Vec<String>) {
        self.hub.refused.store(Arc::new(serials.into_iter().collect()));
    }

    /// The state of each gateway's links, in the order of their names.
    #[must_use]
    pub fn status(&self) -> Vec<GatewayStatus> {
        self.hub.status()
    }

    /// Tells every gateway to send nothing new here, waits until what runs is finished and the gateways have let
    /// their links go, at most `limit`, then closes what is left.
    pub async fn drain(&self, limit: Duration) {
        self.hub.set_phase(Phase::Draining);
        let _ = tokio::time::timeout(limit, self.hub.wait_for_request_links_gone()).await;
        self.stop();
    }

    /// Closes every link at once.
    pub fn stop(&self) {
        self.hub.set_phase(Phase::Stopped);
    }
}
