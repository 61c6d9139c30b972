//! Parts that fail in the middle of the work: nothing that was acknowledged is lost, nothing that may happen once
//! happens twice, and devices are served again without a person's help.
#![forbid(unsafe_code)]

use std::time::Duration;

use postern_store::testkit::{Cluster, Durability};
use postern_tests::{
    dm_client::{DmClient, answered_with_200, commands_of, target_of},
    proxy::Faults,
    raw,
    site::{GATEWAY, Plan, READY, Site},
    wait,
};
use serde_json::Value;

#[test]
fn without_a_core_a_device_is_told_to_come_back_later() {
    let mut site = Site::start(&Plan::default());
    let client = enrolled(&site, "IMEI:1");
    site.stop_core();

    let answer = try_once(&client);
    assert_eq!(answer.status, 503);
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0), "{answer:?}");

    site.start_core();
    site.wait_ready();
    served(&client, &site);
}

#[test]
fn a_gateway_that_dies_in_a_session_costs_the_session_and_no_command() {
    let mut site = Site::start(&Plan::default());
    let client = enrolled(&site, "IMEI:1");
    let command = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);
    let mut session = client.open("1").expect("a connection");
    let body = session.package_1();
    assert!(session.exchange(body).expect("package 2").message.is_some());

    site.kill_gateway();
    assert!(session.exchange(Vec::new()).is_err(), "its connection died with the gateway");
    site.start_gateway();
    site.wait_gateway_ready();
    let check_in = client.check_in("2").expect("a new session");

    assert!(check_in.authenticated, "{check_in:?}");
    assert_eq!(state(&site, &command), "succeeded");
}

#[test]
fn a_gateway_that_is_told_to_stop_finishes_what_it_relays() {
    let mut site = Site::start(&Plan::default());
    let client = enrolled(&site, "IMEI:1");
    served(&client, &site);

    site.stop_gateway();
    assert!(client.check_in("2").is_err(), "nothing listens any more");
    site.start_gateway();
    site.wait_gateway_ready();

    served(&client, &site);
}

#[test]
fn a_core_killed_in_a_session_repeats_what_may_be_repeated_and_nothing_else() {
    let mut site = Site::start(&Plan::default());
    let client = enrolled(&site, "IMEI:1");
    let get = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);
    let exec = queue(&site, "IMEI:1", &["exec", "./Vendor/Once", "--data", "x"]);
    let mut session = client.open("1").expect("a connection");
    let body = session.package_1();
    let package_2 = session.exchange(body).expect("package 2").message.expect("a message");
    let sent: Vec<_> = commands_of(&package_2).iter().filter_map(target_of).collect();
    assert!(sent.iter().any(|uri| uri == "./Vendor/Once"), "{sent:?}");

    site.kill_core();
    let while_away = try_once(&client);
    site.start_core();
    site.wait_ready();
    let check_in = client.check_in("2").expect("a new session");

    assert!(matches!(while_away.status, 502 | 503), "{while_away:?}");
    let again: Vec<_> = check_in.commands.iter().filter_map(target_of).collect();
    assert!(again.iter().any(|uri| uri == "./DevDetail/SwV"), "a Get is asked again: {again:?}");
    assert!(!again.iter().any(|uri| uri == "./Vendor/Once"), "an Exec is never sent twice: {again:?}");
    assert_eq!(state(&site, &get), "succeeded");
    assert_eq!(state(&site, &exec), "in-doubt");
}

#[test]
fn an_order_that_was_acknowledged_outlives_kill_9() {
    let mut site = Site::start(&Plan::default());
    let client = enrolled(&site, "IMEI:1");
    let orders: Vec<_> = (0..5).map(|n| queue(&site, "IMEI:1", &["get", &format!("./Order/{n}")])).collect();

    site.kill_core();
    site.start_core();
    site.wait_ready();
    let check_in = client.check_in("1").expect("a session");

    let sent = check_in.commands.iter().filter_map(target_of).count();
    assert_eq!(sent, orders.len(), "{check_in:?}\n{}", site.logs());
    for order in &orders {
        assert_eq!(state(&site, order), "succeeded");
    }
}

#[test]
fn a_standby_takes_over_from_a_core_that_was_killed() {
    let cluster = Cluster::shared();
    for postgres in [None, Some(cluster)] {
        let mut site = Site::start(&Plan { postgres, ..Plan::default() });
        let client = enrolled(&site, "IMEI:1");
        let command = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);
        site.start_standby();
        let waits = || (site.standby_ctl().run(&["status"]).exit != 3).then_some(());
        wait::until("the standby to wait", READY, waits, || site.logs());
        let order = ["device", "command", "IMEI:1", "get", "./Refused"];
        assert_eq!(site.standby_ctl().run(&order).slug(), "standby", "a standby takes no orders");

        let began = wait::now();
        site.kill_core();
        let taken = || client.check_in("1").ok().filter(|check_in| check_in.authenticated);
        let check_in = wait::until("the standby to take over", READY, taken, || site.logs());
        let took = began.elapsed();

        // Measured, not judged: how long a machine takes depends on the machine. That it waits for its patience and no
        // longer is held in schema/store/tests/suite/epochs.rs.
        println!("take-over on {}: {took:?}", if postgres.is_some() { "PostgreSQL" } else { "SQLite" });
        assert_eq!(check_in.commands.iter().filter_map(target_of).collect::<Vec<_>>(), ["./DevDetail/SwV"]);
        let shown = site.standby_ctl().ok(&["command", "show", &command]);
        assert_eq!(shown["state"], "succeeded", "{shown:#}");
    }
}

