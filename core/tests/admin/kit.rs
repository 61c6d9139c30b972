//! A real core on a temporary SQLite file, and a client that speaks to it over TLS.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Once},
    time::Duration,
};

use postern_api::{admins::Admin, tokens::CreatedToken};
use postern_core::{Core, Edge, InitOptions, config::Database, init};
use postern_store::{Ambient, Options, Place, Store};
use postern_wire::terms::Role;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

/// A running core and the first admin's client.
pub(crate) struct Kit {
    core: Option<Core>,
    pub(crate) admin: Client,
    _folder: tempfile::TempDir,
    pub(crate) state: PathBuf,
}

impl Kit {
    /// A fresh core, active.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// A fresh core with a changed configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut postern_core::Config)) -> Self {
        Self::at(Edge::system(), change).await
    }

    /// The same by another clock.
    pub(crate) async fn at(edge: Edge, change: impl FnOnce(&mut postern_core::Config)) -> Self {
        provider();
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let made = init::init(&options(state.clone()), edge.clock.as_ref(), edge.random.as_ref()).unwrap();
        let mut config = postern_core::Config::load(&made.config, []).unwrap();
        change(&mut config);
        let core = start_at(config, edge).await;
        let ca = std::fs::read(&made.ca).unwrap();
        let token = std::fs::read_to_string(&made.token).unwrap().trim().to_owned();
        let admin = Client::new(core.addresses().admin, &ca, &token);
        let kit = Self { core: Some(core), admin, _folder: folder, state };
        until("the core is active", || kit.core().is_active()).await;
        kit
    }

    /// Stops the core; its state stays.
    pub(crate) async fn stop(&mut self) {
        let core = self.core.take().unwrap();
        tokio::task::spawn_blocking(move || core.stop()).await.unwrap();
    }

    /// Starts the core again under the same state.
    pub(crate) async fn again(&mut self) {
        let config = postern_core::Config::load(&self.state.join("core.toml"), []).unwrap();
        let core = start(config).await;
        let ca = std::fs::read(self.state.join("ca.pem")).unwrap();
        let token = std::fs::read_to_string(self.state.join("admin.token")).unwrap().trim().to_owned();
        self.admin = Client::new(core.addresses().admin, &ca, &token);
        self.core = Some(core);
        until("the core is active", || self.core().is_active()).await;
    }

    pub(crate) fn core(&self) -> &Core {
        self.core.as_ref().unwrap()
    }

    /// Stops the core, does something to its database (SQLite), and starts it again by this clock; its port is another then.
    pub(crate) async fn meanwhile<F>(&mut self, edge: Edge, work: F)
    where
        F: FnMut(&mut postern_store::Tx) -> Result<(), postern_store::StoreError> + Send + 'static,
    {
        self.stop().await;
        let config = postern_core::Config::load(&self.state.join("core.toml"), []).unwrap();
        let path = config.folder.join(&config.database.path);
        let clock = Arc::clone(&edge.clock);
        tokio::task::spawn_blocking(move || {
            let options = Options::new(Place::Sqlite { path }, uuid::Uuid::from_u128(1));
            let ambient = Ambient::with_clock(Arc::new(move || clock.wall()));
            let store = Store::open(options, ambient).unwrap();
            store.write_blocking(work).unwrap();
            store.shutdown();
        })
        .await
        .unwrap();
        let core = start_at(config, edge).await;
        self.admin = self.admin.at(core.addresses().admin);
        self.core = Some(core);
        until("the core is active", || self.core().is_active()).await;
    }

    /// The newest rows of the audit log, as text.
    pub(crate) async fn audit(&self) -> String {
        let auditor = self.as_role("reader", &[Role::Auditor]).await;
        auditor.get("/api/1/audit?limit=200").await.text
    }

    /// A client with the token of a new admin who holds `roles`.
    pub(crate) async fn as_role(&self, name: &str, roles: &[Role]) -> Client {
        let made = self.admin.post("/api/1/admins", json!({"name": name, "roles": roles})).await;
        let admin: Admin = made.read(201);
        let body = json!({"name": "test", "admin": admin.id});
        let created: CreatedToken = self.admin.post("/api/1/tokens", body).await.read(201);
        self.admin.with_token(&created.secret)
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            std::thread::spawn(move || core.stop()).join().unwrap();
        }
    }
}

/// What `init` makes for a test: no gateway, free ports.
pub(crate) fn options(state: PathBuf) -> InitOptions {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    InitOptions {
        state,
        gateways: vec![postern_core::NewGateway {
            name: "edge".into(),
            address: "127.0.0.1:1".into(),
            device_listen: free,
            link_listen: free,
            observe_listen: free,
        }],
        device_url: "https://localhost:8843".into(),
        device_names: vec!["localhost".into()],
        admin_names: vec!["localhost".into(), "127.0.0.1".into()],
        admin_listen: free,
        observe_listen: free,
        database: Database::default(),
    }
}

pub(crate) async fn start(config: postern_core::Config) -> Core {
    start_at(config, Edge::system()).await
}

async fn start_at(config: postern_core::Config, edge: Edge) -> Core {
    tokio::task::spawn_blocking(move || Core::start(config, edge).unwrap()).await.unwrap()
}

pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..4_800 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited in vain: {what}");
}

/// The same for what is asked over the API.
pub(crate) async fn until_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..3_200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited in vain: {what}");
}

pub(crate) fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// An HTTPS client with a token.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    token: Option<String>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, ca: &[u8], token: &str) -> Self {
        let ca = reqwest::Certificate::from_pem(ca).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
        Self {
            http,
            base: format!("https://localhost:{}", address.port()).into(),
            token: Some(token.to_owned()),
        }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same token at another address.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { base: format!("https://localhost:{}", address.port()).into(), ..self.clone() }
    }

    pub(crate) fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body.to_string())).await
    }

    pub(crate) async fn put(&self, path: &str) -> Answer {
        self.send(Method::PUT, path, &[], None).await
    }

    pub(crate) async fn put_body(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, &[], Some(body.to_string())).await
    }

    pub(crate) async fn patch(&self, path: &str, etag: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, &[("if-match", etag)], Some(body.to_string())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }
}

impl Answer {
    /// The body, of the status that is expected.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, status: u16) -> T {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Asserts that it is the problem `slug`, in its proper form.
    pub(crate) fn refused(&self, status: u16, slug: &str) -> postern_api::Problem {
        let problem: postern_api::Problem = self.read(status);
        assert_eq!(problem.slug(), slug, "{}", self.text);
        assert_eq!(problem.status, status);
        assert_eq!(self.headers["content-type"], postern_api::problem::CONTENT_TYPE);
        assert_eq!(problem.instance.as_deref(), self.header("postern-request-id"));
        problem
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
