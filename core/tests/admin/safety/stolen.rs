//! A token of an admin with every role was stolen: what it can destroy in an hour, by whatever way, stays within the
//! limits.

use futures_util::future::join_all;
use postern_api::{approvals::Approval, tokens::CreatedToken};
use postern_core::config::DatabaseKind;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Scene, approve, on_both, retire, waits};
use crate::kit::Client;

/// A fleet of so many has the limit 6 an hour; a person has 5.
const FLEET: usize = 24;

on_both!(
    a_stolen_token_reaches_no_further_by_any_way,
    many_requests_at_once_reach_no_further,
    who_is_alone_reaches_no_further_within_the_hour,
);

async fn a_stolen_token_reaches_no_further_by_any_way(kind: DatabaseKind) {
    let scene = Scene::new(kind, FLEET).await;
    let stolen = &scene.mallory;
    for number in 0..5 {
        retire(stolen, number).await.read::<Value>(200);
    }

    // Every other way to take a device away waits for bob.
    waits(&retire(stolen, 5).await);
    waits(&stolen.post("/api/1/devices/d6/unenrol", json!({"now": true, "reason": "x"})).await);
    // Nobody knows how to tell this model, which is said first.
    stolen.post("/api/1/devices/d6/unenrol", json!({"reason": "x"})).await.refused(409, "wrong-state");
    let anew = json!({"device_id": "d7", "auth": "basic", "user": "u", "password": "mine now"});
    waits(&stolen.post("/api/1/devices/d7/re-enrol", anew).await);
    let renewal = json!({"name": "d8", "renews": "d8", "reason": "x"});
    waits(&stolen.post("/api/1/enrolment-requests", renewal).await);
    let lock = |devices: Value| json!({"action": "full", "devices": devices, "reason": "x"});
    waits(&stolen.post("/api/1/locks", lock(json!(["d9"]))).await);
    waits(&stolen.post("/api/1/locks", lock(json!(["d9", "d10", "d11"]))).await);

    // A wipe is taken and waits; it is agreed to by nobody whom the thief can be.
    let wipe = json!({"devices": ["d20", "d21"], "kind": "full", "reason": "x", "lost": true});
    let wipes: Value = stolen.post("/api/1/wipes", wipe).await.read(202);
    let of_wipe = wipes["approval"].as_str().unwrap().to_owned();
    let wipe = format!("/api/1/wipes/{}", wipes["wipes"][0]["id"].as_str().unwrap());

    // By a group.
    stolen.post("/api/1/groups", json!({"name": "all"})).await.read::<Value>(201);
    for number in 5..FLEET {
        let put = stolen.put(&format!("/api/1/groups/all/devices/d{number}")).await;
        assert!(put.status < 300, "{}", put.text);
    }
    let all = json!({"action": "full", "group": "all", "reason": "x"});
    let dry: Value = {
        let mut dry = all.clone();
        dry["dry_run"] = true.into();
        stolen.post("/api/1/locks", dry).await.read(200)
    };
    assert_eq!(
        (dry["outcome"].as_str(), dry["devices"].as_array().unwrap().len()),
        (Some("would-wait-for-approval"), 19)
    );
    let bulk = waits(&stolen.post("/api/1/locks", all).await);

    // By raw commands: the nodes themselves, above them, below them, in containers, by rights and names.
    for (verb, uri, data) in [
        ("exec", "./LAWMO/Operations/Wipe", None),
        ("exec", "./LAWMO/Operations/FullyLock", None),
        ("exec", "./Vendor/Postern/Wipe/Run", None),
        ("exec", "./Vendor/Postern/Unenrol", None),
        ("exec", "./Vendor/MSFT/RemoteWipe/doWipe", None),
        ("exec", "./Device/Vendor/MSFT/RemoteLock/Lock", None),
        ("delete", "./LAWMO", None),
        ("delete", "./Vendor", None),
        ("delete", "./DMAcc", None),
        ("replace", "./LAWMO/Operations?prop=ACL", Some("Exec=*")),
        ("replace", "./Vendor?prop=Name", Some("Other")),
        ("replace", "./DMAcc/x/AppAddr/1/Addr", Some("https://mallory.example")),
    ] {
        let mut command = json!({"verb": verb, "uri": uri});
        if let Some(data) = data {
            command["data"] = data.into();
        }
        let body = json!({"commands": [command], "force": true, "reason": "x"});
        stolen.post("/api/1/devices/d12/commands", body).await.refused(403, "reserved-uri");
    }
    let root = json!({"commands": [{"verb": "delete", "uri": "."}], "force": true, "reason": "x"});
    stolen.post("/api/1/devices/d12/commands", root).await.refused(400, "invalid-request");
    let inside = "<Atomic><CmdID>1</CmdID><Exec><CmdID>2</CmdID><Item><Target><LocURI>./LAWMO/Operations/Wipe</LocURI></Target></Item></Exec></Atomic>";
    let hidden = stolen.post("/api/1/devices/d12/commands", json!({"syncml": inside, "reason": "x"})).await;
    assert!((400..500).contains(&hidden.status), "{}", hidden.text);

    // By policy for the group of all: the same nodes, set or taken away. A harmless document is taken, so it is the nodes.
    for (uri, is_harmless) in [
        ("./Vendor/Example/Banner", true),
        ("./LAWMO/Operations/Wipe", false),
        ("./Vendor/Postern/Wipe/Run", false),
        ("./Vendor/Postern/Unenrol", false),
        ("./Vendor/MSFT/RemoteWipe/doWipe", false),
        ("./Device/Vendor/MSFT/RemoteLock/Lock", false),
        ("./LAWMO", false),
        ("./Vendor", false),
        ("./DMAcc/x/AppAddr/1/Addr", false),
    ] {
        for what in ["{format: chr, value: x", "{absent: true"] {
            let text = format!(
                "postern: policy/1\nname: mine\nassign: [all]\nsettings:\n  - {what}, uri: {uri}}}\n"
            );
            let body = json!({"files": [{"name": "a.yaml", "text": text}], "reason": "x"}).to_string();
            let answer =
                stolen.send(Method::POST, "/api/1/policy/apply", &[("if-match", "*")], Some(body)).await;
            let is_refused = (400..500).contains(&answer.status) && answer.text.contains("its own operation");
            assert_eq!(
                (answer.status == 200, is_refused),
                (is_harmless, !is_harmless),
                "{uri}: {}",
                answer.text
            );
        }
    }

    // By a repeat under an Idempotency-Key, with the same body and with another.
    let key = [("idempotency-key", "again")];
    for body in [json!({"now": true, "reason": "x"}), json!({"now": true, "reason": "y"})] {
        let path = "/api/1/devices/d13/unenrol";
        waits(&stolen.send(Method::POST, path, &key, Some(body.to_string())).await);
    }

    // By approving it, with this token, with another of the same person, with one made in bob's name.
    approve(stolen, &bulk).await.refused(409, "approval-refused");
    let token = |admin: &'static str| stolen.post("/api/1/tokens", json!({"name": "t", "admin": admin}));
    let mine: CreatedToken = token("mallory").await.read(201);
    let mine = stolen.with_token(&mine.secret);
    approve(&mine, &bulk).await.refused(409, "approval-refused");
    waits(&retire(&mine, 14).await);
    let bobs: CreatedToken = token("bob").await.read(201);
    let bobs = stolen.with_token(&bobs.secret);
    approve(&bobs, &bulk).await.refused(409, "approval-refused");
    for client in [stolen, &mine, &bobs] {
        approve(client, &of_wipe).await.refused(409, "approval-refused");
        let agreed = client.post(&format!("{wipe}/approve"), json!({"reason": "x"})).await;
        assert!((400..500).contains(&agreed.status), "{}", agreed.text);
    }

    // By asking in bob's name and agreeing in one's own.
    let lock =
        json!({"action": "full", "devices": ["d14", "d15", "d16", "d17", "d18", "d19"], "reason": "x"});
    let by_bobs = waits(&bobs.post("/api/1/locks", lock).await);
    for client in [stolen, &mine] {
        approve(client, &by_bobs).await.refused(409, "approval-refused");
    }

    // By wider limits, more admins, other roles, fewer approvers.
    let wider = json!({"limits": {"per-person": 1000, "per-hour": 10000, "at-least": 1000}, "reason": "x"});
    let wider: Value = stolen.put_body("/api/1/safety/limits", wider).await.read(202);
    assert_eq!(wider["done"], false);
    approve(&bobs, wider["approval"].as_str().unwrap()).await.refused(409, "approval-refused");
    waits(&stolen.post("/api/1/admins", json!({"name": "eve", "roles": ["device-admin"]})).await);
    let harmless: Value = stolen.post("/api/1/admins", json!({"name": "eve", "roles": []})).await.read(201);
    let tag = format!("\"{}\"", harmless["revision"]);
    waits(&stolen.patch("/api/1/admins/eve", &tag, json!({"roles": ["device-admin"]})).await);
    waits(&stolen.patch("/api/1/admins/bob", "*", json!({"disabled": true})).await);

    // In bob's name there is one more device until the fleet's limit; then everything is frozen, for everybody.
    retire(&bobs, 15).await.read::<Value>(200);
    retire(&bobs, 16).await.refused(409, "frozen");
    retire(stolen, 17).await.refused(409, "frozen");
    retire(&scene.kit.admin, 18).await.refused(409, "frozen");
    approve(&scene.bob, &bulk).await.refused(409, "frozen");
    let glass = [("postern-break-glass", "yes")];
    let closed = stolen.send(Method::DELETE, "/api/1/devices/d17?reason=x", &glass, None).await;
    closed.refused(403, "break-glass-closed");
    let thaw: Value = stolen.post("/api/1/safety/thaw", json!({"reason": "x"})).await.read(202);
    assert_eq!(thaw["done"], false);
    approve(&bobs, thaw["approval"].as_str().unwrap()).await.refused(409, "approval-refused");
    bobs.post("/api/1/safety/thaw", json!({"reason": "x"})).await.refused(409, "approval-refused");
    // Nor the other way round: asked for in bob's name, given in mallory's.
    let reject = json!({"reason": "x"});
    let taken_back = format!("/api/1/approvals/{}/reject", thaw["approval"].as_str().unwrap());
    scene.bob.post(&taken_back, reject).await.read::<Value>(200);
    let thaw: Value = bobs.post("/api/1/safety/thaw", json!({"reason": "x"})).await.read(202);
    assert_eq!(thaw["done"], false);
    stolen.post("/api/1/safety/thaw", json!({"reason": "x"})).await.refused(409, "approval-refused");

    assert_eq!(scene.left().await, FLEET - 6);
    let wipe: Value = scene.kit.admin.get(&wipe).await.read(200);
    assert_eq!(wipe["state"], "awaiting-approval");
    let safety = scene.safety().await;
    assert_eq!((safety.hit_by_all, safety.fleet_limit), (6, 6));
    assert!(safety.frozen.is_some_and(|freeze| freeze.automatic));
    let waiting: Value = scene.bob.get("/api/1/approvals?state=approved").await.read(200);
    assert_eq!(waiting["items"].as_array().unwrap().len(), 0);
}

