//! Problems, pages, ETags, Idempotency-Key, limits and hostile text, the same on every resource.

use postern_api::{
    Page, Permission, Time,
    admins::{Admin, Me},
    devices::{Device, Enrolled},
    groups::{Group, GroupDetail},
    tokens::{CreatedToken, Token},
};
use postern_wire::terms::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::Kit;

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_problem_that_says_where() {
    let kit = Kit::start().await;
    let admin = &kit.admin;
    admin.get("/api/1/nothing").await.refused(404, "not-found");
    admin.get("/elsewhere").await.refused(404, "not-found");
    admin.get("/api/1/devices/nobody").await.refused(404, "not-found");
    admin.send(Method::DELETE, "/api/1/status", &[], None).await.refused(405, "method-not-allowed");
    admin.get("/api/1/devices?limit=0").await.refused(400, "invalid-request");
    admin.get("/api/1/devices?colour=red").await.refused(400, "invalid-request");
    admin.get("/api/1/devices?cursor=%00").await.refused(400, "invalid-request");
    let unknown = admin.post("/api/1/groups", json!({"name": "a", "colour": "red"})).await;
    assert!(unknown.refused(400, "invalid-request").errors[0].detail.contains("colour"));
    admin.send(Method::POST, "/api/1/groups", &[], Some("{".into())).await.refused(400, "invalid-request");
    let text = [("content-type", "text/plain")];
    admin
        .send(Method::POST, "/api/1/groups", &text, Some("{}".into()))
        .await
        .refused(415, "unsupported-media-type");
    let large = format!("{{\"name\": \"{}\"}}", "a".repeat(2 * 1024 * 1024));
    admin.send(Method::POST, "/api/1/groups", &[], Some(large.clone())).await.refused(413, "too-large");
    let key = [("idempotency-key", "k")];
    admin.send(Method::POST, "/api/1/groups", &key, Some(large)).await.refused(413, "too-large");
}

#[tokio::test]
async fn hostile_text_is_refused_or_comes_back_as_it_was() {
    let kit = Kit::start().await;
    for name in ["a\u{1b}[2J", "a\u{202e}b", "a\nb", "\u{0}", " ", &"x".repeat(200)] {
        kit.admin.post("/api/1/groups", json!({"name": name})).await.refused(400, "invalid-request");
    }
    for name in ["<script>alert(1)</script>", "'; DROP TABLE groups; --", "%00%2e%2e/", "Łódź ✓", "a/b?c#d"]
    {
        let group: Group = kit.admin.post("/api/1/groups", json!({"name": name})).await.read(201);
        assert_eq!(group.name, name);
        let shown: GroupDetail = kit.admin.get(&format!("/api/1/groups/{}", group.id)).await.read(200);
        assert_eq!(shown.group, group);
    }
    kit.admin.get("/api/1/groups/..%2f..%2fstatus").await.refused(404, "not-found");
    kit.admin.get("/api/1/groups/%ff%fe").await.refused(404, "not-found");
}

#[tokio::test]
async fn a_list_is_read_page_by_page_without_a_gap_or_a_double() {
    let kit = Kit::start().await;
    for n in 0..7 {
        kit.admin.post("/api/1/groups", json!({"name": format!("g{n}")})).await.read::<Group>(201);
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Page<Group> = kit.admin.get(&format!("/api/1/groups?limit=3{cursor}")).await.read(200);
        names.extend(page.items.into_iter().map(|group| group.name));
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, (0..7).map(|n| format!("g{n}")).collect::<Vec<_>>());
    let other: Page<Group> = kit.admin.get("/api/1/groups?limit=1").await.read(200);
    let foreign = format!("/api/1/devices?cursor={}", other.next_cursor.unwrap());
    kit.admin.get(&foreign).await.refused(400, "invalid-request");
}

#[tokio::test]
async fn a_change_needs_the_version_that_it_changes() {
    let kit = Kit::start().await;
    let made = kit.admin.post("/api/1/groups", json!({"name": "a"})).await;
    let group: Group = made.read(201);
    let (path, etag) = (format!("/api/1/groups/{}", group.id), made.header("etag").unwrap().to_owned());
    let bare = kit.admin.send(Method::PATCH, &path, &[], Some("{\"name\": \"b\"}".into())).await;
    bare.refused(428, "precondition-required");
    let renamed = kit.admin.patch(&path, &etag, json!({"name": "b"})).await;
    assert_eq!(renamed.read::<Group>(200).name, "b");
    kit.admin.patch(&path, &etag, json!({"name": "c"})).await.refused(412, "precondition-failed");
    kit.admin.patch(&path, "\"x\"", json!({"name": "c"})).await.refused(412, "precondition-failed");
    kit.admin.patch(&path, renamed.header("etag").unwrap(), json!({"name": "c"})).await.read::<Group>(200);
    kit.admin.patch(&path, "*", json!({"name": "d"})).await.read::<Group>(200);
}

