//! A device without a telephone number that listens at the gateway: the core asks it to come, and it comes, long before
//! its schedule would bring it.
#![forbid(unsafe_code)]

use std::process::Command;

use postern_tests::{
    binaries,
    process::Process,
    site::{Plan, READY, Site},
    wait,
};
use serde_json::Value;

const DEVICE: &str = "urn:uuid:listener";

#[test]
fn our_device_that_listens_at_the_gateway_comes_when_a_command_is_queued() {
    let site = Site::start(&Plan::default());
    let device = site.device(DEVICE, "md5");
    assert_eq!(device.check_in(&[]).exit, 0, "the first session: the device learns the server's nonce");
    let _ = site.ctl().ok(&["device", "address", "set", DEVICE, "--bearer", "listen"]);
    let mut command = Command::new(binaries::path("postern-device"));
    command
        .args(["run", "--listen", "--interval", "86400", "--output", "json", "--state"])
        .arg(&device.state);
    command.arg("--enrolment").arg(&device.enrolment);
    let running = Process::start("device", &mut command, &site.path("device.log"));
    let sessions = || site.ctl().ok(&["session", "list", DEVICE]).as_array().map_or(0, Vec::len);
    let started = || (sessions() >= 2).then_some(());
    wait::until("the session at the start", READY, started, || running.log_tail());

    let order = site.ctl().ok(&["device", "command", DEVICE, "get", "./DevInfo/Mod"]);
    let id = order["commands"][0]["id"].as_str().expect("an id").to_owned();

    let done =
        || Some(site.ctl().ok(&["command", "show", &id])).filter(|shown| shown["state"] == "succeeded");
    let logs = || format!("{}\n{}", running.log_tail(), site.logs());
    let _ = wait::until("the command to be fetched", READY, done, logs);
    let answered = || {
        let all: Value = site.ctl().ok(&["device", "notifications", DEVICE]);
        let first = all["notifications"][0].clone();
        (first["state"] == "answered").then_some(first)
    };
    let job = wait::until("the notification to be answered", READY, answered, logs);
    assert_eq!(job["bearer"], "listen", "{job:#}");
}
