//! Mail of a wipe on a running site, through a real mail server: who gets what and when, and what becomes of it while
//! the server is away, defers, refuses, or breaks off after it took the mail. No event goes to anybody twice.

use std::{collections::BTreeMap, time::Duration};

use postern_tests::{
    device::Device,
    exim::{Exim, Verdicts},
    proxy::{FaultProxy, Faults},
    site::{Plan, READY, Site},
    wait,
    wall::WallClock,
};
use serde_json::Value;

use super::{ask, seen, show};

const HOUR_S: i64 = 3_600;

/// A site that mails by this server, and by what stands before it.
fn site(exim: &Exim, port: u16, clock: Option<&WallClock>) -> Site {
    let mut site = Site::make(&Plan { clock, ..Plan::default() });
    exim.set_up(&site.path("state"), port);
    site.start_gateway();
    site.start_core();
    site.wait_ready();
    let ctl = site.ctl();
    let _ = ctl.ok(&["mail", "address", "set", "admin:admin", "anna@corp.example"]);
    site
}

/// A device of an owner, seen once.
fn owned(site: &Site, device_id: &str, owner: &str) -> Device {
    let device = seen(site, device_id, "signed");
    let _ = site.ctl().ok(&["device", "update", device_id, "--owner", owner]);
    device
}

fn is_wiped(site: &Site, device: &Device, id: &str) {
    let done = || {
        let _ = device.check_in(&[]);
        (show(site, id)["state"] == "succeeded").then_some(())
    };
    wait::until("the wipe to be done", READY, done, || site.logs());
}

/// Deliveries about a wipe: (kind, target) and where each stands.
fn deliveries(site: &Site, id: &str) -> BTreeMap<(String, String), Value> {
    let rows = site.ctl().ok(&["mail", "outbox", "--subject", &format!("wipe:{id}"), "--limit", "100"]);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let rows = rows.as_array().cloned().unwrap_or_default();
    rows.into_iter().map(|row| ((text(&row, "kind"), text(&row, "target")), row)).collect()
}

/// Waits until all deliveries about a wipe stand so.
fn wait_all(site: &Site, exim: &Exim, id: &str, state: &str) {
    let all = || {
        let rows = deliveries(site, id);
        (!rows.is_empty() && rows.values().all(|row| row["state"] == state)).then_some(())
    };
    let why = || format!("{:#?}\n{}\n{}", deliveries(site, id), exim.logs(), site.logs());
    wait::until(&format!("the mails of the wipe to be {state}"), READY * 3, all, why);
}

/// Recipients and subjects without what follows the title.
fn inbox(exim: &Exim, title: &str) -> Vec<String> {
    let mails = exim.mails().into_iter().filter(|(_, subject)| subject.contains(title));
    mails.map(|(to, _)| to.trim_matches(['<', '>']).to_owned()).collect()
}

#[test]
fn from_the_request_to_success_everybody_is_told_once_and_the_owner_of_a_lost_device_at_the_end() {
    let exim = Exim::running();
    let site = site(&exim, exim.address().port(), None);
    let device = owned(&site, "IMEI:1", "ada@corp.example");
    let id = ask(&site, "IMEI:1");
    let asked = || (inbox(&exim, "Wipe requested").len() == 2).then_some(());
    wait::until("the mails of the request", READY, asked, || exim.logs());
    assert_eq!(inbox(&exim, "Wipe requested"), ["anna@corp.example", "security@corp.example"]);
    let held = deliveries(&site, &id);
    assert_eq!(held[&("wipe-requested".to_owned(), "ada@corp.example".to_owned())]["state"], "held");

    is_wiped(&site, &device, &id);
    wait_all(&site, &exim, &id, "delivered");
    let everybody = ["ada@corp.example", "anna@corp.example", "security@corp.example"];
    let there = || (inbox(&exim, "Wipe complete").len() == 3).then_some(());
    wait::until("the mails to stand in the mailbox", READY, there, || exim.logs());
    assert_eq!(inbox(&exim, "Wipe complete"), everybody);
    assert_eq!(inbox(&exim, "Wipe requested"), everybody);
    let mut taken = exim.taken();
    let all = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((all, taken.len()), (6, 6), "no event twice\n{}", exim.logs());
}

#[test]
fn an_hour_without_a_mail_server_loses_no_mail_and_sends_none_twice() {
    let clock = WallClock::new();
    let mut exim = Exim::running();
    let site = site(&exim, exim.address().port(), Some(&clock));
    let device = owned(&site, "IMEI:1", "ada@corp.example");
    exim.stop();
    let id = ask(&site, "IMEI:1");
    is_wiped(&site, &device, &id);
    let waits = || {
        let rows = deliveries(&site, &id);
        let tried = rows.values().any(|row| row["attempts"].as_u64() > Some(0));
        (rows.len() == 6 && tried).then_some(())
    };
    wait::until("the mails to wait", READY, waits, || format!("{:#?}", deliveries(&site, &id)));
    for minutes in [10, 20, 40, 60] {
        clock.set(minutes * HOUR_S / 60);
        let waiting = deliveries(&site, &id);
        assert!(waiting.values().all(|row| row["state"] == "waiting"), "{waiting:#?}");
    }
    assert_eq!(exim.taken(), Vec::<String>::new());
    exim.start(Verdicts::default());
    clock.set(2 * HOUR_S);
    wait_all(&site, &exim, &id, "delivered");
    let mut taken = exim.taken();
    let all = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((all, taken.len()), (6, 6), "each once\n{}", exim.logs());
}

