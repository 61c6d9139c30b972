//! Wall clocks that are set: a day forward and a day back take no wipe away and send none twice; a request that expired is
//! not agreed to.

use postern_tests::{
    ctl::Ctl,
    site::{Plan, READY, Site},
    wait,
    wall::WallClock,
};
use serde_json::Value;

use super::{ask, events, seen, show, wait_for, wiped};

const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;

/// A site by a clock of its own.
pub(crate) fn site(clock: &WallClock) -> Site {
    Site::start(&Plan { clock: Some(clock), ..Plan::default() })
}

/// Another admin with a token of its own.
pub(crate) fn person(site: &Site, name: &str, role: &str) -> Ctl {
    let made = site.ctl().ok(&["admin", "create", name, "--role", role]);
    assert_eq!(made["name"], name, "{made:#}");
    let token = site.path(&format!("{name}.token"));
    let token = token.to_string_lossy();
    let _ = site.ctl().ok(&["token", "create", "test", "--admin", name, "--out", &token]);
    Ctl { token_file: token.as_ref().into(), ..site.ctl() }
}

/// Sets the clock, and waits until the core says that it was set.
fn jump(site: &Site, clock: &WallClock, seconds: i64) {
    let before = site.ctl().run(&["status"]).json()["now"].as_str().map(str::to_owned);
    clock.set(seconds);
    let noticed = || {
        let status = site.ctl().run(&["status"]).json();
        let told = status["problems"].to_string().contains("clock jumped");
        (told && status["now"].as_str().map(str::to_owned) != before).then_some(())
    };
    wait::until("the jump to be noticed", READY, noticed, || site.logs());
}

#[test]
fn a_clock_that_jumps_a_day_either_way_ends_no_wipe_and_holds_up_no_order() {
    let clock = WallClock::new();
    // Two days ahead, so that a day back is no day before the certificates.
    clock.set(2 * DAY_S);
    let site = site(&clock);
    for setting in ["WipeExpirationInterval", "WipeSilence", "WipeRetryWait"] {
        let _ = site.ctl().ok(&["settings", "set", setting, "1h"]);
    }
    let pending = seen(&site, "IMEI:1", "signed");
    let (accepts, refuses) = (scripted(&site, "IMEI:2"), scripted(&site, "IMEI:3"));
    let wipes = ["IMEI:1", "IMEI:2", "IMEI:3"].map(|device| ask(&site, device));
    let _ = accepts.check_in_with("1", |_| (202, None)).expect("a session");
    let _ = refuses.check_in_with("1", |_| (500, None)).expect("a session");
    let states =
        || wipes.each_ref().map(|id| show(&site, id)["state"].as_str().unwrap_or_default().to_owned());
    assert_eq!(states(), ["pending", "accepted", "retrying"]);

    for (number, seconds) in [(4, 3 * DAY_S), (5, 2 * DAY_S), (6, DAY_S), (7, 2 * DAY_S)] {
        jump(&site, &clock, seconds);
        // What a person orders now goes all the way, so the supervisor has looked at everything meanwhile.
        let name = format!("IMEI:{number}");
        // A signature from before the core's start is never believed, because it may have been seen before that: behind a
        // clock that was set back, signed devices wait for the core to be started again.
        let is_before_start = seconds < 2 * DAY_S;
        if is_before_start {
            assert_ne!(site.device(&format!("IMEI:{number}-signed"), "signed").check_in(&[]).exit, 0);
        }
        let device = seen(&site, &name, if is_before_start { "md5" } else { "signed" });
        let id = ask(&site, &name);
        let done = || {
            let _ = device.check_in(&[]);
            (show(&site, &id)["state"] == "succeeded").then_some(())
        };
        wait::until("a wipe that was ordered now", READY, done, || site.logs());
        assert_eq!(wiped(&device), 1);
        assert_eq!(states(), ["pending", "accepted", "retrying"], "after a jump to {seconds} s");
    }
    let comes = || {
        let _ = pending.check_in(&[]);
        (show(&site, &wipes[0])["state"] == "succeeded").then_some(())
    };
    wait::until("the wipe from before the jumps", READY, comes, || site.logs());
    assert_eq!(wiped(&pending), 1);
    assert_eq!(events(&site, &wipes[0]).iter().filter(|event| *event == "issue").count(), 1);
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0);
}

