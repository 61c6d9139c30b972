//! Recovery passwords through the real binaries: sealed on the device, opened once, used without a network, renewed, and carried
//! over when the escrow key is replaced (docs/RECOVERY.md).
#![forbid(unsafe_code)]

mod killed;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use postern_store::testkit::Cluster;
use postern_tests::{
    binaries,
    ctl::{Ctl, Ran},
    site::{Plan, Site},
    wait,
};
use serde_json::Value;

/// How long the core may take until something that its supervisor does can be seen.
const SOON: Duration = Duration::from_secs(30);
const OWN: &str = "an admin's own password";

/// A device that enrolled over the air, with its state folder.
#[derive(Clone)]
struct Device {
    name: String,
    state: PathBuf,
}

impl Device {
    fn enrol(site: &Site, name: &str) -> Self {
        let made = site.ctl().ok(&["enrolment", "request", "--name", name, "--owner", "ann@example.com"]);
        let state = site.path(&format!("{name}-state"));
        let password = site.path(&format!("{name}.password"));
        fs::write(&password, made["password"].as_str().expect("a password")).expect("a file");
        let server = format!("https://localhost:{}", site.device_address().port());
        let device = Self { name: name.to_owned(), state };
        let mut command = Command::new(binaries::path("postern-device"));
        command.args(["enrol", "--server", &server, "--output", "json", "--password-file"]).arg(&password);
        command.args(["--device-id", &format!("urn:test:{name}"), "--hardware-id", &format!("hw-{name}")]);
        command.arg("--state").arg(&device.state);
        let enrolled = ran(&mut command);
        assert_eq!(enrolled.exit, 0, "{enrolled:?}\n{}", site.logs());
        device
    }

    fn check_in(&self) -> Ran {
        let mut command = Command::new(binaries::path("postern-device"));
        ran(command.args(["run", "--once", "--output", "json", "--state"]).arg(&self.state))
    }

    /// `postern-device password`; each file holds what stands behind it.
    fn password(&self, task: &str, files: &[(&str, &str)]) -> i32 {
        let mut command = Command::new(binaries::path("postern-device"));
        command.args(["password", task, "--state"]).arg(&self.state);
        for (option, text) in files {
            let file = self.state.with_extension(option.trim_start_matches('-'));
            fs::write(&file, text).expect("a file");
            command.arg(option).arg(file);
        }
        ran(&mut command).exit
    }

    fn is_password(&self, text: &str) -> bool {
        self.password("check", &[("--file", text)]) == 0
    }

    fn reset(&self, recovery: &str, new: &str) -> i32 {
        self.password("reset", &[("--recovery-file", recovery), ("--new-file", new)])
    }
}

fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().expect("postern-device starts");
    Ran {
        exit: status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// A site whose admin has a password of its own, in this file.
fn site(postgres: Option<&Cluster>) -> (Site, String) {
    let site = Site::start(&Plan { postgres, ..Plan::default() });
    let own = site.path("own.password").display().to_string();
    fs::write(&own, OWN).expect("a file");
    let _ = site.ctl().ok(&["admin", "password", "--new-file", &own]);
    (site, own)
}

fn status(ctl: &Ctl, device: &str) -> Value {
    ctl.ok(&["recovery", "status", device])
}

/// Lets the device check in until its recovery password stands as wanted.
fn until(site: &Site, device: &Device, what: &str, mut good: impl FnMut(&Value) -> bool) -> Value {
    let ctl = site.ctl();
    wait::until(
        what,
        SOON,
        || {
            let now = status(&ctl, &device.name);
            if good(&now) {
                return Some(now);
            }
            let _may_fail = device.check_in();
            None
        },
        || format!("{}\n{}", status(&site.ctl(), &device.name), site.logs()),
    )
}

fn held(number: u64) -> impl FnMut(&Value) -> bool {
    move |now| now["state"] == "held" && now["passwords"][0]["number"] == number
}

fn show(ctl: &Ctl, device: &str, own: &str, more: &[&str]) -> Ran {
    let args = ["recovery", "show", device, "--reason", "Ann forgot it", "--own-password-file", own];
    ctl.run(&[&args[..], more].concat())
}

fn digits(shown: &Ran) -> String {
    assert_eq!(shown.exit, 0, "{shown:?}");
    shown.json()["password"].as_str().expect("a password").to_owned()
}

/// Each rule on each database.
macro_rules! on_both {
    ($($rule:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $rule() {
                super::$rule(None);
            })+
        }
        mod postgres {
            $(#[test]
            fn $rule() {
                super::$rule(Some(postern_store::testkit::Cluster::shared()));
            })+
        }
    };
}

