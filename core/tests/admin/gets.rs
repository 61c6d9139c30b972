//! Reading does nothing: every GET of the API is asked with ids of what is there, and the database is the same after it.

use std::collections::BTreeMap;

use postern_api::routes::{self, Method};
use postern_store::{
    Options, Place, dump,
    outbox::{self, Event, Recipients},
};
use postern_wire::terms::EventKind;
use serde_json::{Value, json};

use crate::kit::Kit;

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// That somebody takes a support bundle or begins to watch a device is noted, and nothing else comes of it.
const NOTED: [&str; 2] = ["server.support", "sessions.watch"];
/// When a token was last used is noted at every request.
const USE: [&str; 2] = ["last_used_at", "last_used_from"];

/// What the core goes on with by itself at any time: what is missing, who is told of it, whom it asks to come.
const BY_ITSELF: [&str; 7] =
    ["alarms", "outbox", "deliveries", "notifications", "notification_steps", "lives", "policy_devices"];

#[tokio::test]
async fn no_get_of_the_api_acts_so_that_a_link_in_a_mail_does_nothing() {
    let kit = Kit::start().await;
    let ids = furnish(&kit).await;
    let before = at_rest(&kit).await;
    let mut found = 0;
    for route in routes::ALL.iter().filter(|route| route.method == Method::Get) {
        if NOTED.contains(&route.operation) {
            continue;
        }
        let filled = route.path.split('/').map(|part| match part.strip_prefix('{') {
            Some(name) => ids.get(name.trim_end_matches('}')).map_or(NOBODY, String::as_str),
            None => part,
        });
        let path = filled.collect::<Vec<_>>().join("/");
        let answer = kit.admin.get(&path).await;
        assert_ne!(answer.status, 500, "{path}");
        println!("{path} {}", answer.status);
        found += usize::from(answer.status == 200 && route.path.contains('{'));
    }
    // Those that ask for what this core does not have (a tree, a recording, a directory) say so, and the rest is there.
    assert!(found >= 12, "{found} of the reads by id found what they were asked for");
    let after = rows(&kit).await;
    for table in before.keys().chain(after.keys()).filter(|table| !BY_ITSELF.contains(&table.as_str())) {
        assert_eq!(before.get(table), after.get(table), "{table}");
    }
}

/// One of each thing that has an id of its own, by its name in the paths.
async fn furnish(kit: &Kit) -> BTreeMap<&'static str, String> {
    let mut ids = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("an id: {value}")).to_owned();
    for device in ["d", "w"] {
        let body = json!({"device_id": device, "auth": "basic", "user": "u", "password": "a password"});
        kit.admin.post("/api/1/devices", body).await.read::<Value>(201);
    }
    let group: Value = kit.admin.post("/api/1/groups", json!({"name": "a"})).await.read(201);
    kit.admin.put("/api/1/groups/a/devices/d").await;
    let get = json!({"commands": [{"verb": "get", "uri": "./DevInfo/Man"}]});
    let asked: Value = kit.admin.post("/api/1/devices/d/commands", get).await.read(202);
    let wipe = json!({"devices": ["w"], "kind": "full", "reason": "lost", "lost": true});
    let wiped: Value = kit.admin.post("/api/1/wipes", wipe).await.read(202);
    let token: Value = kit.admin.post("/api/1/tokens", json!({"name": "t"})).await.read(201);
    let event = Event {
        kind: EventKind::WipeApprovalNeeded,
        subject: "wipe:1".to_owned(),
        device: None,
        dedupe: "wipe:1".to_owned(),
        data: json!({}),
        recipients: Recipients::default(),
        owner_held_until: None,
        at: kit.core().inside().now(),
    };
    kit.core().inside().store.write(move |tx| outbox::put(tx, &event)).await.unwrap();
    let certificates: Value = kit.admin.get("/api/1/certificates").await.read(200);
    ids.insert("group", text(&group["id"]));
    ids.insert("command", text(&asked["commands"][0]["id"]));
    ids.insert("operation", text(&asked["id"]));
    ids.insert("wipe", text(&wiped["wipes"][0]["id"]));
    if let Some(approval) = wiped["approval"].as_str() {
        ids.insert("approval", approval.to_owned());
    }
    ids.insert("token", text(&token["token"]["id"]));
    if let Some(serial) = certificates["items"][0]["serial"].as_str() {
        ids.insert("serial", serial.to_owned());
    }
    for (name, known) in [
        ("device", "d"),
        ("gateway", "edge"),
        ("role", "device"),
        ("admin", "admin"),
        ("kind", "wipe-approval-needed"),
    ] {
        ids.insert(name, known.to_owned());
    }
    ids
}

/// Every row of every table, when the core has done what follows on its start and on what was asked of it.
async fn at_rest(kit: &Kit) -> BTreeMap<String, Vec<Value>> {
    let (mut last, mut quiet) = (rows(kit).await, 0);
    for _ in 0..200 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let now = rows(kit).await;
        quiet = if now == last { quiet + 1 } else { 0 };
        if quiet == 10 {
            return now;
        }
        last = now;
    }
    panic!("the core does not come to rest");
}

async fn rows(kit: &Kit) -> BTreeMap<String, Vec<Value>> {
    let options = Options::new(Place::Sqlite { path: kit.state.join("postern.sqlite") }, uuid::Uuid::nil());
    let dumped = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        dump::dump(&options, &mut out).unwrap();
        out
    });
    let (mut tables, mut at, mut left_out) = (BTreeMap::new(), String::new(), Vec::new());
    for line in String::from_utf8(dumped.await.unwrap()).unwrap().lines() {
        match serde_json::from_str::<Value>(line).unwrap() {
            Value::Array(row) => {
                let kept = row.into_iter().enumerate().filter(|(place, _)| !left_out.contains(place));
                let kept = Value::Array(kept.map(|(_, value)| value).collect());
                tables.entry(at.clone()).or_insert_with(Vec::new).push(kept);
            }
            head => {
                at = head["table"].as_str().unwrap_or_default().to_owned();
                let columns = head["columns"].as_array().cloned().unwrap_or_default();
                let names = columns.iter().map(|column| column[0].as_str().unwrap_or_default());
                left_out = names
                    .enumerate()
                    .filter(|(_, name)| USE.contains(name))
                    .map(|(place, _)| place)
                    .collect();
            }
        }
    }
    tables
}
