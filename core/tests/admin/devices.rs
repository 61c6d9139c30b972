//! Devices and their commands by the API.

use postern_api::{
    Page,
    commands::{Command, CommandSummary, Operation},
    devices::{Device, Enrolled},
    why::Why,
};
use postern_wire::terms::{AuthType, CommandState, EnrolmentState, ProofClass, Role};
use serde_json::json;

use crate::kit::Kit;

#[tokio::test]
async fn an_enrolment_shows_its_credentials_once_and_can_be_found_by_every_name() {
    let kit = Kit::start().await;
    let body = json!({"device_id": "IMEI:490154203237518", "name": "till 4", "owner": "anna", "hardware_id": "SN-1"});
    let enrolled: Enrolled = kit.admin.post("/api/1/devices", body).await.read(201);
    let file = &enrolled.enrolment;
    assert!(file.server_uri.starts_with("https://localhost:8843/dm/1/"), "{}", file.server_uri);
    assert_eq!((file.auth, file.generation, file.server_id.as_str()), (AuthType::Md5, 1, "postern"));
    assert_eq!(file.user.as_deref(), Some("IMEI-490154203237518"));
    assert!(file.password.as_ref().unwrap().len() >= 20 && file.server_password.is_some());
    assert!(file.ca_pem.contains("BEGIN CERTIFICATE") && file.message_key_pem.contains("PUBLIC KEY"));
    let id = enrolled.device.id.to_string();
    for name in [id.as_str(), "IMEI:490154203237518", "till%204", "SN-1"] {
        let shown = kit.admin.get(&format!("/api/1/devices/{name}")).await;
        assert!(!shown.text.contains(file.password.as_ref().unwrap()));
        assert_eq!(shown.read::<Device>(200).id, enrolled.device.id);
    }
    assert_eq!(enrolled.device.state, EnrolmentState::New);
    let again = json!({"device_id": "IMEI:490154203237518"});
    kit.admin.post("/api/1/devices", again).await.refused(409, "already-exists");
}

#[tokio::test]
async fn an_ambiguous_name_is_refused_with_the_list() {
    let kit = Kit::start().await;
    for id in ["d1", "d2"] {
        let body = json!({"device_id": id, "name": "till"});
        kit.admin.post("/api/1/devices", body).await.read::<Enrolled>(201);
    }
    let problem = kit.admin.get("/api/1/devices/till").await.refused(409, "ambiguous-device");
    assert_eq!(problem.errors.len(), 2);
    kit.admin.delete("/api/1/devices/d1").await.read::<Device>(200);
    assert_eq!(kit.admin.get("/api/1/devices/till").await.read::<Device>(200).device_id, "d2");
}

#[tokio::test]
async fn what_an_enrolment_cannot_have_is_refused() {
    let kit = Kit::start().await;
    for (body, status, slug) in [
        (json!({"device_id": "d", "auth": "certificate"}), 400, "invalid-request"),
        (json!({"device_id": "d", "auth": "signed", "csr_pem": "no"}), 422, "invalid-csr"),
        (json!({"device_id": "d", "auth": "smoke"}), 400, "invalid-request"),
        (json!({"device_id": ""}), 400, "invalid-request"),
        (json!({"device_id": "d", "user": "a:b"}), 400, "invalid-request"),
        (json!({"device_id": "d", "groups": ["none"]}), 404, "not-found"),
        (json!({}), 400, "invalid-request"),
    ] {
        kit.admin.post("/api/1/devices", body).await.refused(status, slug);
    }
    let all: Page<Device> = kit.admin.get("/api/1/devices").await.read(200);
    assert!(all.items.is_empty());
}

#[tokio::test]
async fn a_device_is_enrolled_to_prove_itself_by_mac_with_user_and_password() {
    let kit = Kit::start().await;
    let body = json!({"device_id": "IMEI:1", "auth": "hmac", "user": "dev", "password": "devpw"});
    let enrolled: Enrolled = kit.admin.post("/api/1/devices", body).await.read(201);
    assert_eq!(enrolled.device.auth, postern_wire::terms::AuthType::Hmac);
    assert_eq!(enrolled.enrolment.user.as_deref(), Some("dev"));
    assert!(enrolled.enrolment.server_password.is_some());
}

#[tokio::test]
async fn of_a_signing_request_only_the_key_is_taken() {
    use rcgen::{CertificateParams, DnType, IsCa, KeyPair, SanType};
    use x509_parser::prelude::{FromDer, X509Certificate};

    let kit = Kit::start().await;
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["gateway.example".into()]).unwrap();
    params.subject_alt_names.push(SanType::URI("postern:core:mine".try_into().unwrap()));
    params.distinguished_name.push(DnType::CommonName, "root of all");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let body = json!({"device_id": "d", "auth": "signed", "csr_pem": csr});
    let enrolled: Enrolled = kit.admin.post("/api/1/devices", body).await.read(201);
    let pem = enrolled.enrolment.certificate_pem.unwrap();
    let (_, first) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&first.contents).unwrap();
    assert_eq!(certificate.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
    assert!(!certificate.is_ca());
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    let uri = format!("postern:device:{}", enrolled.device.id);
    assert_eq!(names.len(), 1);
    assert!(matches!(names[0], x509_parser::extensions::GeneralName::URI(found) if found == uri));
    let shown = enrolled.device.certificate.unwrap();
    assert!(shown.not_after.is_some());
    assert_eq!(enrolled.enrolment.password, None);
    assert_eq!(kit.admin.get(&format!("/api/1/devices/{}", shown.serial)).await.status, 200);
}

