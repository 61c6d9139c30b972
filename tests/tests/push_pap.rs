//! Pushes by PAP: through a real push proxy gateway (Kannel) to its fake short-message centre, and against a gateway
//! that answers what it is told.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postern_actors::{PushBearer as _, PushError, PushOrder};
use postern_adapters::pap::{KEYS, PapBearer, PapConfig, PapVersion};
use postern_tests::kannel::{Kannel, Received};
use postern_wire::{
    auth::{encode_nonce, user_password_hash},
    bootstrap::{
        cp::{Account, Address, AuthTypes, Document},
        mac::{Secrets, seal},
    },
    notification::{NonceReading, Package0, SessionId, Trigger},
    push::{
        Push, PushMedia, SecurityMethod,
        sms::{Reassembly, ReassemblyLimits},
        wsp,
    },
    terms::UtcMillis,
};
use secrecy::SecretString;
use uuid::Uuid;

const NUMBER: &str = "+15550100001";
const LATER: UtcMillis = UtcMillis(4_102_444_800_000); // 2100

fn config(url: &str) -> PapConfig {
    PapConfig {
        gateway_host: Some("ppg.example".to_owned()),
        connect_ms: 5_000,
        answer_ms: 5_000,
        ..PapConfig::at(url)
    }
}

fn order(id: u128, content: Push) -> PushOrder {
    PushOrder { id: Uuid::from_u128(id), to: NUMBER.to_owned(), content, valid_until: LATER }
}

fn notification(vendor: usize) -> Push {
    let trigger = Trigger {
        vendor: (0..vendor).map(|at| at as u8).collect(),
        ..Trigger::new(SessionId::new(0x2A).expect("not zero"), "com.mgmtsrv.manage")
    };
    let hash = user_password_hash("com.mgmtsrv.manage", "srvsecret");
    Push::notification(Package0::seal(trigger, &hash, &[7; 16]).expect("a trigger").encode())
}

/// The push that the short messages of one push make.
fn assembled(received: &[Received]) -> Push {
    let mut reassembly = Reassembly::new(ReassemblyLimits::default());
    for message in received {
        let taken = reassembly.take(UtcMillis(0), &message.from, &message.user_data()).expect("user data");
        if let Some(whole) = taken {
            assert_eq!(whole.ports.expect("ports").destination, 2948);
            return wsp::decode(&whole.datagram).expect("a WSP push").push;
        }
    }
    panic!("the segments are not complete: {received:?}")
}

async fn through_kannel(kannel: &Kannel, version: PapVersion, order: PushOrder, messages: usize) -> Push {
    let before = kannel.received().len();
    let config = PapConfig {
        user: Some(Kannel::USER.to_owned()),
        password_file: Some(kannel.password_file()),
        version,
        sms_required: true,
        ..config(&kannel.pap_url())
    };
    let bearer = PapBearer::open(&config, Path::new("/")).expect("settings that work");
    let id = order.id;
    let receipt = bearer.push(order).await.unwrap_or_else(|error| panic!("{error}\n{}", kannel.logs()));
    assert_eq!((receipt.reference, receipt.reported), (format!("{id}@ppg.example"), false));
    let received = kannel.wait_for(before + messages);
    assert!(received.iter().all(|message| message.to == NUMBER));
    assembled(&received[before..])
}

