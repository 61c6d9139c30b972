//! A site whose gateway is captured, a device of each class, and what tests ask of them.

use std::time::Duration;

use postern_tests::{
    captured::{Captured, Down, Evil, Exchange, Up},
    device::{Device, Ran},
    site::{GATEWAY, Plan, Site},
    wait,
};
use postern_wire::{
    route::RouteId,
    syncml::{Command, Limits, MediaType, Message, Style, decode, encode},
};
use serde_json::Value;

/// How long the core may take until something that it does in batches can be seen.
pub(crate) const BATCHED: Duration = Duration::from_secs(30);
/// The device.
pub(crate) const DEVICE: &str = "urn:uuid:1";
/// A setting that every device of ours has a place for.
pub(crate) const COLOUR: &str = "./Settings/Colour";

/// A proof class, as the matrix names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Basic,
    Md5,
    Certificate,
    Mac,
    Signed,
}

impl Class {
    /// The way of authentication that gives it.
    pub(crate) const fn auth(self) -> &'static str {
        match self {
            Self::Mac => "hmac",
            other => other.name(),
        }
    }

    /// As results and sessions name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Md5 => "md5",
            Self::Certificate => "certificate",
            Self::Mac => "mac",
            Self::Signed => "signed",
        }
    }

    /// Why the core refuses a message of which somebody changed an octet.
    pub(crate) const fn refusal(self) -> &'static str {
        match self {
            Self::Signed => "signature-invalid",
            _ => "credentials-wrong",
        }
    }
}

/// A captured gateway between one device and the core.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) captured: Captured,
    pub(crate) device: Device,
    pub(crate) class: Class,
}

impl Scene {
    /// A site whose only gateway has been captured, and a device of this class that has checked in once.
    pub(crate) fn of(class: Class) -> Self {
        let mut site = Site::make(&Plan::default());
        let captured = Captured::start(&site);
        site.start_core();
        site.wait_ready();
        let device = site.device(DEVICE, class.auth());
        let scene = Self { site, captured, device, class };
        let ran = scene.check_in();
        assert_eq!(ran.exit, 0, "{ran:?}\n{}", scene.logs());
        scene.settled();
        scene
    }

    pub(crate) fn check_in(&self) -> Ran {
        self.device.check_in(&["--encoding", "xml"])
    }

    pub(crate) fn be(&self, evil: &Evil) {
        self.captured.be(evil);
    }

    pub(crate) fn be_honest(&self) {
        self.captured.be(&Evil::default());
    }

    pub(crate) fn logs(&self) -> String {
        format!("{}\n{}", self.site.logs(), self.captured.log())
    }

    /// Queues one command for the device and gives its id.
    pub(crate) fn queue(&self, command: &[&str]) -> String {
        let operation = self.site.ctl().ok(&[&["device", "command", DEVICE], command].concat());
        operation["commands"][0]["id"].as_str().expect("a queued command has an id").to_owned()
    }

    /// Sets a value the honest way; the exchange that carried it.
    pub(crate) fn set(&self, verb: &str, uri: &str, value: &str) -> usize {
        let command = self.queue(&[verb, uri, "--data", value, "--format", "chr"]);
        assert_eq!(self.check_in().exit, 0, "{}", self.logs());
        assert_eq!(self.finished(&command)["state"], "succeeded", "{}", self.logs());
        let carried = |exchange: &Exchange| {
            exchange.down.as_ref().is_some_and(|down| String::from_utf8_lossy(&down.body).contains(value))
        };
        self.captured.seen().iter().rposition(carried).expect("the command has crossed")
    }

    /// What the device has at a URI, read through an honest gateway; nothing where it has nothing.
    pub(crate) fn honestly_read(&self, uri: &str) -> Option<String> {
        self.be_honest();
        let read = self.queue(&["get", uri]);
        let ran = self.check_in();
        assert_eq!(ran.exit, 0, "{ran:?}\n{}", self.logs());
        let shown = self.finished(&read);
        shown["results"][0]["data"].as_str().map(str::to_owned)
    }

    pub(crate) fn shown(&self, command: &str) -> Value {
        self.site.ctl().ok(&["command", "show", command])
    }

    /// The command as soon as it is no longer pending.
    pub(crate) fn finished(&self, command: &str) -> Value {
        let ended = || {
            let shown = self.shown(command);
            (shown["state"] != "queued" && shown["state"] != "sent").then_some(shown)
        };
        wait::until("the command to finish", BATCHED, ended, || self.logs())
    }

    /// Asserts that a command is still to be done, and that nothing is held to be its result.
    pub(crate) fn assert_not_done(&self, command: &str) {
        let shown = self.shown(command);
        assert!(shown["state"] == "queued" || shown["state"] == "sent", "{shown:#}\n{}", self.logs());
        assert!(shown["results"].as_array().is_none_or(Vec::is_empty), "{shown:#}");
    }

