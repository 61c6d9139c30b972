//! HTTP/1.1 over TLS, one connection a session or one a message.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, Method, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use postern_wire::{
    auth::HMAC_HEADER,
    notification::MOST_OCTETS,
    signature::{CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT},
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Answered, Request, Transport, TransportError};
use crate::origin::ServerUri;

/// What a listening channel brings.
const NOTIFICATION: &str = "application/vnd.syncml.notification";

/// How connections are made.
#[derive(Clone, Debug)]
pub struct HttpsOptions {
    /// A new connection for each message, closed after it.
    pub connection_per_message: bool,
    /// For TCP and TLS together.
    pub connect_timeout: Duration,
    /// From the request's first octet to the answer's last.
    pub answer_timeout: Duration,
    /// How long a listening channel is waited on; longer than any gateway lets it stand.
    pub listen_timeout: Duration,
    /// Dial this address whatever the URI's host is; the certificate must still be the host's.
    pub dial: Option<SocketAddr>,
    /// The User-Agent header.
    pub user_agent: &'static str,
}

impl Default for HttpsOptions {
    fn default() -> Self {
        Self {
            connection_per_message: false,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
            listen_timeout: Duration::from_secs(3_700),
            dial: None,
            user_agent: concat!("postern-device/", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// The transport of a real device.
pub struct Https {
    tls: TlsConnector,
    options: Arc<HttpsOptions>,
    open: Option<http1::SendRequest<Full<Bytes>>>,
}

impl Https {
    /// A transport that has not dialled yet.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>, options: Arc<HttpsOptions>) -> Self {
        Self { tls: TlsConnector::from(tls), options, open: None }
    }

    async fn connection(
        &mut self,
        uri: &ServerUri,
    ) -> Result<http1::SendRequest<Full<Bytes>>, TransportError> {
        if let Some(mut open) = self.open.take()
            && open.ready().await.is_ok()
        {
            return Ok(open);
        }
        let limit = self.options.connect_timeout;
        tokio::time::timeout(limit, self.dial(uri)).await.map_err(|_| timeout("connection", limit))?
    }

    async fn dial(&self, uri: &ServerUri) -> Result<http1::SendRequest<Full<Bytes>>, TransportError> {
        let connect = |source| TransportError::Connect { authority: uri.authority(), source };
        let stream = match self.options.dial {
            Some(address) => TcpStream::connect(address).await.map_err(connect)?,
            None => {
                let found = tokio::net::lookup_host((uri.host.as_str(), uri.port)).await;
                let addresses: Vec<_> =
                    found.map_err(|_| TransportError::Resolve { host: uri.host.clone() })?.collect();
                TcpStream::connect(addresses.as_slice()).await.map_err(connect)?
            }
        };
        stream.set_nodelay(true).map_err(connect)?;
        let name = ServerName::try_from(uri.host.clone())
            .map_err(|_| TransportError::Resolve { host: uri.host.clone() })?;
        let tls = self.tls.connect(name, stream).await.map_err(TransportError::Tls)?;
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(TransportError::Http)?;
        tokio::spawn(async move {
            // a break shows at the exchange that it breaks
            let _broken = connection.await;
        });
        Ok(sender)
    }

    /// Waits on a listening channel: 200 with a notification, or 204.
    pub async fn listen(&mut self, uri: &ServerUri) -> Result<Answered, TransportError> {
        let mut sender = self.connection(uri).await?;
        let request = http::Request::builder()
            .method(Method::GET)
            .uri(&uri.target)
            .header(header::HOST, uri.authority())
            .header(header::ACCEPT, NOTIFICATION)
            .header(header::USER_AGENT, self.options.user_agent)
            .body(Full::new(Bytes::new()))
            .map_err(TransportError::Request)?;
        let limit = self.options.listen_timeout;
        let answered = tokio::time::timeout(limit, answer(&mut sender, request, MOST_OCTETS))
            .await
            .map_err(|_| timeout("notification", limit))??;
        self.open = Some(sender);
        Ok(answered)
    }

    async fn post(
        &mut self,
        sender: &mut http1::SendRequest<Full<Bytes>>,
        request: Request,
    ) -> Result<Answered, TransportError> {
        let limit = request.answer_limit;
        let request = self.http_request(request).map_err(TransportError::Request)?;
        answer(sender, request, limit).await
    }

    fn http_request(&self, request: Request) -> Result<http::Request<Full<Bytes>>, http::Error> {
        let mut builder = http::Request::builder()
            .method(Method::POST)
            .uri(&request.uri.target)
            .header(header::HOST, request.uri.authority())
            .header(header::CONTENT_TYPE, request.media.header_value())
            .header(header::ACCEPT, request.media.as_str())
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::USER_AGENT, self.options.user_agent);
        if self.options.connection_per_message {
            builder = builder.header(header::CONNECTION, "close");
        }
        if let Some(fields) = &request.fields {
            builder = builder
                .header(HeaderName::from_static(CONTENT_DIGEST), &fields.content_digest)
                .header(HeaderName::from_static(SIGNATURE_INPUT), &fields.signature_input)
                .header(HeaderName::from_static(SIGNATURE), &fields.signature);
        }
        if let Some(hmac) = &request.hmac {
            builder = builder.header(HeaderName::from_static(HMAC_HEADER), hmac);
        }
        builder.body(Full::new(request.body))
    }
}

impl Transport for Https {
    async fn exchange(&mut self, request: Request) -> Result<Answered, TransportError> {
        let mut sender = self.connection(&request.uri).await?;
        let limit = self.options.answer_timeout;
        let answered = tokio::time::timeout(limit, self.post(&mut sender, request))
            .await
            .map_err(|_| timeout("answer", limit))??;
        if !self.options.connection_per_message {
            self.open = Some(sender);
        }
        Ok(answered)
    }

    fn close(&mut self) {
        self.open = None;
    }
}

async fn answer(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answered, TransportError> {
    let response = sender.send_request(request).await.map_err(TransportError::Http)?;
    let (head, body) = response.into_parts();
    let text = |name: &str| joined(&head.headers, name);
    Ok(Answered {
        status: head.status.as_u16(),
        content_type: text("content-type").unwrap_or_default(),
        fields: [text(CONTENT_DIGEST), text(SIGNATURE_INPUT), text(SIGNATURE)],
        hmac: text(HMAC_HEADER),
        retry_after: text("retry-after").and_then(|text| text.trim().parse().ok()),
        body: bounded(body, limit).await?,
    })
}

/// A field's value; several lines are joined as HTTP says.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let first = values.next()?.to_owned();
    Some(values.fold(first, |all, value| all + ", " + value))
}

async fn bounded(mut body: Incoming, limit: usize) -> Result<Bytes, TransportError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(TransportError::Http)?.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Err(TransportError::TooLarge { limit });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn timeout(what: &'static str, limit: Duration) -> TransportError {
    TransportError::Timeout { what, limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) }
}
