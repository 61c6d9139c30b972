//! The real transport and the binary, against a TLS server on loopback that answers by a function.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command as Process, Output},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use postern_device::{
    Account, Device, DeviceError, Enrolment, Fleet, FleetOptions, Settings,
    keys::new_request,
    state::Storage,
    transport::{ClientTls, Https, HttpsOptions, TlsOptions, TransportError},
};
use postern_wire::{
    syncml::{Encoding, Limits, Message, Style, Version, decode, encode},
    terms::AuthType,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use rustls_pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::support::{NOW, Rig, answer, get};

/// What the server does with a request's body.
pub(crate) type Handler = Arc<dyn Fn(&Message) -> Vec<u8> + Send + Sync>;

pub(crate) struct Server {
    pub(crate) uri: String,
    pub(crate) ca: CertifiedIssuer<'static, KeyPair>,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    certificates: Arc<Mutex<Vec<usize>>>,
    /// What those who listen are answered, one after the other; then they wait.
    pub(crate) told: Told,
}

type Told = Arc<Mutex<std::collections::VecDeque<Vec<u8>>>>;

impl Server {
    /// Serves `handler`'s HTTP answers for as long as the runtime lives.
    pub(crate) async fn start(versions: &[&'static SupportedProtocolVersion], handler: Handler) -> Self {
        let ca = authority();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            uri: format!("https://localhost:{}/dm/1/abc", listener.local_addr().unwrap().port()),
            ca,
            connections: Arc::default(),
            heads: Arc::default(),
            certificates: Arc::default(),
            told: Arc::default(),
        };
        let told = Arc::clone(&server.told);
        let (connections, heads, certificates) =
            (Arc::clone(&server.connections), Arc::clone(&server.heads), Arc::clone(&server.certificates));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, handler) = (acceptor.clone(), Arc::clone(&handler));
                let (heads, certificates) = (Arc::clone(&heads), Arc::clone(&certificates));
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let _refused = serve(stream, acceptor, handler, (heads, told), certificates).await;
                });
            }
        });
        server
    }

    pub(crate) fn enrolment(&self, auth: AuthType) -> Enrolment {
        let mut enrolment = Rig::new(auth).enrolment;
        enrolment.server_uri = self.uri.clone();
        enrolment.ca_pem = self.ca.pem();
        enrolment
    }

    /// An enrolment with a client certificate of the server's CA.
    fn with_certificate(&self) -> Enrolment {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["device".to_owned()]).unwrap();
        let mut enrolment = self.enrolment(AuthType::Certificate);
        enrolment.certificate_pem = Some(params.signed_by(&key, &self.ca).unwrap().pem());
        enrolment.key_pem = Some(key.serialize_pem().into());
        enrolment
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "CA");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// HTTP/1.1 as far as the device speaks it: Content-Length bodies, one after the other.
async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    handler: Handler,
    (heads, told): (Arc<Mutex<Vec<String>>>, Told),
    certificates: Arc<Mutex<Vec<usize>>>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    certificates.lock().unwrap().push(stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len));
    let mut buffer = Vec::new();
    loop {
        let (head, body_start) = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break (String::from_utf8_lossy(&buffer[..at]).into_owned(), at + 4);
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let length: usize = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or_default();
        if head.starts_with("GET /dm/1/abc/listen ") {
            buffer.drain(..body_start);
            let Some(reply) = told.lock().unwrap().pop_front() else { std::future::pending().await };
            stream.write_all(&reply).await?;
            continue;
        }
        while buffer.len() < body_start + length {
            stream.read_buf(&mut buffer).await?;
        }
        let message = decode(&buffer[body_start..body_start + length], Encoding::Xml, &Limits::default());
        buffer.drain(..body_start + length);
        heads.lock().unwrap().push(head);
        let reply = handler(&message.unwrap().message);
        if reply.is_empty() {
            return Ok(());
        }
        stream.write_all(&reply).await?;
    }
}

pub(crate) fn ok(message: &Message) -> Vec<u8> {
    let body = encode(message, &Style::xml(Version::V1_2)).unwrap();
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.syncml.dm+xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend(body);
    reply
}

/// A Get in the first answer, nothing in the second.
fn two_messages() -> Handler {
    Arc::new(|to| {
        let commands = if to.header.msg_id == 1 { vec![get("./DevInfo/Man")] } else { Vec::new() };
        ok(&answer(to, 212, commands, true))
    })
}

