//! The framings of a push by their vectors: WSP, user data headers, segments.

mod common;

use common::own_data;
use data_encoding::HEXLOWER;
use postern_wire::{
    push::{
        Application, BadContentType, Push, PushMedia, Security, SecurityMethod,
        sms::{
            Assembled, BadUserData, Ports, Reassembly, ReassemblyLimits, Segment, UserData, split,
            submit_tpdu,
        },
        wsp::{self, BadPush, ReceivedPush},
    },
    terms::UtcMillis,
};
use serde_json::Value;

fn vectors(topic: &str) -> Value {
    let text = std::fs::read_to_string(own_data().join(format!("omadm/{topic}/vectors.json")))
        .expect("a vector of the project");
    serde_json::from_str(&text).expect("a vector of the project")
}

fn hex(text: &Value) -> Vec<u8> {
    HEXLOWER
        .decode(text.as_str().expect("a vector of the project").as_bytes())
        .expect("a vector of the project")
}

fn notifications() -> Vec<(String, Value)> {
    vectors("notify").as_object().expect("a vector of the project").clone().into_iter().collect()
}

fn bootstrap(method: SecurityMethod, mac: &str) -> Push {
    let document =
        std::fs::read(own_data().join("omadm/bootstrap/cp_w7_v13.wbxml")).expect("a vector of the project");
    let mac = postern_wire::push::Mac::from_hex(mac);
    Push::bootstrap(PushMedia::ConnectivityWbxml, Some(Security { method, mac }), document)
}

fn received(push: Push) -> ReceivedPush {
    ReceivedPush { transaction: 1, push }
}

#[test]
fn not_06_a_notification_is_framed_as_the_vectors_have_it() {
    for (name, vector) in notifications() {
        let push = Push::notification(hex(&vector["pkg0_hex"]));
        let pdu = wsp::encode(&push, 1).unwrap();
        assert_eq!(pdu, hex(&vector["wsp_push_hex"]), "{name}");
        assert_eq!(pdu[..6], *b"\x01\x06\x03\xC4\xAF\x87");
        assert_eq!(wsp::decode(&pdu), Ok(received(push)), "{name}");
    }
}

#[test]
fn not_06_what_kannels_push_proxy_gateway_makes_of_a_notification_is_read() {
    // Recorded: the content type as text, Content-Length and Encoding-Version among the headers.
    let pdu = b"\x00\x06\x2Aapplication/vnd.syncml.notification\x00\xAF\x87\x8D\xA1\xC3\x93body";
    let read = wsp::decode(pdu).unwrap();
    assert_eq!(read, ReceivedPush { transaction: 0, push: Push::notification(b"body".to_vec()) });
}

#[test]
fn not_07_one_short_message_to_port_2948_holds_a_notification() {
    for (name, vector) in notifications() {
        let expected = hex(&vector["sms_user_data_with_udh_hex"]);
        let ports = Ports { destination: 2948, source: 0xC002 };
        let user_data = split(&hex(&vector["wsp_push_hex"]), ports, 9).unwrap();
        assert_eq!(user_data, std::slice::from_ref(&expected), "{name}");
        assert!(
            expected.len() == vector["sms_user_data_len"].as_u64().unwrap() as usize && expected.len() <= 140
        );
        assert_eq!(
            UserData::decode(&expected),
            Ok(UserData { ports: Some(ports), segment: None, body: &hex(&vector["wsp_push_hex"]) })
        );
    }
}

#[test]
fn not_07_the_sms_submit_of_a_notification_is_the_vectors() {
    let vector = &vectors("notify")["n2_background_server"];
    let user_data = hex(&vector["sms_user_data_with_udh_hex"]);
    let tpdu = submit_tpdu("+358401234567", &user_data, 0).unwrap();
    assert_eq!(tpdu, hex(&vector["sms_submit_tpdu_with_smsc00_hex"]));
    for bad in ["", "+", "12a", "+123456789012345678901"] {
        assert_eq!(submit_tpdu(bad, &user_data, 0), Err(BadUserData::Number), "{bad}");
    }
    assert_eq!(submit_tpdu("123", &[0; 141], 0), Err(BadUserData::TooLong));
    assert_eq!(submit_tpdu("123", b"", 7).unwrap(), b"\x00\x41\x07\x03\x81\x21\xF3\x00\xF5\x00");
}

