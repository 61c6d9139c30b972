//! Starting: what is made, what is refused and with which sentence, standing by, starting again.

use std::os::unix::fs::PermissionsExt as _;

use postern_api::{
    Page,
    gateways::{Gateway, GatewaySettings},
    status::Status,
};
use postern_core::{Config, Core, Edge, StartError, init};
use serde_json::json;

use crate::kit::{Kit, options, start, until};

#[test]
fn a_state_folder_is_made_once_with_its_secrets_closed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("s");
    let edge = Edge::system();
    let make = || init::init(&options(state.clone()), edge.clock.as_ref(), edge.random.as_ref());
    make().unwrap();
    for secret in [
        "ca/device-ca.key",
        "ca/link-ca.key",
        "ca/server-ca.key",
        "keys/master.key",
        "keys/audit.key",
        "keys/order.key",
        "keys/message.key",
        "core/admin.key",
        "core/link.key",
        "admin.token",
        "gateways/edge/device.key",
        "gateways/edge/link.key",
    ] {
        let mode = std::fs::metadata(state.join(secret)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{secret}");
    }
    for public in [
        "ca.pem",
        "core.toml",
        "keys/order.pub.pem",
        "keys/message.pub.pem",
        "gateways/edge/gateway.toml",
        "gateways/edge/device-ca.pem",
        "gateways/edge/link-ca.pem",
        "core/admin.pem",
        "core/link.pem",
    ] {
        assert!(state.join(public).is_file(), "{public}");
    }
    assert!(!state.join("gateways/edge/master.key").exists());
    assert!(make().unwrap_err().to_string().contains("postern-core run"));
    std::fs::remove_file(state.join("core.toml")).unwrap();
    assert!(make().unwrap_err().to_string().contains("did not finish"));
}

#[tokio::test]
async fn a_core_that_cannot_start_says_in_one_sentence_what_to_do() {
    let kit = Kit::start().await;
    let config = Config::load(&kit.state.join("core.toml"), []).unwrap();
    let refused = |config: Config| match Core::start(config, Edge::system()) {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    };
    let mut busy = config.clone();
    busy.admin.listen = kit.core().addresses().admin;
    let error = tokio::task::spawn_blocking(move || refused(busy)).await.unwrap();
    assert!(matches!(error, StartError::Busy { key: "admin.listen", .. }), "{error}");
    assert!(error.to_string().contains("set `admin.listen` to another port"));
    let mut broken = config;
    broken.keys.audit = "keys/none.key".into();
    let error = tokio::task::spawn_blocking(move || refused(broken)).await.unwrap();
    assert!(error.to_string().contains("none.key cannot be read"), "{error}");
}

#[tokio::test]
async fn a_second_core_on_the_same_database_stands_by_and_takes_over() {
    let mut kit = Kit::start().await;
    let config = Config::load(&kit.state.join("core.toml"), []).unwrap();
    let second = start(config).await;
    assert!(!second.is_active());
    let status: Status = kit.admin.get("/api/1/status").await.read(200);
    assert!(status.database.active);
    kit.stop().await;
    until("the second core is active", || second.is_active()).await;
    tokio::task::spawn_blocking(move || second.stop()).await.unwrap();
}

#[tokio::test]
async fn a_core_without_a_reachable_gateway_runs_degraded_and_says_so() {
    let kit = Kit::start().await;
    let status: Status = kit.admin.get("/api/1/status").await.read(200);
    assert_eq!((status.gateways.len(), status.database.kind.as_str()), (1, "sqlite"));
    assert_eq!(status.certificates.iter().filter(|certificate| certificate.state == "valid").count(), 5);
    let gateways: Page<Gateway> = kit.admin.get("/api/1/gateways").await.read(200);
    assert_eq!(gateways.items[0].address, "127.0.0.1:1");
    kit.admin.get("/api/1/gateways/other").await.refused(404, "not-found");
}

#[tokio::test]
async fn gateway_settings_are_versioned_documents_that_are_checked() {
    let kit = Kit::start().await;
    let path = "/api/1/gateways/edge/settings";
    let shown = kit.admin.get(path).await;
    let before: GatewaySettings = shown.read(200);
    assert_eq!(before.version, 0);
    let put = |etag: String, document: serde_json::Value| {
        let admin = kit.admin.clone();
        let body = json!({"document": document, "reason": "test"}).to_string();
        async move { admin.send(reqwest::Method::PUT, path, &[("if-match", &etag)], Some(body)).await }
    };
    let etag = shown.header("etag").unwrap().to_owned();
    put(etag.clone(), json!({"message_octets": 1})).await.refused(400, "invalid-request");
    put(etag.clone(), json!({"colour": "red"})).await.refused(400, "invalid-request");
    put(etag.clone(), json!(7)).await.refused(400, "invalid-request");
    let after: GatewaySettings = put(etag.clone(), json!({"retry_after_s": 7})).await.read(200);
    assert_eq!(
        (after.version, after.state.as_str(), after.created_by.as_str()),
        (1, "pending", "admin:admin")
    );
    assert_eq!(after.document["retry_after_s"], 7);
    put(etag, json!({})).await.refused(412, "precondition-failed");
    put("*".into(), json!({})).await.read::<GatewaySettings>(200);
    let history: Page<GatewaySettings> = kit.admin.get(&format!("{path}/versions?limit=1")).await.read(200);
    assert_eq!((history.items[0].version, history.next_cursor.is_some()), (2, true));
}

#[tokio::test]
async fn health_and_metrics_are_on_their_own_port() {
    let kit = Kit::start().await;
    let base = format!("http://{}", kit.core().addresses().observe);
    let get = async |path: &str| {
        let response = reqwest::get(format!("{base}{path}")).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await.0, 200);
    assert_eq!(get("/readyz").await, (503, "no gateway is connected\n".to_owned()));
    let (status, text) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(
        text.contains("postern_core_active 1")
            && text.contains("postern_gateway_connected{gateway=\"edge\"} 0")
    );
    assert_eq!(get("/api/1/status").await.0, 404);
}
