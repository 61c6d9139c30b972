//! Gateways in operation: each command of docs/GATEWAY.md on real binaries. Joining, settings good and bad, roll-outs, cut
//! links, renewal, retirement, replacement.
#![forbid(unsafe_code)]

use std::os::unix::fs::PermissionsExt as _;

use postern_tests::{
    dm_client::DmClient,
    fleet::Joiner,
    proxy::Faults,
    site::{GATEWAY, Plan, READY, Site},
    wait,
};
use serde_json::Value;

fn joined(site: &Site, name: &str) -> Joiner {
    let mut gateway = Joiner::add(site, name, &["--names", "localhost"]);
    gateway.join();
    gateway.wait_ready(site);
    gateway
}

fn set(site: &Site, name: &str, values: &[&str]) -> Value {
    let values: Vec<&str> = values.iter().flat_map(|value| ["--value", value]).collect();
    site.ctl().ok(&[&["gateway", "settings", "set", name][..], &values].concat())
}

fn settings_until(site: &Site, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let ask = || Some(site.ctl().ok(&["gateway", "settings", "get", name])).filter(|now| holds(now));
    wait::until(what, READY, ask, || site.logs())
}

fn is_good(settings: &Value) -> bool {
    settings["version"] == settings["last_good"] && settings["state"] == "in-force"
}

/// The DER of the certificate that the device port shows.
fn shown_certificate(site: &Site, gateway: &Joiner) -> Option<Vec<u8>> {
    certificate_by(&site.ca_pem(), gateway)
}

/// The same for a client that trusts this CA.
fn certificate_by(ca_pem: &str, gateway: &Joiner) -> Option<Vec<u8>> {
    let config = postern_tests::raw::client_config(ca_pem, None);
    let stream = std::net::TcpStream::connect(gateway.device_address()).ok()?;
    let name = rustls_pki_types::ServerName::try_from("localhost").ok()?;
    let mut session = rustls::ClientConnection::new(std::sync::Arc::new(config), name).ok()?;
    let mut stream = stream;
    while session.is_handshaking() {
        session.complete_io(&mut stream).ok()?;
    }
    session.peer_certificates()?.first().map(|der| der.to_vec())
}

#[test]
fn a_gateway_joins_by_its_bundle_and_serves_without_a_configuration_or_a_restart() {
    let site = Site::start(&Plan::default());
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let mut gateway = Joiner::add(&site, "branch", &["--names", "localhost", "--reason", "a branch office"]);
    assert_eq!(gateway.bundle.metadata().expect("the bundle").permissions().mode() & 0o777, 0o600);
    assert_eq!(gateway.show(&site)["state"], "joining");
    let again =
        site.ctl().run(&["gateway", "add", "branch", "--address", "127.0.0.1:1", "-o", "/nowhere/else"]);
    assert_eq!((again.exit, again.slug().as_str()), (1, "already-exists"), "{again:?}");

    gateway.join();
    gateway.wait_ready(&site);

    let connected = || Some(gateway.show(&site)).filter(|shown| shown["state"] == "connected");
    let shown = wait::until("it to be shown", READY, connected, || gateway.logs(&site));
    assert_eq!(shown["origin"], "joined");
    let client = DmClient::new(enrolment, gateway.device_address());
    let known = || client.check_in("1").ok().filter(|check_in| check_in.authenticated);
    let _ = wait::until("a check-in through the new gateway", READY, known, || gateway.logs(&site));
    let log = site.read("core.log") + &gateway.log();
    let bundle: Value =
        serde_json::from_str(&std::fs::read_to_string(&gateway.bundle).expect("the bundle")).expect("JSON");
    let secret = bundle["secret"].as_str().expect("a secret");
    assert!(secret.len() >= 43 && !log.contains(secret), "the secret is in a log");
    // The bundle is used up: another machine that has it gets nothing.
    let mut thief = gateway.on_another_machine(&site);
    gateway.stop();
    thief.join();
    assert!(!wait::holds_within(std::time::Duration::from_secs(3), || thief.is_ready()));
    assert!(!thief.state.join("gateway.toml").exists());
    thief.kill();
    // The folder is the gateway: it starts again from it.
    gateway.run();
    gateway.wait_ready(&site);
}

#[test]
fn a_join_is_repeated_whatever_dies_until_it_has_succeeded() {
    let mut site = Site::start(&Plan::default());
    let mut gateway = Joiner::add(&site, "branch", &["--names", "localhost"]);
    for _ in 0..3 {
        gateway.join();
        // Somewhere in the exchange, or before it, or behind it.
        let moved = || gateway.proxy.connections() > 0 || gateway.is_ready();
        assert!(wait::holds_within(READY, moved));
        gateway.kill();
        site.kill_core();
        site.start_core();
        site.wait_ready();
    }
    gateway.join();
    gateway.wait_ready(&site);
    assert!(gateway.state.join("gateway.toml").exists());
    assert_eq!(gateway.show(&site)["state"], "connected");
}

