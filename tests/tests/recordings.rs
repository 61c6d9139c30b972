//! Recorded sessions and quirk profiles through the real binaries: what an operator of either does.
#![forbid(unsafe_code)]

use std::{path::Path, time::Duration};

use postern_tests::{
    ctl::Ctl,
    device::Device,
    site::{Plan, Site},
    wait,
};
use serde_json::Value;

/// How long the core may take until something that it does in batches can be seen.
const BATCHED: Duration = Duration::from_secs(20);
/// Where the engine keeps the transcripts that it is tested with.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../actors/engine/tests/transcripts");
/// A node that takes a value and gives none.
const WIFI: &str = "<MgmtTree><VerDTD>1.2</VerDTD><Node><NodeName>Wifi</NodeName><Path>./Vendor</Path><DFProperties>\
<AccessType><Get/></AccessType><DFFormat><node/></DFFormat><DFType><DDFName>com.example/wifi</DDFName></DFType></DFProperties>\
<Node><NodeName>Psk</NodeName><DFProperties><AccessType><Replace/></AccessType><DFFormat><chr/></DFFormat>\
<DFType><MIME/></DFType></DFProperties></Node></Node></MgmtTree>";

/// What stands in an enrolment file and must stand nowhere else.
fn secrets(device: &Device) -> Vec<String> {
    let file: Value =
        serde_json::from_slice(&std::fs::read(&device.enrolment).expect("its file")).expect("JSON");
    let route = file["server_uri"].as_str().and_then(|uri| uri.rsplit('/').next()).expect("a route");
    let mut all = vec![route.to_owned()];
    for name in ["password", "server_password"] {
        let Some(secret) = file[name].as_str() else { continue };
        all.push(secret.to_owned());
        all.push(postern_wire::auth::user_password_hash(file["user"].as_str().unwrap_or_default(), secret));
        all.push(postern_wire::auth::basic(file["user"].as_str().unwrap_or_default(), secret));
    }
    all
}

fn recorded(ctl: &Ctl, device: &str) -> Vec<Value> {
    ctl.ok(&["session", "recordings", device]).as_array().cloned().unwrap_or_default()
}