#[test]
fn not_08_a_notification_with_100_octets_of_vendor_data_takes_two_segments() {
    let vendor = vec![0x5A; 100];
    let pkg0 = [hex(&notifications()[1].1["pkg0_hex"]), vendor].concat();
    let pdu = wsp::encode(&Push::notification(pkg0), 1).unwrap();
    assert_eq!(pdu.len(), 148);

    let segments = split(&pdu, Ports::PUSH, 0xA5).unwrap();

    assert_eq!(segments.len(), 2);
    assert_eq!(segments[0][..12], *b"\x0B\x05\x04\x0B\x84\x23\xF0\x00\x03\xA5\x02\x01");
    assert_eq!(segments[1][..12], *b"\x0B\x05\x04\x0B\x84\x23\xF0\x00\x03\xA5\x02\x02");
    assert_eq!(segments.iter().map(Vec::len).collect::<Vec<_>>(), [140, 32]);
    assert_eq!([&segments[0][12..], &segments[1][12..]].concat(), pdu);
}

#[test]
fn not_08_133_octets_are_one_short_message_and_134_are_two() {
    for (octets, count) in [(1, 1), (133, 1), (134, 2), (256, 2), (257, 3), (255 * 128, 255)] {
        let datagram: Vec<u8> = (0..octets).map(|at| at as u8).collect();
        let segments = split(&datagram, Ports::PUSH, 1).unwrap();
        assert_eq!(segments.len(), count, "{octets}");
        assert!(segments.iter().all(|segment| segment.len() <= 140));
        let mut reassembly = Reassembly::new(ReassemblyLimits::default());
        let mut whole = Vec::new();
        for segment in &segments {
            whole.extend(reassembly.take(UtcMillis(0), "+1", segment).unwrap());
        }
        assert_eq!(whole, [Assembled { ports: Some(Ports::PUSH), datagram }]);
        assert_eq!(reassembly.waiting(), 0);
    }
    assert_eq!(split(&[0; 255 * 128 + 1], Ports::PUSH, 1), Err(BadUserData::TooLong));
    assert_eq!(split(b"", Ports::PUSH, 1), Err(BadUserData::Empty));
}

#[test]
fn boo_06_a_bootstrap_push_names_its_secret_and_mac_as_the_vectors_have_it() {
    let vectors = vectors("bootstrap");
    for (name, method) in [("NETWPIN", SecurityMethod::NetworkPin), ("USERPIN", SecurityMethod::UserPin)] {
        let vector = &vectors[name];
        let push = bootstrap(method, vector["mac_hex"].as_str().unwrap());
        let pdu = wsp::encode(&push, 1).unwrap();
        assert_eq!(pdu, hex(&vector["wsp_push_hex"]), "{name}");
        assert!(pdu.starts_with(&hex(&vector["wsp_push_header_hex"])));
        assert_eq!(wsp::decode(&pdu), Ok(received(push)));
    }
}

#[test]
fn boo_06_every_security_method_of_both_profiles_is_written_and_read_back() {
    let mac = "0123456789ABCDEF".repeat(3)[..40].to_owned();
    for media in [PushMedia::ConnectivityWbxml, PushMedia::DmWbxml, PushMedia::Other("a/b".to_owned())] {
        for method in SecurityMethod::ALL {
            for mac in [Some(mac.as_str()), None] {
                let security = Security { method, mac: mac.and_then(postern_wire::push::Mac::from_hex) };
                let push = Push::bootstrap(media.clone(), Some(security), vec![1, 2, 3]);
                assert_eq!(wsp::decode(&wsp::encode(&push, 1).unwrap()), Ok(received(push)));
            }
        }
    }
    // The DM profile's words go as text (the codes are OMA CP's); tshark reads them so.
    let push = bootstrap(SecurityMethod::UserNetworkPin, &mac);
    let push = Push { media: PushMedia::DmWbxml, ..push };
    let parameters = format!("SEC\0USERPIN_NETWORKID\0MAC\0{mac}\0");
    let expected = [b"\x46\x1F\x44\xC2", parameters.as_bytes()].concat();
    let pdu = wsp::encode(&push, 1).unwrap();
    assert_eq!(pdu[2..2 + expected.len()], expected);
}

#[test]
fn boo_06_without_security_the_header_is_the_media_type_alone() {
    let push = Push::bootstrap(PushMedia::ConnectivityWbxml, None, b"d".to_vec());
    assert_eq!(wsp::encode(&push, 1).unwrap(), b"\x01\x06\x01\xB6d");
}

#[test]
fn boo_07_a_418_octet_document_takes_4_short_messages_with_one_reference() {
    let pdu = hex(&vectors("bootstrap")["USERPIN"]["wsp_push_hex"]);

    let segments = split(&pdu, Ports::PUSH, 0x42).unwrap();

    assert_eq!(segments.len(), 4);
    let mut reassembly = Reassembly::new(ReassemblyLimits::default());
    for (at, number) in [(3, 4), (0, 1), (2, 3)] {
        let read = UserData::decode(&segments[at]).unwrap();
        assert_eq!(read.segment, Some(Segment { reference: 0x42, wide: false, total: 4, number }));
        assert_eq!(reassembly.take(UtcMillis(0), "+1", &segments[at]), Ok(None));
    }
    let whole = reassembly.take(UtcMillis(0), "+1", &segments[1]).unwrap().unwrap();
    assert_eq!(whole, Assembled { ports: Some(Ports::PUSH), datagram: pdu });
}

