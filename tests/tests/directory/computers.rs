//! The computer of a device in a real directory: made when the device comes, out of use when it was wiped. Domain controller, core, gateway
//! and device are all real.

use std::time::Duration;

use postern_tests::{
    device::Device,
    samba::Samba,
    site::{Plan, READY, Site},
    wait,
};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "Svc-Passw0rd!1";
const DEVICES: &str = "OU=Devices,DC=corp,DC=example";
const LOST: &str = "OU=Lost,OU=Devices,DC=corp,DC=example";
const PEOPLE: &str = "OU=People,DC=corp,DC=example";

#[test]
fn a_computer_is_made_for_a_new_device_and_is_out_of_use_after_its_wipe() {
    let samba = domain();
    may_write(&samba);
    let others = |name: &str| samba.tool(&["computer", "show", name, "--attributes=description,uSNChanged"]);
    let before = others("SERVER9");
    let mut site = site(&samba, "disable");

    // A name that fits is taken as it is.
    let phone = managed(&site, "Phone-1");
    let made = ends(&site, "Phone-1", "done");
    assert_eq!((&made["act"], &made["tries"]), (&json!("create"), &json!(1)), "{made}");
    let bound = site.ctl().ok(&["device", "binding", "Phone-1"]);
    let computer = &bound["computer"];
    assert_eq!(computer, &json!({"dn": format!("CN=PHONE-1,{DEVICES}"), "how": "created"}), "{bound}");
    let made = entry(&samba, &format!("CN=PHONE-1,{DEVICES}")).expect("the computer");
    for line in ["sAMAccountName: PHONE-1$", "userAccountControl: 4096", "description: Postern device "] {
        assert!(made.contains(line), "{line}: {made}");
    }
    // A name that somebody else has, the controller's, and text that is no name: each is left alone.
    for name in ["SERVER9", "DC1", "x,OU=People)(cn=*"] {
        let _ = managed(&site, name);
        let made = ends(&site, name, "done");
        let dn = made["computer"].as_str().unwrap_or_default();
        assert!(dn.starts_with("CN=PST-") && dn.ends_with(DEVICES), "{name}: {made}");
    }
    assert_eq!(others("SERVER9"), before, "what was there is not touched");
    let audit = site.ctl().ok(&["audit", "list", "--action", "directory.create"]);
    assert_eq!(audit.as_array().map(Vec::len), Some(4), "{audit:#}");

    wiped(&site, &phone);
    let done = ends(&site, "Phone-1", "done");
    assert_eq!(done["act"], "disable", "{done}");
    assert!(entry_has(&samba, &format!("CN=PHONE-1,{DEVICES}"), "userAccountControl: 4098"), "{done}");

    // One that a person named although it is more than a device is left as it is, and one that lies elsewhere.
    for (name, computer, why) in
        [("TABLET-1", "SERVER1", "trusted for delegation"), ("TABLET-2", "SERVER9", "does not lie below")]
    {
        let device = managed(&site, name);
        let _ = ends(&site, name, "done");
        let _ = site.ctl().ok(&["device", "bind", name, "--computer", computer]);
        wiped(&site, &device);
        let refused = ends(&site, name, "given-up");
        assert!(refused["cause"].to_string().contains(why), "{refused}");
    }
    assert_eq!(others("SERVER9"), before, "what lies elsewhere is not touched");

    for (act, name) in [("move", "PHONE-2"), ("delete", "PHONE-3")] {
        site.stop_core();
        writes(&site, act);
        site.start_core();
        ready(&site);
        let device = managed(&site, name);
        let made = ends(&site, name, "done");
        assert_eq!(made["computer"], json!(format!("CN={name},{DEVICES}")), "{made}");
        wiped(&site, &device);
        let done = ends(&site, name, "done");
        assert_eq!(done["act"], act, "{done}");
    }
    assert!(entry(&samba, &format!("CN=PHONE-2,{DEVICES}")).is_none());
    assert!(entry_has(&samba, &format!("CN=PHONE-2,{LOST}"), "userAccountControl: 4096"));
    assert!(entry(&samba, &format!("CN=PHONE-3,{DEVICES}")).is_none());
}