#[test]
fn a_wrong_secret_is_refused_and_counted_and_an_expired_bundle_is_none() {
    let site = Site::start(&Plan::default());
    let mut gateway = Joiner::add(&site, "branch", &["--names", "localhost"]);
    let good = std::fs::read_to_string(&gateway.bundle).expect("the bundle");
    let mut bundle: Value = serde_json::from_str(&good).expect("JSON");
    bundle["secret"] = Value::from("A".repeat(43));
    std::fs::write(&gateway.bundle, bundle.to_string()).expect("written");
    gateway.join();
    let refused = || gateway.log().contains("wrong-secret").then_some(());
    wait::until("the refusal", READY, refused, || gateway.logs(&site));
    let audited = || {
        let entries = site.ctl().ok(&["audit", "list", "--object", "gateway:branch"]);
        entries.to_string().contains("refused").then_some(())
    };
    wait::until("the refusal in the audit log", READY, audited, || site.logs());
    assert!(!gateway.is_ready() && !gateway.state.join("gateway.toml").exists());
    gateway.kill();

    // The right one still joins, and the folder's keys are used again.
    std::fs::write(&gateway.bundle, good).expect("written");
    gateway.join();
    gateway.wait_ready(&site);

    let mut late = Joiner::add(&site, "late", &["--names", "localhost"]);
    let text = std::fs::read_to_string(&late.bundle).expect("the bundle");
    let mut bundle: Value = serde_json::from_str(&text).expect("JSON");
    bundle["expires_at"] = Value::from(1_000);
    std::fs::write(&late.bundle, bundle.to_string()).expect("written");
    late.join();
    let ended = || late.log().contains("has expired").then_some(());
    wait::until("the end of an expired bundle", READY, ended, || late.log());
}

#[test]
fn settings_are_given_by_key_rejected_ones_go_back_by_themselves_and_say_why() {
    let site = Site::start(&Plan::default());
    let gateway = joined(&site, "branch");
    let _ = set(&site, "branch", &["trial_s=2", "retry_after_s=77"]);
    let good = settings_until(&site, "branch", "the settings to prove good", is_good);
    let value = |settings: &Value, key: &str| {
        let values = settings["values"].as_array().cloned().unwrap_or_default();
        values.into_iter().find(|value| value["key"] == key).unwrap_or_default()
    };
    assert_eq!(
        (value(&good, "retry_after_s")["value"].as_u64(), value(&good, "retry_after_s")["from"].as_str()),
        (Some(77), Some("gateway"))
    );
    assert_eq!(value(&good, "keep_alive_s")["from"], "default");

    // An address that cannot be listened at: 192.0.2.0/24 is nobody's (RFC 5737).
    let bad = set(&site, "branch", &["device_listen=[\"192.0.2.1:443\"]"]);
    let fallen =
        settings_until(&site, "branch", "the settings to be rejected", |now| !now["fallen"].is_null());
    assert_eq!(fallen["fallen"]["version"], bad["version"]);
    assert!(
        fallen["fallen"]["because"].as_str().is_some_and(|why| why.contains("192.0.2.1:443")),
        "{fallen:#}"
    );
    assert_eq!(fallen["version"], good["version"], "the last good one is wanted again");
    assert!(gateway.is_ready(), "and in force");

    // A value outside its limits never leaves the core.
    let refused = site.ctl().run(&["gateway", "settings", "set", "branch", "--value", "retry_after_s=0"]);
    assert_eq!((refused.exit, refused.slug().as_str()), (2, "invalid-request"), "{refused:?}");
    assert!(refused.err.contains("retry_after_s"));

    // Another port, tried out beside the old one, then alone.
    let [port] = postern_tests::process::free_ports();
    let _ = set(&site, "branch", &[&format!("device_listen=[\"127.0.0.1:{port}\"]")]);
    let _ = settings_until(&site, "branch", "the new address to prove good", is_good);
    let closed = || std::net::TcpStream::connect(gateway.device_address()).is_err().then_some(());
    wait::until("the old address to be closed", READY, closed, || gateway.logs(&site));
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("the new address is open");

    let diff = site.ctl().ok(&["gateway", "settings", "diff", "branch"]);
    assert_eq!(diff["changes"][0]["key"], "device_listen", "{diff:#}");
    let _ = site.ctl().ok(&["gateway", "settings", "roll-back", "branch", "--reason", "the port was wrong"]);
    let back = settings_until(&site, "branch", "the roll-back to prove good", is_good);
    assert_eq!(back["document"]["retry_after_s"], 77);
    std::net::TcpStream::connect(gateway.device_address()).expect("the first address is open again");
    let history = site.ctl().ok(&["gateway", "settings", "history", "branch"]);
    let states: Vec<_> = history.as_array().into_iter().flatten().map(|row| row["state"].clone()).collect();
    assert!(states.contains(&Value::from("rejected")) && states.len() >= 4, "{history:#}");
    for row in history.as_array().into_iter().flatten() {
        assert!(row["pushed_at"].is_string() && row["answered_at"].is_string(), "{row:#}");
    }
}

