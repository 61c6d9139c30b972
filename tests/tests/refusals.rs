//! What the outside may not do: each attempt is refused at the right place with a reason, nothing falls over, and
//! an honest device is served right after.
#![forbid(unsafe_code)]

use std::{io, time::Duration};

use postern_tests::{
    dm_client::DmClient,
    raw::{self, Response, Tls, request_head},
    site::{Plan, Site},
    wait,
};
use postern_wire::syncml::Encoding;

const XML: &str = "application/vnd.syncml.dm+xml";

#[test]
fn a_wrong_password_is_challenged_and_changes_nothing_of_the_enrolment() {
    let site = Site::start(&Plan::default());
    for (device_id, auth) in [("IMEI:1", "basic"), ("IMEI:2", "md5")] {
        let (enrolment, _) = site.enrol(device_id, auth, &[]);
        let honest = site.client(enrolment.clone());
        let mut wrong = enrolment;
        wrong.password = Some("wrong".to_owned());

        let check_in = site.client(wrong).check_in("1").expect("an answer");

        assert!(!check_in.authenticated && check_in.commands.is_empty(), "{auth}: {check_in:?}");
        assert!(site.ctl().ok(&["device", "show", device_id])["last_seen"].is_null());
        assert!(
            honest.check_in("2").expect("a session").authenticated,
            "{auth}: the honest device still gets in"
        );
    }
}

#[test]
fn a_device_id_that_is_not_the_enrolments_is_refused() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let mut other = enrolment.clone();
    other.device_id = "IMEI:2".to_owned();

    let check_in = site.client(other).check_in("1").expect("an answer");

    assert!(!check_in.authenticated && check_in.commands.is_empty(), "{check_in:?}");
    served(&site.client(enrolment));
}

#[test]
fn a_route_that_nobody_has_is_404_at_the_gateway() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let mut tls = site.client(enrolment).connect().expect("a connection");

    for path in [
        "/dm/1/aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "/",
        "/dm/1/",
        "/dm/1/../../api/1/devices",
        "/api/1/devices",
        "/link/1/hello",
    ] {
        let answer = tls.post(path, &[("Content-Type", XML)], b"<SyncML/>").expect("an answer");
        assert_eq!(answer.status, 404, "{path}");
        tls = site.client(site_enrolment(&site)).connect().expect("a connection");
    }
}

#[test]
fn only_syncml_that_nobody_compressed_is_taken() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);

    for headers in [
        &[("Content-Type", "text/plain")][..],
        &[("Content-Type", "application/json")],
        &[],
        &[("Content-Type", XML), ("Content-Encoding", "gzip")],
        &[("Content-Type", XML), ("Content-Encoding", "br")],
    ] {
        let answer = post(&client, headers, b"<SyncML/>").expect("an answer");
        assert_eq!(answer.status, 415, "{headers:?}");
    }
    for method in ["GET", "PUT", "OPTIONS", "TRACE"] {
        let mut tls = client.connect().expect("a connection");
        tls.send(request_head(method, &client.path(), &client.host(), &[], Some(0)).as_bytes())
            .expect("sent");
        let status = tls.receive().expect("an answer").status;
        assert!(matches!(status, 404 | 405 | 501), "{method}: {status}");
    }
    served(&client);
}

#[test]
fn a_message_that_is_none_is_refused_and_the_gateway_goes_on() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);

    for (name, body) in [
        ("empty", &b""[..]),
        ("not XML", b"hello"),
        ("cut", b"<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr>"),
        ("entities", b"<!DOCTYPE SyncML [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><SyncML>&b;</SyncML>"),
        ("another root", b"<html/>"),
        ("NULs", &[0; 64]),
    ] {
        let answer = post(&client, &[("Content-Type", XML)], body).expect("an answer");
        assert_eq!(answer.status, 400, "{name}");
    }
    let deep = format!("<SyncML xmlns=\"SYNCML:SYNCML1.2\">{}", "<a>".repeat(100_000));
    assert_eq!(
        post(&client, &[("Content-Type", XML)], deep.as_bytes()).expect("an answer").status,
        400,
        "deep"
    );
    served(&client);
}

#[test]
fn a_message_that_is_too_large_is_refused_before_it_is_read() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);
    let mut tls = client.connect().expect("a connection");

    let head = request_head("POST", &client.path(), &client.host(), &[("Content-Type", XML)], Some(1 << 30));
    tls.send(head.as_bytes()).expect("sent");

    assert_eq!(tls.receive().expect("an answer without the body").status, 413);

    // Without a length the limit holds on what has come.
    let mut tls = client.connect().expect("a connection");
    let headers = [("Content-Type", XML), ("Transfer-Encoding", "chunked")];
    tls.send(request_head("POST", &client.path(), &client.host(), &headers, None).as_bytes()).expect("sent");
    let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    let sent = (0..64).take_while(|_| tls.send(&chunk).is_ok()).count();
    let status = tls.receive().map(|answer| answer.status);
    assert!(sent < 64 || matches!(status, Ok(400 | 411 | 413)), "{sent} chunks, {status:?}");
    served(&client);
}

