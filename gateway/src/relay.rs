//! The relay: a message over a link and its reply back, octet for octet.
//!
//! Promise (docs/ARCHITECTURE.md, "Decisions that are not obvious"): a reply that does not repeat its request's id, or an exchange that is not finished,
//! closes its link. A message that never left may be tried on another link; one that the core may have taken is never
//! sent twice: the device hears 502 and comes again. A device that goes away does not disturb the exchange.

pub(crate) mod pool;

use std::{sync::Arc, time::Duration};

use actix_http::{Response, StatusCode, body::BoxBody};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use postern_wire::link::{REPLY_HEADERS, REQUEST_ID, RefusalReason, Settings};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{admission::Refusal, shared::Shared};

/// So many links are tried with a message that did not leave.
const TRIES: usize = 3;

/// A message on its way in.
pub(crate) struct Message {
    id: Uuid,
    request: http::Request<Full<Bytes>>,
}

/// The core's reply, ready for the device.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    headers: Vec<(&'static str, HeaderValue)>,
    body: Bytes,
}

impl Message {
    pub(crate) fn new(id: Uuid, path: String, body: Bytes) -> Self {
        Self::with_method(Method::POST, id, path, body)
    }

    pub(crate) fn with_method(method: Method, id: Uuid, path: String, body: Bytes) -> Self {
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::try_from(path).expect("a path that was admitted is a path");
        let mut message = Self { id, request };
        message.header_value(HOST.as_str(), HeaderValue::from_static("core"));
        message.header(REQUEST_ID, id.hyphenated().to_string().as_bytes());
        message
    }

    /// Adds a header; a value that HTTP does not allow is left out.
    pub(crate) fn header(&mut self, name: &'static str, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.header_value(name, value);
        }
    }

    pub(crate) fn header_value(&mut self, name: &'static str, value: HeaderValue) {
        self.request.headers_mut().append(HeaderName::from_static(name), value);
    }
}

impl Reply {
    pub(crate) fn into_response(self) -> Response<BoxBody> {
        let mut response = Response::build(self.status);
        for (name, value) in self.headers {
            response.append_header((name, value.as_bytes()));
        }
        response.body(self.body).map_into_boxed_body()
    }
}

/// Sends a message over a link of the core in use and waits for its reply.
pub(crate) async fn relay(
    shared: &Arc<Shared>,
    worker: usize,
    message: Message,
    settings: &Settings,
) -> Result<Reply, Refusal> {
    let (shared, octets) = (Arc::clone(shared), settings.message_octets);
    let (wait, limit) =
        (Duration::from_millis(settings.link_wait_ms), Duration::from_secs(settings.reply_timeout_s));
    // A task of its own, so that a device that goes away does not break the link under the core's answer.
    let exchange = actix_rt::spawn(async move {
        let _in_flight = shared.counters.in_flight();
        let started = shared.uptime_ms();
        let reply = exchange(&shared, worker, message, octets, wait, limit).await;
        if let Ok(reply) = &reply {
            shared.counters.relayed(shared.uptime_ms().saturating_sub(started), reply.body.len() as u64);
        }
        reply
    });
    exchange.await.unwrap_or_else(|_| Err(RefusalReason::LinkBroken.into()))
}

async fn exchange(
    shared: &Shared,
    worker: usize,
    message: Message,
    octets: usize,
    wait: Duration,
    limit: Duration,
) -> Result<Reply, Refusal> {
    let Message { id, mut request } = message;
    for _ in 0..TRIES {
        let mut lease = shared.pool.take(shared, worker, wait).await?;
        let sent = timeout(limit, async {
            let response = lease.send(request).await?;
            receive(response, id, octets)
                .await
                .map_err(|broken| (Refusal::with(RefusalReason::LinkBroken, broken), None))
        });
        match sent.await {
            Ok(Ok(reply)) => {
                lease.finish(shared.uptime_ms());
                return Ok(reply);
            }
            // It never left: the next link may have it.
            Ok(Err((_, Some(unsent)))) => request = *unsent,
            Ok(Err((refusal, None))) => return Err(refusal),
            Err(_) => return Err(Refusal::with(RefusalReason::LinkBroken, "no reply in time")),
        }
    }
    Err(RefusalReason::LinksBusy.into())
}

/// Reads the reply whole; an error is why the link must close.
async fn receive(response: http::Response<Incoming>, id: Uuid, octets: usize) -> Result<Reply, String> {
    let repeated = response.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    if repeated.and_then(|text| Uuid::try_parse(text).ok()) != Some(id) {
        return Err("the reply is to another request".to_owned());
    }
    let status = StatusCode::from_u16(response.status().as_u16()).map_err(|error| error.to_string())?;
    let mut headers = Vec::new();
    for name in REPLY_HEADERS {
        headers.extend(response.headers().get_all(*name).iter().map(|value| (*name, value.clone())));
    }
    let mut incoming = response.into_body();
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Ok(data) = frame.into_data() else { continue };
        if body.len() + data.len() > octets {
            return Err(format!("the reply is larger than {octets} octets"));
        }
        body.extend_from_slice(&data);
    }
    Ok(Reply { status, headers, body: body.freeze() })
}
