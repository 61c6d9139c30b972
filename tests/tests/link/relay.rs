//! The way between gateway and core: what happens to messages when cores and links come, go and misbehave.

use std::{sync::atomic::Ordering, thread, time::Duration};

use crate::site::{
    CoreStub, Leaf, MESSAGE, NAME, SOON, Site, XML, boot_id, core_stub::Answer, fake_core::FakeLink, nowhere,
    route, settings,
};
use postern_core::links::{GatewayTarget, LinkFiles};
use postern_tests::{raw, wait};
use postern_wire::link::{LinkCountLimits, RefusalReason, Settings};

#[test]
fn with_no_core_a_device_hears_503_and_when_to_come_again() {
    let site = Site::start();
    let answer = site.post(&route(1).path());
    // No core has ever been here: no route is known either, and nothing says more than that.
    assert_eq!(answer.status, 404);
    let core = CoreStub::start_ready(&site, &settings());
    core.kill();
    site.wait_until_not_ready();
    let answer = site.post(&route(1).path());
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("17")));
    assert_eq!(answer.slug().as_deref(), Some("no-core"));
    let readiness = raw::plain_get(site.gateway().addresses().observe, "/readyz").expect("an answer");
    assert_eq!(readiness.status, 503);
    let health = raw::plain_get(site.gateway().addresses().observe, "/healthz").expect("an answer");
    assert_eq!(health.status, 200);
}

#[test]
fn a_core_that_comes_again_is_used_again() {
    let site = Site::start();
    for _ in 0..3 {
        let core = CoreStub::start_ready(&site, &settings());
        assert_eq!(site.post(&route(1).path()).status, 200);
        core.kill();
        site.wait_until_not_ready();
    }
}

#[test]
fn a_gateway_that_comes_again_is_dialed_again() {
    let mut site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    site.stop_gateway();
    thread::sleep(Duration::from_millis(300));
    site.start_gateway();
    site.wait_until_ready();
    assert_eq!(site.post(&route(1).path()).status, 200);
    let status = core.links.status().remove(0);
    assert!(status.watching && status.request_links > 0, "{status:?}");
}

#[test]
fn an_admin_route_asked_for_over_a_link_is_404() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    drop(core);
    // A captured gateway: it accepts the core's dial and then asks for what it should not.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("its address").to_string();
    let config = captured_gateway(&site);
    let target = GatewayTarget { name: NAME.to_owned(), address };
    let _core = CoreStub::start_with(site.core_files(), vec![target], 1);
    let (tcp, _) = port.accept().expect("the core dials");
    let connection = rustls::ServerConnection::new(config.into()).expect("TLS");
    let mut stream = rustls::StreamOwned::new(connection, tcp);
    let hello = format!(r#"{{"gateway":"{NAME}","version":"0","boot":"{}"}}"#, boot_id());
    let asked = [
        // Before the hello nothing is answered.
        ("GET", "/link/1/watch?settings=0&blocked=0&routes=0", "", 404),
        ("POST", "/link/1/hello", hello.as_str(), 200),
        ("GET", "/api/1/devices", "", 404),
        ("GET", "/metrics", "", 404),
        ("GET", "/", "", 404),
        ("POST", "/link/1/report", "", 404),
        ("POST", &route(1).path(), "", 404),
        ("GET", "/link/1/ping", "", 404),
    ];
    for (method, path, body, status) in asked {
        use std::io::Write as _;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: core\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        assert_eq!(status_of(&mut stream), status, "{method} {path} on the watch link");
    }
}

fn captured_gateway(site: &Site) -> rustls::ServerConfig {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let identity = site.link_ca.issue(&Leaf::gateway(NAME));
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).expect("PEM");
    let mut config =
        rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
    config.alpn_protocols = vec![postern_wire::link::ALPN.to_vec()];
    config
}

