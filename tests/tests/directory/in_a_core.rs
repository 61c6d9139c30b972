//! A core beside a real domain controller: what posternctl says of it, who devices are, people who sign in by it, and
//! what stays in force when the controller is gone.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use postern_adapters::ldap::LdapConfig;
use postern_core::{
    Config, Core, Edge, InitOptions, NewGateway,
    config::{Database, SignIn, SignInRoles},
    init,
};
use postern_tests::{samba::Samba, wait};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "Svc-Passw0rd!1";
const NOT_IT: &str = "Not-The-One-7";
const BASE: &str = Samba::BASE;

/// A core in this process, with a state folder of its own.
pub(crate) struct Place {
    core: Option<Core>,
    config: Config,
    folder: tempfile::TempDir,
}

/// What one run of posternctl ended with.
pub(crate) struct Ran {
    pub(crate) exit: u8,
    pub(crate) out: Value,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn start(samba: &Samba, change: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let edge = Edge::system();
        let state = folder.path().join("state");
        let made = init::init(&options(state.clone()), edge.clock.as_ref(), edge.random.as_ref());
        let mut config = Config::load(&made.expect("a state folder").config, []).expect("its configuration");
        std::fs::copy(samba.ca(), state.join("dc-ca.pem")).expect("the authority");
        std::fs::write(state.join("svc.password"), PASSWORD).expect("the password");
        config.directory = Some(LdapConfig {
            look_s: 5,
            ca: "dc-ca.pem".into(),
            password_file: "svc.password".into(),
            devices_below: Some(format!("OU=Devices,{BASE}")),
            ..super::config(&format!("ldaps://{}", samba.ldaps()))
        });
        change(&mut config);
        let mut place = Self { core: None, config, folder };
        place.begin();
        place
    }

    pub(crate) fn begin(&mut self) {
        let core = Core::start(self.config.clone(), Edge::system()).expect("the core starts");
        assert!(wait::holds_within(LIMIT, || core.is_active()), "the core is active");
        self.core = Some(core);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(core) = self.core.take() {
            core.stop();
        }
    }

    fn state(&self, name: &str) -> PathBuf {
        self.folder.path().join("state").join(name)
    }

    /// posternctl as an admin whose token is in a file of the state folder.
    pub(crate) fn ctl_as(&self, token: &str, args: &[&str]) -> Ran {
        let address = self.core.as_ref().expect("a running core").addresses().admin;
        let url = format!("https://localhost:{}", address.port());
        let (token, ca) = (self.state(token), self.state("ca.pem"));
        let mut line: Vec<OsString> =
            ["posternctl", "--output", "json", "--url", &url].iter().map(OsString::from).collect();
        line.extend(["--token-file".into(), token.into(), "--ca-file".into(), ca.into()]);
        line.extend(args.iter().map(OsString::from));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = posternctl::run(line, &mut out, &mut err) as u8;
        let out = serde_json::from_slice(&out).unwrap_or_default();
        Ran { exit, out, err: String::from_utf8_lossy(&err).into_owned() }
    }

    pub(crate) fn ctl(&self, args: &[&str]) -> Value {
        let ran = self.ctl_as("admin.token", args);
        assert_eq!(ran.exit, 0, "{args:?}: {}", ran.err);
        ran.out
    }

