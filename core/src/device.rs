//! The device endpoint: `POST /dm/1/<route>`, served on links only.
//!
//! Promise: it translates between HTTP and [`Devices`] and decides nothing about a device. A reply carries its
//! request's id, a Content-Length and never a transfer coding; a refusal is an HTTP status without a body and one
//! log line with the device and the cause. Headers beside the ones read here do not reach the actors.
//! Follows OMA-TS-DM_Protocol 7 (HTTP binding of OMA-TS-SyncML_HTTPBinding), RFC 9440, RFC 9421 and RFC 9530.

mod certificate;
mod headers;
mod signing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
    },
    web,
};
use postern_actors::{
    CheckIn, CheckedIn, Clock, Devices, PeerFacts, Refusal, RefusalCause, SignatureVerdict, Standing,
};
use postern_wire::{
    link::{Admission, CertificateName},
    route::{PREFIX, RouteHash, RouteId},
    syncml::MediaType,
    terms::AuthType,
};
use uuid::Uuid;

pub use certificate::{BadCertificate, Certificate, Known as KnownCertificates};
pub use signing::{BadMessageKey, MessageKey};

/// What the device endpoint needs; one value for all links.
pub struct DeviceEndpoint {
    /// The devices.
    pub devices: Devices,
    /// The blocked list as the core holds it.
    pub blocked: Arc<dyn Blocked>,
    /// The key that signs replies to devices of the auth type `signed`.
    pub message_key: Option<Arc<MessageKey>>,
    /// Certificates that were shown lately.
    pub certificates: KnownCertificates,
    /// The clock by which certificates are judged.
    pub clock: Arc<dyn Clock>,
    /// The largest body in octets. The gateway has the same limit; this one holds against a captured gateway.
    pub body_limit: usize,
}

/// The blocked list, as the core's own judgement beside the gateway's.
pub trait Blocked: Send + Sync + 'static {
    /// The verdict on this route and certificate; validity in time is judged apart.
    fn verdict(&self, route: RouteHash, certificate: Option<&CertificateName>) -> Admission;
}

/// Blocks nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NobodyBlocked;

impl Blocked for NobodyBlocked {
    fn verdict(&self, _: RouteHash, _: Option<&CertificateName>) -> Admission {
        Admission::Admit
    }
}

/// The name of the gateway at the other end of a link; the link puts it into the connection's data.
#[derive(Clone, Debug)]
pub struct LinkGateway(pub Arc<str>);

/// Mounts the endpoint. The application's data must hold a `web::Data<DeviceEndpoint>`.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource(format!("{PREFIX}{{route}}")).route(web::post().to(check_in)));
}

async fn check_in(
    endpoint: web::Data<DeviceEndpoint>,
    http: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let request_id = headers::request_id(&http);
    let route = http.match_info().get("route").and_then(|text| RouteId::parse(text).ok());
    let answer = match read(&endpoint, &http, payload, route, request_id).await {
        Ok((request, nonce)) => {
            let answer = endpoint.devices.check_in(request).await;
            answer.map_err(Problem::from).and_then(|checked_in| reply(&endpoint, checked_in, nonce))
        }
        Err(problem) => Err(problem),
    };
    let mut response = answer.unwrap_or_else(|problem| refuse(&problem, route, request_id));
    headers::echo_request_id(&http, &mut response);
    response
}

/// Why no SyncML message is answered.
struct Problem {
    status: u16,
    refusal: Refusal,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status(), refusal }
    }
}

impl Problem {
    fn of(status: u16, cause: RefusalCause, detail: impl Into<String>) -> Self {
        Self { status, refusal: Refusal::new(cause, detail) }
    }
}

