//! Enrolment over the air through the real binaries: how devices come in, and how they go out.
#![forbid(unsafe_code)]

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use postern_tests::{
    air::Crowd,
    binaries,
    site::{Plan, Site},
    wait,
};
use serde_json::Value;

/// How long the core may take until something that it does in batches can be seen.
const BATCHED: Duration = Duration::from_secs(30);

/// A device about to enrol, with its state folder.
struct Candidate<'s> {
    site: &'s Site,
    name: String,
    state: PathBuf,
}

/// What one run of postern-device ended with.
#[derive(Debug)]
struct Ran {
    exit: i32,
    out: String,
    err: String,
}

impl<'s> Candidate<'s> {
    fn new(site: &'s Site, name: &str) -> Self {
        Self { site, name: name.to_owned(), state: site.path(&format!("{name}-state")) }
    }

    /// The same device with nothing in its state folder: another key.
    fn set_up_anew(&self) -> Self {
        Self {
            site: self.site,
            name: self.name.clone(),
            state: self.site.path(&format!("{}-anew", self.name)),
        }
    }

    fn enrol(&self, password: &str, more: &[&str]) -> Ran {
        let file = self.state.with_extension("password");
        std::fs::write(&file, password).expect("a file in the site's folder");
        let server = format!("https://localhost:{}", self.site.device_address().port());
        let mut command = Command::new(binaries::path("postern-device"));
        command.args(["enrol", "--server", &server, "--output", "json", "--password-file"]).arg(file);
        command.args(["--device-id", &format!("urn:test:{}", self.name)]);
        command.args(["--hardware-id", &format!("hw-{}", self.name)]);
        command.arg("--state").arg(&self.state).args(more);
        ran(&mut command)
    }

    fn check_in(&self) -> Ran {
        let mut command = Command::new(binaries::path("postern-device"));
        command.args(["run", "--once", "--output", "json", "--state"]).arg(&self.state);
        ran(&mut command)
    }

    fn unenrol(&self) -> Ran {
        let mut command = Command::new(binaries::path("postern-device"));
        command.args(["unenrol", "--output", "json", "--state"]).arg(&self.state);
        ran(&mut command)
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

/// Asks for an enrolment: the code and the one-time password.
fn request(site: &Site, name: &str, more: &[&str]) -> (String, String) {
    let args = [&["enrolment", "request", "--name", name], more].concat();
    let made = site.ctl().ok(&args);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (text(&made["request"]["code"]), text(&made["password"]))
}

fn show(site: &Site, name: &str) -> Value {
    site.ctl().ok(&["device", "show", name])
}

#[test]
fn a_device_enrols_over_the_air_has_its_first_session_and_obeys_a_command() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let _ = ctl.ok(&["group", "create", "Field"]);
    let more = ["--owner", "ann@example.com", "--group", "Field", "--platform", "handheld"];
    let (code, password) = request(&site, "till 4", &more);
    let device = Candidate::new(&site, "one");

    let enrolled = device.enrol(&password, &[]);

    assert_eq!(enrolled.exit, 0, "{enrolled:?}\n{}", site.logs());
    let shown = show(&site, "till 4");
    assert_eq!((&shown["state"], &shown["auth"]), (&Value::from("managed"), &Value::from("signed")));
    assert_eq!(
        (&shown["owner"], &shown["life"]["door"]),
        (&Value::from("ann@example.com"), &Value::from("air"))
    );
    assert_eq!(shown["groups"][0]["name"], "Field");
    assert_eq!(shown["hardware_id"], "hw-one");
    let used = ctl.ok(&["enrolment", "show", &code]);
    assert_eq!((&used["state"], &used["enrolment"]), (&Value::from("used"), &shown["id"]));
    let _ = ctl.ok(&["device", "command", "till 4", "get", "./DevInfo/Mod"]);
    assert_eq!(device.check_in().exit, 0);
    let commands = ctl.ok(&["device", "commands", "till 4"]);
    assert_eq!(commands[0]["state"], "succeeded", "{commands:#}");
    let log = ctl.ok(&["enrolment", "log", "--request", &code]);
    assert_eq!((&log[0]["outcome"], &log[0]["gateway"]), (&Value::from("ok"), &Value::from("edge")));
    let text = [site.log("core"), site.log("gateway")].concat();
    assert!(!text.contains(&password[6..]), "the password stands in a log");
}

#[test]
fn who_does_not_know_the_password_or_comes_too_late_is_refused() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let (code, password) = request(&site, "till 4", &[]);
    let device = Candidate::new(&site, "one");
    let wrong = format!("{}{}", &password[..6], "0000-0000-0000-0000");
    let nobody = "00000-0000-0000-0000-0000";
    let (first, second) = (device.enrol(&wrong, &["--no-session"]), device.enrol(nobody, &["--no-session"]));
    assert!(first.exit != 0 && second.exit != 0, "{first:?} {second:?}");
    assert_eq!(first.err, second.err, "a code that exists is not told from one that does not");
    let counted = || {
        let shown = ctl.ok(&["enrolment", "show", &code]);
        (shown["failures"] == 1 && shown["state"] == "open").then_some(())
    };
    wait::until("the wrong password to be counted", BATCHED, counted, || site.logs());

