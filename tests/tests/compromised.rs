//! A gateway comes into other hands: it is cut off for good, secrets that crossed it are rotated through another gateway,
//! what it may have changed is doubtful and read again, and what a person has to do is said.
#![forbid(unsafe_code)]

use std::{fs, process::Command, time::Duration};

use postern_api::devices::EnrolmentFile;
use postern_tests::{
    binaries,
    captured::{Captured, Evil},
    device::Device,
    process::{self, Process},
    raw,
    site::{GATEWAY, Plan, READY, Site},
    wait,
};
use serde_json::Value;

const BATCHED: Duration = Duration::from_secs(60);
const SPARE: &str = "spare";

#[test]
fn what_crossed_a_gateway_in_other_hands_is_renewed_through_another() {
    let mut site = Site::make(&Plan::default());
    let mut spare = Spare::prepare(&site);
    let captured = Captured::start(&site);
    site.start_core();
    site.wait_ready();
    let ours: Vec<(&str, Device)> = ["basic", "md5", "hmac", "certificate", "signed"]
        .into_iter()
        .map(|auth| (auth, site.device(&format!("urn:uuid:{auth}"), auth)))
        .collect();
    for (auth, device) in &ours {
        let ran = device.check_in(&[]);
        assert_eq!(ran.exit, 0, "{auth}: {ran:?}\n{}", site.logs());
    }
    let (foreign, _) = site.enrol("IMEI:1", "md5", &[]);
    assert!(site.client(foreign.clone()).check_in("1").expect("a session").authenticated);
    // A result that the gateway has made up.
    let forged = queue(&site, "urn:uuid:basic", &["get", "./DevInfo/Mod"]);
    captured.be(&Evil { results: Some("forged".to_owned()), ..Evil::default() });
    assert_eq!(ours[0].1.check_in(&[]).exit, 0);
    assert_eq!(finished(&site, &forged)["results"][0]["data"], "forged");
    let old: EnrolmentFile = file(&ours[0].1);

    let unsaid = site.ctl().run(&["gateway", "compromised", GATEWAY, "--since", "2020-01-01T00:00:00Z"]);
    assert_eq!((unsaid.exit, unsaid.slug().as_str()), (2, "confirmation-missing"), "{unsaid:?}");
    let declared = declare(&site);
    // Sessions are recorded a little after they were held: the last ones are found by and by.
    let all = || (status(&site)["gateway"]["devices"] == 6).then_some(());
    wait::until("all devices to be listed", BATCHED, all, || format!("{:#}", status(&site)));
    assert_eq!(declared["gateway"], GATEWAY, "{declared:#}");
    assert_eq!(site.ctl().ok(&["gateway", "show", GATEWAY])["state"], "compromised");
    assert_eq!(site.ctl().ok(&["command", "show", &forged])["doubtful"], GATEWAY);
    let twice =
        site.ctl().run(&["gateway", "compromised", GATEWAY, "--since", "2020-01-01T00:00:00Z", "--yes"]);
    assert_eq!(twice.exit, 1, "declared once: {twice:?}");

    // Nobody dials it again, after a restart either; the progress goes on where it stood.
    site.stop_core();
    site.start_core();
    spare.start_beside(captured, &site);
    assert_eq!(site.ctl().ok(&["gateway", "show", GATEWAY])["links"], 0);
    let status = status(&site);
    for (device, rotation, reading) in [
        ("urn:uuid:basic", "ordered", "ordered"),
        ("urn:uuid:md5", "ordered", "ordered"),
        ("urn:uuid:hmac", "ordered", "not-needed"),
        ("urn:uuid:certificate", "not-needed", "ordered"),
        ("urn:uuid:signed", "not-needed", "not-needed"),
        ("IMEI:1", "impossible", "ordered"),
    ] {
        let row = row(&status, device);
        assert_eq!((&row["rotation"], &row["reading"]), (&rotation.into(), &reading.into()), "{row:#}");
        assert!(row["rotation"] == "ordered" || !row["rotation_because"].as_str().unwrap_or("").is_empty());
    }

    // The first session through the other gateway tells the new secret, the second one proves it.
    for round in ["told", "proved"] {
        for (auth, device) in &ours {
            let ran = device.check_in(&[]);
            assert_eq!(ran.exit, 0, "{auth}, {round}: {ran:?}\n{}", site.logs());
        }
    }
    assert!(site.client(foreign).check_in("2").expect("a session").authenticated);
    let done = || Some(self::status(&site)).filter(|status| status["gateway"]["finished"] == true);
    let status = wait::until("everything to be renewed", BATCHED, done, || {
        format!("{:#}\n{}", self::status(&site), site.logs())
    });
    for auth in ["basic", "md5", "hmac"] {
        assert_eq!(row(&status, &format!("urn:uuid:{auth}"))["rotation"], "done", "{status:#}");
    }
    assert!(site.ctl().ok(&["command", "show", &forged])["doubtful"].is_null(), "it was read again");

    // What the attacker has is worth nothing any more.
    let stolen = site.client(old).check_in("F00D").expect("an answer");
    assert!(!stolen.authenticated && stolen.commands.is_empty(), "{stolen:?}");
    assert_eq!(ours[0].1.check_in(&[]).exit, 0, "the device itself still gets in");
    let audit = site.ctl().ok(&["audit", "list", "--limit", "200"]);
    assert!(audit.to_string().contains("gateways.compromise"), "{audit:#}");
}