fn status_of(stream: &mut impl std::io::Read) -> u16 {
    let mut held = Vec::new();
    while !held.ends_with(b"\r\n\r\n") {
        let mut octet = [0; 1];
        stream.read_exact(&mut octet).expect("an answer");
        held.push(octet[0]);
    }
    let head = String::from_utf8_lossy(&held).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).expect("a body");
    head.split(' ').nth(1).expect("a status").parse().expect("a number")
}

// === who may be at the other end ===

#[test]
fn a_gateway_posing_as_another_is_refused_by_the_core() {
    let site = Site::start();
    let target = GatewayTarget { name: "branch".to_owned(), ..site.target() };
    let core = CoreStub::start_with(site.core_files(), vec![target], 1);
    let said =
        wait::until("the core to refuse", SOON, || core.links.status()[0].last_error.clone(), String::new);
    assert!(said.contains("is not the gateway \"branch\""), "{said}");
    assert!(!core.links.status()[0].watching && !site.gateway().is_ready());
}

#[test]
fn a_gateway_with_a_certificate_of_another_ca_is_refused_by_the_core() {
    let site = Site::start();
    let authority = site.folder.path().join("server-ca.pem");
    std::fs::write(&authority, &site.server_ca.pem).expect("written");
    let files = LinkFiles { authority, ..site.core_files() };
    let core = CoreStub::start_with(files, vec![site.target()], 1);
    wait::until("the core to refuse", SOON, || core.links.status()[0].last_error.clone(), String::new);
    assert!(!site.gateway().is_ready());
}

#[test]
fn only_a_core_of_the_link_ca_with_the_link_protocol_is_accepted_on_the_link_port() {
    let site = Site::start();
    let good = site.link_ca.issue(&Leaf::core("two"));
    let alpn = postern_wire::link::ALPN;
    let greeted = |identity: &raw::Identity, alpn: &[u8]| {
        FakeLink::dial(&site, identity, alpn).and_then(|mut link| link.request())
    };
    assert!(greeted(&good, alpn).is_ok());
    assert!(greeted(&site.link_ca.issue(&Leaf::gateway(NAME)), alpn).is_err(), "another gateway");
    assert!(greeted(&site.link_ca.issue(&Leaf::device("one")), alpn).is_err(), "no SAN URI");
    assert!(greeted(&site.device_ca.issue(&Leaf::core("two")), alpn).is_err(), "another CA");
    assert!(greeted(&good, b"http/1.1").is_err(), "another protocol");
}

#[test]
fn a_core_whose_certificate_is_refused_says_so_and_comes_again() {
    let site = Site::start();
    site.write_identity("core", &site.server_ca.issue(&Leaf::core("one")));
    let core = CoreStub::start(&site);
    wait::until("the core to be refused", SOON, || core.links.status()[0].last_error.clone(), String::new);
    // The certificate is mended on disk: no restart is needed.
    site.write_identity("core", &site.link_ca.issue(&Leaf::core("one")));
    site.wait_until_ready();
    wait::until(
        "the trouble to be over",
        SOON,
        || core.links.status()[0].last_error.is_none().then_some(()),
        String::new,
    );
}

#[test]
fn a_gateway_that_nobody_answers_at_is_told_with_its_address() {
    let site = Site::start();
    let target = GatewayTarget { name: NAME.to_owned(), address: nowhere().to_string() };
    let core = CoreStub::start_with(site.core_files(), vec![target.clone()], 1);
    let said =
        wait::until("the dial to fail", SOON, || core.links.status()[0].last_error.clone(), String::new);
    assert!(said.starts_with(&format!("cannot connect to {}", target.address)), "{said}");
}

// === links under load and trouble ===

