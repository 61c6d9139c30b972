//! Health, readiness and metrics over HTTP, on loopback only (the configuration refuses anything else).

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_http::{
    HttpService, KeepAlive, Request, Response, StatusCode, body::BoxBody, header::CONTENT_TYPE,
};
use actix_web::dev::{Service, ServiceFactory};
use tokio::net::TcpStream;

use crate::{
    observe::{self, Standing},
    shared::{Phase, Shared},
};

/// Serves until the gateway stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return shared.trouble("metrics port", Some(error.to_string())),
    };
    let for_requests = Arc::clone(&shared);
    let service = HttpService::<TcpStream, _, BoxBody>::build()
        .keep_alive(KeepAlive::Timeout(Duration::from_secs(30)))
        .client_request_timeout(Duration::from_secs(5))
        .h1(move |request: Request| {
            let answer = answer(&for_requests, &request);
            async move { Ok::<Response<BoxBody>, Infallible>(answer) }
        })
        .new_service(())
        .await;
    let Ok(service) = service.map(Rc::new) else { return };
    loop {
        let accepted: std::io::Result<(TcpStream, SocketAddr)> = listener.accept().await;
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = Rc::clone(&service);
        actix_rt::spawn(async move { service.call((stream, Some(peer))).await });
    }
}

fn answer(shared: &Shared, request: &Request) -> Response<BoxBody> {
    match request.path() {
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => readiness(shared),
        "/metrics" => text(StatusCode::OK, observe::metrics(&shared.counters, &standing(shared))),
        _ => text(StatusCode::NOT_FOUND, "/healthz, /readyz and /metrics are here\n".to_owned()),
    }
}

/// Ready when messages can be relayed; else the reasons, a line each.
fn readiness(shared: &Shared) -> Response<BoxBody> {
    let mut reasons = Vec::new();
    if *shared.phase().borrow() != Phase::Serving {
        reasons.push("draining".to_owned());
    }
    if shared.cores.active().is_none() {
        reasons.push("no core is connected whose versions this gateway has".to_owned());
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if reasons.is_empty() {
        reasons.push("ready".to_owned());
    }
    reasons.extend(shared.troubles());
    text(status, reasons.join("\n") + "\n")
}

fn standing(shared: &Shared) -> Standing {
    let core = shared.cores.active();
    let (blocked, routes) = shared.lists.load().versions();
    Standing {
        ready: core.is_some(),
        listeners: shared.listeners.count(),
        links: core.as_ref().map_or(0, |core| core.request_links.load(Ordering::Relaxed)),
        links_busy: core.as_ref().map_or(0, |core| core.busy.load(Ordering::Relaxed)),
        settings: shared.settings.now().version,
        blocked,
        routes,
        device_certificate_not_after_ms: shared.device_tls.load().facts.not_after.0,
        link_certificate_not_after_ms: shared.link_tls.load().facts.not_after.0,
        rss: observe::resident_octets(),
        troubles: shared.troubles().len(),
        untold: shared.refusals.untold(),
    }
}

fn text(status: StatusCode, text: String) -> Response<BoxBody> {
    Response::build(status)
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(text)
        .map_into_boxed_body()
}
