//! A scripted peer: messages by hand, and a small device that executes what it gets.

pub(crate) mod device;

use std::sync::Arc;

use postern_engine::{
    account::{Account, Credential, Peer, PeerCertificate, Quirks, ServerAccount, ServerScheme},
    effect::{Effect, Outcome, RefusedReason, Reply},
    nonce::NonceKey,
    queue::{Body, BodyItem, PendingCommand, Queue},
    session::{Inbound, Random, Session, SessionConfig},
    transcript::{Heard, Recorder, Transcript},
};
use postern_wire::{
    auth,
    syncml::{
        self, Alert, Command, Cred, Data, Item, Location, Message, Meta, Request, Results, Status, Style,
        SyncHdr, Version,
    },
    terms::{
        AuthType, CommandId, CommandState, Dialect, EnrolmentId, EnrolmentState, Lane, OperationId,
        OperationKind, ProofClass, UtcMillis, Verb,
    },
};
use secrecy::SecretString;
use uuid::Uuid;

pub(crate) const DEVICE: &str = "IMEI:493005100592800";
pub(crate) const SERVER: &str = "https://dm.example/dm/1/abc";
pub(crate) const USER: &str = "dev";
pub(crate) const PASSWORD: &str = "devpw";
pub(crate) const SERVER_ID: &str = "srv";
pub(crate) const SERVER_PASSWORD: &str = "srvpw";
pub(crate) const START: UtcMillis = UtcMillis(1_800_000_000_000);

pub(crate) fn account(auth: AuthType) -> Account {
    Account {
        enrolment: EnrolmentId(Uuid::from_u128(0x11)),
        state: EnrolmentState::Managed,
        device_id: DEVICE.into(),
        auth,
        credential: Some(Credential {
            user: USER.into(),
            hash: SecretString::from(auth::user_password_hash(USER, PASSWORD)),
        }),
        server: None,
        floor: ProofClass::None,
        dialect: Dialect::Classic,
        quirks: Quirks::default(),
        next: None,
        resync_until: None,
        nonce_key: NonceKey::new([9; 32]),
        nonce_counter: 0,
        device_info: None,
    }
}

pub(crate) fn server(scheme: ServerScheme) -> Option<ServerAccount> {
    Some(ServerAccount {
        server_id: SERVER_ID.into(),
        password: SecretString::from(SERVER_PASSWORD),
        scheme,
        nonce: Vec::new(),
    })
}

pub(crate) fn certificate(octet: u8, names_enrolment: bool) -> Peer {
    let certificate = Some(PeerCertificate { fingerprint: [octet; 32], names_enrolment });
    Peer { certificate, source: "192.0.2.1".into(), ..Peer::default() }
}

/// One enrolment with its engine, clock and queue.
pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) queue: Queue,
    pub(crate) now: UtcMillis,
    pub(crate) peer: Peer,
    pub(crate) style: Style,
    /// Every effect so far, the durable ones of a message first.
    pub(crate) effects: Vec<Effect>,
    pub(crate) last: Option<Outcome>,
    /// Every session so far as a transcript: each of them replays, whatever a rule is about.
    pub(crate) transcripts: Vec<Transcript>,
    pub(crate) recorder: Option<Recorder>,
    randoms: u8,
    commands: u128,
}

impl World {
    pub(crate) fn new(auth: AuthType) -> Self {
        Self::with(account(auth))
    }

    pub(crate) fn with(account: Account) -> Self {
        Self::limited(account, SessionConfig::default())
    }

    pub(crate) fn limited(account: Account, config: SessionConfig) -> Self {
        Self {
            session: Session::open(account, config),
            queue: Queue::default(),
            now: START,
            peer: Peer { source: "192.0.2.1".into(), ..Peer::default() },
            style: Style::xml(Version::V1_2),
            effects: Vec::new(),
            last: None,
            transcripts: Vec::new(),
            recorder: Some(Recorder::new(Arc::new(|_| false))),
            randoms: 0,
            commands: 0,
        }
    }

    /// A command as the raw planner would queue it.
    pub(crate) fn queue(&mut self, verb: Verb, items: Vec<BodyItem>) -> CommandId {
        self.queue_as(verb, items, |_| {})
    }