#[tokio::test]
async fn a_repeated_post_with_its_key_gets_the_first_answer_and_does_nothing_twice() {
    let kit = Kit::start().await;
    let send = |path: &'static str, key: &'static str, body: Value| {
        let admin = kit.admin.clone();
        async move { admin.send(Method::POST, path, &[("idempotency-key", key)], Some(body.to_string())).await }
    };
    let first = send("/api/1/groups", "k1", json!({"name": "a"})).await;
    let second = send("/api/1/groups", "k1", json!({"name": "a"})).await;
    assert_eq!((first.status, &first.text), (second.status, &second.text));
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    send("/api/1/groups", "k1", json!({"name": "b"})).await.refused(422, "idempotency-mismatch");
    send("/api/1/groups", "k2", json!({"name": "a"})).await.refused(409, "already-exists");
    send("/api/1/groups", "a b", json!({"name": "c"})).await.refused(400, "invalid-request");
    // An answer that shows a secret rests sealed and comes back the same.
    let token = send("/api/1/tokens", "k3", json!({"name": "t"})).await;
    let again = send("/api/1/tokens", "k3", json!({"name": "t"})).await;
    assert_eq!(token.read::<CreatedToken>(201), again.read::<CreatedToken>(201));
    let secret = token.read::<CreatedToken>(201).secret;
    let device = json!({"device_id": "urn:test:1", "auth": "md5"});
    let enrolled = send("/api/1/devices", "k4", device.clone()).await;
    let password = enrolled.read::<Enrolled>(201).enrolment.password.unwrap();
    assert_eq!(enrolled.text, send("/api/1/devices", "k4", device).await.text);
    for file in ["postern.sqlite", "postern.sqlite-wal"] {
        let octets = std::fs::read(kit.state.join(file)).unwrap_or_default();
        for secret in [secret.as_bytes(), password.as_bytes()] {
            assert!(!octets.windows(secret.len()).any(|window| window == secret), "{file} holds a secret");
        }
    }
}

#[tokio::test]
async fn a_token_holds_as_far_as_it_was_made_for() {
    let kit = Kit::start().await;
    let scoped = json!({"name": "read", "scope": ["devices.read", "tokens.write"]});
    let created: CreatedToken = kit.admin.post("/api/1/tokens", scoped).await.read(201);
    let narrow = kit.admin.with_token(&created.secret);
    narrow.get("/api/1/devices").await.read::<Page<Device>>(200);
    narrow.get("/api/1/status").await.refused(403, "forbidden");
    narrow.post("/api/1/groups", json!({"name": "a"})).await.refused(403, "forbidden");
    let wider = json!({"name": "wider", "scope": ["devices.enrol"]});
    narrow.post("/api/1/tokens", wider).await.refused(403, "forbidden");
    let same: CreatedToken = narrow.post("/api/1/tokens", json!({"name": "same"})).await.read(201);
    assert_eq!(same.token.scope, Some(vec![Permission::DevicesRead, Permission::TokensWrite]));

    let elsewhere = json!({"name": "there", "networks": ["192.0.2.0/24"]});
    let there: CreatedToken = kit.admin.post("/api/1/tokens", elsewhere).await.read(201);
    kit.admin.with_token(&there.secret).get("/api/1/me").await.refused(401, "unauthenticated");
    for bad in [
        json!({"name": "x", "networks": ["10.0.0.0/33"]}),
        json!({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}),
        json!({"name": "x", "scope": []}),
        json!({"name": "x", "scope": ["everything"]}),
    ] {
        kit.admin.post("/api/1/tokens", bad).await.refused(400, "invalid-request");
    }

    let me: Me = narrow.get("/api/1/me").await.read(200);
    let revoked: Token = kit.admin.delete(&format!("/api/1/tokens/{}", me.token)).await.read(200);
    assert!(revoked.revoked_at.is_some());
    narrow.get("/api/1/me").await.refused(401, "unauthenticated");
    kit.admin.delete(&format!("/api/1/tokens/{}", me.token)).await.refused(409, "wrong-state");
    let listed = kit.admin.get("/api/1/tokens").await;
    assert!(!listed.text.contains("pst_"), "a list never shows a token's text");
}

