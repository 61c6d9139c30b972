//! Wipes on real parts: the order, the device, the gateway's list, the proof; and what fails in between.
#![forbid(unsafe_code)]

mod armed;
mod clocks;
mod faults;
mod glass;
mod locks;
mod mails;
mod orders;
mod restored;
mod revoked;
mod walk;

use postern_tests::{
    device::Device,
    site::{GATEWAY, Plan, READY, Site},
    wait,
};
use serde_json::Value;

/// A device of ours that was seen once, so that its maker is known.
pub(crate) fn seen(site: &Site, device_id: &str, auth: &str) -> Device {
    let device = site.device(device_id, auth);
    let ran = device.check_in(&[]);
    assert_eq!(ran.exit, 0, "{:?} {}", ran.events, ran.err);
    device
}

/// Asks for a full wipe; gives its id.
pub(crate) fn ask(site: &Site, device_id: &str) -> String {
    let args = ["wipe", "request", device_id, "--kind", "full", "--lost", "--reason", "left in a taxi"];
    let asked = site.ctl().ok(&args);
    asked["wipes"][0]["id"].as_str().expect("an id").to_owned()
}

pub(crate) fn show(site: &Site, id: &str) -> Value {
    site.ctl().ok(&["wipe", "show", id])
}

pub(crate) fn wait_for(site: &Site, id: &str, state: &str) -> Value {
    let there = || Some(show(site, id)).filter(|shown| shown["state"] == state);
    wait::until(&format!("the wipe to be {state}"), READY, there, || {
        format!("{:#}\n{}", show(site, id), site.logs())
    })
}

/// How often the device was wiped, as it says itself.
pub(crate) fn wiped(device: &Device) -> usize {
    let text = std::fs::read_to_string(device.state.join("state.json")).expect("the device's state");
    let state: Value = serde_json::from_str(&text).expect("JSON");
    state["wipes"].as_array().map_or(0, Vec::len)
}

