//! The middleware before every handler: request id, row of the route table, sign-in, permission, idempotency, log.

use std::{net::IpAddr, time::Duration};

use actix_http::h1;
use actix_web::{
    Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{StatusCode, header},
    middleware::Next,
    web,
};
use postern_api::{
    Permission,
    problem::Slug,
    routes::{self, Method, RouteSpec},
};
use postern_store::idempotency;
use postern_wire::terms::EnrolmentId;
use sha2::{Digest as _, Sha256};
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use super::{
    auth::{self, Caller, Once, Stranger},
    problem::{Refused, internal},
};
use crate::inside::Inside;

/// No request takes longer: a long poll waits 60 seconds at most.
const LONGEST: Duration = Duration::from_secs(90);
/// The longest Idempotency-Key.
const KEY_OCTETS: usize = 128;

/// Whether the body of an operation may be as large as that of queued commands: documents by the hundred.
pub(super) fn takes_much(operation: &str) -> bool {
    ["commands.queue", "policy.plan", "policy.apply", "policy.what_if"].contains(&operation)
}

pub(crate) async fn guard(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let inside = request
        .app_data::<web::Data<Inside>>()
        .cloned()
        .ok_or_else(|| internal(&"the application was mounted without its data"))?;
    let now = inside.now();
    let id = inside.random.id(now);
    let started = inside.clock.monotonic();
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let admitted = admit(&inside, &mut request, id).await;
    let operation = admitted.as_ref().ok().map(Admitted::operation);
    let admin = admitted.as_ref().ok().and_then(Admitted::caller).map(|caller| caller.admin.name.clone());
    let response = match admitted {
        Ok(Admitted::Replay(_, response)) => request.into_response(response).map_into_boxed_body(),
        Ok(admitted @ (Admitted::Go(_) | Admitted::Stranger(_))) => {
            match admitted {
                Admitted::Stranger(stranger) => request.extensions_mut().insert(stranger).is_none(),
                Admitted::Go(caller) | Admitted::Replay(caller, _) => {
                    request.extensions_mut().insert(caller).is_none()
                }
            };
            // No clone of the request may live while actix routes it.
            let response = match tokio::time::timeout(LONGEST, next.call(request)).await {
                Ok(response) => response?.map_into_boxed_body(),
                Err(_) => {
                    let refused = Refused::new(Slug::Unavailable, "this took too long");
                    return Err(InternalError::from_response(
                        refused.to_string(),
                        refused.respond(Some(id.to_string())),
                    )
                    .into());
                }
            };
            match response.response().error().map(|error| of_error(error, id)) {
                Some(refused) => response.into_response(refused),
                None => response,
            }
        }
        Err(refused) => request.into_response(refused.respond(Some(id.to_string()))).map_into_boxed_body(),
    };
    let response = named(response, id);
    tracing::info!(
        request = %id,
        method = %method,
        path = %path.escape_debug(),
        operation,
        admin = admin.map(|admin| admin.escape_debug().to_string()),
        status = response.status().as_u16(),
        duration_ms = inside.clock.monotonic().saturating_sub(started).as_millis() as u64,
        "admin request"
    );
    Ok(response)
}

enum Admitted {
    Go(Caller),
    Replay(Caller, HttpResponse),
    /// To the one route that takes who has no token.
    Stranger(Stranger),
}

impl Admitted {
    const fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Go(caller) | Self::Replay(caller, _) => Some(caller),
            Self::Stranger(_) => None,
        }
    }

    const fn operation(&self) -> &'static str {
        match self {
            Self::Go(caller) | Self::Replay(caller, _) => caller.operation,
            Self::Stranger(stranger) => stranger.operation,
        }
    }
}

async fn admit(inside: &Inside, request: &mut ServiceRequest, id: Uuid) -> Result<Admitted, Refused> {
    let row = row(request);
    let source = source(request)?;
    let operation = row.as_ref().map_or("none", |row| row.operation);
    if row.as_ref().is_ok_and(|row| row.permission == Permission::Anyone) {
        return Ok(Admitted::Stranger(Stranger { source, request: id, operation }));
    }
    let mut caller = auth::sign_in(inside, request.headers(), source, id, operation).await?;
    let row = row?;
    caller.require(row.permission)?;
    if row.method != Method::Post {
        return Ok(Admitted::Go(caller));
    }
    let Some(key) = idempotency_key(request)? else { return Ok(Admitted::Go(caller)) };
    let limits = &inside.config.admin;
    let limit = if takes_much(row.operation) { limits.commands_octets } else { limits.body_octets };
    let once = Once { key, request: digest(request, limit).await? };
    match replay(inside, &caller, &once).await? {
        Some(response) => Ok(Admitted::Replay(caller, response)),
        None => {
            caller.once = Some(once);
            Ok(Admitted::Go(caller))
        }
    }
}