/// Puts the request together; the second value is the nonce of its signature, which a signed reply repeats.
async fn read(
    endpoint: &DeviceEndpoint,
    http: &HttpRequest,
    payload: web::Payload,
    route: Option<RouteId>,
    request_id: Option<Uuid>,
) -> Result<(CheckIn, Option<[u8; 16]>), Problem> {
    let route =
        route.ok_or_else(|| Problem::of(404, RefusalCause::UnknownRoute, "the path holds no route"))?;
    let content_type = headers::text(http, CONTENT_TYPE.as_str()).unwrap_or_default();
    let media = MediaType::parse(content_type).ok_or_else(|| {
        Problem::of(415, RefusalCause::Malformed, format!("Content-Type is {content_type:?}"))
    })?;
    if headers::text(http, CONTENT_ENCODING.as_str())
        .is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("identity"))
    {
        return Err(Problem::of(415, RefusalCause::Malformed, "the body has a content coding"));
    }
    let body = match payload.to_bytes_limited(endpoint.body_limit).await {
        Ok(Ok(body)) => body,
        Ok(Err(cause)) => {
            return Err(Problem::of(400, RefusalCause::Malformed, format!("the body broke off: {cause}")));
        }
        Err(_) => {
            return Err(Problem::of(
                413,
                RefusalCause::TooLarge,
                format!("more than {} octets", endpoint.body_limit),
            ));
        }
    };

    let certificate = headers::client_certificate(http, &endpoint.certificates)
        .map_err(|cause| Problem::of(400, RefusalCause::WrongCertificate, cause.to_string()))?;
    let verdict = judge(endpoint, http, &route, certificate.as_deref());
    let standing = match verdict {
        Admission::Admit => Standing::Admit,
        Admission::WipeOnly => Standing::WipeOnly,
        Admission::Refuse => {
            let serial = certificate.map_or_else(String::new, |certificate| certificate.facts.serial.clone());
            return Err(Refusal::new(
                RefusalCause::CertificateRefused,
                format!("certificate {serial} is refused"),
            )
            .into());
        }
    };
    let signature = signing::verify(http, content_type, &body, certificate.as_deref());
    let nonce = match &signature {
        SignatureVerdict::Verified(facts) => Some(facts.nonce),
        SignatureVerdict::Absent | SignatureVerdict::Invalid(_) => None,
    };
    let peer = PeerFacts {
        certificate: certificate.map(|certificate| certificate.facts.clone()),
        signature,
        hmac: headers::text(http, postern_wire::auth::HMAC_HEADER).map(str::to_owned),
        user_agent: headers::text(http, "user-agent")
            .filter(|agent| agent.len() <= postern_actors::USER_AGENT_OCTETS)
            .map(str::to_owned),
        source: headers::text(http, headers::SOURCE).and_then(|text| text.parse().ok()),
        gateway: http.conn_data::<LinkGateway>().map(|link| link.0.clone()),
        tls: headers::text(http, headers::TLS).map(Arc::from),
        standing,
    };
    Ok((CheckIn { route, media, body, peer, request_id: request_id.unwrap_or_default() }, nonce))
}

/// The strictest of what the gateway said, the blocked list says, and the certificate's validity gives: an expired
/// certificate still reaches its wipe.
fn judge(
    endpoint: &DeviceEndpoint,
    http: &HttpRequest,
    route: &RouteId,
    certificate: Option<&Certificate>,
) -> Admission {
    let said = match headers::text(http, headers::ADMISSION) {
        None => Admission::Admit,
        Some(text) if text == Admission::Admit.as_str() => Admission::Admit,
        Some(text) if text == Admission::WipeOnly.as_str() => Admission::WipeOnly,
        Some(_) => Admission::Refuse,
    };
    let name = certificate.map(Certificate::name);
    let listed = endpoint.blocked.verdict(route.hash(), name.as_ref());
    let now = endpoint.clock.wall();
    let valid = certificate.map_or(Admission::Admit, |certificate| certificate.validity(now));
    said.stricter(listed).stricter(valid)
}

fn reply(
    endpoint: &DeviceEndpoint,
    checked_in: CheckedIn,
    nonce: Option<[u8; 16]>,
) -> Result<HttpResponse, Problem> {
    let content_type = checked_in.content_type;
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, content_type));
    if let Some(hmac) = &checked_in.hmac {
        response.insert_header((postern_wire::auth::HMAC_HEADER, hmac.as_str()));
    }
    if checked_in.auth == AuthType::Signed
        && let (Some(key), Some(nonce)) = (&endpoint.message_key, nonce)
    {
        let fields =
            key.sign(200, content_type, &checked_in.body, nonce, endpoint.clock.wall()).map_err(|cause| {
                Problem::of(
                    500,
                    RefusalCause::Failed,
                    format!("the reply to {} cannot be signed: {cause}", checked_in.enrolment),
                )
            })?;
        response.insert_header((postern_wire::signature::CONTENT_DIGEST, fields.content_digest));
        response.insert_header((postern_wire::signature::SIGNATURE_INPUT, fields.signature_input));
        response.insert_header((postern_wire::signature::SIGNATURE, fields.signature));
    }
    Ok(response.body(checked_in.body))
}

fn refuse(problem: &Problem, route: Option<RouteId>, request_id: Option<Uuid>) -> HttpResponse {
    let Problem { status, refusal } = problem;
    tracing::info!(
        cause = refusal.slug(),
        status,
        device = refusal.enrolment.map(tracing::field::display),
        route_hash = route.map(|route| tracing::field::display(route.hash())),
        request_id = request_id.map(tracing::field::display),
        detail = refusal.detail.escape_debug().to_string(),
        "check-in refused"
    );
    let mut response =
        HttpResponse::build(StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if let Some(seconds) = refusal.retry_after_s {
        response.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    response.body("")
}