#[test]
fn links_grow_with_demand_up_to_their_limit_and_nothing_is_lost() {
    let site = Site::start();
    let links = LinkCountLimits { min: 1, max: 12 };
    let core = CoreStub::start_ready(&site, &Settings { links, link_wait_ms: 20_000, ..settings() });
    core.set_answer(Answer { wait: Duration::from_millis(200), status: 200, ..Answer::default() });
    thread::scope(|scope| {
        let posts: Vec<_> = (0..30)
            .map(|n| {
                scope.spawn({
                    let site = &site;
                    move || site.post(&route(1 + n % 9).path()).status
                })
            })
            .collect();
        let statuses: Vec<u16> = posts.into_iter().map(|post| post.join().expect("no panic")).collect();
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    });
    let links = core.links.status()[0].request_links;
    assert!((8..=12).contains(&links), "{links}");
    assert_eq!(core.heard.count(), 30);
    assert_eq!(core.heard.want_links.load(Ordering::Relaxed), 12);
}

#[test]
fn when_every_link_is_busy_for_too_long_a_device_hears_503() {
    let site = Site::start();
    let links = LinkCountLimits { min: 1, max: 1 };
    let core = CoreStub::start_ready(&site, &Settings { links, link_wait_ms: 100, ..settings() });
    // Two links were dialed before the gateway could say that it wants one.
    core.set_answer(Answer { wait: Duration::from_secs(2), status: 200, ..Answer::default() });
    let statuses: Vec<u16> = thread::scope(|scope| {
        let site = &site;
        let posts: Vec<_> = (1..7).map(|n| scope.spawn(move || site.post(&route(n).path()).status)).collect();
        posts.into_iter().map(|post| post.join().expect("no panic")).collect()
    });
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    core.heard.wait_for_refusal(RefusalReason::LinksBusy);
}

#[test]
fn a_message_that_the_core_may_have_taken_is_not_sent_twice_when_the_core_dies() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    core.set_answer(Answer { wait: Duration::from_secs(30), status: 200, ..Answer::default() });
    let heard = std::sync::Arc::clone(&core.heard);
    thread::scope(|scope| {
        let post = scope.spawn(|| site.post(&route(1).path()));
        wait::until("the message at the core", SOON, || (heard.count() == 1).then_some(()), String::new);
        core.kill();
        let answer = post.join().expect("no panic");
        assert_eq!((answer.status, answer.slug().as_deref()), (502, Some("link-broken")));
        assert_eq!(answer.header("retry-after"), Some("17"));
    });
    assert_eq!(heard.count(), 1);
}

#[test]
fn a_core_that_does_not_answer_in_time_is_502_and_its_link_is_closed() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &Settings { reply_timeout_s: 1, ..settings() });
    core.set_answer(Answer { wait: Duration::from_secs(3), status: 200, ..Answer::default() });
    assert_eq!(site.post(&route(1).path()).status, 502);
    core.set_answer(Answer { status: 200, ..Answer::default() });
    assert_eq!(site.post(&route(1).path()).status, 200);
    assert_eq!(core.heard.count(), 2);
}

#[test]
fn a_device_that_goes_away_does_not_break_its_link() {
    let site = Site::start();
    let links = LinkCountLimits { min: 1, max: 1 };
    let core = CoreStub::start_ready(&site, &Settings { links, ..settings() });
    core.set_answer(Answer { wait: Duration::from_millis(300), status: 200, ..Answer::default() });
    for _ in 0..5 {
        let mut tls = site.connect(None);
        let head = raw::request_head("POST", &route(1).path(), "localhost", &[XML], Some(MESSAGE.len()));
        tls.send(&[head.as_bytes(), MESSAGE].concat()).expect("sent");
        thread::sleep(Duration::from_millis(50));
    }
    let before = site.metric("postern_gateway_links_accepted_total");
    assert_eq!(site.post(&route(1).path()).status, 200);
    assert_eq!(site.metric("postern_gateway_links_accepted_total"), before);
}

#[test]
fn a_reply_larger_than_the_limit_is_502() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &Settings { message_octets: 8 * 1024, ..settings() });
    core.set_answer(Answer { status: 200, body: Some(vec![b'x'; 9_000]), ..Answer::default() });
    assert_eq!(site.post(&route(1).path()).status, 502);
}

