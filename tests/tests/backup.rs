//! A backup of a working system, what happened after it, and the system that is restored from it: held until a person
//! releases it, on both backends, with the real binaries.
#![forbid(unsafe_code)]

use postern_store::testkit::Cluster;
use postern_tests::{
    dm_client::{CheckIn, DmClient, target_of},
    site::{GATEWAY, Plan, READY, Site},
    wait,
};

#[test]
fn a_restored_core_is_held_until_a_person_releases_it_on_sqlite() {
    rehearse(None);
}

#[test]
fn a_restored_core_is_held_until_a_person_releases_it_on_postgresql() {
    rehearse(Some(Cluster::shared()));
}

fn rehearse(postgres: Option<&Cluster>) {
    let mut site = Site::start(&Plan { postgres, ..Plan::default() });
    let (reader, _) = site.enrol("IMEI:1", "md5", &[]);
    let (worker, _) = site.enrol("IMEI:2", "basic", &[]);
    let (reader, worker) = (site.client(reader), site.client(worker));
    let in_flight = queue(&site, "IMEI:1", &["get", "./DevDetail/SwV"]);
    sent_and_not_answered(&reader);
    let exec = queue(&site, "IMEI:2", &["exec", "./Vendor/Once", "--data", "x"]);
    let get = queue(&site, "IMEI:2", &["get", "./DevDetail/SwV"]);
    put_settings(&site, "{\"retry_after_s\": 11}", 1);
    proved(&site, 1);

    let (backup, config) = (path(&site, "backup"), path(&site, "state/core.toml"));
    let made = site.core_tool(&["backup", "--config", &config, "--output", &backup]);
    assert_eq!(made.exit, 0, "{made:?}");
    no_secret_in(&site);

    // What the backup does not know: an order that was executed, another device, newer settings.
    let check_in = worker.check_in("1").expect("a session");
    assert!(asked(&check_in).contains(&"./Vendor/Once".to_owned()), "{check_in:?}");
    let (later, _) = site.enrol("IMEI:3", "basic", &[]);
    put_settings(&site, "{\"retry_after_s\": 12}", 2);
    proved(&site, 2);
    put_settings(&site, "{\"retry_after_s\": 13}", 3);
    proved(&site, 3);
    let anchor = kept_anchor(&site);
    site.stop_core();

    restore(&mut site, postgres);
    site.start_core();
    site.wait_ready();

    let status = site.ctl().run(&["status"]);
    assert_eq!((status.exit, status.json()["state"].as_str()), (1, Some("degraded")), "{status:?}");
    let alarms = site.ctl().ok(&["alarm", "list"]);
    assert!(alarms.as_array().is_some_and(|all| all.iter().any(|one| one["kind"] == "held")), "{alarms:#}");
    assert_eq!(state(&site, &in_flight), "in-doubt");

    // Devices get through although the server's nonces are older than theirs; what may do harm stays back.
    let check_in = session(&worker, &site);
    assert_eq!(asked(&check_in), ["./DevDetail/SwV"], "an Exec waits: {check_in:?}");
    assert_eq!((state(&site, &get).as_str(), state(&site, &exec).as_str()), ("succeeded", "queued"));
    let _ = session(&reader, &site);
    unknown(&site, &site.client(later));

    // The gateway's newer settings are not overwritten, and the next document is newer still.
    let adopted = || (at(&site, "newest") == 3 && at(&site, "in_force") == 3).then_some(());
    wait::until("the gateway's version to be adopted", wide(), adopted, || site.logs());
    let alarms = site.ctl().ok(&["alarm", "list", "--kind", "gateway-settings-newer"]);
    assert_eq!(alarms.as_array().map(Vec::len), Some(1), "{alarms:#}");
    put_settings(&site, "{\"retry_after_s\": 14}", 4);
    proved(&site, 4);

    let refused = site.ctl().run(&["server", "release", "--reason", " "]);
    assert_eq!(refused.exit, 2, "a reason is wanted: {refused:?}");
    let released = site.ctl().ok(&["server", "release", "--reason", "looked at every order"]);
    assert_eq!(released["orders"], 1, "{released:#}");
    let again = site.ctl().run(&["server", "release", "--reason", "again"]);
    assert_eq!(again.slug(), "wrong-state", "{again:?}");
    let goes_out = || {
        let check_in = worker.check_in("9").ok()?;
        asked(&check_in).contains(&"./Vendor/Once".to_owned()).then_some(())
    };
    wait::until("the order that waited", READY, goes_out, || site.logs());

    // The chain goes on with a marker, and who kept heads elsewhere is told what is missing.
    let log = site.ctl().ok(&["audit", "list", "--action", "server."]).to_string();
    assert!(log.contains("server.restored") && log.contains("looked at every order"), "{log}");
    assert_eq!(site.ctl().run(&["audit", "verify"]).exit, 0);
    let verified = site.ctl().run(&["audit", "verify", "--anchor", &anchor]);
    assert_eq!(verified.exit, 1, "{verified:?}");
    assert!(verified.json()["faults"].to_string().contains("restored"), "{verified:?}");
}