    pub(crate) fn queue_as(
        &mut self,
        verb: Verb,
        items: Vec<BodyItem>,
        change: impl FnOnce(&mut PendingCommand),
    ) -> CommandId {
        self.commands += 1;
        let id = CommandId(Uuid::from_u128(self.commands));
        let mut command = PendingCommand {
            id,
            operation: OperationId(Uuid::from_u128(1000 + self.commands)),
            kind: OperationKind::Raw,
            lane: Lane::Normal,
            ordered: false,
            created: self.now,
            deadline: None,
            redelivery: postern_engine::command::default_redelivery(verb),
            body: Body::plain(verb, items),
            state: CommandState::Queued,
            sent: None,
            sends: 0,
            accepted: None,
        };
        change(&mut command);
        self.queue.insert(command);
        id
    }

    pub(crate) fn get(&mut self, uri: &str) -> CommandId {
        self.queue(Verb::Get, vec![BodyItem::node(uri)])
    }

    pub(crate) fn add(&mut self, uri: &str, data: &str) -> CommandId {
        self.queue(Verb::Add, vec![leaf(uri, data)])
    }

    pub(crate) fn replace(&mut self, uri: &str, data: &str) -> CommandId {
        self.queue(Verb::Replace, vec![leaf(uri, data)])
    }

    pub(crate) fn exec(&mut self, uri: &str) -> CommandId {
        self.queue(Verb::Exec, vec![BodyItem::node(uri)])
    }

    /// Posts octets as they are.
    pub(crate) fn post_octets(&mut self, content_type: &str, body: &[u8]) -> Reply {
        self.randoms = self.randoms.wrapping_add(1);
        let random = Random([self.randoms; 32]);
        let peer = self.peer.clone();
        let inbound = Inbound { content_type, body, peer: &peer };
        let outcome = self.receive(inbound, random);
        assert!(outcome.durable.iter().all(Effect::is_durable));
        assert!(!outcome.deferred.iter().any(Effect::is_durable));
        self.effects.extend(outcome.durable.iter().chain(&outcome.deferred).cloned());
        let reply = outcome.reply.clone();
        self.last = Some(outcome);
        reply
    }

    /// Gives the engine a message, and takes both down.
    pub(crate) fn receive(&mut self, inbound: Inbound<'_>, random: Random) -> Outcome {
        let now = self.now;
        let Some(recorder) = &mut self.recorder else {
            return self.session.receive(inbound, &mut self.queue, now, random);
        };
        let (before, queue) = (self.session.clone(), self.queue.clone());
        let outcome = self.session.receive(inbound, &mut self.queue, now, random);
        let heard = Heard { before: &before, queue: &queue, inbound, now, random, outcome: &outcome };
        if let Some(transcript) = recorder.hear(&heard) {
            crate::recordings::check(&transcript);
            self.transcripts.push(transcript);
        }
        outcome
    }

    pub(crate) fn post_any(&mut self, message: &Message) -> Reply {
        let body = syncml::encode(message, &self.style).unwrap();
        let content_type = self.style.media_type().header_value();
        self.post_octets(content_type, &body)
    }

    /// Posts a message that must be answered with one.
    pub(crate) fn post(&mut self, message: &Message) -> Answer {
        match self.post_any(message) {
            Reply::Message { body, content_type, close, .. } => {
                assert_eq!(content_type, self.style.media_type().header_value());
                let message =
                    syncml::decode(&body, self.style.encoding, &Default::default()).unwrap().message;
                Answer { message, octets: body.len(), close }
            }
            Reply::Refuse { status, reason } => panic!("refused with {status} {reason:?}"),
        }
    }

    /// Posts a message that must be refused below SyncML.
    pub(crate) fn refused(&mut self, message: &Message) -> (u16, RefusedReason) {
        match self.post_any(message) {
            Reply::Refuse { status, reason } => (status, reason),
            Reply::Message { .. } => panic!("answered"),
        }
    }

    /// The core dies and starts again: only what was committed is left, and the nonce key is another.
    pub(crate) fn restart(&mut self) {
        let account = self.session.account().clone();
        let account = Account { nonce_key: NonceKey::new([10; 32]), nonce_counter: 0, ..account };
        let rows = self.queue.iter().cloned().collect();
        self.queue = Queue::load(rows, 1000);
        self.session = Session::open(account, self.session.config().clone());
    }