#[test]
fn what_the_core_answers_crosses_with_its_status() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    core.set_answer(Answer { status: 401, headers: vec![("Retry-After", "9")], ..Answer::default() });
    let answer = site.post(&route(1).path());
    assert_eq!((answer.status, answer.header("retry-after")), (401, Some("9")));
}

#[test]
fn a_reply_to_another_request_closes_its_link_and_is_never_passed_on() {
    let site = Site::start();
    let mut fake = fake_core(&site, 1);
    thread::scope(|scope| {
        let post = scope.spawn(|| site.post(&route(1).path()));
        fake.request.request().expect("the message");
        let other = boot_id();
        let reply =
            format!("HTTP/1.1 200 OK\r\nPostern-Request-Id: {other}\r\nContent-Length: 6\r\n\r\nsecret");
        fake.request.send(&reply).expect("sent");
        let answer = post.join().expect("no panic");
        assert_eq!(answer.status, 502);
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    });
    assert!(fake.request.is_closed());
}

#[test]
fn an_unfinished_reply_is_502_and_never_passed_on_in_part() {
    let site = Site::start();
    let mut fake = fake_core(&site, 1);
    let answer = thread::scope(|scope| {
        let post = scope.spawn(|| site.post(&route(1).path()));
        let (head, _) = fake.request.request().expect("the message");
        let id = head.lines().find_map(|line| line.strip_prefix("postern-request-id: ")).expect("an id");
        let reply = format!("HTTP/1.1 200 OK\r\nPostern-Request-Id: {id}\r\nContent-Length: 100\r\n\r\nhalf");
        fake.request.send(&reply).expect("sent");
        drop(fake.request);
        post.join().expect("no panic")
    });
    assert_eq!(answer.status, 502);
}

#[test]
fn a_core_that_stands_by_or_is_behind_in_its_versions_gets_no_message() {
    let site = Site::start();
    let mut fake = fake_core(&site, 0);
    taken(&site, &mut fake.watch, fake.id, 0);
    assert!(!site.gateway().is_ready(), "epoch 0 stands by");
    drop(fake);
    let (identity, core) = (site.link_ca.issue(&Leaf::core("two")), boot_id());
    let mut watch = FakeLink::dial(&site, &identity, postern_wire::link::ALPN).expect("dialed");
    watch.welcome("watch", core, 1).expect("welcomed");
    // It announces a blocked list that never comes.
    let line = format!(
        r#"{{"kind":"versions","settings":0,"blocked":5,"routes":0,"lineage":"{}","epoch":1}}"#,
        boot_id()
    );
    watch.watch(&[line]).expect("watched");
    taken(&site, &mut watch, core, 1);
    assert!(!site.gateway().is_ready(), "its blocked list is not here");
}

#[test]
fn an_idle_link_is_pinged_and_one_that_does_not_answer_is_closed() {
    let site = Site::start();
    let mut fake = fake_core(&site, 1);
    let (head, _) = fake.request.request().expect("a ping");
    assert!(head.starts_with("GET /link/1/ping "), "{head}");
    fake.request.send("HTTP/1.1 204 No Content\r\n\r\n").expect("answered");
    let (head, _) = fake.request.request().expect("another ping");
    assert!(head.starts_with("GET /link/1/ping "), "{head}");
    assert!(fake.request.is_closed());
}

