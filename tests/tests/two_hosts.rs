//! Two hosts for real: docs/QUICKSTART.md is done as it stands, on a core's and a gateway's host with the firewall of
//! deploy/ between them; then a device from outside is managed through them.
#![forbid(unsafe_code)]

use std::{fs, path::Path, process::Command, time::Duration};

use postern_tests::{
    binaries,
    ctl::Ctl,
    device::Device,
    host::Host,
    perimeter::{Perimeter, Place},
    wait,
};

/// How long each step may take with debug builds on a busy machine.
const READY: Duration = Duration::from_secs(90);

#[test]
fn the_quickstart_for_two_hosts_works_as_it_stands() {
    // The firewall of this layout lets the core dial this port.
    let lines = quickstart();
    assert!(lines.len() <= 10, "{} commands", lines.len());
    let link_port = format!(":{}", postern_tests::perimeter::LINK_PORT);

    let perimeter = Perimeter::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout");
    let names = [
        ("dm.example.com", Place::Dmz),
        ("gateway.example.com", Place::Dmz),
        ("core.example.com", Place::Inside),
    ];
    let mut core = Host::new(&perimeter, Place::Inside, &names, &root);
    let mut gateway = Host::new(&perimeter, Place::Dmz, &names, &root);
    let outside = Host::new(&perimeter, Place::Outside, &names, &root);
    core.trusts(&gateway);
    // "Put your addresses into /etc/postern/site.nft": done before, since `install` keeps what is there.
    fs::create_dir(gateway.path("/etc/postern")).expect("/etc/postern");
    fs::write(gateway.path("/etc/postern/site.nft"), perimeter.site()).expect("site.nft");

    let built = binaries::path("postern-core");
    let built = built.parent().expect("a folder").to_string_lossy().into_owned();
    for (place, line) in &lines {
        // What differs here: where the binaries were built, and the port that this layout's firewall has.
        let mut typed = line.replace(":4433", &link_port);
        if typed.starts_with("deploy/install") {
            typed = format!("{typed} {built}");
        }
        let host = if place == "core" { &mut core } else { &mut gateway };
        if typed != "posternctl status" {
            // A person types slower than a core starts.
            let mut said = postern_tests::host::Said { exit: 0, text: String::new() };
            if typed.contains("posternctl ") {
                let tried = wait::holds_within(READY, || {
                    said = host.run(&format!("set -o pipefail; {typed}"));
                    said.exit == 0
                });
                assert!(tried, "{typed}: {}", said.text);
            } else {
                said = host.run(&typed);
            }
            assert_eq!(said.exit, 0, "{place}: {typed}\n{}\n{}", said.text, host.log("postern-core"));
            continue;
        }
        let mut last = String::new();
        let linked = wait::holds_within(READY, || {
            let said = core.run(&typed);
            last = format!("exit {}: {}", said.exit, said.text);
            said.exit == 0
        });
        let logs = || format!("{}\n{}", core.log("postern-core"), gateway.log("postern-gateway"));
        assert!(linked, "{last}\n{}", logs());
        assert!(last.contains("edge"), "{last}");
    }

    // What the two hosts are for: a device outside, managed from inside.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ctl = Ctl {
        url: "https://localhost:8443".to_owned(),
        token_file: "/var/lib/postern/admin.token".into(),
        ca_file: "/var/lib/postern/ca.pem".into(),
        prefix: core.prefix(),
    };
    let device = Device::enrol(&ctl, folder.path(), "urn:uuid:far", "signed");
    let _ = ctl.ok(&["device", "command", "urn:uuid:far", "get", "./DevInfo/DevId"]);
    let from_outside = || {
        let prefix = outside.prefix();
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).arg(binaries::path("postern-device"));
        command
    };
    let ran = device.check_in_by(from_outside(), &[]);
    assert_eq!(ran.exit, 0, "{ran:?}\n{}", gateway.log("postern-gateway"));
    let commands = ctl.ok(&["device", "commands", "urn:uuid:far"]);
    let got = commands.as_array().into_iter().flatten().find(|command| command["uri"] == "./DevInfo/DevId");
    assert_eq!(got.expect("the command")["state"], "succeeded", "{commands:#}");

    assert_eq!(perimeter.denied_to_inside(), 0, "something tried to get inside");
    assert_eq!(perimeter.started_by_dmz(), 0, "the gateway's host started a connection");
    assert_eq!(perimeter.denied_from_gateway(), 0, "the gateway's host tried to start one");
}

/// The commands of docs/QUICKSTART.md in order: where, and what.
fn quickstart() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/QUICKSTART.md"));
    let mut lines = Vec::new();
    let mut place = None;
    for line in text.expect("docs/QUICKSTART.md").lines() {
        match (&place, line.strip_prefix("```")) {
            (None, Some(info)) => place = info.strip_prefix("sh ").map(str::to_owned),
            (Some(_), Some(_)) => place = None,
            (Some(on), None) if !line.is_empty() => lines.push((on.clone(), line.to_owned())),
            _ => {}
        }
    }
    lines
}
