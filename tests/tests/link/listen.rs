//! Devices that listen for a notification at the gateway: admitted like any message, held, woken by the core.

use std::{sync::Arc, thread};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postern_core::links::Wake;
use postern_tests::{
    raw::{Identity, Response, request_head},
    wait,
};
use postern_wire::{
    link::{
        Admission, BlockedEntry, BlockedSubject, ListenLimits, PACKAGE0_MEDIA_TYPE, RefusalReason,
        RouteLimit, Settings,
    },
    route::RouteId,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

use crate::site::{CoreStub, Leaf, MESSAGE, SOON, Site, XML, route, settings};

const PACKAGE0: &[u8] = b"any octets: the gateway does not read them";

fn listening(change: impl FnOnce(&mut Settings)) -> (Site, CoreStub) {
    let mut settings = settings();
    change(&mut settings);
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings);
    (site, core)
}

fn limits(poll_s: u64) -> ListenLimits {
    ListenLimits { poll_s, ..ListenLimits::default() }
}

/// A listener on a thread of its own, once the gateway holds it.
fn listener(
    site: &Site,
    route: RouteId,
    identity: Option<&Identity>,
) -> thread::JoinHandle<std::io::Result<Response>> {
    let before = site.metric("postern_gateway_listeners");
    let mut tls = site.connect(identity);
    let thread = thread::spawn(move || tls.get(&route.listen_path()));
    let held = || (site.metric("postern_gateway_listeners") > before).then_some(());
    wait::until("the gateway to hold the listener", SOON, held, String::new);
    thread
}

fn wake(core: &CoreStub, route: RouteId, certificate: Option<&Identity>) {
    let fingerprint = |identity: &Identity| {
        let der = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).expect("a certificate");
        Arc::from(data_encoding::HEXLOWER.encode(&Sha256::digest(der)))
    };
    let package0 = Arc::from(STANDARD.encode(PACKAGE0));
    core.lists.wake(Wake { route: route.hash(), package0, certificate: certificate.map(fingerprint) });
}

fn woken(answer: &Response) -> bool {
    answer.status == 200
        && answer.header("content-type") == Some(PACKAGE0_MEDIA_TYPE)
        && answer.body == PACKAGE0
}

#[test]
fn a_device_that_listens_gets_its_package_0_and_the_core_hears_nothing_of_it() {
    let (site, core) = listening(|_| {});
    let (device, other) = (listener(&site, route(1), None), listener(&site, route(2), None));
    wake(&core, route(1), None);
    let answer = device.join().expect("no panic").expect("an answer");
    assert!(woken(&answer), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!((site.metric("postern_gateway_listeners"), core.heard.count()), (1.0, 0));
    wake(&core, route(2), None);
    assert!(woken(&other.join().expect("no panic").expect("an answer")));
}

#[test]
fn a_listener_is_answered_204_after_its_poll_time_and_its_connection_goes_on() {
    let (site, core) = listening(|settings| settings.listen = limits(1));
    let mut tls = site.connect(None);
    let answer = tls.get(&route(1).listen_path()).expect("an answer");
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(tls.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status, 200);
    assert_eq!(core.heard.count(), 1);
}

#[test]
fn listeners_hold_no_link_and_messages_pass_beside_them() {
    let (site, core) = listening(|settings| settings.links.max = settings.links.min);
    let all: Vec<_> = (1..9).map(|number| listener(&site, route(number), None)).collect();
    assert_eq!(site.post(&route(9).path()).status, 200);
    assert_eq!(site.metric("postern_gateway_links_busy"), 0.0);
    for number in 1..9 {
        wake(&core, route(number), None);
    }
    assert!(all.into_iter().all(|device| woken(&device.join().expect("no panic").expect("an answer"))));
}

#[test]
fn a_listener_is_judged_like_a_message() {
    let (site, core) = listening(|settings| settings.listen = limits(1));
    core.lists.change_blocked(
        vec![BlockedEntry { subject: BlockedSubject::Route(route(2).hash()), verdict: Admission::Refuse }],
        vec![],
    );
    let blocked = || (site.post(&route(2).path()).status == 403).then_some(());
    wait::until("the route to be blocked", SOON, blocked, String::new);
    let listen = route(1).listen_path();
    let cases: &[(&str, &str, Option<usize>, u16, &str)] = &[
        ("GET", &route(200).listen_path(), None, 404, "route-unknown"),
        ("GET", "/dm/1/short/listen", None, 404, "route-unknown"),
        ("GET", "/listen", None, 404, "route-unknown"),
        ("GET", &format!("{listen}/more"), None, 404, "route-unknown"),
        ("GET", &route(1).path(), None, 405, "method"),
        ("POST", &listen, Some(0), 405, "method"),
        ("GET", &listen, Some(4), 400, "framing"),
        ("GET", &route(2).listen_path(), None, 403, "route-blocked"),
    ];
    for (method, path, length, status, slug) in cases {
        let mut tls = site.connect(None);
        let head = request_head(method, path, "localhost", &[], *length);
        tls.send(&[head.as_bytes(), &b"body"[..length.unwrap_or(0)]].concat()).expect("sent");
        let answer = tls.receive().expect("an answer");
        assert_eq!((answer.status, answer.slug().as_deref()), (*status, Some(*slug)), "{method} {path}");
    }
}

#[test]
fn a_route_that_asks_too_often_may_not_listen_either() {
    let (site, _core) = listening(|settings| {
        settings.listen = limits(1);
        settings.route = RouteLimit { per_minute: 1, burst: 1 };
    });
    let mut tls = site.connect(None);
    assert_eq!(tls.get(&route(1).listen_path()).expect("an answer").status, 204);
    assert_eq!(tls.get(&route(1).listen_path()).expect("an answer").status, 429);
}

#[test]
fn one_more_than_may_listen_hears_503_and_the_core_is_told() {
    let (site, core) = listening(|settings| settings.listen.devices = 1);
    let first = listener(&site, route(1), None);
    let answer = site.connect(None).get(&route(2).listen_path()).expect("an answer");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("17")));
    core.heard.wait_for_refusal(RefusalReason::ListenersFull);
    wake(&core, route(1), None);
    assert!(woken(&first.join().expect("no panic").expect("an answer")));
}

