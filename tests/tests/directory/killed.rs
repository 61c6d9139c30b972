//! A domain controller that is held, or killed, in the middle of a reading: what was read before stays in force, whole, and says so.

use std::time::Duration;

use postern_tests::{
    proxy::{FaultProxy, Faults},
    samba::Samba,
    wait,
};
use serde_json::Value;

use crate::in_a_core::{Place, Ran, populate};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_controller_that_dies_in_the_middle_of_a_reading_takes_nothing_away() {
    let mut samba = Samba::start();
    populate(&samba);
    // So slow that there is a middle, and so that each page is asked for by itself.
    let proxy = FaultProxy::before(samba.ldaps());
    let place = Place::start(&samba, |config| {
        let directory = config.directory.as_mut().expect("a directory");
        directory.servers = vec![format!("ldaps://{}", proxy.address())];
        (directory.page, directory.answer_ms) = (3, 5_000);
    });
    is_good(&place);
    place.ctl(&["device", "enrol", "--device-id", "urn:1", "--auth", "md5", "--name", "phone1"]);
    let from = proxy.octets().1;
    let good = place.ctl(&["directory", "refresh", "--whole"])["directory"].clone();
    let whole = proxy.octets().1 - from;

    let held = refreshed(&place, &proxy, whole, || samba.signal("STOP"));
    keeps(&place, &held, &good);
    samba.signal("CONT");
    is_good(&place);

    let killed = refreshed(&place, &proxy, whole, || samba.signal("KILL"));
    keeps(&place, &killed, &good);
    samba.again();
    is_good(&place);
    let read = place.ctl(&["directory", "refresh", "--whole"]);
    assert_eq!(read["directory"]["entries"], good["entries"], "{read}");
}

/// A whole reading, in the middle of which something happens.
fn refreshed(place: &Place, proxy: &FaultProxy, whole: u64, happens: impl FnOnce()) -> Ran {
    let from = proxy.octets().1;
    proxy.set(Faults { octets_per_second: Some(whole / 4), ..Faults::default() });
    let ran = std::thread::scope(|scope| {
        let reading = scope.spawn(|| place.ctl_as("admin.token", &["directory", "refresh", "--whole"]));
        let half = || (proxy.octets().1 - from > whole / 2).then_some(());
        wait::until("half of the reading", LIMIT, half, String::new);
        happens();
        reading.join().expect("posternctl's thread")
    });
    proxy.set(Faults::default());
    ran
}

/// The reading failed and says so; what was read before is in force.
fn keeps(place: &Place, failed: &Ran, good: &Value) {
    assert_eq!((failed.exit, &failed.out["look"]), (1, &"failed".into()), "{} {}", failed.out, failed.err);
    let state = &failed.out["directory"];
    assert_eq!(state["state"], "stale", "{state}");
    assert!(!state["trouble"]["error"].is_null(), "{state}");
    for what in ["entries", "computers", "users", "groups", "gpos", "containers"] {
        assert_eq!(state[what], good[what], "{what}: {state}");
    }
    let bound = place.ctl(&["device", "binding", "phone1"]);
    assert_eq!(bound["computer"]["how"], "name", "{bound}");
}

fn is_good(place: &Place) {
    let good = || {
        let looked = place.ctl_as("admin.token", &["directory", "refresh"]);
        (looked.exit == 0).then_some(())
    };
    wait::until("the directory to be read", LIMIT, good, || place.directory().to_string());
}
