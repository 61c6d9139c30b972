//! What a stolen token cannot do, and how people who may do it, do it: limits, approvals, freeze, break-glass, on both
//! databases.

mod held_policy;
mod stolen;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use postern_actors::{Clock, SystemClock, SystemRandom};
use postern_api::{approvals::Approval, safety::Safety};
use postern_core::{Edge, config::DatabaseKind, glass};
use postern_store::testkit::Cluster;
use postern_wire::terms::{Role, UtcMillis};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::kit::{Client, Kit};

const DAY_MS: i64 = 86_400_000;

/// A clock that a test sets forward.
#[derive(Clone)]
struct Ahead {
    real: SystemClock,
    by_ms: Arc<AtomicI64>,
}

impl Clock for Ahead {
    fn wall(&self) -> UtcMillis {
        self.real.wall().plus(self.by_ms.load(SeqCst))
    }

    fn monotonic(&self) -> Duration {
        let ahead = u64::try_from(self.by_ms.load(SeqCst)).unwrap();
        self.real.monotonic() + Duration::from_millis(ahead)
    }
}

/// A core with devices and two who may approve.
struct Scene {
    kit: Kit,
    clock: Ahead,
    mallory: Client,
    bob: Client,
}

impl Scene {
    /// `devices` of them, d0 and on; everybody is older than a day.
    async fn new(kind: DatabaseKind, devices: usize) -> Self {
        let clock = Ahead { real: SystemClock::new(), by_ms: Arc::default() };
        let edge = Edge { clock: Arc::new(clock.clone()), random: Arc::new(SystemRandom::default()) };
        let kit = Kit::at(edge, |config| {
            if kind == DatabaseKind::Postgres {
                // It has a runtime of its own.
                let made = std::thread::spawn(|| Cluster::shared().database().expect("a database"));
                let place = made.join().unwrap();
                let file = config.folder.join("postgres.url");
                std::fs::write(&file, place.url.expose_secret()).unwrap();
                config.database.kind = kind;
                config.database.url_file = Some(file);
                config.database.ca = place.ca_file;
            }
        })
        .await;
        let mallory = kit.as_role("mallory", &[Role::DeviceAdmin, Role::SecurityAdmin]).await;
        let bob = kit.as_role("bob", &[Role::DeviceAdmin, Role::SecurityAdmin]).await;
        clock.by_ms.fetch_add(DAY_MS + 60_000, SeqCst);
        for number in 0..devices {
            let body = json!({
                "device_id": format!("d{number}"), "auth": "basic", "user": "u", "password": "a password",
            });
            kit.admin.post("/api/1/devices", body).await.read::<Value>(201);
        }
        Self { kit, clock, mallory, bob }
    }

    async fn safety(&self) -> Safety {
        self.kit.admin.get("/api/1/safety").await.read(200)
    }

    /// How many devices are still there.
    async fn left(&self) -> usize {
        let list: Value = self.kit.admin.get("/api/1/devices?limit=500").await.read(200);
        list["items"].as_array().unwrap().len()
    }
}

async fn retire(client: &Client, number: usize) -> crate::kit::Answer {
    client.delete(&format!("/api/1/devices/d{number}?reason=lost")).await
}

/// The request that a refusal names.
fn waits(answer: &crate::kit::Answer) -> String {
    answer.refused(409, "needs-approval").errors[0].at.clone()
}

async fn approve(client: &Client, request: &str) -> crate::kit::Answer {
    let shown: Approval = client.get(&format!("/api/1/approvals/{request}")).await.read(200);
    client.post(&format!("/api/1/approvals/{request}/approve"), json!({"hash": shown.hash})).await
}

