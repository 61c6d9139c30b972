//! One accepted link: TLS, hello, and then what its role is.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use postern_wire::link::{
    ALPN, Admission, BlockedSubject, CONTROL_OCTETS, CertificateName, HELLO_PATH, Hello, LinkRole, Welcome,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{cores::Core, report, watch};
use crate::{admission::certificate::name_of, relay::pool::Link, shared::Shared};

pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// A socket of the link port, for the worker that is to drive it.
pub(crate) struct Accepted {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
    /// Held until the peer has proved itself.
    pub(crate) unproven: OwnedSemaphorePermit,
}

/// Why a link could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("TLS failed: {0}")]
    Tls(#[from] std::io::Error),
    #[error("the peer does not speak the link protocol")]
    Alpn,
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the core answered {0}")]
    Status(StatusCode),
    #[error("the core's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("the core's answer is too long")]
    TooLong,
    #[error("no answer in time")]
    TooSlow,
    #[error("too many cores")]
    TooManyCores,
    #[error("no line of the watch in time")]
    Sick,
    #[error("the core's certificate {0} is blocked")]
    Blocked(CertificateName),
    #[error("the core did not take the report")]
    NotTaken,
}

/// Drives the links that are given to this worker.
pub(crate) async fn drive(
    shared: Arc<Shared>,
    worker: usize,
    mut accepted: mpsc::UnboundedReceiver<Accepted>,
) {
    while let Some(accepted) = accepted.recv().await {
        let shared = Arc::clone(&shared);
        actix_rt::spawn(async move {
            let peer = accepted.peer;
            if let Err(error) = link(&shared, worker, accepted).await {
                shared.counters.links_refused.add(1);
                tracing::warn!(%peer, %error, "link closed");
            }
        });
    }
}

async fn link(shared: &Arc<Shared>, worker: usize, accepted: Accepted) -> Result<(), LinkError> {
    let limit = Duration::from_secs(shared.config.link.accept_s);
    let Accepted { stream, unproven, .. } = accepted;
    let greet = timeout(limit, greet(shared, stream)).await.map_err(|_| LinkError::TooSlow)?;
    let (sender, welcome, closed) = greet?;
    drop(unproven);
    shared.counters.links_accepted.add(1);
    let core = shared.cores.meet(&welcome, &shared.lists.load()).ok_or(LinkError::TooManyCores)?;
    let _counted = Counted::new(&core, welcome.role);
    match welcome.role {
        LinkRole::Watch => watch::run(shared, &core, sender).await,
        LinkRole::Report => report::run(shared, &core, sender).await,
        LinkRole::Request => {
            let now = shared.uptime_ms();
            shared.pool.put(Link {
                core: Arc::clone(&core),
                sender,
                home: worker,
                used_ms: now,
                checked_ms: now,
            });
            let _ = closed.await;
            Ok(())
        }
    }
}

type Closed = actix_rt::task::JoinHandle<Result<(), hyper::Error>>;

async fn greet(shared: &Shared, stream: std::net::TcpStream) -> Result<(Sender, Welcome, Closed), LinkError> {
    let stream = TcpStream::from_std(stream)?;
    stream.set_nodelay(true)?;
    let acceptor = TlsAcceptor::from(Arc::clone(&shared.link_tls.load().server));
    let stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(LinkError::Alpn);
    }
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(name_of);
    if let Some(name) = shown
        && shared.lists.load().verdict(&BlockedSubject::Certificate(name.clone())) != Admission::Admit
    {
        return Err(LinkError::Blocked(name));
    }
    let (mut sender, connection) = Builder::new().handshake(TokioIo::new(stream)).await?;
    let closed = actix_rt::spawn(connection);
    let hello = Hello {
        gateway: shared.config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: shared.boot,
    };
    let welcome = post(&mut sender, HELLO_PATH, &hello).await?;
    Ok((sender, welcome, closed))
}

/// Posts JSON and reads the JSON answer.
pub(crate) async fn post<T: DeserializeOwned>(
    sender: &mut Sender,
    path: &'static str,
    body: &impl Serialize,
) -> Result<T, LinkError> {
    let mut request = request(Method::POST, path, Bytes::from(serde_json::to_vec(body)?));
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(LinkError::Status(response.status()));
    }
    let mut incoming = response.into_body();
    let mut answer = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if answer.len() + data.len() > CONTROL_OCTETS {
            return Err(LinkError::TooLong);
        }
        answer.extend_from_slice(&data);
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// A request to the core.
pub(crate) fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = http::Uri::try_from(path).expect("the link's own paths are URIs");
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("core"));
    request
}

/// Counts a link of a core while it is open.
struct Counted {
    core: Arc<Core>,
    request: bool,
}

impl Counted {
    fn new(core: &Arc<Core>, role: LinkRole) -> Self {
        let request = role == LinkRole::Request;
        core.links.fetch_add(1, Ordering::Relaxed);
        core.request_links.fetch_add(usize::from(request), Ordering::Relaxed);
        Self { core: Arc::clone(core), request }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.core.links.fetch_sub(1, Ordering::Relaxed);
        self.core.request_links.fetch_sub(usize::from(self.request), Ordering::Relaxed);
    }
}
