//! What is shown to who helps from outside, and what is written at the most talkative level: never a secret, and no
//! name unless it was asked for.
#![forbid(unsafe_code)]

use postern_tests::{
    dm_client::target_of,
    site::{Plan, READY, Site},
    wait,
};
use serde_json::Value;

/// Data of a command, as an operator might put a password into one.
const PLANTED: &str = "planted-S3cret-in-a-command";

#[test]
fn neither_the_log_at_trace_nor_a_support_bundle_shows_a_secret() {
    let settings = [("POSTERN_LOG_FILTER", "trace")];
    let site = Site::start(&Plan { core_settings: &settings, ..Plan::default() });
    let ctl = site.ctl();
    let (basic, _) =
        site.enrol("IMEI:490154203237518", "basic", &["--owner", "anna.lowe", "--name", "Front desk"]);
    let (md5, _) = site.enrol("IMEI:2", "md5", &[]);
    let mut secrets: Vec<String> = [&basic, &md5].iter().filter_map(|file| file.password.clone()).collect();
    secrets.extend([&basic, &md5].iter().filter_map(|file| file.server_password.clone()));
    secrets.push(site.read("state/admin.token").trim().to_owned());
    secrets.push(PLANTED.to_owned());
    for key in ["order", "audit", "message"] {
        let pem = site.read(&format!("state/keys/{key}.key"));
        secrets.extend(pem.lines().find(|line| !line.starts_with("---")).map(str::to_owned));
    }
    let _ = ctl.ok(&["device", "command", "IMEI:2", "replace", "./Vendor/Secret", "--data", PLANTED]);
    let asked = site.client(md5).check_in("1").expect("a session");
    assert_eq!(asked.commands.iter().filter_map(target_of).collect::<Vec<_>>(), ["./Vendor/Secret"]);
    assert!(site.client(basic).check_in("1").expect("a session").authenticated);

    // The last line before each bundle names the device: what is kept of a log this talkative is soon gone.
    let asked_for = || drop(ctl.ok(&["device", "show", "IMEI:490154203237518"]));
    let file = site.path("bundle.jsonl");
    asked_for();
    let made = ctl.run(&["support", "bundle", "-o", &file.to_string_lossy()]);
    assert_eq!(made.exit, 0, "{made:?}");
    let bundle = site.read("bundle.jsonl");

    let log = site.log("core");
    assert!(log.contains("a message of a device was answered"), "it logs at trace");
    for secret in &secrets {
        assert!(secret.len() > 8);
        assert!(!log.contains(secret), "a secret is in the log: {}", around(&log, secret));
        assert!(!bundle.contains(secret), "a secret is in the bundle: {}", around(&bundle, secret));
    }
    for name in ["490154203237518", "anna.lowe", "Front desk"] {
        assert!(!bundle.contains(name), "a name is in the bundle: {}", around(&bundle, name));
    }
    let parts: Vec<Value> = bundle.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for wanted in ["about", "status", "doctor", "servers", "configuration", "metrics", "log"] {
        let part = parts.iter().find(|part| part["part"] == wanted);
        assert!(part.is_some_and(|part| !part["content"].is_null()), "{wanted}");
    }
    let plain = site.path("plain.jsonl");
    asked_for();
    let _ = ctl.run(&["support", "bundle", "-o", &plain.to_string_lossy(), "--names"]);
    assert!(site.read("plain.jsonl").contains("490154203237518"), "with --names they stay");
    assert!(
        ctl.ok(&["audit", "list", "--action", "server.support"]).as_array().is_some_and(|all| all.len() == 2)
    );
}

#[test]
fn a_device_is_logged_at_its_own_level_for_a_time_and_it_is_audited() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let (one, _) = site.enrol("IMEI:1", "basic", &[]);
    let (two, _) = site.enrol("IMEI:2", "basic", &[]);
    let (first, second) = (one.enrolment.to_string(), two.enrolment.to_string());
    let said = |id: &str| {
        let log = site.log("core");
        log.lines().filter(|line| line.contains(id) && line.contains("was answered")).count()
    };

    let set = ctl.ok(&["device", "log", "IMEI:1", "--level", "debug", "--for", "2h"]);
    assert_eq!((set[0]["level"].as_str(), set.as_array().map(Vec::len)), (Some("debug"), Some(1)), "{set:#}");
    for (client, session) in [(site.client(one.clone()), "1"), (site.client(two), "1")] {
        assert!(client.check_in(session).expect("a session").authenticated);
    }
    assert!(said(&first) > 0 && said(&second) == 0, "{}", site.log("core"));

    let _ = ctl.ok(&["device", "log", "IMEI:1"]);
    let before = said(&first);
    assert!(site.client(one.clone()).check_in("2").expect("a session").authenticated);
    assert_eq!(said(&first), before, "the change was ended");

    let _ = ctl.ok(&["device", "log", "IMEI:1", "--level", "debug", "--for", "1s"]);
    let over = || ctl.ok(&["server", "log-level"]).as_array().is_some_and(Vec::is_empty).then_some(());
    wait::until("the change to end by itself", READY, over, || site.logs());

    let _ = ctl.ok(&["server", "log-level", "--module", "postern_core::links", "--level", "trace"]);
    assert_eq!(ctl.ok(&["server", "log-level"])[0]["subject"], "module:postern_core::links");
    let wrong = ctl.run(&["server", "log-level", "--level", "loud"]);
    assert_eq!(wrong.exit, 2, "{wrong:?}");
    let audited = ctl.ok(&["audit", "list", "--action", "server.set_log_level"]);
    assert!(audited.as_array().is_some_and(|rows| rows.len() == 4), "{audited:#}");
}

fn around(text: &str, found: &str) -> String {
    let at = text.find(found).unwrap_or(0);
    let from = text[..at].rfind('\n').map_or(0, |line| line + 1);
    let line = text[from..].lines().next().unwrap_or_default();
    line.chars().take(400).collect()
}
