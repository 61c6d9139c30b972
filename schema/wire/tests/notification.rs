//! Package 0, by its vectors: bit for bit, digest and all.

mod common;

use common::own_data;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use postern_wire::{
    auth::{encode_nonce, trigger_digest, user_password_hash},
    notification::{
        BadNotification, Initiator, MOST_OCTETS, NonceReading, Package0, SessionId, Trigger, UiMode,
    },
};
use serde_json::Value;

const SERVER: &str = "com.mgmtsrv.manage";

fn vectors() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(own_data().join("omadm/notify/vectors.json"))
        .expect("a vector of the project");
    let vectors: serde_json::Map<String, Value> =
        serde_json::from_str(&text).expect("a vector of the project");
    vectors.into_iter().collect()
}

fn text<'v>(vector: &'v Value, key: &str) -> &'v str {
    vector[key].as_str().unwrap_or_else(|| panic!("{key}"))
}

fn hex(vector: &Value, key: &str) -> Vec<u8> {
    HEXLOWER.decode(text(vector, key).as_bytes()).expect("a vector of the project")
}

fn session(number: u16) -> SessionId {
    SessionId::new(number).expect("a vector of the project")
}

/// The trigger that a vector describes in words.
fn described(vector: &Value) -> Trigger {
    Trigger {
        ui_mode: UiMode::ALL[vector["ui_mode"].as_u64().expect("a vector of the project") as usize],
        initiator: if vector["initiator"] == 1 { Initiator::Server } else { Initiator::Client },
        ..Trigger::new(
            SessionId::from_hex(text(vector, "session_id_hex")).expect("a vector of the project"),
            text(vector, "server_id"),
        )
    }
}

fn sealed(trigger: Trigger, nonce: &[u8]) -> Package0 {
    let hash = user_password_hash(&trigger.server_id, "srvsecret");
    Package0::seal(trigger, &hash, nonce).expect("a vector of the project")
}

#[test]
fn not_01_the_trigger_is_laid_out_bit_for_bit_as_the_specification_draws_it() {
    let trigger =
        Trigger { initiator: Initiator::Client, ..Trigger::new(session(0x1234), SERVER) }.encode().unwrap();

    assert_eq!(trigger[..8], *b"\x02\xD0\x00\x00\x00\x12\x34\x12");
    assert_eq!(&trigger[8..], SERVER.as_bytes());
    assert_eq!(trigger.len(), 26);
}

#[test]
fn not_02_every_vector_is_written_octet_for_octet_and_read_back() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 3);
    for (name, vector) in vectors {
        let nonce = hex(&vector, "nonce_hex");
        let hash = user_password_hash(text(&vector, "server_id"), text(&vector, "password"));
        let package = Package0::seal(described(&vector), &hash, &nonce).unwrap();

        assert_eq!(package.digest().to_vec(), hex(&vector, "digest_hex"), "{name}");
        assert_eq!(package.trigger.encode().unwrap(), hex(&vector, "trigger_hex"), "{name}");
        assert_eq!(package.encode(), hex(&vector, "pkg0_hex"), "{name}");

        let read = Package0::decode(&hex(&vector, "pkg0_hex")).unwrap();
        assert_eq!(read, package, "{name}");
        let stored = encode_nonce(&nonce);
        assert_eq!(read.verify(&hash, &stored, &NonceReading::STORED), Some(NonceReading::Decoded), "{name}");
        let file = std::fs::read_to_string(own_data().join(format!("omadm/notify/{name}.pkg0.hex"))).unwrap();
        assert_eq!(HEXLOWER_PERMISSIVE.decode(file.trim().as_bytes()).unwrap(), package.encode(), "{name}");
    }
}

#[test]
fn not_03_the_digest_covers_vendor_data() {
    let trigger = Trigger { vendor: b"vendor \x00\xFF".to_vec(), ..Trigger::new(session(7), SERVER) };
    let hash = user_password_hash(SERVER, "srvsecret");
    let package = sealed(trigger.clone(), &[7; 16]);
    let stored = encode_nonce(&[7; 16]);

    let octets = package.encode();
    assert_eq!(octets[16..], trigger.encode().unwrap());
    assert!(octets.ends_with(b"com.mgmtsrv.managevendor \x00\xFF"));
    let read = Package0::decode(&octets).unwrap();
    assert_eq!(read.trigger, trigger);
    assert_eq!(read.digest(), trigger_digest(&hash, &[7; 16], &octets[16..]));
    assert!(read.verify(&hash, &stored, &NonceReading::STORED).is_some());

    let mut changed = octets.clone();
    *changed.last_mut().unwrap() ^= 1;
    let shortened = &octets[..octets.len() - 1];
    for forged in [&changed[..], shortened] {
        let read = Package0::decode(forged).unwrap();
        assert_eq!(read.verify(&hash, &stored, &NonceReading::ALL), None);
    }
}

#[test]
fn not_04_ui_mode_and_initiator_have_their_bits() {
    for (ui_mode, high) in UiMode::ALL.into_iter().zip([0xC0_u8, 0xD0, 0xE0, 0xF0]) {
        for (initiator, low) in [(Initiator::Client, 0), (Initiator::Server, 8)] {
            let trigger = Trigger { ui_mode, initiator, ..Trigger::new(session(1), "s") };
            let octets = trigger.encode().unwrap();
            assert_eq!(octets[..5], [0x02, high | low, 0, 0, 0], "{ui_mode} {initiator:?}");
            assert_eq!(Trigger::decode(&octets).unwrap(), trigger);
        }
    }
}

