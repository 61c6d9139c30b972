//! Lock and unlock on our device: by signed orders, with the state that is read from it after, and people told once.

use postern_tests::site::{Plan, READY, Site};
use postern_tests::wait;
use serde_json::Value;

use super::seen;

/// What the site's stream has of events of this kind.
fn told(site: &Site, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path("events.jsonl")).unwrap_or_default();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    all.filter(|event| event["type"] == kind).collect()
}

#[test]
fn our_device_locks_and_unlocks_by_order_and_people_are_told_once_by_the_state_that_was_read() {
    let mut site = Site::make(&Plan::default());
    let config = site.path("state/core.toml");
    let mut text = std::fs::read_to_string(&config).expect("the configuration");
    text.push_str(&format!("\n[stream]\nfile = \"{}\"\n", site.path("events.jsonl").display()));
    std::fs::write(&config, text).expect("the configuration");
    site.start_gateway();
    site.start_core();
    site.wait_ready();
    let device = seen(&site, "IMEI:1", "signed");
    let state = || {
        let read = site.ctl().ok(&["device", "command", "IMEI:1", "get", "./LAWMO/State"]);
        let id = read["commands"][0]["id"].as_str().expect("an id").to_owned();
        let ran = device.check_in(&[]);
        assert_eq!(ran.exit, 0, "{ran:?}\n{}", site.logs());
        let shown = site.ctl().ok(&["command", "show", &id]);
        shown["results"][0]["data"].as_str().unwrap_or_default().to_owned()
    };
    let dry = site.ctl().ok(&["lock", "IMEI:1", "--reason", "look", "--dry-run"]);
    assert_eq!(dry["outcome"], "would-go", "{dry:#}");
    assert_eq!(state(), "30", "nothing was done");

    for (action, code, said) in [
        (&["lock", "IMEI:1"][..], "10", Some("fully-locked")),
        (&["unlock", "IMEI:1"][..], "30", None),
        (&["lock", "IMEI:1", "--partial"][..], "20", Some("partially-locked")),
        (&["unlock", "IMEI:1"][..], "30", None),
    ] {
        let before = told(&site, "device-locked").len();
        let _ = site.ctl().ok(&[action, &["--reason", "left in a taxi"]].concat());
        assert_eq!(device.check_in(&[]).exit, 0, "{}", site.logs());
        assert_eq!(state(), code, "{action:?}");
        let Some(said) = said else { continue };
        let one = || (told(&site, "device-locked").len() == before + 1).then_some(());
        wait::until("people to be told", READY, one, || site.logs());
        let event = told(&site, "device-locked").pop().expect("an event");
        assert_eq!(
            (event["data"]["state"].as_str(), event["data"]["evidence"].as_str()),
            (Some(said), Some("read from the device")),
            "{event:#}"
        );
        assert_eq!(event["data"]["by"], "admin");
    }
    assert_eq!(told(&site, "device-locked").len(), 2, "no unlock is told as a lock, and no lock twice");
}

#[test]
fn a_device_that_refuses_to_lock_is_told_to_nobody_as_locked() {
    let mut site = Site::make(&Plan::default());
    let config = site.path("state/core.toml");
    let mut text = std::fs::read_to_string(&config).expect("the configuration");
    text.push_str(&format!("\n[stream]\nfile = \"{}\"\n", site.path("events.jsonl").display()));
    std::fs::write(&config, text).expect("the configuration");
    site.start_gateway();
    site.start_core();
    site.wait_ready();
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let (other, _) = site.enrol("IMEI:2", "basic", &[]);
    let (refuses, unlocked) = (site.client(enrolment), site.client(other));
    let _ = site.ctl().ok(&["lock", "IMEI:1", "IMEI:2", "--reason", "a burglary"]);
    let _ = refuses.check_in_with("1", |_| (500, None)).expect("a session");
    // One that says 200 and is found unlocked.
    let _ = unlocked.check_in_with("1", |_| (200, Some("30".into()))).expect("a session");
    // A third one that has no state to read counts by its word, which is named as that.
    let (third, _) = site.enrol("IMEI:3", "basic", &[]);
    let third = site.client(third);
    let _ = site.ctl().ok(&["lock", "IMEI:3", "--reason", "a burglary"]);
    let reads =
        |command: &postern_wire::syncml::Command| matches!(command, postern_wire::syncml::Command::Get(_));
    let _ = third
        .check_in_with("1", |command| (if reads(command) { 404 } else { 200 }, None))
        .expect("a session");
    let one = || (told(&site, "device-locked").len() == 1).then_some(());
    wait::until("people to be told", READY, one, || site.logs());
    let event = told(&site, "device-locked").pop().expect("an event");
    assert_eq!(event["data"]["evidence"], "acknowledged", "{event:#}");
    assert_eq!(event["data"]["device_id"], "IMEI:3", "{event:#}");
}
