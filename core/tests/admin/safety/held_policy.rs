//! A stolen token and a wide change of policy: what it changes it does not agree to, by no token, and it does not switch the hold
//! off.

use std::sync::Arc;

use postern_actors::SystemRandom;
use postern_api::{
    approvals::Approval, device_policy::DevicePolicy, policy_held::HeldPolicy, tokens::CreatedToken,
};
use postern_core::{Edge, config::DatabaseKind};
use postern_store::enrolments;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Scene, approve, waits};
use crate::kit::{Answer, Client, until_async};

/// More than are never held.
const FLEET: usize = 12;
const BANNER: &str = "./Vendor/Example/Banner";

async fn apply(client: &Client, value: &str) -> Answer {
    let text = format!(
        "postern: policy/1\nname: mine\nassign: [all]\nsettings:\n  - {{format: chr, value: {value}, uri: {BANNER}}}\n"
    );
    let body = json!({"files": [{"name": "a.yaml", "text": text}], "reason": "x"}).to_string();
    client.send(Method::POST, "/api/1/policy/apply", &[("if-match", "*")], Some(body)).await
}

async fn banner(client: &Client) -> Option<String> {
    let policy: DevicePolicy = client.get("/api/1/devices/d0/policy").await.read(200);
    policy.settings.into_iter().find(|setting| setting.uri == BANNER).and_then(|setting| setting.value)
}

async fn held(client: &Client) -> HeldPolicy {
    client.get("/api/1/policy/held?limit=1").await.read(200)
}

#[tokio::test]
async fn a_stolen_token_does_not_agree_to_the_wide_change_that_it_makes() {
    let mut scene = Scene::new(DatabaseKind::Sqlite, FLEET).await;
    scene.mallory.post("/api/1/groups", json!({"name": "all"})).await.read::<Value>(201);
    for number in 0..FLEET {
        let put = scene.mallory.put(&format!("/api/1/groups/all/devices/d{number}")).await;
        assert!(put.status < 300, "{}", put.text);
    }
    apply(&scene.mallory, "before").await.read::<Value>(200);
    // All had their first session.
    let edge = Edge { clock: Arc::new(scene.clock.clone()), random: Arc::new(SystemRandom::default()) };
    let made_managed = |tx: &mut postern_store::Tx| {
        let all = enrolments::list(tx, &enrolments::Filter::default(), None, 100)?;
        all.into_iter().try_for_each(|row| enrolments::managed(tx, row.id).map(drop))
    };
    scene.kit.meanwhile(edge, made_managed).await;
    let address = scene.kit.core().addresses().admin;
    let (stolen, bob) = (scene.mallory.at(address), scene.bob.at(address));
    until_async("the first is in force", async || banner(&bob).await.as_deref() == Some("before")).await;
    assert_eq!(held(&bob).await.change, None);

    apply(&stolen, "after").await.read::<Value>(200);
    until_async("it waits", async || held(&bob).await.change.is_some()).await;
    let shown = held(&bob).await;
    let change = shown.change.unwrap();
    let setting = &shown.settings[0];
    assert_eq!((change.devices, change.managed, change.askers), (12, 12, vec!["mallory".to_owned()]));
    assert_eq!((setting.kind.as_str(), setting.uri.as_str(), setting.devices), ("altered", BANNER, 12));
    assert_eq!((setting.before.as_deref(), setting.after.as_deref()), (Some("before"), Some("after")));
    let request = change.approval.unwrap().to_string();
    let asked: Approval = bob.get(&format!("/api/1/approvals/{request}")).await.read(200);
    assert_eq!((asked.device_count, asked.devices.len()), (12, 12));
    for which in [change.id.to_string(), request.clone()] {
        let one: HeldPolicy = bob.get(&format!("/api/1/policy/held?change={which}")).await.read(200);
        assert!(one.change.is_some());
    }
    let other = format!("/api/1/policy/held?change={}", uuid::Uuid::from_u128(7));
    bob.get(&other).await.refused(404, "not-found");

    // By this token, by another of the same person, by one made in bob's name.
    let token = |admin: &'static str| stolen.post("/api/1/tokens", json!({"name": "t", "admin": admin}));
    let mine: CreatedToken = token("mallory").await.read(201);
    let bobs: CreatedToken = token("bob").await.read(201);
    let (mine, bobs) = (stolen.with_token(&mine.secret), stolen.with_token(&bobs.secret));
    for client in [&stolen, &mine, &bobs] {
        approve(client, &request).await.refused(409, "approval-refused");
    }
    // By switching the hold off.
    let share = |share: &str| json!({"values": {"PolicyHoldShare": share}});
    let wider = waits(&stolen.patch("/api/1/settings", "*", share("100%")).await);
    for client in [&stolen, &mine, &bobs] {
        approve(client, &wider).await.refused(409, "approval-refused");
    }
    stolen.patch("/api/1/settings", "*", share("10%")).await.read::<Value>(200);
    waits(&stolen.patch("/api/1/settings", "*", json!({"values": {"PolicyHoldShare": null}})).await);
    assert_eq!(banner(&bob).await.as_deref(), Some("before"));

    // Another person agrees to both.
    approve(&bob, &request).await.read::<Approval>(200);
    until_async("it is in force", async || banner(&bob).await.as_deref() == Some("after")).await;
    approve(&bob, &wider).await.read::<Approval>(200);
    let settings: Value = bob.get("/api/1/settings").await.read(200);
    let all = settings["settings"].as_array().unwrap();
    let now = all.iter().find(|setting| setting["name"] == "PolicyHoldShare").unwrap();
    assert_eq!(now["value"], "100%");
}