#[test]
fn not_04_versions_1_0_to_1_2_are_read_and_any_other_refused() {
    for version in [10, 11, 12] {
        let trigger = Trigger { version, ..Trigger::new(session(1), "s") };
        assert_eq!(Trigger::decode(&trigger.encode().unwrap()).unwrap(), trigger);
    }
    // Version 12 as the AOSP/Motorola client accepts it: 0000001100.
    assert_eq!(Trigger::decode(b"\x03\x18\x00\x00\x00\x00\x01\x09dm.server").unwrap().version, 12);
    for version in [0, 9, 13, 0x3FF] {
        let trigger = Trigger { version, ..Trigger::new(session(1), "s") };
        assert_eq!(trigger.encode(), Err(BadNotification::Version(version)));
        let octets =
            [&[(version >> 2) as u8, (version << 6) as u8][..], b"\x00\x00\x00\x00\x01\x01s"].concat();
        assert_eq!(Trigger::decode(&octets), Err(BadNotification::Version(version)));
    }
}

#[test]
fn not_04_the_27_bits_without_a_meaning_are_kept_as_they_were() {
    let trigger = Trigger { future_use: 0x07FF_FFFF, ..Trigger::new(session(1), "s") };
    let octets = trigger.encode().unwrap();
    assert_eq!(octets[..5], [0x02, 0xDF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(Trigger::decode(&octets).unwrap(), trigger);
    let wide = Trigger { future_use: 0x0800_0000, ..trigger };
    assert_eq!(wide.encode(), Err(BadNotification::FutureUse));
}

#[test]
fn not_05_a_session_id_is_1_to_ffff_and_echoed_without_leading_zeros() {
    for (number, echoed) in [(1, "1"), (0xFF, "FF"), (0x1234, "1234"), (0xABCD, "ABCD"), (0xFFFF, "FFFF")] {
        let octets = Trigger::new(session(number), "s").encode().unwrap();
        assert_eq!(octets[5..7], number.to_be_bytes());
        assert_eq!(Trigger::decode(&octets).unwrap().session_id.to_string(), echoed);
        assert_eq!(SessionId::from_hex(&format!("00{}", echoed.to_ascii_lowercase())), Some(session(number)));
    }
    assert_eq!(SessionId::new(0), None);
    for bad in ["", "0", "10000", "+1", "G", " 1", "000000001"] {
        assert_eq!(SessionId::from_hex(bad), None, "{bad:?}");
    }
    let zero = b"\x02\xD8\x00\x00\x00\x00\x00\x01s";
    assert_eq!(Trigger::decode(zero), Err(BadNotification::SessionId));
}

#[test]
fn not_12_a_wrong_digest_is_recognised_under_every_reading_of_the_nonce() {
    let hash = user_password_hash(SERVER, "srvsecret");
    let stored = encode_nonce(&[9; 16]);
    for reading in NonceReading::ALL {
        let package = sealed(Trigger::new(session(3), SERVER), &reading.octets(&stored).unwrap());
        assert_eq!(package.verify(&hash, &stored, &NonceReading::ALL), Some(reading));
        let others: Vec<_> = NonceReading::ALL.into_iter().filter(|other| *other != reading).collect();
        assert_eq!(package.verify(&hash, &stored, &others), None, "{}", reading.as_str());
        let wrong_secret = user_password_hash(SERVER, "srvsecreT");
        assert_eq!(package.verify(&wrong_secret, &stored, &NonceReading::ALL), None);
        let mut forged = package.encode();
        forged[0] ^= 0x80;
        assert_eq!(Package0::decode(&forged).unwrap().verify(&hash, &stored, &NonceReading::ALL), None);
    }
    assert!(!NonceReading::Undecoded.is_resynchronisation() && NonceReading::ZeroText.is_resynchronisation());
}

#[test]
fn not_12_a_stored_nonce_that_is_not_base64_verifies_nothing_as_decoded() {
    let package = sealed(Trigger::new(session(3), SERVER), b"");
    let hash = user_password_hash(SERVER, "srvsecret");
    assert_eq!(package.verify(&hash, "%%%", &NonceReading::STORED), None);
    assert_eq!(package.verify(&hash, "", &NonceReading::STORED), Some(NonceReading::Decoded));
}

#[test]
fn not_13_a_server_identifier_has_1_to_255_octets_and_is_noted_above_23() {
    for (length, long) in [(1, false), (23, false), (24, true), (255, true)] {
        let trigger = Trigger::new(session(1), &"s".repeat(length));
        assert_eq!(trigger.server_id_is_long(), long, "{length}");
        assert_eq!(Trigger::decode(&trigger.encode().unwrap()).unwrap(), trigger);
    }
    for length in [0, 256] {
        let refused = Trigger::new(session(1), &"s".repeat(length)).encode();
        assert_eq!(refused, Err(BadNotification::ServerIdLength), "{length}");
    }
    for bad in ["s\0", "é", "a\nb"] {
        assert_eq!(Trigger::new(session(1), bad).encode(), Err(BadNotification::ServerId), "{bad:?}");
    }
}

#[test]
fn a_package_that_ends_early_or_never_is_refused() {
    let octets = sealed(Trigger::new(session(1), SERVER), b"n").encode();
    for length in 0..octets.len() {
        assert_eq!(Package0::decode(&octets[..length]), Err(BadNotification::Truncated), "{length}");
    }
    let mut endless = octets;
    endless.resize(MOST_OCTETS, 0);
    assert!(Package0::decode(&endless).is_ok());
    endless.push(0);
    assert_eq!(Package0::decode(&endless), Err(BadNotification::TooLong(MOST_OCTETS + 1)));
    let vendor = vec![0; MOST_OCTETS];
    let written = Trigger { vendor, ..Trigger::new(session(1), "s") }.encode();
    assert!(matches!(written, Err(BadNotification::TooLong(_))));
}