fn save(ctl: &Ctl, device: &str, to: &Path) -> String {
    let ran = ctl.run(&["session", "save", device, "-o", to.to_str().expect("a name")]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    std::fs::read_to_string(to).expect("the transcript")
}

#[test]
fn a_session_is_recorded_over_a_restart_saved_without_secrets_and_replayed() {
    let mut site = Site::start(&Plan::default());
    for (at, (auth, encoding)) in
        [("basic", "xml"), ("md5", "wbxml"), ("hmac", "xml"), ("signed", "wbxml")].into_iter().enumerate()
    {
        let name = format!("urn:uuid:{at}");
        let device = site.device(&name, auth);
        let ctl = site.ctl();
        let _ = ctl.ok(&["device", "command", &name, "get", "./DevInfo/Mod"]);
        let _ = ctl.ok(&["device", "command", &name, "add", "./Settings/of-test", "--data", "17"]);
        assert_eq!(ctl.run(&["session", "record", &name, "--next", "2"]).exit, 0);
        if at == 1 {
            site.kill_core();
            site.start_core();
            site.wait_ready();
        }
        let ctl = site.ctl();
        assert_eq!(device.check_in(&["--encoding", encoding]).exit, 0, "{auth}\n{}", site.logs());
        assert_eq!(device.check_in(&["--encoding", encoding]).exit, 0, "{auth}");
        assert_eq!(device.check_in(&["--encoding", encoding]).exit, 0, "{auth}");

        assert_eq!(recorded(&ctl, &name).len(), 2, "{auth}: two were asked for\n{}", site.logs());
        let sessions = recorded(&ctl, &name);
        let first = sessions[1]["session"].as_str().expect("an id").to_owned();
        let file = site.path(&format!("{auth}.json"));
        let text = save(&ctl, &name, &file);
        let older = site.path(&format!("{auth}-first.json"));
        let out = older.to_str().expect("a name");
        let ran = ctl.run(&["session", "save", &name, "--session", &first, "-o", out]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        let first_text = std::fs::read_to_string(&older).expect("the transcript");

        for secret in secrets(&device) {
            assert!(!text.contains(&secret) && !first_text.contains(&secret), "{auth}: {secret}");
        }
        for text in [&text, &first_text] {
            let transcript: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(transcript["unfaithful"], Value::Null, "{auth}");
        }
        let replayed = ctl.ok(&["session", "replay", out, file.to_str().expect("a name")]);
        assert_eq!(replayed.as_array().map(Vec::len), Some(2), "{replayed}");
        if std::env::var_os("POSTERN_WRITE_TRANSCRIPTS").is_some() {
            let mut transcript: Value = serde_json::from_str(&first_text).expect("JSON");
            transcript["about"] =
                format!("postern-device by {auth} in {encoding}, recorded by session save").into();
            let text = serde_json::to_string_pretty(&transcript).expect("JSON");
            std::fs::write(format!("{KEPT}/postern-device-{auth}-{encoding}.json"), text + "\n")
                .expect("a file");
        }
        let broken = site.path(&format!("{auth}-broken.json"));
        std::fs::write(&broken, first_text.replacen("moved", "stirred", 1)).expect("a file");
        let ran = ctl.run(&["session", "replay", broken.to_str().expect("a name")]);
        assert_eq!(ran.exit, 1, "{ran:?}");
        assert!(ran.out.contains("stirred") && ran.out.contains("moved"), "{ran:?}");
    }
    let ctl = site.ctl();
    let audit = ctl.ok(&["audit", "list"]);
    let actions: Vec<_> = audit.as_array().expect("rows").iter().map(|row| &row["action"]).collect();
    for action in ["sessions.record", "recordings.show"] {
        assert!(actions.contains(&&Value::from(action)), "{action} in {actions:?}");
    }
    assert_eq!(ctl.run(&["session", "forget", "urn:uuid:0", "latest"]).exit, 0);
    assert_eq!(recorded(&ctl, "urn:uuid:0").len(), 1);
    let written = std::env::var_os("POSTERN_WRITE_TRANSCRIPTS");
    assert_eq!(written, None, "written; now run it without POSTERN_WRITE_TRANSCRIPTS");
}

#[test]
fn a_node_whose_description_knows_no_get_is_masked_for_a_watcher_and_in_a_transcript() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let ddf = site.path("wifi.ddf");
    std::fs::write(&ddf, WIFI).expect("a file");
    let _ = ctl.ok(&["mo", "import", ddf.to_str().expect("a name"), "--name", "wifi"]);
    let device = site.device("urn:uuid:1", "md5");
    let _ =
        ctl.ok(&["device", "command", "urn:uuid:1", "replace", "./Vendor/Wifi/Psk", "--data", "hunter2-psk"]);
    let _ = ctl.ok(&["device", "command", "urn:uuid:1", "get", "./DevInfo/Mod"]);
    assert_eq!(ctl.run(&["session", "record", "urn:uuid:1", "--next", "1"]).exit, 0);

    assert_eq!(device.check_in(&[]).exit, 0, "{}", site.logs());

    let watched = ctl.run(&["session", "watch", "urn:uuid:1", "--count", "2"]);
    assert!(watched.out.contains("./Vendor/Wifi/Psk") && watched.out.contains("(masked)"), "{watched:?}");
    assert!(!watched.out.contains("hunter2-psk"), "{watched:?}");
    let text = save(&ctl, "urn:uuid:1", &site.path("saved.json"));
    assert!(text.contains("./Vendor/Wifi/Psk") && !text.contains("hunter2-psk"), "{text}");
}

#[test]
fn an_operators_quirk_profile_changes_how_a_device_is_spoken_to_and_is_shown_with_its_reason() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let device = site.device("urn:uuid:1", "md5");
    let messages = |id: &str| -> u64 {
        let newest = || {
            let sessions = ctl.ok(&["session", "list", "urn:uuid:1"]);
            let newest = sessions.as_array()?.first()?.clone();
            (newest["id"].as_str() != Some(id) && newest["ended_at"].is_string()).then_some(newest)
        };
        wait::until("the session in the list", BATCHED, newest, || site.logs())["messages"]
            .as_u64()
            .unwrap_or_default()
    };
    let last = || {
        let sessions = ctl.ok(&["session", "list", "urn:uuid:1"]);
        sessions[0]["id"].as_str().unwrap_or_default().to_owned()
    };
    let four = || {
        for leaf in ["Man", "Mod", "DmV", "Lang"] {
            let _ = ctl.ok(&["device", "command", "urn:uuid:1", "get", &format!("./DevInfo/{leaf}")]);
        }
    };
    assert_eq!(device.check_in(&[]).exit, 0, "{}", site.logs());
    let _ = messages("");
    four();
    let before = last();
    assert_eq!(device.check_in(&[]).exit, 0);
    let usual = messages(&before);

    let file = site.path("slow.toml");
    let model = ctl.ok(&["device", "show", "urn:uuid:1"]);
    let model = model["facts"].as_array().expect("facts").iter().find(|fact| fact["key"] == "./DevInfo/Mod");
    let model = model.expect("a model")["value"].as_str().expect("text").to_owned();
    std::fs::write(
        &file,
        format!(
            "[[profile]]\nname = 'slow'\nsource = 'our bench'\nmatch = {{ mod = '{model}' }}\n\
             quirks = {{ max_commands_per_message = 1 }}\n"
        ),
    )
    .expect("a file");
    let path = file.to_str().expect("a name");
    let added = ctl.ok(&["quirks", "add", path]);
    assert_eq!((&added[0]["name"], &added[0]["origin"]), (&"slow".into(), &"operator".into()));

    four();
    let before = last();
    assert_eq!(device.check_in(&[]).exit, 0);
    assert!(messages(&before) > usual + 1, "one command a message takes more messages than {usual}");
    let applied = || {
        let shown = ctl.ok(&["device", "show", "urn:uuid:1"]);
        shown["profiles"].as_array().is_some_and(|all| !all.is_empty()).then_some(shown)
    };
    let shown = wait::until("the profile at the device", BATCHED, applied, || site.logs());
    let profile = &shown["profiles"][0];
    assert_eq!((&profile["name"], &profile["origin"]), (&"slow".into(), &"operator".into()));
    assert!(profile["because"].as_str().is_some_and(|text| text.contains(&model)), "{profile}");
    let why = ctl.run(&["why", "urn:uuid:1"]);
    assert!(why.out.contains("slow") && why.out.contains("max_commands_per_message"), "{why:?}");

    assert_eq!(ctl.run(&["quirks", "delete", "slow"]).exit, 0);
    four();
    let before = last();
    assert_eq!(device.check_in(&[]).exit, 0);
    assert_eq!(messages(&before), usual, "as it was before");

    std::fs::write(
        &file,
        "[[profile]]\nname = 'all'\nsource = 'x'\nmatch = { mod = '*' }\nquirks = { no_atomic = true }\n",
    )
    .expect("a file");
    let refused = ctl.run(&["quirks", "add", path]);
    assert_eq!((refused.exit, refused.slug().as_str()), (2, "invalid-quirks"), "{refused:?}");
    let refused = ctl.run(&["quirks", "delete", "windows"]);
    assert_eq!(refused.slug(), "wrong-state", "{refused:?}");
}

#[test]
fn a_value_of_five_megabytes_is_queued_from_a_file_and_reaches_the_device() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let device = site.device("urn:uuid:1", "md5");
    let file = site.path("big.bin");
    let octets: Vec<u8> =
        (0..5 * 1024 * 1024_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&file, &octets).expect("a file");
    let path = file.to_str().expect("a name");

    let queued = ctl.ok(&["device", "command", "urn:uuid:1", "add", "./Settings/big", "--data-file", path]);
    let id = queued["commands"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(device.check_in(&["--encoding", "wbxml"]).exit, 0, "{}", site.logs());

    let command = ctl.ok(&["command", "show", &id]);
    assert_eq!((&command["state"], &command["status"]), (&"succeeded".into(), &200.into()), "{command:#}");

    std::fs::write(&file, vec![0x80; 13 * 1024 * 1024]).expect("a file");
    let refused =
        ctl.run(&["device", "command", "urn:uuid:1", "add", "./Settings/huge", "--data-file", path]);
    assert_eq!(refused.slug(), "too-large", "{refused:?}");
}
