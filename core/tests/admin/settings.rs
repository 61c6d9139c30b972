//! Settings over the API: ranges, scopes, who wins and why, versions, audit.

use postern_api::{
    Page,
    audit::AuditRow,
    groups::Group,
    settings::{Setting, Settings},
};
use serde_json::{Value, json};

use crate::kit::{Client, Kit};

async fn set(client: &Client, path: &str, values: Value) -> Settings {
    client.patch(path, "*", json!({ "values": values })).await.read(200)
}

fn find<'a>(settings: &'a Settings, name: &str) -> &'a Setting {
    settings.settings.iter().find(|setting| setting.name == name).unwrap()
}

async fn of(client: &Client, path: &str, name: &str) -> Setting {
    let settings: Settings = client.get(path).await.read(200);
    find(&settings, name).clone()
}

#[tokio::test]
async fn a_fresh_core_has_the_originals_defaults_and_the_configurations_days() {
    let kit = Kit::with(|config| config.commands.keep_days = 21).await;
    let settings: Settings = kit.admin.get("/api/1/settings").await.read(200);
    for (name, value, from) in [
        ("ConnectInterval", "8h", "default"),
        ("OMASessionTimeout", "8m", "default"),
        ("HistoryDuration", "21d", "configuration"),
        ("ExpirationInterval", "30d", "default"),
    ] {
        let setting = find(&settings, name);
        assert_eq!((setting.value.as_str(), setting.from.as_str()), (value, from), "{name}");
    }
    assert_eq!(settings.revision, 0);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_refused_with_its_place_and_nothing_is_set() {
    let kit = Kit::start().await;
    kit.admin.post("/api/1/groups", json!({"name": "g"})).await.read::<Group>(201);
    let refused = async |path: &str, values: Value| {
        let answer = kit.admin.patch(path, "*", json!({ "values": values })).await;
        answer.refused(400, "invalid-request").errors[0].at.clone()
    };
    let wrong = json!({"ConnectJitter": "20%", "ConnectInterval": "59s"});
    assert_eq!(refused("/api/1/settings", wrong).await, "/values/ConnectInterval");
    assert_eq!(refused("/api/1/settings", json!({"Colour": "red"})).await, "/values/Colour");
    assert_eq!(refused("/api/1/settings", json!({})).await, "/values");
    let global_only = json!({"OMASessionTimeout": "1m"});
    assert_eq!(refused("/api/1/groups/g/settings", global_only).await, "/values/OMASessionTimeout");
    let short = json!({"PolicyRefreshInterval": "59m"});
    assert_eq!(refused("/api/1/settings", short).await, "/values/PolicyRefreshInterval");
    assert_eq!(of(&kit.admin, "/api/1/settings", "ConnectJitter").await.value, "10%");
}

#[tokio::test]
async fn the_device_is_before_its_deepest_group_and_that_before_everything_and_each_says_why() {
    let kit = Kit::start().await;
    for name in ["outer", "inner"] {
        kit.admin.post("/api/1/groups", json!({"name": name})).await.read::<Group>(201);
    }
    assert_eq!(kit.admin.put("/api/1/groups/outer/groups/inner").await.status, 204);
    let device = json!({"device_id": "d1", "groups": ["inner"]});
    assert_eq!(kit.admin.post("/api/1/devices", device).await.status, 201);
    let shown = async || {
        let setting = of(&kit.admin, "/api/1/devices/d1/settings", "ConnectInterval").await;
        (setting.value, setting.from, setting.because)
    };
    let is = |value: &str, from: &str, because: &str| (value.to_owned(), from.to_owned(), because.to_owned());

    assert_eq!(shown().await, is("8h", "default", "nobody set another value"));
    set(&kit.admin, "/api/1/settings", json!({"connectinterval": "12h"})).await;
    assert_eq!(shown().await, is("12h", "global", "set for everything by admin:admin"));
    set(&kit.admin, "/api/1/groups/outer/settings", json!({"ConnectInterval": "1m"})).await;
    set(&kit.admin, "/api/1/groups/inner/settings", json!({"ConnectInterval": "4h"})).await;
    let because = "set for the group \"inner\", 1 deep by admin:admin; it wins over 2 other values";
    assert_eq!(shown().await, is("4h", "group", because));
    set(&kit.admin, "/api/1/devices/d1/settings", json!({"ConnectInterval": "90s"})).await;
    assert_eq!(shown().await.0, "1m30s");
    set(&kit.admin, "/api/1/devices/d1/settings", json!({"ConnectInterval": null})).await;
    assert_eq!(shown().await.1, "group");
    assert_eq!(kit.admin.delete("/api/1/groups/inner").await.status, 204);
    assert_eq!(shown().await.1, "global", "the group's settings went with it, and with it the way to outer");
    let inner = of(&kit.admin, "/api/1/groups/outer/settings", "ConnectInterval").await;
    assert_eq!((inner.value.as_str(), inner.own.as_deref()), ("1m", Some("1m")));
}

#[tokio::test]
async fn settings_are_changed_at_the_version_that_was_read_and_audited() {
    let kit = Kit::start().await;
    let path = "/api/1/settings";
    let bare = kit.admin.send(reqwest::Method::PATCH, path, &[], Some("{\"values\": {}}".into())).await;
    bare.refused(428, "precondition-required");
    let read = kit.admin.get(path).await;
    let etag = read.header("etag").unwrap().to_owned();
    let body = |value: &str| json!({"values": {"ConnectInterval": value}});
    let changed = kit.admin.patch(path, &etag, body("1h")).await;
    assert_eq!(changed.read::<Settings>(200).revision, 1);
    kit.admin.patch(path, &etag, body("2h")).await.refused(412, "precondition-failed");
    let rows: Page<AuditRow> = kit.admin.get("/api/1/audit?object=settings").await.read(200);
    assert_eq!(rows.items.len(), 1);
    assert_eq!(rows.items[0].action, "settings.update");
    assert!(serde_json::to_string(&rows.items[0]).unwrap().contains("ConnectInterval"));
}

#[tokio::test]
async fn a_command_without_a_deadline_gets_the_settings() {
    let kit = Kit::start().await;
    kit.admin.post("/api/1/devices", json!({"device_id": "d1"})).await;
    let queue = async || {
        let body = json!({"commands": [{"verb": "get", "uri": "./DevInfo/Mod"}]});
        let operation: Value = kit.admin.post("/api/1/devices/d1/commands", body).await.read(202);
        let id = operation["commands"][0]["id"].as_str().unwrap().to_owned();
        let command: Value = kit.admin.get(&format!("/api/1/commands/{id}")).await.read(200);
        command["deadline"].clone()
    };
    assert!(queue().await.is_string());
    set(&kit.admin, "/api/1/settings", json!({"EnableExpiration": "off"})).await;
    assert!(queue().await.is_null());
}
