//! A check-in through the real gateway, link and core, and what becomes of commands queued before, during and after.
#![forbid(unsafe_code)]

use std::{io::Read as _, process::Stdio, time::Duration};

use postern_tests::{
    dm_client::{answered_with_200, commands_of, target_of},
    site::{Plan, Site},
    wait,
};
use postern_wire::syncml::{Data, Encoding};
use serde_json::Value;

/// How long the core may take until something that it does in batches can be seen.
const BATCHED: Duration = Duration::from_secs(15);

#[test]
fn a_device_that_proves_itself_is_managed_and_seen() {
    let site = Site::start(&Plan::default());

    for (device_id, auth, encoding) in [
        ("IMEI:1", "basic", Encoding::Xml),
        ("IMEI:2", "md5", Encoding::Xml),
        ("IMEI:3", "md5", Encoding::Wbxml),
    ] {
        let (enrolment, _) = site.enrol(device_id, auth, &[]);
        let mut client = site.client(enrolment);
        client.encoding = encoding;

        let check_in = client.check_in("1").expect("a session");

        assert!(check_in.authenticated, "{device_id}: {check_in:?}\n{}", site.logs());
        let seen = || Some(show(&site, device_id)).filter(|device| device["last_seen"].is_string());
        let device = wait::until("the device to be seen", BATCHED, seen, || site.logs());
        assert_eq!(device["state"], "managed");
        assert_eq!(device["proof_class"], auth);
    }
}

#[test]
fn our_device_checks_in_by_every_way_of_authentication_and_in_both_encodings() {
    let site = Site::start(&Plan::default());
    for (n, (auth, encoding)) in [
        ("basic", "xml"),
        ("md5", "xml"),
        ("md5", "wbxml"),
        ("certificate", "xml"),
        ("signed", "xml"),
        ("signed", "wbxml"),
    ]
    .into_iter()
    .enumerate()
    {
        let device = site.device(&format!("urn:uuid:{n}"), auth);
        let command = queue(&site, &device.device_id, &["get", "./DevInfo/DevId"]);

        let ran = device.check_in(&["--encoding", encoding]);

        assert_eq!(ran.exit, 0, "{auth} {encoding}: {ran:?}\n{}", site.logs());
        let shown = finished(&site, &command);
        assert_eq!(shown["state"], "succeeded", "{auth} {encoding}: {shown:#}");
        assert_eq!(shown["results"][0]["data"], Value::from(device.device_id), "{auth} {encoding}");
        assert_eq!(shown["proof_class"], auth, "{encoding}");
    }
}

#[test]
fn our_device_keeps_what_it_was_told_to_set() {
    let site = Site::start(&Plan::default());
    let device = site.device("urn:uuid:1", "md5");
    let uri = "./Settings/Greeting";
    let set = queue(&site, "urn:uuid:1", &["add", uri, "--data", "hello", "--format", "chr"]);
    assert_eq!(device.check_in(&[]).exit, 0);
    let read = queue(&site, "urn:uuid:1", &["get", uri]);
    assert_eq!(device.check_in(&[]).exit, 0);

    assert_eq!(finished(&site, &set)["state"], "succeeded");
    assert_eq!(finished(&site, &read)["results"][0]["data"], "hello");
}

#[test]
fn our_device_refuses_a_server_that_cannot_prove_itself() {
    let site = Site::start(&Plan::default());
    let device = site.device("urn:uuid:1", "md5");
    let mut enrolment: Value = serde_json::from_str(&site.read("urn_uuid_1-enrolment.json")).expect("JSON");
    enrolment["server_password"] = Value::from("another");
    std::fs::write(&device.enrolment, enrolment.to_string()).expect("a file in the site's folder");
    let command = queue(&site, "urn:uuid:1", &["add", "./Settings/X", "--data", "1"]);

    let ran = device.check_in(&[]);

    assert_ne!(ran.exit, 0, "{ran:?}");
    assert_ne!(site.ctl().ok(&["command", "show", &command])["state"], "succeeded");
}

#[test]
fn a_command_queued_before_a_session_is_sent_in_it_and_its_result_is_shown() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "md5", &[]);
    let command = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);

    let check_in =
        site.client(enrolment).check_in_with("1", |_| (200, Some(Data::from("7.1")))).expect("a session");

    assert_eq!(check_in.commands.iter().filter_map(target_of).collect::<Vec<_>>(), ["./DevDetail/SwV"]);
    let shown = finished(&site, &command);
    assert_eq!(shown["state"], "succeeded", "{shown:#}");
    assert_eq!(shown["status"], 200);
    assert_eq!(shown["results"][0]["uri"], "./DevDetail/SwV");
    assert_eq!(shown["results"][0]["data"], "7.1");
    assert_eq!(shown["proof_class"], "md5");
    let events: Vec<_> = shown["timeline"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event["state"].as_str())
        .collect();
    for state in ["queued", "sent", "succeeded"] {
        assert!(events.contains(&state), "{events:?}");
    }
}

