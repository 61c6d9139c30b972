//! What a gateway refuses, each rule by a test: over real TLS on loopback, with a core behind it.

use std::time::Duration;

use crate::site::{CoreStub, Leaf, MESSAGE, Site, XML, route, settings};
use postern_tests::raw::{self, Tls, request_head};
use postern_wire::{
    link::{
        AddressLimit, Admission, BlockedEntry, BlockedSubject, CertificateName, RefusalReason, RouteLimit,
        Settings,
    },
    route::RouteId,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

fn ready(settings: &Settings) -> (Site, CoreStub) {
    let site = Site::start();
    let core = CoreStub::start_ready(&site, settings);
    (site, core)
}

#[test]
fn a_message_for_a_live_route_is_relayed_and_its_reply_comes_back() {
    let (site, core) = ready(&settings());
    let answer = site.post(&route(1).path());
    assert_eq!((answer.status, answer.body.as_slice()), (200, MESSAGE));
    assert_eq!(core.heard.last_message().path, route(1).path());
}

#[test]
fn a_query_is_ignored_and_does_not_cross() {
    let (site, core) = ready(&settings());
    let answer = site.post(&format!("{}?mode=Maintenance&Platform=WoA", route(1).path()));
    assert_eq!((answer.status, core.heard.last_message().path), (200, route(1).path()));
}

#[test]
fn refusals_by_head_have_their_status_and_never_reach_the_core() {
    let (site, core) = ready(&settings());
    let good = route(1).path();
    let unknown = route(200).path();
    let encoded = "Content-Encoding";
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let cases: &[Case<'_>] = &[
        ("POST", &unknown, &[XML], 404, "route-unknown"),
        ("POST", "/dm/1/short", &[XML], 404, "route-unknown"),
        ("POST", &format!("{good}/more"), &[XML], 404, "route-unknown"),
        ("POST", &good.to_ascii_uppercase(), &[XML], 404, "path"),
        ("POST", "/api/1/devices", &[XML], 404, "path"),
        ("POST", "/link/1/hello", &[XML], 404, "path"),
        ("POST", "/", &[XML], 404, "path"),
        ("PUT", &good, &[XML], 405, "method"),
        ("DELETE", &good, &[XML], 405, "method"),
        ("POST", &good, &[], 415, "media-type"),
        ("POST", &good, &[("Content-Type", "text/xml")], 415, "media-type"),
        ("POST", &good, &[XML, ("Content-Type", "text/xml")], 415, "media-type"),
        ("POST", &good, &[XML, (encoded, "gzip")], 415, "content-encoding"),
        ("POST", &good, &[XML, (encoded, "identity, deflate")], 415, "content-encoding"),
        ("POST", &good, &[XML, (encoded, "identity"), (encoded, "br")], 415, "content-encoding"),
        ("POST", &good, &[XML, ("Upgrade", "websocket"), ("Connection", "Upgrade")], 400, "framing"),
    ];
    for (method, path, headers, status, slug) in cases {
        let mut tls = site.connect(None);
        let head = request_head(method, path, "localhost", headers, Some(MESSAGE.len()));
        tls.send(&[head.as_bytes(), MESSAGE].concat()).expect("sent");
        let answer = tls.receive().expect("an answer");
        assert_eq!(
            (answer.status, answer.slug().as_deref()),
            (*status, Some(*slug)),
            "{method} {path} {headers:?}"
        );
    }
    assert_eq!(core.heard.count(), 0);
    core.heard.wait_for_refusal(RefusalReason::ContentEncoding);
    let told = core.heard.wait_for_refusal(RefusalReason::RouteUnknown);
    assert_eq!(told.source, "127.0.0.1");
}

#[test]
fn identity_as_content_encoding_is_no_encoding() {
    let (site, _core) = ready(&settings());
    let answer = site.connect(None).post(&route(1).path(), &[XML, ("Content-Encoding", "identity")], MESSAGE);
    assert_eq!(answer.expect("an answer").status, 200);
}

#[test]
fn a_request_whose_length_is_not_clear_is_refused_and_its_connection_closed() {
    let (site, core) = ready(&settings());
    let path = route(1).path();
    let smuggled = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    let cases = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
    ];
    for lines in cases {
        let mut tls = site.connect(None);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\n{lines}\r\n0\r\n\r\n",
            XML.1
        );
        tls.send(head.as_bytes()).expect("sent");
        // A second request behind the first must never be answered.
        let _ = tls.send(smuggled.as_bytes());
        let answer = tls.receive().expect("an answer");
        assert_eq!(answer.status, 400, "{lines:?}");
        assert!(tls.is_closed_within(Duration::from_secs(5)), "{lines:?}");
    }
    let mut tls = site.connect(None);
    tls.send(format!("POST {path} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").as_bytes())
        .expect("sent");
    assert_eq!(tls.receive().expect("an answer").status, 400, "chunked in HTTP/1.0");
    assert_eq!(core.heard.count(), 0);
    core.heard.wait_for_refusal(RefusalReason::Framing);
}