#[test]
fn segments_of_different_senders_ports_and_references_are_kept_apart() {
    let datagrams = [vec![1; 200], vec![2; 200], vec![3; 200], vec![4; 200]];
    let other = Ports { destination: 2949, source: 9200 };
    let of = [("+1", Ports::PUSH, 1), ("+2", Ports::PUSH, 1), ("+1", other, 1), ("+1", Ports::PUSH, 2)];
    let split: Vec<_> = datagrams.iter().zip(of).map(|(d, (_, p, r))| split(d, p, r).unwrap()).collect();
    let mut reassembly = Reassembly::new(ReassemblyLimits::default());
    for (segments, (from, _, _)) in split.iter().zip(of) {
        assert_eq!(reassembly.take(UtcMillis(0), from, &segments[0]), Ok(None));
        assert_eq!(reassembly.take(UtcMillis(0), from, &segments[0]), Ok(None), "a repeat counts once");
    }
    assert_eq!(reassembly.waiting(), 4);
    for ((segments, (from, ports, _)), datagram) in split.iter().zip(of).zip(datagrams) {
        let whole = reassembly.take(UtcMillis(0), from, &segments[1]).unwrap();
        assert_eq!(whole, Some(Assembled { ports: Some(ports), datagram }));
    }
}

#[test]
fn a_reassembly_is_bounded_in_count_and_in_time() {
    let limits = ReassemblyLimits { datagrams: 2, segments: 3, wait_ms: 1_000 };
    let mut reassembly = Reassembly::new(limits);
    let two = |reference| split(&[reference; 200], Ports::PUSH, reference).unwrap();
    for (now, reference) in [(0, 1), (10, 2), (20, 3)] {
        assert_eq!(reassembly.take(UtcMillis(now), "+1", &two(reference)[0]), Ok(None));
    }
    assert_eq!(reassembly.waiting(), 2, "the oldest made room");
    assert_eq!(reassembly.take(UtcMillis(30), "+1", &two(1)[1]), Ok(None), "its first half is gone");
    assert!(reassembly.take(UtcMillis(40), "+1", &two(3)[1]).unwrap().is_some());
    assert_eq!(reassembly.take(UtcMillis(1_031), "+1", &two(1)[0]), Ok(None), "its second half is too late");

    let many = split(&[7; 600], Ports::PUSH, 9).unwrap();
    let mut reassembly = Reassembly::new(limits);
    for segment in &many[..4] {
        assert_eq!(reassembly.take(UtcMillis(0), "+1", segment), Ok(None));
    }
    assert_eq!(reassembly.waiting(), 0, "one datagram alone may not pass the bound either");
}

#[test]
fn a_segment_that_contradicts_the_others_drops_them() {
    let segments = split(&[1; 200], Ports::PUSH, 1).unwrap();
    let longer = split(&[1; 300], Ports::PUSH, 1).unwrap();
    let changed = split(&[2; 200], Ports::PUSH, 1).unwrap();
    for bad in [&longer[0], &changed[0]] {
        let mut reassembly = Reassembly::new(ReassemblyLimits::default());
        assert_eq!(reassembly.take(UtcMillis(0), "+1", &segments[0]), Ok(None));
        assert_eq!(reassembly.take(UtcMillis(0), "+1", bad), Err(BadUserData::Segment));
        assert_eq!(reassembly.waiting(), 0);
    }
}

#[test]
fn user_data_headers_of_other_kinds_are_read_over_and_malformed_ones_refused() {
    let read =
        UserData::decode(b"\x0E\x24\x01\x01\x04\x02\x17\x18\x08\x04\x12\x34\x02\x01\x70\x00ab").unwrap_err();
    assert_eq!(read, BadUserData::Header, "one octet of an element remains");
    let read =
        UserData::decode(b"\x0F\x24\x01\x01\x04\x02\x17\x18\x08\x04\x12\x34\x02\x01\x70\x00ab").unwrap();
    assert_eq!(read.ports, Some(Ports { destination: 0x17, source: 0x18 }));
    assert_eq!(read.segment, Some(Segment { reference: 0x1234, wide: true, total: 2, number: 1 }));
    assert_eq!(read.body, b"ab");
    // A place that cannot be is no place (23.040, 9.2.3.24.1).
    for place in [b"\x05\x00\x03\x01\x02\x00", b"\x05\x00\x03\x01\x02\x03", b"\x05\x00\x03\x01\x00\x01"] {
        assert_eq!(UserData::decode(place).unwrap().segment, None);
    }
    for bad in [&b"\x01"[..], b"\x02\x00\x03", b"\x03\x00\x01\x01", b"\x04\x05\x02\x0B\x84"] {
        assert_eq!(UserData::decode(bad), Err(BadUserData::Header), "{bad:02X?}");
    }
    assert_eq!(UserData::decode(b""), Err(BadUserData::Empty));
    assert_eq!(UserData::decode(&[0; 141]), Err(BadUserData::TooLong));
}