#[test]
fn settings_under_which_the_link_is_lost_go_back_by_themselves() {
    let site = Site::start(&Plan::default());
    let gateway = joined(&site, "branch");
    let _ = set(&site, "branch", &["trial_s=2", "retry_after_s=77"]);
    let good = settings_until(&site, "branch", "the settings to prove good", is_good);
    let _ = set(&site, "branch", &["retry_after_s=78", "trial_s=5"]);
    let applied =
        || (gateway.metric("postern_gateway_settings_version") > good["version"].as_f64()).then_some(());
    wait::until("the new settings to be on trial", READY, applied, || gateway.logs(&site));

    gateway.proxy.set(Faults { refuse: true, ..Faults::default() });
    gateway.proxy.cut_all();
    let back =
        || (gateway.metric("postern_gateway_settings_version") == good["version"].as_f64()).then_some(());
    wait::until("the gateway to go back by itself", READY, back, || gateway.logs(&site));
    gateway.proxy.set(Faults::default());

    let fallen = settings_until(&site, "branch", "the core to know", |now| !now["fallen"].is_null());
    assert!(
        fallen["fallen"]["because"].as_str().is_some_and(|why| why.contains("out of reach")),
        "{fallen:#}"
    );
    gateway.wait_ready(&site);
}

#[test]
fn a_roll_out_tries_one_gateway_first_and_stops_on_error() {
    let mut site = Site::start(&Plan::default());
    let (one, two) = (joined(&site, "branch-1"), joined(&site, "branch-2"));
    let all = |values: &[&str]| {
        let values: Vec<&str> = values.iter().flat_map(|value| ["--value", value]).collect();
        site.ctl().ok(&[&["gateway", "settings", "set", "--all"][..], &values].concat())
    };
    let _ = all(&["trial_s=2", "retry_after_s=91"]);
    let state = |wanted: &'static str| {
        let ctl = site.ctl();
        move || {
            let now = ctl.run(&["gateway", "settings", "get", "--all"]).json();
            (now["state"] == wanted).then_some(now)
        }
    };
    let done = wait::until("the roll-out to end", READY, state("in-force"), || site.logs());
    assert_eq!(done["steps"].as_array().map(Vec::len), Some(3), "{done:#}");
    for gateway in [&one.name, &two.name, &GATEWAY.to_owned()] {
        let now =
            settings_until(&site, gateway, "each to have it", |now| now["document"]["retry_after_s"] == 91);
        assert_eq!(now["own"], serde_json::json!({}), "what is for all is not set for {gateway}");
    }

    // One that no gateway can do: the first refuses it, the others never see it.
    let _ = all(&["device_listen=[\"192.0.2.1:443\"]"]);
    let stopped = wait::until("the roll-out to stop", READY, state("stopped"), || site.logs());
    assert!(stopped["because"].as_str().is_some_and(|why| why.contains("192.0.2.1:443")), "{stopped:#}");
    let states: Vec<_> =
        stopped["steps"].as_array().into_iter().flatten().map(|step| step["state"].clone()).collect();
    assert_eq!(states, ["failed", "waiting", "waiting"], "{stopped:#}");

    // A core that is killed in the middle goes on where it was. Its absence is shorter than the trial: a longer one would be a
    // reason to go back.
    let _ = all(&["retry_after_s=92", "trial_s=15"]);
    site.kill_core();
    site.start_core();
    site.wait_ready();
    let done = || {
        let now = site.ctl().run(&["gateway", "settings", "get", "--all"]).json();
        (now["state"] == "in-force" && now["version"] == now["in_force"]).then_some(now)
    };
    let why = || {
        let now = site.ctl().run(&["gateway", "settings", "get", "--all"]).json();
        format!("{now:#}\n{}\n{}", one.logs(&site), two.logs(&site))
    };
    let _ = wait::until("the roll-out to end after the core's death", 4 * READY, done, why);
    for gateway in [&one.name, &two.name] {
        let _ =
            settings_until(&site, gateway, "each to have it", |now| now["document"]["retry_after_s"] == 92);
    }
}

