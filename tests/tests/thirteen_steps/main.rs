//! The device of the OMA DM picture, whole: a phone that knows no server is bootstrapped over the air, a notification
//! reaches it by short message, its session configures a sync account, and that account signs in. Everything between is
//! real: the core and the gateway as processes, Kannel and an SMPP centre as carriers, our device's push router, client,
//! configuration manager and providers.
#![forbid(unsafe_code)]

mod carrier;
mod later;
mod phone;

use std::path::Path;

use postern_api::devices::EnrolmentFile;
use postern_device::{DeviceError, csp::SyncAccount, interaction::Reaction, router::Ignored};
use postern_tests::{
    kannel::Kannel,
    raw::{self, Tls, request_head},
    site::{Plan, READY, Site},
    smsc::Smsc,
    stub::Stub,
    wait,
};
use postern_wire::{
    auth::user_password_hash,
    notification::{Package0, SessionId, Trigger},
    push::{Mac, Push, PushMedia, Security, SecurityMethod},
};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tempfile::TempDir;

use carrier::Carrier;
use phone::Phone;

const DEVICE: &str = "IMEI:490154203237518";
const NUMBER: &str = "+15550100001";
const PIN: &str = "1234";

fn text(value: &str) -> Reaction {
    Reaction::Text(value.to_owned())
}

/// The DM commands that configure the sync account, as an operator writes them.
fn commands(account: &str, server: &str) -> String {
    let mut xml = String::new();
    let mut add = |uri: &str, format: &str, data: Option<&str>| {
        let data = data.map(|data| format!("<Data>{data}</Data>")).unwrap_or_default();
        xml.push_str(&format!(
            "<Add><CmdID>1</CmdID><Item><Target><LocURI>./SyncAcc/{uri}</LocURI></Target>\
             <Meta><Format xmlns=\"syncml:metinf\">{format}</Format></Meta>{data}</Item></Add>"
        ));
    };
    add(account, "node", None);
    for (leaf, value) in [("Name", account), ("Addr", server), ("UserName", "ann"), ("Password", "s3cret")] {
        add(&format!("{account}/{leaf}"), "chr", Some(value));
    }
    for (database, uri) in [("Contacts", "card"), ("Calendar", "cal"), ("Mail", "mail")] {
        add(&format!("{account}/{database}"), "node", None);
        add(&format!("{account}/{database}/URI"), "chr", Some(uri));
    }
    format!("<SyncBody xmlns=\"SYNCML:SYNCML1.2\">{xml}</SyncBody>")
}

fn sync_server(folder: &Path) -> Stub {
    let wanted = format!("Authorization: Basic {}", postern_wire::auth::basic("ann", "s3cret"));
    Stub::start(folder, move |asked| {
        let signed_in = asked.head.lines().any(|line| line.eq_ignore_ascii_case(&wanted));
        (if signed_in { 200 } else { 401 }, Vec::new(), String::new())
    })
}