/// Waits until the gateway is through with all that a watch has said: it takes the lines in their order, and says on a
/// report link that it took this last one.
fn taken(site: &Site, watch: &mut FakeLink, core: uuid::Uuid, epoch: u64) {
    let identity = site.link_ca.issue(&Leaf::core("two"));
    let mut report = FakeLink::dial(site, &identity, postern_wire::link::ALPN).expect("dialed");
    report.welcome("report", core, epoch).expect("welcomed");
    let hash = route(1).hash();
    watch.line(&format!(r#"{{"kind":"routes","version":77,"full":true,"add":["{hash}"]}}"#)).expect("said");
    loop {
        let (head, body) = report.request().expect("a report");
        assert!(head.starts_with("POST /link/1/report "), "{head}");
        report.answer_json(r#"{"ok":true,"now":0}"#).expect("answered");
        if String::from_utf8_lossy(&body).contains(r#""version":77"#) {
            return;
        }
    }
}

struct FakeCore {
    id: uuid::Uuid,
    watch: FakeLink,
    request: FakeLink,
}

/// A core by hand, of this epoch, that knows route 1.
fn fake_core(site: &Site, epoch: u64) -> FakeCore {
    let identity = site.link_ca.issue(&Leaf::core("two"));
    let core = boot_id();
    let dial = || FakeLink::dial(site, &identity, postern_wire::link::ALPN).expect("dialed");
    let mut watch = dial();
    watch.welcome("watch", core, epoch).expect("welcomed");
    let lineage = boot_id();
    let hash = route(1).hash();
    watch
        .watch(&[
            format!(r#"{{"kind":"versions","settings":0,"blocked":0,"routes":1,"lineage":"{lineage}","epoch":{epoch}}}"#),
            format!(r#"{{"kind":"routes","version":1,"full":true,"add":["{hash}"]}}"#),
        ])
        .expect("watched");
    let mut request = dial();
    request.welcome("request", core, epoch).expect("welcomed");
    if epoch > 0 {
        site.wait_until_ready();
    }
    FakeCore { id: core, watch, request }
}

// === several cores ===

#[test]
fn of_two_cores_the_one_with_the_higher_epoch_is_used_and_a_standby_takes_over() {
    let site = Site::start();
    let first = CoreStub::start_ready(&site, &settings());
    let second = CoreStub::start_with(site.core_files(), vec![site.target()], 0);
    second.lists.load_routes([route(1).hash()]);
    second.lists.publish_settings(NAME, &settings()).expect("good");
    wait::until("the standby's watch", SOON, || second.links.status()[0].watching.then_some(()), String::new);
    assert_eq!(site.post(&route(1).path()).status, 200);
    assert_eq!((first.heard.count(), second.heard.count()), (1, 0));
    second.set_epoch(2);
    wait::until(
        "the second core to be used",
        SOON,
        || {
            site.post(&route(1).path());
            (second.heard.count() > 0).then_some(())
        },
        String::new,
    );
    second.kill();
    wait::until(
        "the first again",
        SOON,
        || (site.post(&route(1).path()).status == 200).then_some(()),
        String::new,
    );
}

#[test]
fn a_core_that_drains_loses_no_message() {
    let site = Site::start();
    let links = LinkCountLimits { min: 4, max: 16 };
    let first = CoreStub::start_ready(&site, &Settings { links, ..settings() });
    let second = CoreStub::start_with(site.core_files(), vec![site.target()], 1);
    second.lists.load_routes((1..10).map(|number| route(number).hash()));
    second.lists.publish_settings(NAME, &Settings { links, ..settings() }).expect("good");
    wait::until(
        "links of the second",
        SOON,
        || (second.links.status()[0].request_links >= 4).then_some(()),
        String::new,
    );
    for core in [&first, &second] {
        core.set_answer(Answer { wait: Duration::from_millis(20), status: 200, ..Answer::default() });
    }
    second.set_epoch(1);
    first.set_epoch(2);
    thread::scope(|scope| {
        let posts: Vec<_> = (1..5)
            .map(|n| {
                scope.spawn({
                    let site = &site;
                    move || {
                        let mut tls = site.connect(None);
                        (0..50)
                            .map(|_| tls.post(&route(n).path(), &[XML], MESSAGE).expect("an answer").status)
                            .collect::<Vec<_>>()
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        first.drain(Duration::from_secs(5));
        for post in posts {
            let statuses = post.join().expect("no panic");
            assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        }
    });
    assert!(second.heard.count() > 0);
    assert_eq!(first.heard.count() + second.heard.count(), 200);
}