on_both!(
    a_forgotten_password_is_reset_without_a_network_and_the_next_one_comes_with_the_next_session,
    the_escrow_key_is_rolled_over_and_none_is_lost,
    who_may_not_sees_none_and_one_or_all_are_renewed,
);

fn a_forgotten_password_is_reset_without_a_network_and_the_next_one_comes_with_the_next_session(
    postgres: Option<&Cluster>,
) {
    let (mut site, own) = site(postgres);
    let ctl = site.ctl();
    let device = Device::enrol(&site, "till");
    let first = until(&site, &device, "the first recovery password", held(1));
    assert_eq!(first["passwords"][0]["proof"], "signed");
    assert_eq!(device.password("set", &[("--new-file", "forgotten")]), 0);

    let one = digits(&show(&ctl, "till", &own, &[]));

    assert_eq!(one.len(), 23, "20 digits in groups of five");
    let shown = status(&ctl, "till");
    assert_eq!((&shown["state"], &shown["passwords"][0]["shown"]), (&"due".into(), &1.into()));
    site.stop_gateway();
    assert_eq!(device.check_in().exit, 3, "the network is cut");
    assert_eq!(device.reset("00000-00000-00000-00000", "guessed"), 1);
    assert_eq!(device.reset(&one, "remembered"), 0);
    assert!(device.is_password("remembered") && !device.is_password("forgotten"));
    assert_eq!(device.reset(&one, "again"), 1, "it was used");

    site.start_gateway();
    site.wait_ready();
    let second = until(&site, &device, "the next recovery password", held(2));
    assert_eq!(second["passwords"][0]["cause"], "used");
    let two = digits(&show(&ctl, "till", &own, &[]));
    assert_ne!(one, two);
    assert_eq!(digits(&show(&ctl, "till", &own, &["--number", "1"])), one, "an earlier one is kept");
    assert_eq!(device.reset(&two, "once more"), 0);

    let audit = ctl.ok(&["audit", "list", "--action", "recovery.show"]);
    let rows = audit.as_array().expect("rows");
    assert_eq!(rows.len(), 3);
    let text = audit.to_string();
    assert!(text.contains("Ann forgot it") && !text.contains(&one) && !text.contains(&one.replace('-', "")));
    assert!(!site.logs().contains(&one) && !site.logs().contains(&one.replace('-', "")));
}

fn the_escrow_key_is_rolled_over_and_none_is_lost(postgres: Option<&Cluster>) {
    let (site, own) = site(postgres);
    let ctl = site.ctl();
    let (near, far) = (Device::enrol(&site, "near"), Device::enrol(&site, "far"));
    for device in [&near, &far] {
        until(&site, device, "the first recovery password", held(1));
    }
    let before = ctl.ok(&["recovery", "status"]);
    let old = before["keys"][0]["id"].as_str().expect("an id").to_owned();

    let rolled = ctl.ok(&["recovery", "roll-key", "--reason", "yearly"]);

    let new = rolled["keys"][1]["id"].as_str().expect("an id").to_owned();
    assert_eq!((&rolled["keys"][0]["current"], &rolled["keys"][1]["current"]), (&false.into(), &true.into()));
    let came = until(&site, &near, "a password under the new key", |now| {
        now["state"] == "held" && now["passwords"][0]["key"] == new.as_str()
    });
    assert_eq!(came["passwords"][0]["cause"], "key");
    // The one that stays away still has the old one's, which opens and works.
    assert_eq!(status(&ctl, "far")["passwords"][0]["key"], old.as_str());
    let far_one = digits(&show(&ctl, "far", &own, &[]));
    assert_eq!(far.reset(&far_one, "new"), 0);
    let near_new = digits(&show(&ctl, "near", &own, &[]));
    assert_eq!(near.reset(&near_new, "new"), 0);
    // A second roll-over; the far one follows both at once.
    let rolled = ctl.ok(&["recovery", "roll-key", "--reason", "a copy was lost"]);
    let newest = rolled["keys"][2]["id"].as_str().expect("an id").to_owned();
    until(&site, &far, "a password under the newest key", |now| {
        now["state"] == "held" && now["passwords"][0]["key"] == newest.as_str()
    });
    let far_new = digits(&show(&ctl, "far", &own, &[]));
    assert_eq!(far.reset(&far_new, "newer"), 0);

    // A key file that others may read is not used.
    let file = site.path("state/keys/escrow").join(format!("{newest}.pem"));
    assert_eq!(fs::metadata(&file).expect("the key file").permissions().mode() & 0o777, 0o600);
    until(&site, &far, "the one after the use", |now| {
        now["state"] == "held" && now["passwords"][0]["key"] == newest.as_str()
    });
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
    let refused = show(&ctl, "far", &own, &[]);
    assert_eq!(refused.slug(), "escrow-key", "{refused:?}");
    assert!(ctl.ok(&["recovery", "status"])["keys"][2]["trouble"].is_string());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
    assert_eq!(show(&ctl, "far", &own, &[]).exit, 0);
}

