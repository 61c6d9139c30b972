//! The drill: each role's CA is rolled over while devices and gateway go on, as docs/CERTIFICATES.md describes it.

use std::time::Duration;

use postern_tests::{
    device::Device,
    site::{GATEWAY, Plan, READY, Site},
    wait,
};
use serde_json::Value;

/// Certificates are looked at every 5 seconds, heartbeats come every 5.
const LOOKED_AT: Duration = Duration::from_secs(90);

fn status(site: &Site, role: &str) -> Value {
    site.ctl().ok(&["ca", "roll-over", role, "status"])
}

fn stragglers(site: &Site, role: &str, kind: &str) -> Vec<String> {
    let status = status(site, role);
    let all = status["stragglers"].as_array().cloned().unwrap_or_default();
    all.iter()
        .filter(|one| one["kind"] == kind)
        .map(|one| one["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn wait_for_no(site: &Site, role: &str, kind: &str) {
    let none = || stragglers(site, role, kind).is_empty().then_some(());
    wait::until(&format!("no {kind} to be a straggler of the {role} CA"), LOOKED_AT, none, || {
        format!("{}\n{}", status(site, role), site.logs())
    });
}

fn served(device: &Device) {
    let ran = device.check_in(&[]);
    assert_eq!(ran.exit, 0, "{}: {:?} {}", device.device_id, ran.events, ran.err);
}

/// What an operator does for a port whose certificate nobody renews: a key, a request, `ca issue`, the two files.
fn exchange(site: &Site, what: &str, port: &str, names: &[&str]) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    let csr = site.path(&format!("{port}.csr"));
    std::fs::write(&csr, request.pem().expect("PEM")).expect("written");
    let csr = csr.to_string_lossy().into_owned();
    let mut args = vec!["ca", "issue", "--for", what, GATEWAY, "--csr", &csr];
    for name in names {
        args.extend(["--name", name]);
    }
    let made = site.ctl().ok(&args);
    let folder = site.path("state/gateways").join(GATEWAY);
    std::fs::write(folder.join(format!("{port}.key")), key.serialize_pem()).expect("written");
    let chain = made["chain_pem"].as_str().expect("a chain");
    std::fs::write(folder.join(format!("{port}.pem")), chain).expect("written");
}

#[test]
fn the_device_ca_is_rolled_over_and_a_straggler_is_left_with_its_wipe_alone() {
    let mut site = Site::start(&Plan::default());
    let straggler = site.device("IMEI:1", "signed");
    served(&straggler);
    let started = site.ctl().ok(&["ca", "roll-over", "device", "start", "--reason", "drill"]);
    assert_eq!((started["from"].as_u64(), started["to"].as_u64()), (Some(1), Some(2)));
    wait_for_no(&site, "device", "gateway");
    served(&straggler);
    let follower = site.device("IMEI:2", "signed");
    served(&follower);
    assert_eq!(stragglers(&site, "device", "device"), ["IMEI:1"]);
    let refused = site.ctl().run(&["ca", "roll-over", "device", "finish"]);
    assert_eq!((refused.exit, refused.slug().as_str()), (1, "stragglers"), "{refused:?}");
    served(&straggler);

    let done = site.ctl().ok(&["ca", "roll-over", "device", "finish", "--force", "--reason", "lost"]);
    assert_eq!(done["roll_over"], "none");

    let refused = || (straggler.check_in(&[]).exit != 0).then_some(());
    wait::until("the straggler to get no more than a wipe", READY, refused, || site.logs());
    assert!(site.log("core").contains("wipe-only"), "{}", site.log("core"));
    served(&follower);
    // What was told holds at a gateway that starts again, also before a core has come to it.
    site.stop_core();
    site.stop_gateway();
    site.start_gateway();
    site.start_core();
    site.wait_ready();
    served(&follower);
    assert_ne!(straggler.check_in(&[]).exit, 0);
}

#[test]
fn the_link_ca_is_rolled_over_while_both_ends_hold_both() {
    let mut site = Site::start(&Plan::default());
    let device = site.device("IMEI:1", "md5");
    served(&device);
    let _ = site.ctl().ok(&["ca", "roll-over", "link", "start"]);
    wait_for_no(&site, "link", "core");
    served(&device);
    assert_eq!(stragglers(&site, "link", "gateway"), [GATEWAY]);
    let refused = site.ctl().run(&["ca", "roll-over", "link", "finish"]);
    assert_eq!(refused.slug(), "stragglers", "{refused:?}");
    // A core that starts in the middle dials with its new certificate a gateway that still has its old one.
    site.stop_core();
    site.start_core();
    site.wait_ready();
    served(&device);

    exchange(&site, "gateway-link", "link", &[]);
    wait_for_no(&site, "link", "gateway");
    let done = site.ctl().ok(&["ca", "roll-over", "link", "finish"]);
    assert_eq!(done["roll_over"], "none");

    served(&device);
    site.stop_core();
    site.start_core();
    site.wait_ready();
    served(&device);
}

#[test]
fn the_server_ca_is_rolled_over_and_devices_follow_the_bridge() {
    let site = Site::start(&Plan::default());
    let device = site.device("IMEI:1", "md5");
    served(&device);
    let _ = site.ctl().ok(&["ca", "roll-over", "server", "start"]);
    wait_for_no(&site, "server", "core");
    exchange(&site, "gateway-server", "device", &["localhost"]);
    wait_for_no(&site, "server", "gateway");
    // It trusts the old CA alone.
    served(&device);
    assert_eq!(stragglers(&site, "server", "device"), ["IMEI:1"]);
    let newer = site.device("IMEI:2", "md5");
    served(&newer);
    assert_eq!(stragglers(&site, "server", "device"), ["IMEI:1"]);
    let refused = site.ctl().run(&["ca", "roll-over", "server", "finish"]);
    assert_eq!(refused.slug(), "stragglers", "{refused:?}");
    let done = site.ctl().ok(&["ca", "roll-over", "server", "finish", "--force"]);
    assert_eq!(done["roll_over"], "none");
    served(&newer);
}
