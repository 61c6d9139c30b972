//! A campaign of kill -9 at random moments: no acknowledged order is lost, no Exec happens twice, and what is in doubt
//! and can be probed is settled within two sessions.
//!
//! The device is a script with a tree of its own, so the test knows what really happened and compares it with what the
//! core says. The seed is printed; `POSTERN_KILL_SEED` and `POSTERN_KILLS` repeat a run or lengthen it.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_store::testkit::Cluster;
use postern_tests::{
    dm_client::{DmClient, target_of},
    site::{Plan, READY, Site},
    wait,
};
use postern_wire::syncml::{Command, Data};

/// Rounds of a run on each database: in each, orders are given, a session begins, and something dies.
const KILLS: u32 = 8;
/// A session over loopback is over well within this: the moment of death is drawn from it.
const SESSION_MS: u64 = 60;

#[test]
fn kill_9_at_any_moment_loses_no_order_and_executes_none_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("POSTERN_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let kills = number("POSTERN_KILLS").and_then(|kills| u32::try_from(kills).ok()).unwrap_or(KILLS);
    println!("POSTERN_KILL_SEED={seed} POSTERN_KILLS={kills}");
    assert!(kills > 0, "a campaign without a kill shows nothing");
    let mut random = Random(seed);
    for postgres in [None, Some(Cluster::shared())] {
        campaign(Site::start(&Plan { postgres, ..Plan::default() }), kills, &mut random);
    }
}

fn campaign(mut site: Site, kills: u32, random: &mut Random) {
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);
    let device = Arc::new(Mutex::new(Device::default()));
    let mut orders = Vec::new();
    for round in 0..kills {
        for verb in ["get", "add", "exec", "replace"] {
            orders.extend(order(&site, verb, &format!("./Vendor/{verb}{round}")));
        }
        let session = start(&client, &device, round);
        std::thread::sleep(Duration::from_millis(random.below(SESSION_MS)));
        let gateway_dies = random.below(4) == 0;
        if gateway_dies {
            site.kill_gateway();
            site.start_gateway();
        } else {
            site.kill_core();
            site.start_core();
        }
        // It broke or it did not: either is a session.
        let _ = session.join().expect("the script does not panic");
        site.wait_ready();
    }
    // Two sessions settle all that can be settled; the third has nothing left to bring.
    for n in 0..2 {
        assert!(
            start(&client, &device, kills + n).join().expect("no panic").expect("a session"),
            "session {n}"
        );
    }

    let device = device.lock().expect("nobody panicked");
    let doubts = orders.iter().filter(|order| !judge(&site, &device, order)).count();
    println!("{} orders, {kills} kills, {doubts} Exec in doubt for a person", orders.len());
    assert_eq!(orders.len(), kills as usize * 4, "every order was acknowledged");
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0, "the audit chain has no gap");
}

/// Whether the core knows how an order ended, and it agrees with the device.
fn judge(site: &Site, device: &Device, order: &Order) -> bool {
    let settled = || {
        let shown = site.ctl().ok(&["command", "show", &order.id]);
        let state = shown["state"].as_str().unwrap_or_default().to_owned();
        (!matches!(state.as_str(), "queued" | "sent")).then_some(state)
    };
    let state = wait::until("a command to settle", READY, settled, || site.logs());
    let executed = device.executed.get(&order.uri).copied().unwrap_or(0);
    match (order.verb, state.as_str()) {
        ("exec", "in-doubt") => {
            assert!(executed <= 1, "{order:?} was executed {executed} times");
            false
        }
        ("exec", "succeeded") => {
            assert_eq!(executed, 1, "{order:?}");
            true
        }
        ("add" | "replace", "succeeded") => {
            assert!(device.nodes.contains(&order.uri), "{order:?} succeeded and the device has no such node");
            assert!(order.verb == "replace" || executed == 1, "{order:?} was executed {executed} times");
            true
        }
        ("get", "succeeded") => true,
        (_, state) => panic!("{order:?} ended {state}; the device executed it {executed} times"),
    }
}

#[derive(Debug)]
struct Order {
    id: String,
    verb: &'static str,
    uri: String,
}

/// Gives an order; `None` when it was not acknowledged.
fn order(site: &Site, verb: &'static str, uri: &str) -> Option<Order> {
    let data: &[&str] = if verb == "get" { &[] } else { &["--data", "x"] };
    let ran = site.ctl().run(&[&["device", "command", "IMEI:1", verb, uri], data].concat());
    let id = (ran.exit == 0).then(|| ran.json()["commands"][0]["id"].as_str().map(str::to_owned)).flatten();
    id.map(|id| Order { id, verb, uri: uri.to_owned() })
}

/// What really happened on the device.
#[derive(Debug, Default)]
struct Device {
    nodes: BTreeSet<String>,
    executed: BTreeMap<String, u32>,
}

impl Device {
    fn answer(&mut self, command: &Command) -> (u32, Option<Data>) {
        let Some(uri) = target_of(command) else { return (412, None) };
        let known = self.nodes.contains(&uri);
        match command {
            Command::Get(_) if uri.starts_with("./Vendor/get") => (200, Some(Data::from("value"))),
            Command::Get(_) => (if known { 200 } else { 404 }, known.then(|| Data::from("x"))),
            Command::Add(_) if known => (418, None),
            Command::Add(_) | Command::Replace(_) => {
                self.nodes.insert(uri.clone());
                *self.executed.entry(uri).or_default() += 1;
                (200, None)
            }
            Command::Exec(_) => {
                *self.executed.entry(uri).or_default() += 1;
                (200, None)
            }
            _ => (406, None),
        }
    }
}

/// A session in a thread of its own: whether the device was let in; an error where it broke.
fn start(
    client: &DmClient,
    device: &Arc<Mutex<Device>>,
    number: u32,
) -> std::thread::JoinHandle<std::io::Result<bool>> {
    let (client, device) = (client.clone(), device.clone());
    std::thread::spawn(move || {
        let answer = |command: &Command| device.lock().expect("nobody panicked").answer(command);
        client.check_in_with(&format!("{number:X}"), answer).map(|check_in| check_in.authenticated)
    })
}

/// A small generator: the same seed draws the same moments.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
