//! `postern-device enrol` as a person runs it, against a core that does what a test makes it do: killed at each step, lied to,
//! left alone. The program is the real one; the core is the handshake's other side and nothing more.
#![cfg(unix)]

mod stub;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use postern_wire::enrol::{DISCOVER_PATH, FINISH_PATH, OneTimePassword, Refusal, START_PATH};
use secrecy::ExposeSecret as _;
use stub::{Stub, Then, Wrong};
use tempfile::TempDir;

/// One person at one device.
struct Person {
    folder: TempDir,
}

impl Person {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// The command line, with what the person was given.
    fn command(&self, at: SocketAddr, password: &str, more: &[&str]) -> Command {
        let file = self.folder.path().join("password");
        fs::write(&file, password).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern-device"));
        command.args(["enrol", "--no-session", "--hardware-id", "hw-1", "--device-id", "IMEI:1", "--output"]);
        command.args(["json", "--state"]).arg(self.state()).arg("--password-file").arg(file);
        for host in ["enrol.test", "mobileenroll.example.org", "enterpriseenrollment.example.org"] {
            command.arg("--resolve").arg(format!("{host}={at}"));
        }
        command.args(more).stdin(Stdio::null());
        command
    }

    fn enrols(&self, stub: &Stub, more: &[&str]) -> Output {
        self.command(stub.address, &stub.password_text(), more).output().expect("it starts")
    }

    /// Nothing of an account, and no anchor, rests in the state folder.
    fn has_nothing(&self) -> bool {
        ["enrolment.json", "enrolment.next.json", "identity.json"]
            .iter()
            .all(|name| !self.file(name).exists())
    }
}

const SERVER: &[&str] = &["--server", "https://enrol.test"];
const EMAIL: &[&str] = &["--email", "ann@example.org"];

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_person_with_a_password_and_an_address_enrols() {
    let (person, stub) = (Person::new(), Stub::good());
    let done = person.enrols(&stub, EMAIL);
    assert_eq!(code(&done), 0, "{}", said(&done));
    assert_eq!(stub.heard(), [DISCOVER_PATH, START_PATH, FINISH_PATH]);
    let event: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&event["event"], &event["device_id"]), (&"enrolled".into(), &"IMEI:1".into()));
    let application = &stub.applications()[0];
    assert_eq!(
        (application.hardware_id.as_str(), application.email.as_deref()),
        ("hw-1", Some("ann@example.org"))
    );
    assert!(person.file("enrolment.json").exists() && !person.file("enrolling.key").exists());
    let secrets = format!("{}{}", said(&done), String::from_utf8_lossy(&done.stdout));
    assert!(!secrets.contains(&stub.password_text()) && !secrets.contains("PRIVATE KEY"));
}

#[test]
fn the_same_password_again_is_no_second_enrolment_and_another_one_needs_a_word() {
    let (person, stub) = (Person::new(), Stub::good());
    assert_eq!(code(&person.enrols(&stub, SERVER)), 0);
    assert_eq!(code(&person.enrols(&stub, SERVER)), 0);
    assert_eq!(stub.heard(), [START_PATH, FINISH_PATH], "the second time nobody was asked");
    let other = OneTimePassword::from_random(&[9; 14]).to_text();
    let again = person.command(stub.address, other.expose_secret(), SERVER).output().unwrap();
    assert_eq!(code(&again), 2);
    assert!(said(&again).contains("--replace"), "{}", said(&again));
    let before = fs::read(person.file("enrolment.json")).unwrap();
    let replaced = [SERVER, &["--replace"]].concat();
    let refused = person.command(stub.address, other.expose_secret(), &replaced).output().unwrap();
    assert_eq!(code(&refused), 1, "{}", said(&refused));
    assert_eq!(fs::read(person.file("enrolment.json")).unwrap(), before, "a refusal lets go of nothing");
}

