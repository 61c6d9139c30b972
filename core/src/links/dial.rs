//! One task a link: dial, serve until it closes, dial again with backoff. And one task a gateway, which sees to it
//! that there are as many as are wanted.
//!
//! A core certificate that the gateway refuses shows only at first use (TLS 1.3), so the backoff starts over only
//! when the gateway's first request has come.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use actix_http::error::DispatchError;
use actix_service::Service;
use postern_wire::link::{ALPN, LinkRole};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    state::{Gateway, Hub, Job, Phase, Slot},
    tls::{self, TlsError},
};

/// After a link that was good has closed, the next dial waits so long.
const PAUSE: Duration = Duration::from_millis(50);

/// What is known of one dialed link.
pub(super) struct Link {
    pub(super) hub: Arc<Hub>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) role: LinkRole,
    /// The gateway's hello has come and was good.
    pub(super) greeted: AtomicBool,
    /// What broke the stream, if something did.
    broken: Mutex<Option<String>>,
}

/// A dialed stream that knows which link it is.
pub(super) struct LinkStream {
    tls: TlsStream<TcpStream>,
    pub(super) link: Arc<Link>,
}

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error(transparent)]
    Files(#[from] TlsError),
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: io::Error },
    #[error("{address} is not the gateway {name:?}, or its link certificate is not good: {source}")]
    Certificate { address: String, name: String, source: io::Error },
    #[error("{address} refused the handshake: {source}")]
    Refused { address: String, source: io::Error },
    #[error("the connection to {address} broke before the handshake was done: {source}")]
    Broken { address: String, source: io::Error },
    #[error("{0} does not speak the link protocol")]
    Alpn(String),
    #[error("{0} did not answer in time")]
    TooSlow(String),
}

/// Keeps a gateway's links: the watch at all times, the others while it watches.
pub(super) async fn keep_gateway(hub: Arc<Hub>, gateway: Arc<Gateway>) {
    hub.dispatch(Job::Slot(Slot { gateway: Arc::clone(&gateway), role: LinkRole::Watch }));
    hub.dispatch(Job::Slot(Slot { gateway: Arc::clone(&gateway), role: LinkRole::Report }));
    let (mut phase, mut removed) = (hub.phase(), gateway.removed.subscribe());
    let (mut wanted, mut watching) = (gateway.wanted.subscribe(), gateway.watching.subscribe());
    loop {
        let running = *phase.borrow_and_update() == Phase::Running && !*removed.borrow_and_update();
        if !running {
            return;
        }
        wanted.mark_unchanged();
        if *watching.borrow_and_update() {
            while gateway.claim() {
                let gateway = Arc::clone(&gateway);
                hub.dispatch(Job::Slot(Slot { gateway, role: LinkRole::Request }));
            }
        }
        // The senders live in `hub` and `gateway`, which live here: waiting cannot fail.
        let _ = tokio::select! {
            changed = phase.changed() => changed,
            changed = removed.changed() => changed,
            changed = wanted.changed() => changed,
            changed = watching.changed() => changed,
        };
    }
}

/// Keeps one link until it is no longer wanted.
pub(super) async fn keep_link<S>(hub: Arc<Hub>, slot: Slot, serve: Rc<S>)
where
    S: Service<(LinkStream, Option<std::net::SocketAddr>), Response = (), Error = DispatchError>,
{
    let gateway = Arc::clone(&slot.gateway);
    let mut wait = hub.config.backoff_first;
    loop {
        if !may_dial(&hub, &slot).await {
            return;
        }
        let link = Arc::new(Link {
            hub: Arc::clone(&hub),
            gateway: Arc::clone(&gateway),
            role: slot.role,
            greeted: AtomicBool::new(false),
            broken: Mutex::default(),
        });
        let ended = match dial(&hub, &gateway).await {
            Ok(tls) => serve_until_closed(LinkStream { tls, link: Arc::clone(&link) }, &*serve).await,
            Err(error) => Err(error.to_string()),
        };
        let good = link.greeted.load(Ordering::Relaxed);
        if let Err(error) = ended
            && !good
        {
            tracing::warn!(gateway = %gateway.target.name, role = slot.role.as_str(), error, "link failed");
            gateway.failed(error);
        }
        let pause = if good {
            wait = hub.config.backoff_first;
            PAUSE
        } else {
            let pause = with_jitter(wait);
            wait = (wait * 2).min(hub.config.backoff_most);
            pause
        };
        if !sleep_unless_stopped(&hub, &gateway, pause).await {
            return;
        }
    }
}

