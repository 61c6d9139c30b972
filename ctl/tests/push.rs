//! `posternctl notification` and `posternctl bootstrap decode`, by the vectors of postern-wire.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use posternctl::failure::Exit;
use serde_json::Value;

fn posternctl(args: &[&str]) -> (Exit, String, String) {
    let args = std::iter::once("posternctl").chain(args.iter().copied()).map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = posternctl::run(args, &mut out, &mut err);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/wire/tests/data/omadm").join(name)
}

fn vectors(topic: &str) -> Value {
    serde_json::from_slice(&std::fs::read(data(topic).join("vectors.json")).unwrap()).unwrap()
}

fn file(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn decode(args: &[&str]) -> (Exit, Value) {
    let (exit, out, err) = posternctl(args);
    (exit, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{exit:?} {out} {err}")))
}

#[test]
fn not_02_a_notification_is_decoded_in_each_framing_from_octets_and_from_digits() {
    let folder = tempfile::tempdir().unwrap();
    let secret = file(folder.path(), "secret", b"srvsecret\n");
    let vector = &vectors("notify")["n2_background_server"];
    for (key, framing) in
        [("pkg0_hex", "package0"), ("wsp_push_hex", "wsp"), ("sms_user_data_with_udh_hex", "sms")]
    {
        let digits = vector[key].as_str().unwrap();
        let octets = posternctl::files::of_hex(digits).unwrap();
        for (name, content) in [("digits", digits.as_bytes()), ("octets", &octets)] {
            let path = file(folder.path(), name, content);
            let (exit, shown) = decode(&[
                "notification",
                "decode",
                "--secret-file",
                &secret,
                "--nonce",
                "AAECAwQFBgcICQoLDA0ODw==",
                &path,
            ]);
            assert_eq!(exit, Exit::Done, "{shown}");
            assert_eq!(shown["framing"], framing);
            assert_eq!(shown["verified"], "stored");
            assert_eq!(
                (&shown["version"], &shown["ui_mode"], &shown["initiator"]),
                (&"1.1".into(), &"background".into(), &"server".into())
            );
            assert_eq!(
                (&shown["session_id"], &shown["server_id"]),
                (&"1".into(), &"com.mgmtsrv.manage".into())
            );
            assert_eq!(shown["digest"], vector["digest_hex"]);
        }
    }
}

#[test]
fn not_12_a_wrong_digest_is_said_and_ends_with_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let package = data("notify/n2_background_server.pkg0.hex");
    let package = package.to_str().unwrap();
    let wrong = file(folder.path(), "wrong", b"other\n");
    let (exit, shown) = decode(&["notification", "decode", "--secret-file", &wrong, package]);
    assert_eq!((exit, &shown["verified"]), (Exit::Refused, &"wrong".into()));
    let (exit, shown) = decode(&["notification", "decode", package]);
    assert_eq!((exit, shown.get("verified")), (Exit::Done, None), "nothing was asked to be verified");
    let secret = file(folder.path(), "secret", b"srvsecret\n");
    let resync = data("notify/n4_resync_zero4.pkg0.hex");
    let (_, shown) = decode(&["notification", "decode", "--secret-file", &secret, resync.to_str().unwrap()]);
    assert_eq!(shown["verified"], "zero-octets");
}

#[test]
fn not_01_a_notification_is_encoded_as_the_vectors_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let secret = file(folder.path(), "secret", b"srvsecret\n");
    let vector = &vectors("notify")["n2_background_server"];
    let common = [
        "notification",
        "encode",
        "--server-id",
        "com.mgmtsrv.manage",
        "--session-id",
        "1",
        "--secret-file",
        &secret,
        "--nonce",
        "AAECAwQFBgcICQoLDA0ODw==",
    ];
    for (to, key) in [("package0", "pkg0_hex"), ("wsp", "wsp_push_hex")] {
        let (exit, out, err) = posternctl(&[&common[..], &["--to", to]].concat());
        assert_eq!((exit, out.trim()), (Exit::Done, vector[key].as_str().unwrap()), "{err}");
    }
    let (_, out, _) = posternctl(&[&common[..], &["--to", "sms"]].concat());
    assert!(out.starts_with("0605040b8423f0010603c4af87"), "{out}");
    let vendor = "5a".repeat(100);
    let long = [&common[..], &["--to", "sms", "--vendor", &vendor]].concat();
    let (_, out, _) = posternctl(&long);
    assert_eq!(out.lines().count(), 2, "a line a segment");
    let (exit, _, err) = posternctl(&[&long[..], &["--binary"]].concat());
    assert_eq!(exit, Exit::Usage, "{err}");
    let first = file(folder.path(), "segment", out.lines().next().unwrap().as_bytes());
    let (exit, _, err) = posternctl(&["notification", "decode", &first]);
    assert!(exit == Exit::Invalid && err.contains("segment 1 of 2"), "{err}");

    let (_, out, _) = posternctl(&[&common[..8], &["--default-nonce"]].concat());
    let path = file(folder.path(), "default", out.as_bytes());
    let (_, shown) = decode(&["notification", "decode", "--secret-file", &secret, &path]);
    assert_eq!(shown["verified"], "zero-octets");
}

