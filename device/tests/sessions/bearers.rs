//! Pushes on their way to the device: a modem's short messages, the gateway's listening channel, and the binary that
//! lives by both.

use std::{
    path::Path,
    process::{Child, Command as Process, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_device::{
    bearer::{Bearer, Framing, LongPoll, Modem},
    transport::{ClientTls, Https, HttpsOptions, TlsOptions},
};
use postern_wire::{
    auth::{TYPE_BASIC, basic, user_password_hash},
    bootstrap::{
        cp::{Account as Given, Address, AuthTypes, Credential, Level},
        mac::{Secrets, seal},
    },
    notification::{Package0, SessionId, Trigger},
    push::{
        Push, PushMedia, SecurityMethod,
        sms::{Ports, split},
        wsp,
    },
    syncml::Command,
    terms::AuthType,
};
use rustls::version::TLS13;
use tokio::net::{UdpSocket, UnixDatagram};

use crate::{
    https::{Server, ok, postern_device},
    support::{NOW, answer, get, with_cred},
};

#[tokio::test]
async fn a_push_comes_whole_from_segments_in_any_order_by_every_kind_of_modem() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("modem.sock");
    let push = Push::notification(package0(7, &[0x55; 300]));
    let mut segments = segments(&push);
    assert_eq!(segments.len(), 3);
    segments.swap(0, 2);
    let strange = split(b"not for the push router", Ports { destination: 5000, source: 1 }, 9).unwrap();

    let mut udp = Modem::udp("127.0.0.1:0".parse().unwrap(), Framing::Sms, || NOW).await.unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    sender.connect(udp.address().unwrap()).await.unwrap();
    let mut unix = Modem::unix(&socket, || NOW).unwrap();
    let local = UnixDatagram::unbound().unwrap();
    let mut spool = Modem::folder(folder.path(), || NOW);
    for (number, segment) in strange.iter().chain([&vec![0xFF; 10]]).chain(&segments).enumerate() {
        sender.send(segment).await.unwrap();
        local.send_to(segment, &socket).await.unwrap();
        std::fs::write(folder.path().join(format!("{number}.sms")), segment).unwrap();
    }
    assert_eq!(udp.next().await.unwrap(), push);
    assert_eq!(unix.next().await.unwrap(), push);
    assert_eq!(spool.next().await.unwrap(), push);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "the socket; what was read is taken away");

    let mut wdp = Modem::udp("127.0.0.1:0".parse().unwrap(), Framing::Wdp, || NOW).await.unwrap();
    sender.connect(wdp.address().unwrap()).await.unwrap();
    sender.send(&wsp::encode(&push, 1).unwrap()).await.unwrap();
    assert_eq!(wdp.next().await.unwrap(), push);
}

#[tokio::test]
async fn the_listening_channel_brings_a_notification_and_is_asked_again_after_204() {
    let server = Server::start(&[&TLS13], Arc::new(|to| ok(&answer(to, 212, Vec::new(), true)))).await;
    let octets = package0(9, &[]);
    let told = |status: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/vnd.syncml.notification\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let no_content = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    server.told.lock().unwrap().extend([
        no_content.clone(),
        no_content,
        told("200 OK", &octets),
        told("503 Service Unavailable", b""),
    ]);
    let enrolment = server.enrolment(AuthType::Basic);
    let tls = ClientTls::new(TlsOptions::default()).config(&enrolment, None).unwrap();
    let account = postern_device::Account::new(&enrolment, None).unwrap();
    let mut bearer = LongPoll::new(Https::new(tls, Arc::new(HttpsOptions::default())), &account.server);
    assert_eq!(bearer.next().await.unwrap(), Push::notification(octets));
    assert_eq!(bearer.next().await.unwrap_err().to_string(), "the gateway answered HTTP 503");
}