    /// What the core knows of the device, once what came of its last session is written: its end and last-seen are, in one
    /// batch, and so is every refusal. A change that came before a refusal can therefore be seen with it.
    pub(crate) fn settled(&self) -> Value {
        let written = || {
            let device = self.enrolment(DEVICE);
            let ended = self
                .sessions()
                .first()
                .and_then(|session| session["ended_at"].as_str().map(str::to_owned))?;
            (device["last_seen"].as_str()? >= ended.as_str()).then_some(device)
        };
        wait::until("the last session to be written", BATCHED, written, || self.logs())
    }

    /// What stands of an enrolment that an attack must not change.
    pub(crate) fn enrolment(&self, device: &str) -> Value {
        let shown = self.site.ctl().ok(&["device", "show", device]);
        let keys =
            ["id", "generation", "state", "proof_class", "auth", "last_seen", "certificate", "device_id"];
        keys.into_iter()
            .map(|key| (key.to_owned(), shown[key].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    pub(crate) fn sessions(&self) -> Vec<Value> {
        self.site.ctl().ok(&["session", "list", DEVICE]).as_array().cloned().unwrap_or_default()
    }

    /// Asserts that class and gateway stand on the newest session.
    pub(crate) fn assert_session_tells_class_and_gateway(&self) {
        let newest = || self.sessions().first().cloned();
        let session = wait::until("a session", BATCHED, newest, || self.logs());
        assert_eq!(
            (&session["proof_class"], &session["gateway"]),
            (&self.class.name().into(), &GATEWAY.into())
        );
    }

    /// Waits until `why` tells of a refusal for this reason.
    pub(crate) fn wait_refused(&self, device: &str, reason: &str) {
        let told = || {
            let why = self.site.ctl().ok(&["why", device]);
            let refusals = why["refusals"].as_array().cloned().unwrap_or_default();
            refusals.iter().any(|refusal| refusal["reason"] == reason).then_some(())
        };
        let why = || format!("{:#}\n{}", self.site.ctl().ok(&["why", device]), self.logs());
        wait::until(&format!("{reason} of {device}"), BATCHED, told, why);
    }

    /// The message of the device's last session that matches, as it came.
    pub(crate) fn seen_last(&self, is: impl Fn(&Message) -> bool) -> Up {
        self.seen_last_as(|_, message| is(message))
    }

    /// The same, with a look at its fields.
    pub(crate) fn seen_last_as(&self, is: impl Fn(&Up, &Message) -> bool) -> Up {
        let seen = self.captured.seen();
        let mut ups = seen.into_iter().rev().map(|exchange| exchange.up);
        ups.find(|up| message(up).is_some_and(|message| is(up, &message)))
            .expect("such a message has crossed")
    }

    /// Another device of this class, or of another.
    pub(crate) fn another(&self, device_id: &str, class: Class) -> Device {
        let device = self.site.device(device_id, class.auth());
        assert_eq!(device.check_in(&["--encoding", "xml"]).exit, 0, "{}", self.logs());
        device
    }
}

/// A device's message as it crosses.
pub(crate) fn message(up: &Up) -> Option<Message> {
    decoded(&up.headers, &up.body)
}

/// The core's reply as it crosses.
pub(crate) fn reply(down: &Down) -> Option<Message> {
    decoded(&down.headers, &down.body)
}

fn decoded(headers: &[(String, String)], body: &[u8]) -> Option<Message> {
    let (_, content_type) = headers.iter().find(|(name, _)| name == "content-type")?;
    Some(decode(body, MediaType::parse(content_type)?.encoding(), &Limits::default()).ok()?.message)
}

/// A message with something changed, its fields as they were.
pub(crate) fn changed(up: &Up, change: impl FnOnce(&mut Message)) -> Up {
    let mut message = message(up).expect("a message in XML");
    change(&mut message);
    let body = encode(&message, &Style::xml(message.version)).expect("it can be written");
    Up { body, ..up.clone() }
}

/// The first message of a session.
pub(crate) fn opens_a_session(message: &Message) -> bool {
    message.header.msg_id == 1
}

/// The status of the SyncHdr in a reply; nothing where the reply is no message.
pub(crate) fn header_status(down: &Down) -> Option<u32> {
    reply(down)?.body.iter().find_map(|command| match command {
        Command::Status(status) if status.cmd_ref == 0 => Some(status.code),
        _ => None,
    })
}

/// The path of a device's route.
pub(crate) fn path_of(device: &Device) -> String {
    let text = std::fs::read_to_string(&device.enrolment).expect("an enrolment file");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let uri = file["server_uri"].as_str().expect("a server URI");
    let path = &uri[uri.find("/dm/").expect("a route")..];
    RouteId::from_path(path).expect("a route").path()
}