/// The table's row for this request: by the pattern that actix itself will route by.
fn row(request: &ServiceRequest) -> Result<&'static RouteSpec, Refused> {
    let pattern = request.match_pattern().unwrap_or_default();
    let mut rows = routes::ALL.iter().filter(|row| row.path == pattern).peekable();
    if rows.peek().is_none() {
        return Err(Refused::new(Slug::NotFound, "there is no such resource"));
    }
    let known: Vec<&str> = rows.clone().map(|row| row.method.as_str()).collect();
    rows.find(|row| row.method.as_str() == request.method().as_str()).ok_or_else(|| {
        Refused::new(Slug::MethodNotAllowed, format!("this resource knows {}", known.join(", ")))
    })
}

fn source(request: &ServiceRequest) -> Result<IpAddr, Refused> {
    let address = request.peer_addr().ok_or_else(|| internal(&"a connection without an address"))?;
    Ok(address.ip().to_canonical())
}

fn idempotency_key(request: &ServiceRequest) -> Result<Option<String>, Refused> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let fits = (1..=KEY_OCTETS).contains(&key.len()) && key.bytes().all(|octet| octet.is_ascii_graphic());
    if !fits {
        let rule = format!("Idempotency-Key is 1 to {KEY_OCTETS} visible ASCII characters");
        return Err(Refused::invalid("Idempotency-Key", rule));
    }
    Ok(Some(key.to_owned()))
}

/// SHA-256 over method, path and body; the body is put back for the handler.
async fn digest(request: &mut ServiceRequest, limit: usize) -> Result<[u8; 32], Refused> {
    let mut payload = request.take_payload_();
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| Refused::invalid("", format!("the body cannot be read: {error}")))?;
        if body.len() + chunk.len() > limit {
            let rule = format!("a request body holds at most {limit} octets here");
            return Err(Refused::new(Slug::TooLarge, rule));
        }
        body.extend_from_slice(&chunk);
    }
    let body = body.freeze();
    let mut hash = Sha256::new();
    for part in [request.method().as_str().as_bytes(), request.path().as_bytes(), &body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let (_, mut payload) = h1::Payload::create(true);
    payload.unread_data(body);
    request.set_payload(Payload::from(payload));
    Ok(hash.finalize().into())
}

trait TakePayload {
    fn take_payload_(&mut self) -> Payload;
}

impl TakePayload for ServiceRequest {
    fn take_payload_(&mut self) -> Payload {
        let (_, empty) = h1::Payload::create(true);
        let mut payload = Payload::from(empty);
        std::mem::swap(self.parts_mut().1, &mut payload);
        payload
    }
}

async fn replay(inside: &Inside, caller: &Caller, once: &Once) -> Result<Option<HttpResponse>, Refused> {
    let (principal, key) = (caller.admin.id.to_string(), once.key.clone());
    let found = inside.store.read(move |r| idempotency::find(r, &principal, &key)).await?;
    let Some(answered) = found else { return Ok(None) };
    if answered.request != once.request {
        return Err(Refused::new(
            Slug::IdempotencyMismatch,
            "this Idempotency-Key was used for another request; take a new one",
        ));
    }
    let body = match answered.answer.strip_prefix(super::write::SEALED) {
        None => answered.answer,
        Some(sealed) => {
            let octets = data_encoding::BASE64.decode(sealed.as_bytes()).map_err(|error| internal(&error))?;
            let open = inside.sealer.open(EnrolmentId(caller.admin.id), &octets)?;
            String::from_utf8(open.to_vec()).map_err(|error| internal(&error))?
        }
    };
    let status = u16::try_from(answered.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    Ok(Some(
        HttpResponse::build(status.unwrap_or(StatusCode::OK))
            .content_type("application/json")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("Idempotency-Replayed", "true"))
            .body(body),
    ))
}

/// An error of an extractor or handler, with the request's id.
fn of_error(error: &Error, id: Uuid) -> HttpResponse {
    match error.as_error::<Refused>() {
        Some(refused) => refused.respond(Some(id.to_string())),
        None => {
            let status = error.as_response_error().status_code();
            let slug = match status {
                StatusCode::PAYLOAD_TOO_LARGE => Slug::TooLarge,
                status if status.is_client_error() => Slug::InvalidRequest,
                _ => return internal(error).respond(Some(id.to_string())),
            };
            Refused::new(slug, error.to_string()).respond(Some(id.to_string()))
        }
    }
}

/// The request's id on every answer, also where a refusal came from a handler.
fn named<B>(mut response: ServiceResponse<B>, id: Uuid) -> ServiceResponse<B> {
    let value = header::HeaderValue::from_str(&id.to_string()).expect("a UUID is visible ASCII");
    response.headers_mut().insert(header::HeaderName::from_static("postern-request-id"), value);
    response
}

impl FromRequest for Caller {
    type Error = Refused;
    type Future = std::future::Ready<Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        std::future::ready(caller.ok_or_else(|| internal(&"a handler was reached past the guard")))
    }
}

impl FromRequest for Stranger {
    type Error = Refused;
    type Future = std::future::Ready<Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let stranger = request.extensions().get::<Self>().cloned();
        std::future::ready(stranger.ok_or_else(|| internal(&"a handler was reached past the guard")))
    }
}
