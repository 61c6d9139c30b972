//! A core in a test, and a device that says what it is told to.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use postern_store::{Ambient, MasterKey, Options, Place, Sealer, Store, commands, commands::Command as Row};
use postern_wire::{
    auth,
    route::RouteId,
    syncml::{
        self, Alert, Command, Cred, Data, Decoded, Item, Limits, Location, MediaType, Message, Meta, Request,
        Results, Status, Style, SyncHdr, Version,
    },
    terms::{AuthType, CommandId, Dialect, EnrolmentId, Lane, OperationKind, ProofClass, UtcMillis, Verb},
};
use secrecy::SecretString;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    AnnounceNothing, AuditActor, Body, BodyItem, CertificateFacts, CheckIn, CheckedIn, Clock, Devices,
    Enrolled, NewEnrolment, NoRules, Order, Parts, PeerFacts, Refusal, Rules, Settings, Submitted,
    SystemClock, SystemRandom,
};

/// A wall clock that tests can set forward; monotonic time goes with it.
#[derive(Clone)]
pub(crate) struct TestClock {
    real: SystemClock,
    ahead: Arc<Mutex<Duration>>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { real: SystemClock::new(), ahead: Arc::default() }
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.ahead.lock().unwrap() += by;
    }
}

impl Clock for TestClock {
    fn wall(&self) -> UtcMillis {
        self.real.wall().plus(i64::try_from(self.ahead.lock().unwrap().as_millis()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic() + *self.ahead.lock().unwrap()
    }
}

/// A core: its folder outlives its devices and store, so that it can be started again.
pub(crate) struct Core {
    pub(crate) devices: Devices,
    pub(crate) store: Store,
    pub(crate) clock: TestClock,
    pub(crate) settings: Settings,
    pub(crate) sealer: Arc<Sealer>,
    folder: Arc<TempDir>,
    rules: Arc<dyn Rules>,
}

/// Settings that let tests pass quickly.
pub(crate) fn quick() -> Settings {
    Settings {
        arbiters: 1,
        shards_per_arbiter: 4,
        tick: Duration::from_millis(5),
        linger: Duration::from_millis(50),
        flush_every: Duration::from_millis(20),
        sweep_every: Duration::from_millis(20),
        ..Settings::default()
    }
}

impl Core {
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::with_rules(settings, Arc::new(NoRules)).await
    }

    pub(crate) async fn with_rules(settings: Settings, rules: Arc<dyn Rules>) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), settings, TestClock::new(), rules).await
    }

    async fn start_in(
        folder: Arc<TempDir>,
        settings: Settings,
        clock: TestClock,
        rules: Arc<dyn Rules>,
    ) -> Self {
        let place = Place::Sqlite { path: folder.path().join("test.sqlite") };
        let wall = clock.clone();
        let ambient = Ambient::with_clock(Arc::new(move || wall.wall()));
        let options = Options::new(place, Uuid::from_u128(rand_u128()));
        let store =
            tokio::task::spawn_blocking(move || Store::open(options, ambient).unwrap()).await.unwrap();
        assert!(store.active().await);
        let sealer = Arc::new(Sealer::new(&MasterKey::from_octets([7; 32]), &[]).unwrap());
        let devices = Devices::start(Parts {
            store: store.clone(),
            sealer: sealer.clone(),
            settings: settings.clone(),
            clock: Arc::new(clock.clone()),
            random: Arc::new(SystemRandom::default()),
            announce: Arc::new(AnnounceNothing),
            rules: rules.clone(),
        });
        Self { devices, store, clock, settings, sealer, folder, rules }
    }

    /// Stops in order.
    pub(crate) async fn stop(&self) {
        self.devices.stop().await;
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.shutdown()).await.unwrap();
    }

    /// Starts again on the same database, as after a crash: the devices of before get no chance to settle anything.
    pub(crate) async fn restart(self) -> Self {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.shutdown()).await.unwrap();
        self.devices.stop().await;
        Self::start_in(self.folder, self.settings, self.clock, self.rules).await
    }

    pub(crate) async fn enrol(&self, name: &str, auth: AuthType) -> Device {
        let new = self.enrolment(name, auth);
        self.enrol_as(new).await
    }

    pub(crate) async fn enrol_as(&self, new: NewEnrolment) -> Device {
        let (name, auth, certificate) = (new.device_id.clone(), new.auth, new.certificate.clone());
        let enrolled = self.devices.enrol(new).await.unwrap();
        Device::new(&name, auth, enrolled, certificate)
    }

    pub(crate) fn enrolment(&self, name: &str, auth: AuthType) -> NewEnrolment {
        let id = self.devices.next_enrolment_id();
        NewEnrolment {
            id,
            device_id: name.to_owned(),
            name: None,
            owner: None,
            hardware_id: None,
            auth,
            floor: ProofClass::None,
            dialect: Dialect::Classic,
            user: Some(format!("{name}-user")),
            password: Some(SecretString::from("device password")),
            server_id: "postern".to_owned(),
            server_password: None,
            certificate: matches!(auth, AuthType::Certificate | AuthType::Signed).then(|| certificate(id)),
            replace: false,
            actor: admin(),
            reason: "a test".to_owned(),
        }
    }

    pub(crate) async fn queue(&self, device: &Device, commands: Vec<Body>) -> Submitted {
        self.devices.submit(order(device, commands)).await.unwrap()
    }

    pub(crate) async fn command(&self, id: CommandId) -> Row {
        self.store.read(move |reader| commands::find(reader, id)).await.unwrap().unwrap()
    }
}

