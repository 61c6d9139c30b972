//! What a gateway lets through of an enrolment, and what it refuses: by form and by address, for there is nothing else to go by.

use crate::site::{CoreStub, MESSAGE, Site, XML, core_stub::Answer, settings};
use postern_tests::raw::{Response, request_head};
use postern_wire::{
    enrol::{BODY_LIMIT, CONTENT_TYPE, DISCOVER_PATH, FINISH_PATH, START_PATH},
    link::{AddressLimit, RefusalReason, Settings},
};

const MEDIA: (&str, &str) = ("Content-Type", CONTENT_TYPE);

fn ask(site: &Site, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let mut tls = site.connect(None);
    let length = (method != "GET").then_some(body.len());
    let head = request_head(method, path, "localhost", headers, length);
    tls.send(&[head.as_bytes(), body].concat()).expect("sent");
    tls.receive().expect("an answer")
}

#[test]
fn what_a_device_says_to_enrol_crosses_octet_for_octet_both_ways() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &Settings { require_client_certificate: true, ..settings() });
    let body: Vec<u8> = (0..=255).cycle().take(BODY_LIMIT).collect();
    for path in [START_PATH, FINISH_PATH] {
        let answer = ask(&site, "POST", path, &[MEDIA, ("Postern-Source", "1.2.3.4")], &body);
        assert_eq!(answer.status, 200, "{:?}", answer.slug());
        assert!(answer.body == body, "the answer is not what the core said");
        let crossed = core.heard.last_message();
        assert_eq!(crossed.path, path);
        assert!(crossed.body == body, "what crossed is not what the device said");
        let header = |name: &str| crossed.headers.get(name).map(String::as_str);
        assert_eq!(
            (header("postern-source"), header("content-type")),
            (Some("127.0.0.1"), Some(CONTENT_TYPE))
        );
        assert_eq!((header("client-cert"), header("postern-admission")), (None, Some("admit")));
    }
    let found = ask(&site, "GET", &format!("{DISCOVER_PATH}?email=a@b"), &[], b"");
    assert_eq!((found.status, core.heard.last_message().path.as_str()), (200, DISCOVER_PATH));
    assert!(site.metric("postern_gateway_enrolment_messages_total") >= 3.0);
}

#[test]
fn what_is_no_enrolment_is_refused_by_type_and_never_reaches_the_core() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &settings());
    let long = vec![0; BODY_LIMIT + 1];
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let cases: &[Case<'_>] = &[
        ("GET", START_PATH, &[], b"", 405, "method"),
        ("PUT", FINISH_PATH, &[MEDIA], MESSAGE, 405, "method"),
        ("POST", DISCOVER_PATH, &[MEDIA], MESSAGE, 405, "method"),
        ("POST", START_PATH, &[XML], MESSAGE, 415, "media-type"),
        ("POST", START_PATH, &[], MESSAGE, 415, "media-type"),
        ("POST", START_PATH, &[MEDIA, XML], MESSAGE, 415, "media-type"),
        ("POST", START_PATH, &[MEDIA, ("Content-Encoding", "gzip")], MESSAGE, 415, "content-encoding"),
        ("POST", START_PATH, &[MEDIA], &long, 413, "body-too-large"),
        ("POST", "/enrol/1/other", &[MEDIA], MESSAGE, 404, "path"),
        ("POST", "/enrol/1/start/", &[MEDIA], MESSAGE, 404, "path"),
        ("POST", "/enrol/2/start", &[MEDIA], MESSAGE, 404, "path"),
    ];
    for (method, path, headers, body, status, slug) in cases {
        let answer = ask(&site, method, path, headers, body);
        let found = (answer.status, answer.slug());
        assert_eq!((found.0, found.1.as_deref()), (*status, Some(*slug)), "{method} {path} {headers:?}");
    }
    assert_eq!(core.heard.count(), 0);
    core.heard.wait_for_refusal(RefusalReason::MediaType);
}

#[test]
fn with_the_setting_off_nobody_enrols_here() {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, &Settings { enrolment: false, ..settings() });
    for (method, path) in [("GET", DISCOVER_PATH), ("POST", START_PATH), ("POST", FINISH_PATH)] {
        let answer = ask(&site, method, path, &[MEDIA], MESSAGE);
        assert_eq!((answer.status, answer.slug().as_deref()), (404, Some("enrolment-off")), "{path}");
    }
    core.heard.wait_for_refusal(RefusalReason::EnrolmentOff);
    assert_eq!(core.heard.count(), 0);
}

#[test]
fn an_address_that_guesses_is_slowed_down_before_the_core_hears_of_it() {
    let site = Site::start();
    let limit = AddressLimit { per_minute: 1, burst: 6 };
    let core = CoreStub::start_ready(&site, &Settings { address: limit, ..settings() });
    core.set_answer(Answer { status: 403, ..Answer::default() });
    let mut tls = site.connect(None);
    let mut answers = Vec::new();
    for _ in 0..8 {
        match tls.post(START_PATH, &[MEDIA], MESSAGE) {
            Ok(answer) => answers.push(answer.status),
            Err(_) => break,
        }
    }
    // one token for the connection, one for each guess; the last one is refused here
    assert_eq!(answers.iter().filter(|status| **status == 403).count(), 5, "{answers:?}");
    assert_eq!((answers.last(), core.heard.count()), (Some(&429), 5));
    core.heard.wait_for_refusal(RefusalReason::AddressRate);
}

#[test]
fn a_device_that_enrols_costs_its_address_nothing_in_the_end() {
    let site = Site::start();
    let limit = AddressLimit { per_minute: 1, burst: 3 };
    let core = CoreStub::start_ready(&site, &Settings { address: limit, ..settings() });
    for _ in 0..6 {
        let mut tls = site.connect(None);
        for path in [START_PATH, FINISH_PATH] {
            assert_eq!(tls.post(path, &[MEDIA], MESSAGE).expect("an answer").status, 200);
        }
    }
    assert_eq!(core.heard.count(), 12);
}