async fn many_requests_at_once_reach_no_further(kind: DatabaseKind) {
    let scene = Scene::new(kind, FLEET).await;
    let mut tokens: Vec<Client> = vec![scene.mallory.clone()];
    for _ in 0..3 {
        let made: CreatedToken = scene.mallory.post("/api/1/tokens", json!({"name": "t"})).await.read(201);
        tokens.push(scene.mallory.with_token(&made.secret));
    }
    let asked = (0..FLEET).map(|number| {
        let token = tokens[number % tokens.len()].clone();
        async move {
            match number % 3 {
                0 => retire(&token, number).await,
                1 => {
                    let path = format!("/api/1/devices/d{number}/unenrol");
                    token.post(&path, json!({"now": true, "reason": "x"})).await
                }
                _ => {
                    let body = json!({"action": "full", "devices": [format!("d{number}")], "reason": "x"});
                    token.post("/api/1/locks", body).await
                }
            }
        }
    });
    let answers = join_all(asked).await;
    let done = answers.iter().filter(|answer| answer.status < 300).count();
    assert_eq!(done, 5, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    for refused in answers.iter().filter(|answer| answer.status >= 300) {
        waits(refused);
    }
    assert_eq!(scene.safety().await.hit_by_all, 5);
    let open: Value = scene.bob.get("/api/1/approvals?state=waiting&limit=500").await.read(200);
    assert_eq!(open["items"].as_array().unwrap().len(), FLEET - 5);
    let one: Approval = serde_json::from_value(open["items"][0].clone()).unwrap();
    assert_eq!(one.requester, "mallory");
}

async fn who_is_alone_reaches_no_further_within_the_hour(kind: DatabaseKind) {
    let scene = Scene::new(kind, FLEET).await;
    // Nobody else may approve: bob and mallory left.
    for name in ["bob", "mallory"] {
        let path = format!("/api/1/admins/{name}");
        let gone = scene.kit.admin.patch(&path, "*", json!({"disabled": true})).await;
        let Ok(request) = serde_json::from_str::<Value>(&gone.text) else { panic!("{}", gone.text) };
        if gone.status == 409 {
            let request = request["errors"][0]["at"].as_str().unwrap().to_owned();
            approve(&scene.mallory, &request).await.read::<Approval>(200);
            scene.kit.admin.patch(&path, "*", json!({"disabled": true})).await.read::<Value>(200);
        }
    }
    let alone = &scene.kit.admin;
    for number in 0..6 {
        retire(alone, number).await.read::<Value>(200);
    }
    retire(alone, 6).await.refused(409, "frozen");
    alone.post("/api/1/safety/thaw", json!({"reason": "x"})).await.refused(409, "approval-refused");
    // Wider limits wait a day.
    let wider = json!({"limits": {"at-least": 1000}, "reason": "x"});
    let wider: Value = alone.put_body("/api/1/safety/limits", wider).await.read(202);
    assert_eq!(wider["done"], false);
    approve(alone, wider["approval"].as_str().unwrap()).await.refused(409, "approval-refused");
    assert_eq!(scene.left().await, FLEET - 6);
    let alarms = alone.get("/api/1/alarms").await.text;
    assert!(alarms.contains("acting-alone"), "{alarms}");
    let auditor = scene.kit.admin.get("/api/1/audit?limit=200").await.text;
    assert!(auditor.contains("safety.alone") && auditor.contains("safety.freeze"), "{auditor}");
}
