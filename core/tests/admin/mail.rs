//! The outbox over the API, on a whole core: a test that goes out, letters, retries, addresses, doctor.

use postern_api::{
    Page,
    alarms::Alarm,
    mail::{Address, Delivery, Preview, PutAddress, Told},
    server::{Doctor, Verdict},
};
use postern_store::outbox::{self, Event, Recipients};
use postern_wire::terms::{Channel, DeliveryState, EventKind, Role};
use serde_json::json;

use crate::kit::{Client, Kit};

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

async fn deliveries(client: &Client, query: &str) -> Vec<Delivery> {
    client.get(&format!("/api/1/mail/outbox{query}")).await.read::<Page<Delivery>>(200).items
}

/// Waits until every delivery about this subject is over.
async fn told(client: &Client, subject: &str) -> Vec<Delivery> {
    for _ in 0..600 {
        let rows = deliveries(client, &format!("?subject={subject}")).await;
        if !rows.is_empty() && rows.iter().all(|row| row.finished_at.is_some()) {
            return rows;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{subject} was not told");
}

#[tokio::test]
async fn a_test_goes_to_every_far_end_and_a_delivered_one_is_replayed_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let stream = file.clone();
    let kit = Kit::with(|config| {
        config.stream = Some(postern_core::config::StreamConfig { file: stream });
    })
    .await;
    let sent: Told = kit.admin.post("/api/1/mail/test", json!({"to": "ada@corp.example"})).await.read(202);
    kit.admin.post("/api/1/mail/test", json!({"to": "Ada"})).await.refused(400, "invalid-request");
    let rows = told(&kit.admin, &sent.subject).await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(
        (row.kind, row.channel, row.state),
        (EventKind::Test, Channel::Stream, DeliveryState::Delivered)
    );
    assert_eq!(row.data["by"], "admin:admin");
    let shown: Delivery = kit.admin.get(&format!("/api/1/mail/outbox/{}", row.id)).await.read(200);
    assert_eq!(&shown, row);

    let retry = format!("/api/1/mail/outbox/{}/retry", row.id);
    kit.admin.post(&retry, json!({})).await.refused(409, "wrong-state");
    kit.admin.post(&retry, json!({"replay": true, "reason": "the SIEM lost it"})).await.read::<Delivery>(200);
    told(&kit.admin, &sent.subject).await;
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(lines.lines().count(), 2);
    assert_eq!(lines.lines().next(), lines.lines().last(), "the same document");
    assert!(kit.audit().await.contains("the SIEM lost it"));
    assert!(deliveries(&kit.admin, "?channel=mail").await.is_empty(), "no mail server is set up");
    kit.admin.get("/api/1/mail/outbox?state=odd").await.refused(400, "invalid-request");
    for path in [format!("/api/1/mail/outbox/{NOBODY}"), "/api/1/mail/outbox/x".to_owned()] {
        kit.admin.get(&path).await.refused(404, "not-found");
    }
}

#[tokio::test]
async fn a_letter_is_previewed_by_the_operators_templates_as_they_are_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let kit = Kit::with(|config| {
        std::fs::write(config.folder.join("mail.password"), "secret\n").unwrap();
        let server =
            postern_core::config::SmtpConfig::at("localhost", "mdm@corp.example", "mdm", "mail.password");
        config.mail = Some(postern_core::config::SmtpConfig { port: 1, templates: Some(path), ..server });
    })
    .await;
    let preview = "/api/1/mail/letters/wipe-requested";
    let built_in: Preview = kit.admin.get(preview).await.read(200);
    assert!(built_in.subject.contains("Wipe requested") && built_in.troubles.is_empty(), "{built_in:?}");
    assert!(!built_in.html.contains("<b>& co"), "{}", built_in.html);
    std::fs::write(folder.path().join("wipe-requested.txt"), "Subject: {{device}}!\nAch, {{owner}}\n")
        .unwrap();
    std::fs::write(folder.path().join("mail.html"), "<p>{{oops}").unwrap();
    let own: Preview = kit.admin.get(preview).await.read(200);
    assert_eq!(
        (own.subject.as_str(), own.text.as_str()),
        ("Ada's phone <b>& co</b>!", "Ach, ada@corp.example\n")
    );
    assert_eq!(own.troubles.len(), 1, "{:?}", own.troubles);
    kit.admin.get("/api/1/mail/letters/nonsense").await.refused(404, "not-found");

    let event = Event {
        kind: EventKind::Frozen,
        subject: "freeze:1".to_owned(),
        device: None,
        dedupe: "freeze:1".to_owned(),
        data: json!({"reason": "too many wipes"}),
        recipients: Recipients::default(),
        owner_held_until: None,
        at: kit.core().inside().now(),
    };
    kit.core().inside().store.write(move |tx| outbox::put(tx, &event)).await.unwrap();
    let entry = kit.core().inside().store.read(|r| outbox::by_dedupe(r, "freeze:1")).await.unwrap().unwrap();
    let letter: Preview =
        kit.admin.get(&format!("/api/1/mail/letters/frozen?event={}", entry.id)).await.read(200);
    assert!(letter.text.contains("Reason: too many wipes"), "{}", letter.text);
    kit.admin.get(&format!("/api/1/mail/letters/frozen?event={NOBODY}")).await.refused(404, "not-found");

    let doctor: Doctor = kit.admin.get("/api/1/doctor").await.read(200);
    let server = doctor.checks.iter().find(|check| check.name == "mail.server").unwrap();
    assert_eq!(server.verdict, Verdict::Fail);
    assert!(server.finding.contains("cannot be reached"), "{}", server.finding);
    assert!(doctor.checks.iter().any(|check| check.name == "mail.addresses"), "{:?}", doctor.checks);
}