/// Not for secrets: tells stores of one test process apart.
fn rand_u128() -> u128 {
    use crate::Randomness as _;
    let mut octets = [0; 16];
    SystemRandom::default().fill(&mut octets);
    u128::from_be_bytes(octets)
}

pub(crate) fn admin() -> AuditActor {
    AuditActor::admin("test", None)
}

pub(crate) fn certificate(id: EnrolmentId) -> CertificateFacts {
    CertificateFacts {
        dns_name: None,
        enrolment: Some(id),
        serial: data_encoding::HEXLOWER.encode(id.0.as_bytes()),
        issuer: "00".to_owned(),
        fingerprint: std::array::from_fn(|at| id.0.as_bytes()[at % 16]),
        not_before: UtcMillis(0),
        not_after: UtcMillis(i64::MAX),
    }
}

pub(crate) fn order(device: &Device, commands: Vec<Body>) -> Order {
    Order {
        targets: vec![device.enrolled.enrolment],
        kind: OperationKind::Raw,
        commands,
        ordered: false,
        lane: Lane::Normal,
        deadline: None,
        actor: admin(),
        reason: "a test".to_owned(),
        idempotency: None,
    }
}

pub(crate) fn get(uri: &str) -> Body {
    Body::plain(Verb::Get, vec![BodyItem::node(uri)])
}

pub(crate) fn exec(uri: &str) -> Body {
    Body::plain(Verb::Exec, vec![BodyItem::node(uri)])
}

pub(crate) fn replace(uri: &str, value: &str) -> Body {
    let item = BodyItem { data: Some(Data::from(value)), format: Some("chr".into()), ..BodyItem::node(uri) };
    Body::plain(Verb::Replace, vec![item])
}

/// An Add of a value that the scripted device gives back when it is probed.
pub(crate) fn add(uri: &str) -> Body {
    Body::plain(Verb::Add, replace(uri, uri).items().to_vec())
}

/// A scripted device.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) enrolled: Enrolled,
    pub(crate) peer: PeerFacts,
    pub(crate) password: String,
    /// What it says of its maker.
    pub(crate) man: String,
    /// What it answers to a Get of this node, instead of the node's own URI.
    pub(crate) values: Vec<(String, String)>,
    /// What it says at the beginning of a session beside what every device says.
    pub(crate) says: Vec<Command>,
    auth: AuthType,
    nonce: Vec<u8>,
    session: u32,
    /// The SessionID of a notification that it answers.
    pub(crate) triggered: Option<String>,
    msg_id: u32,
    /// What the last request was: to be sent once more.
    last: Option<CheckIn>,
}