/// Each rule as a test on each database.
macro_rules! on_both {
    ($($rule:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $rule() {
                super::$rule(postern_core::config::DatabaseKind::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $rule() {
                super::$rule(postern_core::config::DatabaseKind::Postgres).await;
            })+
        }
    };
}
pub(crate) use on_both;

on_both!(
    another_person_approves_what_was_seen_and_nothing_else,
    a_freeze_is_lifted_by_two_and_break_glass_goes_all_the_same,
    limits_and_admins_are_changed_by_two,
    a_roll_over_that_is_ended_by_force_counts_every_device_that_it_leaves_behind,
);

async fn a_roll_over_that_is_ended_by_force_counts_every_device_that_it_leaves_behind(kind: DatabaseKind) {
    let scene = Scene::new(kind, 0).await;
    for number in 0..6 {
        let csr = crate::ca::csr().1;
        let body = json!({"device_id": format!("d{number}"), "auth": "certificate", "csr_pem": csr});
        scene.kit.admin.post("/api/1/devices", body).await.read::<Value>(201);
    }
    let url = "/api/1/ca/device/roll-over";
    let start = json!({"step": "start", "reason": "drill"});
    scene.mallory.post(url, start).await.read::<Value>(200);
    let finish = json!({"step": "finish", "force": true, "reason": "drill"});
    let request = waits(&scene.mallory.post(url, finish.clone()).await);
    approve(&scene.mallory, &request).await.refused(409, "approval-refused");
    let states = scene.kit.admin.get("/api/1/ca/device").await.text;
    assert!(!states.contains("retired"), "nothing was retired: {states}");

    let agreed: Approval = approve(&scene.bob, &request).await.read(200);
    assert_eq!((agreed.state.as_str(), agreed.device_count), ("cooling", 6));
    waits(&scene.mallory.post(url, finish.clone()).await);
    scene.clock.by_ms.fetch_add(31 * 60_000, SeqCst);
    let path = format!("/api/1/approvals/{request}");
    crate::kit::until_async("it has cooled off", async || {
        scene.bob.get(&path).await.read::<Approval>(200).state == "granted"
    })
    .await;
    scene.mallory.post(url, finish.clone()).await.read::<Value>(200);
    scene.mallory.post(url, finish).await.refused(409, "wrong-state");
}

async fn another_person_approves_what_was_seen_and_nothing_else(kind: DatabaseKind) {
    let scene = Scene::new(kind, 10).await;
    for number in 0..5 {
        retire(&scene.mallory, number).await.read::<Value>(200);
    }
    let request = waits(&retire(&scene.mallory, 5).await);
    assert_eq!(waits(&retire(&scene.mallory, 5).await), request, "the very same waits once");
    let path = format!("/api/1/approvals/{request}/approve");
    let other = json!({"hash": "00".repeat(32)});
    scene.bob.post(&path, other).await.refused(409, "approval-refused");
    approve(&scene.mallory, &request).await.refused(409, "approval-refused");
    let newcomer = scene.kit.as_role("newcomer", &[]).await;
    newcomer.post(&path, json!({"hash": "00".repeat(32)})).await.refused(403, "forbidden");
    let done: Approval = approve(&scene.bob, &request).await.read(200);
    assert_eq!((done.state.as_str(), done.agreed_by.as_deref()), ("approved", Some("bob")));
    assert_eq!(scene.left().await, 4);
    approve(&scene.bob, &request).await.refused(409, "approval-refused");

    // The device was enrolled anew meanwhile: what was asked for is not what is there.
    let request = waits(&retire(&scene.mallory, 6).await);
    let anew = json!({"device_id": "d6", "auth": "basic", "user": "u", "password": "another password"});
    scene.kit.admin.post("/api/1/devices/d6/re-enrol", anew).await.read::<Value>(201);
    approve(&scene.bob, &request).await.refused(409, "approval-refused");
    let stale: Approval = scene.bob.get(&format!("/api/1/approvals/{request}")).await.read(200);
    assert_eq!(stale.state, "stale");

    // Taken back, and expired.
    let request = waits(&retire(&scene.mallory, 7).await);
    let reject = format!("/api/1/approvals/{request}/reject");
    let taken = scene.mallory.post(&reject, json!({"reason": "found"}));
    assert_eq!(taken.await.read::<Approval>(200).state, "rejected");
    let request = waits(&retire(&scene.mallory, 8).await);
    let shown: Approval = scene.bob.get(&format!("/api/1/approvals/{request}")).await.read(200);
    scene.clock.by_ms.fetch_add(DAY_MS + 60_000, SeqCst);
    let late = json!({"hash": shown.hash});
    let late = scene.bob.post(&format!("/api/1/approvals/{request}/approve"), late).await;
    late.refused(409, "approval-refused");
    assert_eq!(scene.left().await, 4);
}

async fn a_freeze_is_lifted_by_two_and_break_glass_goes_all_the_same(kind: DatabaseKind) {
    let scene = Scene::new(kind, 6).await;
    let help = scene.kit.as_role("helga", &[]).await;
    help.post("/api/1/safety/freeze", json!({"reason": "x"})).await.refused(403, "forbidden");
    scene.bob.post("/api/1/safety/freeze", json!({"reason": "odd retirements"})).await.read::<Value>(200);
    retire(&scene.mallory, 0).await.refused(409, "frozen");

    // Break-glass: closed without a code, past the freeze with one, for this token and so many devices only.
    let file = scene.kit.state.join("keys/break-glass");
    let codes = glass::make(&file, 1, &SystemRandom::default()).unwrap();
    let yes = [("postern-break-glass", "yes")];
    let glass = |client: &Client, number: usize| {
        let client = client.clone();
        async move { client.send(Method::DELETE, &format!("/api/1/devices/d{number}?reason=x"), &yes, None).await }
    };
    glass(&scene.mallory, 0).await.refused(403, "break-glass-closed");
    let open = |code: &str| {
        let body = json!({"code": code, "devices": 1, "reason": "nobody else is awake"});
        scene.mallory.post("/api/1/safety/break-glass", body)
    };
    open("glass-none").await.refused(403, "break-glass-closed");
    open(&codes[0]).await.read::<Value>(200);
    open(&codes[0]).await.refused(403, "break-glass-closed");
    glass(&scene.bob, 0).await.refused(403, "break-glass-closed");
    glass(&scene.mallory, 0).await.read::<Value>(200);
    glass(&scene.mallory, 1).await.refused(409, "destructive-limit");
    let alarms = scene.kit.admin.get("/api/1/alarms").await.text;
    assert!(alarms.contains("break-glass") && alarms.contains("\"frozen\""), "{alarms}");

    let first: Value = scene.mallory.post("/api/1/safety/thaw", json!({"reason": "looked"})).await.read(202);
    assert_eq!(first["done"], false);
    scene.mallory.post("/api/1/safety/thaw", json!({"reason": "again"})).await.read::<Value>(202);
    retire(&scene.mallory, 1).await.refused(409, "frozen");
    let second: Value = scene.bob.post("/api/1/safety/thaw", json!({"reason": "looked too"})).await.read(202);
    assert_eq!(second["done"], true);
    assert!(scene.safety().await.frozen.is_none());
    retire(&scene.mallory, 1).await.read::<Value>(200);
    assert_eq!(scene.left().await, 4);
}

async fn limits_and_admins_are_changed_by_two(kind: DatabaseKind) {
    let scene = Scene::new(kind, 1).await;
    let set = |name: &str, value: u64| {
        let body = json!({"limits": {name: value}, "reason": "a test"});
        scene.mallory.put_body("/api/1/safety/limits", body)
    };
    let tighter: Value = set("per-person", 3).await.read(202);
    assert_eq!(tighter["done"], true);
    let wider: Value = set("per-person", 100).await.read(202);
    assert_eq!(wider["done"], false);
    set("per-person", 0).await.refused(400, "invalid-request");
    assert_eq!(scene.safety().await.your_limit, 3);
    approve(&scene.bob, wider["approval"].as_str().unwrap()).await.read::<Approval>(200);
    assert_eq!(scene.safety().await.your_limit, 100);

    let friend = json!({"name": "friend", "roles": ["device-admin"]});
    let request = waits(&scene.mallory.post("/api/1/admins", friend.clone()).await);
    let granted: Approval = approve(&scene.bob, &request).await.read(200);
    assert_eq!(granted.state, "granted");
    scene.mallory.post("/api/1/admins", friend).await.read::<Value>(201);
    // An approver is not shut out by one alone, and no role is given by one.
    let bob: Value = scene.mallory.get("/api/1/admins/bob").await.read(200);
    let tag = format!("\"{}\"", bob["revision"]);
    waits(&scene.mallory.patch("/api/1/admins/bob", &tag, json!({"disabled": true})).await);
    waits(&scene.mallory.patch("/api/1/admins/bob", &tag, json!({"roles": ["helpdesk"]})).await);
    scene.mallory.post("/api/1/admins", json!({"name": "reads", "roles": []})).await.read::<Value>(201);
}
