//! The audit log: every write in it, its head signed and sent out, tampering found.

use postern_api::{
    Page,
    audit::{self, AuditHead, AuditRow, AuditVerified},
    devices::Enrolled,
    groups::Group,
    status::Status,
};
use serde_json::json;

use crate::kit::{Kit, until_async};

#[tokio::test]
async fn every_write_is_in_the_log_with_its_actor_and_request() {
    let kit = Kit::start().await;
    let made = kit.admin.post("/api/1/groups", json!({"name": "a"})).await;
    let request = made.header("postern-request-id").unwrap().to_owned();
    let group: Group = made.read(201);
    kit.admin
        .post("/api/1/devices", json!({"device_id": "d", "reason": "new till"}))
        .await
        .read::<Enrolled>(201);
    kit.admin.post("/api/1/groups", json!({"name": "a"})).await.refused(409, "already-exists");
    let log: Page<AuditRow> = kit.admin.get("/api/1/audit").await.read(200);
    let row = log.items.iter().find(|row| row.action == "groups.create").unwrap();
    assert_eq!((row.actor.as_str(), row.outcome.as_str()), ("admin:admin", "ok"));
    assert_eq!(
        (row.object.as_str(), row.request.as_str()),
        (format!("group:{}", group.id).as_str(), request.as_str())
    );
    assert_eq!(log.items.iter().filter(|row| row.action == "groups.create").count(), 1);
    assert!(log.items.iter().any(|row| row.action == "device.enrol" && row.detail.contains("new till")));
    assert!(log.items.iter().any(|row| row.action == "admins.create" && row.actor == "service:init"));
    let of_group: Page<AuditRow> =
        kit.admin.get(&format!("/api/1/audit?object=group:{}", group.id)).await.read(200);
    assert_eq!(of_group.items.len(), 1);
}

#[tokio::test]
async fn the_head_is_signed_written_out_and_verifies_here_and_there() {
    let kit = Kit::with(|config| config.audit.every_s = 1).await;
    for n in 0..5 {
        kit.admin.post("/api/1/groups", json!({"name": format!("g{n}")})).await.read::<Group>(201);
    }
    let last = kit.admin.get("/api/1/audit?limit=1").await.read::<Page<AuditRow>>(200).items[0].seq;
    let mut seen = None;
    until_async("a signed head of the last row", async || {
        let shown = kit.admin.get("/api/1/audit/head").await;
        seen = (shown.status == 200).then(|| shown.read::<AuditHead>(200)).filter(|head| head.seq >= last);
        seen.is_some()
    })
    .await;
    let mut head = seen.unwrap();
    let anchor = std::fs::read_to_string(kit.state.join("audit-heads.jsonl")).unwrap();
    let heads: Vec<AuditHead> = anchor.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(heads.last(), Some(&head));
    let verified: AuditVerified =
        kit.admin.post("/api/1/audit/verify", json!({"heads": heads})).await.read(200);
    assert!(verified.ok && verified.heads == heads.len() as u64, "{verified:?}");

    // The same by who trusts nobody: rows and key taken out, checked with the library alone.
    let mut rows = kit.admin.get("/api/1/audit?limit=500").await.read::<Page<AuditRow>>(200).items;
    rows.reverse();
    let key = std::fs::read_to_string(kit.state.join("keys/audit.pub.pem")).unwrap();
    assert!(audit::verify(&rows, &heads, &key).ok);

    head.seq += 1000;
    let forged: AuditVerified =
        kit.admin.post("/api/1/audit/verify", json!({"heads": [head]})).await.read(200);
    assert!(!forged.ok && forged.faults[0].kind == "head-signature");
    let status: Status = kit.admin.get("/api/1/status").await.read(200);
    assert!(status.audit_signed_at.is_some());
}
