//! What a gateway keeps: settings and lists over restarts, certificates over reloads, its figures; and how it ends.

use std::{thread, time::Duration};

use crate::site::{
    CoreStub, Leaf, MESSAGE, NAME, SOON, Site, XML, boot_id, clock, core_stub::Answer, read, route, settings,
};
use postern_gateway::Gateway;
use postern_tests::{
    raw::{self, Tls},
    wait,
};
use postern_wire::link::{
    AckVerdict, Admission, BlockedEntry, BlockedSubject, LinkCountLimits, ListKind, RefusalReason, Settings,
};

#[test]
fn a_rejected_settings_document_leaves_the_last_good_one_in_force_and_says_why() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    core.lists.publish_document(
        NAME,
        2,
        serde_json::json!({"version": 2, "no_such_key": 1}),
        "00".to_owned(),
    );
    let ack = core.heard.wait_for_ack(|ack| ack.kind == ListKind::Settings && ack.version == 2);
    let AckVerdict::Rejected { reason, in_force } = ack.verdict else { panic!("{ack:?}") };
    assert!(reason.contains("digest") && in_force == 1, "{reason}");
    let document = serde_json::json!({"version": 3, "message_octets": 5});
    let sha256 = {
        // The digest of a document that a good core would never send.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document.to_string().as_bytes());
        digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect::<String>()
    };
    core.lists.publish_document(NAME, 3, document, sha256);
    let ack = core.heard.wait_for_ack(|ack| ack.kind == ListKind::Settings && ack.version == 3);
    let AckVerdict::Rejected { reason, .. } = ack.verdict else { panic!("{ack:?}") };
    assert!(reason.starts_with("message_octets is 5"), "{reason}");
    assert_eq!(core.lists.settings_in_force(NAME), Some(1));
    // The core knows: the gateway goes on serving under the last good one.
    site.wait_until_ready();
    assert_eq!(site.post(&route(1).path()).status, 200);
    assert_eq!(site.metric("postern_gateway_settings_version"), 1.0);
}

#[test]
fn settings_take_effect_without_a_restart() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    let mut tls = site.connect(None);
    assert_eq!(tls.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status, 200);
    let stricter = Settings { version: 2, require_client_certificate: true, ..settings() };
    core.lists.publish_settings(NAME, &stricter).expect("good");
    core.heard.wait_for_ack(|ack| ack.kind == ListKind::Settings && ack.version == 2);
    assert_eq!(
        tls.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status,
        403,
        "also on an open connection"
    );
}

#[test]
fn the_blocked_list_routes_and_settings_hold_after_a_restart_without_a_core() {
    let mut site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    let subject = BlockedSubject::Route(route(1).hash());
    let version =
        core.lists.change_blocked(vec![BlockedEntry { subject, verdict: Admission::Refuse }], vec![]);
    core.heard.wait_for_ack(|ack| ack.kind == ListKind::Blocked && ack.version == version);
    let routes = site.state_file("routes.bin");
    wait::until(
        "the routes on disk",
        SOON,
        || (routes.metadata().ok()?.len() > 9 * 16).then_some(()),
        String::new,
    );
    core.kill();
    site.stop_gateway();
    site.start_gateway();
    assert_eq!(site.post(&route(1).path()).status, 403, "blocked before and after");
    let answer = site.post(&route(2).path());
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("17")), "live, but no core");
    assert_eq!(site.post(&route(99).path()).status, 404, "unknown before and after");
    assert!(
        !read(&site.state_file("blocked.json")).contains(&route(1).to_string()),
        "only hashes are on disk"
    );
}

#[test]
fn a_route_becomes_live_and_unknown_as_the_core_says() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    assert_eq!(site.post(&route(50).path()).status, 404);
    core.lists.change_routes(vec![route(50).hash()], vec![]);
    wait::until(
        "the new route",
        SOON,
        || (site.post(&route(50).path()).status == 200).then_some(()),
        String::new,
    );
    core.lists.change_routes(vec![], vec![route(50).hash()]);
    wait::until(
        "the route to be gone",
        SOON,
        || (site.post(&route(50).path()).status == 404).then_some(()),
        String::new,
    );
}