fn declare(site: &Site) -> Value {
    site.ctl().ok(&["gateway", "compromised", GATEWAY, "--since", "2020-01-01T00:00:00Z", "--yes"])
}

fn status(site: &Site) -> Value {
    site.ctl().ok(&["gateway", "compromised", GATEWAY, "--status"])
}

fn row<'s>(status: &'s Value, name: &str) -> &'s Value {
    let devices = status["devices"].as_array().expect("the devices");
    devices.iter().find(|device| device["name"] == name).unwrap_or_else(|| panic!("{name}: {status:#}"))
}

fn file(device: &Device) -> EnrolmentFile {
    let text = fs::read_to_string(&device.enrolment).expect("an enrolment file");
    serde_json::from_str(&text).expect("an enrolment file")
}

fn queue(site: &Site, device: &str, command: &[&str]) -> String {
    let operation = site.ctl().ok(&[&["device", "command", device], command].concat());
    operation["commands"][0]["id"].as_str().expect("a queued command has an id").to_owned()
}

fn finished(site: &Site, command: &str) -> Value {
    let ended = || {
        let shown = site.ctl().ok(&["command", "show", command]);
        (shown["state"] != "queued" && shown["state"] != "sent").then_some(shown)
    };
    wait::until("the command to finish", BATCHED, ended, || site.logs())
}

/// Another gateway of the site, that takes the device port's address when the captured one is off the network.
struct Spare {
    config: std::path::PathBuf,
    link: u16,
    observe: u16,
    process: Option<Process>,
}

impl Spare {
    /// Makes its folder, and tells the core of it.
    fn prepare(site: &Site) -> Self {
        let [link, observe] = process::free_ports();
        let folder = site.make_gateway(SPARE);
        let core = site.path("state/core.toml");
        let text = fs::read_to_string(&core).expect("core.toml");
        let more = format!("\n[[gateway]]\nname = \"{SPARE}\"\naddress = \"127.0.0.1:{link}\"\n");
        fs::write(&core, text + &more).expect("core.toml");
        Self { config: folder.join("gateway.toml"), link, observe, process: None }
    }

    /// Takes the captured gateway off the network and this one on.
    fn start_beside(&mut self, captured: Captured, site: &Site) {
        captured.give_back();
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let mut command = Command::new(binaries::path("postern-gateway"));
        command
            .args(["run", "--config"])
            .arg(&self.config)
            .env("POSTERN_GATEWAY__DEVICE__LISTEN", site.device_address().to_string())
            .env("POSTERN_GATEWAY__LINK__LISTEN", listen(self.link))
            .env("POSTERN_GATEWAY__OBSERVE__LISTEN", listen(self.observe));
        self.process = Some(Process::start(SPARE, &mut command, &site.path("spare.log")));
        let address = listen(self.observe).parse().expect("an address");
        let ready =
            || raw::plain_get(address, "/readyz").ok().filter(|answer| answer.status == 200).map(drop);
        wait::until("the spare gateway", READY, ready, || {
            format!("{}\n{}", site.logs(), self.process.as_ref().map(Process::log_tail).unwrap_or_default())
        });
    }
}