    pub(crate) fn after(&mut self, ms: i64) -> &mut Self {
        self.now = self.now.plus(ms);
        self
    }

    /// How a command ended, or stands.
    pub(crate) fn moves(&self, id: CommandId) -> Vec<(CommandState, &'static str)> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::CommandMoved { command, state, cause, .. } if *command == id => {
                    Some((*state, cause.as_str()))
                }
                Effect::CommandSent { command, .. } if *command == id => Some((CommandState::Sent, "sent")),
                Effect::ProbeSent { command, .. } if *command == id => Some((CommandState::Sent, "probe")),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn end(&self, id: CommandId) -> (CommandState, &'static str) {
        *self.moves(id).last().unwrap()
    }

    /// The last move of a command in full.
    pub(crate) fn moved(&self, id: CommandId) -> Effect {
        let of = |effect: &&Effect| matches!(effect, Effect::CommandMoved { command, .. } if *command == id);
        self.effects.iter().rev().find(of).unwrap().clone()
    }
}

pub(crate) fn leaf(uri: &str, data: &str) -> BodyItem {
    BodyItem { format: Some("chr".into()), data: Some(Data::from(data)), ..BodyItem::node(uri) }
}

/// A server message.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) message: Message,
    pub(crate) octets: usize,
    pub(crate) close: bool,
}

impl Answer {
    /// `(Cmd, CmdRef, code)` of each Status.
    pub(crate) fn codes(&self) -> Vec<(&str, u32, u32)> {
        self.statuses().map(|status| (status.cmd.as_str(), status.cmd_ref, status.code)).collect()
    }