#[tokio::test]
async fn commands_are_queued_shown_listed_and_cancelled_with_their_timeline() {
    let kit = Kit::start().await;
    kit.admin.post("/api/1/devices", json!({"device_id": "d"})).await.read::<Enrolled>(201);
    let body = json!({"commands": [
        {"verb": "get", "uri": "./DevInfo/Mod"},
        {"verb": "replace", "uri": "./Vendor/Setting", "data": "7", "format": "int"},
    ], "reason": "test"});
    let queued = kit.admin.post("/api/1/devices/d/commands", body).await;
    let operation: Operation = queued.read(202);
    assert_eq!(queued.header("location"), Some(format!("/api/1/operations/{}", operation.id).as_str()));
    assert_eq!((operation.state.as_str(), operation.commands.len()), ("queued", 2));
    assert_eq!((operation.requested_by.as_str(), operation.reason.as_deref()), ("admin", Some("test")));
    let replace = &operation.commands[1];
    let shown: Command = kit.admin.get(&format!("/api/1/commands/{}", replace.id)).await.read(200);
    let item = &shown.items.unwrap()[0];
    assert_eq!((item.data.as_deref(), item.format.as_deref()), (Some("7"), Some("int")));
    assert_eq!(shown.timeline[0].state, CommandState::Queued);
    assert!(shown.deadline.is_some());

    let list: Page<CommandSummary> = kit.admin.get("/api/1/devices/d/commands?limit=1").await.read(200);
    assert_eq!(list.items[0].id, replace.id);
    let device: Device = kit.admin.get("/api/1/devices/d").await.read(200);
    assert_eq!(device.pending, 2);
    let why: Why = kit.admin.get("/api/1/devices/d/why").await.read(200);
    assert_eq!(why.pending.len(), 2);
    assert!(why.pending[0].reason.contains("not been seen"), "{}", why.pending[0].reason);
    assert_eq!(why.findings[0].slug, "gateways-unreachable");

    // A watcher hears of the cancellation without asking again.
    let path = format!("/api/1/commands/{}?wait=30&revision={}", replace.id, replace.revision);
    let watcher = tokio::spawn({
        let admin = kit.admin.clone();
        async move { admin.get(&path).await.read::<Command>(200) }
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let cancelled: Command =
        kit.admin.delete(&format!("/api/1/commands/{}?reason=mistake", replace.id)).await.read(200);
    assert_eq!(cancelled.summary.state, CommandState::Cancelled);
    let watched = tokio::time::timeout(std::time::Duration::from_secs(10), watcher).await.unwrap().unwrap();
    assert_eq!(watched.summary.state, CommandState::Cancelled);
    kit.admin.delete(&format!("/api/1/commands/{}", replace.id)).await.refused(409, "wrong-state");
    kit.admin.delete("/api/1/commands/none").await.refused(404, "not-found");
}

#[tokio::test]
async fn commands_come_as_xml_too_and_bad_ones_are_refused_with_their_place() {
    let kit = Kit::start().await;
    kit.admin
        .post("/api/1/devices", json!({"device_id": "d", "dialect": "windows"}))
        .await
        .read::<Enrolled>(201);
    let xml = "<SyncBody><Get><CmdID>1</CmdID><Item><Target><LocURI>./DevInfo</LocURI></Target></Item></Get></SyncBody>";
    let operation: Operation =
        kit.admin.post("/api/1/devices/d/commands", json!({"syncml": xml})).await.read(202);
    assert_eq!(operation.commands[0].uri, "./DevInfo");
    for (body, status, slug) in [
        (json!({"syncml": "<Get><CmdID>1</CmdID>"}), 422, "invalid-syncml"),
        (json!({"syncml": "<!DOCTYPE a [<!ENTITY b \"c\">]><SyncML>&b;</SyncML>"}), 422, "invalid-syncml"),
        (json!({"syncml": "<Atomic><CmdID>1</CmdID></Atomic>"}), 400, "invalid-request"),
        (json!({}), 400, "invalid-request"),
        (json!({"commands": [{"verb": "copy", "uri": "./A"}]}), 400, "invalid-request"),
        (json!({"commands": [{"verb": "get", "uri": "./A", "data": "x"}]}), 400, "invalid-request"),
        (
            json!({"commands": [{"verb": "get", "uri": "./A"}], "deadline": "2001-01-01T00:00:00Z"}),
            400,
            "invalid-request",
        ),
        (
            json!({"commands": [{"verb": "exec", "uri": "./Device/Vendor/MSFT/RemoteWipe/doWipe"}]}),
            403,
            "reserved-uri",
        ),
    ] {
        kit.admin.post("/api/1/devices/d/commands", body).await.refused(status, slug);
    }
}

#[tokio::test]
async fn raw_exec_is_a_permission_of_its_own() {
    let kit = Kit::start().await;
    kit.admin.post("/api/1/devices", json!({"device_id": "d"})).await.read::<Enrolled>(201);
    let scope = json!({"name": "no exec", "scope": ["devices.read", "commands.queue"]});
    let created: postern_api::tokens::CreatedToken = kit.admin.post("/api/1/tokens", scope).await.read(201);
    let narrow = kit.admin.with_token(&created.secret);
    let get = json!({"commands": [{"verb": "get", "uri": "./A"}]});
    narrow.post("/api/1/devices/d/commands", get).await.read::<Operation>(202);
    let exec = json!({"commands": [{"verb": "exec", "uri": "./Vendor/Run"}]});
    narrow.post("/api/1/devices/d/commands", exec.clone()).await.refused(403, "forbidden");
    kit.admin.post("/api/1/devices/d/commands", exec).await.read::<Operation>(202);
}

#[tokio::test]
async fn an_order_with_its_key_is_taken_once() {
    let kit = Kit::start().await;
    kit.admin.post("/api/1/devices", json!({"device_id": "d"})).await.read::<Enrolled>(201);
    let send = |uri: &'static str| {
        let admin = kit.admin.clone();
        let body = json!({"commands": [{"verb": "get", "uri": uri}]}).to_string();
        async move {
            let headers = [("idempotency-key", "order-1")];
            admin.send(reqwest::Method::POST, "/api/1/devices/d/commands", &headers, Some(body)).await
        }
    };
    let first: Operation = send("./A").await.read(202);
    let second: Operation = send("./A").await.read(202);
    assert_eq!(first.id, second.id);
    send("./B").await.refused(422, "idempotency-mismatch");
    assert_eq!(kit.admin.get("/api/1/devices/d").await.read::<Device>(200).pending, 1);
}

#[tokio::test]
async fn a_retired_device_takes_no_orders_and_leaves_the_list() {
    let kit = Kit::start().await;
    kit.admin.post("/api/1/devices", json!({"device_id": "d"})).await.read::<Enrolled>(201);
    let get = json!({"commands": [{"verb": "get", "uri": "./A"}]});
    let operation: Operation = kit.admin.post("/api/1/devices/d/commands", get.clone()).await.read(202);
    let retired: Device = kit.admin.delete("/api/1/devices/d?reason=lost").await.read(200);
    assert_eq!((retired.state, retired.pending), (EnrolmentState::Retired, 0));
    assert_eq!(retired.retired_because.as_deref(), Some("lost"));
    let shown: Command =
        kit.admin.get(&format!("/api/1/commands/{}", operation.commands[0].id)).await.read(200);
    assert_eq!(shown.summary.state, CommandState::Cancelled);
    kit.admin.post("/api/1/devices/d/commands", get).await.refused(409, "wrong-state");
    kit.admin.delete("/api/1/devices/d").await.refused(409, "wrong-state");
    assert!(kit.admin.get("/api/1/devices").await.read::<Page<Device>>(200).items.is_empty());
    let gone: Page<Device> = kit.admin.get("/api/1/devices?state=retired").await.read(200);
    assert_eq!(gone.items.len(), 1);
    let why: Why = kit.admin.get("/api/1/devices/d/why").await.read(200);
    assert!(why.findings.iter().any(|finding| finding.slug == "retired"));
    assert_eq!(why.blocked.len(), 1);
}

#[tokio::test]
async fn a_device_is_renamed_under_its_version_and_filters_find_it() {
    let kit = Kit::start().await;
    for n in 0..5 {
        let body = json!({"device_id": format!("d{n}"), "owner": if n % 2 == 0 { "anna" } else { "ben" }});
        kit.admin.post("/api/1/devices", body).await.read::<Enrolled>(201);
    }
    let shown = kit.admin.get("/api/1/devices/d3").await;
    let body = json!({"name": "Kiosk 3", "owner": ""});
    let changed: Device =
        kit.admin.patch("/api/1/devices/d3", shown.header("etag").unwrap(), body).await.read(200);
    assert_eq!((changed.name.as_deref(), changed.owner), (Some("Kiosk 3"), None));
    let count = async |query: &str| {
        kit.admin.get(&format!("/api/1/devices?{query}")).await.read::<Page<Device>>(200).items.len()
    };
    assert_eq!(count("owner=anna").await, 3);
    assert_eq!(count("q=Kiosk").await, 1);
    assert_eq!(count("q=%25").await, 0);
    assert_eq!(count("pending=true").await, 0);
    assert_eq!(count("state=managed").await, 0);
    assert_eq!(count("seen_before=2031-01-01T00:00:00Z").await, 5);
    let proof = kit.admin.get("/api/1/devices/d3").await.read::<Device>(200).proof_class;
    assert!(proof <= ProofClass::Md5);
    let reader = kit.as_role("reader", &[Role::Helpdesk]).await;
    reader.patch("/api/1/devices/d3", "*", json!({"name": "x"})).await.refused(403, "forbidden");
}