#[tokio::test]
async fn failed_sign_ins_are_limited_by_address_and_a_good_token_still_passes() {
    let kit = Kit::with(|config| config.admin.failures_per_minute = 5).await;
    kit.admin.get("/api/1/me").await.read::<Me>(200);
    let guess = kit.admin.with_token("pst_not-a-token");
    for _ in 0..5 {
        guess.get("/api/1/me").await.refused(401, "unauthenticated");
    }
    let limited = guess.get("/api/1/me").await;
    limited.refused(429, "rate-limited");
    assert!(limited.header("retry-after").is_some());
    kit.admin.get("/api/1/me").await.read::<Me>(200);
}

#[tokio::test]
async fn nobody_changes_their_own_roles_and_a_disabled_admin_is_out_at_once() {
    let kit = Kit::start().await;
    let me: Me = kit.admin.get("/api/1/me").await.read(200);
    let own = format!("/api/1/admins/{}", me.admin.id);
    kit.admin.patch(&own, "*", json!({"roles": ["auditor"]})).await.refused(403, "own-roles");
    kit.admin.patch("/api/1/admins/admin", "*", json!({"disabled": false})).await.refused(403, "own-roles");

    let other = kit.as_role("other", &[Role::Helpdesk]).await;
    let shown = kit.admin.get("/api/1/admins/other").await;
    let etag = shown.header("etag").unwrap().to_owned();
    let changed = kit.admin.patch("/api/1/admins/other", &etag, json!({"roles": ["gateway-admin"]})).await;
    assert_eq!(changed.read::<Admin>(200).roles, [Role::GatewayAdmin]);
    kit.admin
        .patch("/api/1/admins/other", &etag, json!({"roles": []}))
        .await
        .refused(412, "precondition-failed");
    other.get("/api/1/devices").await.refused(403, "forbidden");
    kit.admin.patch("/api/1/admins/other", "*", json!({"disabled": true})).await.read::<Admin>(200);
    other.get("/api/1/me").await.refused(401, "unauthenticated");
    kit.admin.post("/api/1/admins", json!({"name": "other"})).await.refused(409, "already-exists");
}

#[tokio::test]
async fn groups_nest_and_a_cycle_is_refused() {
    let kit = Kit::start().await;
    for name in ["a", "b", "c"] {
        kit.admin.post("/api/1/groups", json!({"name": name})).await.read::<Group>(201);
    }
    assert_eq!(kit.admin.put("/api/1/groups/a/groups/b").await.status, 204);
    assert_eq!(kit.admin.put("/api/1/groups/b/groups/c").await.status, 204);
    kit.admin.put("/api/1/groups/c/groups/a").await.refused(409, "group-cycle");
    kit.admin.put("/api/1/groups/a/groups/a").await.refused(409, "group-cycle");
    let device = json!({"device_id": "d1", "groups": ["c"]});
    let enrolled: Enrolled = kit.admin.post("/api/1/devices", device).await.read(201);
    let names: Vec<_> = enrolled.device.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let members: Page<Device> = kit.admin.get("/api/1/devices?group=a").await.read(200);
    assert_eq!(members.items.len(), 1);
    let detail: GroupDetail = kit.admin.get("/api/1/groups/b").await.read(200);
    assert_eq!((detail.group.device_count, detail.group.group_count), (1, 1));
    assert_eq!((detail.groups[0].name.as_str(), detail.member_of[0].name.as_str()), ("c", "a"));
    assert_eq!(kit.admin.delete("/api/1/groups/c/devices/d1").await.status, 204);
    assert_eq!(kit.admin.delete("/api/1/groups/b").await.status, 204);
    kit.admin.get("/api/1/groups/b").await.refused(404, "not-found");
    let left: Page<Device> = kit.admin.get("/api/1/devices?group=a").await.read(200);
    assert!(left.items.is_empty());
    assert!(Time::default() < enrolled.device.created_at);
}

#[tokio::test]
async fn commands_may_carry_large_values_and_nothing_else_may_be_as_large() {
    let kit = Kit::with(|config| config.admin.commands_octets = 3 * 1024 * 1024).await;
    let admin = &kit.admin;
    let device = json!({"device_id": "d"});
    assert_eq!(admin.post("/api/1/devices", device).await.status, 201);
    let replace = |octets: usize| {
        json!({"commands": [{"verb": "replace", "uri": "./Settings/big", "data": "a".repeat(octets)}]})
            .to_string()
    };
    for key in [&[][..], &[("idempotency-key", "one")]] {
        let queued =
            |octets| admin.send(Method::POST, "/api/1/devices/d/commands", key, Some(replace(octets)));
        assert_eq!(queued(2 * 1024 * 1024).await.status, 202);
        queued(3 * 1024 * 1024).await.refused(413, "too-large");
    }
}