    assert_eq!(device.enrol(&password, &["--no-session"]).exit, 0, "{}", site.logs());
    let other = device.set_up_anew().enrol(&password, &["--no-session"]);
    assert!(other.exit != 0 && other.err.contains("used"), "{other:?}");

    let (cancelled, password) = request(&site, "till 5", &[]);
    let _ = ctl.ok(&["enrolment", "cancel", &cancelled]);
    assert_ne!(Candidate::new(&site, "two").enrol(&password, &["--no-session"]).exit, 0);
    assert_eq!(ctl.ok(&["enrolment", "show", &cancelled])["state"], "cancelled");
    assert_eq!(ctl.ok(&["device", "list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn the_same_hardware_twice_waits_for_a_person() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let (_, password) = request(&site, "first", &[]);
    let device = Candidate::new(&site, "one");
    assert_eq!(device.enrol(&password, &[]).exit, 0, "{}", site.logs());
    let first = show(&site, "first")["id"].as_str().expect("an id").to_owned();

    let (_, password) = request(&site, "second", &[]);
    let anew = device.set_up_anew();
    assert_eq!(anew.enrol(&password, &[]).exit, 0, "{}", site.logs());
    let shown = show(&site, "second");
    assert_eq!(
        (&shown["state"], &shown["life"]["twin"]),
        (&Value::from("quarantined"), &Value::from(first.as_str()))
    );
    let alarms = ctl.ok(&["alarm", "list"]);
    assert_eq!(alarms[0]["kind"], "duplicate-hardware", "{alarms:#}");
    let _ = ctl.ok(&["device", "command", "second", "get", "./DevInfo/Mod"]);
    assert_eq!(anew.check_in().exit, 0);
    assert_eq!(ctl.ok(&["device", "commands", "second"])[0]["state"], "queued");

    let _ = ctl.ok(&["device", "release", "second", "--reason", "set up anew"]);
    assert_eq!(anew.check_in().exit, 0, "{}", site.logs());
    assert_eq!(ctl.ok(&["device", "commands", "second"])[0]["state"], "succeeded");
    assert_eq!(show(&site, &first)["state"], "retired");
    assert_ne!(device.check_in().exit, 0, "the old one is let in no more");
}

#[test]
fn a_device_that_is_enrolled_anew_receives_nothing_of_the_old_queue() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let (_, password) = request(&site, "till", &[]);
    let device = Candidate::new(&site, "one");
    assert_eq!(device.enrol(&password, &[]).exit, 0, "{}", site.logs());
    let id = show(&site, "till")["id"].clone();
    let _ = ctl.ok(&["device", "command", "till", "get", "./DevInfo/Mod"]);

    let (_, password) = request(&site, "till", &["--renews", "till"]);
    let anew = device.set_up_anew();
    assert_eq!(anew.enrol(&password, &[]).exit, 0, "{}", site.logs());

    let shown = show(&site, "till");
    assert_eq!((&shown["id"], &shown["generation"]), (&id, &Value::from(2)));
    let all = ctl.ok(&["device", "commands", "till"]);
    let old = all.as_array().expect("commands").iter().find(|one| one["uri"] == "./DevInfo/Mod");
    let old = old.expect("the command of before");
    assert_eq!(
        (&old["state"], &old["cause"]),
        (&Value::from("cancelled"), &Value::from("superseded")),
        "{all:#}"
    );
    assert_ne!(device.check_in().exit, 0, "the old generation is let in no more");
    assert_eq!(anew.check_in().exit, 0);
}

#[test]
fn a_device_is_told_to_leave_leaves_by_itself_or_is_let_go_at_once() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let devices: Vec<_> = ["told", "itself", "now"]
        .into_iter()
        .map(|name| {
            let (_, password) = request(&site, name, &[]);
            let device = Candidate::new(&site, name);
            assert_eq!(device.enrol(&password, &[]).exit, 0, "{}", site.logs());
            device
        })
        .collect();
    let retired = |name: &'static str| {
        let gone = || (show(&site, name)["state"] == "retired").then_some(());
        wait::until(&format!("{name} to be retired"), BATCHED, gone, || site.logs());
    };

    let told = ctl.ok(&["device", "unenrol", "told", "--reason", "sold"]);
    assert_eq!(
        (&told["state"], &told["life"]["leaving"]),
        (&Value::from("managed"), &Value::from("ordered"))
    );
    let last = devices[0].check_in();
    assert_eq!(last.exit, 0, "{last:?}\n{}", site.logs());
    retired("told");

