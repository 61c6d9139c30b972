//! Armed: a device whose wipe is not proved done reaches that wipe and nothing else, whatever its certificate says.

use postern_tests::{
    device::Device,
    site::{Plan, READY, Site},
    wait,
    wall::WallClock,
};

use super::{ask, events, seen, show, wait_for, wiped};

/// A site with a device whose wipe has passed its time, and the wipe.
fn armed() -> (Site, Device, String) {
    let site = Site::start(&Plan::default());
    let device = seen(&site, "IMEI:1", "signed");
    let _ = site.ctl().ok(&["settings", "set", "WipeExpirationInterval", "1s"]);
    let id = ask(&site, "IMEI:1");
    let _ = wait_for(&site, &id, "armed");
    (site, device, id)
}

/// The device comes and is wiped, and gets nothing else.
fn comes_and_is_wiped(site: &Site, device: &Device, id: &str) {
    let wiped_now = || {
        let _ = device.check_in(&[]);
        (show(site, id)["state"] == "succeeded").then_some(())
    };
    wait::until("the armed wipe to be done", READY, wiped_now, || {
        format!("{:?}\n{:#}\n{}", events(site, id), show(site, id), site.logs())
    });
    assert_eq!(wiped(device), 1);
}

fn serial(site: &Site) -> String {
    let shown = site.ctl().ok(&["device", "show", "IMEI:1"]);
    shown["certificate"]["serial"].as_str().expect("a certificate").to_owned()
}

#[test]
fn an_armed_device_gets_its_wipe_and_nothing_else_and_the_list_shows_its_age() {
    let (site, device, id) = armed();
    let get = site.ctl().ok(&["device", "command", "IMEI:1", "get", "./DevInfo/Mod"]);
    let listed = site.ctl().ok(&["wipe", "list", "--state", "armed"]);
    assert!(listed[0]["armed_age_s"].is_i64(), "{listed:#}");
    let alarms = site.ctl().ok(&["alarm", "list", "--kind", "wipe-armed"]);
    assert_eq!(alarms.as_array().map(Vec::len), Some(1), "{alarms:#}");
    let alone = site.ctl().run(&["wipe", "cancel", &id]);
    assert_eq!(alone.slug(), "wrong-state", "{alone:?}");

    comes_and_is_wiped(&site, &device, &id);
    let command = get["commands"][0]["id"].as_str().expect("an id");
    assert_ne!(site.ctl().ok(&["command", "show", command])["state"], "succeeded");
    let alarms = site.ctl().ok(&["alarm", "list", "--kind", "wipe-armed"]);
    assert_eq!(alarms.as_array().map(Vec::len), Some(0), "{alarms:#}");
}

#[test]
fn a_revoked_certificate_reaches_the_armed_wipe() {
    let (site, device, id) = armed();
    let serial = serial(&site);
    let _ = site.ctl().ok(&["ca", "revoke", &serial, "--reason", "privilege-withdrawn"]);
    comes_and_is_wiped(&site, &device, &id);
}

#[test]
fn a_certificate_of_a_retired_ca_reaches_the_armed_wipe() {
    let (site, device, id) = armed();
    let _ = site.ctl().ok(&["ca", "roll-over", "device", "start", "--reason", "drill"]);
    let finish = || {
        let ran = site.ctl().run(&["ca", "roll-over", "device", "finish", "--force", "--reason", "drill"]);
        (ran.exit == 0).then_some(())
    };
    wait::until("the roll-over to be finished", READY * 3, finish, || site.logs());
    comes_and_is_wiped(&site, &device, &id);
}

#[test]
fn an_expired_certificate_reaches_the_armed_wipe_and_nothing_else_does() {
    let clock = WallClock::new();
    let short = [("POSTERN_DEVICES_CERTIFICATE_DAYS", "2")];
    let site = Site::start(&Plan { clock: Some(&clock), core_settings: &short, ..Plan::default() });
    let device = seen(&site, "IMEI:1", "signed");
    let other = seen(&site, "IMEI:2", "signed");
    let _ = site.ctl().ok(&["settings", "set", "WipeExpirationInterval", "1s"]);
    let id = ask(&site, "IMEI:1");
    let _ = wait_for(&site, &id, "armed");
    clock.set(3 * 86_400);
    let refused = other.check_in(&[]);
    assert_ne!(refused.exit, 0, "its certificate has expired: {refused:?}");
    comes_and_is_wiped(&site, &device, &id);
    assert_ne!(other.check_in(&[]).exit, 0);
    assert_eq!(wiped(&other), 0);
}

#[test]
fn the_same_hardware_enrolled_anew_never_inherits_an_armed_wipe() {
    let (site, _, id) = armed();
    let out = site.path("anew.json");
    let csr = site.path("IMEI_1-state/device.csr");
    let args = [
        "device",
        "re-enrol",
        "IMEI:1",
        "--device-id",
        "IMEI:1",
        "--auth",
        "signed",
        "--csr",
        &csr.to_string_lossy(),
        "--out",
        &out.to_string_lossy(),
    ];
    let ran = site.ctl().run(&args);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let over = show(&site, &id);
    assert_eq!(over["state"], "in-doubt", "{over:#}");
    assert_eq!(site.ctl().ok(&["wipe", "list", "--outstanding"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn with_the_originals_settings_a_wipe_that_expires_revokes_the_enrolment() {
    let site = Site::start(&Plan::default());
    let _device = seen(&site, "IMEI:1", "signed");
    let _ = site.ctl().ok(&["settings", "set", "WipeExpirationInterval", "1s"]);
    let _ = site.ctl().ok(&["settings", "set", "WipeStaysArmed", "off"]);
    let id = ask(&site, "IMEI:1");
    let _ = wait_for(&site, &id, "expired");
    assert_eq!(site.ctl().ok(&["device", "show", "IMEI:1"])["state"], "retired");
    assert_eq!(site.ctl().run(&["wipe", "cancel", &id]).slug(), "wrong-state");
}
