//! The schedule, the first session and the live inspector through the real binaries.
#![forbid(unsafe_code)]

use std::time::Duration;

use postern_tests::{
    site::{Plan, Site},
    wait,
};
use serde_json::Value;

/// How long the core may take until something that it does in batches can be seen.
const BATCHED: Duration = Duration::from_secs(15);
/// The first session as an operator has it by default.
const AS_INSTALLED: &[(&str, &str)] = &[("POSTERN_DEVICES_READ_CONFIGURATION", "true")];

#[test]
fn our_device_learns_its_interval_in_its_first_session_and_again_after_a_change() {
    let site = Site::start(&Plan { core_settings: AS_INSTALLED, ..Plan::default() });
    let ctl = site.ctl();
    let set = ctl.ok(&["settings", "set", "ConnectInterval", "2h"]);
    assert_eq!((&set["value"], &set["from"]), (&Value::from("2h"), &Value::from("global")));
    let device = site.device("urn:uuid:1", "md5");
    assert_eq!(ctl.ok(&["device", "show", "urn:uuid:1"])["stage"], "enrolled");

    let ran = device.check_in(&[]);

    assert_eq!(ran.exit, 0, "{ran:?}\n{}", site.logs());
    let shown = ctl.ok(&["device", "show", "urn:uuid:1"]);
    assert_eq!((&shown["state"], &shown["stage"]), (&Value::from("managed"), &Value::from("managed")));
    let schedule = &shown["schedule"];
    assert_eq!(
        (&schedule["told"], &schedule["interval"]),
        (&Value::from("acknowledged"), &Value::from("2h"))
    );
    let facts = shown["facts"].as_array().expect("facts");
    assert!(facts.iter().any(|fact| fact["key"] == "./DevDetail/SwV"), "{shown:#}");

    let _ = ctl.ok(&["settings", "set", "ConnectInterval", "15m", "--device", "urn:uuid:1"]);
    assert_eq!(device.check_in(&[]).exit, 0);
    let schedule = &ctl.ok(&["device", "show", "urn:uuid:1"])["schedule"];
    assert_eq!(
        (&schedule["told"], &schedule["interval"]),
        (&Value::from("acknowledged"), &Value::from("15m"))
    );
    let why = ctl.ok(&["settings", "get", "ConnectInterval", "--device", "urn:uuid:1"]);
    assert_eq!(why["because"], "set for this device by admin:admin; it wins over 1 other value");
    let refused = ctl.run(&["settings", "set", "ConnectInterval", "59s"]);
    assert_eq!((refused.exit, refused.slug().as_str()), (2, "invalid-request"));
}

#[test]
fn a_recorded_session_is_shown_decoded_with_its_decisions_and_without_its_secrets() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let device = site.device("urn:uuid:1", "basic");
    let _ = ctl.ok(&["device", "command", "urn:uuid:1", "get", "./DevInfo/Mod"]);
    let _ = ctl.run(&["session", "record", "urn:uuid:1", "--next", "1"]);
    assert_eq!(device.check_in(&["--encoding", "wbxml"]).exit, 0);

    let watched = ctl.run(&["session", "watch", "urn:uuid:1", "--count", "2"]);

    assert_eq!(watched.exit, 0, "{watched:?}");
    let exchanges: Vec<Value> =
        watched.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let first = &exchanges[0];
    let said = first["request"]["syncml"].as_str().expect("decoded");
    assert!(said.contains("./DevInfo/Man") && said.contains("(masked)"), "{said}");
    assert!(first["answer"]["syncml"].as_str().expect("decoded").contains("<SyncHdr>"), "{first:#}");
    assert!(!first["decisions"].as_array().expect("decisions").is_empty(), "{first:#}");
    let enrolment: Value =
        serde_json::from_slice(&std::fs::read(&device.enrolment).expect("its file")).expect("JSON");
    let user = enrolment["user"].as_str().expect("a user");
    for secret in ["password", "server_password"].map(|name| enrolment[name].as_str().expect("a secret")) {
        let basic = postern_wire::auth::basic(user, secret);
        assert!(!watched.out.contains(secret) && !watched.out.contains(&basic), "a secret is shown");
    }
    let audit = ctl.ok(&["audit", "list"]);
    let actions: Vec<_> = audit.as_array().expect("rows").iter().map(|row| &row["action"]).collect();
    assert!(actions.contains(&&Value::from("sessions.watch")), "{actions:?}");
    // The session's record is written in batches after the answer.
    let listed = || {
        let sessions = ctl.ok(&["session", "list", "urn:uuid:1"]);
        sessions.as_array().is_some_and(|sessions| !sessions.is_empty()).then_some(())
    };
    wait::until("the session in the list", BATCHED, listed, || site.logs());
}