impl Device {
    pub(crate) fn new(
        name: &str,
        auth: AuthType,
        enrolled: Enrolled,
        certificate: Option<CertificateFacts>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            enrolled,
            peer: PeerFacts { certificate, ..PeerFacts::default() },
            password: "device password".to_owned(),
            man: "Postern".to_owned(),
            values: Vec::new(),
            says: Vec::new(),
            auth,
            nonce: Vec::new(),
            session: 0,
            triggered: None,
            msg_id: 0,
            last: None,
        }
    }

    pub(crate) fn route(&self) -> RouteId {
        self.enrolled.route
    }

    /// Begins a session: package 1.
    pub(crate) async fn begin(&mut self, core: &Core) -> Result<Reply, Refusal> {
        self.session += 1;
        self.msg_id = 0;
        self.package_1(core).await
    }

    async fn package_1(&mut self, core: &Core) -> Result<Reply, Refusal> {
        let leaf = |name: &str, value: &str| Item {
            source: Some(Location::uri(format!("./DevInfo/{name}"))),
            data: Some(Data::from(value)),
            ..Item::default()
        };
        let info = vec![
            leaf("DevId", &self.name),
            leaf("Man", &self.man),
            leaf("Mod", "scripted"),
            leaf("DmV", "1.2"),
            leaf("Lang", "en"),
        ];
        let mut body = vec![
            Command::Alert(Alert {
                cmd_id: 1,
                code: if self.triggered.is_some() { 1200 } else { 1201 },
                ..Alert::default()
            }),
            Command::Replace(Request { cmd_id: 2, items: info, ..Request::default() }),
        ];
        body.extend(self.says.iter().cloned());
        self.say(core, body, true).await
    }

    /// Begins a session and answers a challenge, if there is one.
    pub(crate) async fn open(&mut self, core: &Core) -> Reply {
        let reply = self.begin(core).await.unwrap();
        if !reply.is_challenge() {
            return reply;
        }
        let reply = self.package_1(core).await.unwrap();
        assert!(!reply.is_challenge(), "{:?}", reply.message);
        reply
    }

    /// A whole session: every command is answered 200, a Get with its own URI as its value. Gives what came.
    pub(crate) async fn session(&mut self, core: &Core) -> Vec<Command> {
        let mut reply = self.open(core).await;
        let mut came = Vec::new();
        while reply.has_commands() {
            came.extend(reply.commands());
            reply = self.answer(core, &reply, 200).await.unwrap();
        }
        came
    }

    /// Answers every command of a reply with one code.
    pub(crate) async fn answer(&mut self, core: &Core, reply: &Reply, code: u32) -> Result<Reply, Refusal> {
        let msg_ref = Some(reply.message.header.msg_id);
        let mut body = vec![status(1, msg_ref, 0, "SyncHdr", 212)];
        for command in reply.commands() {
            let (cmd_id, name, uri) = describe(&command);
            body.push(status(u32::try_from(body.len()).unwrap() + 1, msg_ref, cmd_id, name, code));
            if name == "Get" && code == 200 {
                let known = self.values.iter().find(|(node, _)| *node == uri);
                let value = known.map_or_else(|| uri.clone(), |(_, value)| value.clone());
                let item = Item {
                    source: Some(Location::uri(uri)),
                    data: Some(Data::from(value)),
                    ..Item::default()
                };
                body.push(Command::Results(Results {
                    cmd_id: u32::try_from(body.len()).unwrap() + 1,
                    msg_ref,
                    cmd_ref: cmd_id,
                    items: vec![item],
                    ..Results::default()
                }));
            }
        }
        self.say(core, body, true).await
    }

    /// Sends one message.
    pub(crate) async fn say(
        &mut self,
        core: &Core,
        body: Vec<Command>,
        last: bool,
    ) -> Result<Reply, Refusal> {
        self.msg_id += 1;
        let request = self.request(body, last);
        self.last = Some(request.clone());
        let reply = Reply::read(core.devices.check_in(request).await?);
        if let Some(nonce) = reply.nonce() {
            self.nonce = nonce;
        }
        Ok(reply)
    }

    /// Sends the last message again, octet for octet.
    pub(crate) async fn repeat(&self, core: &Core) -> Result<CheckedIn, Refusal> {
        core.devices.check_in(self.last.clone().unwrap()).await
    }

    pub(crate) fn request(&self, body: Vec<Command>, is_final: bool) -> CheckIn {
        let user = format!("{}-user", self.name);
        let cred = match self.auth {
            AuthType::Basic => Some((auth::TYPE_BASIC, auth::basic(&user, &self.password))),
            AuthType::Md5 => {
                let hash = auth::user_password_hash(&user, &self.password);
                Some((auth::TYPE_MD5, auth::md5_digest(&hash, &self.nonce)))
            }
            _ => None,
        };
        let cred = cred.map(|(type_, data)| Cred {
            meta: Meta { format: Some("b64".into()), type_: Some(type_.into()), ..Meta::default() },
            data: Data::from(data),
        });
        let header = SyncHdr {
            ver_dtd: "1.2".into(),
            ver_proto: "DM/1.2".into(),
            session_id: self.triggered.clone().unwrap_or_else(|| self.session.to_string()),
            msg_id: self.msg_id,
            target: Location::uri("https://dm.example/dm/1/x"),
            source: Location { uri: self.name.clone(), name: Some(user) },
            cred,
            meta: Meta { max_msg_size: Some(64_000), ..Meta::default() },
            ..SyncHdr::default()
        };
        let message = Message { version: Version::V1_2, header, body, is_final };
        let body = Bytes::from(syncml::encode(&message, &Style::xml(Version::V1_2)).unwrap());
        CheckIn {
            route: self.route(),
            media: MediaType::DmXml,
            body,
            peer: self.peer.clone(),
            request_id: Uuid::nil(),
        }
    }
}

