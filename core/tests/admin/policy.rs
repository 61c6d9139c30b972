//! Policy documents over the API: planned, applied, listed, brought back, audited.

use postern_api::{
    Page,
    devices::Enrolled,
    groups::Group,
    policy::{PolicyDocument, PolicyDocumentDetail, PolicyPlan, PolicyVersion},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Answer, Client, Kit};

fn document(name: &str, camera: bool, groups: &str) -> String {
    format!(
        "postern: policy/1\nname: {name}\nassign: [{groups}]\nsettings:\n  - {{setting: camera, value: {camera}}}\n"
    )
}

fn files(texts: &[String]) -> Value {
    let files: Vec<_> = texts.iter().map(|text| json!({"name": "a.yaml", "text": text})).collect();
    json!({ "files": files, "reason": "as agreed" })
}

async fn plan(client: &Client, body: &Value) -> PolicyPlan {
    client.post("/api/1/policy/plan", body.clone()).await.read(200)
}

async fn apply_at(client: &Client, etag: &str, body: &Value) -> Answer {
    client.send(Method::POST, "/api/1/policy/apply", &[("if-match", etag)], Some(body.to_string())).await
}

async fn apply(client: &Client, texts: &[String]) -> PolicyPlan {
    apply_at(client, "*", &files(texts)).await.read(200)
}

fn told(plan: &PolicyPlan) -> Vec<(&str, &str, u64, u64)> {
    plan.changes.iter().map(|c| (c.name.as_str(), c.action.as_str(), c.version, c.devices)).collect()
}

/// Groups `all` ⊃ `field`, with a device in each.
async fn kit() -> Kit {
    let kit = Kit::start().await;
    for name in ["all", "field"] {
        kit.admin.post("/api/1/groups", json!({"name": name})).await.read::<Group>(201);
    }
    assert_eq!(kit.admin.put("/api/1/groups/all/groups/field").await.status, 204);
    for (device, group) in [("d1", "all"), ("d2", "field")] {
        let body = json!({"device_id": device, "groups": [group]});
        kit.admin.post("/api/1/devices", body).await.read::<Enrolled>(201);
    }
    kit
}

#[tokio::test]
async fn documents_are_planned_without_a_change_then_applied_once() {
    let kit = kit().await;
    let texts = [document("house", true, "all"), document("field", false, "field")];

    let planned = plan(&kit.admin, &files(&texts)).await;
    assert!(!planned.applied);
    assert_eq!(told(&planned), [("field", "create", 1, 1), ("house", "create", 1, 2)]);
    assert_eq!((planned.devices, planned.revision), (2, 0));
    let none: Page<PolicyDocument> = kit.admin.get("/api/1/policy/documents").await.read(200);
    assert_eq!(none.items, []);

    let applied = apply(&kit.admin, &texts).await;
    assert!(applied.applied);
    assert_eq!(applied.revision, 2);
    let again = apply(&kit.admin, &texts).await;
    assert_eq!(told(&again), [("field", "unchanged", 1, 0), ("house", "unchanged", 1, 0)]);
    assert_eq!(again.revision, 2);

    let listed: Page<PolicyDocument> = kit.admin.get("/api/1/policy/documents").await.read(200);
    let names: Vec<_> =
        listed.items.iter().map(|one| (one.name.as_str(), one.version, one.settings)).collect();
    assert_eq!(names, [("field", 1, 1), ("house", 1, 1)]);
    assert_eq!(listed.items[0].assignments[0].group, "field");
}

#[tokio::test]
async fn a_change_says_what_is_another_and_which_devices_would_notice() {
    let kit = kit().await;
    apply(&kit.admin, &[document("house", true, "all"), document("field", false, "field")]).await;

    // The inner group wins, so a change of the outer one alters only the device that is not in it.
    let planned = plan(&kit.admin, &files(&[document("house", false, "all")])).await;
    assert_eq!(told(&planned), [("house", "change", 2, 1)]);
    let difference = &planned.changes[0].differences[0];
    assert_eq!(
        (
            difference.kind.as_str(),
            difference.what.as_str(),
            difference.before.as_str(),
            difference.after.as_str()
        ),
        ("change", "setting camera", "true", "false")
    );
    // Another order of things that say the same is no change of any device.
    let same =
        document("house", true, "all").replace("name: house", "name: house\ndescription: of the house");
    let planned = plan(&kit.admin, &files(&[same])).await;
    assert_eq!((planned.changes[0].action.as_str(), planned.devices), ("change", 0));
}

