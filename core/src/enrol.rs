//! Enrolment over the air on the links: `POST /enrol/1/start`, `POST /enrol/1/finish`, `GET /enrol/1/discover`.
//!
//! Promise: it translates between HTTP, the handshake (`postern_wire::enrol`) and the enrolment supervisor, and decides
//! nothing about a device. Before the password is proved there is one answer to all, nothing is kept in memory, and
//! nothing is written before the answer; what is kept after that is bounded ([`handshakes`]). Who failed often
//! lately is asked to wait, by source ([`sources`]).

mod handshakes;
mod sources;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE as TYPE, RETRY_AFTER},
    },
    web,
};
use postern_actors::{
    Authority as _,
    enrolment::{AdmitError, Came, Door, Enrolments, Knock, Proposal},
};
use postern_store::recovery;
use postern_wire::{
    enrol::{
        Application, BODY_LIMIT, CONTENT_TYPE, DISCOVER_PATH, Der, Discovery, EnrolError, FINISH_PATH,
        Finish, KeyType, Refusal, Responder, START_PATH, Start, VERSION, Welcome,
    },
    link::SOURCE,
    problem,
};
use secrecy::zeroize::Zeroizing;

use crate::{admin, device::LinkGateway, inside::Inside};
use handshakes::Handshakes;
use sources::Sources;

/// What every path of enrolment starts with.
pub(crate) const PREFIX: &str = "/enrol/1/";
/// Retry-After of an answer that asks to come again, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// What the endpoint needs; one value for all links.
pub(crate) struct EnrolEndpoint {
    inside: Arc<Inside>,
    enrolments: Enrolments,
    handshakes: Handshakes,
    sources: Sources,
    message_key: Der,
    order_key: Der,
    discovery: Discovery,
}

impl EnrolEndpoint {
    /// The endpoint of this core.
    pub(crate) fn new(inside: Arc<Inside>, enrolments: Enrolments) -> Self {
        let url = &inside.config.devices.url;
        let server = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/');
        Self {
            message_key: spki(&inside.message_public_pem),
            order_key: spki(&inside.order_public_pem),
            discovery: Discovery { versions: vec![VERSION], server: server.to_owned() },
            handshakes: Handshakes::default(),
            sources: Sources::default(),
            enrolments,
            inside,
        }
    }

    fn ephemeral(&self) -> Zeroizing<[u8; 32]> {
        let mut octets = Zeroizing::new([0; 32]);
        self.inside.random.fill(&mut *octets);
        octets
    }

    fn welcome(&self, escrow_key: Option<Der>) -> Welcome {
        let anchors = self.inside.authorities.anchors();
        let ders = |all: Vec<Vec<u8>>| all.into_iter().map(Der).collect();
        Welcome {
            server_cas: ders(anchors.server),
            device_cas: ders(anchors.device),
            message_key: self.message_key.clone(),
            order_key: self.order_key.clone(),
            key_type: KeyType::EcdsaP256,
            escrow_key,
        }
    }
}

/// The SubjectPublicKeyInfo of a key of ours.
fn spki(pem: &str) -> Der {
    Der(x509_parser::pem::parse_x509_pem(pem.as_bytes()).map(|(_, pem)| pem.contents).unwrap_or_default())
}

/// Mounts the endpoint. The application's data must hold a `web::Data<EnrolEndpoint>`.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource(START_PATH).route(web::post().to(start)))
        .service(web::resource(FINISH_PATH).route(web::post().to(finish)))
        .service(web::resource(DISCOVER_PATH).route(web::get().to(discover)));
}

/// Why there is no answer of the protocol.
enum Stop {
    /// A refusal, with what the log is to say of it.
    Refused(Refusal, String),
    /// Nothing was decided: the device is to come again.
    Later(String),
}

impl From<AdmitError> for Stop {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::Refused { refusal, detail } => Self::Refused(refusal, detail),
            AdmitError::Unavailable(cause) => Self::Later(cause),
        }
    }
}

async fn start(endpoint: web::Data<EnrolEndpoint>, http: HttpRequest, payload: web::Payload) -> HttpResponse {
    let came = came(&http);
    let answer = answer_start(&endpoint, &http, payload, &came).await;
    answered(answer, "start", &came)
}

async fn answer_start(
    endpoint: &EnrolEndpoint,
    http: &HttpRequest,
    payload: web::Payload,
    came: &Came,
) -> Result<Vec<u8>, Stop> {
    let now = endpoint.inside.clock.monotonic();
    if !endpoint.sources.admits(&came.source, now) {
        return Err(Stop::Refused(Refusal::Busy, "too many wrong passwords from there lately".to_owned()));
    }
    let not_proved = |code, why: String| {
        endpoint.sources.failed(&came.source, now);
        endpoint.enrolments.knocked(Knock {
            code,
            step: "start",
            reason: Refusal::NotProved.slug(),
            source: came.source.clone(),
            gateway: came.gateway.clone(),
        });
        Stop::Refused(Refusal::NotProved, why)
    };
    let body = body(http, payload).await.map_err(|why| not_proved(None, why))?;
    let start = Start::read(&body).map_err(|error| not_proved(None, error.to_string()))?;
    let key = endpoint.enrolments.key(start.code).await.map_err(|error| Stop::Later(error.to_string()))?;
    let (responder, _hello) = Responder::start(&start, key.as_ref(), endpoint.ephemeral())
        .map_err(|error| not_proved(Some(start.code), error.to_string()))?;
    let escrow_key = endpoint.inside.store.look_up(recovery::current_key).await;
    let escrow_key = escrow_key.map_err(|error| Stop::Later(error.to_string()))?;
    let (waiting, body) = responder
        .welcome(&endpoint.welcome(escrow_key.map(|key| Der(key.public))))
        .map_err(|error| Stop::Later(format!("the welcome cannot be said: {error}")))?;
    if !endpoint.handshakes.keep(waiting, now) {
        return Err(Stop::Refused(Refusal::Busy, "too many handshakes are under way".to_owned()));
    }
    Ok(body)
}