#[test]
fn a_post_that_does_not_say_its_length_is_411() {
    let (site, _core) = ready(&settings());
    let mut tls = site.connect(None);
    tls.send(request_head("POST", &route(1).path(), "localhost", &[XML], None).as_bytes()).expect("sent");
    assert_eq!(tls.receive().expect("an answer").status, 411);
}

#[test]
fn a_chunked_message_crosses_whole() {
    let (site, core) = ready(&settings());
    let mut tls = site.connect(None);
    let headers = [XML, ("Transfer-Encoding", "chunked")];
    let mut octets = request_head("POST", &route(1).path(), "localhost", &headers, None).into_bytes();
    for chunk in MESSAGE.chunks(100) {
        octets.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        octets.extend(chunk);
        octets.extend(b"\r\n");
    }
    octets.extend(b"0\r\n\r\n");
    tls.send(&octets).expect("sent");
    assert_eq!(tls.receive().expect("an answer").status, 200);
    let message = core.heard.last_message();
    assert_eq!(message.body, MESSAGE);
    assert!(!message.headers.contains_key("transfer-encoding"));
}

#[test]
fn http_1_0_is_served_with_a_length_and_one_message_a_connection() {
    let (site, _core) = ready(&settings());
    let mut tls = site.connect(None);
    let head = format!(
        "POST {} HTTP/1.0\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        route(1).path(),
        XML.1,
        MESSAGE.len()
    );
    tls.send(&[head.as_bytes(), MESSAGE].concat()).expect("sent");
    let answer = tls.receive().expect("an answer");
    assert_eq!((answer.status, answer.body.as_slice()), (200, MESSAGE));
    assert_eq!(answer.header("content-length"), Some(MESSAGE.len().to_string().as_str()));
    assert!(tls.is_closed_within(Duration::from_secs(5)));
}

#[test]
fn one_connection_carries_many_messages() {
    let (site, core) = ready(&settings());
    let mut tls = site.connect(None);
    for _ in 0..5 {
        assert_eq!(tls.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status, 200);
    }
    assert_eq!(core.heard.count(), 5);
}

#[test]
fn an_oversized_message_is_413_whether_it_says_its_length_or_not() {
    let (site, core) = ready(&Settings { message_octets: 8 * 1024, ..settings() });
    let large = vec![b' '; 8 * 1024 + 1];
    let mut tls = site.connect(None);
    tls.send(request_head("POST", &route(1).path(), "localhost", &[XML], Some(large.len())).as_bytes())
        .expect("sent");
    assert_eq!(tls.receive().expect("an answer").status, 413);
    let mut tls = site.connect(None);
    let headers = [XML, ("Transfer-Encoding", "chunked")];
    let mut octets = request_head("POST", &route(1).path(), "localhost", &headers, None).into_bytes();
    octets.extend(format!("{:x}\r\n", large.len()).into_bytes());
    octets.extend(&large);
    octets.extend(b"\r\n");
    tls.send(&octets).expect("sent");
    assert_eq!(tls.receive().expect("an answer").status, 413);
    assert_eq!(core.heard.count(), 0);
}

#[test]
fn headers_that_are_too_large_are_431() {
    let (site, core) = ready(&Settings { header_octets: 1024, ..settings() });
    for octets in [2_000, 200_000] {
        let long = "x".repeat(octets);
        let mut tls = site.connect(None);
        let head = request_head("POST", &route(1).path(), "localhost", &[XML, ("X-Long", &long)], Some(0));
        // The answer may come, and the connection end, before all of it is written.
        let _ = tls.send(head.as_bytes());
        assert_eq!(tls.receive().expect("an answer").status, 431, "{octets}");
    }
    core.heard.wait_for_refusal(RefusalReason::HeadersTooLarge);
}