#[test]
fn what_cannot_be_a_notification_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secret = file(folder.path(), "secret", b"srvsecret\n");
    let encode = |rest: &[&str]| {
        posternctl(
            &[&["notification", "encode", "--server-id", "s", "--secret-file", &secret], rest].concat(),
        )
        .0
    };
    assert_eq!(encode(&["--session-id", "0", "--default-nonce"]), Exit::Usage);
    assert_eq!(encode(&["--session-id", "1", "--nonce", "%"]), Exit::Usage);
    assert_eq!(encode(&["--session-id", "1"]), Exit::Usage, "a nonce has to be said");
    assert_eq!(encode(&["--session-id", "1", "--default-nonce", "--vendor", "5"]), Exit::Usage);
    let short = file(folder.path(), "short", b"0102");
    assert_eq!(posternctl(&["notification", "decode", &short]).0, Exit::Invalid);
    let bootstrap = data("bootstrap/cp_w7_USERPIN.wsp.hex");
    let (exit, _, err) = posternctl(&["notification", "decode", bootstrap.to_str().unwrap()]);
    assert!(exit == Exit::Invalid && err.contains("connectivity-wbxml"), "{err}");
}

#[test]
fn boo_02_a_bootstrap_of_either_profile_is_decoded_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let pin = file(folder.path(), "pin", b"1234\n");
    for (name, profile, media) in [
        ("bootstrap/cp_w7.xml", "cp", "text/vnd.wap.connectivity-xml"),
        ("bootstrap/cp_w7_v13.wbxml", "cp", "application/vnd.wap.connectivity-wbxml"),
        ("bootstrap/cp_w7_v13.hex", "cp", "application/vnd.wap.connectivity-wbxml"),
        ("bootstrap/cp_w7_USERPIN.wsp.hex", "cp", "application/vnd.wap.connectivity-wbxml"),
        ("bootstrap/dm_profile.wbxml", "dm", "application/vnd.syncml.dm+wbxml"),
    ] {
        let path = data(name);
        let (exit, shown) = decode(&["bootstrap", "decode", path.to_str().unwrap()]);
        assert_eq!(
            (exit, &shown["profile"], &shown["media_type"]),
            (Exit::Done, &profile.into(), &media.into())
        );
        let account = &shown["accounts"][0];
        assert_eq!(account["server_id"], "com.mgmtsrv.manage", "{name}");
        assert_eq!(account["addresses"][0]["address"], "https://dm.example.test/omadm");
        assert_eq!(account["credentials"][0]["level"], "CLCRED");
        assert_eq!(account["credentials"][1]["secret"], true);
        let text = shown.to_string();
        for secret in ["OhBehave", "srvsecret", "AAECAwQ", "Dw4NDA"] {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
    }
    let push = data("bootstrap/cp_w7_USERPIN.wsp.hex");
    let (exit, shown) = decode(&["bootstrap", "decode", "--pin-file", &pin, push.to_str().unwrap()]);
    assert_eq!(
        (exit, &shown["verified"], &shown["security"]),
        (Exit::Done, &"right".into(), &"USERPIN".into())
    );
    let imsi = file(folder.path(), "imsi", b"244121234567890\n");
    let push = data("bootstrap/cp_w7_NETWPIN.wsp.hex");
    let (exit, shown) = decode(&["bootstrap", "decode", "--imsi-file", &imsi, push.to_str().unwrap()]);
    assert_eq!((exit, &shown["verified"]), (Exit::Done, &"right".into()));
    let other = file(folder.path(), "other", b"244121234567891\n");
    let (exit, _) = decode(&["bootstrap", "decode", "--imsi-file", &other, push.to_str().unwrap()]);
    assert_eq!(exit, Exit::Refused);
    let none = file(folder.path(), "none", b"hello");
    assert_eq!(posternctl(&["bootstrap", "decode", &none]).0, Exit::Invalid);
}