#[test]
fn what_cannot_be_written_is_parked_or_waits_and_holds_no_wipe_up() {
    let mut samba = domain();
    let mut site = site(&samba, "disable");

    // Without the right it is not tried over and over, and everybody hears why.
    let phone = managed(&site, "PHONE-1");
    let parked = ends(&site, "PHONE-1", "parked");
    assert!(parked["cause"].to_string().contains("no right to make a computer"), "{parked}");
    assert_eq!((&parked["tries"], &parked["due_at"]), (&json!(1), &Value::Null), "{parked}");
    let status = site.ctl().ok(&["directory", "status"]);
    assert_eq!((&status["parked"], &status["waiting"]), (&json!(1), &json!(0)), "{status:#}");
    assert_eq!(status["parked_because"], parked["cause"], "{status:#}");
    let alarms = site.ctl().ok(&["alarm", "list", "--kind", "directory-task"]);
    assert!(alarms[0]["text"].to_string().contains("no right to make a computer"), "{alarms:#}");

    // The right is given, and somebody says so.
    may_write(&samba);
    let _ = site.ctl().ok(&["directory", "refresh"]);
    let made = ends(&site, "PHONE-1", "done");
    assert_eq!(made["computer"], json!(format!("CN=PHONE-1,{DEVICES}")), "{made}");
    let open = site.ctl().ok(&["alarm", "list", "--kind", "directory-task"]);
    assert_eq!(open.as_array().map(Vec::len), Some(0), "{open:#}");

    // A controller that is down holds the wipe up in nothing; the task outlives the core's death.
    samba.stop();
    wiped(&site, &phone);
    let tried = || {
        let task = task(&site, "PHONE-1");
        (task["act"] == "disable" && task["tries"].as_u64() > Some(0)).then_some(task)
    };
    let waits = wait::until("a try", LIMIT, tried, || site.logs());
    assert_eq!((&waits["act"], &waits["state"]), (&json!("disable"), &json!("waiting")), "{waits}");
    assert!(!waits["due_at"].is_null(), "{waits}");
    site.kill_core();
    site.start_core();
    site.wait_ready();
    let waits = task(&site, "PHONE-1");
    assert_eq!((&waits["act"], &waits["state"]), (&json!("disable"), &json!("waiting")), "{waits}");

    samba.again();
    let _ = site.ctl().ok(&["directory", "refresh"]);
    let done = ends(&site, "PHONE-1", "done");
    assert_eq!(done["act"], "disable", "{done}");
    assert!(entry_has(&samba, &format!("CN=PHONE-1,{DEVICES}"), "userAccountControl: 4098"), "{done}");
}

/// Units, the accounts, a server that is trusted for delegation among the devices, and one elsewhere.
fn domain() -> Samba {
    let samba = Samba::start();
    for unit in [DEVICES, LOST, PEOPLE] {
        samba.tool(&["ou", "create", unit]);
    }
    for user in ["svc-mdm", "svc-write"] {
        samba.tool(&["user", "create", user, PASSWORD]);
    }
    samba.tool(&["computer", "create", "SERVER1", "--computerou=OU=Devices"]);
    samba.tool(&["computer", "create", "SERVER9", "--computerou=OU=People", "--description=mine"]);
    samba.modify(&format!(
        "dn: CN=SERVER1,{DEVICES}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 528384\n"
    ));
    samba
}

/// The rights that docs/DIRECTORY.md says, and no more.
fn may_write(samba: &Samba) {
    let sid = samba.sid("user", "svc-write");
    let computer = "bf967a86-0de6-11d0-a285-00aa003049e2";
    let mut sddl = format!("(OA;CI;CCDC;{computer};;{sid})");
    // userAccountControl, cn, name.
    for attribute in ["bf967a68", "bf96793f", "bf967a0e"] {
        sddl += &format!("(OA;CIIO;WP;{attribute}-0de6-11d0-a285-00aa003049e2;{computer};{sid})");
    }
    samba.tool(&["dsacl", "set", &format!("--objectdn={DEVICES}"), &format!("--sddl={sddl}")]);
}

