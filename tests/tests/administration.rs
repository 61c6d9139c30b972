//! posternctl against a real core: everything that an admin does, its exit codes, and what is refused to whom.
#![forbid(unsafe_code)]

use postern_tests::{
    ctl::Ctl,
    site::{GATEWAY, Plan, READY, Site},
    wait,
};
use serde_json::Value;

#[test]
fn devices_are_enrolled_listed_shown_changed_and_retired() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let (enrolment, file) = site.enrol("IMEI:1", "md5", &["--name", "Front desk", "--owner", "anna"]);
    let _ = site.enrol("IMEI:2", "basic", &[]);

    assert!(enrolment.server_uri.contains("/dm/1/") && enrolment.password.is_some());
    assert_eq!(mode(&file), 0o600);
    assert_eq!(ctl.ok(&["device", "list"]).as_array().map(Vec::len), Some(2));
    assert_eq!(ctl.ok(&["device", "list", "--limit", "1"]).as_array().map(Vec::len), Some(1));
    for filter in [["-q", "Front"], ["--owner", "anna"]] {
        assert_eq!(
            ctl.ok(&[&["device", "list"], &filter[..]].concat())[0]["device_id"],
            "IMEI:1",
            "{filter:?}"
        );
    }
    for name in ["IMEI:1", "Front desk", &enrolment.enrolment.to_string()] {
        assert_eq!(ctl.ok(&["device", "show", name])["owner"], "anna", "{name}");
    }
    assert_eq!(ctl.ok(&["device", "update", "IMEI:1", "--owner", "bert"])["owner"], "bert");
    assert_eq!(ctl.ok(&["device", "retire", "IMEI:1", "--reason", "lost"])["state"], "retired");
    assert_eq!(ctl.ok(&["device", "list"]).as_array().map(Vec::len), Some(1));
    assert_eq!(ctl.ok(&["device", "list", "--state", "retired"])[0]["device_id"], "IMEI:1");
}

#[test]
fn a_retired_device_is_let_in_no_more_and_its_queue_is_closed() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);
    assert!(client.check_in("1").expect("a session").authenticated);

    let _ = site.ctl().ok(&["device", "retire", "IMEI:1"]);

    let refused = || client.check_in("2").ok().filter(|check_in| !check_in.authenticated);
    let _ = wait::until("the retired device to be refused", READY, refused, || site.logs());
    let order = site.ctl().run(&["device", "command", "IMEI:1", "get", "./DevDetail/SwV"]);
    assert_eq!(order.exit, 1, "{order:?}");
}

#[test]
fn a_name_that_fits_two_devices_is_refused_with_the_list() {
    let site = Site::start(&Plan::default());
    let (one, _) = site.enrol("IMEI:1", "basic", &["--name", "Tablet"]);
    let (two, _) = site.enrol("IMEI:2", "basic", &["--name", "Tablet"]);

    let ran = site.ctl().run(&["device", "show", "Tablet"]);

    assert_eq!((ran.exit, ran.slug().as_str()), (1, "ambiguous-device"));
    for id in [one.enrolment, two.enrolment] {
        assert!(ran.err.contains(&id.to_string()), "{}", ran.err);
    }
}

#[test]
fn commands_are_taken_from_a_file_of_syncml() {
    let site = Site::start(&Plan::default());
    let _ = site.enrol("IMEI:1", "basic", &[]);
    let file = site.path("commands.xml");
    let commands = "<Replace><CmdID>1</CmdID><Item><Target><LocURI>./A</LocURI></Target><Data>1</Data></Item></Replace>\
                    <Get><CmdID>2</CmdID><Item><Target><LocURI>./B</LocURI></Target></Item></Get>";
    std::fs::write(&file, commands).expect("a file in the site's folder");

    let queued = site.ctl().ok(&["device", "command", "IMEI:1", "--file", &file.to_string_lossy()]);
    std::fs::write(&file, "<Replace><CmdID>1</CmdID>").expect("a file in the site's folder");
    let broken = site.ctl().run(&["device", "command", "IMEI:1", "--file", &file.to_string_lossy()]);

    assert_eq!(queued["commands"].as_array().map(Vec::len), Some(2), "{queued:#}");
    assert_eq!((broken.exit, broken.slug().as_str()), (2, "invalid-syncml"), "{broken:?}");
}