#[test]
fn a_list_of_many_parts_arrives_whole() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    let many = (0..30_000_u32).map(|number| {
        let mut octets = [7; 16];
        octets[..4].copy_from_slice(&number.to_be_bytes());
        postern_wire::route::RouteId::from_bytes(octets).hash()
    });
    let version = core.lists.load_routes(many.chain([route(60).hash()]));
    core.heard.wait_for_ack(|ack| ack.kind == ListKind::Routes && ack.version == version);
    assert_eq!([site.post(&route(60).path()).status, site.post(&route(1).path()).status], [200, 404]);
}

#[test]
fn the_heartbeat_tells_the_core_of_the_gateway() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    assert_eq!(site.post(&route(1).path()).status, 200);
    site.post("/nothing");
    let told = || {
        let beat = core.heard.heartbeat.lock().expect("not poisoned").clone()?;
        (beat.relayed == 1 && beat.refusals.get("path") == Some(&1)).then_some(beat)
    };
    let beat = wait::until("the heartbeat", SOON, told, String::new);
    assert!(beat.links.request >= 1 && beat.rss > 0 && beat.settings == 1, "{beat:?}");
    assert!(beat.device_certificate_not_after.0 > clock()().0 && beat.troubles.is_empty());
}

#[test]
fn refusals_of_a_kind_are_told_once_with_their_count() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    for _ in 0..20 {
        site.post(&route(99).path());
    }
    let counted = || {
        let refusals = core.heard.refusals.lock().expect("not poisoned");
        let unknown = refusals.iter().filter(|refusal| refusal.reason == RefusalReason::RouteUnknown);
        (unknown.map(|refusal| refusal.count).sum::<u64>() == 20).then_some(())
    };
    wait::until("twenty refusals", SOON, counted, String::new);
    assert!(core.heard.refusals.lock().expect("not poisoned").len() < 20);
    assert_eq!(site.refusals("route-unknown"), 20.0);
}

#[test]
fn a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_told() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    let other = crate::site::Authority::new("other server");
    site.write_identity("device", &other.issue(&Leaf::server("localhost")));
    site.gateway().reload_certificates();
    let config = raw::client_config(&other.pem, None);
    let mut tls =
        Tls::connect(site.gateway().addresses().device, "localhost", config.clone()).expect("connected");
    assert_eq!(tls.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status, 200);
    std::fs::write(site.folder.path().join("device.key"), "no key").expect("written");
    site.gateway().reload_certificates();
    let trouble = site.gateway().troubles();
    assert!(trouble.iter().any(|trouble| trouble.contains("device.key holds no private key")), "{trouble:?}");
    Tls::connect(site.gateway().addresses().device, "localhost", config)
        .expect("the one before is still used");
    wait::until(
        "the core to be told",
        SOON,
        || {
            let beat = core.heard.heartbeat.lock().expect("not poisoned").clone()?;
            (!beat.troubles.is_empty()).then_some(())
        },
        String::new,
    );
}

#[test]
fn a_changed_certificate_file_is_noticed_by_itself() {
    let site = Site::start();
    let other = crate::site::Authority::new("other server");
    site.write_identity("device", &other.issue(&Leaf::server("localhost")));
    let connect = || {
        let config = raw::client_config(&other.pem, None);
        Tls::connect(site.gateway().addresses().device, "localhost", config).ok()
    };
    wait::until("the new certificate", SOON, connect, String::new);
}