#[test]
fn a_device_that_is_blocked_while_a_gateway_is_cut_off_never_gets_through_it() {
    let site = Site::start(&Plan::default());
    let gateway = joined(&site, "branch");
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    let client = DmClient::new(enrolment, gateway.device_address());
    let known = || client.check_in("1").ok().filter(|check_in| check_in.authenticated);
    let _ = wait::until("a check-in through the gateway", READY, known, || gateway.logs(&site));

    gateway.proxy.set(Faults { refuse: true, ..Faults::default() });
    gateway.proxy.cut_all();
    let lost = || (!gateway.is_ready()).then_some(());
    wait::until("the gateway to notice", READY, lost, || gateway.logs(&site));
    let _ = site.ctl().ok(&["device", "retire", "IMEI:1", "--reason", "stolen"]);
    let lists = site.ctl().ok(&["gateway", "lists", "--wait", "10"]);
    let state = |name: &str| {
        let all = lists["gateways"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|state| state["gateway"] == name).unwrap_or_default()
    };
    assert_eq!(
        (state(GATEWAY)["lag"].as_u64(), state("branch")["connected"].as_bool()),
        (Some(0), Some(false))
    );
    assert!(state("branch")["lag"].as_u64() > Some(0), "{lists:#}");
    assert!(client.check_in("2").is_ok_and(|check_in| !check_in.authenticated), "cut off, it serves nobody");

    gateway.proxy.set(Faults::default());
    // From the first moment on, in every answer: not let in.
    let healed = || {
        let check_in = client.check_in("3").expect("an answer");
        assert!(!check_in.authenticated, "a blocked device got through\n{}", gateway.logs(&site));
        gateway.is_ready().then_some(())
    };
    wait::until("the gateway to be back", READY, healed, || gateway.logs(&site));
    assert!(client.check_in("4").is_ok_and(|check_in| !check_in.authenticated));
    let lists = site.ctl().ok(&["gateway", "lists", "--wait", "10"]);
    assert_eq!(lists["acknowledged_by_all"], true, "{lists:#}");
}

#[test]
fn certificates_are_renewed_over_new_keys_while_devices_are_served() {
    let site = Site::start(&Plan::default());
    let gateway = joined(&site, "branch");
    let first = shown_certificate(&site, &gateway).expect("a handshake");
    let serials = || {
        let shown = gateway.show(&site);
        let all = shown["heartbeat"]["certificates"].as_array().cloned().unwrap_or_default();
        all.into_iter().map(|one| one["serial"].clone()).collect::<Vec<_>>()
    };
    let before = wait::until(
        "a heartbeat",
        READY,
        || Some(serials()).filter(|all| all.len() == 2),
        || gateway.logs(&site),
    );
    for port in ["link", "server"] {
        let _ = site.ctl().ok(&["gateway", "certificate", "renew", "branch", port]);
    }
    let renewed = || {
        let now = serials();
        (now.len() == 2 && now[0] != before[0] && now[1] != before[1]).then_some(())
    };
    wait::until("both certificates to be new", READY, renewed, || gateway.logs(&site));
    assert_ne!(shown_certificate(&site, &gateway).expect("a handshake"), first);
    assert!(gateway.is_ready());
    // New links use the new one.
    gateway.proxy.cut_all();
    gateway.wait_ready(&site);
    let connected = || Some(gateway.show(&site)).filter(|shown| shown["state"] == "connected");
    let _ = wait::until("it to be connected again", READY, connected, || gateway.logs(&site));
}