fn device(enrolment: &Enrolment, options: HttpsOptions) -> Device {
    let tls = ClientTls::new(TlsOptions::default()).config(enrolment, None).unwrap();
    let settings = Settings { retry_wait: Duration::ZERO, ..Settings::default() };
    let account = Arc::new(Account::new(enrolment, None).unwrap());
    Device::new(account, settings, Storage::Memory, Https::new(tls, Arc::new(options))).unwrap()
}

async fn check_in(device: &mut Device) -> Result<u32, DeviceError> {
    let report = device.check_in(NOW, &mut |octets| octets.fill(7)).await?;
    Ok(report.messages)
}

#[tokio::test]
async fn a_session_over_tls_shows_the_certificate_and_keeps_one_connection() {
    for versions in [&[&TLS12], &[&TLS13]] {
        let server = Server::start(versions, two_messages()).await;
        let mut device = device(&server.with_certificate(), HttpsOptions::default());
        assert_eq!(check_in(&mut device).await.unwrap(), 2);
        assert_eq!(server.connections.load(Ordering::SeqCst), 1);
        assert_eq!(*server.certificates.lock().unwrap(), [1]);
        let heads = server.heads.lock().unwrap();
        assert!(heads[0].starts_with("POST /dm/1/abc HTTP/1.1\r\n"));
        for field in [
            "content-type: application/vnd.syncml.dm+xml; charset=utf-8",
            "cache-control: no-store",
            "host: localhost:",
        ] {
            assert!(heads[0].to_ascii_lowercase().contains(field), "{field}: {}", heads[0]);
        }
    }
}

#[tokio::test]
async fn a_connection_for_each_message_when_asked_for() {
    let server = Server::start(&[&TLS13], two_messages()).await;
    let options = HttpsOptions { connection_per_message: true, ..HttpsOptions::default() };
    let mut device = device(&server.enrolment(AuthType::Basic), options);
    assert_eq!(check_in(&mut device).await.unwrap(), 2);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    assert!(server.heads.lock().unwrap()[0].to_ascii_lowercase().contains("connection: close"));
}

