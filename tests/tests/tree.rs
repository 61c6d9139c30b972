//! A device's management tree by the real binaries: read whole and lazily, kept, compared; with our device, and with a
//! client that has no listings.
#![forbid(unsafe_code)]

use std::time::Duration;

use postern_tests::{
    device::Device,
    dm_client::target_of,
    site::{Plan, Site},
    wait,
};
use postern_wire::syncml::Data;
use serde_json::Value;

/// How long the core may take until it has taken a step of a reading.
const STEP: Duration = Duration::from_secs(15);
/// Sessions that a reading may take.
const SESSIONS: usize = 16;

#[test]
fn srv_55_our_device_tells_of_its_tree_in_one_document_and_two_snapshots_are_compared() {
    let site = Site::start(&Plan::default());
    let device = site.device("urn:uuid:1", "md5");
    let (tree, exit) = read(&site, &device, &["./DevInfo", "--whole"]);
    assert_eq!(exit, 1, "one session is enough for TNDS");
    assert_eq!(node(&tree, "./DevInfo/DevId")["value"], "urn:uuid:1");
    assert_eq!(node(&tree, "./DevInfo")["explored"], true);
    assert!(node(&tree, "./DevInfo/Mod")["at"].is_string());

    set(&site, &device, "add", "hello");
    let (tree, _) = read(&site, &device, &["./Settings", "--whole"]);
    assert_eq!(node(&tree, "./Settings/Greeting")["value"], "hello");
    set(&site, &device, "replace", "moin");
    let known = site.ctl().ok(&["device", "tree", "urn:uuid:1", "./Settings"]);
    assert_eq!(
        node(&known, "./Settings/Greeting")["value"],
        "hello",
        "what is kept stands until it is read anew"
    );
    read(&site, &device, &["./Settings", "--whole"]);

    let diff = site.ctl().ok(&["device", "tree", "urn:uuid:1", "./Settings", "--diff"]);

    let changes = diff["changes"].as_array().cloned().unwrap_or_default();
    // Beside the value its VerNo, which our device counts.
    assert!(changes.iter().all(|change| change["uri"] == "./Settings/Greeting"), "{diff:#}");
    let change = changes.iter().find(|change| change["what"] == "value").expect("the value has changed");
    assert_eq!((&change["before"], &change["after"]), (&Value::from("hello"), &Value::from("moin")));
    let snapshots = site.ctl().ok(&["device", "tree", "urn:uuid:1", "--snapshots"]);
    assert_eq!(snapshots.as_array().map(Vec::len), Some(3), "{snapshots:#}");
}

#[test]
fn our_devices_whole_tree_is_read_without_the_secrets_of_its_account() {
    let site = Site::start(&Plan::default());
    let device = site.device("urn:uuid:1", "md5");
    let (lazy, sessions) = read(&site, &device, &["--read"]);
    assert_eq!(sessions, 1);
    assert!(node(&lazy, "./DMAcc").get("value").is_none());

    let (tree, _) = read(&site, &device, &["--whole"]);

    assert!(node(&tree, "./DevDetail/SwV")["value"].is_string(), "{tree:#}");
    let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
    let secrets: Vec<_> = nodes.iter().filter(|node| node["secret"] == true).collect();
    assert!(!secrets.is_empty() && secrets.iter().all(|node| node.get("value").is_none()), "{secrets:#?}");
    let uris: Vec<_> = secrets.iter().filter_map(|node| node["uri"].as_str()).collect();
    assert!(uris.iter().any(|uri| uri.ends_with("/AAuthSecret")), "{uris:?}");
    let password = site.read("urn_uuid_1-enrolment.json");
    let password: Value = serde_json::from_str(&password).expect("JSON");
    assert!(!tree.to_string().contains(password["password"].as_str().expect("a password")));
}

#[test]
fn srv_55_a_client_without_listings_is_asked_node_by_node_and_not_for_a_listing_again() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "md5", &[]);
    let client = site.client(enrolment);
    let mut asked = Vec::new();
    let id = begin(&site, "IMEI:1", &["./DevDetail/SwV", "--whole"]);
    for session in 1..=SESSIONS {
        let before = reading(&site, "IMEI:1", &id)["asked"].clone();
        let check_in = client
            .check_in_with(&session.to_string(), |command| match target_of(command) {
                Some(uri) if uri.contains("?list=") => (406, None),
                _ => (200, Some(Data::from("7.1"))),
            })
            .expect("a session");
        asked.extend(check_in.commands.iter().filter_map(target_of));
        if ended(&site, "IMEI:1", &id, &before) {
            break;
        }
    }
    assert_eq!(asked, ["./DevDetail/SwV?list=TNDS", "./DevDetail/SwV?list=StructData", "./DevDetail/SwV"]);
    let tree = site.ctl().ok(&["device", "tree", "IMEI:1", "./DevDetail/SwV"]);
    assert_eq!(node(&tree, "./DevDetail/SwV")["value"], "7.1");

    begin(&site, "IMEI:1", &["./DevDetail/HwV", "--whole"]);
    let check_in = client.check_in_with("again", |_| (200, Some(Data::from("1")))).expect("a session");
    assert_eq!(check_in.commands.iter().filter_map(target_of).collect::<Vec<_>>(), ["./DevDetail/HwV"]);
}