#[test]
fn an_admin_can_have_the_device_port_s_certificate_from_another_ca() {
    let site = Site::start(&Plan::default());
    let gateway = joined(&site, "branch");
    let _ = set(&site, "branch", &["certificate=external", "trial_s=1"]);
    let _ = settings_until(&site, "branch", "the settings to prove good", is_good);
    let request = site.ctl().ok(&["gateway", "certificate", "request", "branch"]);
    let pem = request["request"].as_str().expect("a request");

    let key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&key).expect("signed").pem();
    let issuer = rcgen::Issuer::new(ca, key);
    let mut asked = rcgen::CertificateSigningRequestParams::from_pem(pem).expect("a request");
    asked.params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().expect("a name"))];
    let chain = asked.signed_by(&issuer).expect("signed");
    let file = site.path("chain.pem");
    std::fs::write(&file, chain.pem()).expect("written");
    let file = file.to_string_lossy().into_owned();

    let wrong = site.ctl().run(&[
        "gateway",
        "certificate",
        "import",
        "branch",
        &site.path("state/ca.pem").to_string_lossy(),
    ]);
    assert_eq!(wrong.exit, 2, "a chain over another key: {wrong:?}");
    let _ = site.ctl().ok(&["gateway", "certificate", "import", "branch", &file]);
    let told = || gateway.log().contains("certificate renewed").then_some(());
    wait::until("the gateway to use it", READY, told, || gateway.logs(&site));
    let told = || {
        let shown = gateway.show(&site);
        let all = shown["heartbeat"]["certificates"].as_array().cloned().unwrap_or_default();
        let chain = site.ctl().ok(&["gateway", "certificate", "list", "branch"]);
        all.iter().any(|one| one["port"] == "server" && one["serial"] == chain[0]["serial"]).then_some(())
    };
    wait::until("the heartbeat to name it", READY, told, || gateway.logs(&site));
    // Clients of the site's CA do not know this one; those of the other do.
    assert!(shown_certificate(&site, &gateway).is_none());
    assert_eq!(certificate_by(&ca_pem, &gateway), Some(chain.der().to_vec()));
}

#[test]
fn a_retired_gateway_puts_its_things_away_and_a_lost_one_is_replaced() {
    let site = Site::start(&Plan::default());
    let mut gateway = joined(&site, "branch");
    let _ = set(&site, "branch", &["trial_s=1", "retry_after_s=93"]);
    let _ = settings_until(&site, "branch", "the settings to prove good", is_good);

    let retired = site.ctl().ok(&["gateway", "retire", "branch", "--reason", "the office closes"]);
    assert_eq!(
        (retired["put_away"].as_bool(), retired["revoked"].as_array().map(Vec::len)),
        (Some(true), Some(2)),
        "{retired:#}"
    );
    let ended = || gateway.process.as_mut().is_some_and(|process| !process.is_running()).then_some(());
    wait::until("the gateway to end", READY, ended, String::new);
    assert!(!gateway.state.join("link.pem").exists() && !gateway.state.join("server.pem").exists());
    gateway.run();
    let refuses = || gateway.log().contains("was retired by its core").then_some(());
    wait::until("it to refuse to start", READY, refuses, || gateway.log());
    assert_eq!(gateway.show(&site)["state"], "retired");
    assert_eq!(site.ctl().ok(&["gateway", "list"]).as_array().map(Vec::len), Some(1));

    // The name can be used again, on the same machine or another; what is set for the name stays.
    gateway.make_bundle(&site, &["--names", "localhost"]);
    gateway.join();
    gateway.wait_ready(&site);
    let again = settings_until(&site, "branch", "its settings to be as before", is_good);
    assert_eq!(again["document"]["retry_after_s"], 93);

    // Lost: the machine is gone, and what it had is worth nothing from now on.
    gateway.kill();
    let old = gateway.on_another_machine(&site);
    std::fs::rename(&gateway.state, &old.state).expect("moved away");
    gateway.make_bundle(&site, &["--names", "localhost", "--replace", "--reason", "the machine burnt down"]);
    gateway.join();
    gateway.wait_ready(&site);
    gateway.stop();
    let mut old = old;
    old.run();
    assert!(
        !wait::holds_within(std::time::Duration::from_secs(3), || old.is_ready()),
        "a revoked certificate"
    );
    let why =
        || gateway.show(&site)["error"].as_str().is_some_and(|why| why.contains("not good")).then_some(());
    wait::until("the core to say why", READY, why, || gateway.logs(&site));
}

#[test]
fn a_lost_gateway_is_an_alarm_and_the_others_serve_on() {
    let site = Site::start(&Plan::default());
    let mut gateway = joined(&site, "branch");
    let (enrolment, _) = site.enrol("IMEI:1", "basic", &[]);
    gateway.kill();
    let client = site.client(enrolment);
    assert!(client.check_in("1").expect("a session").authenticated, "the other gateway serves");
    let alarm = || {
        let alarms = site.ctl().ok(&["alarm", "list"]);
        let found = alarms
            .as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .find(|one| one["kind"] == "gateway-lost");
        found.filter(|one| one["subject"] == "gateway:branch")
    };
    let _ = wait::until("the alarm", READY, alarm, || site.logs());
    gateway.run();
    gateway.wait_ready(&site);
    let over = || alarm().is_none().then_some(());
    wait::until("the end of the alarm", READY, over, || site.logs());
}
