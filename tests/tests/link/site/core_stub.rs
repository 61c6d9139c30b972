//! A core that is nothing but its links: it records what comes and answers as it is told.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use postern_core::links::{GatewayReports, GatewayTarget, LinkFiles, Links, LinksConfig, Lists};
use postern_wire::{
    link::{Ack, Heartbeat, Refusal, RefusalReason, ReportBatch, Settings},
    route::RouteId,
};
use tokio::sync::{oneshot, watch};

use super::{NAME, SOON, Site, boot_id, clock};
use postern_tests::wait;

/// A running core.
pub(crate) struct CoreStub {
    pub(crate) lists: Arc<Lists>,
    pub(crate) links: Links,
    pub(crate) heard: Arc<Heard>,
    pub(crate) answer: Arc<Mutex<Answer>>,
    epoch: watch::Sender<u64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
}

/// How messages are answered.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) wait: Duration,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// Instead of the message itself.
    pub(crate) body: Option<Vec<u8>>,
}

/// What has come.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) messages: Mutex<Vec<Message>>,
    pub(crate) acks: Mutex<Vec<Ack>>,
    pub(crate) refusals: Mutex<Vec<Refusal>>,
    pub(crate) heartbeat: Mutex<Option<Heartbeat>>,
    pub(crate) want_links: AtomicU64,
}

/// A message as it came over the link.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl GatewayReports for Heard {
    fn take(&self, _gateway: &str, batch: ReportBatch) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        self.acks.lock().expect("not poisoned").extend(batch.acks);
        self.refusals.lock().expect("not poisoned").extend(batch.refusals);
        self.want_links.store(batch.want_links.into(), Ordering::Relaxed);
        if batch.heartbeat.is_some() {
            *self.heartbeat.lock().expect("not poisoned") = batch.heartbeat;
        }
        Box::pin(std::future::ready(true))
    }
}

impl Heard {
    pub(crate) fn last_message(&self) -> Message {
        self.messages.lock().expect("not poisoned").last().cloned().expect("a message has come")
    }

    pub(crate) fn count(&self) -> usize {
        self.messages.lock().expect("not poisoned").len()
    }

    /// Waits until a refusal for this reason has been told, and gives it.
    pub(crate) fn wait_for_refusal(&self, reason: RefusalReason) -> Refusal {
        let told = || {
            let refusals = self.refusals.lock().expect("not poisoned");
            refusals.iter().find(|refusal| refusal.reason == reason).cloned()
        };
        let why = || format!("{:?}", self.refusals.lock().expect("not poisoned"));
        wait::until(reason.as_str(), SOON, told, why)
    }

    pub(crate) fn wait_for_ack(&self, wanted: impl Fn(&Ack) -> bool) -> Ack {
        let told = || self.acks.lock().expect("not poisoned").iter().find(|ack| wanted(ack)).cloned();
        let why = || format!("{:?}", self.acks.lock().expect("not poisoned"));
        wait::until("an acknowledgement", SOON, told, why)
    }
}

impl CoreStub {
    /// A core of epoch 1 that knows the routes 1 to 9 and dials the site's gateway.
    pub(crate) fn start(site: &Site) -> Self {
        let core = Self::start_with(site.core_files(), vec![site.target()], 1);
        core.lists.load_routes((1..10).map(|number| super::route(number).hash()));
        core
    }

    /// The same with settings, once the gateway is ready under them.
    pub(crate) fn start_ready(site: &Site, settings: &Settings) -> Self {
        let core = Self::start(site);
        core.lists.publish_settings(NAME, settings).expect("good settings");
        let version = settings.version;
        let in_force = || (core.lists.settings_in_force(NAME) == Some(version)).then_some(());
        wait::until("the settings in force", SOON, in_force, String::new);
        site.wait_until_ready();
        core
    }

    pub(crate) fn start_with(files: LinkFiles, gateways: Vec<GatewayTarget>, epoch: u64) -> Self {
        let lists = Arc::new(Lists::new(boot_id()));
        let heard = Arc::new(Heard::default());
        let answer = Arc::new(Mutex::new(Answer { status: 200, ..Answer::default() }));
        let (epoch, epoch_seen) = watch::channel(epoch);
        let (stop, stopped) = oneshot::channel();
        let (started, links) = std::sync::mpsc::channel();
        let mut config = LinksConfig::new(boot_id(), files, gateways);
        config.heartbeat = Duration::from_millis(200);
        config.backoff_first = Duration::from_millis(50);
        config.backoff_most = Duration::from_millis(500);
        let (for_links, for_heard, for_answer) =
            (Arc::clone(&lists), Arc::clone(&heard), Arc::clone(&answer));
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let reports: Arc<dyn GatewayReports> = for_heard.clone();
                let configure = move |app: &mut web::ServiceConfig| {
                    app.app_data(web::Data::from(for_heard.clone()))
                        .app_data(web::Data::from(for_answer.clone()))
                        .route("/dm/1/{route}", web::post().to(device))
                        .route("/enrol/1/discover", web::get().to(enrolment))
                        .route("/enrol/1/{step}", web::post().to(enrolment))
                        // What a careless admin API would mount: no link may reach it.
                        .route("/api/1/devices", web::get().to(HttpResponse::Ok));
                };
                let links = Links::start(config, for_links, reports, epoch_seen, clock(), configure);
                started.send(links.expect("the links start")).expect("the test waits");
                let _ = stopped.await;
            });
        });
        let links = links.recv().expect("the links start");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { lists, links, heard, answer, epoch, stop: Some(stop), thread: Some(thread), runtime }
    }

    pub(crate) fn set_answer(&self, answer: Answer) {
        *self.answer.lock().expect("not poisoned") = answer;
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.epoch.send_replace(epoch);
    }

    pub(crate) fn drain(&self, limit: Duration) {
        self.runtime.block_on(self.links.drain(limit));
    }

    /// All sockets close at once, as when the process is killed.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.links.stop();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for CoreStub {
    fn drop(&mut self) {
        self.end();
    }
}

async fn device(
    request: HttpRequest,
    body: web::Bytes,
    heard: web::Data<Heard>,
    answer: web::Data<Mutex<Answer>>,
) -> HttpResponse {
    let route = RouteId::from_path(request.path()).expect("only routes cross");
    recorded(request, body, &heard, &answer, route.path()).await
}

async fn enrolment(
    request: HttpRequest,
    body: web::Bytes,
    heard: web::Data<Heard>,
    answer: web::Data<Mutex<Answer>>,
) -> HttpResponse {
    let path = request.uri().to_string();
    recorded(request, body, &heard, &answer, path).await
}

async fn recorded(
    request: HttpRequest,
    body: web::Bytes,
    heard: &Heard,
    answer: &Mutex<Answer>,
    path: String,
) -> HttpResponse {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    let message = Message { path, headers: headers.collect(), body: body.to_vec() };
    heard.messages.lock().expect("not poisoned").push(message);
    let answer = answer.lock().expect("not poisoned").clone();
    actix_rt::time::sleep(answer.wait).await;
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).expect("a status"));
    for (name, value) in &answer.headers {
        response.insert_header((*name, *value));
    }
    if !answer.headers.iter().any(|(name, _)| *name == "Content-Type") {
        response.insert_header(("Content-Type", "application/vnd.syncml.dm+xml"));
    }
    response.body(answer.body.map_or(body, web::Bytes::from))
}
