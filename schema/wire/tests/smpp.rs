//! SMPP 3.4 PDUs, against octets that were put together by hand from the specification's tables.

use data_encoding::HEXLOWER_PERMISSIVE;
use postern_wire::push::smpp::{
    Address, BadPdu, Bind, Body, CommandStatus, HEADER_OCTETS, MOST_OCTETS, Pdu, ShortMessage, StatusClass,
    Tlv, frame_length,
    receipt::{Receipt, State},
    relative_validity, tag,
};
use secrecy::SecretString;

/// Octets from hexadecimal digits and 'text' between quotes.
fn octets(parts: &str) -> Vec<u8> {
    parts
        .split('\'')
        .enumerate()
        .flat_map(|(at, part)| match at % 2 {
            0 => {
                let digits: String = part.split_ascii_whitespace().collect();
                HEXLOWER_PERMISSIVE
                    .decode(digits.as_bytes())
                    .unwrap_or_else(|error| panic!("{part}: {error}"))
            }
            _ => part.as_bytes().to_vec(),
        })
        .collect()
}

/// A PDU: its length is put before it.
fn framed(parts: &str) -> Vec<u8> {
    let body = octets(parts);
    [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
}

fn push_message() -> ShortMessage {
    ShortMessage {
        source: Address { ton: 5, npi: 0, address: "Postern".to_owned() },
        destination: Address::number("+15550100001"),
        esm_class: ShortMessage::UDHI,
        validity: relative_validity(3_661_999),
        registered_delivery: 1,
        data_coding: ShortMessage::OCTETS,
        short_message: octets("06 05 04 0b84 23f0 01 06 03 c4 af 87"),
        ..ShortMessage::default()
    }
}

#[test]
fn a_receipt_by_data_sm_is_the_receipt_that_it_is_by_deliver_sm() {
    let Body::DataSm(message) = &vectors()[0].0.body else { panic!() };
    let receipt = Receipt::of(message).unwrap();
    assert_eq!((receipt.message_id.as_str(), receipt.state), ("m1", State::Delivered));
}

fn vectors() -> Vec<(Pdu, Vec<u8>)> {
    let bind = Bind {
        system_id: "postern".to_owned(),
        password: SecretString::from("pw"),
        system_type: String::new(),
        interface_version: 0x34,
        range: Address::default(),
    };
    let receipt = ShortMessage {
        source: Address::number("+15550100001"),
        destination: Address { ton: 5, npi: 0, address: "Postern".to_owned() },
        esm_class: ShortMessage::RECEIPT,
        tlvs: vec![
            Tlv { tag: tag::RECEIPTED_MESSAGE_ID, value: b"m1\0".to_vec() },
            Tlv { tag: tag::MESSAGE_STATE, value: vec![2] },
        ],
        ..ShortMessage::default()
    };
    vec![
        (
            Pdu::request(10, Body::DataSm(receipt)),
            framed(
                "00000103 00000000 0000000a 00 01 01 '15550100001' 00 05 00 'Postern' 00 04 00 00 001e 0003 'm1' 00 0427 0001 02",
            ),
        ),
        (Pdu::response(10, CommandStatus::OK, Body::DataSmResp), framed("80000103 00000000 0000000a 00")),
        (
            Pdu::request(1, Body::BindTransceiver(bind)),
            framed("00000009 00000000 00000001 'postern' 00 'pw' 00 00 34 00 00 00"),
        ),
        (
            Pdu::response(
                1,
                CommandStatus::OK,
                Body::BindTransceiverResp {
                    system_id: "smsc".to_owned(),
                    tlvs: vec![Tlv { tag: tag::SC_INTERFACE_VERSION, value: vec![0x34] }],
                },
            ),
            framed("80000009 00000000 00000001 'smsc' 00 0210 0001 34"),
        ),
        (
            Pdu::request(2, Body::SubmitSm(push_message())),
            framed(
                "00000004 00000000 00000002 00 05 00 'Postern' 00 01 01 '15550100001' 00 40 00 00 00 \
                 '000000010101000R' 00 01 00 04 00 0d 06 05 04 0b84 23f0 01 06 03 c4 af 87",
            ),
        ),
        (
            Pdu::response(2, CommandStatus::OK, Body::SubmitSmResp { message_id: "m1".to_owned() }),
            framed("80000004 00000000 00000002 'm1' 00"),
        ),
        (
            Pdu::response(3, CommandStatus::THROTTLED, Body::SubmitSmResp { message_id: String::new() }),
            framed("80000004 00000058 00000003"),
        ),
        (Pdu::request(4, Body::EnquireLink), framed("00000015 00000000 00000004")),
        (Pdu::response(4, CommandStatus::OK, Body::EnquireLinkResp), framed("80000015 00000000 00000004")),
        (Pdu::request(5, Body::Unbind), framed("00000006 00000000 00000005")),
        (Pdu::response(5, CommandStatus::OK, Body::UnbindResp), framed("80000006 00000000 00000005")),
        (Pdu::response(6, CommandStatus::OK, Body::DeliverSmResp), framed("80000005 00000000 00000006 00")),
        (
            Pdu::response(7, CommandStatus::INVALID_COMMAND, Body::GenericNack),
            framed("80000000 00000003 00000007"),
        ),
        (
            Pdu::request(8, Body::Other { command: 0x0000_0104, body: vec![1, 2] }),
            framed("00000104 00000000 00000008 01 02"),
        ),
    ]
}

#[test]
fn every_pdu_is_written_octet_for_octet_and_read_back() {
    for (pdu, expected) in vectors() {
        assert_eq!(pdu.encode().unwrap(), expected, "{pdu:?}");
        assert_eq!(frame_length(*expected.first_chunk().unwrap()), Ok(expected.len()));
        assert_eq!(Pdu::decode(&expected), Ok(pdu));
    }
}

#[test]
fn a_pdu_cut_short_or_with_another_length_is_refused() {
    for (pdu, whole) in vectors() {
        for length in 0..whole.len() {
            assert_eq!(Pdu::decode(&whole[..length]).unwrap_err().why, BadPdu::Truncated, "{pdu:?}");
            // The same with a length that fits: mandatory parameters are missing.
            let mut cut = whole[..length].to_vec();
            if length < HEADER_OCTETS {
                continue;
            }
            cut[..4].copy_from_slice(&(length as u32).to_be_bytes());
            if let Err(refused) = Pdu::decode(&cut) {
                assert_eq!(refused.header, Some((pdu.body.command(), pdu.sequence)));
            }
        }
    }
    for (length, fits) in [(0, false), (15, false), (16, true), (MOST_OCTETS as u32, true), (u32::MAX, false)]
    {
        assert_eq!(frame_length(length.to_be_bytes()).is_ok(), fits, "{length}");
    }
    let long = Pdu::request(1, Body::Other { command: 1, body: vec![0; MOST_OCTETS] });
    assert!(matches!(long.encode(), Err(BadPdu::Length(_))));
}

#[test]
fn a_response_without_its_body_is_read_as_centres_send_it() {
    for (octets, body) in [
        (
            framed("80000009 0000000e 00000001"),
            Body::BindTransceiverResp { system_id: String::new(), tlvs: vec![] },
        ),
        (framed("80000004 00000058 00000001 00"), Body::SubmitSmResp { message_id: String::new() }),
        (framed("80000004 00000000 00000001"), Body::SubmitSmResp { message_id: String::new() }),
        (framed("80000005 00000000 00000001"), Body::DeliverSmResp),
    ] {
        assert_eq!(Pdu::decode(&octets).unwrap().body, body);
    }
}

#[test]
fn a_text_that_is_too_long_unended_or_not_ascii_is_refused_by_name() {
    for (pdu, name) in [
        (framed("00000009 00000000 00000001 '1234567890123456' 00 00 00 34 00 00 00"), "system_id"),
        (framed("00000009 00000000 00000001 'a' 00 '123456789' 00 00 34 00 00 00"), "password"),
        (framed("80000004 00000000 00000001 'no end'"), "message_id"),
        (framed("80000004 00000000 00000001 c3a9 00"), "message_id"),
    ] {
        let refused = Pdu::decode(&pdu).unwrap_err();
        assert_eq!(refused.why, BadPdu::Text(name));
        assert!(refused.header.is_some(), "it can be answered");
    }
    let write = |message| Pdu::request(1, Body::SubmitSm(message)).encode();
    for (message, name) in [
        (ShortMessage { short_message: vec![0; 255], ..push_message() }, "short_message"),
        (ShortMessage { validity: "1".repeat(17), ..push_message() }, "validity_period"),
        (
            ShortMessage { destination: Address::number(&"1".repeat(21)), ..push_message() },
            "destination_addr",
        ),
        (
            ShortMessage {
                source: Address { address: "é".to_owned(), ..Address::default() },
                ..push_message()
            },
            "source_addr",
        ),
    ] {
        assert_eq!(write(message), Err(BadPdu::Text(name)));
    }
    let tlvs = vec![Tlv { tag: 1, value: vec![] }; 65];
    assert_eq!(write(ShortMessage { tlvs, ..push_message() }), Err(BadPdu::Tlvs(64)));
    let mut many = Pdu::request(1, Body::SubmitSm(push_message())).encode().unwrap();
    many.extend([0; 65 * 4]);
    let length = many.len() as u32;
    many[..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(Pdu::decode(&many).unwrap_err().why, BadPdu::Tlvs(64));
}

#[test]
fn a_validity_is_relative_and_bounded() {
    for (ms, text) in [
        (-5, "000000000001000R"),
        (59_999, "000000000059000R"),
        (90_061_000, "000001010101000R"),
        (i64::MAX, "000030000000000R"),
    ] {
        assert_eq!(relative_validity(ms), text);
    }
}

#[test]
fn a_receipt_is_read_from_its_text_its_tlvs_or_both() {
    let text =
        "id:m1 sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:id:x";
    let receipt = |text: &str, tlvs: Vec<Tlv>| ShortMessage {
        esm_class: ShortMessage::RECEIPT,
        short_message: text.as_bytes().to_vec(),
        tlvs,
        ..ShortMessage::default()
    };
    let id = |id: &[u8]| Tlv { tag: tag::RECEIPTED_MESSAGE_ID, value: id.to_vec() };
    let state = |code| Tlv { tag: tag::MESSAGE_STATE, value: vec![code] };
    for (message, id, state, error) in [
        (receipt(text, vec![]), "m1", State::Delivered, Some("000")),
        (receipt("", vec![id(b"m2\0"), state(2)]), "m2", State::Delivered, None),
        (receipt(text, vec![id(b"m2"), state(5)]), "m2", State::Failed("UNDELIV"), Some("000")),
        (receipt("ID:a Stat:EXPIR", vec![]), "a", State::Failed("EXPIRED"), None),
        (receipt("id:a stat:ENROUTE", vec![]), "a", State::Pending, None),
        (receipt("id:a stat:ACCEPTD", vec![]), "a", State::Pending, None),
        (receipt("id:a stat:REJECTD err:42", vec![]), "a", State::Failed("REJECTD"), Some("42")),
        (receipt("id:a stat:xé", vec![]), "a", State::Failed("UNKNOWN"), None),
        (receipt("id:a", vec![]), "a", State::Failed("UNKNOWN"), None),
        (receipt("id:a", vec![state(1)]), "a", State::Pending, None),
        (receipt("id:a", vec![state(99)]), "a", State::Failed("UNKNOWN"), None),
    ] {
        let expected = Receipt { message_id: id.to_owned(), state, error: error.map(str::to_owned) };
        assert_eq!(Receipt::of(&message), Some(expected));
    }
    for none in [
        receipt("stat:DELIVRD", vec![]),
        receipt("mid:a stat:DELIVRD", vec![]),
        receipt("id: stat:DELIVRD", vec![]),
        receipt(&format!("id:{}", "a".repeat(65)), vec![]),
        ShortMessage { esm_class: 0, ..receipt(text, vec![]) },
        ShortMessage { esm_class: 0x08, ..receipt(text, vec![]) },
    ] {
        assert_eq!(Receipt::of(&none), None);
    }
}

#[test]
fn a_receipt_may_come_in_the_message_payload() {
    let payload = Tlv { tag: tag::MESSAGE_PAYLOAD, value: b"id:p stat:DELIVRD".to_vec() };
    let message = ShortMessage { esm_class: 0x04, tlvs: vec![payload], ..ShortMessage::default() };
    assert_eq!(Receipt::of(&message).unwrap().message_id, "p");
}

#[test]
fn a_status_says_whether_the_same_message_may_go_again() {
    for (status, class) in [
        (CommandStatus::OK, StatusClass::Ok),
        (CommandStatus::THROTTLED, StatusClass::Throttled),
        (CommandStatus::QUEUE_FULL, StatusClass::Throttled),
        (CommandStatus::SYSTEM_ERROR, StatusClass::Retry),
        (CommandStatus::TEMPORARY, StatusClass::Retry),
        (CommandStatus::INVALID_DESTINATION, StatusClass::Refused),
        (CommandStatus::INVALID_PASSWORD, StatusClass::Refused),
        (CommandStatus(0x65), StatusClass::Refused),
        (CommandStatus(0x0000_0400), StatusClass::Retry),
    ] {
        assert_eq!(status.class(), class, "{status}");
    }
    assert_eq!(CommandStatus::THROTTLED.to_string(), "ESME_RTHROTTLED (0x00000058)");
    assert_eq!(CommandStatus(0x400).to_string(), "status 0x00000400");
}

#[test]
fn debug_never_shows_a_password() {
    let (pdu, _) = vectors().swap_remove(0);
    assert!(!format!("{pdu:?}").contains("pw"));
}
