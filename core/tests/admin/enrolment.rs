//! Requests for enrolments, and what becomes of a device's life, by the API.

use postern_api::{
    Page,
    devices::{Device, Enrolled},
    enrolment::{EnrolmentRequest, ImportedEnrolments, RequestedEnrolment},
};
use postern_wire::{
    enrol::OneTimePassword,
    terms::{EnrolmentState, RequestState},
};
use serde_json::json;

use crate::kit::Kit;

#[tokio::test]
async fn a_request_shows_its_password_once_is_listed_and_cancelled() {
    let kit = Kit::start().await;
    let body = json!({"name": "till 4", "owner": "ann", "email_domain": "@Example.com", "reason": "new"});
    let made: RequestedEnrolment = kit.admin.post("/api/1/enrolment-requests", body).await.read(201);
    let password = OneTimePassword::parse(&made.password).unwrap();
    assert_eq!(password.code().to_string(), made.request.code);
    assert_eq!(made.request.email_domain.as_deref(), Some("example.com"));
    for name in [made.request.id.to_string(), made.request.code.clone(), made.request.code.to_lowercase()] {
        let shown = kit.admin.get(&format!("/api/1/enrolment-requests/{name}")).await;
        assert!(!shown.text.contains(&made.password[6..]), "{}", shown.text);
        assert_eq!(shown.read::<EnrolmentRequest>(200).state, RequestState::Open);
    }
    let path = format!("/api/1/enrolment-requests/{}", made.request.code);
    let gone: EnrolmentRequest = kit.admin.delete(&path).await.read(200);
    assert_eq!(gone.state, RequestState::Cancelled);
    kit.admin.delete(&path).await.refused(409, "wrong-state");
    let open: Page<EnrolmentRequest> = kit.admin.get("/api/1/enrolment-requests?state=open").await.read(200);
    assert!(open.items.is_empty());
    kit.admin.get("/api/1/enrolment-requests/zzzzz").await.refused(404, "not-found");
}

#[tokio::test]
async fn what_a_request_cannot_have_is_refused() {
    let kit = Kit::start().await;
    for (body, status, slug) in [
        (json!({}), 400, "invalid-request"),
        (json!({"name": ""}), 400, "invalid-request"),
        (json!({"name": "a", "auth": "smoke"}), 400, "invalid-request"),
        (json!({"name": "a", "colour": "red"}), 400, "invalid-request"),
        (json!({"name": "a", "groups": ["none"]}), 404, "not-found"),
        (json!({"name": "a", "renews": "nobody"}), 404, "not-found"),
        (json!({"name": "a", "expires": "2001-01-01T00:00:00Z"}), 400, "invalid-request"),
    ] {
        kit.admin.post("/api/1/enrolment-requests", body).await.refused(status, slug);
    }
}

#[tokio::test]
async fn an_import_makes_what_can_be_made_or_all_or_none() {
    let kit = Kit::start().await;
    let requests = json!([{"name": "a"}, {"name": "b", "groups": ["none"]}, {"name": "c"}]);
    let none: ImportedEnrolments = kit
        .admin
        .post("/api/1/enrolment-imports", json!({"requests": requests, "all_or_none": true}))
        .await
        .read(200);
    assert_eq!((none.made, none.refused), (0, 3));
    let some: ImportedEnrolments =
        kit.admin.post("/api/1/enrolment-imports", json!({"requests": requests})).await.read(200);
    assert_eq!((some.made, some.refused), (2, 1));
    let refused: Vec<_> = some.items.iter().map(|item| item.refused.is_some()).collect();
    assert_eq!(refused, [false, true, false]);
    let open: Page<EnrolmentRequest> = kit.admin.get("/api/1/enrolment-requests?state=open").await.read(200);
    assert_eq!(open.items.len(), 2);
    kit.admin.post("/api/1/enrolment-imports", json!({"requests": []})).await.refused(400, "invalid-request");
}

#[tokio::test]
async fn a_device_that_came_by_hand_is_enrolled_anew_and_let_go() {
    let kit = Kit::start().await;
    let first: Enrolled = kit.admin.post("/api/1/devices", json!({"device_id": "d"})).await.read(201);
    let second: Enrolled =
        kit.admin.post("/api/1/devices/d/re-enrol", json!({"device_id": "d"})).await.read(201);
    assert_eq!(second.device.id, first.device.id);
    assert_eq!((second.enrolment.generation, second.device.generation), (2, 2));
    assert_ne!(second.enrolment.server_uri, first.enrolment.server_uri);
    assert_ne!(second.enrolment.password, first.enrolment.password);
    kit.admin.post("/api/1/devices/d/release", json!({})).await.refused(409, "wrong-state");
    kit.admin.post("/api/1/devices/d/unenrol", json!({})).await.refused(409, "wrong-state");
    let gone: Device =
        kit.admin.post("/api/1/devices/d/unenrol", json!({"now": true, "reason": "sold"})).await.read(200);
    assert_eq!((gone.state, gone.retired_because.as_deref()), (EnrolmentState::Retired, Some("sold")));
}