#[tokio::test]
async fn a_server_of_another_ca_gets_no_request() {
    let server = Server::start(&[&TLS13], two_messages()).await;
    let mut enrolment = server.enrolment(AuthType::Basic);
    enrolment.ca_pem = authority().pem();
    let error = check_in(&mut device(&enrolment, HttpsOptions::default())).await.unwrap_err();
    assert!(matches!(error, DeviceError::Transport(TransportError::Tls(_))), "{error:?}");
    assert!(server.heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_session_is_made_anew() {
    let broken = AtomicUsize::new(0);
    let server = Server::start(
        &[&TLS13],
        Arc::new(move |to| {
            if to.header.msg_id == 2 && broken.fetch_add(1, Ordering::SeqCst) == 0 {
                return Vec::new();
            }
            two_messages()(to)
        }),
    )
    .await;
    let mut device = device(&server.enrolment(AuthType::Basic), HttpsOptions::default());
    assert_eq!(check_in(&mut device).await.unwrap(), 2);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn hostile_http_is_refused_within_bounds() {
    let text = |text: &str| -> Handler {
        let text = text.to_owned();
        Arc::new(move |_| text.clone().into_bytes())
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.syncml.dm+xml\r\n";
    let problem = "{\"type\":\"urn:postern:problem:unknown-route\",\"title\":\"x\",\"status\":404}";
    for (handler, kind) in [
        (text(&format!("{head}Content-Length: 9999999\r\n\r\n{}", " ".repeat(70_000))), "answer-too-large"),
        (
            text(&format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n{}",
                format!("1000\r\n{}\r\n", " ".repeat(4096)).repeat(20)
            )),
            "answer-too-large",
        ),
        (text("HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n"), "http-302"),
        (text("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\nx"), "media-type"),
        (text("garbage\r\n\r\n"), "broken-off"),
        (text(&format!("{head}Content-Length: 50\r\n\r\n<")), "timeout"),
        (
            text(&format!(
                "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n{problem}",
                problem.len()
            )),
            "http-404-unknown-route",
        ),
    ] {
        let server = Server::start(&[&TLS13], handler).await;
        let options = HttpsOptions { answer_timeout: Duration::from_millis(400), ..HttpsOptions::default() };
        let mut device = device(&server.enrolment(AuthType::Basic), options);
        assert_eq!(check_in(&mut device).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let mut rig = Rig::new(AuthType::Basic);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    rig.enrolment.server_uri = format!("https://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    rig.enrolment.ca_pem = authority().pem();
    drop(listener);
    let error = check_in(&mut device(&rig.enrolment, HttpsOptions::default())).await.unwrap_err();
    assert_eq!(error.kind(), "connect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_holds_its_sessions_and_counts_failures_by_kind() {
    let server = Server::start(&[&TLS13], two_messages()).await;
    let enrolments = vec![server.enrolment(AuthType::Basic); 4];
    let https = Arc::new(HttpsOptions::default());
    let tls = TlsOptions { resumption: false };
    let mut fleet = Fleet::from_enrolments(&enrolments, &Settings::default(), &https, tls).unwrap();
    let options = FleetOptions { sessions: Some(10), in_flight: 2, ..FleetOptions::default() };
    let summary = fleet.run(&options, |_| ()).await;
    assert_eq!((summary.completed, summary.failed, summary.messages, summary.commands), (10, 0, 20, 10));
    assert!(summary.latency_us.quantile_us(0.5) > 0 && fleet.len() == 4);

    let dead = HttpsOptions { dial: Some(([127, 0, 0, 1], 1).into()), ..HttpsOptions::default() };
    let mut fleet = Fleet::from_enrolments(&enrolments, &Settings::default(), &Arc::new(dead), tls).unwrap();
    let options =
        FleetOptions { rate: 200.0, duration: Some(Duration::from_millis(100)), ..FleetOptions::default() };
    let summary = fleet.run(&options, |_| ()).await;
    assert!(summary.completed == 0 && summary.failed >= 10 && summary.errors["connect"] == summary.failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_enrols_checks_in_and_says_how_it_went() {
    let server = Server::start(&[&TLS13], two_messages()).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let enrolment = write_enrolment(folder.path(), &server);

    let made = postern_device(&["new-csr", "--device-id", "dev-1", "--state"], &[&state]);
    assert!(made.status.success() && state.join("device.key").exists() && state.join("device.csr").exists());
    let again = postern_device(&["new-csr", "--device-id", "dev-1", "--state"], &[&state]);
    assert_eq!(again.status.code(), Some(2));

    let run = |more: &[&str]| {
        let mut arguments = vec!["run", "--once"];
        arguments.extend(more);
        arguments.push("--enrolment");
        postern_device(&arguments, &[&enrolment, Path::new("--state"), &state])
    };
    let done = run(&["--output", "json"]);
    assert!(done.status.success(), "{done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last, serde_json::json!({"event": "closed", "messages": 2, "commands": 1}));

    let fleet = postern_device(
        &["fleet", "--count", "1", "--sessions", "3", "--output", "json", "--enrolments"],
        &[&enrolment],
    );
    let summary: serde_json::Value = serde_json::from_slice(&fleet.stdout).unwrap();
    assert_eq!((&summary["completed"], &summary["latency_us"]["p99"].is_u64()), (&3.into(), &true));

    let missing = folder.path().join("none.json");
    let invalid =
        postern_device(&["run", "--once", "--enrolment"], &[&missing, Path::new("--state"), &state]);
    assert_eq!(invalid.status.code(), Some(2));
    assert_eq!(postern_device(&["walk"], &[]).status.code(), Some(64));
    let short = postern_device(&["fleet", "--count", "2", "--enrolments"], &[&enrolment]);
    assert_eq!(short.status.code(), Some(2));
}

pub(crate) fn postern_device(arguments: &[&str], paths: &[&Path]) -> Output {
    Process::new(env!("CARGO_BIN_EXE_postern-device")).args(arguments).args(paths).output().unwrap()
}

pub(crate) fn write_enrolment(folder: &Path, server: &Server) -> PathBuf {
    let file = folder.join("enrolment.json");
    let json = serde_json::json!({
        "server_uri": server.uri, "enrolment": "00000000-0000-0000-0000-000000000005", "generation": 1,
        "device_id": "dev-1", "server_id": "srv", "auth": "basic", "user": "dev", "password": "devpw",
        "ca_pem": server.ca.pem(), "order_key_pem": crate::support::public_pem(&new_request("o").unwrap().key_pem),
        "added_later": true,
    });
    fs::write(&file, json.to_string()).unwrap();
    file
}
