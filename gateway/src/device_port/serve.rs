//! From an accepted socket to the handler: limits of the connection, PROXY header, TLS, HTTP.

use std::{
    cell::Cell,
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::{
    HttpService, KeepAlive, Request, Response,
    body::BoxBody,
    error::{DispatchError, ParseError},
};
use actix_rt::task::JoinHandle;
use actix_web::dev::{Service, ServiceFactory};
use postern_wire::link::{RefusalReason, Settings};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{handle, proxy};
use crate::{
    admission::{certificate::PeerCertificate, rates::address_key},
    shared::{Phase, Shared},
};

/// After the last octet of an answer a device has so long to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// actix-http's timers start at a clock that steps.
const CLOCK_STEP_MS: u64 = 500;
/// When no socket can be accepted (no file descriptors left), wait so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is known of one device connection.
pub(crate) struct Connection {
    pub(crate) source: IpAddr,
    /// `1.2` or `1.3`.
    pub(crate) tls: &'static str,
    pub(crate) certificate: Option<PeerCertificate>,
    /// A message of it was passed on and taken: its address has its token back.
    pub(crate) proven: Cell<bool>,
    /// A request's head has come.
    pub(crate) asked: Cell<bool>,
    opened_ms: u64,
}

/// A device's stream with what is known of it.
struct DeviceStream {
    tls: TlsStream<TcpStream>,
    connection: Rc<Connection>,
}

/// Accepts devices at each address of the settings, as these change, until the gateway drains.
pub(crate) async fn ports(shared: Arc<Shared>, worker: usize) {
    let mut open = shared.ports.watch();
    let mut accepting: BTreeMap<SocketAddr, JoinHandle<()>> = BTreeMap::new();
    loop {
        let now = Arc::clone(&open.borrow_and_update());
        accepting.retain(|address, task| {
            let stays = now.contains_key(address);
            if !stays {
                task.abort();
            }
            stays
        });
        for (address, listener) in now.iter() {
            if accepting.contains_key(address) {
                continue;
            }
            match listener.try_clone() {
                Ok(listener) => {
                    let task = actix_rt::spawn(accept(Arc::clone(&shared), worker, listener));
                    accepting.insert(*address, task);
                }
                Err(error) => shared.trouble("device port", Some(error.to_string())),
            }
        }
        drop(now);
        if open.changed().await.is_err() {
            return;
        }
    }
}

async fn accept(shared: Arc<Shared>, worker: usize, listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return shared.trouble("device port", Some(error.to_string())),
    };
    let mut phase = shared.phase();
    let mut shape = Shape::of(&shared.settings.now());
    let Some(mut service) = http(&shared, worker, shape).await else { return };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a device connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let settings = shared.settings.now();
        if shape != Shape::of(&settings) {
            shape = Shape::of(&settings);
            match http(&shared, worker, shape).await {
                Some(new) => service = new,
                None => return,
            }
        }
        let Some(open) = shared.counters.open_connection(settings.connections) else {
            shared.refused(RefusalReason::ConnectionsFull, peer.ip(), None, None, None);
            continue;
        };
        let (shared, service) = (Arc::clone(&shared), Rc::clone(&service));
        actix_rt::spawn(async move {
            let _open = open;
            connection(&shared, stream, peer, &*service).await;
        });
    }
}

/// What of the settings is built into the HTTP service.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    keep_alive_s: u64,
    header_timeout_s: u64,
}

impl Shape {
    fn of(settings: &Settings) -> Self {
        Self { keep_alive_s: settings.keep_alive_s, header_timeout_s: settings.header_timeout_s }
    }
}

type Served = (DeviceStream, Option<SocketAddr>);

async fn http(
    shared: &Arc<Shared>,
    worker: usize,
    shape: Shape,
) -> Option<Rc<impl Service<Served, Response = (), Error = DispatchError> + use<>>> {
    let keep_alive = match shape.keep_alive_s {
        0 => KeepAlive::Disabled,
        seconds => KeepAlive::Timeout(Duration::from_secs(seconds)),
    };
    let (for_drain, for_requests) = (Arc::clone(shared), Arc::clone(shared));
    HttpService::<DeviceStream, _, BoxBody>::build()
        .secure()
        .keep_alive(keep_alive)
        .client_request_timeout(Duration::from_secs(shape.header_timeout_s))
        .client_disconnect_timeout(CLOSE_LIMIT)
        // Not part of actix-http's documented interface, but what actix-web's own drain is made of: idle connections
        // close, and running requests finish.
        .graceful_shutdown_signal(move || {
            let mut phase = for_drain.phase();
            async move {
                let _ = phase.wait_for(|phase| *phase != Phase::Serving).await;
            }
        })
        .on_connect_ext(|stream: &DeviceStream, data| {
            data.insert(Rc::clone(&stream.connection));
        })
        .h1(move |request: Request| {
            let shared = Arc::clone(&for_requests);
            async move { Ok::<Response<BoxBody>, Infallible>(handle::handle(shared, worker, request).await) }
        })
        .new_service(())
        .await
        .ok()
        .map(Rc::new)
}

