//! Yesterday's backup after a finished wipe: nothing is wiped again, and people see that nobody knows.

use postern_tests::{
    dm_client::target_of,
    site::{Plan, READY, Site},
    wait,
};

use super::{ask, events, seen, show, wiped};

#[test]
fn a_backup_from_before_the_end_of_a_wipe_wipes_nothing_again() {
    let mut site = Site::start(&Plan::default());
    let device = seen(&site, "IMEI:1", "signed");
    let (enrolment, _) = site.enrol("IMEI:2", "basic", &[]);
    let client = site.client(enrolment);
    let (ours, lawmo) = (ask(&site, "IMEI:1"), ask(&site, "IMEI:2"));
    let path = |name: &str| site.path(name).display().to_string();
    let (backup, config, state, key) =
        (path("backup"), path("state/core.toml"), path("restored"), path("state/keys/master.key"));
    let made = site.core_tool(&["backup", "--config", &config, "--output", &backup]);
    assert_eq!(made.exit, 0, "{made:?}");

    // After the backup both wipes go out; one is proved done, the other acknowledged.
    let done = || {
        let _ = device.check_in(&[]);
        (show(&site, &ours)["state"] == "succeeded").then_some(())
    };
    wait::until("the wipe to be done", READY, done, || site.logs());
    let _ = client.check_in("1").expect("a session");
    assert_eq!(show(&site, &lawmo)["state"], "accepted");
    assert_eq!(wiped(&device), 1);

    site.stop_core();
    let args =
        ["restore", "--from", &backup, "--state", &state, "--master-key", &key, "--reason", "the disk"];
    let restored = site.core_tool(&args);
    assert_eq!(restored.exit, 0, "{restored:?}");
    site.run_core_from("restored");
    site.start_core();
    site.wait_ready();

    for id in [&ours, &lawmo] {
        let doubt = || (show(&site, id)["state"] == "in-doubt").then_some(());
        wait::until("the wipe to be in doubt", READY, doubt, || site.logs());
        assert!(events(&site, id).contains(&"restore".to_owned()));
    }
    let alarms = site.ctl().ok(&["alarm", "list", "--kind", "wipe-in-doubt"]);
    assert_eq!(alarms.as_array().map(Vec::len), Some(2), "{alarms:#}");
    let quiet = |session: &str| {
        let _ = device.check_in(&[]);
        let asked = client.check_in(session).expect("a session");
        let wipe = asked.commands.iter().filter_map(target_of).any(|uri| uri.contains("FactoryReset"));
        assert!(!wipe, "{asked:?}");
        assert_eq!(wiped(&device), 1, "wiped once, before the disk died");
    };
    quiet("2");
    let released = site.ctl().ok(&["server", "release", "--reason", "looked at every order"]);
    assert!(released.is_object(), "{released:#}");
    quiet("3");
    for id in [&ours, &lawmo] {
        assert_eq!(show(&site, id)["state"], "in-doubt");
    }
    // Who wants it still asks anew, and that is a wipe of its own.
    let (enrolment, _) = site.enrol("IMEI:3", "basic", &[]);
    let fresh = site.client(enrolment);
    let _ = ask(&site, "IMEI:3");
    let asked = fresh.check_in("1").expect("a session");
    assert!(asked.commands.iter().filter_map(target_of).any(|uri| uri.contains("FactoryReset")), "{asked:?}");
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0);
}