/// Waits until this link should be dialed; false when it never should again.
async fn may_dial(hub: &Hub, slot: &Slot) -> bool {
    let (mut phase, mut removed) = (hub.phase(), slot.gateway.removed.subscribe());
    let mut watching = slot.gateway.watching.subscribe();
    loop {
        if *phase.borrow_and_update() != Phase::Running || *removed.borrow_and_update() {
            return false;
        }
        if slot.role == LinkRole::Request && slot.gateway.release_if_unwanted() {
            return false;
        }
        if slot.role == LinkRole::Watch || *watching.borrow_and_update() {
            return true;
        }
        let _ = tokio::select! {
            changed = phase.changed() => changed,
            changed = removed.changed() => changed,
            changed = watching.changed() => changed,
        };
    }
}

async fn dial(hub: &Hub, gateway: &Gateway) -> Result<TlsStream<TcpStream>, DialError> {
    let address = gateway.target.address.clone();
    let connect = async {
        let config = tls::client_config(&hub.config, &gateway.target.name, hub.refused.load_full())?;
        let stream = TcpStream::connect(&address)
            .await
            .map_err(|source| DialError::Connect { address: address.clone(), source })?;
        stream.set_nodelay(true).map_err(|source| DialError::Connect { address: address.clone(), source })?;
        // The name goes nowhere (SNI is off) and the verifier looks at the SAN URI instead.
        let nobody = ServerName::try_from("link.invalid").expect("a fixed DNS name");
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect(nobody, stream)
            .await
            .map_err(|source| failed(&address, &gateway.target.name, source))?;
        if stream.get_ref().1.alpn_protocol() == Some(ALPN) {
            Ok(stream)
        } else {
            Err(DialError::Alpn(address.clone()))
        }
    };
    timeout(hub.config.dial_timeout, connect)
        .await
        .unwrap_or_else(|_| Err(DialError::TooSlow(address.clone())))
}

/// Only what TLS says of a certificate is trouble with certificates; a connection that was reset is not.
fn failed(address: &str, name: &str, source: io::Error) -> DialError {
    let (address, name) = (address.to_owned(), name.to_owned());
    match source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => DialError::Certificate { address, name, source },
        Some(_) => DialError::Refused { address, source },
        None => DialError::Broken { address, source },
    }
}

async fn serve_until_closed<S>(stream: LinkStream, serve: &S) -> Result<(), String>
where
    S: Service<(LinkStream, Option<std::net::SocketAddr>), Response = (), Error = DispatchError>,
{
    let link = Arc::clone(&stream.link);
    let _counted = (link.role == LinkRole::Request).then(|| Counted::new(&link.gateway));
    let (mut phase, mut removed) = (link.hub.phase(), link.gateway.removed.subscribe());
    let peer = stream.tls.get_ref().0.peer_addr().ok();
    let served = serve.call((stream, peer));
    let silent = async {
        tokio::time::sleep(link.hub.config.dial_timeout).await;
        if link.greeted.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = served => match ended {
            Ok(()) if link.greeted.load(Ordering::Relaxed) => Ok(()),
            ended => {
                let broken = link.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
                let ended = ended.err().map(|error| error.to_string());
                Err(broken.or(ended).unwrap_or_else(|| {
                    "the gateway closed the link before its hello; its own log says why".to_owned()
                }))
            }
        },
        _ = phase.wait_for(|phase| *phase == Phase::Stopped) => Ok(()),
        _ = removed.wait_for(|removed| *removed) => Ok(()),
        () = silent => Err("the gateway did not say hello in time".to_owned()),
    }
}

async fn sleep_unless_stopped(hub: &Hub, gateway: &Gateway, pause: Duration) -> bool {
    let (mut phase, mut removed) = (hub.phase(), gateway.removed.subscribe());
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        _ = phase.wait_for(|phase| *phase != Phase::Running) => false,
        _ = removed.wait_for(|removed| *removed) => false,
    }
}

/// Half of `wait` and a random part of the other half, so that cores do not dial in step.
fn with_jitter(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(wait) as u32;
    wait / 2 + wait.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}

/// Counts a request link while it is open.
struct Counted(Arc<Gateway>);

impl Counted {
    fn new(gateway: &Arc<Gateway>) -> Self {
        gateway.request_links.send_modify(|links| *links += 1);
        Self(Arc::clone(gateway))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.request_links.send_modify(|links| *links -= 1);
    }
}

/// What the gateway does not accept of this core comes as an alert with the first read (TLS 1.3).
fn why_broken(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("the gateway does not accept this core's link certificate: alert {alert:?}")
        }
        _ => format!("the connection broke: {error}"),
    }
}

impl AsyncRead for LinkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.tls).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &read {
            let said = why_broken(error);
            self.link.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(said);
        }
        read
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
