//! Alarms over the API: listed, acknowledged, closed, shown by status and metrics.

use postern_api::{
    Page,
    alarms::{Alarm, AlarmCounts},
    status::Status,
};
use postern_store::alarms::{self, Severity};
use serde_json::json;

use crate::kit::Kit;

async fn raise(kit: &Kit, severity: Severity, subject: &'static str) {
    let store = &kit.core().inside().store;
    store
        .write(move |tx| alarms::raise(tx, severity, "gateway-lost", subject, "it does not answer"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_alarm_is_listed_acknowledged_and_closed_with_its_row_in_the_audit() {
    let kit = Kit::start().await;
    raise(&kit, Severity::Warning, "gateway:edge").await;
    raise(&kit, Severity::Warning, "gateway:edge").await;
    let open: Page<Alarm> = kit.admin.get("/api/1/alarms").await.read(200);
    let alarm = &open.items[0];
    assert_eq!((open.items.len(), alarm.count, alarm.severity.as_str()), (1, 2, "warning"));
    let path = format!("/api/1/alarms/{}/acknowledge", alarm.id);
    let seen: Alarm = kit.admin.post(&path, json!({"reason": "cable"})).await.read(200);
    assert_eq!(seen.acknowledged_by.as_deref(), Some("admin:admin"));
    assert!(kit.audit().await.contains("cable"));
    kit.admin.post(&path, json!({"close": true})).await.read::<Alarm>(200);
    kit.admin.post(&path, json!({})).await.refused(409, "wrong-state");
    // Whoever made the auditor did it alone, which is an alarm of its own.
    let of_edge = |page: Page<Alarm>| page.items.iter().filter(|one| one.subject == "gateway:edge").count();
    assert_eq!(of_edge(kit.admin.get("/api/1/alarms").await.read(200)), 0);
    assert_eq!(of_edge(kit.admin.get("/api/1/alarms?state=all").await.read(200)), 1);
    kit.admin.get("/api/1/alarms?state=odd").await.refused(400, "invalid-request");
    let nothing = "/api/1/alarms/00000000-0000-0000-0000-000000000000/acknowledge";
    kit.admin.post(nothing, json!({})).await.refused(404, "not-found");
}

#[tokio::test]
async fn a_critical_alarm_degrades_the_status_and_stands_in_the_metrics() {
    let kit = Kit::start().await;
    raise(&kit, Severity::Notice, "gateway:a").await;
    raise(&kit, Severity::Critical, "gateway:b").await;
    let status: Status = kit.admin.get("/api/1/status").await.read(200);
    assert_eq!(status.alarms, AlarmCounts { open: 2, critical: 1, unacknowledged: 2 });
    assert_eq!(status.state, "degraded");
    assert!(status.problems.iter().any(|problem| problem.contains("1 critical alarms")));
    let url = format!("http://{}/metrics", kit.core().addresses().observe);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(text.contains("postern_alarms_open{kind=\"gateway-lost\",severity=\"critical\"} 1"), "{text}");
}