#[test]
fn killed_at_any_step_a_device_enrols_with_the_same_key_and_password() {
    for (path, then) in [(DISCOVER_PATH, EMAIL), (START_PATH, EMAIL), (FINISH_PATH, EMAIL)] {
        let person = Person::new();
        let stub =
            Stub::start(
                Wrong::Nothing,
                move |asked, before, _| {
                    if asked == path && before == 0 { Then::Hang } else { Then::Answer }
                },
            );
        let mut device = person.command(stub.address, &stub.password_text(), then);
        let mut device = device.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        stub.wait_for(path);
        let key = fs::read(person.file("enrolling.key")).ok();
        device.kill().unwrap(); // SIGKILL
        device.wait().unwrap();
        assert!(person.has_nothing(), "{path}");
        let again = person.enrols(&stub, then);
        assert_eq!(code(&again), 0, "{path}: {}", said(&again));
        let keys = stub.keys();
        assert!(keys.iter().all(|one| *one == keys[0]), "{path}");
        let json = fs::read_to_string(person.file("enrolment.json")).unwrap();
        let enrolment: serde_json::Value = serde_json::from_str(&json).unwrap();
        if let Some(key) = key {
            assert_eq!(enrolment["key_pem"].as_str().unwrap().as_bytes(), key, "{path}");
        }
    }
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again_with_the_same_key() {
    for path in [START_PATH, FINISH_PATH] {
        let stub =
            Stub::start(
                Wrong::Nothing,
                move |asked, before, _| {
                    if asked == path && before == 0 { Then::Drop } else { Then::Answer }
                },
            );
        let person = Person::new();
        let done = person.enrols(&stub, SERVER);
        assert_eq!(code(&done), 0, "{path}: {}", said(&done));
        let keys = stub.keys();
        assert_eq!(keys.len(), if path == FINISH_PATH { 2 } else { 1 });
        assert!(keys.iter().all(|one| *one == keys[0]), "{path}");
    }
}

#[test]
fn a_man_in_the_middle_who_changes_anything_is_not_believed() {
    for path in [START_PATH, FINISH_PATH] {
        for place in [1, 40, 200] {
            let stub = Stub::start(Wrong::Nothing, move |asked, _, body| {
                if asked == path {
                    body[place] ^= 1;
                }
                Then::Answer
            });
            let person = Person::new();
            let done = person.enrols(&stub, SERVER);
            assert_eq!(code(&done), 1, "{path} {place}: {}", said(&done));
            assert!(said(&done).contains("did not prove"), "{}", said(&done));
            assert!(person.has_nothing());
        }
    }
}

#[test]
fn a_server_without_the_password_names_no_anchors() {
    // it answers with anchors of its own, by a handshake that it made up with another password
    let (person, stub) = (Person::new(), Stub::good());
    let other = OneTimePassword::from_random(&[9; 14]).to_text();
    let done = person.command(stub.address, other.expose_secret(), SERVER).output().unwrap();
    assert_eq!(code(&done), 1);
    let recorded = Stub::start(Wrong::Nothing, |path, _, body| {
        if path == START_PATH {
            // the answer to somebody else's start
            body[1..].reverse();
        }
        Then::Answer
    });
    let done = person.enrols(&recorded, SERVER);
    assert_eq!(code(&done), 1);
    assert!(said(&done).contains("nothing of it is believed"), "{}", said(&done));
    assert!(person.has_nothing() && recorded.heard() == [START_PATH], "it did not apply");
}

#[test]
fn what_a_proved_core_says_is_still_looked_at_before_it_is_trusted() {
    for wrong in [Wrong::OtherKey, Wrong::OtherCa, Wrong::OtherEnrolment, Wrong::NoAnchors, Wrong::Account] {
        let (person, stub) = (Person::new(), Stub::start(wrong, |_, _, _| Then::Answer));
        let done = person.enrols(&stub, SERVER);
        assert_eq!(code(&done), 1, "{wrong:?}: {}", said(&done));
        assert!(person.has_nothing(), "{wrong:?}");
    }
}

#[test]
fn a_refusal_is_told_in_its_own_words() {
    for refusal in [Refusal::NotProved, Refusal::Used, Refusal::Expired, Refusal::Quota] {
        let stub = Stub::start(Wrong::Nothing, move |path, _, _| {
            let problem = refusal.problem().to_json().into_bytes();
            if path == FINISH_PATH {
                Then::Instead(refusal.status(), "application/problem+json", problem)
            } else {
                Then::Answer
            }
        });
        let person = Person::new();
        let done = person.enrols(&stub, SERVER);
        assert_eq!(code(&done), 1);
        assert!(said(&done).contains(refusal.title()), "{}", said(&done));
        assert!(person.has_nothing());
    }
}

#[test]
fn a_handshake_that_the_core_forgot_is_begun_again() {
    let stub = Stub::start(Wrong::Nothing, |path, before, _| {
        let problem = Refusal::HandshakeUnknown.problem().to_json().into_bytes();
        if path == FINISH_PATH && before == 0 {
            Then::Instead(404, "application/problem+json", problem)
        } else {
            Then::Answer
        }
    });
    let done = Person::new().enrols(&stub, SERVER);
    assert_eq!(code(&done), 0, "{}", said(&done));
    assert_eq!(stub.heard(), [START_PATH, FINISH_PATH, START_PATH, FINISH_PATH]);
}

#[test]
fn a_hostile_discovery_leads_nowhere() {
    let long = vec![b' '; 5_000];
    let answers: [(u16, &'static str, Vec<u8>); 7] = [
        (200, "application/json", b"{".to_vec()),
        (200, "application/json", long),
        (200, "text/html", br#"{"versions":[1],"server":"enrol.test"}"#.to_vec()),
        (200, "application/json", br#"{"versions":[9],"server":"enrol.test"}"#.to_vec()),
        (200, "application/json", br#"{"versions":[1],"server":"u:p@enrol.test/x"}"#.to_vec()),
        (302, "application/json", br#"{"versions":[1],"server":"enrol.test"}"#.to_vec()),
        (404, "text/plain", Vec::new()),
    ];
    for (status, media, body) in answers {
        let stub = Stub::start(Wrong::Nothing, move |path, _, _| {
            if path == DISCOVER_PATH { Then::Instead(status, media, body.clone()) } else { Then::Answer }
        });
        let person = Person::new();
        let done = person.enrols(&stub, EMAIL);
        assert_ne!(code(&done), 0);
        assert_eq!(stub.heard(), [DISCOVER_PATH, DISCOVER_PATH], "both hosts were asked, and nobody else");
        assert!(person.has_nothing());
    }
}

#[test]
fn the_second_host_of_a_domain_is_asked_when_the_first_does_not_know() {
    let stub = Stub::start(Wrong::Nothing, |path, before, _| {
        if path == DISCOVER_PATH && before == 0 { Then::Drop } else { Then::Answer }
    });
    let done = Person::new().enrols(&stub, EMAIL);
    assert_eq!(code(&done), 0, "{}", said(&done));
    assert_eq!(stub.heard(), [DISCOVER_PATH, DISCOVER_PATH, START_PATH, FINISH_PATH]);
}

#[test]
fn each_way_to_fail_has_its_exit_code() {
    let (person, stub) = (Person::new(), Stub::good());
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let run = |at, password: &str, more: &[&str]| code(&person.command(at, password, more).output().unwrap());
    let good = stub.password_text();
    assert_eq!(run(stub.address, "not a password", SERVER), 2);
    assert_eq!(run(stub.address, &good, &["--email", "nobody"]), 2);
    assert_eq!(run(stub.address, &good, &["--server", "http://enrol.test"]), 2);
    assert_eq!(run(nobody, &good, SERVER), 3);
    assert_eq!(run(stub.address, &good, &[]), 64);
    assert_eq!(run(stub.address, &good, &["--server", "https://enrol.test", "--resolve", "x"]), 64);
    assert!(person.has_nothing());
    let unenrol = Command::new(env!("CARGO_BIN_EXE_postern-device"))
        .args(["unenrol", "--state"])
        .arg(person.state())
        .output()
        .unwrap();
    assert_eq!(code(&unenrol), 2, "nothing to leave");
}

#[test]
fn a_device_that_reaches_no_server_leaves_only_by_force() {
    let (person, stub) = (Person::new(), Stub::good());
    assert_eq!(code(&person.enrols(&stub, SERVER)), 0);
    let leave = |more: &[&str]| {
        let nobody = "enrol.test=127.0.0.1:1";
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern-device"));
        command.args(["unenrol", "--resolve", nobody, "--state"]).arg(person.state()).args(more);
        command.output().unwrap()
    };
    assert_eq!(code(&leave(&[])), 3);
    assert!(person.file("enrolment.json").exists());
    assert_eq!(code(&leave(&["--force"])), 0);
    assert!(left(&person.state()).is_empty(), "{:?}", left(&person.state()));
}

fn left(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder stays");
    entries.map(|entry| entry.expect("readable").path()).collect()
}