#[tokio::test]
async fn prune_takes_away_what_is_in_no_file_and_only_then() {
    let kit = kit().await;
    apply(&kit.admin, &[document("house", true, "all"), document("field", false, "field")]).await;
    let house = [document("house", true, "all")];
    assert_eq!(told(&plan(&kit.admin, &files(&house)).await), [("house", "unchanged", 1, 0)]);

    let mut body = files(&house);
    body["prune"] = json!(true);
    let gone: PolicyPlan = apply_at(&kit.admin, "*", &body).await.read(200);

    assert_eq!(told(&gone), [("field", "remove", 2, 1), ("house", "unchanged", 1, 0)]);
    let listed: Page<PolicyDocument> = kit.admin.get("/api/1/policy/documents").await.read(200);
    assert_eq!(listed.items.len(), 1);
    let listed: Page<PolicyDocument> = kit.admin.get("/api/1/policy/documents?removed=true").await.read(200);
    assert_eq!(listed.items.iter().map(|one| one.removed).collect::<Vec<_>>(), [true, false]);
    kit.admin.post("/api/1/policy/plan", json!({"files": []})).await.refused(400, "invalid-request");
}

#[tokio::test]
async fn what_was_decided_on_an_older_state_is_refused() {
    let kit = kit().await;
    let body = files(&[document("house", true, "all")]);
    let planned = plan(&kit.admin, &body).await;
    apply(&kit.admin, &[document("field", false, "field")]).await;

    apply_at(&kit.admin, &format!("\"{}\"", planned.revision), &body)
        .await
        .refused(412, "precondition-failed");
    kit.admin.post("/api/1/policy/apply", body).await.refused(428, "precondition-required");
}

