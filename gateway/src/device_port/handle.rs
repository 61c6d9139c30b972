//! One request of a device: admit, read, check, relay, answer.

use std::{rc::Rc, sync::Arc};

use actix_http::{HttpMessage, Request, Response, body::BoxBody};
use postern_wire::{
    link::{self, Admission, RefusalReason, Settings},
    route::{LISTEN, RouteHash},
};

use super::{answer, crl, enrol, listen, serve::Connection};
use crate::{
    admission::{
        Refusal, body,
        enrolment::Asked,
        head::{self, Passed},
        rates::{Rate, address_key},
    },
    relay::{self, Message, Reply},
    shared::{Phase, Shared},
};

/// Answers a request.
pub(crate) async fn handle(shared: Arc<Shared>, worker: usize, request: Request) -> Response<BoxBody> {
    let Some(connection) = request.conn_data::<Rc<Connection>>().map(Rc::clone) else {
        return answer::refusal(&Refusal::new(RefusalReason::Other), 60, false);
    };
    connection.asked.set(true);
    let settings = shared.settings.now().clone();
    let mut progress = Progress { route: None, read: false };
    let answered = if request.path().ends_with(LISTEN) {
        listen::listen(&shared, &request, &connection, &settings, &mut progress).await
    } else if let Some(asked) = Asked::of(request.path()) {
        let passed =
            enrol::pass_on(&shared, worker, asked, request, &connection, &settings, &mut progress).await;
        passed.map(Reply::into_response)
    } else if crl::is_asked(request.path()) {
        crl::pass_on(&shared, worker, &request, &connection, &settings).await.map(Reply::into_response)
    } else {
        pass_on(&shared, worker, request, &connection, &settings, &mut progress).await.map(|reply| {
            judge_answer(&shared, &connection, &reply);
            reply.into_response()
        })
    };
    match answered {
        Ok(answer) => answer,
        Err(refusal) => {
            let name = connection.certificate.as_ref().map(|certificate| &certificate.name);
            let (reason, detail) = (refusal.reason, refusal.detail.as_deref());
            shared.refused(reason, connection.source, name, progress.route, detail);
            if is_the_devices_fault(reason) {
                shared.failed(connection.source);
            }
            answer::refusal(&refusal, retry_after_s(reason, &settings), progress.read)
        }
    }
}

/// When to come again, seconds: where tokens are short, when a quarter of a burst has grown again.
fn retry_after_s(reason: RefusalReason, settings: &Settings) -> u64 {
    let grown = |burst: u32, per_minute: u32| u64::from(burst) * 60 / 4 / u64::from(per_minute.max(1));
    match reason {
        RefusalReason::AddressRate => grown(settings.address.burst, settings.address.per_minute),
        RefusalReason::RouteRate => grown(settings.route.burst, settings.route.per_minute),
        _ => settings.retry_after_s,
    }
    .clamp(1, settings.retry_after_s.max(1))
}

/// How far a request came before it was refused.
pub(super) struct Progress {
    pub(super) route: Option<RouteHash>,
    /// Its body was read whole: the connection can go on.
    pub(super) read: bool,
}

async fn pass_on(
    shared: &Arc<Shared>,
    worker: usize,
    mut request: Request,
    connection: &Connection,
    settings: &Settings,
    progress: &mut Progress,
) -> Result<Reply, Refusal> {
    if *shared.phase().borrow() != Phase::Serving {
        return Err(RefusalReason::Draining.into());
    }
    let now = (shared.clock)();
    let passed = {
        let lists = shared.lists.load();
        let certificate = connection.certificate.as_ref();
        head::judge(request.head(), certificate, settings, &lists, now).map_err(|refused| {
            progress.route = refused.route;
            refused.refusal
        })?
    };
    progress.route = Some(passed.hash);
    take_of_route(shared, &passed.hash, settings)?;
    if shared.cores.active().is_none() {
        return Err(RefusalReason::NoCore.into());
    }
    let octets = body::read(request.take_payload(), passed.length, settings).await?;
    progress.read = true;
    if settings.decode_before_relay {
        body::decode(&octets, passed.media, settings)?;
    }
    shared.counters.octets_in.add(octets.len() as u64);
    let message = message(shared, &request, connection, &passed, octets);
    relay::relay(shared, worker, message, settings).await
}

/// Takes one request of what the route may send.
pub(super) fn take_of_route(shared: &Shared, route: &RouteHash, settings: &Settings) -> Result<(), Refusal> {
    let rate = Rate { per_minute: settings.route.per_minute, burst: settings.route.burst };
    let key = u128::from_be_bytes(*route.as_bytes());
    if shared.route_rates.take(key, rate, shared.uptime_ms()) {
        Ok(())
    } else {
        Err(RefusalReason::RouteRate.into())
    }
}

/// The message as it crosses: the body as it came, headers by the allow-list, and ours.
fn message(
    shared: &Shared,
    request: &Request,
    connection: &Connection,
    passed: &Passed,
    body: bytes::Bytes,
) -> Message {
    let mut message = Message::new(shared.request_id(), passed.route.path(), body);
    for name in link::REQUEST_HEADERS {
        for value in request.headers().get_all(*name) {
            message.header(name, value.as_bytes());
        }
    }
    message.header(link::SOURCE, connection.source.to_string().as_bytes());
    message.header(link::TLS, connection.tls.as_bytes());
    message.header(link::ADMISSION, passed.verdict.as_str().as_bytes());
    if passed.verdict == Admission::WipeOnly
        && let Some(reason) = passed.reason
    {
        message.header(link::ADMISSION_REASON, reason.as_str().as_bytes());
    }
    if let Some(certificate) = &connection.certificate {
        message.header_value(link::CLIENT_CERT, certificate.client_cert.clone());
    }
    message
}

/// An address that is behind an answered message has its token back; one that the core refuses loses one more.
fn judge_answer(shared: &Shared, connection: &Connection, reply: &Reply) {
    if reply.status.is_client_error() {
        shared.failed(connection.source);
    } else if reply.status.is_success() && !connection.proven.replace(true) {
        let key = address_key(connection.source);
        shared.address_rates.give(key, shared.address_rate(), shared.uptime_ms());
    }
}

fn is_the_devices_fault(reason: RefusalReason) -> bool {
    use RefusalReason as R;
    !matches!(
        reason,
        R::NoCore | R::LinksBusy | R::LinkBroken | R::Draining | R::RouteRate | R::ListenersFull
    )
}
