//! What is wrong with clock and certificates degrades a core and does not stop it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use postern_actors::{Clock, SystemClock};
use postern_api::{
    Page,
    alarms::Alarm,
    commands::{Command, Operation},
    devices::Enrolled,
    server::{Doctor, Server, Verdict},
    status::Status,
};
use postern_core::{Config, Core, Edge, doctor, init};
use postern_wire::terms::{CommandState, UtcMillis};
use serde_json::json;

use crate::kit::{Client, Kit, options, provider, until, until_async};

const HOUR: i64 = 3_600_000;

/// The machine's clock, moved.
struct Moved {
    clock: SystemClock,
    /// Milliseconds that wall-clock time is ahead.
    wall: AtomicI64,
    /// Milliseconds that have passed beside.
    passed: AtomicI64,
}

impl Moved {
    fn by(ms: i64) -> Arc<Self> {
        Arc::new(Self { clock: SystemClock::new(), wall: AtomicI64::new(ms), passed: AtomicI64::new(0) })
    }

    fn jump(&self, ms: i64) {
        self.wall.fetch_add(ms, Ordering::Relaxed);
    }

    fn pass(&self, ms: i64) {
        self.passed.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Moved {
    fn wall(&self) -> UtcMillis {
        self.clock.wall().plus(self.wall.load(Ordering::Relaxed) + self.passed.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        let passed = u64::try_from(self.passed.load(Ordering::Relaxed)).unwrap();
        self.clock.monotonic() + Duration::from_millis(passed)
    }
}

fn check<'d>(doctor: &'d Doctor, name: &str) -> Option<&'d postern_api::server::Check> {
    doctor.checks.iter().find(|check| check.name == name)
}

#[tokio::test]
async fn after_a_jump_of_the_clock_either_way_nothing_expires_until_it_stood_for_ten_minutes() {
    provider();
    let folder = tempfile::tempdir().unwrap();
    let clock = Moved::by(0);
    let edge = Edge { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Edge::system() };
    let made =
        init::init(&options(folder.path().join("state")), clock.as_ref(), edge.random.as_ref()).unwrap();
    let config = Config::load(&made.config, []).unwrap();
    let core = tokio::task::spawn_blocking(move || Core::start(config, edge).unwrap()).await.unwrap();
    until("the core is active", || core.is_active()).await;
    let token = std::fs::read_to_string(&made.token).unwrap();
    let admin = Client::new(core.addresses().admin, &std::fs::read(&made.ca).unwrap(), token.trim());
    let enrolled: Enrolled = admin.post("/api/1/devices", json!({"device_id": "d"})).await.read(201);
    let order = async |hours: i64| {
        let deadline = postern_api::Time(clock.wall().plus(hours * HOUR));
        let body = json!({"commands": [{"verb": "get", "uri": "./A"}], "deadline": deadline});
        let path = format!("/api/1/devices/{}/commands", enrolled.device.id);
        admin.post(&path, body).await.read::<Operation>(202).commands[0].id
    };
    let state =
        async |id| admin.get(&format!("/api/1/commands/{id}")).await.read::<Command>(200).summary.state;
    let (forward, back) = (order(1).await, order(-1 + 3).await);

    for jump in [90 * 60_000, -4 * HOUR] {
        clock.jump(jump);
        until_async("the jump to be an alarm", async || {
            let alarms: Page<Alarm> = admin.get("/api/1/alarms?kind=clock-jump").await.read(200);
            !alarms.items.is_empty()
        })
        .await;
        let status: Status = admin.get("/api/1/status").await.read(200);
        assert_eq!(status.state, "degraded");
        let found: Doctor = admin.get("/api/1/doctor").await.read(200);
        assert_eq!(check(&found, "clock.steady").map(|check| check.verdict), Some(Verdict::Fail));
        assert_eq!((state(forward).await, state(back).await), (CommandState::Queued, CommandState::Queued));
    }

    // What a person orders is taken all the same; and the first order's time has not come by the new clock.
    let _ = order(1).await;
    clock.jump(4 * HOUR);
    // Who asks makes the core look at the clock, so the new time stands from here on.
    admin.get("/api/1/status").await.read::<Status>(200);
    clock.pass(11 * 60_000);
    until_async("the order whose time is over to expire", async || {
        state(forward).await == CommandState::Expired
    })
    .await;
    assert_eq!(state(back).await, CommandState::Queued);
    until_async("the alarm to be over", async || {
        let alarms: Page<Alarm> = admin.get("/api/1/alarms?kind=clock-jump").await.read(200);
        alarms.items.is_empty()
    })
    .await;
    tokio::task::spawn_blocking(move || core.stop()).await.unwrap();
}

#[tokio::test]
async fn a_core_whose_certificates_have_all_expired_starts_and_says_so() {
    provider();
    let folder = tempfile::tempdir().unwrap();
    let long_ago = Moved::by(-20 * 365 * 24 * HOUR);
    let edge = Edge::system();
    let made =
        init::init(&options(folder.path().join("state")), long_ago.as_ref(), edge.random.as_ref()).unwrap();
    let config = Config::load(&made.config, []).unwrap();
    let (now, clock) = (edge.clock.wall(), Arc::clone(&edge.clock));
    let read = config.clone();
    let core = tokio::task::spawn_blocking(move || Core::start(config, edge).unwrap()).await.unwrap();
    until("the core is active", || core.is_active()).await;
    let base = format!("http://{}", core.addresses().observe);
    let metrics = || async { reqwest::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap() };
    assert_eq!(reqwest::get(format!("{base}/healthz")).await.unwrap().status().as_u16(), 200);
    until_async("the expired certificates to be alarms", async || {
        metrics().await.contains("postern_alarms_open{kind=\"certificate-expiring\",severity=\"critical\"}")
    })
    .await;
    let text = metrics().await;
    let problems = text.lines().find_map(|line| line.strip_prefix("postern_core_problems "));
    assert!(problems.is_some_and(|count| count.parse::<u32>().unwrap() >= 5), "{text}");
    let checks = tokio::task::spawn_blocking(move || {
        doctor::of_config(&read, now, &move || clock.monotonic(), uuid::Uuid::nil())
    });
    let checks = checks.await.unwrap();
    let expired = checks.iter().filter(|check| check.name == "certificate.expiry");
    assert!(expired.clone().count() == 5 && expired.clone().all(|check| check.verdict == Verdict::Fail));
    tokio::task::spawn_blocking(move || core.stop()).await.unwrap();
}

#[tokio::test]
async fn doctor_finds_nothing_wrong_with_a_fresh_core_but_its_missing_gateway() {
    let kit = Kit::start().await;
    let found: Doctor = kit.admin.get("/api/1/doctor").await.read(200);
    let wrong: Vec<_> =
        found.checks.iter().filter(|check| check.verdict == Verdict::Fail).map(|check| &check.name).collect();
    assert!(wrong.iter().all(|name| *name == "gateway.linked"), "{:#?}", found.checks);
    for name in ["key.file", "certificate.expiry", "certificate.chain", "disk.free", "database.reach"] {
        let check = check(&found, name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(check.verdict, Verdict::Ok, "{check:?}");
    }
    let open = kit.state.join("keys/order.key");
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let found: Doctor = kit.admin.get("/api/1/doctor").await.read(200);
    let key = found.checks.iter().find(|check| check.subject == "keys.order").unwrap();
    assert!(key.verdict == Verdict::Fail && key.remedy.contains("chmod 600"), "{key:?}");
}

#[tokio::test]
async fn every_part_of_the_system_is_listed_with_its_health() {
    let kit = Kit::start().await;
    until_async("the core's own row", async || {
        let servers: Page<Server> = kit.admin.get("/api/1/servers").await.read(200);
        servers.items.iter().any(|server| server.kind == "core" && server.role == "active")
    })
    .await;
    let servers: Page<Server> = kit.admin.get("/api/1/servers").await.read(200);
    let gateway = servers.items.iter().find(|server| server.kind == "gateway").unwrap();
    assert_eq!((gateway.name.as_str(), gateway.health == "healthy"), ("edge", false));
    for name in ["writer", "devices", "notifications", "register"] {
        let part = servers.items.iter().find(|server| server.name == name);
        assert_eq!(part.map(|part| part.health.as_str()), Some("healthy"), "{name}");
    }
}

#[tokio::test]
async fn a_system_that_is_not_held_cannot_be_released() {
    let kit = Kit::start().await;
    let release = kit.admin.post("/api/1/server/release", json!({"reason": "why not"})).await;
    release.refused(409, "wrong-state");
    kit.admin.post("/api/1/server/release", json!({"reason": ""})).await.refused(400, "invalid-request");
}
