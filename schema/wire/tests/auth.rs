//! Credentials come out as the vectors say: those printed in the specification, and computed ones.

mod common;

use common::own_data;
use postern_wire::auth::{
    BadHmacHeader, HmacHeader, basic, decode_nonce, encode_nonce, equal, mac, md5_digest, parse_basic,
    trigger_digest, user_password_hash,
};
use serde_json::Value;

#[test]
fn sec_04_basic_is_base64_of_user_and_password() {
    let vector = &vectors()["basic"];
    assert_eq!(basic("Bruce2", "OhBehave"), text(vector, "cred_data"));
    assert_eq!(parse_basic(" QnJ1Y2Uy\r\nOk9oQmVoYXZl "), Some(("Bruce2".to_owned(), "OhBehave".to_owned())));
    assert_eq!(
        parse_basic("YTpiOmM="),
        Some(("a".to_owned(), "b:c".to_owned())),
        "the user ends at the first colon"
    );
    for bad in ["", "!", "YWJj", "/////w=="] {
        assert_eq!(parse_basic(bad), None, "{bad}");
    }
}

#[test]
fn sec_05_md5_is_taken_over_the_octets_of_the_nonce() {
    let vectors = vectors();
    let hash = user_password_hash("Bruce2", "OhBehave");
    assert_eq!(hash, text(&vectors["md5_spec"], "b64_H_user_pw"));
    let binary = decode_nonce(text(&vectors["md5_binary_nonce"], "nonce_b64")).unwrap();
    for (name, nonce) in [
        ("md5_spec", &b"Nonce"[..]),
        ("md5_binary_nonce", &binary),
        ("md5_resync_nonce_4_zero_octets", &[0; 4]),
        ("md5_resync_nonce_text_0x00000000", b"0x00000000"),
        ("md5_empty_nonce", b""),
    ] {
        assert_eq!(md5_digest(&hash, nonce), text(&vectors[name], "cred_data"), "{name}");
    }
}

#[test]
fn sec_05_a_real_windows_client_computes_the_same() {
    let table = std::fs::read_to_string(own_data().join("windows/synthetic/md5-vectors.tsv")).unwrap();
    for row in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = row.split('\t').collect();
        let nonce = data_encoding::HEXLOWER.decode(columns[4].as_bytes()).unwrap();
        assert_eq!(md5_digest(&user_password_hash(columns[1], columns[2]), &nonce), columns[5], "{row}");
    }
}

#[test]
fn sec_15_a_mac_covers_the_raw_body_in_either_encoding() {
    let (vectors, hash) = (vectors(), user_password_hash("Bruce2", "OhBehave"));
    for name in ["hmac_xml", "hmac_wbxml"] {
        let nonce = decode_nonce(text(&vectors[name], "nonce_b64")).unwrap();
        let body = std::fs::read(own_data().join("omadm").join(text(&vectors[name], "body_file"))).unwrap();
        assert_eq!(mac(&hash, &nonce, &body), text(&vectors[name], "mac"), "{name}");
    }
    let header = text(&vectors["hmac_xml"], "header").strip_prefix("x-syncml-hmac: ").unwrap();
    let parsed = HmacHeader::parse(header).unwrap();
    assert_eq!((parsed.username.as_str(), parsed.to_string().as_str()), ("Bruce2", header));
}

#[test]
fn sec_18_the_mac_header_is_read_in_any_order_and_spelling() {
    let expected = HmacHeader { username: "a\"b,=c".to_owned(), mac: "x==".to_owned() };
    for value in [
        r#"algorithm=MD5, username="a\"b,=c", mac=x=="#,
        r#"mac=x==,username="a\"b,=c""#,
        "username=\"a\\\"b,=c\" ,\r\n\tMAC = x== , Algorithm=\"md5\", other=1",
    ] {
        assert_eq!(HmacHeader::parse(value), Ok(expected.clone()), "{value}");
    }
    assert_eq!(HmacHeader::parse(&expected.to_string()), Ok(expected));
    for (value, error) in [
        ("", BadHmacHeader::Missing("username")),
        ("username=a", BadHmacHeader::Missing("mac")),
        ("mac=x, username=a, username=b", BadHmacHeader::Missing("username")),
        ("algorithm=SHA1, username=a, mac=x", BadHmacHeader::Algorithm("SHA1".to_owned())),
        ("username=\"a, mac=x", BadHmacHeader::Syntax),
        ("username=\"a\"b, mac=x", BadHmacHeader::Syntax),
        ("username", BadHmacHeader::Syntax),
    ] {
        assert_eq!(HmacHeader::parse(value), Err(error), "{value}");
    }
    assert!(
        !format!("{:?}", HmacHeader { username: "u".to_owned(), mac: "secret".to_owned() })
            .contains("secret")
    );
}

#[test]
fn ld_07_nonces_of_16_octets_are_24_characters_with_two_equals_signs() {
    let nonce = encode_nonce(&[7; postern_wire::auth::NONCE_OCTETS]);
    assert!(nonce.len() == 24 && nonce.ends_with("=="));
    assert_eq!(decode_nonce(&format!(" {nonce}\r\n")), Some(vec![7; 16]));
    assert_eq!(decode_nonce(""), Some(Vec::new()), "AM-10: an empty nonce has length 0");
    assert_eq!(decode_nonce("nonc"), decode_nonce(" no\tnc"));
    assert_eq!(
        (decode_nonce("AAECAw"), decode_nonce("n=nce"), decode_nonce("€")),
        (Some(vec![0, 1, 2, 3]), None, None)
    );
}

#[test]
fn not_02_the_digest_of_package_0_covers_the_trigger() {
    let hash = user_password_hash("com.mgmtsrv.manage", "srvsecret");
    let nonce: Vec<u8> = (0..16).collect();
    let trigger =
        data_encoding::HEXLOWER.decode(b"02d8000000000112636f6d2e6d676d747372762e6d616e616765").unwrap();
    let digest = data_encoding::HEXLOWER.encode(&trigger_digest(&hash, &nonce, &trigger));
    assert_eq!(digest, "33f29303febee18415a8fdf327611b3a");
}

#[test]
fn secrets_are_equal_only_as_a_whole() {
    assert!(equal(b"abc", b"abc") && equal(b"", b""));
    assert!(!equal(b"abc", b"abd") && !equal(b"abc", b"ab") && !equal(b"", b"a"));
}

fn vectors() -> Value {
    let text =
        std::fs::read_to_string(own_data().join("omadm/auth/vectors.json")).expect("vectors of the project");
    serde_json::from_str(&text).expect("JSON")
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().expect("a string")
}