/// The whole picture over one carrier.
async fn picture(carrier: Carrier) {
    let folder = TempDir::new().expect("a folder");
    let settings = carrier.settings(folder.path());
    let mut settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("POSTERN_NOTIFICATIONS_GATHER_S", "0"));
    settings.push(("POSTERN_NOTIFICATIONS_APART_S", "0"));
    let site = Site::start(&Plan { core_settings: &settings, ..Plan::default() });
    let ctl = site.ctl();
    let (enrolment, file) = site.enrol(DEVICE, "md5", &[]);
    let mut taken = 0;

    // Before the first step: the device is bootstrapped with access data for the DM server.
    let _ = ctl.ok(&["device", "address", "set", DEVICE, "--number", NUMBER, "--bearer", carrier.bearer()]);
    let pin = folder.path().join("pin");
    std::fs::write(&pin, PIN).expect("a file in the test's folder");
    let pin = pin.to_string_lossy().into_owned();
    let make = ["bootstrap", "make", DEVICE, "--profile", "cp", "--security", "userpin", "--pin-file", &pin];
    let _ = ctl.ok(&[&make[..], &["--to", carrier.to()]].concat());
    let pushed = carrier.next_push(&mut taken, &site);
    assert_eq!(pushed.media, PushMedia::ConnectivityWbxml);
    let bootstrap = match &carrier {
        Carrier::Smpp(_) => pushed,
        Carrier::Kannel(_) => {
            // Kannel 1.4.5 drops SEC and MAC on its way to WSP: what is not proved is refused whatever the PIN, and the
            // document goes to the phone as a file.
            let mut unproved = Phone::new(&folder.path().join("unproved"), &file, [text(PIN)]);
            assert!(matches!(unproved.device.bootstrap(&pushed, None), Err(DeviceError::Bootstrap(_))));
            assert!(unproved.device.accounts_in_tree().is_empty(), "only with a proof");
            let out = folder.path().join("bootstrap.wbxml");
            let to_file = ["--to", "file", "--out", &out.to_string_lossy()];
            let made = ctl.ok(&[&make[..], &to_file].concat());
            of_file(&out, made["content_type"].as_str().expect("a content type"))
        }
    };

    let mut stranger = Phone::new(&folder.path().join("stranger"), &file, ["0000", "9999", "4321"].map(text));
    assert!(matches!(stranger.device.bootstrap(&bootstrap, None), Err(DeviceError::Bootstrap(_))));
    assert!(stranger.device.accounts_in_tree().is_empty(), "only with the right PIN");

    let state = folder.path().join("phone");
    let mut phone = Phone::new(&state, &file, [text(PIN)]);
    let installed = phone.device.bootstrap(&bootstrap, None).expect("the right PIN");
    assert_eq!((installed[0].server_id.as_str(), installed[0].init), (enrolment.server_id.as_str(), true));
    phone.connect(&enrolment.server_id, &file);
    phone.check_in(&enrolment.server_id).await; // the first session, as INIT wants it
    let _ = phone.told();

    // 1. The operator wants the device configured; a notification goes out by WAP push.
    let sync = sync_server(folder.path());
    let ids = order(&site, &commands("office", &format!("{}/ds", sync.ctl().url)));
    assert_eq!(ids.len(), 11);

    // 2. It reaches the device by SMS, and there the push router.
    let notification = carrier.next_push(&mut taken, &site);
    assert_eq!(notification.media, PushMedia::Notification);
    let job = || {
        let all = ctl.ok(&["device", "notifications", DEVICE]);
        let job = all["notifications"][0].clone();
        (job["state"] == "sent" || job["state"] == "delivered").then_some(job)
    };
    let job = wait::until("the notification to be sent", READY, job, || site.logs());
    assert_eq!(job["bearer"], carrier.bearer());

    // 3. The push router authenticates it: forged ones start nothing.
    for (what, forged) in forged(&enrolment, &notification.body) {
        let refused = phone.notified(&forged).await;
        assert!(
            matches!(refused, Err(DeviceError::Ignored(Ignored::Forged | Ignored::Malformed(_)))),
            "{what}: {refused:?}"
        );
    }
    let _ = phone.told();
    let trigger = Package0::decode(&notification.body).expect("package 0").trigger;
    let report = phone.notified(&notification.body).await.expect("the session that it asks for");

    // 4. The DM transport client opens the secure channel and sends its package, with the notification's id.
    assert_eq!(report.session_id, trigger.session_id.to_string());
    let told = phone.told();
    let said = |what: &str| told.iter().filter(|line| line.contains(what)).count();
    assert!(report.messages >= 2 && report.server_proved, "{report:?}\n{told:#?}");

    // 5. to 12. The server makes the configuration and sends it; the unit parses it, the manager judges it, the provider
    // acts, and each result goes back as a Status.
    assert_eq!(report.commands, 11, "{told:#?}");
    assert!(said("SyncAcc") >= 11, "{told:#?}");
    for id in &ids {
        let ended = || {
            let command = ctl.ok(&["command", "show", id]);
            (command["state"] == "succeeded").then_some(command)
        };
        let command = wait::until("a command to succeed", READY, ended, || site.logs());
        assert_eq!(command["status"], 200, "{command:#}");
        let timeline = command["timeline"].to_string();
        let by = format!("handed-to-bearer ({})", carrier.bearer());
        assert!(timeline.contains(&by) && timeline.contains("session"), "{command:#}");
    }

    // 13. The server, seeing all is well, closes; and it knows which session answered its notification.
    let answered = || {
        let all = ctl.ok(&["device", "notifications", DEVICE]);
        let job = all["notifications"][0].clone();
        (job["state"] == "answered").then_some(job)
    };
    let job = wait::until("the notification to be answered", READY, answered, || site.logs());
    assert_eq!(job["session_id"], report.session_id);
    let session = || {
        let why = ctl.ok(&["why", DEVICE]);
        let held =
            why["sessions"].as_array()?.iter().find(|session| session["id"] == job["session"])?.clone();
        (held["outcome"] != "open").then_some(held)
    };
    let session = wait::until("the session's record", READY, session, || site.logs());
    assert_eq!((&session["outcome"], &session["gateway"]), (&Value::from("done"), &Value::from("edge")));

    // A replayed notification opens no second session.
    let replayed = phone.notified(&notification.body).await;
    assert!(matches!(replayed, Err(DeviceError::Ignored(Ignored::Seen | Ignored::Forged))), "{replayed:?}");

    // The phone loses power in the middle of the next configuration: its tree is as before, and the step goes on.
    drop(phone);
    let server_id = &enrolment.server_id;
    let killed = later::Killed { site: &site, carrier: &carrier, state: &state, file: &file, server_id };
    let phone = killed.goes_on(&mut taken, &commands("home", "https://localhost/ds")).await;

    // Another server has an account of its own, and no rights to what is not its own.
    let phone = later::another_server(phone, &killed, folder.path()).await;

    // The account that was configured signs in; also after the phone lost power.
    drop(phone);
    let phone = Phone::new(&state, &file, []);
    let accounts = SyncAccount::configured(phone.device.state());
    let names: Vec<_> = accounts.iter().map(|account| account.id.as_str()).collect();
    assert_eq!(names, ["home", "office", "own"]);
    let account = accounts.iter().find(|account| account.id == "office").expect("the first account");
    assert_eq!(account.databases.len(), 3);
    assert_eq!(sign_in(&sync, account), 200);
}