#[tokio::test]
async fn not_14_kannel_carries_notifications_and_bootstraps_octet_for_octet() {
    let kannel = Kannel::start();

    // A notification in one short message, in both versions of PAP.
    for (id, version) in [(1, PapVersion::V1_0), (2, PapVersion::V2_0)] {
        let sent = notification(0);
        let got = through_kannel(&kannel, version, order(id, sent.clone()), 1).await;
        assert_eq!(got, sent);
        let package = Package0::decode(&got.body).unwrap();
        let hash = user_password_hash("com.mgmtsrv.manage", "srvsecret");
        let verified = package.verify(&hash, &encode_nonce(&[7; 16]), &NonceReading::STORED);
        assert_eq!(verified, Some(NonceReading::Decoded));
    }

    // One with so much vendor data that it takes two.
    let sent = notification(120);
    let got = through_kannel(&kannel, PapVersion::V2_0, order(3, sent.clone()), 2).await;
    assert_eq!(got, sent);

    // A bootstrap in two short messages. Kannel 1.4.5 drops the parameters SEC and MAC of the content type on its way to
    // WSP, so that a device has nothing to check: such bootstraps go by SMPP.
    let account = Account {
        server_id: "com.mgmtsrv.manage".to_owned(),
        name: Some("n".repeat(60)),
        addresses: vec![Address { address: "https://dm.example/".to_owned(), ..Address::default() }],
        ..Account::default()
    };
    let document = account.document(&[]).to_wbxml(AuthTypes::Inline).unwrap();
    let secrets = Secrets { network: None, pin: Some(SecretString::from("1234")) };
    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, document);
    let sent = seal(push.clone(), SecurityMethod::UserPin, &secrets).unwrap();
    let got = through_kannel(&kannel, PapVersion::V2_0, order(4, sent), 2).await;
    assert_eq!(got, push);
    assert_eq!(Document::from_wbxml(&got.body).unwrap(), account.document(&[]));

    // A wrong password is a matter of settings: the push is not lost for it.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong"), "nonsense\n").unwrap();
    let config = PapConfig {
        user: Some(Kannel::USER.to_owned()),
        password_file: Some("wrong".into()),
        ..config(&kannel.pap_url())
    };
    let bearer = PapBearer::open(&config, folder.path()).unwrap();
    let refused = bearer.push(order(5, notification(0))).await.unwrap_err();
    assert!(matches!(&refused, PushError::Retry { after: Some(_), .. }), "{refused:?}");
    assert!(refused.to_string().contains("credentials"), "{refused}");
}