#[test]
fn a_body_that_comes_too_slowly_is_408() {
    let (site, core) = ready(&Settings { body_timeout_s: 1, ..settings() });
    let mut tls = site.connect(None);
    let head = request_head("POST", &route(1).path(), "localhost", &[XML], Some(MESSAGE.len()));
    tls.send(head.as_bytes()).expect("sent");
    tls.send(&MESSAGE[..100]).expect("sent");
    let answer = tls.receive().expect("an answer");
    assert_eq!((answer.status, answer.slug().as_deref()), (408, Some("too-slow")));
    assert_eq!(core.heard.count(), 0);
    core.heard.wait_for_refusal(RefusalReason::TooSlow);
}

#[test]
fn a_body_that_drips_below_the_minimum_rate_is_408_long_before_its_total_time() {
    let (site, _core) = ready(&Settings { body_timeout_s: 600, body_octets_a_second: 60_000, ..settings() });
    let mut tls = site.connect(None);
    let head = request_head("POST", &route(1).path(), "localhost", &[XML], Some(MESSAGE.len()));
    tls.send(head.as_bytes()).expect("sent");
    for octet in &MESSAGE[..4] {
        tls.send(&[*octet]).expect("sent");
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(tls.receive().expect("an answer").status, 408);
}

#[test]
fn headers_that_come_too_slowly_are_408() {
    let (site, core) = ready(&Settings { header_timeout_s: 1, ..settings() });
    let mut tls = site.connect(None);
    tls.send(b"POST /dm/1/").expect("sent");
    assert_eq!(tls.receive().expect("an answer").status, 408);
    core.heard.wait_for_refusal(RefusalReason::TooSlow);
}

#[test]
fn a_silent_peer_is_dropped_in_the_handshake() {
    let (site, core) = ready(&settings());
    let tcp = std::net::TcpStream::connect(site.gateway().addresses().device).expect("connected");
    let told = core.heard.wait_for_refusal(RefusalReason::TlsHandshake);
    assert_eq!(told.detail.as_deref(), Some("too slow"));
    drop(tcp);
}

#[test]
fn a_malformed_message_is_400_with_its_place_and_never_relayed() {
    let (site, core) = ready(&settings());
    let bad = b"<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr></SyncBody></SyncML>";
    let mut tls = site.connect(None);
    let answer = tls.post(&route(1).path(), &[XML], bad).expect("an answer");
    assert_eq!((answer.status, answer.slug().as_deref()), (400, Some("malformed")));
    assert!(String::from_utf8_lossy(&answer.body).contains("line 1"), "{answer:?}");
    assert_eq!(core.heard.count(), 0);
    assert_eq!(
        tls.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status,
        200,
        "the connection goes on"
    );
    core.heard.wait_for_refusal(RefusalReason::Malformed);
}

#[test]
fn without_decoding_before_relay_anything_crosses_octet_for_octet() {
    let (site, core) = ready(&Settings { decode_before_relay: false, ..settings() });
    let octets: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let answer = site.connect(None).post(&route(1).path(), &[XML], &octets).expect("an answer");
    assert!(answer.status == 200 && answer.body == octets);
    assert_eq!(core.heard.last_message().body, octets);
}

#[test]
fn only_headers_of_the_list_cross_and_ours_from_outside_do_not() {
    let (site, core) = ready(&settings());
    core.set_answer(crate::site::core_stub::Answer {
        status: 200,
        headers: vec![("x-syncml-hmac", "algorithm=MD5"), ("X-Secret", "inside"), ("Set-Cookie", "a=b")],
        ..Default::default()
    });
    let headers = [
        XML,
        ("x-syncml-hmac", "algorithm=MD5, username=\"u\", mac=m"),
        ("MS-CV", "abc.1"),
        ("Client-Cert", ":AAAA:"),
        ("Postern-Source", "10.0.0.1"),
        ("Postern-Admission", "admit"),
        ("Postern-Anything", "x"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Cookie", "a=b"),
        ("Expect", "100-continue"),
    ];
    let answer = site.connect(None).post(&route(1).path(), &headers, MESSAGE).expect("an answer");
    let crossed = core.heard.last_message().headers;
    let names: Vec<&str> = crossed.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "content-length",
            "content-type",
            "host",
            "ms-cv",
            "postern-admission",
            "postern-request-id",
            "postern-source",
            "postern-tls",
            "x-syncml-hmac"
        ]
    );
    assert_eq!((crossed["postern-source"].as_str(), crossed["postern-tls"].as_str()), ("127.0.0.1", "1.3"));
    assert_eq!(answer.header("x-syncml-hmac"), Some("algorithm=MD5"));
    for name in ["x-secret", "set-cookie", "postern-request-id"] {
        assert_eq!(answer.header(name), None);
    }
}