/// The steps of a wipe, by what happened.
pub(crate) fn events(site: &Site, id: &str) -> Vec<String> {
    let explained = site.ctl().ok(&["wipe", "explain", id]);
    let steps = explained["steps"].as_array().cloned().unwrap_or_default();
    steps.iter().map(|step| step["event"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_stranger_is_led_from_the_order_to_the_proof() {
    let site = Site::start(&Plan::default());
    let device = seen(&site, "IMEI:1", "signed");
    let _ = site.ctl().ok(&["device", "command", "IMEI:1", "get", "./DevInfo/Mod"]);

    let dry = ["wipe", "request", "IMEI:1", "--kind", "full", "--reason", "look", "--dry-run"];
    let would = site.ctl().ok(&dry);
    assert_eq!(would["wipes"][0]["way"], "postern-wipe", "{would:#}");
    assert_eq!(site.ctl().ok(&["wipe", "list"]).as_array().map(Vec::len), Some(0), "nothing was done");
    let impossible = ["wipe", "request", "IMEI:1", "--kind", "protected", "--reason", "x"];
    assert_eq!(site.ctl().run(&impossible).slug(), "wipe-impossible");
    let raw = ["device", "command", "IMEI:1", "exec", "./Vendor/Postern/Wipe/Run", "--data", "x"];
    assert_eq!(site.ctl().run(&raw).slug(), "reserved-uri");

    let id = ask(&site, "IMEI:1");
    let twice = ["wipe", "request", "IMEI:1", "--kind", "full", "--reason", "again"];
    assert_eq!(site.ctl().run(&twice).slug(), "wipe-outstanding");
    let explained = site.ctl().ok(&["wipe", "explain", &id]);
    assert!(explained["findings"].to_string().contains("next session"), "{explained:#}");
    let _ = device.check_in(&[]);

    let done = wait_for(&site, &id, "succeeded");
    assert_eq!((done["evidence"].as_str(), done["status"].as_i64()), (Some("acknowledged"), Some(200)));
    assert_eq!(wiped(&device), 1);
    let listed =
        || Some(show(&site, &id)).filter(|shown| shown["stamps"]["gateways"][0]["gateway"] == GATEWAY);
    let shown = wait::until("the gateway to have it on its list", READY, listed, || site.logs());
    assert_eq!(shown["stamps"]["gateways"][0]["verdict"], "refuse");
    for stamp in ["requested", "approved", "delivered", "device_ack", "ended", "revoked"] {
        assert!(shown["stamps"][stamp].is_string(), "{stamp}: {shown:#}");
    }
    assert_ne!(device.check_in(&[]).exit, 0, "its enrolment is revoked");
    let gone = site.ctl().run(&["wipe", "request", "IMEI:1", "--kind", "full", "--reason", "again"]);
    assert_eq!(gone.slug(), "wrong-state", "{gone:?}");

    let (out, key) = (site.path("proof.json"), site.path("audit.pub"));
    let verified = site.ctl().ok(&["audit", "verify"]);
    std::fs::write(&key, verified["public_key_pem"].as_str().expect("a key")).expect("written");
    let args =
        ["wipe", "proof", &id, "--out", &out.to_string_lossy(), "--public-key", &key.to_string_lossy()];
    let proof = site.ctl().run(&args);
    assert_eq!(proof.exit, 0, "{proof:?}");
    let proof: Value = serde_json::from_str(&site.read("proof.json")).expect("a proof");
    assert!(proof["document"]["claim"].as_str().is_some_and(|claim| claim.contains("acknowledged")));
    assert!(proof["document"]["steps"].to_string().contains("exchange"), "{proof:#}");
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0);
}

#[test]
fn a_device_is_found_by_any_identity_and_what_fits_several_is_refused_with_their_list() {
    let site = Site::start(&Plan::default());
    let _ = site.enrol("IMEI:1", "md5", &["--owner", "ada@example.org", "--name", "ada's first"]);
    let _ = site.enrol("IMEI:2", "md5", &["--owner", "ada@example.org", "--name", "ada's second"]);
    let _ = site.enrol("IMEI:3", "md5", &["--owner", "bob@example.org"]);
    let ask =
        |who: &str| site.ctl().run(&["wipe", "request", who, "--kind", "full", "--reason", "x", "--dry-run"]);
    let several = ask("ada@example.org");
    assert_eq!(several.slug(), "ambiguous-device", "{several:?}");
    assert!(several.err.contains("IMEI:1") && several.err.contains("IMEI:2"), "{several:?}");
    for one in ["bob@example.org", "IMEI:2", "ada's first"] {
        assert_eq!(ask(one).exit, 0, "{one}");
    }
    assert_eq!(ask("nobody").slug(), "not-found");
    let unreasoned = site.ctl().run(&["wipe", "request", "IMEI:1", "--kind", "full", "--reason", " "]);
    assert_eq!(unreasoned.exit, 2, "{unreasoned:?}");
}

#[test]
fn a_private_devices_group_leaves_the_selective_wipe_only() {
    let site = Site::start(&Plan::default());
    let device = seen(&site, "IMEI:1", "md5");
    let _ = site.ctl().ok(&["group", "create", "private"]);
    let _ = site.ctl().ok(&["group", "add", "private", "IMEI:1"]);
    for kind in ["Full", "KeepUserData", "KeepProvisioning", "Protected"] {
        let name = format!("WipeAllow{kind}");
        let _ = site.ctl().ok(&["settings", "set", &name, "off", "--group", "private"]);
    }
    let full = site.ctl().run(&["wipe", "request", "IMEI:1", "--kind", "full", "--reason", "x"]);
    assert_eq!(full.slug(), "wipe-impossible", "{full:?}");
    let asked = site.ctl().ok(&["wipe", "request", "IMEI:1", "--kind", "selective", "--reason", "left us"]);
    let id = asked["wipes"][0]["id"].as_str().expect("an id").to_owned();
    let _ = device.check_in(&[]);
    let done = wait_for(&site, &id, "succeeded");
    assert_eq!(done["evidence"], "acknowledged", "{done:#}");
    assert_eq!(site.ctl().ok(&["device", "show", "IMEI:1"])["state"], "retired");
}

#[test]
fn the_machine_prints_its_edges() {
    let site = Site::make(&Plan::default());
    let edges = site.ctl().ok(&["engine", "edges", "wipe"]);
    let edges = edges.as_array().expect("a list");
    assert!(edges.len() > 50, "{}", edges.len());
    let armed = edges.iter().filter(|edge| edge["from"] == "armed" && edge["event"] == "cancel").count();
    assert_eq!(armed, 0, "nobody takes an armed wipe back alone");
}