/// A gateway that answers each request with the next of these octets, and keeps the requests.
struct Gateway {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Gateway {
    fn answering(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (stream, answer) in listener.incoming().flatten().zip(answers) {
                let mut stream = stream;
                let mut request = Vec::new();
                let mut piece = [0; 4_096];
                while !ends(&request) {
                    match stream.read(&mut piece) {
                        Ok(0) | Err(_) => break,
                        Ok(count) => request.extend_from_slice(&piece[..count]),
                    }
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                let _ = stream.write_all(&answer);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<Vec<u8>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn bearer(&self) -> PapBearer {
        let config = PapConfig { answer_ms: 1_000, ..config(&format!("http://{}/pap", self.address)) };
        PapBearer::open(&config, Path::new("/")).expect("settings that work")
    }
}

/// Whether a request is whole: its multipart body ends with the closing boundary.
fn ends(request: &[u8]) -> bool {
    request.ends_with(b"--\r\n")
}

fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{fields}\r\n{body}", body.len())
        .into_bytes()
}

fn pap(code: u16) -> String {
    format!(
        "<pap><push-response push-id=\"{}@ppg.example\"><response-result code=\"{code}\" desc=\"said\"/></push-response></pap>",
        Uuid::from_u128(1)
    )
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Taken,
    Retry(Option<u64>),
    Refused,
}

fn outcome(result: Result<postern_actors::PushReceipt, PushError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Taken,
        Err(PushError::Retry { after, .. }) => Outcome::Retry(after.map(|after| after.as_secs())),
        Err(PushError::Refused { .. }) => Outcome::Refused,
    }
}

#[tokio::test]
async fn not_14_an_answer_decides_whether_the_push_goes_again() {
    let bad = "<pap><badmessage-response code=\"2000\" desc=\"x\"/></pap>".to_owned();
    let other = pap(1001).replace("push-id=\"", "push-id=\"x");
    let cases = [
        (answer("202 Accepted", "", &pap(1001)), Outcome::Taken),
        (answer("200 OK", "", &pap(1000)), Outcome::Taken),
        (answer("200 OK", "", &pap(2007)), Outcome::Taken),
        (answer("200 OK", "", &pap(2002)), Outcome::Refused),
        (answer("200 OK", "", &pap(3000)), Outcome::Retry(None)),
        (answer("200 OK", "", &pap(4001)), Outcome::Retry(None)),
        (answer("200 OK", "", &pap(5000)), Outcome::Retry(None)),
        (answer("400 Bad Request", "", &bad), Outcome::Refused),
        (answer("200 OK", "", &other), Outcome::Retry(None)),
        (answer("200 OK", "", "thank you"), Outcome::Retry(None)),
        (answer("500 Oops", "", ""), Outcome::Retry(None)),
        (answer("503 Busy", "Retry-After: 7\r\n", ""), Outcome::Retry(Some(7))),
        (answer("429 Slow", "Retry-After: 999999\r\n", ""), Outcome::Retry(Some(3_600))),
        (answer("401 Who", "", &pap(1001)), Outcome::Retry(Some(60))),
        (answer("404 None", "", ""), Outcome::Retry(Some(60))),
        (answer("302 Elsewhere", "Location: http://127.0.0.1:1/\r\n", ""), Outcome::Retry(Some(60))),
        (answer("415 Media", "", ""), Outcome::Refused),
        (answer("200 OK", "", &"x".repeat(70_000)), Outcome::Retry(None)),
        (b"garbage\r\n\r\n".to_vec(), Outcome::Retry(None)),
        (Vec::new(), Outcome::Retry(None)),
    ];
    let gateway = Gateway::answering(cases.iter().map(|(answer, _)| answer.clone()).collect());
    for (at, (said, expected)) in cases.into_iter().enumerate() {
        let result = gateway.bearer().push(order(1, notification(0))).await;
        let said = String::from_utf8_lossy(&said[..said.len().min(300)]).into_owned();
        assert_eq!(outcome(result), expected, "case {at}: {said}");
    }
    assert_eq!(gateway.asked().len(), 20, "one POST a push");
}

#[tokio::test]
async fn not_14_a_push_is_one_post_with_its_headers() {
    let gateway = Gateway::answering(vec![answer("200 OK", "", &pap(1001))]);
    gateway.bearer().push(order(1, notification(0))).await.unwrap();

    let asked = gateway.asked();
    let text = String::from_utf8_lossy(&asked[0]).to_ascii_lowercase();
    assert!(text.starts_with("post /pap http/1.1\r\n"), "{text}");
    for part in [
        "content-type: multipart/related; boundary=postern-part-0; type=\"application/xml\"\r\n",
        "content-type: application/vnd.syncml.notification\r\n",
        "wappush=+15550100001/type=plmn@ppg.example",
        "deliver-before-timestamp=\"2100-01-01t00:00:00z\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("authorization"));
}

#[tokio::test]
async fn an_absent_or_silent_gateway_is_tried_again_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent =
        PapConfig { answer_ms: 300, ..config(&format!("http://{}/", listener.local_addr().unwrap())) };
    let bearer = PapBearer::open(&silent, Path::new("/")).unwrap();
    assert_eq!(outcome(bearer.push(order(1, notification(0))).await), Outcome::Retry(None));
    let address = listener.local_addr().unwrap();
    drop(listener);
    let bearer = PapBearer::open(&config(&format!("http://{address}/")), Path::new("/")).unwrap();
    let error = tokio::time::timeout(Duration::from_secs(20), bearer.push(order(1, notification(0))));
    let error = error.await.expect("a bound on the wait").unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_number_that_is_none_never_reaches_the_gateway() {
    let gateway = Gateway::answering(vec![]);
    let wrong = PushOrder { to: "+1/TYPE=IPv4".to_owned(), ..order(1, notification(0)) };
    assert_eq!(outcome(gateway.bearer().push(wrong).await), Outcome::Refused);
    assert!(gateway.asked().is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused_by_their_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let user = |user: &str, file: Option<&str>| PapConfig {
        user: Some(user.to_owned()),
        password_file: file.map(Into::into),
        ..config("http://h/")
    };
    for (config, key) in [
        (config("ftp://h/"), "push.pap.url"),
        (config("http://user@h/"), "push.pap.url"),
        (config("nothing"), "push.pap.url"),
        (user("u", None), "push.pap.user"),
        (user("u", Some("absent")), "absent"),
        (user("u", Some("empty")), "empty"),
        (PapConfig { ca: Some("empty".into()), ..config("https://h/") }, "empty"),
        (PapConfig { gateway_host: Some("a b".to_owned()), ..config("http://h/") }, "push.pap.gateway_host"),
    ] {
        let error = PapBearer::open(&config, folder.path()).unwrap_err().to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
}

#[test]
fn every_key_of_the_settings_is_documented() {
    let full = PapConfig {
        user: Some(String::new()),
        password_file: Some(String::new().into()),
        ca: Some(String::new().into()),
        notify_url: Some(String::new()),
        notify_secret_file: Some(String::new().into()),
        notify_listen: Some(([127, 0, 0, 1], 1).into()),
        ..config("x")
    };
    let written = serde_json::to_value(&full).unwrap();
    let mut keys: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
    let mut documented: Vec<_> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    keys.sort();
    documented.sort();
    assert_eq!(keys, documented);
}
