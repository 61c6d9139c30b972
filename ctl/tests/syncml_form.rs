//! The JSON form of a message loses nothing.
#![forbid(unsafe_code)]

use postern_wire::syncml::{
    Alert, Command, Cred, Data, Group, Item, Location, Message, Meta, Request, Results, Status, SyncHdr,
    Version,
};
use posternctl::syncml::form;

#[test]
fn every_member_of_the_model_survives_the_json_form() {
    let message = everything();

    let json = serde_json::to_string_pretty(&form::Message::from(message.clone())).unwrap();
    let back: form::Message = serde_json::from_str(&json).unwrap();

    assert_eq!(Message::from(back), message, "{json}");
}

#[test]
fn what_is_absent_in_the_message_is_absent_in_the_json() {
    let json = serde_json::to_string(&form::Message::from(bare())).unwrap();

    for absent in ["cred", "meta", "resp_uri", "no_resp", "chal", "null", "items"] {
        assert!(!json.contains(absent), "{absent} in {json}");
    }
}

#[test]
fn an_empty_data_and_no_data_stay_two_things() {
    let mut message = bare();
    message.body = vec![Command::Get(Request {
        cmd_id: 1,
        items: vec![Item { data: Some(Data::default()), ..Item::default() }, Item::default()],
        ..Request::default()
    })];

    let form = form::Message::from(message.clone());
    let back: form::Message = serde_json::from_str(&serde_json::to_string(&form).unwrap()).unwrap();

    assert_eq!(Message::from(back), message);
}

#[test]
fn an_unknown_member_is_refused() {
    for json in [
        r#"{"version":"1.2","header":{},"body":[],"final":true,"x":1}"#,
        r#"{"command":"get","cmd_id":1,"itmes":[]}"#,
        r#"{"base64":"AA==","x":1}"#,
    ] {
        let as_message = serde_json::from_str::<form::Message>(json).is_ok();
        let as_command = serde_json::from_str::<form::Command>(json).is_ok();
        let as_data = serde_json::from_str::<form::Data>(json).is_ok();
        assert!(!as_message && !as_command && !as_data, "{json}");
    }
}

fn bare() -> Message {
    Message {
        version: Version::V1_2,
        header: SyncHdr {
            ver_dtd: "1.2".to_owned(),
            ver_proto: "DM/1.2".to_owned(),
            session_id: "1".to_owned(),
            msg_id: 1,
            target: Location::uri("https://dm.example/"),
            source: Location::uri("IMEI:1"),
            ..SyncHdr::default()
        },
        body: vec![Command::Status(Status {
            cmd_id: 1,
            cmd: "SyncHdr".to_owned(),
            code: 200,
            ..Status::default()
        })],
        is_final: true,
    }
}

fn everything() -> Message {
    let text = |text: &str| Some(text.to_owned());
    let meta = Meta {
        format: text("b64"),
        type_: text("text/plain"),
        mark: text("warning"),
        size: Some(u64::MAX),
        next_nonce: text(""),
        version: text("1"),
        max_msg_size: Some(4096),
        max_obj_size: Some(0),
        emi: vec!["one".to_owned(), "two".to_owned()],
    };
    let cred = Cred { meta: meta.clone(), data: Data::from("dXNlcjpwdw==") };
    let item = |data| Item {
        target: Some(Location { uri: "./A\u{202e}/B".to_owned(), name: text("n") }),
        source: Some(Location::uri("./C")),
        meta: meta.clone(),
        data: Some(data),
        more_data: true,
    };
    let items = vec![
        item(Data::from("text with \u{1b} and \"quotes\"")),
        item(Data::Binary(vec![0, 255, 1])),
        item(Data::Markup("<MgmtTree xmlns='x'/>".to_owned())),
    ];
    let request =
        Request { cmd_id: 2, no_resp: true, meta: meta.clone(), correlator: text("c"), items: items.clone() };
    let group = |commands| Group { cmd_id: 9, no_resp: true, meta: meta.clone(), commands };
    Message {
        version: Version::V1_1,
        header: SyncHdr {
            ver_dtd: "1.1".to_owned(),
            ver_proto: "DM/1.1".to_owned(),
            session_id: "s".to_owned(),
            msg_id: u32::MAX,
            target: Location { uri: "t".to_owned(), name: text("server") },
            source: Location { uri: "s".to_owned(), name: text("user") },
            resp_uri: text("https://dm.example/other"),
            no_resp: true,
            cred: Some(cred.clone()),
            meta: meta.clone(),
        },
        body: vec![
            Command::Alert(Alert {
                cmd_id: 1,
                no_resp: true,
                code: 1226,
                correlator: text("c"),
                items: items.clone(),
            }),
            Command::Add(request.clone()),
            Command::Replace(request.clone()),
            Command::Get(request.clone()),
            Command::Delete(request.clone()),
            Command::Copy(request.clone()),
            Command::Exec(request.clone()),
            Command::Atomic(group(vec![Command::Sequence(group(vec![Command::Exec(request)]))])),
            Command::Results(Results {
                cmd_id: 3,
                msg_ref: Some(1),
                cmd_ref: 2,
                meta: meta.clone(),
                target_ref: text("./T"),
                source_ref: text("./S"),
                items: items.clone(),
            }),
            Command::Status(Status {
                cmd_id: 4,
                msg_ref: Some(1),
                cmd_ref: 0,
                cmd: "SyncHdr".to_owned(),
                target_refs: vec!["./T".to_owned(), "./U".to_owned()],
                source_refs: vec!["./S".to_owned()],
                cred: Some(cred),
                chal: Some(meta),
                code: 401,
                items,
            }),
            Command::Unknown { name: "Sync".to_owned(), cmd_id: Some(5) },
            Command::Unknown { name: "Map".to_owned(), cmd_id: None },
        ],
        is_final: false,
    }
}