#[test]
fn a_newer_listener_of_a_route_ends_the_older() {
    let (site, core) = listening(|_| {});
    let older = listener(&site, route(1), None);
    let mut tls = site.connect(None);
    let newer = thread::spawn(move || tls.get(&route(1).listen_path()));
    assert_eq!(older.join().expect("no panic").expect("an answer").status, 204);
    wake(&core, route(1), None);
    assert!(woken(&newer.join().expect("no panic").expect("an answer")));
}

#[test]
fn a_notification_for_a_device_with_a_certificate_is_not_given_to_a_stranger() {
    let (site, core) = listening(|_| {});
    let own = site.device_ca.issue(&Leaf::device("one"));
    let device = listener(&site, route(1), Some(&own));
    let other = site.device_ca.issue(&Leaf::device("two"));
    let strangers = [listener(&site, route(1), None), listener(&site, route(1), Some(&other))];
    wake(&core, route(1), Some(&own));
    assert!(woken(&device.join().expect("no panic").expect("an answer")));
    assert_eq!(site.metric("postern_gateway_listeners"), 2.0);
    wake(&core, route(1), None);
    assert!(strangers.into_iter().all(|one| woken(&one.join().expect("no panic").expect("an answer"))));
}

#[test]
fn a_notification_that_comes_between_two_polls_is_kept_for_the_next() {
    let (site, core) = listening(|settings| settings.listen = limits(1));
    wake(&core, route(1), None);
    let counted = || (site.metric("postern_gateway_wakes_without_listener_total") == 1.0).then_some(());
    wait::until("the wake-up at the gateway", SOON, counted, String::new);
    let mut tls = site.connect(None);
    assert!(woken(&tls.get(&route(1).listen_path()).expect("an answer")));
    assert_eq!(tls.get(&route(1).listen_path()).expect("an answer").status, 204, "it is given once");
}

#[test]
fn a_wipe_only_device_may_listen_for_its_wipe() {
    let (site, core) = listening(|_| {});
    let expired = site.device_ca.issue(&Leaf { until_year: 2021, ..Leaf::device("lost") });
    let device = listener(&site, route(1), Some(&expired));
    wake(&core, route(1), Some(&expired));
    assert!(woken(&device.join().expect("no panic").expect("an answer")));
}

#[test]
fn listeners_are_answered_when_the_gateway_drains() {
    let (mut site, _core) = listening(|_| {});
    let device = listener(&site, route(1), None);
    let gateway = site.take_gateway();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(gateway.drain());
    assert_eq!(device.join().expect("no panic").expect("an answer").status, 204);
}

#[test]
fn a_device_listens_while_no_core_is_there_and_is_woken_when_one_comes() {
    let (site, core) = listening(|_| {});
    core.kill();
    site.wait_until_not_ready();
    let device = listener(&site, route(1), None);
    let core = CoreStub::start_ready(&site, &settings());
    wake(&core, route(1), None);
    assert!(woken(&device.join().expect("no panic").expect("an answer")));
}