#[test]
fn a_drain_finishes_what_runs_and_takes_nothing_new() {
    let mut site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    core.set_answer(Answer { wait: Duration::from_millis(700), status: 200, ..Answer::default() });
    let address = site.gateway().addresses().device;
    let mut idle = site.connect(None);
    let mut running = site.connect(None);
    let head = raw::request_head("POST", &route(1).path(), "localhost", &[XML], Some(MESSAGE.len()));
    running.send(&[head.as_bytes(), MESSAGE].concat()).expect("sent");
    wait::until("the message at the core", SOON, || (core.heard.count() == 1).then_some(()), String::new);
    let gateway = site.take_gateway();
    let drained = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(gateway.drain());
    });
    assert!(idle.is_closed_within(Duration::from_secs(3)), "an idle connection closes");
    assert_eq!(running.receive().expect("an answer").status, 200, "a running one finishes");
    drained.join().expect("no panic");
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_busy_port_gets_a_sentence_that_says_what_to_do() {
    let site = Site::start();
    let error = Gateway::start(site.config.clone(), clock(), boot_id()).err().expect("refused").to_string();
    let address = site.config.device.listen;
    assert_eq!(
        error,
        format!(
            "the device port {address} is in use by another program: stop that, or set `device.listen` to another port"
        )
    );
}

#[test]
fn an_expired_certificate_of_its_own_does_not_keep_a_gateway_from_starting() {
    let mut site = Site::prepare();
    site.write_identity(
        "device",
        &site.server_ca.issue(&Leaf { until_year: 2021, ..Leaf::server("localhost") }),
    );
    site.start_gateway();
    let core = CoreStub::start(&site);
    let told = || core.heard.heartbeat.lock().expect("not poisoned").clone();
    let beat = wait::until("the heartbeat", SOON, told, String::new);
    assert!(beat.device_certificate_not_after.0 < clock()().0);
}

#[test]
fn a_balancers_proxy_header_names_the_device_and_is_not_taken_from_others() {
    let site = Site::start();
    let from = "127.0.0.0/8".parse().expect("a network");
    let core = CoreStub::start_ready(&site, &Settings { proxy_protocol_from: vec![from], ..settings() });
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([203, 0, 113, 9, 127, 0, 0, 1, 0x30, 0x39, 1, 0xbb]);
    let config = raw::client_config(&site.server_ca.pem, None);
    let answer = behind_proxy(&site, &header, config.clone()).expect("an answer");
    assert_eq!(answer, 200);
    assert_eq!(core.heard.last_message().headers["postern-source"], "203.0.113.9");
    assert!(behind_proxy(&site, b"", config.clone()).is_err(), "a balancer without its header");
    core.heard.wait_for_refusal(RefusalReason::ProxyHeader);
    let nobody = Settings { version: 2, ..settings() };
    core.lists.publish_settings(NAME, &nobody).expect("good");
    core.heard.wait_for_ack(|ack| ack.kind == ListKind::Settings && ack.version == 2);
    assert!(behind_proxy(&site, &header, config).is_err(), "a header from anyone else is no TLS");
}

fn behind_proxy(site: &Site, header: &[u8], config: rustls::ClientConfig) -> std::io::Result<u16> {
    use std::io::{Read as _, Write as _};
    let mut tcp = std::net::TcpStream::connect(site.gateway().addresses().device)?;
    tcp.set_read_timeout(Some(Duration::from_secs(5)))?;
    tcp.write_all(header)?;
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let connection = rustls::ClientConnection::new(config.into(), name).map_err(std::io::Error::other)?;
    let mut tls = rustls::StreamOwned::new(connection, tcp);
    let headers = [XML, ("Connection", "close")];
    let head = raw::request_head("POST", &route(1).path(), "localhost", &headers, Some(MESSAGE.len()));
    tls.write_all(&[head.as_bytes(), MESSAGE].concat())?;
    let mut answer = [0; 12];
    tls.read_exact(&mut answer)?;
    String::from_utf8_lossy(&answer[9..12]).parse().map_err(std::io::Error::other)
}

#[test]
fn the_least_number_of_links_is_kept_as_soon_as_the_settings_say_so() {
    let site = Site::start();
    let links = LinkCountLimits { min: 6, max: 8 };
    let core = CoreStub::start_ready(&site, &Settings { links, ..settings() });
    let why = || format!("{:?}", core.links.status());
    wait::until("six links", SOON, || (core.links.status()[0].request_links == 6).then_some(()), why);
}
