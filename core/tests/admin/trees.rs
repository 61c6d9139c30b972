//! Management objects and devices' trees by the API.

use postern_api::{
    Page,
    commands::{Command, Operation},
    devices::Enrolled,
    objects::{Completions, ManagementObject, ManagementObjectDetail},
    tokens::CreatedToken,
    trees::{Tree, TreeReading, TreeSnapshot},
};
use serde_json::{Value, json};

use crate::kit::Kit;

const LAMP: &str = "<!DOCTYPE MgmtTree [<?oma-dm-ddf-ver supported-versions=\"1.2\"?>]>
<MgmtTree xmlns:V=\"urn:x\"><VerDTD>1.2</VerDTD><Node><NodeName>Lamp</NodeName><Path>./Vendor</Path><DFProperties>
<AccessType><Get/></AccessType><DFFormat><node/></DFFormat><DFType><DDFName>com.example/lamp</DDFName></DFType>
<V:Extra/></DFProperties><Node><NodeName>Brightness</NodeName><DFProperties><AccessType><Get/><Replace/></AccessType>
<DFFormat><int/></DFFormat><DFType><MIME/></DFType></DFProperties></Node></Node></MgmtTree>";

async fn with_device() -> Kit {
    let kit = Kit::start().await;
    kit.admin.post("/api/1/devices", json!({"device_id": "d"})).await.read::<Enrolled>(201);
    kit
}

fn one(command: Value) -> Value {
    json!({"commands": [command]})
}

#[tokio::test]
async fn a_raw_command_that_the_description_forbids_is_refused_with_the_rule() {
    let kit = with_device().await;
    for (command, rule) in [
        (json!({"verb": "replace", "uri": "./DevInfo/Mod", "data": "x"}), "access-type"),
        (json!({"verb": "delete", "uri": "./DevDetail"}), "permanent"),
        (json!({"verb": "add", "uri": "./SCOMO/Download/p/Status", "data": "10"}), "access-type"),
        (json!({"verb": "exec", "uri": "./SCOMO/Download/p/Operations/Explode"}), "no-such-node"),
        (json!({"verb": "replace", "uri": "./LAWMO/LAWMOConfig/NotifyUser", "data": "1"}), "value"),
        (
            json!({"verb": "replace", "uri": "./LAWMO/LAWMOConfig/NotifyUser", "data": "true", "format": "chr"}),
            "format",
        ),
        (json!({"verb": "replace", "uri": "./DevInfo?prop=VerNo", "data": "1"}), "property"),
    ] {
        let refused = kit.admin.post("/api/1/devices/d/commands", one(command.clone())).await;
        let problem = refused.refused(422, "ddf-forbids");
        assert_eq!(problem.errors[0].at, "/commands/0");
        assert!(problem.errors[0].detail.starts_with(&format!("{rule}: ")), "{command} {:?}", problem.errors);
    }
    let hidden = json!({"syncml": "<Sequence><CmdID>1</CmdID><Replace><CmdID>2</CmdID><Item><Target><LocURI>./DevInfo/Man\
        </LocURI></Target><Data>x</Data></Item></Replace></Sequence>"});
    kit.admin.post("/api/1/devices/d/commands", hidden).await.refused(422, "ddf-forbids");
    let commands: Page<Value> = kit.admin.get("/api/1/devices/d/commands").await.read(200);
    assert!(commands.items.is_empty(), "nothing of it was queued");
}

#[tokio::test]
async fn force_is_a_permission_of_its_own_and_stands_on_the_operation() {
    let kit = with_device().await;
    let mut body = one(json!({"verb": "replace", "uri": "./DevInfo/Mod", "data": "x"}));
    body["force"] = true.into();
    let scope = json!({"name": "no force", "scope": ["devices.read", "commands.queue"]});
    let created: CreatedToken = kit.admin.post("/api/1/tokens", scope).await.read(201);
    let narrow = kit.admin.with_token(&created.secret);
    narrow.post("/api/1/devices/d/commands", body.clone()).await.refused(403, "forbidden");
    let operation: Operation = kit.admin.post("/api/1/devices/d/commands", body).await.read(202);
    let reason = operation.reason.unwrap();
    assert!(reason.contains("forced") && reason.contains("AccessType is Get"), "{reason}");
}

#[tokio::test]
async fn a_command_without_a_format_gets_the_one_of_the_description() {
    let kit = with_device().await;
    let body = one(json!({"verb": "replace", "uri": "./LAWMO/LAWMOConfig/NotifyUser", "data": "true"}));
    let operation: Operation = kit.admin.post("/api/1/devices/d/commands", body).await.read(202);
    let path = format!("/api/1/commands/{}", operation.commands[0].id);
    let command: Command = kit.admin.get(&path).await.read(200);
    assert_eq!(command.items.unwrap()[0].format.as_deref(), Some("bool"));
}