pub(crate) fn status(cmd_id: u32, msg_ref: Option<u32>, cmd_ref: u32, cmd: &str, code: u32) -> Command {
    Command::Status(Status { cmd_id, msg_ref, cmd_ref, cmd: cmd.into(), code, ..Status::default() })
}

fn describe(command: &Command) -> (u32, &'static str, String) {
    let (name, request) = match command {
        Command::Get(request) => ("Get", request),
        Command::Replace(request) => ("Replace", request),
        Command::Add(request) => ("Add", request),
        Command::Delete(request) => ("Delete", request),
        Command::Exec(request) => ("Exec", request),
        Command::Copy(request) => ("Copy", request),
        Command::Atomic(group) => return (group.cmd_id, "Atomic", String::new()),
        other => panic!("unexpected {other:?}"),
    };
    let uri = request.items.first().and_then(|item| item.target.as_ref()).map(|target| target.uri.clone());
    (request.cmd_id, name, uri.unwrap_or_default())
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) octets: Bytes,
    pub(crate) message: Message,
}

impl Reply {
    fn read(checked_in: CheckedIn) -> Self {
        let media = MediaType::parse(checked_in.content_type).unwrap();
        let Decoded { message, .. } =
            syncml::decode(&checked_in.body, media.encoding(), &Limits::default()).unwrap();
        Self { octets: checked_in.body, message }
    }

    fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.message.body.iter().filter_map(|command| match command {
            Command::Status(status) => Some(status),
            _ => None,
        })
    }

    /// The status of our SyncHdr.
    pub(crate) fn header_status(&self) -> u32 {
        self.statuses().find(|status| status.cmd_ref == 0).map_or(0, |status| status.code)
    }

    pub(crate) fn is_challenge(&self) -> bool {
        matches!(self.header_status(), 401 | 407)
    }

    fn nonce(&self) -> Option<Vec<u8>> {
        let text = self.statuses().find_map(|status| status.chal.as_ref()?.next_nonce.clone())?;
        auth::decode_nonce(&text)
    }

    /// The commands of the server, without statuses and alerts.
    pub(crate) fn commands(&self) -> Vec<Command> {
        let ours = |command: &&Command| !matches!(command, Command::Status(_) | Command::Alert(_));
        self.message.body.iter().filter(ours).cloned().collect()
    }

    pub(crate) fn has_commands(&self) -> bool {
        !self.commands().is_empty()
    }
}

/// The first target of each command.
pub(crate) fn uris(commands: &[Command]) -> Vec<String> {
    commands.iter().map(|command| describe(command).2).collect()
}

/// Waits until something holds, for at most five seconds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come about");
}