#[test]
fn a_destructive_node_is_refused_as_a_raw_command() {
    let site = Site::start(&Plan::default());
    let _ = site.enrol("IMEI:1", "basic", &[]);

    for uri in ["./LAWMO/Operations/FactoryReset", "./Vendor/MSFT/RemoteWipe/doWipe"] {
        let ran = site.ctl().run(&["device", "command", "IMEI:1", "exec", uri]);
        assert_eq!(ran.slug(), "reserved-uri", "{uri}: {ran:?}");
    }
}

#[test]
fn groups_nest_without_cycles() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let _ = site.enrol("IMEI:1", "basic", &[]);
    for group in ["all", "desk"] {
        let _ = ctl.ok(&["group", "create", group]);
    }

    let _ = ctl.ok(&["group", "add", "desk", "IMEI:1"]);
    let _ = ctl.ok(&["group", "add", "all", "--group-member", "desk"]);
    let cycle = ctl.run(&["group", "add", "desk", "--group-member", "all"]);

    assert_eq!(cycle.slug(), "group-cycle");
    assert_eq!(ctl.ok(&["group", "show", "desk"])["devices"][0]["device_id"], "IMEI:1");
    assert_eq!(ctl.ok(&["device", "list", "--group", "all"])[0]["device_id"], "IMEI:1");
    let _ = ctl.ok(&["group", "remove", "desk", "IMEI:1"]);
    assert_eq!(ctl.ok(&["device", "list", "--group", "all"]), Value::Array(Vec::new()));
    let _ = ctl.ok(&["group", "delete", "desk"]);
    assert_eq!(ctl.run(&["group", "show", "desk"]).slug(), "not-found");
}

#[test]
fn a_token_may_what_its_admin_s_roles_give_and_its_scope_leaves() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let _ = site.enrol("IMEI:1", "basic", &[]);
    let _ = ctl.ok(&["admin", "create", "helga", "--role", "helpdesk"]);
    let helga = with_token(&site, "helga", &[]);

    assert_eq!(helga.run(&["device", "list"]).exit, 0);
    let denied = helga.run(&["device", "retire", "IMEI:1"]);
    assert_eq!((denied.exit, denied.slug().as_str()), (4, "forbidden"));

    let _ = ctl.ok(&["role", "give", "helga", "device-admin"]);
    assert_eq!(helga.run(&["device", "update", "IMEI:1", "--name", "x"]).exit, 0, "a role holds at once");
    let narrow = with_token(&site, "helga", &["--scope", "status.read"]);
    assert_eq!(narrow.run(&["device", "list"]).exit, 4, "a scope narrows");
    let _ = ctl.ok(&["role", "take", "helga", "device-admin"]);
    assert_eq!(
        helga.run(&["device", "update", "IMEI:1", "--name", "y"]).exit,
        4,
        "a role that was taken is gone"
    );
}

#[test]
fn a_token_that_is_revoked_or_unknown_is_denied() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let _ = ctl.ok(&["admin", "create", "helga", "--role", "helpdesk"]);
    let helga = with_token(&site, "helga", &[]);
    assert_eq!(helga.run(&["device", "list"]).exit, 0);

    let tokens = ctl.ok(&["token", "list"]);
    let id = tokens.as_array().into_iter().flatten().find(|token| token["admin_name"] == "helga");
    let _ = ctl.ok(&[
        "token",
        "revoke",
        id.and_then(|token| token["id"].as_str()).expect("helga's token is listed"),
    ]);
    let mut unknown = ctl.clone();
    unknown.token_file = site.path("unknown.token");
    std::fs::write(&unknown.token_file, "pst_unknown\n").expect("a file in the site's folder");

    for denied in [helga.run(&["device", "list"]), unknown.run(&["device", "list"])] {
        assert_eq!((denied.exit, denied.slug().as_str()), (4, "unauthenticated"), "{denied:?}");
    }
}

#[test]
fn nobody_changes_their_own_roles() {
    let site = Site::start(&Plan::default());
    let me = site.ctl().ok(&["admin", "me"]);
    let own = me["admin"]["id"].as_str().expect("an admin has an id").to_owned();

    let ran = site.ctl().run(&["role", "give", &own, "auditor"]);

    assert_eq!((ran.exit, ran.slug().as_str()), (4, "own-roles"), "{ran:?}");
}