#[test]
fn srv_55_a_document_inline_and_one_escaped_are_kept_alike() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "md5", &[]);
    let client = site.client(enrolment);
    let document = "<MgmtTree xmlns=\"syncml:dmddf1.2\"><VerDTD>1.2</VerDTD><Node><NodeName>App</NodeName><RTProperties>\
        <Format><node/></Format><Type><DDFName/></Type></RTProperties><Node><NodeName>v</NodeName><RTProperties><Format><int/>\
        </Format><Type><MIME>text/plain</MIME></Type></RTProperties><Value>7</Value></Node></Node></MgmtTree>";
    for (session, data) in [("1", Data::Markup(document.to_owned())), ("2", Data::from(document))] {
        let id = begin(&site, "IMEI:1", &["./App", "--whole"]);
        client.check_in_with(session, |_| (200, Some(data.clone()))).expect("a session");
        assert!(ended(&site, "IMEI:1", &id, &Value::from(1)), "{}", site.logs());
    }
    let tree = site.ctl().ok(&["device", "tree", "IMEI:1", "./App"]);
    assert_eq!(node(&tree, "./App/v")["value"], "7");
    let diff = site.ctl().ok(&["device", "tree", "IMEI:1", "--diff"]);
    assert_eq!(diff["changes"], Value::Array(Vec::new()));
}

#[test]
fn what_a_description_forbids_is_refused_by_name_and_sent_when_forced() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "md5", &[]);
    let order = ["device", "command", "IMEI:1", "replace", "./DevInfo/Mod", "--data", "x"];
    let refused = site.ctl().run(&order);
    assert_eq!((refused.exit, refused.slug().as_str()), (2, "ddf-forbids"), "{refused:?}");
    let _ = site.ctl().ok(&[&order[..], &["--force"]].concat());

    let check_in = site.client(enrolment).check_in("1").expect("a session");

    assert_eq!(check_in.commands.iter().filter_map(target_of).collect::<Vec<_>>(), ["./DevInfo/Mod"]);
}

/// Begins a reading; gives its id.
fn begin(site: &Site, device: &str, arguments: &[&str]) -> String {
    let begun = site.ctl().ok(&[&["device", "tree", device], arguments].concat());
    begun["reading"]["id"].as_str().expect("a reading has an id").to_owned()
}

/// Begins a reading, lets the device check in until it has ended, and gives what is known and how often that was.
fn read(site: &Site, device: &Device, arguments: &[&str]) -> (Value, usize) {
    let name = device.device_id.as_str();
    let id = begin(site, name, arguments);
    for session in 1..=SESSIONS {
        let before = reading(site, name, &id)["asked"].clone();
        let ran = device.check_in(&[]);
        assert_eq!(ran.exit, 0, "{ran:?}\n{}", site.logs());
        if ended(site, name, &id, &before) {
            let node: Vec<_> =
                arguments.iter().copied().filter(|argument| argument.starts_with('.')).collect();
            let known = site.ctl().ok(&[&["device", "tree", name], &node[..]].concat());
            return (known, session);
        }
    }
    panic!("the reading does not end\n{}", site.logs());
}

fn reading(site: &Site, device: &str, id: &str) -> Value {
    site.ctl().ok(&["device", "tree", device, "--reading", id])
}

/// Waits until the core has taken its step: whether the reading has ended, or the device is asked for more.
fn ended(site: &Site, device: &str, id: &str, asked: &Value) -> bool {
    let step = || {
        let reading = reading(site, device, id);
        let open = reading["state"] == "open";
        (!open || reading["asked"] != *asked).then_some(!open)
    };
    wait::until("a step of the reading", STEP, step, || site.logs())
}

fn set(site: &Site, device: &Device, verb: &str, text: &str) {
    let order = ["device", "command", &device.device_id, verb, "./Settings/Greeting", "--data", text];
    let _ = site.ctl().ok(&order);
    assert_eq!(device.check_in(&[]).exit, 0);
}

fn node(tree: &Value, uri: &str) -> Value {
    let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
    nodes.into_iter().find(|node| node["uri"] == uri).unwrap_or_else(|| panic!("no {uri} in {tree:#}"))
}
