//! A policy document through the real binaries: applied from a file, on the device, explained, brought back.
#![forbid(unsafe_code)]

use std::{fs, path::PathBuf};

use postern_tests::{
    ctl::Ctl,
    site::{Plan, Site},
};
use serde_json::Value;

const DEVICE: &str = "urn:uuid:documents";
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