#[test]
fn the_audit_log_tells_who_did_what_and_a_changed_anchor_is_found_out() {
    let site = Site::start(&Plan { core_settings: &[("POSTERN_AUDIT_EVERY_S", "1")], ..Plan::default() });
    let ctl = site.ctl();
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let _ = ctl.ok(&["device", "retire", "IMEI:1", "--reason", "lost in a taxi"]);

    let rows = ctl.ok(&["audit", "list", "--object", &format!("device:{}", enrolment.enrolment)]);
    assert!(rows[0]["action"].as_str().is_some_and(|action| action.contains("retire")), "{rows:#}");
    assert!(rows[0]["detail"].as_str().is_some_and(|detail| detail.contains("lost in a taxi")), "{rows:#}");
    assert_eq!(ctl.run(&["audit", "verify"]).exit, 0);
    let anchor = site.path("state/audit-heads.jsonl");
    let last = rows[0]["seq"].as_u64().expect("a row has a place");
    let signed = || {
        let heads = std::fs::read_to_string(&anchor).unwrap_or_default();
        let newest: Value = serde_json::from_str(heads.lines().last()?).ok()?;
        (newest["seq"].as_u64()? >= last).then_some(heads)
    };
    let heads = wait::until("the head to be signed", READY, signed, || site.logs());

    let held = ctl.run(&["audit", "verify", "--anchor", &anchor.to_string_lossy()]);
    assert_eq!(held.exit, 0, "{held:?}");
    let forged = site.path("forged.jsonl");
    let hash = ctl.ok(&["audit", "head"])["hash"].as_str().expect("a head has a hash").to_owned();
    std::fs::write(&forged, heads.replace(&hash, &"0".repeat(hash.len())))
        .expect("a file in the site's folder");
    let broken = ctl.run(&["audit", "verify", "--anchor", &forged.to_string_lossy()]);
    assert_eq!(broken.exit, 1, "{broken:?}");
    assert_eq!(broken.json()["ok"], false);
}

#[test]
fn status_is_healthy_then_degraded_then_unreachable() {
    let mut site = Site::start(&Plan::default());
    let healthy = || Some(site.ctl().run(&["status"])).filter(|ran| ran.exit == 0);
    let ran = wait::until("a healthy status", READY, healthy, || site.logs());
    let status = ran.json();
    assert_eq!(status["gateways"][0]["state"], "connected", "{status:#}");
    assert_eq!(status["database"]["kind"], "sqlite");
    assert!(status["certificates"].as_array().is_some_and(|list| !list.is_empty()));

    site.kill_gateway();
    let degraded = || Some(site.ctl().run(&["status"])).filter(|ran| ran.exit == 1);
    let _ = wait::until("a degraded status", READY, degraded, || site.logs());
    site.stop_core();

    assert_eq!(site.ctl().run(&["status"]).exit, 3);
}

#[test]
fn a_gateway_tells_why_a_device_was_refused() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = site.client(enrolment);
    let answer = client
        .connect()
        .and_then(|mut tls| tls.post(&client.path(), &[("Content-Type", "text/plain")], b"x"));
    assert_eq!(answer.expect("an answer").status, 415);

    let told = || {
        let why = site.ctl().ok(&["why", "IMEI:1"]);
        why["refusals"].as_array().is_some_and(|list| !list.is_empty()).then_some(why)
    };
    let why = wait::until("the refusal to be told", READY, told, || site.logs());

    assert!(why["refusals"][0]["by"].as_str().is_some_and(|by| by.contains(GATEWAY)), "{why:#}");
}

#[test]
fn a_gateway_s_settings_change_under_if_match_and_come_into_force() {
    let site = Site::start(&Plan::default());
    let ctl = site.ctl();
    let settings = ctl.ok(&["gateway", "settings", "get", GATEWAY]);
    let mut document = settings["document"].clone();
    document["retry_after_s"] = Value::from(77);
    let file = site.path("settings.json");
    std::fs::write(&file, document.to_string()).expect("a file in the site's folder");

    let file = file.to_string_lossy();
    let _ = ctl.ok(&["gateway", "settings", "set", GATEWAY, "--file", &file, "--reason", "slower"]);

    let in_force =
        || Some(ctl.ok(&["gateway", "settings", "get", GATEWAY])).filter(|now| now["state"] == "in-force");
    let now = wait::until("the settings to be in force", READY, in_force, || site.logs());
    assert_eq!(now["document"]["retry_after_s"], 77);
    assert!(now["version"].as_u64() > settings["version"].as_u64());
}

/// posternctl with a new token of this admin.
fn with_token(site: &Site, admin: &str, more: &[&str]) -> Ctl {
    let file = site.path(&format!("{admin}-{}.token", more.len()));
    let out = file.to_string_lossy().into_owned();
    let _ = site.ctl().ok(&[&["token", "create", "test", "--admin", admin, "--out", &out], more].concat());
    Ctl { token_file: file, ..site.ctl() }
}

fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().expect("the file is there").permissions().mode() & 0o777
}