/// A system beside the domain, which makes computers.
fn site(samba: &Samba, after_wipe: &str) -> Site {
    let mut site = Site::make(&Plan::default());
    let password = site.path("directory-password");
    std::fs::write(&password, PASSWORD).expect("the password");
    let file = site.path("state/core.toml");
    let before = std::fs::read_to_string(&file).expect("the core's configuration");
    let directory = format!(
        "\n[directory]\nservers = [\"ldaps://{}\"]\nca = {:?}\naccount = \"svc-mdm@corp.example\"\npassword_file = {password:?}\nlook_s = 5\n\
         devices_below = \"{DEVICES}\"\n",
        samba.ldaps(),
        samba.ca(),
    );
    std::fs::write(&file, before + &directory).expect("the core's configuration");
    writes(&site, after_wipe);
    site.start_gateway();
    site.start_core();
    ready(&site);
    site
}

/// What is written into the directory, from the core's next start on.
fn writes(site: &Site, after_wipe: &str) {
    let file = site.path("state/core.toml");
    let text = std::fs::read_to_string(&file).expect("the core's configuration");
    let before = text.split("\n[directory_writer]\n").next().unwrap_or_default();
    let password = site.path("directory-password");
    let writer = format!(
        "\n[directory_writer]\naccount = \"svc-write@corp.example\"\npassword_file = {password:?}\nbelow = \"{DEVICES}\"\n\
         after_wipe = \"{after_wipe}\"\nmove_to = \"{LOST}\"\ncreate_in = \"{DEVICES}\"\n"
    );
    std::fs::write(&file, before.to_owned() + &writer).expect("the core's configuration");
}

fn ready(site: &Site) {
    site.wait_ready();
    let good = || (site.ctl().run(&["directory", "status"]).exit == 0).then_some(());
    wait::until("the directory to be read", LIMIT, good, || site.logs());
}

/// A device of ours that came.
fn managed(site: &Site, name: &str) -> Device {
    let device = site.device(name, "signed");
    let ran = device.check_in(&[]);
    assert_eq!(ran.exit, 0, "{:?} {}", ran.events, ran.err);
    device
}

/// Has a device wiped, up to the proof.
fn wiped(site: &Site, device: &Device) {
    let name = device.device_id.as_str();
    let asked = site.ctl().ok(&["wipe", "request", name, "--kind", "full", "--lost", "--reason", "a taxi"]);
    let id = asked["wipes"][0]["id"].as_str().expect("an id").to_owned();
    let done = || {
        let _ = device.check_in(&[]);
        (site.ctl().ok(&["wipe", "show", &id])["state"] == "succeeded").then_some(())
    };
    wait::until("the wipe", READY, done, || site.logs());
}

/// The newest task of a device.
fn task(site: &Site, name: &str) -> Value {
    site.ctl().ok(&["device", "binding", name])["tasks"][0].clone()
}

/// The newest task when it is in this state; a wipe's comes after the one that made the computer.
fn ends(site: &Site, name: &str, state: &str) -> Value {
    let wiped = site.ctl().ok(&["device", "show", name])["state"] == "retired";
    let there =
        || Some(task(site, name)).filter(|task| task["state"] == state && (task["act"] != "create") == wiped);
    let seen = || format!("{:#}\n{}", site.ctl().ok(&["device", "binding", name]), site.logs());
    wait::until(&format!("{name}: {state}"), LIMIT, there, seen)
}

/// An entry as LDIF.
fn entry(samba: &Samba, dn: &str) -> Option<String> {
    let all = samba.ldif(Samba::ADMINISTRATOR, Samba::ADMINISTRATOR_PASSWORD, Samba::BASE);
    let all = String::from_utf8_lossy(&all).into_owned();
    all.split("\n\n").find(|entry| entry.starts_with(&format!("dn: {dn}\n"))).map(str::to_owned)
}

fn entry_has(samba: &Samba, dn: &str, line: &str) -> bool {
    entry(samba, dn).is_some_and(|entry| entry.lines().any(|found| found == line))
}