#[test]
fn a_database_that_goes_away_loses_nothing_and_comes_back_by_itself() {
    let cluster = Cluster::start(Durability::On).expect("a private PostgreSQL");
    let settings = [("POSTERN_DATABASE_RETRY_S", "3")];
    let site = Site::start(&Plan { postgres: Some(&cluster), core_settings: &settings, ..Plan::default() });
    let client = enrolled(&site, "IMEI:1");
    let command = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);

    cluster.kill();
    let refused = site.ctl().run(&["device", "command", "IMEI:1", "get", "./Other"]);
    let device = try_once(&client);
    cluster.launch().expect("the server starts again");

    assert_eq!((refused.exit, refused.slug().as_str()), (3, "unavailable"), "{refused:?}");
    assert_eq!(device.status, 503, "{device:?}");
    let taken = || client.check_in("1").ok().filter(|check_in| check_in.authenticated);
    let check_in = wait::until("a session", READY, taken, || site.logs());
    assert_eq!(check_in.commands.iter().filter_map(target_of).collect::<Vec<_>>(), ["./DevDetail/SwV"]);
    assert_eq!(state(&site, &command), "succeeded");
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0, "the audit chain has no gap");
}

#[test]
fn a_gateway_that_poses_as_another_gets_no_link() {
    let mut site = Site::make(&Plan::default());
    let other = site.make_gateway("other");
    let edge = site.path("state/gateways").join(GATEWAY);
    for file in ["link.pem", "link.key"] {
        std::fs::copy(other.join(file), edge.join(file))
            .expect("the other's certificate in the gateway's place");
    }
    site.start_gateway();
    site.start_core();

    let refused = || {
        let shown = site.ctl().run(&["gateway", "show", GATEWAY]);
        let gateway: Value = serde_json::from_str(&shown.out).ok()?;
        gateway["error"].as_str().map(str::to_owned).filter(|_| gateway["state"] != "connected")
    };
    let error = wait::until("the core to refuse the gateway", READY, refused, || site.logs());

    assert!(error.contains("is not the gateway \"edge\""), "{error}");
    assert_ne!(raw::plain_get(site.gateway_observe(), "/readyz").expect("an answer").status, 200);
    let status = site.ctl().run(&["status"]);
    assert_eq!(status.exit, 1, "degraded: {status:?}");
}

#[test]
fn links_that_are_cut_come_back_and_cost_at_most_the_session() {
    let site = Site::start(&Plan { link_proxy: true, ..Plan::default() });
    let proxy = site.link_proxy.as_ref().expect("the plan has a proxy");
    let client = enrolled(&site, "IMEI:1");
    let command = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);
    let mut session = client.open("1").expect("a connection");
    let body = session.package_1();
    let package_2 = session.exchange(body).expect("package 2").message.expect("a message");

    proxy.set(Faults { reset: true, ..Faults::default() });
    proxy.cut_all();
    let body = session.answers(&package_2, &mut answered_with_200);
    let answer = session.exchange(body).expect("an answer").response;
    proxy.set(Faults::default());

    assert!(matches!(answer.status, 200 | 502 | 503), "{answer:?}");
    let taken = || client.check_in("2").ok().filter(|check_in| check_in.authenticated);
    let _ = wait::until("a session over new links", READY, taken, || site.logs());
    assert_eq!(state(&site, &command), "succeeded");
}

#[test]
fn links_that_fell_silent_are_found_out_and_replaced() {
    let site = Site::start(&Plan { link_proxy: true, ..Plan::default() });
    let proxy = site.link_proxy.as_ref().expect("the plan has a proxy");
    let client = enrolled(&site, "IMEI:1");
    served(&client, &site);

    // Connections over which something is said meanwhile say nothing from then on; new ones pass. A watch that is held open by
    // something between is found out by the gateway alone, so the silence is shorter than the watch may be.
    proxy.set(Faults { silent: true, ..Faults::default() });
    std::thread::sleep(Duration::from_millis(1500)); // long enough for a ping to run into the silence
    proxy.set(Faults::default());

    let taken = || client.check_in("2").ok().filter(|check_in| check_in.authenticated);
    let _ = wait::until("a session over new links", Duration::from_secs(60), taken, || site.logs());
}

#[test]
fn slow_links_delay_a_session_and_do_not_break_it() {
    let site = Site::start(&Plan { link_proxy: true, ..Plan::default() });
    let proxy = site.link_proxy.as_ref().expect("the plan has a proxy");
    let client = enrolled(&site, "IMEI:1");
    proxy.set(Faults {
        delay: Duration::from_millis(150),
        octets_per_second: Some(50_000),
        ..Faults::default()
    });

    served(&client, &site);
}

fn enrolled(site: &Site, device_id: &str) -> DmClient {
    let (enrolment, _) = site.enrol(device_id, "basic", &[]);
    site.client(enrolment)
}

/// One package 1, whatever comes of it.
fn try_once(client: &DmClient) -> raw::Response {
    let mut session = client.open("once").expect("a connection");
    let body = session.package_1();
    session.exchange(body).expect("an answer").response
}

fn served(client: &DmClient, site: &Site) {
    let check_in = client.check_in("9").unwrap_or_else(|error| panic!("{error}\n{}", site.logs()));
    assert!(check_in.authenticated, "{check_in:?}\n{}", site.logs());
}

fn queue(site: &Site, device: &str, command: &[&str]) -> String {
    let operation = site.ctl().ok(&[&["device", "command", device], command].concat());
    operation["commands"][0]["id"].as_str().expect("a queued command has an id").to_owned()
}

fn state(site: &Site, command: &str) -> String {
    let settled = || {
        let shown = site.ctl().ok(&["command", "show", command]);
        shown["state"].as_str().filter(|state| !matches!(*state, "queued" | "sent")).map(str::to_owned)
    };
    wait::until("a command to settle", READY, settled, || site.logs())
}