async fn finish(
    endpoint: web::Data<EnrolEndpoint>,
    http: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let came = came(&http);
    let answer = answer_finish(&endpoint, &http, payload, &came).await;
    answered(answer, "finish", &came)
}

async fn answer_finish(
    endpoint: &EnrolEndpoint,
    http: &HttpRequest,
    payload: web::Payload,
    came: &Came,
) -> Result<Vec<u8>, Stop> {
    let now = endpoint.inside.clock.monotonic();
    let refused = |refusal: Refusal, why: String| {
        endpoint.enrolments.knocked(Knock {
            code: None,
            step: "finish",
            reason: refusal.slug(),
            source: came.source.clone(),
            gateway: came.gateway.clone(),
        });
        Stop::Refused(refusal, why)
    };
    let body = body(http, payload).await.map_err(|why| refused(Refusal::NotProved, why))?;
    let finish = Finish::read(&body).map_err(|error| refused(Refusal::NotProved, error.to_string()))?;
    let Some(mut waiting) = endpoint.handshakes.take(finish.handshake, now) else {
        return Err(refused(Refusal::HandshakeUnknown, "no such handshake is kept".to_owned()));
    };
    let code = waiting.code();
    let application = match waiting.finish(&finish) {
        Ok(application) => application,
        Err(EnrolError::NotProved) => {
            // Somebody else's octets: the device that was welcomed may still come.
            endpoint.handshakes.keep(waiting, now);
            return Err(refused(
                Refusal::NotProved,
                "the finish does not belong to its handshake".to_owned(),
            ));
        }
        Err(other) => return Err(refused(Refusal::BadRequest, other.to_string())),
    };
    let admitted = endpoint.enrolments.admit(code, proposal(application), came.clone()).await?;
    if let Ok(active) = endpoint.inside.active() {
        admin::known_to_gateways(&active).await;
    }
    let asked = waiting.asked().ok_or_else(|| Stop::Later("the handshake is not finished".to_owned()))?;
    asked.admit(&admitted).map_err(|error| Stop::Later(format!("the answer cannot be said: {error}")))
}

async fn discover(endpoint: web::Data<EnrolEndpoint>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(&endpoint.discovery)
}

fn proposal(application: Application) -> Proposal {
    Proposal {
        door: Door::Air,
        device_id: application.device_id,
        hardware_id: Some(application.hardware_id),
        model: Some(format!("{} {}", application.manufacturer, application.model).trim().to_owned()),
        platform: Some(application.platform),
        email: application.email,
        csr: application.csr.0,
    }
}

fn came(http: &HttpRequest) -> Came {
    let mut sources = http.headers().get_all(SOURCE);
    let source = sources.next().and_then(|value| value.to_str().ok()).filter(|_| sources.next().is_none());
    Came {
        source: source.unwrap_or_default().to_owned(),
        gateway: http.conn_data::<LinkGateway>().map_or_else(String::new, |link| link.0.to_string()),
    }
}

async fn body(http: &HttpRequest, payload: web::Payload) -> Result<web::Bytes, String> {
    let type_ = http.headers().get(TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !type_.trim().eq_ignore_ascii_case(CONTENT_TYPE) {
        return Err("the body is of another type".to_owned());
    }
    match payload.to_bytes_limited(BODY_LIMIT).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(cause)) => Err(format!("the body broke off: {cause}")),
        Err(_) => Err("the body is too large".to_owned()),
    }
}

fn answered(answer: Result<Vec<u8>, Stop>, step: &'static str, came: &Came) -> HttpResponse {
    match answer {
        Ok(body) => HttpResponse::Ok()
            .content_type(CONTENT_TYPE)
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(body),
        Err(Stop::Refused(refusal, detail)) => {
            tracing::info!(
                cause = refusal.slug(),
                step,
                source = %came.source.escape_debug(),
                gateway = %came.gateway.escape_debug(),
                detail = %detail.escape_debug(),
                "enrolment refused"
            );
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
            let mut response = HttpResponse::build(status);
            if refusal == Refusal::Busy {
                response.insert_header((RETRY_AFTER, RETRY_AFTER_S.to_string()));
            }
            response
                .content_type(problem::CONTENT_TYPE)
                .insert_header((CACHE_CONTROL, "no-store"))
                .body(refusal.problem().to_json())
        }
        Err(Stop::Later(cause)) => {
            tracing::warn!(step, cause = %cause.escape_debug(), "an enrolment is put off");
            HttpResponse::ServiceUnavailable()
                .insert_header((RETRY_AFTER, RETRY_AFTER_S.to_string()))
                .insert_header((CACHE_CONTROL, "no-store"))
                .finish()
        }
    }
}