#[tokio::test]
async fn where_people_get_mail_is_set_by_security_admins_and_audited_with_what_was_there() {
    let kit = Kit::start().await;
    let security = kit.as_role("security", &[Role::SecurityAdmin]).await;
    let path = "/api/1/mail/addresses";
    let put: PutAddress = security
        .put_body(path, json!({"subject": "admin:admin", "address": "a@corp.example"}))
        .await
        .read(200);
    assert!(put.subject.starts_with("admin:") && put.subject.len() > 20, "{}", put.subject);
    let owner =
        json!({"subject": "owner:CORP\\ada", "address": "ada@corp.example", "second": "ada@home.example"});
    security.put_body(path, owner).await.read::<PutAddress>(200);
    let all: Page<Address> = security.get(path).await.read(200);
    assert_eq!(all.items.len(), 2);
    let thief = json!({"subject": "owner:CORP\\ada", "address": "thief@evil.example"});
    security.put_body(path, thief).await.read::<PutAddress>(200);
    let audit = kit.audit().await;
    assert!(audit.contains("ada@home.example") && audit.contains("thief@evil.example"), "{audit}");
    security.put_body(path, json!({"subject": "owner:CORP\\ada"})).await.read::<PutAddress>(200);
    assert_eq!(security.get(path).await.read::<Page<Address>>(200).items.len(), 1);
    for wrong in [
        json!({"subject": "owner:x", "address": "no address"}),
        json!({"subject": "owner:x", "address": "a@b\r\nBcc: c@d"}),
        json!({"subject": "nobody", "address": "a@b"}),
        json!({"subject": "owner:x", "second": "a@b"}),
    ] {
        security.put_body(path, wrong).await.refused(400, "invalid-request");
    }
    security
        .put_body(path, json!({"subject": "admin:nobody", "address": "a@b"}))
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn a_webhook_that_may_go_to_this_machine_is_an_alarm_until_it_may_no_more() {
    let kit = Kit::with(|config| {
        std::fs::write(config.folder.join("secret"), "x".repeat(32)).unwrap();
        let url = "http://127.0.0.1:1/";
        let webhook = postern_core::config::WebhookConfig::at("lab", url, "secret");
        config.webhooks = vec![postern_core::config::WebhookConfig { allow_local: true, ..webhook }];
    })
    .await;
    let alarms =
        || async { kit.admin.get("/api/1/alarms?kind=webhook-local").await.read::<Page<Alarm>>(200) };
    let open = alarms().await;
    assert_eq!(open.items.len(), 1);
    assert_eq!(open.items[0].subject, "webhook:lab");
    let mut kit = kit;
    kit.stop().await;
    kit.again().await;
    let open: Page<Alarm> = kit.admin.get("/api/1/alarms?kind=webhook-local").await.read(200);
    assert!(open.items.is_empty(), "the file does not have it");
}
