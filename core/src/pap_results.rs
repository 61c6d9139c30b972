//! The port where a push proxy gateway tells what became of pushes: plain HTTP on an inside address, one secret path.
//!
//! Promise: another path, method or size is answered without being looked at; a sender that is slow is dropped; nothing else
//! of the core can be reached here.

use std::{sync::Arc, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    http::{Method, StatusCode},
    web,
};
use postern_adapters::pap::{MOST_OCTETS, PapResults};
use tokio_stream::StreamExt as _;

/// How long a request's head, and then its body, may take.
const READ: Duration = Duration::from_secs(5);
/// Connections at a time.
const CONNECTIONS: usize = 64;

/// Serves until the handle stops it.
///
/// # Errors
/// The address cannot be listened on.
pub(crate) fn start(results: PapResults) -> std::io::Result<ServerHandle> {
    let address = results.listen();
    let results = web::Data::from(Arc::new(results));
    let server = HttpServer::new(move || App::new().app_data(results.clone()).default_service(web::to(take)))
        .workers(1)
        .client_request_timeout(READ)
        .max_connections(CONNECTIONS)
        .shutdown_timeout(1)
        .disable_signals()
        .bind(address)?
        .run();
    tracing::info!(%address, "result notifications of a push proxy gateway are taken");
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(handle)
}

async fn take(results: web::Data<PapResults>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    if request.method() != Method::POST || !results.is_for(request.path()) {
        return answer(404, String::new());
    }
    match tokio::time::timeout(READ, body(payload)).await {
        Ok(Some(octets)) => {
            let taken = results.take(&octets);
            if taken.status != 200 {
                tracing::warn!(status = taken.status, "a result notification was not taken");
            }
            answer(taken.status, taken.body)
        }
        Ok(None) => answer(413, String::new()),
        Err(_) => answer(408, String::new()),
    }
}

/// The body, as long as it stays within bounds.
async fn body(mut payload: web::Payload) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    while let Some(chunk) = payload.next().await {
        octets.extend_from_slice(&chunk.ok()?);
        if octets.len() > MOST_OCTETS {
            return None;
        }
    }
    Some(octets)
}

fn answer(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if body.is_empty() { response.finish() } else { response.content_type("application/xml").body(body) }
}