#[tokio::test]
async fn of_changes_at_the_same_time_each_is_made_or_refused_and_none_is_lost() {
    let kit = kit().await;
    let texts: Vec<_> = (0..3).map(|at| files(&[document(&format!("d{at}"), true, "all")])).collect();
    // At whatever state there is, each is made, planned anew where another came first.
    let [one, two, three] = [&texts[0], &texts[1], &texts[2]].map(|body| apply_at(&kit.admin, "*", body));
    let (one, two, three) = tokio::join!(one, two, three);
    for answer in [one, two, three] {
        assert!(answer.read::<PolicyPlan>(200).applied);
    }
    let listed: Page<PolicyDocument> = kit.admin.get("/api/1/policy/documents").await.read(200);
    assert_eq!(listed.items.len(), 3);
    // At one state, one is.
    let (one, other) = (document("d0", false, "all"), document("d1", false, "all"));
    let (one, other) = (files(&[one]), files(&[other]));
    let (one, other) =
        tokio::join!(apply_at(&kit.admin, "\"3\"", &one), apply_at(&kit.admin, "\"3\"", &other));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn a_version_comes_back_as_a_new_one_with_its_assignments() {
    let kit = kit().await;
    apply(&kit.admin, &[document("house", true, "all")]).await;
    apply(&kit.admin, &[document("house", false, "field")]).await;
    let path = "/api/1/policy/documents/house";
    let shown: PolicyDocumentDetail = kit.admin.get(path).await.read(200);
    assert_eq!((shown.document.version, shown.document.assignments[0].group.as_str()), (2, "field"));

    let body = json!({"reason": "it was wrong"}).to_string();
    let send = async |etag: &str| {
        kit.admin
            .send(Method::POST, &format!("{path}/rollback"), &[("if-match", etag)], Some(body.clone()))
            .await
    };
    send("\"1\"").await.refused(412, "precondition-failed");
    let back: PolicyPlan = send("\"2\"").await.read(200);

    assert_eq!(told(&back), [("house", "change", 3, 2)]);
    let shown: PolicyDocumentDetail = kit.admin.get(path).await.read(200);
    assert_eq!(shown.document.assignments[0].group, "all");
    assert!(shown.text.contains("value: true"), "{}", shown.text);
    // What is shown can be applied, and says the same.
    assert_eq!(told(&apply(&kit.admin, &[shown.text]).await), [("house", "unchanged", 3, 0)]);
    let versions: Page<PolicyVersion> = kit.admin.get(&format!("{path}/versions?limit=2")).await.read(200);
    assert_eq!(versions.items.iter().map(|one| one.version).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(versions.items[0].of_version, Some(1));
    assert_eq!(versions.items[0].reason.as_deref(), Some("it was wrong"));
    assert!(versions.next_cursor.is_some());
    let first: PolicyVersion = kit.admin.get(&format!("{path}/versions/1")).await.read(200);
    assert_eq!(first.sha256, versions.items[0].sha256);
    assert!(first.text.is_some());
    kit.admin.get(&format!("{path}/versions/9")).await.refused(404, "not-found");
}

#[tokio::test]
async fn one_document_that_cannot_be_keeps_all_from_being_applied() {
    let kit = kit().await;
    let good = document("house", true, "all");
    for (bad, says) in [
        (document("bad", true, "nobody"), "there is no group"),
        (document("bad", true, "all").replace("camera", "camrea"), "there is no setting"),
        (
            document("bad", true, "all").replace("setting: camera", "uri: ./DMAcc/x/AppAddr"),
            "its own operation",
        ),
        (document("bad", true, "all").replace("setting: camera", "uri: ./DevInfo/Man"), "AccessType"),
        (document("bad", true, "all").replace("value", "valeu"), "line 5: /settings/0/valeu"),
        (document("house", false, "all"), "two documents"),
    ] {
        let body = files(&[good.clone(), bad]);
        let answer = apply_at(&kit.admin, "*", &body).await;
        let problem = answer.refused(422, "invalid-policy");
        let told = format!("{:?} {:?}", problem.detail, problem.errors);
        assert!(told.contains(says), "{says} in {told}");
    }
    let none: Page<PolicyDocument> = kit.admin.get("/api/1/policy/documents").await.read(200);
    assert_eq!(none.items, []);
    // A node that nobody describes is a warning, or a refusal by choice.
    let unknown = document("house", true, "all").replace("setting: camera", "uri: ./Vendor/Example/Leaf");
    let mut body = files(&[unknown]);
    assert_eq!(plan(&kit.admin, &body).await.warnings[0].word, "undescribed");
    body["unknown_nodes"] = json!("refuse");
    kit.admin.post("/api/1/policy/plan", body).await.refused(422, "invalid-policy");
}

#[tokio::test]
async fn a_repeated_request_with_its_key_is_done_once_and_each_change_is_audited() {
    let kit = kit().await;
    let body = files(&[document("house", true, "all")]).to_string();
    let headers = [("if-match", "\"0\""), ("idempotency-key", "k1")];
    for _ in 0..2 {
        let answer = kit.admin.send(Method::POST, "/api/1/policy/apply", &headers, Some(body.clone())).await;
        let plan: PolicyPlan = answer.read(200);
        assert_eq!((plan.revision, plan.applied), (1, true));
    }
    let audit = kit.audit().await;
    assert_eq!(audit.matches("policy.apply").count(), 1, "{audit}");
    for part in ["as agreed", "house", "setting camera"] {
        assert!(audit.contains(part), "{part} in {audit}");
    }
}

#[tokio::test]
async fn who_may_write_and_not_assign_changes_no_assignment() {
    let kit = kit().await;
    apply(&kit.admin, &[document("house", true, "all")]).await;
    let body = json!({"name": "writer", "scope": ["policy.read", "policy.write"]});
    let made: Value = kit.admin.post("/api/1/tokens", body).await.read(201);
    let writer = kit.admin.with_token(made["secret"].as_str().unwrap());

    apply_at(&writer, "*", &files(&[document("house", true, "field")])).await.refused(403, "forbidden");
    let changed: PolicyPlan =
        apply_at(&writer, "*", &files(&[document("house", false, "all")])).await.read(200);
    assert_eq!(changed.changes[0].action, "change");
}

#[tokio::test]
async fn a_group_that_documents_are_assigned_to_is_not_deleted_and_may_be_renamed() {
    let kit = kit().await;
    apply(&kit.admin, &[document("house", true, "all")]).await;
    kit.admin.delete("/api/1/groups/all").await.refused(409, "wrong-state");
    assert_eq!(kit.admin.patch("/api/1/groups/all", "*", json!({"name": "everybody"})).await.status, 200);
    let shown: PolicyDocumentDetail = kit.admin.get("/api/1/policy/documents/house").await.read(200);
    assert_eq!(shown.document.assignments[0].group, "everybody");
}
