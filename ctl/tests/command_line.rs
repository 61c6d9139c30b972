//! What posternctl says and ends with, where no core is needed.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use std::{ffi::OsString, net::TcpListener, path::Path};

use clap::CommandFactory as _;
use posternctl::{args::Cli, failure::Exit};

const PACKAGE_1: &str = r#"<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>
<SessionID>1</SessionID><MsgID>1</MsgID><Target><LocURI>https://dm.example/dm/1/x</LocURI></Target>
<Source><LocURI>IMEI:004999010640000</LocURI></Source></SyncHdr><SyncBody>
<Alert><CmdID>1</CmdID><Data>1201</Data></Alert><Final/></SyncBody></SyncML>"#;

struct Ran {
    exit: Exit,
    out: Vec<u8>,
    err: String,
}

impl Ran {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

fn posternctl<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let args = std::iter::once(OsString::from("posternctl"))
        .chain(args.into_iter().map(|arg| arg.as_ref().to_owned()));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = posternctl::run(args, &mut out, &mut err);
    Ran { exit, out, err: String::from_utf8(err).unwrap() }
}

fn file(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn a_wrong_command_line_ends_with_64_and_help_with_0() {
    assert_eq!(posternctl(["frobnicate"]).exit, Exit::Usage);
    assert_eq!(posternctl(["device", "show"]).exit, Exit::Usage);
    assert_eq!(posternctl(["device", "command", "x", "get", "./A", "--file", "f"]).exit, Exit::Usage);
    assert_eq!(posternctl(["device", "command", "x", "copy", "./A"]).exit, Exit::Usage);
    assert_eq!(posternctl(["device", "list"]).exit, Exit::Usage, "no URL");
    assert_eq!(posternctl(["--help"]).exit, Exit::Done);
    assert_eq!(posternctl(["device", "command", "--help"]).exit, Exit::Done);
}

#[test]
fn an_auth_type_with_a_certificate_needs_a_csr_and_has_no_password() {
    let missing = posternctl(["device", "enrol", "--device-id", "IMEI:1", "--auth", "signed"]);
    let both =
        ["device", "enrol", "--device-id", "IMEI:1", "--auth", "certificate", "--csr", "f", "--user", "u"];

    assert_eq!(missing.exit, Exit::Invalid);
    assert_eq!(posternctl(both).exit, Exit::Invalid);
}

#[test]
fn a_core_that_does_not_answer_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let token = file(folder.path(), "token", b"pst_0123\n");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("https://127.0.0.1:{port}");

    let ran = posternctl(["status", "--url", &url, "--token-file", &token, "--output", "json"]);

    assert_eq!(ran.exit, Exit::Unreachable, "{}", ran.err);
    let failure: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(failure["slug"], "unreachable");
    assert_eq!(failure["exit"], 3);
}

#[test]
fn a_message_is_decoded_from_either_encoding_to_the_same_json() {
    let folder = tempfile::tempdir().unwrap();
    let xml = file(folder.path(), "message.xml", PACKAGE_1.as_bytes());

    let from_xml = posternctl(["syncml", "decode", &xml]);
    let wbxml = posternctl(["syncml", "encode", "--to", "wbxml", &xml]);
    let wbxml = file(folder.path(), "message.wbxml", &wbxml.out);
    let from_wbxml = posternctl(["syncml", "decode", &wbxml]);

    assert_eq!(from_xml.exit, Exit::Done, "{}", from_xml.err);
    assert_eq!(from_wbxml.exit, Exit::Done, "{}", from_wbxml.err);
    assert_eq!(from_xml.text(), from_wbxml.text());
    let message: serde_json::Value = serde_json::from_str(from_xml.text()).unwrap();
    assert_eq!(message["header"]["source"]["uri"], "IMEI:004999010640000");
    assert_eq!(message["body"][0]["code"], 1201);
    assert_eq!(message["final"], true);
}

#[test]
fn the_json_form_is_encoded_back_to_the_message_that_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let xml = file(folder.path(), "message.xml", PACKAGE_1.as_bytes());
    let first = posternctl(["syncml", "decode", &xml]);
    let json = file(folder.path(), "message.json", &first.out);

    for to in ["xml", "wbxml"] {
        let encoded = posternctl(["syncml", "encode", "--to", to, &json]);
        let encoded = file(folder.path(), "encoded", &encoded.out);
        let second = posternctl(["syncml", "decode", &encoded]);
        assert_eq!(second.text(), first.text(), "through {to}");
    }
}

#[test]
fn an_invalid_message_ends_with_2_and_says_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, slug, place) in [
        ("cut.xml", &PACKAGE_1.as_bytes()[..200], "message-truncated", "line 3"),
        ("empty.xml", b"", "message-empty", "octet 0"),
        ("cut.wbxml", b"\x02\xa4\x01\x6a\x00\x6d", "message-truncated", "octet 6"),
        ("typing-error.json", b"{\n\"versoin\": \"1.2\"}", "message-json", "line 2"),
    ] {
        let path = file(folder.path(), name, content);
        let ran = posternctl(["syncml", "decode", &path]);
        assert_eq!(ran.exit, Exit::Invalid, "{name}");
        assert!(ran.err.contains(&format!("[{slug}]")), "{name}: {}", ran.err);
        assert!(ran.err.contains(place), "{name}: {}", ran.err);
    }
}

#[test]
fn text_from_a_message_does_not_act_on_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = PACKAGE_1.replace("IMEI:004999010640000", "a\u{202e}b\u{9b}31m");
    let path = file(folder.path(), "message.xml", hostile.as_bytes());

    let ran = posternctl(["syncml", "decode", &path]);

    assert!(ran.text().contains("a\\u202eb\\u009b31m"), "{}", ran.text());
}

#[test]
fn every_shell_gets_a_completion_script() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = posternctl(["completions", shell]);
        assert_eq!(ran.exit, Exit::Done);
        assert!(ran.text().contains("posternctl"), "{shell}");
    }
}

#[test]
fn sessions_notifications_settings_and_quirks_have_their_arguments_checked_before_anyone_is_asked() {
    for wrong in [
        &["session", "abort"][..],
        &["session", "record", "d"],
        &["session", "record", "d", "--next", "-1"],
        &["session", "save", "d"],
        &["session", "replay"],
        &["device", "notify"],
        &["device", "address", "set", "d"],
        &["settings", "set", "ConnectInterval"],
        &["settings", "set", "ConnectInterval", "8h", "--clear"],
        &["settings", "get", "--group", "g", "--device", "d"],
        &["quirks", "add"],
        &["quirks", "delete"],
    ] {
        assert_eq!(posternctl(wrong).exit, Exit::Usage, "{wrong:?}");
    }
}

#[test]
fn transcripts_are_replayed_offline_and_a_difference_ends_with_1() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../actors/engine/tests/transcripts");
    let good = kept.join("libdmclient-xml-md5.json").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&good).unwrap();
    let changed = file(folder.path(), "changed.json", text.replacen("moved ", "stirred ", 1).as_bytes());
    let none = file(folder.path(), "none.json", b"{}");

    let same = posternctl(["session", "replay", &good]);
    let differs = posternctl(["session", "replay", &good, &changed]);

    assert_eq!(same.exit, Exit::Done, "{}", same.err);
    assert!(same.text().contains("no difference"), "{}", same.text());
    assert_eq!(differs.exit, Exit::Refused);
    assert!(differs.text().contains("stirred") && differs.text().contains("moved"), "{}", differs.text());
    assert!(posternctl(["session", "replay", &none]).err.contains("[invalid-transcript]"));
}