#[test]
fn a_backup_that_was_changed_or_another_key_is_refused_and_leaves_nothing() {
    let site = Site::start(&Plan::default());
    let (backup, config) = (path(&site, "backup"), path(&site, "state/core.toml"));
    assert_eq!(site.core_tool(&["backup", "--config", &config, "--output", &backup]).exit, 0);
    let twice = site.core_tool(&["backup", "--config", &config, "--output", &backup]);
    assert!(twice.err.contains("is there already"), "{twice:?}");
    let restore = |key: &str| {
        let state = path(&site, "restored");
        let args = ["restore", "--from", &backup, "--state", &state, "--master-key", key, "--reason", "x"];
        let ran = site.core_tool(&args);
        assert!(!site.path("restored").exists(), "{ran:?}");
        (ran.exit, ran.err)
    };

    let other = Site::make(&Plan::default());
    let (exit, why) = restore(&path(&other, "state/keys/master.key"));
    assert!(exit == 1 && why.contains("master key"), "{why}");
    let file = site.path("backup/database.jsonl");
    let text = std::fs::read_to_string(&file).expect("the backup's rows");
    std::fs::write(&file, text.replace("admin", "adnim")).expect("a changed backup");
    let (exit, why) = restore(&path(&site, "state/keys/master.key"));
    assert!(exit == 1 && why.contains("not the one that was sealed"), "{why}");
}

fn wide() -> std::time::Duration {
    READY * 3
}

fn path(site: &Site, name: &str) -> String {
    site.path(name).display().to_string()
}

fn restore(site: &mut Site, postgres: Option<&Cluster>) {
    if let Some(cluster) = postgres {
        site.use_new_database(cluster);
    }
    let (backup, state) = (path(site, "backup"), path(site, "restored"));
    let key = path(site, "state/keys/master.key");
    let args = ["--from", &backup, "--state", &state, "--master-key", &key, "--reason", "the disk died"];
    let ran = site.core_tool(&[&["restore"], &args[..]].concat());
    assert_eq!(ran.exit, 0, "{ran:?}");
    site.run_core_from("restored");
}

/// The backup shows nothing that the master key guards.
fn no_secret_in(site: &Site) {
    let secrets =
        ["state/keys/order.key", "state/keys/audit.key", "state/ca/device-ca.key", "state/admin.token"];
    for file in ["backup/manifest.json", "backup/database.jsonl", "backup/files.jsonl"] {
        let text = site.read(file);
        for secret in secrets.map(|secret| site.read(secret)) {
            let line = secret.lines().filter(|line| !line.starts_with("---")).max_by_key(|line| line.len());
            assert!(!text.contains(line.unwrap_or_default()), "{file}");
        }
    }
    assert!(!site.read("backup/files.jsonl").contains("master.key"));
}

/// A copy of the anchor file with the newest head, as an operator keeps it elsewhere.
fn kept_anchor(site: &Site) -> String {
    let rows = || site.ctl().ok(&["audit", "list", "--limit", "1"])[0]["seq"].as_u64();
    let last = rows();
    let signed = || (site.ctl().ok(&["audit", "head"])["seq"].as_u64() >= last).then_some(());
    wait::until("the head to be signed", wide() * 2, signed, || site.logs());
    let kept = site.path("kept-heads.jsonl");
    std::fs::copy(site.path("state/audit-heads.jsonl"), &kept).expect("a copy of the anchor file");
    kept.display().to_string()
}

fn queue(site: &Site, device: &str, command: &[&str]) -> String {
    let queued = site.ctl().ok(&[&["device", "command", device], command].concat());
    queued["commands"][0]["id"].as_str().expect("a command's id").to_owned()
}

fn state(site: &Site, command: &str) -> String {
    site.ctl().ok(&["command", "show", command])["state"].as_str().unwrap_or_default().to_owned()
}

/// The device takes a command and is not heard of again.
fn sent_and_not_answered(client: &DmClient) {
    let mut session = client.open("1").expect("a connection");
    for _ in 0..3 {
        let body = session.package_1();
        let answer = session.exchange(body).expect("package 2");
        let message = answer.message.expect("a message");
        if postern_tests::dm_client::commands_of(&message).iter().any(|one| target_of(one).is_some()) {
            return;
        }
    }
    panic!("the command was not sent");
}

fn session(client: &DmClient, site: &Site) -> CheckIn {
    let taken = || client.check_in("5").ok().filter(|check_in| check_in.authenticated);
    wait::until("a session with the restored core", READY, taken, || site.logs())
}

fn asked(check_in: &CheckIn) -> Vec<String> {
    check_in.commands.iter().filter_map(target_of).collect()
}

/// A device that was enrolled after the backup is nobody now, and that is on record.
fn unknown(site: &Site, client: &DmClient) {
    let gone = || {
        let answer = client.connect().and_then(|mut tls| tls.post(&client.path(), &[], b"")).ok()?;
        (answer.status == 404).then_some(())
    };
    wait::until("the later device to be unknown", READY, gone, || site.logs());
}

fn put_settings(site: &Site, document: &str, version: u64) {
    let file = site.path("settings.json");
    std::fs::write(&file, document).expect("a file in the site's folder");
    let file = file.display().to_string();
    let put = site.ctl().ok(&["gateway", "settings", "set", GATEWAY, "--file", &file, "--reason", "test"]);
    assert_eq!(put["version"].as_u64(), Some(version), "{put:#}");
}

/// A version of the gateway's settings: `in_force`, `last_good` or `newest`.
fn at(site: &Site, which: &str) -> u64 {
    site.ctl().ok(&["gateway", "settings", "get", GATEWAY])[which].as_u64().unwrap_or(0)
}

/// Waits until the gateway works with these settings and will not fall back.
fn proved(site: &Site, version: u64) {
    let good = || (at(site, "last_good") == version).then_some(());
    wait::until("the settings to have proved good", wide(), good, || site.logs());
}