#[tokio::test]
async fn an_imported_description_is_listed_shown_completes_and_forbids_until_it_is_deleted() {
    let kit = with_device().await;
    let body = json!({"document": LAMP});
    let lamp: ManagementObject = kit.admin.post("/api/1/objects", body).await.read(201);
    assert_eq!(
        (lamp.name.as_str(), lamp.origin.as_str(), lamp.nodes, lamp.skipped),
        ("Lamp", "imported", 2, 1)
    );
    assert_eq!(
        (lamp.ids.clone(), lamp.places.clone()),
        (vec!["com.example/lamp".to_owned()], vec!["./Vendor/Lamp".to_owned()])
    );
    let all: Page<ManagementObject> = kit.admin.get("/api/1/objects").await.read(200);
    let names: Vec<_> = all.items.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "DevInfo",
            "DevDetail",
            "DMAcc",
            "DMAcc-1.1",
            "LAWMO",
            "SCOMO",
            "FUMO",
            "Inbox",
            "Postern-Certificate",
            "Postern-Trust",
            "Postern-Unenrol",
            "Lamp"
        ]
    );
    let shown: ManagementObjectDetail = kit.admin.get("/api/1/objects/Lamp").await.read(200);
    assert_eq!(shown.described[1].uri, "./Vendor/Lamp/Brightness");
    let found: Completions = kit.admin.get("/api/1/completions?prefix=./Vendor/L").await.read(200);
    assert_eq!(found.items.iter().map(|item| item.uri.as_str()).collect::<Vec<_>>(), ["./Vendor/Lamp"]);

    let dim = one(json!({"verb": "replace", "uri": "./Vendor/Lamp/Brightness", "data": "dim"}));
    kit.admin.post("/api/1/devices/d/commands", dim.clone()).await.refused(422, "ddf-forbids");
    assert_eq!(kit.admin.delete("/api/1/objects/Lamp").await.status, 204);
    kit.admin.post("/api/1/devices/d/commands", dim).await.read::<Operation>(202);
    kit.admin.delete("/api/1/objects/Lamp").await.refused(404, "not-found");
}

#[tokio::test]
async fn what_cannot_be_imported_or_deleted_is_refused() {
    let kit = Kit::start().await;
    for (body, status, slug) in [
        (json!({}), 400, "invalid-request"),
        (json!({"document": "<MgmtTree/>"}), 422, "invalid-ddf"),
        (json!({"document": "<!DOCTYPE a [<!ENTITY b \"c\">]><MgmtTree/>"}), 422, "invalid-ddf"),
        (json!({"document": LAMP, "document_base64": "AA=="}), 400, "invalid-request"),
        (json!({"document_base64": "?"}), 400, "invalid-request"),
        (json!({"document": LAMP, "name": "a/b"}), 400, "invalid-request"),
        (json!({"document": LAMP, "name": "DevInfo"}), 409, "already-exists"),
        (json!({"document": LAMP.replace("<Path>./Vendor", "<Path>../Vendor")}), 422, "invalid-ddf"),
    ] {
        kit.admin.post("/api/1/objects", body).await.refused(status, slug);
    }
    kit.admin.delete("/api/1/objects/DevInfo").await.refused(409, "wrong-state");
    kit.admin.get("/api/1/objects/Nothing").await.refused(404, "not-found");
}

#[tokio::test]
async fn a_reading_queues_gets_and_says_what_it_waits_for() {
    let kit = with_device().await;
    let known: Tree = kit.admin.get("/api/1/devices/d/tree").await.read(200);
    assert!(known.nodes.is_empty());
    let reading: TreeReading =
        kit.admin.post("/api/1/devices/d/tree", json!({"uri": "./DevInfo", "whole": true})).await.read(202);
    assert_eq!((reading.state.as_str(), reading.whole, reading.uri.as_str()), ("open", true, "./DevInfo"));
    let path = format!("/api/1/devices/d/tree/readings/{}", reading.id);
    let reading: TreeReading = kit.admin.get(&path).await.read(200);
    let path = format!("/api/1/operations/{}", reading.operation.unwrap());
    let operation: Operation = kit.admin.get(&path).await.read(200);
    let uris: Vec<_> = operation.commands.iter().map(|command| command.uri.as_str()).collect();
    assert_eq!(uris, ["./DevInfo?list=TNDS"]);
    let snapshots: Page<TreeSnapshot> = kit.admin.get("/api/1/devices/d/tree/snapshots").await.read(200);
    assert!(snapshots.items.is_empty());
    kit.admin.get("/api/1/devices/d/tree/diff").await.refused(409, "wrong-state");
    // A listing of everything would bring out secrets of the account: its children are asked for one by one.
    let reading: TreeReading =
        kit.admin.post("/api/1/devices/d/tree", json!({"whole": true})).await.read(202);
    let path = format!("/api/1/devices/d/tree/readings/{}", reading.id);
    let reading: TreeReading = kit.admin.get(&path).await.read(200);
    let path = format!("/api/1/operations/{}", reading.operation.unwrap());
    let operation: Operation = kit.admin.get(&path).await.read(200);
    assert_eq!(operation.commands[0].uri, ".");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let kit = with_device().await;
    for (body, status, slug) in [
        (json!({"uri": "./A?list=TNDS"}), 400, "invalid-request"),
        (json!({"uri": "../A"}), 400, "invalid-request"),
        (json!({"levels": 0}), 400, "invalid-request"),
        (json!({"levels": 65}), 400, "invalid-request"),
        (json!({"levels": 2, "whole": true}), 400, "invalid-request"),
    ] {
        kit.admin.post("/api/1/devices/d/tree", body).await.refused(status, slug);
    }
    for _ in 0..4 {
        kit.admin.post("/api/1/devices/d/tree", json!({})).await.read::<TreeReading>(202);
    }
    kit.admin.post("/api/1/devices/d/tree", json!({})).await.refused(409, "wrong-state");
    kit.admin.post("/api/1/devices/nobody/tree", json!({})).await.refused(404, "not-found");
    let none = "0199f7a0-0000-7000-8000-000000000009";
    for path in
        [format!("tree/readings/{none}"), format!("tree?snapshot={none}"), "tree/readings/x".to_owned()]
    {
        kit.admin.get(&format!("/api/1/devices/d/{path}")).await.refused(404, "not-found");
    }
    kit.admin.delete("/api/1/devices/d").await.read::<Value>(200);
    kit.admin.post("/api/1/devices/d/tree", json!({})).await.refused(409, "wrong-state");
}