#[test]
fn a_host_that_is_not_the_gateways_is_421() {
    let (site, _core) = ready(&Settings { device_names: vec!["dm.example".to_owned()], ..settings() });
    let post = |host: &str| {
        let mut tls = site.connect(None);
        let head = request_head("POST", &route(1).path(), host, &[XML], Some(MESSAGE.len()));
        tls.send(&[head.as_bytes(), MESSAGE].concat()).expect("sent");
        tls.receive().expect("an answer").status
    };
    assert_eq!([post("localhost"), post("dm.example"), post("DM.EXAMPLE:443")], [421, 200, 200]);
}

#[test]
fn a_route_that_asks_too_often_is_429_and_others_are_not() {
    let limit = RouteLimit { per_minute: 1, burst: 2 };
    let (site, _core) = ready(&Settings { route: limit, ..settings() });
    let mut tls = site.connect(None);
    let mut post =
        |route: &RouteId| tls.post(&route.path(), &[XML], MESSAGE).map(|answer| answer.status).ok();
    assert_eq!([post(&route(1)), post(&route(1)), post(&route(2))], [Some(200), Some(200), Some(200)]);
    let answer = site.post(&route(1).path());
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("17")));
}

#[test]
fn an_address_that_only_fails_is_dropped_and_one_behind_which_devices_succeed_is_not() {
    let limit = AddressLimit { per_minute: 1, burst: 4 };
    let (site, core) = ready(&Settings { address: limit, ..settings() });
    for _ in 0..12 {
        assert_eq!(site.post(&route(1).path()).status, 200, "each success gives its token back");
    }
    site.post("/nothing");
    site.post("/nothing");
    let config = raw::client_config(&site.server_ca.pem, None);
    let refused = Tls::connect(site.gateway().addresses().device, "localhost", config);
    assert!(refused.is_err());
    core.heard.wait_for_refusal(RefusalReason::AddressRate);
}

#[test]
fn one_connection_too_many_is_closed() {
    let (site, core) = ready(&Settings { connections: 2, ..settings() });
    let (first, second) = (site.connect(None), site.connect(None));
    let config = raw::client_config(&site.server_ca.pem, None);
    assert!(Tls::connect(site.gateway().addresses().device, "localhost", config).is_err());
    core.heard.wait_for_refusal(RefusalReason::ConnectionsFull);
    drop((first, second));
}

// === certificates ===

fn name_of(identity: &raw::Identity) -> CertificateName {
    use x509_parser::prelude::FromDer as _;
    let der = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).expect("PEM");
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(&der).expect("DER");
    CertificateName::new(certificate.raw_serial(), certificate.issuer().as_raw())
}

#[test]
fn a_devices_certificate_crosses_as_client_cert() {
    let (site, core) = ready(&settings());
    let identity = site.device_ca.issue(&Leaf::device("one"));
    let answer = site.connect(Some(&identity)).post(&route(1).path(), &[XML], MESSAGE).expect("an answer");
    assert_eq!(answer.status, 200);
    let der = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).expect("PEM");
    let expected = format!(":{}:", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der));
    let headers = core.heard.last_message().headers;
    assert_eq!(
        (headers["client-cert"].as_str(), headers["postern-admission"].as_str()),
        (expected.as_str(), "admit")
    );
}

#[test]
fn an_expired_certificate_is_wipe_only() {
    let (site, core) = ready(&settings());
    let identity = site.device_ca.issue(&Leaf { until_year: 2021, ..Leaf::device("old") });
    let answer = site.connect(Some(&identity)).post(&route(1).path(), &[XML], MESSAGE).expect("an answer");
    let headers = core.heard.last_message().headers;
    assert_eq!(answer.status, 200);
    assert_eq!(headers["postern-admission"], "wipe-only");
    assert_eq!(headers["postern-admission-reason"], "certificate-expired");
}

#[test]
fn a_certificate_of_a_retired_ca_is_wipe_only() {
    let (site, core) = ready(&settings());
    let identity = site.retired_ca.issue(&Leaf::device("old"));
    let answer = site.connect(Some(&identity)).post(&route(1).path(), &[XML], MESSAGE).expect("an answer");
    let headers = core.heard.last_message().headers;
    assert_eq!(answer.status, 200);
    assert_eq!(headers["postern-admission-reason"], "certificate-authority-retired");
}