#[test]
fn what_is_deferred_waits_what_is_refused_or_has_no_address_is_parked_with_its_reason() {
    let clock = WallClock::new();
    let mut exim = Exim::running();
    exim.start(Verdicts { later: "busy", never: "gone" });
    let site = site(&exim, exim.address().port(), Some(&clock));
    let ctl = site.ctl();
    let _ = ctl.ok(&[
        "mail",
        "address",
        "set",
        "admin:admin",
        "busy@corp.example",
        "--second",
        "gone@corp.example",
    ]);
    let device = owned(&site, "IMEI:1", "CORP\\grace");
    let id = ask(&site, "IMEI:1");
    is_wiped(&site, &device, &id);
    let at = |target: &str, kind: &str| {
        deliveries(&site, &id).get(&(kind.to_owned(), target.to_owned())).cloned().unwrap_or_default()
    };
    let settled = || {
        let busy = at("busy@corp.example", "wipe-succeeded");
        let gone = at("gone@corp.example", "wipe-succeeded");
        let nobody = at("owner:CORP\\grace", "wipe-succeeded");
        let first = busy["state"] == "waiting" && busy["cause"] != "new";
        (first && gone["state"] == "parked" && nobody["state"] == "parked").then_some((busy, gone, nobody))
    };
    let why = || format!("{:#?}\n{}", deliveries(&site, &id), exim.logs());
    let (busy, gone, nobody) = wait::until("the verdicts to be known", READY * 2, settled, why);
    assert!(busy["cause"].as_str().is_some_and(|cause| cause.contains("mailbox busy")), "{busy:#}");
    assert!(gone["cause"].as_str().is_some_and(|cause| cause.contains("no such user")), "{gone:#}");
    assert!(nobody["cause"].as_str().is_some_and(|cause| cause.contains("mail address set")), "{nobody:#}");
    let alarms = ctl.ok(&["alarm", "list", "--kind", "mail-parked"]);
    assert!(alarms.to_string().contains("gone@corp.example"), "{alarms:#}");
    let security = inbox(&exim, "Wipe");
    assert!(security.iter().all(|to| to == "security@corp.example"), "{security:?}");

    // The server has room again, people have addresses, and somebody has the rest tried again.
    exim.start(Verdicts::default());
    let _ = ctl.ok(&["mail", "address", "set", "owner:CORP\\grace", "grace@corp.example"]);
    for ((_, target), row) in deliveries(&site, &id) {
        if row["state"] == "parked" {
            let again = ctl.run(&["mail", "retry", row["id"].as_str().expect("an id")]);
            assert_eq!(again.exit, 0, "{target}: {again:?}");
        }
    }
    clock.set(2 * HOUR_S);
    wait_all(&site, &exim, &id, "delivered");
    let kinds = |to: &str| {
        let rows = deliveries(&site, &id).into_keys().filter(|(_, target)| target == to);
        rows.map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    for to in ["busy@corp.example", "gone@corp.example", "grace@corp.example", "security@corp.example"] {
        assert_eq!(kinds(to), ["wipe-requested", "wipe-succeeded"], "{to}");
    }
    let mut taken = exim.taken();
    let all = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((all, taken.len()), (8, 8), "each once\n{}", exim.logs());
}

#[test]
fn a_line_that_breaks_after_the_server_took_the_mail_brings_the_same_mail_under_the_same_message_id() {
    let clock = WallClock::new();
    let exim = Exim::running();
    let proxy = FaultProxy::before(exim.address());
    let site = site(&exim, proxy.address().port(), Some(&clock));
    let _ = site.ctl().ok(&["mail", "address", "set", "admin:admin", "security@corp.example"]);
    let _device = seen(&site, "IMEI:1", "signed");
    // Slow enough to be seen: the server notes a mail before its answer has crossed.
    proxy.set(Faults { delay: Duration::from_millis(400), ..Faults::default() });
    let id = ask(&site, "IMEI:1");
    let taken = || (!exim.taken().is_empty()).then_some(());
    wait::until("the server to take the mail", READY * 2, taken, || exim.logs());
    proxy.cut_all();
    proxy.set(Faults::default());
    let tried = || {
        let rows = deliveries(&site, &id);
        let row = rows.values().next()?;
        (row["attempts"].as_u64() > Some(0) && row["cause"] != "new").then(|| row.clone())
    };
    let row =
        wait::until("the broken try to be noted", READY, tried, || format!("{:#?}", deliveries(&site, &id)));
    assert_eq!(row["state"], "waiting", "nobody heard that it was taken: {row:#}");
    clock.set(HOUR_S);
    wait_all(&site, &exim, &id, "delivered");
    let taken = exim.taken();
    assert_eq!(taken.len(), 2, "{}", exim.logs());
    assert_eq!(taken[0], taken[1], "a mailbox can tell that it is the same");
    clock.set(2 * HOUR_S);
    let again = site.ctl().run(&["mail", "retry", row["id"].as_str().expect("an id")]);
    assert_eq!(again.slug(), "wrong-state", "what was delivered never goes again: {again:?}");
    assert_eq!(exim.taken().len(), 2);
}