    pub(crate) fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.message.body.iter().filter_map(|command| match command {
            Command::Status(status) => Some(status),
            _ => None,
        })
    }

    /// What is neither Status nor Alert.
    pub(crate) fn commands(&self) -> Vec<&Command> {
        let chosen = |command: &&Command| !matches!(command, Command::Status(_) | Command::Alert(_));
        self.message.body.iter().filter(chosen).collect()
    }

    pub(crate) fn alerts(&self) -> Vec<u32> {
        self.message
            .body
            .iter()
            .filter_map(|command| match command {
                Command::Alert(alert) => Some(alert.code),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn chal(&self) -> Option<&Meta> {
        self.statuses().next().and_then(|status| status.chal.as_ref())
    }

    /// The nonce of the challenge.
    pub(crate) fn nonce(&self) -> Vec<u8> {
        auth::decode_nonce(self.chal().unwrap().next_nonce.as_deref().unwrap()).unwrap()
    }
}

/// A client message, put together by hand.
#[derive(Clone)]
pub(crate) struct Say(pub(crate) Message);

impl Say {
    /// SyncHdr of `msg_id` in SessionID "1", an empty body, Final.
    pub(crate) fn new(msg_id: u32) -> Self {
        let header = SyncHdr {
            ver_dtd: "1.2".into(),
            ver_proto: "DM/1.2".into(),
            session_id: "1".into(),
            msg_id,
            target: Location::uri(SERVER),
            source: Location::uri(DEVICE),
            ..SyncHdr::default()
        };
        Self(Message { version: Version::V1_2, header, body: Vec::new(), is_final: true })
    }

    /// Package 1 without credentials: Alert 1201 and DevInfo.
    pub(crate) fn package1(msg_id: u32) -> Self {
        Self::new(msg_id).alert(1201).dev_info()
    }

    fn next(&self) -> u32 {
        u32::try_from(self.0.body.len()).unwrap() + 1
    }

    pub(crate) fn session(mut self, id: &str) -> Self {
        self.0.header.session_id = id.into();
        self
    }

    pub(crate) fn max_msg(mut self, octets: u64) -> Self {
        self.0.header.meta.max_msg_size = Some(octets);
        self
    }

    pub(crate) fn max_obj(mut self, octets: u64) -> Self {
        self.0.header.meta.max_obj_size = Some(octets);
        self
    }

    pub(crate) fn basic(self) -> Self {
        self.cred(auth::TYPE_BASIC, auth::basic(USER, PASSWORD))
    }

    pub(crate) fn md5(self, nonce: &[u8]) -> Self {
        let digest = auth::md5_digest(&auth::user_password_hash(USER, PASSWORD), nonce);
        self.cred(auth::TYPE_MD5, digest)
    }

    pub(crate) fn cred(mut self, type_: &str, data: String) -> Self {
        let meta = Meta { format: Some("b64".into()), type_: Some(type_.into()), ..Meta::default() };
        self.0.header.cred = Some(Cred { meta, data: Data::Text(data) });
        self
    }

    pub(crate) fn alert(self, code: u32) -> Self {
        let cmd_id = self.next();
        self.with(Command::Alert(Alert { cmd_id, code, ..Alert::default() }))
    }

    pub(crate) fn generic(
        self,
        source: &str,
        type_: Option<&str>,
        data: &str,
        correlator: Option<&str>,
    ) -> Self {
        let meta = Meta { format: Some("chr".into()), type_: type_.map(Into::into), ..Meta::default() };
        let item =
            Item { source: Some(Location::uri(source)), meta, data: Some(data.into()), ..Item::default() };
        let cmd_id = self.next();
        let correlator = correlator.map(Into::into);
        self.with(Command::Alert(Alert {
            cmd_id,
            code: 1226,
            correlator,
            items: vec![item],
            ..Alert::default()
        }))
    }

    pub(crate) fn dev_info(self) -> Self {
        let leaf = |(name, value): (&str, &str)| Item {
            source: Some(Location::uri(format!("./DevInfo/{name}"))),
            data: Some(value.into()),
            ..Item::default()
        };
        let leaves = [("Lang", "en"), ("DmV", "1.2"), ("Mod", "m"), ("Man", "x"), ("DevId", DEVICE)];
        let cmd_id = self.next();
        let items = leaves.into_iter().map(leaf).collect();
        self.with(Command::Replace(Request { cmd_id, items, ..Request::default() }))
    }

    /// Status 212 for SyncHdr of the server's message.
    pub(crate) fn hello(self, msg_ref: u32) -> Self {
        self.status(msg_ref, 0, "SyncHdr", 212)
    }

    pub(crate) fn status(self, msg_ref: u32, cmd_ref: u32, cmd: &str, code: u32) -> Self {
        self.status_of(msg_ref, cmd_ref, cmd, code, |_| {})
    }

    pub(crate) fn status_of(
        self,
        msg_ref: u32,
        cmd_ref: u32,
        cmd: &str,
        code: u32,
        change: impl FnOnce(&mut Status),
    ) -> Self {
        let cmd_id = self.next();
        let msg_ref = Some(msg_ref);
        let mut status = Status { cmd_id, msg_ref, cmd_ref, cmd: cmd.into(), code, ..Status::default() };
        change(&mut status);
        self.with(Command::Status(status))
    }

    pub(crate) fn results(self, msg_ref: u32, cmd_ref: u32, items: &[(&str, &str)]) -> Self {
        let item = |(uri, data): &(&str, &str)| Item {
            source: Some(Location::uri(*uri)),
            data: Some((*data).into()),
            ..Item::default()
        };
        let cmd_id = self.next();
        let items = items.iter().map(item).collect();
        self.with(Command::Results(Results {
            cmd_id,
            msg_ref: Some(msg_ref),
            cmd_ref,
            items,
            ..Results::default()
        }))
    }

    pub(crate) fn with(mut self, command: Command) -> Self {
        self.0.body.push(command);
        self
    }

    pub(crate) fn unfinished(mut self) -> Self {
        self.0.is_final = false;
        self
    }

    pub(crate) fn header(mut self, change: impl FnOnce(&mut SyncHdr)) -> Self {
        change(&mut self.0.header);
        self
    }
}

/// The CmdID of a command.
pub(crate) fn cmd_id(command: &Command) -> u32 {
    match command {
        Command::Add(request)
        | Command::Replace(request)
        | Command::Get(request)
        | Command::Delete(request)
        | Command::Copy(request)
        | Command::Exec(request) => request.cmd_id,
        Command::Alert(alert) => alert.cmd_id,
        Command::Status(status) => status.cmd_id,
        Command::Atomic(group) | Command::Sequence(group) => group.cmd_id,
        other => panic!("{other:?}"),
    }
}
