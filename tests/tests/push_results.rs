//! What a push proxy gateway tells later, and carriers behind TLS. The gateway here is a stub: no real one at hand sends
//! result notifications (Kannel 1.4.5 was not seen to) or speaks HTTPS without a proxy in front.
#![forbid(unsafe_code)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use postern_tests::{
    process,
    site::{Plan, READY, Site},
    smsc::Smsc,
    tls_front::TlsFront,
    wait,
};

const DEVICE: &str = "IMEI:490154203237518";
const SECRET: &str = "Gq3-7kP_2mXv9sLw4RtY8uZb1NcD5eFh";

/// A push proxy gateway that takes every push and keeps what it was sent.
struct Gateway {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let request = read(&mut stream, |octets| octets.ends_with(b"--\r\n"));
                let id = between(&request, "push-id=\"", "\"").unwrap_or_default();
                let body = format!(
                    "<pap><push-response push-id=\"{id}\"><response-result code=\"1001\" desc=\"taken\"/></push-response></pap>"
                );
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                let _ = write!(
                    stream,
                    "HTTP/1.1 202 Accepted\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(stream: &mut impl Read, whole: impl Fn(&[u8]) -> bool) -> String {
    let mut octets = Vec::new();
    let mut piece = [0; 4_096];
    while !whole(&octets) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => octets.extend_from_slice(&piece[..count]),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(rest[..rest.find(end)?].to_owned())
}

/// Posts a document in plain HTTP; the status and the body.
fn post(address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: core\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A refusal may come, and the connection end, before all of a large body was sent.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.as_bytes());
    let answer = read(&mut stream, |_| false);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, answer)
}

fn told(push_id: &str, state: &str, code: u16) -> String {
    format!(
        "<?xml version=\"1.0\"?><pap><resultnotification-message push-id=\"{push_id}\" message-state=\"{state}\" \
         code=\"{code}\" desc=\"so\"><address address-value=\"WAPPUSH=+15550100001/TYPE=PLMN@ppg.example\"/>\
         </resultnotification-message></pap>"
    )
}

/// A device that is asked to come by PAP; the push's id and where its result is wanted.
fn pushed(site: &Site, gateway: &Gateway, device: &str) -> (String, String) {
    let ctl = site.ctl();
    let _ = site.enrol(device, "md5", &[]);
    let _ = ctl.ok(&["device", "address", "set", device, "--number", "+15550100001", "--bearer", "pap"]);
    let before = gateway.asked().len();
    let _ = ctl.ok(&["device", "notify", device]);
    let asked = || gateway.asked().get(before).cloned();
    let request = wait::until("a push at the gateway", READY, asked, || site.logs());
    let id = between(&request, "push-id=\"", "\"").expect("an id");
    let url = between(&request, "ppg-notify-requested-to=\"", "\"").expect("an address for the result");
    (id, url)
}

fn until_state(site: &Site, device: &str, state: &str) {
    let reached = || {
        let all = site.ctl().ok(&["device", "notifications", device]);
        (all["notifications"][0]["state"] == state).then_some(())
    };
    wait::until(state, READY, reached, || site.logs());
}