#[test]
fn a_certificate_of_another_ca_or_for_another_use_does_not_pass_the_handshake() {
    let (site, _core) = ready(&settings());
    let server_use = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let cases = [
        site.link_ca.issue(&Leaf::core("one")),
        site.server_ca.issue(&Leaf::device("one")),
        site.device_ca.issue(&Leaf { usages: server_use, ..Leaf::device("one") }),
        site.device_ca.issue(&Leaf { usages: vec![], ..Leaf::device("one") }),
    ];
    for identity in &cases {
        let config = raw::client_config(&site.server_ca.pem, Some(identity));
        let connected = Tls::connect(site.gateway().addresses().device, "localhost", config);
        let answer = connected.and_then(|mut tls| tls.post(&route(1).path(), &[XML], MESSAGE));
        assert!(answer.is_err(), "{answer:?}");
    }
}

#[test]
fn a_blocked_certificate_is_refused_also_on_a_resumed_session_and_an_open_connection() {
    let (site, core) = ready(&settings());
    let identity = site.device_ca.issue(&Leaf { serial: 77, ..Leaf::device("lost") });
    let config = raw::client_config(&site.server_ca.pem, Some(&identity));
    let address = site.gateway().addresses().device;
    let connect = || Tls::connect(address, "localhost", config.clone()).expect("connected");
    let mut open = connect();
    assert_eq!(open.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status, 200);
    let subject = BlockedSubject::Certificate(name_of(&identity));
    let version =
        core.lists.change_blocked(vec![BlockedEntry { subject, verdict: Admission::Refuse }], vec![]);
    core.heard
        .wait_for_ack(|ack| ack.version == version && ack.kind == postern_wire::link::ListKind::Blocked);
    assert_eq!(open.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status, 403);
    let answer = connect().post(&route(1).path(), &[XML], MESSAGE).expect("an answer");
    assert_eq!((answer.status, answer.slug().as_deref()), (403, Some("certificate-blocked")));
    let told = core.heard.wait_for_refusal(RefusalReason::CertificateBlocked);
    assert_eq!(told.certificate, Some(name_of(&identity)));
    assert_eq!(told.route, Some(route(1).hash()));
}

#[test]
fn a_blocked_route_is_refused_or_wipe_only_as_the_list_says() {
    let (site, core) = ready(&settings());
    let entry =
        |number, verdict| BlockedEntry { subject: BlockedSubject::Route(route(number).hash()), verdict };
    let version =
        core.lists.change_blocked(vec![entry(1, Admission::Refuse), entry(2, Admission::WipeOnly)], vec![]);
    core.heard
        .wait_for_ack(|ack| ack.version == version && ack.kind == postern_wire::link::ListKind::Blocked);
    assert_eq!(site.post(&route(1).path()).status, 403);
    assert_eq!(site.post(&route(2).path()).status, 200);
    assert_eq!(core.heard.last_message().headers["postern-admission"], "wipe-only");
    core.lists.change_blocked(vec![], vec![BlockedSubject::Route(route(1).hash())]);
    postern_tests::wait::until(
        "the route to be free",
        crate::site::SOON,
        || (site.post(&route(1).path()).status == 200).then_some(()),
        String::new,
    );
}

#[test]
fn where_a_certificate_is_required_none_is_403() {
    let (site, _core) = ready(&Settings { require_client_certificate: true, ..settings() });
    let answer = site.post(&route(1).path());
    assert_eq!((answer.status, answer.slug().as_deref()), (403, Some("certificate-required")));
    let identity = site.device_ca.issue(&Leaf::device("one"));
    let answer = site.connect(Some(&identity)).post(&route(1).path(), &[XML], MESSAGE);
    assert_eq!(answer.expect("an answer").status, 200);
}

#[test]
fn tls_1_2_with_ecdsa_is_served() {
    let (site, core) = ready(&settings());
    let mut config = raw::client_config(&site.server_ca.pem, None);
    let provider = config.crypto_provider().clone();
    let roots = {
        let mut roots = rustls::RootCertStore::empty();
        for der in CertificateDer::pem_slice_iter(site.server_ca.pem.as_bytes()) {
            roots.add(der.expect("PEM")).expect("a CA");
        }
        roots
    };
    config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("TLS 1.2")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tls = Tls::connect(site.gateway().addresses().device, "localhost", config).expect("connected");
    assert_eq!(tls.post(&route(1).path(), &[XML], MESSAGE).expect("an answer").status, 200);
    assert_eq!(core.heard.last_message().headers["postern-tls"], "1.2");
}