fn scripted(site: &Site, device_id: &str) -> postern_tests::dm_client::DmClient {
    let (enrolment, _) = site.enrol(device_id, "basic", &[]);
    site.client(enrolment)
}

#[test]
fn a_request_that_expired_is_agreed_to_by_nobody_and_sends_nothing() {
    let clock = WallClock::new();
    let site = site(&clock);
    let bob = person(&site, "bob", "device-admin");
    let names: Vec<String> = (1..=6).map(|number| format!("IMEI:{number}")).collect();
    let clients: Vec<_> = names.iter().map(|name| scripted(&site, name)).collect();
    // Bob is older than a day, and so is his token.
    clock.set(DAY_S + HOUR_S);
    let mut args = vec!["wipe", "request", "--kind", "full", "--reason", "a burglary"];
    args.extend(names.iter().map(String::as_str));
    let asked = site.ctl().ok(&args);
    let approval = asked["approval"].as_str().expect("it needs another person").to_owned();
    let id = asked["wipes"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(show(&site, &id)["state"], "awaiting-approval");
    let hash = bob.ok(&["approval", "show", &approval])["hash"].as_str().expect("a hash").to_owned();

    // A day and an hour after it was asked: its 24 hours are over, whether or not that was looked at.
    clock.set(2 * (DAY_S + HOUR_S));
    for args in [
        &["approval", "approve", &approval, "--hash", &hash][..],
        &["wipe", "approve", &id, "--reason", "yes"][..],
    ] {
        let late = bob.run(args);
        assert_eq!(late.slug(), "approval-refused", "{late:?}");
    }
    for client in &clients {
        let check_in = client.check_in("1").expect("a session");
        let wiped = check_in.commands.iter().any(|command| {
            postern_tests::dm_client::target_of(command).is_some_and(|uri| uri.contains("FactoryReset"))
        });
        assert!(!wiped, "{check_in:?}");
    }
    let states: Vec<Value> = site.ctl().ok(&["wipe", "list"]).as_array().cloned().unwrap_or_default();
    assert_eq!(states.len(), 6);
    for wipe in &states {
        // The clock was set: because of a time alone nothing ends before that has stood for ten minutes.
        assert_eq!(wipe["state"], "awaiting-approval", "{wipe:#}");
    }
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0);
}

#[test]
fn whom_one_token_made_within_a_day_is_not_the_second_of_two() {
    let clock = WallClock::new();
    let site = site(&clock);
    let device = seen(&site, "IMEI:1", "signed");
    let _ = site.ctl().ok(&["settings", "set", "WipeExpirationInterval", "1s"]);
    let id = ask(&site, "IMEI:1");
    let _ = wait_for(&site, &id, "armed");
    let disarm = |ctl: &Ctl| ctl.run(&["wipe", "disarm", &id, "--reason", "found"]);
    // The admin's token makes an accomplice: as the first of the two, and as the second.
    let made = person(&site, "made", "security-admin");
    let first = disarm(&made);
    assert_eq!(first.slug(), "approval-refused", "{first:?}");
    assert_eq!(disarm(&site.ctl()).json()["state"], "armed");
    let second = disarm(&made);
    assert_eq!(second.slug(), "approval-refused", "{second:?}");
    let again = disarm(&site.ctl());
    assert_eq!(again.slug(), "same-person", "{again:?}");

    // A day later everybody has had the time to see who was made.
    clock.set(DAY_S + HOUR_S);
    let done = disarm(&made);
    assert_eq!(done.json()["state"], "cancelled", "{done:?}");
    let served = || (device.check_in(&[]).exit == 0).then_some(());
    wait::until("the device to be served again", READY, served, || site.logs());
    assert_eq!(wiped(&device), 0);
}
