//! Break-glass in the worst night: everything is frozen, the mail server is away, and so is the domain controller.

use std::fmt::Write as _;

use postern_tests::{
    exim::{Exim, Verdicts},
    samba::Samba,
    site::{Plan, READY, Site},
    wait,
};

use super::{events, seen, show, wiped};

const ADMIN: &str = "alice";
const PASSWORD: &str = "Svc-Passw0rd!1";

#[test]
fn break_glass_works_without_mail_and_directory_and_is_loud_when_they_are_back() {
    let mut exim = Exim::running();
    let mut samba = Samba::start();
    samba.tool(&["user", "create", ADMIN, PASSWORD]);
    let mut site = Site::make(&Plan::default());
    exim.set_up(&site.path("state"), exim.address().port());
    set_up(&site, &samba);
    exim.stop();
    site.start_gateway();
    site.start_core();
    site.wait_ready();
    let read = || (site.ctl().run(&["directory", "status"]).exit == 0).then_some(());
    wait::until("the directory to be read", READY, read, || site.logs());
    samba.stop();
    let stale = site.ctl().run(&["directory", "refresh"]);
    assert_eq!((stale.exit, &stale.json()["directory"]["state"]), (1, &"stale".into()), "{stale:?}");
    assert_eq!(sign_in(&site), "unavailable", "nobody is let in by a directory that is away");
    let device = seen(&site, "IMEI:1", "signed");
    let other = seen(&site, "IMEI:2", "signed");
    let _ = site.ctl().ok(&["freeze", "--reason", "odd retirements tonight"]);
    let request = ["wipe", "request", "IMEI:1", "--kind", "full", "--reason", "stolen", "--lost"];
    assert_eq!(site.ctl().run(&request).slug(), "frozen");
    let glass = [&request[..], &["--break-glass"]].concat();
    assert_eq!(site.ctl().run(&glass).slug(), "break-glass-closed");

    let config = site.path("state/core.toml").display().to_string();
    let codes = site.core_tool(&["break-glass-codes", "--count", "2", "--config", &config]);
    assert_eq!(codes.exit, 0, "{codes:?}");
    let file = site.path("code").display().to_string();
    let open = |code: &str| {
        std::fs::write(&file, code).expect("a file");
        site.ctl().run(&["break-glass", "--code-file", &file, "--devices", "1", "--reason", "a theft"])
    };
    assert_eq!(open("glass-of-nobody").slug(), "break-glass-closed");
    let code = codes.out.lines().next().expect("a code").to_owned();
    let opened = open(&code);
    assert_eq!(opened.exit, 0, "{opened:?}");
    assert_eq!(open(&code).slug(), "break-glass-closed", "a code is good once");

    let asked = site.ctl().ok(&glass);
    let id = asked["wipes"][0]["id"].as_str().expect("an id").to_owned();
    let more = ["wipe", "request", "IMEI:2", "--kind", "full", "--reason", "too", "--break-glass"];
    assert_ne!(site.ctl().run(&more).exit, 0, "it was good for one device");
    let done = || {
        let _ = device.check_in(&[]);
        (show(&site, &id)["state"] == "succeeded").then_some(())
    };
    wait::until("the wipe in spite of the freeze", READY, done, || site.logs());
    assert_eq!((wiped(&device), wiped(&other)), (1, 0));
    assert!(events(&site, &id).contains(&"acknowledge".to_owned()));
    let alarms = site.ctl().ok(&["alarm", "list", "--kind", "break-glass"]);
    assert_eq!(alarms[0]["severity"], "critical", "{alarms:#}");
    for action in ["safety.break_glass", "safety.break_glass.used"] {
        let audit = site.ctl().ok(&["audit", "list", "--action", action]);
        assert!(audit.as_array().is_some_and(|acts| !acts.is_empty()), "{action}: {audit:#}");
    }
    let log = site.log("core");
    assert!(
        log.contains("break-glass is opened") && log.contains("a break-glass code that is none"),
        "{log}"
    );
    assert_eq!(site.ctl().run(&["directory", "status"]).exit, 1, "the directory was away all the time");
    assert_eq!(exim.taken(), Vec::<String>::new());

    // The mails waited, and tell of it as soon as there is somebody who takes them. (A core that starts tries at once; one
    // that runs lets the far end rest for up to five minutes.)
    site.stop_core();
    exim.start(Verdicts::default());
    site.start_core();
    site.wait_ready();
    let told = || {
        let subjects: Vec<String> = exim.mails().into_iter().map(|(_, subject)| subject).collect();
        let loud = subjects.iter().filter(|subject| subject.contains("Break-glass")).count();
        let rest = ["frozen", "Wipe complete"]
            .iter()
            .all(|part| subjects.iter().any(|subject| subject.to_lowercase().contains(&part.to_lowercase())));
        (loud == 2 && rest).then_some(())
    };
    wait::until("the mails of the night", READY * 3, told, || format!("{:?}\n{}", exim.mails(), exim.logs()));
}

/// A directory that people sign in by, too.
fn set_up(site: &Site, samba: &Samba) {
    let file = site.path("state/core.toml");
    let mut text = std::fs::read_to_string(&file).expect("the core's configuration");
    let password = site.path("directory-password");
    std::fs::write(&password, PASSWORD).expect("the password");
    write!(
        text,
        "\n[directory]\nservers = [\"ldaps://{}\"]\nca = {:?}\naccount = \"{ADMIN}@corp.example\"\npassword_file = {password:?}\nlook_s = 5\n\
         \n[sign_in]\n\n[sign_in.roles]\nauditor = [\"CN=Domain Users,CN=Users,{}\"]\n",
        samba.ldaps(),
        samba.ca(),
        Samba::BASE,
    )
    .expect("text takes text");
    std::fs::write(&file, text).expect("the core's configuration");
}

/// The slug of the refusal to sign in by the directory.
fn sign_in(site: &Site) -> String {
    let password = site.path("directory-password").display().to_string();
    let token = site.path("alice.token").display().to_string();
    site.ctl().run(&["--token-file", &token, "login", "--user", ADMIN, "--password-file", &password]).slug()
}