#[test]
fn an_application_is_written_by_its_shortest_form_and_read_back() {
    for (application, octets) in [
        (Application::SyncmlDm, &b"\xAF\x87"[..]),
        (Application::Code(0x7F), b"\xAF\xFF"),
        (Application::Code(0x80), b"\xAF\x01\x80"),
        (Application::Code(0x9000), b"\xAF\x02\x90\x00"),
        (Application::Code(u32::MAX), b"\xAF\x04\xFF\xFF\xFF\xFF"),
        (Application::Name("x-wap-application:x".to_owned()), b"\xAFx-wap-application:x\x00"),
    ] {
        let push = Push { application: Some(application), ..Push::notification(b"b".to_vec()) };
        let pdu = wsp::encode(&push, 1).unwrap();
        assert_eq!(&pdu[4..pdu.len() - 1], octets);
        assert_eq!(wsp::decode(&pdu), Ok(received(push)));
    }
    let by_name = b"\x01\x06\x1B\xC4X-Wap-Application-Id\x007\x00\x8D\x01\x05b";
    assert_eq!(wsp::decode(by_name).unwrap().push.application, Some(Application::SyncmlDm));
}

#[test]
fn a_push_that_is_malformed_is_refused_with_its_reason() {
    let mac = "A".repeat(40);
    for (pdu, refusal) in [
        (&b""[..], BadPush::Truncated),
        (b"\x01", BadPush::Truncated),
        (b"\x01\x05\x01\xC4", BadPush::NotAPush(5)),
        (b"\x01\x06\x02\xC4", BadPush::Truncated),
        (b"\x01\x06\x00", BadPush::Truncated),
        (b"\x01\x06\x01\x83", BadPush::Media(3)),
        (b"\x01\x06\x90\x00", BadPush::TooLong),
        (b"\x01\x06\xFF\xFF\xFF\xFF\xFF\x7F", BadPush::Header),
        (b"\x01\x06\x03\xC4\x01\x80", BadPush::Header),
        (b"\x01\x06\x02\xC4\xAF", BadPush::Truncated),
        (b"\x01\x06\x07\xC4\xAF\x05\x01\x01\x01\x01\x01", BadPush::Truncated),
        (b"\x01\x06\x08\xC4\xAF\x05\x01\x01\x01\x01\x01", BadPush::Header),
        (b"\x01\x06\x05aaaa\x00", BadPush::ContentType(BadContentType::Syntax)),
        (b"\x01\x06\x04\x03\xB6\x91\x84", BadPush::ContentType(BadContentType::Security)),
        (b"\x01\x06\x06\x05\xB6\x92\x41\x42\x00", BadPush::ContentType(BadContentType::Mac)),
    ] {
        assert_eq!(wsp::decode(pdu), Err(refusal), "{pdu:02X?}");
    }
    let only_mac = [&b"\x01\x06\x2D\x1F\x2B\xB6\x92"[..], mac.as_bytes(), b"\0"].concat();
    let refusal = BadPush::ContentType(BadContentType::Security);
    assert_eq!(wsp::decode(&only_mac), Err(refusal));
    let long = Push { application: Some(Application::Name("a".repeat(2_000))), ..Push::notification(vec![]) };
    assert_eq!(wsp::encode(&long, 1), Err(BadPush::TooLong));
    assert_eq!(wsp::encode(&Push::notification(vec![0; 65_535]), 1), Err(BadPush::TooLong));
    let split_header = Push { application: Some(Application::Name("a\0b".to_owned())), ..long };
    assert_eq!(wsp::encode(&split_header, 1), Err(BadPush::Text));
}

#[test]
fn a_push_cut_short_in_its_headers_is_refused_at_every_length() {
    let pdu = hex(&vectors("bootstrap")["USERPIN"]["wsp_push_hex"]);
    for length in 0..50 {
        assert_eq!(wsp::decode(&pdu[..length]), Err(BadPush::Truncated), "{length}");
    }
    assert!(wsp::decode(&pdu[..50]).is_ok());
}
