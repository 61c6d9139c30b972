//! A policy document through the real binaries: applied from a file, on the device, explained, brought back.
#![forbid(unsafe_code)]

use std::{fs, path::PathBuf, time::Duration};

use postern_tests::{
    ctl::Ctl,
    site::{Plan, Site},
    wait,
};
use serde_json::Value;

const DEVICE: &str = "urn:uuid:documents";
/// How long a file that changed may take to count.
const LIMIT: Duration = Duration::from_secs(60);
const CAMERA: &str = "./Settings/Policy/Lockdown/Camera";

fn write(site: &Site, camera: bool) -> PathBuf {
    let file = site.path("field.yaml");
    let text = format!(
        "postern: policy/1\nname: field\nassign: [field]\nsettings:\n  - {{setting: camera, value: {camera}}}\n"
    );
    fs::write(&file, text).expect("a file");
    file
}

/// The camera's setting as `explain` has it.
fn explained(ctl: &Ctl) -> Value {
    ctl.ok(&["policy", "explain", DEVICE, "camera"])["settings"][0].clone()
}

#[test]
fn a_document_reaches_the_device_is_explained_and_brought_back() {
    let site = Site::start(&Plan::default());
    let device = site.device(DEVICE, "hmac");
    let ctl = site.ctl();
    let _ = ctl.ok(&["group", "create", "field"]);
    assert_eq!(ctl.run(&["group", "add", "field", DEVICE]).exit, 0);
    // The device says who made it in its first session: the table of its nodes goes by that.
    assert_eq!(device.check_in(&[]).exit, 0, "{}", site.logs());
    let file = write(&site, false);
    let file = file.to_str().expect("a name");

    let planned = ctl.ok(&["policy", "apply", "-f", file, "--dry-run"]);
    assert_eq!(
        (&planned["applied"], &planned["changes"][0]["devices"]),
        (&Value::from(false), &Value::from(1))
    );
    assert_eq!(ctl.run(&["policy", "diff", "-f", file]).exit, 1);
    let applied = ctl.ok(&["policy", "apply", "-f", file, "--reason", "as agreed"]);
    assert_eq!(applied["changes"][0]["action"], "create");
    assert_eq!(ctl.run(&["policy", "diff", "-f", file]).exit, 0);

    confirmed(&site, &device, &ctl, "false");
    let camera = explained(&ctl);
    assert_eq!(camera["uri"], CAMERA);
    assert_eq!((&camera["source"]["kind"], &camera["source"]["name"]), (&"document".into(), &"field".into()));

    write(&site, true);
    let supposed = ctl.ok(&["policy", "what-if", DEVICE, "--document", file]);
    assert_eq!(supposed["differences"][0]["other"]["value"], "true");
    assert_eq!(explained(&ctl)["value"], "false", "nothing was touched");
    let _ = ctl.ok(&["policy", "apply", "-f", file]);
    confirmed(&site, &device, &ctl, "true");

    let back = ctl.ok(&["policy", "rollback", "field", "--reason", "it was wrong"]);
    assert_eq!(back["changes"][0]["version"], 3);
    confirmed(&site, &device, &ctl, "false");
    assert_eq!(explained(&ctl)["source"]["version"], 3);
}

#[test]
fn an_operators_table_takes_a_setting_until_another_is_read_and_one_that_is_refused_changes_nothing() {
    let mut site = Site::make(&Plan::default());
    let (config, table) = (site.path("state/core.toml"), site.path("own.tsv"));
    let text = fs::read_to_string(&config).expect("the core's configuration");
    let with = text.replace("tables = []", &format!("tables = [{table:?}]"));
    assert_ne!(with, text, "core.toml names the key");
    fs::write(&config, with).expect("the core's configuration");
    let row = |uri: &str| {
        let row = format!(
            "half\tkey\tvalue\ttype\turi\tformat\thow\treg_map\ncomputer\tSoftware\\Policies\\Postern\\Lockdown\tCamera\tDWORD\t{uri}\tbool\tplain\t1=true;0=false\n"
        );
        fs::write(&table, row).expect("a table");
    };
    row("./Settings/Policy/Own/Camera");
    site.start_gateway();
    site.start_core();
    site.wait_ready();
    let device = site.device(DEVICE, "hmac");
    let ctl = site.ctl();
    let _ = ctl.ok(&["group", "create", "field"]);
    assert_eq!(ctl.run(&["group", "add", "field", DEVICE]).exit, 0);
    assert_eq!(device.check_in(&[]).exit, 0, "{}", site.logs());
    let file = write(&site, false);
    let _ = ctl.ok(&["policy", "apply", "-f", file.to_str().expect("a name")]);
    confirmed(&site, &device, &ctl, "false");
    assert_eq!(explained(&ctl)["uri"], "./Settings/Policy/Own/Camera");
    let tables = ctl.ok(&["policy", "explain", DEVICE])["tables"].clone();
    assert_eq!(tables[0], "own", "{tables}");

    row("./Vendor/Postern/Wipe/Run");
    let problem = || {
        // It ends with 1: the core is degraded.
        let problems = ctl.run(&["status"]).out;
        problems.contains("own.tsv: line 2: ./Vendor/Postern/Wipe/Run reaches a wipe").then_some(())
    };
    wait::until("the table is refused", LIMIT, problem, || site.logs());
    assert_eq!(device.check_in(&[]).exit, 0, "{}", site.logs());
    assert_eq!(explained(&ctl)["uri"], "./Settings/Policy/Own/Camera", "what counted before counts");

    row("./Settings/Policy/Other/Camera");
    let moved = || {
        let _ = device.check_in(&[]);
        let ran = ctl.run(&["policy", "explain", DEVICE, "camera"]);
        let camera: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        let camera = &camera["settings"][0];
        (camera["uri"] == "./Settings/Policy/Other/Camera" && camera["state"] == "compliant").then_some(())
    };
    wait::until("another table is read", LIMIT, moved, || site.logs());
}

/// Sessions until the device confirmed the camera: policy is computed beside them.
fn confirmed(site: &Site, device: &postern_tests::device::Device, ctl: &Ctl, value: &str) {
    for _ in 0..60 {
        assert_eq!(device.check_in(&[]).exit, 0, "{}", site.logs());
        let ran = ctl.run(&["policy", "explain", DEVICE, "camera"]);
        let explained: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        let camera = &explained["settings"][0];
        if camera["value"] == value && camera["state"] == "compliant" {
            return;
        }
    }
    panic!(
        "the camera was never confirmed as {value}: {:?}\n{}",
        ctl.run(&["policy", "explain", DEVICE]),
        site.logs()
    );
}