/// Queues commands for the phone; their ids.
fn order(site: &Site, syncml: &str) -> Vec<String> {
    let orders = site.path("orders.xml");
    std::fs::write(&orders, syncml).expect("a file in the site's folder");
    let args = ["device", "command", DEVICE, "--lane", "urgent", "--file", &orders.to_string_lossy()];
    let queued = site.ctl().ok(&args);
    let commands = queued["commands"].as_array().expect("commands").iter();
    commands.map(|command| command["id"].as_str().expect("an id").to_owned()).collect()
}

/// A bootstrap as it lies in a file, with the proof that its content type bears.
fn of_file(path: &Path, content_type: &str) -> Push {
    let (_, hex) = content_type.rsplit_once("MAC=").expect("a MAC");
    let mac =
        data_encoding::HEXUPPER_PERMISSIVE.decode(hex.trim_matches('"').as_bytes()).expect("hex digits");
    let mac = Some(Mac(mac.try_into().expect("20 octets")));
    let security = Some(Security { method: SecurityMethod::UserPin, mac });
    let document = std::fs::read(path).expect("the document");
    Push::bootstrap(PushMedia::ConnectivityWbxml, security, document)
}

/// Notifications that a stranger could make.
fn forged(enrolment: &EnrolmentFile, real: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let made = |password: &str, nonce: &[u8]| {
        let id = SessionId::new(0x4711).expect("not zero");
        let hash = user_password_hash(&enrolment.server_id, password);
        Package0::seal(Trigger::new(id, &enrolment.server_id), &hash, nonce).expect("a trigger").encode()
    };
    let mut changed = real.to_vec();
    // The session id stands at octets 21 and 22.
    changed[22] ^= 1;
    let secret = enrolment.server_password.as_deref().expect("md5 has one");
    vec![
        ("another secret", made("guessed", &[0; 4])),
        ("another nonce", made(secret, &[7; 16])),
        ("a changed session id", changed),
        ("cut short", real[..20].to_vec()),
    ]
}

fn sign_in(sync: &Stub, account: &SyncAccount) -> u16 {
    let ctl = sync.ctl();
    let ca = std::fs::read_to_string(&ctl.ca_file).expect("the stub's CA");
    let port: u16 = ctl.url.rsplit_once(':').expect("a port").1.parse().expect("a port");
    assert!(account.server.to_string().starts_with(&ctl.url), "{account:?}");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut tls = Tls::connect(address, "localhost", raw::client_config(&ca, None)).expect("connected");
    let authorization = account.authorization();
    let fields = [("Authorization", authorization.expose_secret())];
    tls.send(request_head("POST", "/ds", "localhost", &fields, Some(0)).as_bytes()).expect("sent");
    tls.receive().expect("an answer").status
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thirteen_steps_pass_through_kannel() {
    picture(Carrier::Kannel(Box::new(Kannel::start()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_thirteen_steps_pass_through_an_smpp_centre() {
    picture(Carrier::Smpp(Smsc::start())).await;
}