fn who_may_not_sees_none_and_one_or_all_are_renewed(postgres: Option<&Cluster>) {
    let site = Site::start(&Plan { postgres, ..Plan::default() });
    let ctl = site.ctl();
    let device = Device::enrol(&site, "till");
    until(&site, &device, "the first recovery password", held(1));
    let own = site.path("own.password").display().to_string();
    fs::write(&own, OWN).expect("a file");
    assert_eq!(show(&ctl, "till", &own, &[]).slug(), "reauthenticate", "no password of one's own is set");
    let _ = ctl.ok(&["admin", "password", "--new-file", &own]);
    let wrong = site.path("wrong.password").display().to_string();
    fs::write(&wrong, "something else").expect("a file");
    assert_eq!(show(&ctl, "till", &wrong, &[]).slug(), "reauthenticate");
    assert_eq!(ctl.run(&["admin", "password", "--new-file", &wrong]).slug(), "reauthenticate");
    let raw = ctl.run(&["device", "command", "till", "exec", "./Vendor/Postern/Recovery/Renew"]);
    assert_eq!(raw.slug(), "reserved-uri");
    assert_eq!(status(&ctl, "till")["passwords"][0]["shown"], 0);
    assert_eq!(show(&ctl, "till", &own, &["--number", "9"]).slug(), "not-found");

    let due = ctl.ok(&["recovery", "rotate", "till", "--reason", "somebody looked over the shoulder"]);
    assert_eq!(due["state"], "due");
    let second = until(&site, &device, "a new one", held(2));
    assert_eq!(second["passwords"][0]["cause"], "ordered");
    let _ = ctl.ok(&["recovery", "rotate", "--all", "--reason", "yearly"]);
    until(&site, &device, "another one", held(3));

    // A core that is killed in between loses nothing.
    let _ = ctl.ok(&["settings", "set", "RecoveryRenewAfterShown", "0s"]);
    let third = digits(&show(&ctl, "till", &own, &[]));
    let mut site = site;
    site.kill_core();
    site.start_core();
    site.wait_ready();
    until(&site, &device, "the one after it was shown", held(4));
    assert_eq!(device.reset(&third, "too late"), 1);
    let fourth = digits(&show(&ctl, "till", &own, &[]));
    assert_eq!(device.reset(&fourth, "in time"), 0);

    // A second person is asked for where there is one; who is alone goes on, and that is loud.
    let _ = ctl.ok(&["settings", "set", "RecoverySecondPerson", "on"]);
    until(&site, &device, "the one after the use", |now| {
        let all = now["passwords"].as_array().cloned().unwrap_or_default();
        all.iter().any(|one| one["cause"] == "used")
    });
    assert_eq!(show(&ctl, "till", &own, &[]).exit, 0);
    let alarms = ctl.ok(&["alarm", "list", "--kind", "acting-alone"]);
    assert_eq!(alarms.as_array().map(Vec::len), Some(1), "{alarms}");
}