#[test]
fn a_command_queued_during_a_session_is_sent_in_the_same_session() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let first = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);
    let client = site.client(enrolment);
    let mut session = client.open("1").expect("a connection");

    let body = session.package_1();
    let package_2 = session.exchange(body).expect("package 2").message.expect("a message");
    let second = queue(&site, "IMEI:1", &["get", "./DevDetail/HwV"]);
    let body = session.answers(&package_2, &mut answered_with_200);
    let next = session.exchange(body).expect("the next message").message.expect("a message");
    let sent: Vec<_> = commands_of(&next).iter().filter_map(target_of).collect();
    let body = session.answers(&next, &mut answered_with_200);
    let last = session.exchange(body).expect("the last message").message.expect("a message");

    assert_eq!(sent, ["./DevDetail/HwV"]);
    assert!(commands_of(&last).is_empty(), "{last:?}");
    assert_eq!(finished(&site, &first)["state"], "succeeded");
    assert_eq!(finished(&site, &second)["state"], "succeeded");
}

#[test]
fn a_command_queued_after_a_session_waits_for_the_next() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "md5", &[]);
    let client = site.client(enrolment);
    assert!(client.check_in("1").expect("a session").authenticated);

    let command = queue(&site, "IMEI:1", &["replace", "./Vendor/MSFT/X", "--data", "1", "--format", "int"]);
    assert_eq!(site.ctl().ok(&["command", "show", &command])["state"], "queued");
    let why = site.ctl().ok(&["why", "IMEI:1"]);
    assert_eq!(why["pending"][0]["command"]["id"], Value::from(command.as_str()), "{why:#}");
    assert!(client.check_in("2").expect("a session").authenticated);

    assert_eq!(finished(&site, &command)["state"], "succeeded");
}

#[test]
fn a_status_that_is_no_success_is_a_failed_command_with_its_status() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let command = queue(&site, "IMEI:1", &["get", "./Nowhere"]);

    let _ = site.client(enrolment).check_in_with("1", |_| (404, None)).expect("a session");

    let shown = finished(&site, &command);
    assert_eq!((&shown["state"], &shown["status"]), (&Value::from("failed"), &Value::from(404)), "{shown:#}");
}

#[test]
fn a_cancelled_command_is_never_sent() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let command = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);

    let _ = site.ctl().ok(&["command", "cancel", &command, "--reason", "not needed"]);
    let check_in = site.client(enrolment).check_in("1").expect("a session");

    assert!(check_in.commands.is_empty(), "{check_in:?}");
    assert_eq!(finished(&site, &command)["state"], "cancelled");
    let again = site.ctl().run(&["command", "cancel", &command]);
    assert_eq!((again.exit, again.slug().as_str()), (1, "wrong-state"), "{again:?}");
}

#[test]
fn a_watch_tells_each_step_as_it_happens_and_ends_with_the_command() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let command = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);
    let mut watch = site.ctl().command(&["command", "watch", &command]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("posternctl starts");

    let _ = site.client(enrolment).check_in("1").expect("a session");

    let status = wait::until("the watch to end", BATCHED, || watch.try_wait().ok().flatten(), || site.logs());
    let mut lines = String::new();
    watch
        .stdout
        .take()
        .expect("stdout was piped")
        .read_to_string(&mut lines)
        .expect("posternctl writes UTF-8");
    assert!(status.success(), "{lines}");
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let names: Vec<_> = events.iter().filter_map(|event| event["state"].as_str()).collect();
    assert_eq!(names.first(), Some(&"queued"), "{lines}");
    assert_eq!(events.last().map(|last| &last["state"]), Some(&Value::from("succeeded")), "{lines}");
}

#[test]
fn a_byte_equal_repeat_of_a_message_gets_the_stored_reply_and_runs_nothing_twice() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let _ = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);
    let client = site.client(enrolment);
    let mut session = client.open("1").expect("a connection");

    let body = session.package_1();
    let octets = session.message(body);
    let first = session.send(&octets).expect("an answer").response;
    let second = session.send(&octets).expect("the same answer").response;

    assert_eq!(first.body, second.body);
}

fn show(site: &Site, device: &str) -> Value {
    site.ctl().ok(&["device", "show", device])
}

/// Queues one command and gives its id.
fn queue(site: &Site, device: &str, command: &[&str]) -> String {
    let operation = site.ctl().ok(&[&["device", "command", device], command].concat());
    operation["commands"][0]["id"].as_str().expect("a queued command has an id").to_owned()
}

/// The command as soon as it is no longer pending.
fn finished(site: &Site, command: &str) -> Value {
    let ended = || {
        let shown = site.ctl().ok(&["command", "show", command]);
        (shown["state"] != "queued" && shown["state"] != "sent").then_some(shown)
    };
    wait::until("the command to finish", BATCHED, ended, || site.logs())
}