#[test]
fn a_request_with_two_framings_is_refused_and_never_split_in_two() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);
    let inner = request_head("POST", "/link/1/hello", "x", &[], Some(0));
    let (path, host) = (client.path(), client.host());

    for (name, framing) in [
        ("CL.TE", format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", inner.len() + 5)),
        ("TE.CL", format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", 4)),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 200\r\n".to_owned()),
        ("a list of lengths", "Content-Length: 5, 200\r\n".to_owned()),
        ("a signed length", "Content-Length: +5\r\n".to_owned()),
        ("TE that is none", "Transfer-Encoding: xchunked\r\n".to_owned()),
        ("TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned()),
        ("space before the colon", "Content-Length : 5\r\n".to_owned()),
        ("folded", "Content-Length: 5\r\n\tTransfer-Encoding: chunked\r\n".to_owned()),
    ] {
        let mut tls = client.connect().expect("a connection");
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {XML}\r\n{framing}\r\n");
        let _ = tls.send(format!("{head}0\r\n\r\n{inner}").as_bytes());

        let first = tls.receive();
        let status = first.as_ref().map_or(0, |answer| answer.status);
        assert!(matches!(status, 0 | 400 | 411 | 501), "{name}: {first:?}");
        // Whatever was behind the refused request is not read as a second one.
        assert!(tls.receive().is_err(), "{name}: a second request was answered");
    }
    served(&client);
}

#[test]
fn a_body_that_drips_is_cut_off_and_does_not_hold_others_up() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);
    let mut slow = client.connect().expect("a connection");
    let head = request_head("POST", &client.path(), &client.host(), &[("Content-Type", XML)], Some(100_000));
    slow.send(head.as_bytes()).expect("sent");

    let began = wait::now();
    let mut cut = false;
    while began.elapsed() < Duration::from_secs(60) && !cut {
        cut = slow.send(b"<").is_err() || slow.is_closed_within(Duration::from_millis(500));
        served(&client);
    }

    assert!(cut, "a body of two octets a second was let go on for {:?}", began.elapsed());
}

#[test]
fn a_client_certificate_of_another_ca_is_refused() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let mut client = site.client(enrolment);
    client.identity = Some(stranger());

    let refused = client.check_in("1");

    let refused_with =
        refused.as_ref().ok().and_then(|check_in| check_in.refused.as_ref()).map(|(status, _)| *status);
    assert!(refused.is_err() || refused_with == Some(403), "{refused:?}");
    client.identity = None;
    served(&client);
}

#[test]
fn a_valid_certificate_of_another_enrolment_is_refused() {
    let site = Site::start(&Plan::default());
    for (ours, theirs, auth) in [("IMEI:1", "IMEI:2", "certificate"), ("IMEI:3", "IMEI:4", "md5")] {
        let honest = certified(&site, ours, auth);
        let other = certified(&site, theirs, "certificate");
        let mut thief = honest.clone();
        thief.identity = other.identity.clone();

        let check_in = thief.check_in("1").expect("an answer");

        assert!(!check_in.authenticated && check_in.commands.is_empty(), "{auth}: {check_in:?}");
        assert!(site.ctl().ok(&["device", "show", ours])["last_seen"].is_null(), "{auth}");
        assert!(honest.check_in("2").expect("a session").authenticated, "{auth}: the honest device gets in");
        assert!(other.check_in("2").expect("a session").authenticated, "{auth}: and so does the other");
    }
}

#[test]
fn a_client_certificate_field_from_outside_is_no_certificate() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);
    let forged = [
        ("Content-Type", XML),
        ("Client-Cert", ":AAAA:"),
        ("Postern-Source", "10.0.0.1"),
        ("Postern-Request-Id", "x"),
    ];
    let mut session = client.open("1").expect("a connection");
    let body = session.package_1();
    let octets = session.message(body);

    let answer = session.tls().post(&client.path(), &forged, &octets).expect("an answer");

    assert_eq!(answer.status, 200, "the fields are stripped: {answer:?}");
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("postern-")), "{:?}", answer.headers);
}

#[test]
fn the_link_port_lets_nobody_in_without_a_core_s_certificate() {
    let site = Site::start(&Plan::default());
    let device_ca = site.read("state/ca/link-ca.pem");

    for identity in [None, Some(stranger())] {
        let config = raw::client_config(&device_ca, identity.as_ref());
        let entered =
            Tls::connect(site.link_address(), "localhost", config).and_then(|mut tls| tls.receive());
        assert!(entered.is_err(), "{entered:?}");
    }
}

fn served(client: &DmClient) {
    let check_in = client.check_in("honest").expect("an honest device is served");
    assert!(check_in.authenticated, "{check_in:?}");
}

/// A device with a certificate of the site's own CA.
fn certified(site: &Site, device_id: &str, auth: &str) -> DmClient {
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a CSR");
    let csr = site.path(&format!("{}.csr", device_id.replace(':', "_")));
    std::fs::write(&csr, request.pem().expect("PEM")).expect("a file in the site's folder");
    let (enrolment, _) = site.enrol(device_id, auth, &["--csr", &csr.to_string_lossy()]);
    let certificate_pem = enrolment.certificate_pem.clone().expect("the CA signed the CSR");
    let mut client = site.client(enrolment);
    client.identity = Some(raw::Identity { certificate_pem, key_pem: key.serialize_pem() });
    client
}

fn post(client: &DmClient, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
    client.connect()?.post(&client.path(), headers, body)
}

fn site_enrolment(site: &Site) -> postern_api::devices::EnrolmentFile {
    serde_json::from_str(&site.read("IMEI_1.json")).expect("an enrolment file")
}

/// A certificate that no CA of the site has issued.
fn stranger() -> raw::Identity {
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["stranger".to_owned()]).expect("a name");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    raw::Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
}

#[test]
fn wbxml_under_an_xml_type_is_refused() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let mut client = site.client(enrolment);
    client.encoding = Encoding::Wbxml;
    let mut session = client.open("1").expect("a connection");
    let body = session.package_1();
    let octets = session.message(body);

    let answer = session.tls().post(&client.path(), &[("Content-Type", XML)], &octets).expect("an answer");

    assert_eq!(answer.status, 400);
    served(&client);
}