/// The device's part of the picture: bootstrapped by a file and a PIN, it follows a notification that comes as short
/// messages, and no forged or repeated one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boo_11_and_not_12_the_binary_lives_by_bootstrap_and_notification() {
    let sessions: Arc<Mutex<Vec<(String, u32)>>> = Arc::default();
    let store = Arc::clone(&sessions);
    let server = Server::start(
        &[&TLS13],
        Arc::new(move |to| {
            if let Some(Command::Alert(alert)) = to.body.first() {
                store.lock().unwrap().push((to.header.session_id.clone(), alert.code));
            }
            let commands = if to.header.msg_id == 1 { vec![get("./DevInfo/Man")] } else { Vec::new() };
            ok(&with_cred(answer(to, 212, commands, true), TYPE_BASIC, &basic("com.mgmt", "srvsecret")))
        }),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("ca.pem"), server.ca.pem()).unwrap();
    std::fs::write(path("bootstrap.bin"), wsp::encode(&bootstrap(&server.uri), 1).unwrap()).unwrap();
    let arguments = |pin: &str| {
        let ca = path("ca.pem").display().to_string();
        let fixed = ["--pin", pin, "--device-id", "IMEI:1", "--ca", &ca, "--state"].map(ToOwned::to_owned);
        let given: Vec<_> = fixed.iter().map(String::as_str).collect();
        let mut all = vec!["bootstrap"];
        all.extend(given);
        postern_device(&all, &[&path("state"), &path("bootstrap.bin")])
    };
    assert_eq!(arguments("0000").status.code(), Some(1));
    let done = arguments("1234");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "./DMAcc/1 com.mgmt\n", "{done:?}");

    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let state = path("state");
    let _running =
        Running::start(&["run", "--interval", "31536000", "--sms-udp", &port.to_string(), "--state"], &state);
    seen(&sessions, 1).await;
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut forged = package0(0x31, b"x");
    forged[0] ^= 1;
    for octets in [forged, package0(0x32, &[0x55; 200]), package0(0x32, &[0x55; 200]), package0(0x33, b"x")] {
        for segment in segments(&Push::notification(octets)) {
            sender.send_to(&segment, port).await.unwrap();
        }
    }
    seen(&sessions, 3).await;
    let sessions = sessions.lock().unwrap().clone();
    assert_eq!(sessions[0].1, 1201, "its own check-in");
    assert_eq!(sessions[1..], [("32".to_owned(), 1200), ("33".to_owned(), 1200)]);
}

/// A `postern-device` that is ended with the test.
struct Running(Child);

impl Running {
    fn start(arguments: &[&str], last: &Path) -> Self {
        let mut process = Process::new(env!("CARGO_BIN_EXE_postern-device"));
        Self(process.args(arguments).arg(last).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Waits until so many sessions were opened.
async fn seen(sessions: &Mutex<Vec<(String, u32)>>, count: usize) {
    for _ in 0..600 {
        if sessions.lock().unwrap().len() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{count} sessions were awaited: {sessions:?}");
}

fn package0(session: u16, vendor: &[u8]) -> Vec<u8> {
    let trigger =
        Trigger { vendor: vendor.to_vec(), ..Trigger::new(SessionId::new(session).unwrap(), "com.mgmt") };
    Package0::seal(trigger, &user_password_hash("com.mgmt", "srvsecret"), &[0; 4]).unwrap().encode()
}

fn segments(push: &Push) -> Vec<Vec<u8>> {
    split(&wsp::encode(push, 1).unwrap(), Ports::PUSH, 3).unwrap()
}

fn bootstrap(uri: &str) -> Push {
    let credential = |level, name: &str, secret: &str| Credential {
        level,
        kind: Some("BASIC".into()),
        name: Some(name.into()),
        secret: Some(secret.to_owned().into()),
        data: None,
    };
    let given = Given {
        server_id: "com.mgmt".into(),
        addresses: vec![Address { address: uri.into(), kind: None, ports: vec![] }],
        credentials: vec![
            credential(Level::ClientToServer, "dev", "devpw"),
            credential(Level::ServerToClient, "com.mgmt", "srvsecret"),
        ],
        ..Given::default()
    };
    let document = given.document(&[]).to_wbxml(AuthTypes::default()).unwrap();
    let secrets = Secrets { network: None, pin: Some("1234".to_owned().into()) };
    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, document);
    seal(push, SecurityMethod::UserPin, &secrets).unwrap()
}