    let left = devices[1].unenrol();
    assert_eq!(left.exit, 0, "{left:?}\n{}", site.logs());
    retired("itself");

    let _ = ctl.ok(&["device", "unenrol", "now", "--now"]);
    assert_eq!(show(&site, "now")["state"], "retired");
    assert_ne!(devices[2].check_in().exit, 0);
}

#[test]
fn a_core_that_is_killed_in_the_midst_of_enrolments_enrols_each_device_once() {
    let mut site = Site::start(&Plan::default());
    const DEVICES: usize = 12;
    let names: Vec<String> = (0..DEVICES).map(|number| format!("d{number}")).collect();
    let passwords: Vec<String> = names.iter().map(|name| request(&site, name, &[]).1).collect();
    let ctl = site.ctl();
    let enrol = |site: &Site, name: &str, password: &str| {
        Candidate::new(site, name).enrol(password, &["--no-session"])
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = {
            let site = &site;
            names
                .iter()
                .zip(&passwords)
                .map(|(name, password)| scope.spawn(move || enrol(site, name, password)))
                .collect()
        };
        let some_used = || {
            let used = ctl.run(&["enrolment", "list", "--state", "used"]);
            (used.exit == 0 && used.json().as_array().is_some_and(|used| !used.is_empty())).then_some(())
        };
        wait::until("a device to be enrolled", BATCHED, some_used, || site.logs());
        let core = site.core.as_ref().expect("a core runs").pid();
        let killed = Command::new("kill").args(["-9", &core.to_string()]).status().expect("kill runs");
        assert!(killed.success());
        drop(running.into_iter().map(|one| one.join().expect("no panic")).collect::<Vec<_>>());
    });
    site.kill_core();
    site.start_core();
    site.wait_ready();
    for (name, password) in names.iter().zip(&passwords) {
        let again = enrol(&site, name, password);
        assert_eq!(again.exit, 0, "{name}: {again:?}\n{}", site.logs());
        let own: Value =
            serde_json::from_str(again.out.lines().next().unwrap_or_default()).expect("an event");
        assert_eq!(own["enrolment"], show(&site, name)["id"], "the same enrolment as before");
    }
    let devices = site.ctl().ok(&["device", "list"]);
    assert_eq!(devices.as_array().map(Vec::len), Some(DEVICES), "{devices:#}");
}

#[test]
fn five_hundred_devices_enrol_at_the_same_time() {
    let site = Site::start(&Plan::default());
    let summary = Crowd::ask(&site, "crowd", 500).enrol(500);
    assert_eq!(
        (summary["enrolled"].as_u64(), summary["failed"].as_u64()),
        (Some(500), Some(0)),
        "{summary:#}\n{}",
        site.logs()
    );
    let status = site.ctl().ok(&["status"]);
    let counts = status["devices"].as_array().cloned().unwrap_or_default();
    assert_eq!(counts.iter().filter_map(|one| one["count"].as_u64()).sum::<u64>(), 500, "{status:#}");
}

#[test]
fn a_csv_file_becomes_passwords_that_only_its_owner_reads() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let (file, result) = (site.path("devices.csv"), site.path("passwords.csv"));
    let (file_, result_) = (file.to_string_lossy().into_owned(), result.to_string_lossy().into_owned());
    std::fs::write(&file, "name,owner,auth\na,ann,signed\nb,bob,nonsense\n").expect("a file");
    let refused = ctl.run(&["enrolment", "import", &file_, "--out", &result_]);
    assert_eq!(refused.exit, 2, "{refused:?}");
    assert!(refused.err.contains("line 3") && !result.exists(), "{refused:?}");

    std::fs::write(&file, "name,owner,groups\na,ann,\nb,bob,nobody\nc,\"cat, the third\",\n")
        .expect("a file");
    let none = ctl.run(&["enrolment", "import", &file_, "--out", &result_, "--all-or-none"]);
    assert_eq!(none.exit, 1, "{none:?}");
    std::fs::remove_file(&result).expect("the result of before");
    let some = ctl.run(&["enrolment", "import", &file_, "--out", &result_]);
    assert_eq!((some.exit, &some.json()["made"]), (1, &Value::from(2)), "{some:?}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&result).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);

    let text = std::fs::read_to_string(&result).expect("text");
    let line = text.lines().find(|line| line.contains("the third")).expect("the line of c");
    let password =
        line.split(',').find(|field| field.len() == 25 && field.contains('-')).expect("a password");
    assert!(!some.out.contains(password) && !some.err.contains(password));
    let enrolled = Candidate::new(&site, "c").enrol(password, &[]);
    assert_eq!(enrolled.exit, 0, "{enrolled:?}\n{}", site.logs());
    assert_eq!(show(&site, "c")["owner"], "cat, the third");
}