#[test]
fn a_result_notification_makes_a_push_delivered_or_failed_and_a_stranger_learns_and_changes_nothing() {
    let gateway = Gateway::start();
    let [port] = process::free_ports();
    let listen = format!("127.0.0.1:{port}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).expect("a file");
    let url = format!("http://{}/pap", gateway.address);
    let notify_url = format!("http://{listen}/results");
    let settings = [
        ("POSTERN_PUSH_PAP_URL", url.as_str()),
        ("POSTERN_PUSH_PAP_GATEWAY_HOST", "ppg.example"),
        ("POSTERN_PUSH_PAP_NOTIFY_URL", &notify_url),
        ("POSTERN_PUSH_PAP_NOTIFY_SECRET_FILE", secret.to_str().expect("a name")),
        ("POSTERN_PUSH_PAP_NOTIFY_LISTEN", &listen),
        ("POSTERN_NOTIFICATIONS_APART_S", "0"),
    ];
    let site = Site::start(&Plan { core_settings: &settings, ..Plan::default() });
    let address: SocketAddr = listen.parse().expect("an address");

    let (id, wanted) = pushed(&site, &gateway, DEVICE);
    assert_eq!(wanted, format!("{notify_url}/{SECRET}"));
    let path = format!("/results/{SECRET}");
    for other in ["/", "/results", "/results/", "/results/guessed", "/api/1/status"] {
        assert_eq!(post(address, other, &told(&id, "undeliverable", 2000)).0, 404, "{other}");
    }
    assert_eq!(post(address, &path, "no PAP").0, 400);
    assert_eq!(post(address, &path, &"x".repeat(100_000)).0, 413);
    assert_eq!(post(address, &path, &told("of-nobody@ppg.example", "delivered", 1000)).0, 200);
    until_state(&site, DEVICE, "sent");

    let (status, answer) = post(address, &path, &told(&id, "delivered", 1000));

    assert!(status == 200 && answer.contains("resultnotification-response"), "{answer}");
    until_state(&site, DEVICE, "delivered");

    let (id, _) = pushed(&site, &gateway, "IMEI:2");
    assert_eq!(post(address, &path, &told(&id, "undeliverable", 2000)).0, 200);
    let failed = || {
        let all = site.ctl().ok(&["device", "notifications", "IMEI:2"]);
        all["notifications"][0]["steps"].to_string().contains("not-delivered").then_some(())
    };
    wait::until("the failed delivery", READY, failed, || site.logs());
    assert!(!site.logs().contains(SECRET), "the secret end of the address is in no log");
}

#[test]
fn a_push_proxy_gateway_behind_https_is_believed_by_its_ca_only() {
    let gateway = Gateway::start();
    let front = TlsFront::start(gateway.address);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ca, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    std::fs::write(&ca, front.ca_pem()).expect("a file");
    std::fs::write(&other, TlsFront::start(gateway.address).ca_pem()).expect("a file");
    let url = format!("https://localhost:{}/pap", front.address().port());
    for (ca, reaches) in [(&ca, true), (&other, false)] {
        let settings = [
            ("POSTERN_PUSH_PAP_URL", url.as_str()),
            ("POSTERN_PUSH_PAP_CA", ca.to_str().expect("a name")),
            ("POSTERN_PUSH_PAP_GATEWAY_HOST", "ppg.example"),
        ];
        let site = Site::start(&Plan { core_settings: &settings, ..Plan::default() });
        carried(&site, "pap", reaches, || gateway.asked().len());
    }
}

#[test]
fn a_short_message_centre_behind_tls_is_believed_by_its_ca_only() {
    let smsc = Smsc::start();
    let front = TlsFront::start(smsc.address());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("ca.pem"), front.ca_pem()).expect("a file");
    std::fs::write(at("other.pem"), TlsFront::start(smsc.address()).ca_pem()).expect("a file");
    std::fs::write(at("password"), "pw\n").expect("a file");
    let address = format!("localhost:{}", front.address().port());
    for (ca, reaches) in [("ca.pem", true), ("other.pem", false)] {
        let (ca, password) = (at(ca), at("password"));
        let settings = [
            ("POSTERN_PUSH_SMPP_ADDRESS", address.as_str()),
            ("POSTERN_PUSH_SMPP_SYSTEM_ID", "postern"),
            ("POSTERN_PUSH_SMPP_PASSWORD_FILE", password.to_str().expect("a name")),
            ("POSTERN_PUSH_SMPP_CA", ca.to_str().expect("a name")),
        ];
        let site = Site::start(&Plan { core_settings: &settings, ..Plan::default() });
        carried(&site, "smpp", reaches, || smsc.submitted().len());
    }
}

/// Asks a device to come by one bearer, which reaches its far end or is tried again later.
fn carried(site: &Site, bearer: &str, reaches: bool, count: impl Fn() -> usize) {
    let ctl = site.ctl();
    let _ = site.enrol(DEVICE, "md5", &[]);
    let _ = ctl.ok(&["device", "address", "set", DEVICE, "--number", "+15550100001", "--bearer", bearer]);
    let before = count();
    let _ = ctl.ok(&["device", "notify", DEVICE]);
    let ended = || {
        let job = ctl.ok(&["device", "notifications", DEVICE])["notifications"][0].clone();
        (job["state"] == "sent" || job["attempts"].as_u64() > Some(0)).then_some(job)
    };
    let job = wait::until("an attempt", READY, ended, || site.logs());
    assert_eq!(job["state"] == "sent", reaches, "{job:#}");
    assert_eq!(count() > before, reaches);
}
