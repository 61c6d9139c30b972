//! `cargo run --release`: the whole system in one process, through its real binary.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use postern_tests::binaries;
use serde_json::Value;

fn postern(state: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(binaries::path("postern"));
    command.arg("--state").arg(state).args(["--output", "json"]).args(more);
    if !more.contains(&"--admin-port") {
        command.args(["--admin-port", "0"]);
    }
    command.stdin(Stdio::null()).output().expect("the binary starts")
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

#[test]
fn it_says_where_everything_is_runs_commands_on_simulated_devices_and_goes_on_with_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let run = ["--device-port", "0", "--devices", "4", "--for", "12"];

    let first = postern(&state, &run);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let told = events(&first);
    assert_eq!(told[0]["event"], "ready");
    for key in ["device_url", "admin_url", "token_file", "ca_file"] {
        assert!(told[0][key].is_string(), "{key} of {}", told[0]);
    }
    assert!(Path::new(told[0]["token_file"].as_str().unwrap()).is_file());
    assert_eq!(named(&told, "enrolled").len(), 4);
    assert_eq!(named(&told, "checked in").len().min(4), 4, "every device checks in: {told:?}");
    assert!(!named(&told, "succeeded").is_empty(), "a command has come to its end: {told:?}");
    assert!(named(&told, "trouble").is_empty(), "{told:?}");

    let second = postern(&state, &run);
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    let told = events(&second);
    assert!(named(&told, "enrolled").is_empty(), "the devices were enrolled before: {told:?}");
    assert!(!named(&told, "checked in").is_empty());
}

#[test]
fn a_busy_port_and_a_broken_state_folder_get_a_sentence_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let busy = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = busy.local_addr().unwrap().port().to_string();

    let refused =
        postern(&folder.path().join("a"), &["--device-port", &port, "--devices", "0", "--for", "1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("in use") && said.contains("--device-port"), "{said}");

    let refused = postern(
        &folder.path().join("b"),
        &["--device-port", "0", "--admin-port", &port, "--devices", "0", "--for", "1"],
    );
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("in use") && said.contains("--admin-port"), "{said}");

    let broken = folder.path().join("c");
    std::fs::create_dir_all(broken.join("keys")).unwrap();
    let refused = postern(&broken, &["--device-port", "0", "--devices", "0", "--for", "1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("--state"), "{said}");
}

#[test]
fn two_processes_do_not_share_a_state_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    let lock = std::fs::OpenOptions::new().create(true).append(true).open(state.join("lock")).unwrap();
    lock.lock().unwrap();

    let refused = postern(&state, &["--device-port", "0", "--devices", "0", "--for", "1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("another postern runs on"), "{said}");
}
