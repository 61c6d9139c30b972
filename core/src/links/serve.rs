//! What is served on a link: hello, watch, report and ping, and on request links the device routes and enrolment. Anything else,
//! an admin route above all, is 404.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use actix_http::{HttpService, KeepAlive};
use actix_service::{ServiceFactory, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse,
    body::BoxBody,
    dev::{AppConfig, Service, ServiceRequest},
    http::header::{HeaderName, HeaderValue},
    web,
};
use postern_wire::{
    link::{
        CRL_PREFIX, HELLO_PATH, Hello, LinkRole, PING_PATH, REPORT_PATH, REQUEST_ID, ReportAnswer,
        ReportBatch, WATCH_PATH, Welcome,
    },
    route::PREFIX,
};
use tokio::sync::mpsc;

use crate::{device::LinkGateway, enrol};

use super::{
    dial::{self, Link, LinkStream},
    state::{Gateway, Hub, Job},
    watch,
};

/// No message on a link is larger, octets: the gateway's own limit is below it (`Settings::message_octets`).
const BODY_OCTETS: usize = 16 * 1024 * 1024;

/// Starts the threads that serve links.
pub(super) fn start_threads<F>(hub: &Arc<Hub>, configure: &F)
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    for _ in 0..hub.config.threads.max(1) {
        let (jobs, todo) = mpsc::unbounded_channel();
        hub.add_thread(jobs);
        let (hub, configure) = (Arc::clone(hub), configure.clone());
        let arbiter = actix_rt::Arbiter::new();
        arbiter.spawn_fn(move || {
            actix_rt::spawn(work(hub, configure, todo));
        });
    }
}

/// One link thread: an App of its own, and the links that are given to it.
async fn work<F>(hub: Arc<Hub>, configure: F, mut todo: mpsc::UnboundedReceiver<Job>)
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let app = App::new()
        .wrap_fn(|request, service| {
            let next = match admit(&request) {
                Some(busy) => {
                    let id = request.headers().get(REQUEST_ID).cloned();
                    Ok((service.call(request), busy, id))
                }
                None => Err(request.into_response(HttpResponse::NotFound().finish())),
            };
            async move {
                match next {
                    Ok((answer, _busy, id)) => {
                        let mut answer = answer.await?;
                        if let Some(id) = id {
                            answer.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id);
                        }
                        Ok(answer)
                    }
                    Err(refused) => Ok(refused),
                }
            }
        })
        .app_data(web::PayloadConfig::new(BODY_OCTETS))
        .route(HELLO_PATH, web::post().to(hello))
        .route(WATCH_PATH, web::get().to(watch::watch))
        .route(REPORT_PATH, web::post().to(report))
        .route(PING_PATH, web::get().to(ping))
        .configure(configure)
        .default_service(web::to(HttpResponse::NotFound));
    let factory = HttpService::<LinkStream, _, BoxBody>::build()
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(std::time::Duration::ZERO)
        .client_disconnect_timeout(std::time::Duration::from_secs(1))
        .on_connect_ext(|stream: &LinkStream, data| {
            data.insert(LinkGateway(stream.link.gateway.target.name.as_str().into()));
            data.insert(Arc::clone(&stream.link));
        })
        .h1(map_config(app, |()| AppConfig::default()));
    let service = match factory.new_service(()).await {
        Ok(service) => Rc::new(service),
        Err(()) => {
            tracing::error!("the device routes cannot be served on links");
            return;
        }
    };
    while let Some(job) = todo.recv().await {
        let hub = Arc::clone(&hub);
        match job {
            Job::Gateway(gateway) => drop(actix_rt::spawn(dial::keep_gateway(hub, gateway))),
            Job::Slot(slot) => drop(actix_rt::spawn(dial::keep_link(hub, slot, Rc::clone(&service)))),
        }
    }
}

/// Counts a device's message while it is being answered.
struct Busy(Option<Arc<Gateway>>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(gateway) = &self.0 {
            gateway.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Which paths a link of which role serves; before the hello none but the hello.
fn admit(request: &ServiceRequest) -> Option<Busy> {
    let link = request.conn_data::<Arc<Link>>()?;
    let path = request.path();
    if path == HELLO_PATH {
        return Some(Busy(None));
    }
    if !link.greeted.load(Ordering::Relaxed) {
        return None;
    }
    match link.role {
        LinkRole::Watch => (path == WATCH_PATH).then_some(Busy(None)),
        LinkRole::Report => (path == REPORT_PATH).then_some(Busy(None)),
        LinkRole::Request if path == PING_PATH || path.starts_with(CRL_PREFIX) => Some(Busy(None)),
        LinkRole::Request => (path.starts_with(PREFIX) || path.starts_with(enrol::PREFIX)).then(|| {
            link.gateway.busy.fetch_add(1, Ordering::Relaxed);
            Busy(Some(Arc::clone(&link.gateway)))
        }),
    }
}

async fn hello(request: HttpRequest, hello: web::Json<Hello>) -> HttpResponse {
    let Some(link) = request.conn_data::<Arc<Link>>() else { return HttpResponse::NotFound().finish() };
    if hello.gateway != link.gateway.target.name {
        return HttpResponse::Forbidden().force_close().finish();
    }
    link.gateway.greeted(&hello, (link.hub.clock)());
    link.greeted.store(true, Ordering::Relaxed);
    HttpResponse::Ok().json(Welcome {
        role: link.role,
        core: link.hub.config.core,
        epoch: *link.hub.epoch.borrow(),
        heartbeat_ms: u64::try_from(link.hub.config.heartbeat.as_millis()).unwrap_or(u64::MAX),
    })
}

async fn report(request: HttpRequest, batch: web::Json<ReportBatch>) -> HttpResponse {
    let Some(link) = request.conn_data::<Arc<Link>>() else { return HttpResponse::NotFound().finish() };
    let (hub, gateway) = (&link.hub, &link.gateway);
    let batch = batch.into_inner();
    for ack in &batch.acks {
        hub.lists.acknowledged(&gateway.target.name, ack);
    }
    let want = batch.want_links.clamp(1, hub.config.request_links_most.max(1));
    gateway.wanted.send_if_modified(|wanted| std::mem::replace(wanted, want) != want);
    let ok = hub.reports.take(&gateway.target.name, batch).await;
    HttpResponse::Ok().json(ReportAnswer { ok, now: (hub.clock)() })
}

async fn ping() -> HttpResponse {
    HttpResponse::NoContent().insert_header(("cache-control", HeaderValue::from_static("no-store"))).finish()
}