    /// The slug of a refusal to sign in, or nothing; the token's file is `name`.
    fn sign_in(&self, name: &str, user: &str, password: &str) -> String {
        std::fs::write(self.state("typed"), password).expect("a file");
        let typed = self.state("typed");
        let typed = typed.to_str().expect("a path");
        let ran = self.ctl_as(name, &["login", "--user", user, "--password-file", typed]);
        assert!(password.is_empty() || !ran.err.contains(password), "a password was told");
        let failure: Value = serde_json::from_str(ran.err.trim()).unwrap_or_default();
        failure["slug"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn directory(&self) -> Value {
        self.ctl_as("admin.token", &["directory", "status"]).out
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop();
    }
}

fn options(state: PathBuf) -> InitOptions {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    InitOptions {
        state,
        gateways: vec![NewGateway {
            name: "edge".into(),
            address: "127.0.0.1:1".into(),
            device_listen: free,
            link_listen: free,
            observe_listen: free,
        }],
        device_url: "https://localhost:8843".into(),
        device_names: vec!["localhost".into()],
        admin_names: vec!["localhost".into(), "127.0.0.1".into()],
        admin_listen: free,
        observe_listen: free,
        database: Database::default(),
    }
}

/// Devices' computers, people with mail addresses, admins in groups in groups.
pub(crate) fn populate(samba: &Samba) {
    let mut ldif = String::new();
    let mut add = |dn: &str, lines: &[&str]| {
        ldif += &format!("dn: {dn},{BASE}\nchangetype: add\n{}\n\n", lines.join("\n"));
    };
    for unit in ["OU=Devices", "OU=Lost,OU=Devices", "OU=People"] {
        add(unit, &["objectClass: organizationalUnit"]);
    }
    for name in ["PHONE1", "PHONE2", "PHONE3", "PHONE4"] {
        let logon = format!("sAMAccountName: {name}$");
        add(&format!("CN={name},OU=Devices"), &["objectClass: computer", &logon, "userAccountControl: 4128"]);
    }
    add(
        "CN=PHONE9,OU=People",
        &["objectClass: computer", "sAMAccountName: PHONE9$", "userAccountControl: 4128"],
    );
    samba.modify(&ldif);
    for user in ["svc-mdm", "alice", "bob", "carol", "dave", "erin"] {
        samba.tool(&["user", "create", user, PASSWORD, "--mail-address", &format!("{user}@mail.example")]);
    }
    for group in ["mdm-admins", "staff"] {
        samba.tool(&["group", "add", group]);
    }
    // Alice is an admin through a group in a group.
    samba.tool(&["group", "addmembers", "staff", "alice,carol,dave"]);
    samba.tool(&["group", "addmembers", "mdm-admins", "staff"]);
    samba.tool(&["user", "disable", "carol"]);
}

fn with_sign_in(config: &mut Config) {
    config.sign_in = Some(SignIn {
        roles: SignInRoles {
            auditor: vec![format!("CN=mdm-admins,CN=Users,{BASE}")],
            ..SignInRoles::default()
        },
        ..SignIn::default()
    });
}

#[test]
fn a_core_reads_a_real_domain_names_devices_in_it_lets_people_in_and_outlives_it() {
    let mut samba = Samba::start();
    populate(&samba);
    let mut place = Place::start(&samba, with_sign_in);
    assert!(
        wait::holds_within(LIMIT, || place.directory()["state"] == "good"),
        "the directory is read: {}",
        place.directory()
    );
    devices_and_owners_are_named_and_never_guessed(&samba, &place);
    a_certificates_dns_name_is_that_of_a_computer(&samba, &place);
    people_sign_in(&samba, &place);
    the_last_good_reading_outlives_a_restart_without_the_controller(&mut samba, &mut place);
}

fn devices_and_owners_are_named_and_never_guessed(samba: &Samba, place: &Place) {
    let enrol = |name: &str, owner: &str| {
        let id = format!("urn:test:{name}:{owner}");
        place.ctl(&[
            "device",
            "enrol",
            "--device-id",
            &id,
            "--auth",
            "md5",
            "--name",
            name,
            "--owner",
            owner,
        ]);
        id
    };
    let phone = enrol("phone1", "alice@mail.example");
    let bound = place.ctl(&["device", "binding", &phone]);
    assert_eq!(bound["computer"]["dn"], json!(format!("CN=PHONE1,OU=Devices,{BASE}")), "{bound}");
    assert_eq!(
        (&bound["computer"]["how"], &bound["user"]["how"]),
        (&json!("name"), &json!("mail")),
        "{bound}"
    );

    // Not below the container of devices; a name that two devices have; an owner who is nobody.
    let elsewhere = enrol("PHONE9", "bob");
    let bound = place.ctl(&["device", "binding", &elsewhere]);
    assert!(bound["computer"]["dn"].is_null() && bound["user"]["how"] == "logon-name", "{bound}");
    // Without case, as the directory compares names.
    let (one, two) = (enrol("PHONE2", "nobody"), enrol("Phone2", "x"));
    for twin in [&one, &two] {
        let bound = place.ctl(&["device", "binding", twin]);
        assert_eq!(bound["computer"]["reason"], "several devices have this name", "{bound}");
    }
    let unbound = place.ctl(&["directory", "bindings", "--unbound"]);
    assert_eq!(unbound.as_array().map(Vec::len), Some(3), "{unbound}");

    // Named by a person, once; it stays when the computer is moved.
    place.ctl(&["device", "bind", &one, "--computer", "PHONE2", "--user", "erin", "--reason", "seen"]);
    let twice = place.ctl_as("admin.token", &["device", "bind", &two, "--computer", "PHONE2"]);
    assert!(twice.exit == 1 && twice.err.contains("already-exists"), "{}", twice.err);
    samba.modify(&format!(
        "dn: CN=PHONE2,OU=Devices,{BASE}\nchangetype: modrdn\nnewrdn: CN=PHONE2\ndeleteoldrdn: 1\nnewsuperior: OU=Lost,OU=Devices,{BASE}\n"
    ));
    let looked = place.ctl(&["directory", "refresh", "--whole"]);
    assert_eq!(looked["look"], "whole", "{looked}");
    let bound = place.ctl(&["device", "binding", &one]);
    assert_eq!(bound["computer"]["dn"], json!(format!("CN=PHONE2,OU=Lost,OU=Devices,{BASE}")), "{bound}");
    assert_eq!(bound["user"]["how"], "explicit", "{bound}");
    let bound = place.ctl(&["device", "unbind", &one]);
    assert_ne!(bound["computer"]["how"], "explicit", "{bound}");
}

/// A computer with the DNS name that the device's certificate bears, whatever the device is called; two such devices are none.
fn a_certificates_dns_name_is_that_of_a_computer(samba: &Samba, place: &Place) {
    samba.modify(&format!(
        "dn: CN=PHONE4,OU=Devices,{BASE}\nchangetype: modify\nreplace: dNSHostName\ndNSHostName: Host4.corp.example\n"
    ));
    place.ctl(&["directory", "refresh"]);
    let csr = place.state("device.csr");
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    std::fs::write(&csr, request.pem().expect("PEM")).expect("a file");
    let csr = csr.display().to_string();
    let enrol = |id: &str, host: &str| {
        let args =
            ["device", "enrol", "--device-id", id, "--auth", "signed", "--csr", &csr, "--dns-name", host];
        place.ctl_as("admin.token", &args)
    };
    let refused = enrol("urn:test:none", "no name");
    assert!(refused.exit == 2 && refused.err.contains("/dns_name"), "{}", refused.err);
    assert_eq!(enrol("urn:test:one", "HOST4.Corp.example").exit, 0);
    let bound = place.ctl(&["device", "binding", "urn:test:one"]);
    let expected = json!({"dn": format!("CN=PHONE4,OU=Devices,{BASE}"), "how": "san"});
    assert_eq!(bound["computer"], expected, "{bound}");
    assert_eq!(enrol("urn:test:two", "host4.corp.example").exit, 0);
    for twin in ["urn:test:one", "urn:test:two"] {
        let bound = place.ctl(&["device", "binding", twin]);
        let reason = "the certificates of several devices bear this DNS name";
        assert_eq!(bound["computer"]["reason"], reason, "{bound}");
    }
}

fn people_sign_in(samba: &Samba, place: &Place) {
    // Through a group in a group, under each spelling of the name.
    for (file, user) in [("a1", "alice"), ("a2", "alice@corp.example"), ("a3", "CORP\\alice")] {
        assert_eq!(place.sign_in(file, user, PASSWORD), "", "{user}");
        let me = place.ctl_as(file, &["audit", "list"]);
        assert_eq!(me.exit, 0, "{user}: {}", me.err);
        let denied = place.ctl_as(file, &["device", "enrol", "--device-id", "urn:x", "--auth", "md5"]);
        assert_eq!(denied.exit, 4, "an auditor enrols nobody: {}", denied.err);
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(place.state("a1")).expect("the token's file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read(place.state("a1")).expect("the token's file");
    assert_eq!(place.ctl_as("a1", &["logout"]).exit, 0);
    assert!(!place.state("a1").exists());
    std::fs::write(place.state("a1-kept"), kept).expect("a file");
    assert_eq!(place.ctl_as("a1-kept", &["status"]).exit, 4, "a token that was signed out holds no more");

    // One answer for whatever is wrong: the password, the name, a disabled account, no role.
    for (user, password) in
        [("alice", NOT_IT), ("nobody", PASSWORD), ("carol", PASSWORD), ("bob", PASSWORD), ("alice", "")]
    {
        let slug = if password.is_empty() { "file" } else { "unauthenticated" };
        assert_eq!(place.sign_in("no", user, password), slug, "{user}");
    }
    assert!(!place.state("no").exists());
    let audit = place.ctl_as("a2", &["audit", "list"]).out.to_string();
    for reason in ["wrong name or password", "it is disabled", "no group of this person gives a role"] {
        assert!(audit.contains(reason), "{reason}: {audit}");
    }
    assert!(!audit.contains(PASSWORD));

    // Before the domain would lock the person out, it is not asked any more.
    samba.tool(&["domain", "passwordsettings", "set", "--account-lockout-threshold=5"]);
    let slugs: Vec<String> = (0..5).map(|_| place.sign_in("no", "dave", NOT_IT)).collect();
    assert_eq!(slugs.iter().filter(|slug| *slug == "unauthenticated").count(), 3, "{slugs:?}");
    assert_eq!(slugs.last().map(String::as_str), Some("rate-limited"), "{slugs:?}");
    let dave =
        samba.ldif(Samba::ADMINISTRATOR, Samba::ADMINISTRATOR_PASSWORD, &format!("CN=dave,CN=Users,{BASE}"));
    assert!(
        String::from_utf8_lossy(&dave).contains("badPwdCount: 3"),
        "three wrong passwords came to the controller"
    );

    // One that is locked out all the same is told nothing else.
    samba.tool(&["group", "addmembers", "staff", "erin"]);
    for _ in 0..6 {
        assert!(!samba.is_let_in("erin@corp.example", NOT_IT));
    }
    assert!(!samba.is_let_in("erin@corp.example", PASSWORD), "the controller locked erin out");
    assert_eq!(place.sign_in("no", "erin", PASSWORD), "unauthenticated");
}

fn the_last_good_reading_outlives_a_restart_without_the_controller(samba: &mut Samba, place: &mut Place) {
    let before = place.ctl(&["directory", "refresh", "--whole"]);
    samba.stop();
    let down = place.ctl_as("admin.token", &["directory", "refresh"]);
    assert_eq!((down.exit, &down.out["look"]), (1, &json!("failed")), "{}", down.err);
    assert_eq!(down.out["directory"]["state"], "stale", "{}", down.out);

    place.stop();
    place.begin();
    let state = place.directory();
    assert_eq!(state["restored"], true, "{state}");
    assert_eq!(state["entries"], before["directory"]["entries"], "{state}");
    let bound = place.ctl(&["device", "binding", "phone1"]);
    assert_eq!(bound["computer"]["how"], "name", "{bound}");
    for _ in 0..3 {
        let _ = place.ctl_as("admin.token", &["directory", "refresh"]);
    }
    let alarms = place.ctl(&["alarm", "list"]).to_string();
    assert!(alarms.contains("directory-stale") && alarms.contains("what was read at"), "{alarms}");
    assert_eq!(place.sign_in("no", "alice", PASSWORD), "unavailable", "a local token works meanwhile");
    assert_eq!(place.ctl_as("admin.token", &["device", "list"]).exit, 0);
    let doctor = place.ctl_as("admin.token", &["doctor"]).out.to_string();
    assert!(doctor.contains("is in force"), "{doctor}");
}

#[test]
fn an_account_that_is_refused_is_said_at_once_and_the_core_runs() {
    let samba = Samba::start();
    populate(&samba);
    let place = Place::start(&samba, |config| {
        if let Some(directory) = &mut config.directory {
            directory.account = "carol@corp.example".to_owned();
        }
    });
    let state = place.ctl_as("admin.token", &["directory", "refresh"]).out;
    assert_eq!(state["directory"]["state"], "unread", "{state}");
    let error = state["directory"]["trouble"]["error"].to_string();
    assert!(error.contains("it is disabled"), "{error}");
    assert!(place.ctl(&["alarm", "list"]).to_string().contains("directory-stale"), "said at once");
    assert_eq!(place.sign_in("no", "alice", PASSWORD), "wrong-state", "no [sign_in] is set up");
}