/// One connection from its first octet to its last.
async fn connection<S>(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr, service: &S)
where
    S: Service<Served, Response = (), Error = DispatchError>,
{
    let handshake = Duration::from_secs(shared.config.device.handshake_s);
    let mut source = peer.ip().to_canonical();
    let secured = match timeout(handshake, secure(shared, stream, &mut source)).await {
        Ok(secured) => secured,
        Err(_) => Err((RefusalReason::TlsHandshake, "too slow".to_owned())),
    };
    let stream = match secured {
        Ok(Some(stream)) => stream,
        Ok(None) => return,
        Err((reason, detail)) => return shared.refused(reason, source, None, None, Some(&detail)),
    };
    shared.counters.handshakes.add(1);
    let connection = Rc::clone(&stream.connection);
    let ended = service.call((stream, Some(peer))).await;
    tell_of_end(shared, &connection, ended);
}

/// PROXY header, address limit and TLS; `None` for a balancer's health check.
async fn secure(
    shared: &Shared,
    mut stream: TcpStream,
    source: &mut IpAddr,
) -> Result<Option<DeviceStream>, (RefusalReason, String)> {
    let settings = shared.settings.now();
    if settings.proxy_protocol_from.iter().any(|network| network.contains(*source)) {
        match proxy::read_header(&mut stream).await {
            Ok(Some(behind)) => *source = behind,
            Ok(None) => return Ok(None),
            Err(error) => return Err((RefusalReason::ProxyHeader, error.to_string())),
        }
    }
    if !shared.address_rates.take(address_key(*source), shared.address_rate(), shared.uptime_ms()) {
        return Err((RefusalReason::AddressRate, "connections".to_owned()));
    }
    let failed = |error: io::Error| (RefusalReason::TlsHandshake, error.to_string());
    stream.set_nodelay(true).map_err(failed)?;
    let tls = shared.device_tls.load_full();
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
    let stream = acceptor.accept(stream).await.map_err(failed)?;
    let session = stream.get_ref().1;
    let certificate = match session.peer_certificates().and_then(|chain| chain.first()) {
        Some(leaf) => Some(
            PeerCertificate::read(leaf, &shared.retired)
                .ok_or_else(|| (RefusalReason::TlsHandshake, "the certificate cannot be read".to_owned()))?,
        ),
        None => None,
    };
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    };
    let connection = Rc::new(Connection {
        source: *source,
        tls: version,
        certificate,
        proven: Cell::new(false),
        asked: Cell::new(false),
        opened_ms: shared.uptime_ms(),
    });
    Ok(Some(DeviceStream { tls: stream, connection }))
}

/// What the HTTP parser refused never came to the handler: it is noted here.
fn tell_of_end(shared: &Shared, connection: &Connection, ended: Result<(), DispatchError>) {
    let name = connection.certificate.as_ref().map(|certificate| &certificate.name);
    let note = |reason, detail: &str| {
        shared.refused(reason, connection.source, name, None, Some(detail));
        shared.failed(connection.source);
    };
    match ended {
        Err(DispatchError::Parse(ParseError::TooLarge)) => note(RefusalReason::HeadersTooLarge, ""),
        Err(DispatchError::Parse(ParseError::Io(_) | ParseError::Incomplete)) => {}
        Err(DispatchError::Parse(error)) => note(RefusalReason::Framing, &error.to_string()),
        Err(DispatchError::SlowRequestTimeout) => note(RefusalReason::TooSlow, "the headers"),
        Ok(()) if !connection.asked.get() && *shared.phase().borrow() == Phase::Serving => {
            let open_ms = shared.uptime_ms().saturating_sub(connection.opened_ms);
            let slow = open_ms + CLOCK_STEP_MS >= shared.settings.now().header_timeout_s * 1_000;
            note(if slow { RefusalReason::TooSlow } else { RefusalReason::Incomplete }, "no request came");
        }
        Ok(()) | Err(_) => {}
    }
}

impl AsyncRead for DeviceStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl AsyncWrite for DeviceStream {
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
