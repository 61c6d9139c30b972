//! A scripted DM client: a session message by message, so that a test can stop, break or repeat it anywhere.
//!
//! It does what OMA-TS-DM_Protocol 1.2.1 asks of a client with one account and no more; what a device of ours
//! does beside that is postern-device's.

use std::{io, net::SocketAddr, time::Duration};

use postern_api::devices::EnrolmentFile;
use postern_wire::{
    auth,
    syncml::{
        self, Alert, Command, Cred, Data, Encoding, Item, Limits, Location, Message, Meta, Request, Results,
        Status, Style, SyncHdr, Version,
    },
    terms::AuthType,
};

use crate::{
    raw::{self, Identity, Response, Tls},
    wait,
};

/// Messages that one session may have before the test counts it as going round in circles.
const MOST_MESSAGES: u32 = 20;
/// How long a check-in is tried again after 503: on a busy machine a link may count as sick for a moment.
const PATIENCE: Duration = Duration::from_secs(20);

/// A device as the script plays it.
#[derive(Clone, Debug)]
pub struct DmClient {
    /// What it was told when it was enrolled.
    pub enrolment: EnrolmentFile,
    /// Where it connects instead of where `server_uri` says: the gateway's port on loopback, or a proxy's.
    pub address: SocketAddr,
    /// The certificate that it shows.
    pub identity: Option<Identity>,
    /// The encoding that it speaks.
    pub encoding: Encoding,
}

/// What came of a message: the HTTP answer, and the message in it where there is one.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP answer.
    pub response: Response,
    /// The message in it.
    pub message: Option<Message>,
}

/// What a whole check-in came to.
#[derive(Clone, Debug, Default)]
pub struct CheckIn {
    /// The commands that the server sent, Status and Results left out.
    pub commands: Vec<Command>,
    /// Messages that were sent.
    pub messages: u32,
    /// Status of the last message that carried credentials: 212 or 200 when they were taken.
    pub authenticated: bool,
    /// The HTTP status that ended it, where that was none of 200.
    pub refused: Option<(u16, Option<String>)>,
}

/// An open session.
#[derive(Debug)]
pub struct DmSession<'c> {
    client: &'c DmClient,
    tls: Tls,
    /// SessionID of its messages.
    pub session_id: String,
    /// MsgID of the next message.
    pub next_message: u32,
    /// The largest message that it says it takes, in octets.
    pub max_msg_size: u64,
    /// Whether its next message is the last one of its package.
    pub is_final: bool,
    nonce: Vec<u8>,
    authenticated: bool,
    command_id: u32,
}

impl DmClient {
    /// A client for an enrolment, speaking XML.
    #[must_use]
    pub fn new(enrolment: EnrolmentFile, address: SocketAddr) -> Self {
        Self { enrolment, address, identity: None, encoding: Encoding::Xml }
    }

    /// The path of its device URL.
    #[must_use]
    pub fn path(&self) -> String {
        let uri = self.enrolment.server_uri.trim_start_matches("https://");
        uri.find('/').map_or("/", |at| &uri[at..]).to_owned()
    }

    /// The host of its device URL, without the port.
    #[must_use]
    pub fn host(&self) -> String {
        let uri = self.enrolment.server_uri.trim_start_matches("https://");
        uri.split(['/', ':']).next().unwrap_or_default().to_owned()
    }

    /// A TLS connection to the gateway, and nothing sent yet.
    ///
    /// # Errors
    /// The gateway is not there or refuses the handshake.
    pub fn connect(&self) -> io::Result<Tls> {
        let config = raw::client_config(&self.enrolment.ca_pem, self.identity.as_ref());
        Tls::connect(self.address, &self.host(), config)
    }

    /// A connection and a session that has not said anything yet.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn open(&self, session_id: &str) -> io::Result<DmSession<'_>> {
        Ok(DmSession {
            client: self,
            tls: self.connect()?,
            session_id: session_id.to_owned(),
            next_message: 1,
            max_msg_size: 65_536,
            is_final: true,
            nonce: Vec::new(),
            authenticated: false,
            command_id: 0,
        })
    }

    /// A whole session: package 1, then an answer to everything until the server has no more.
    ///
    /// # Errors
    /// The connection broke, or an answer was no SyncML.
    pub fn check_in(&self, session_id: &str) -> io::Result<CheckIn> {
        self.check_in_with(session_id, answered_with_200)
    }

    /// The same with answers of the test's own: the Status and Results for each command. A device that is told to come
    /// back later before anything else was said does, as often as [`PATIENCE`] lets it.
    ///
    /// # Errors
    /// As [`Self::check_in`].
    pub fn check_in_with(
        &self,
        session_id: &str,
        mut answer: impl FnMut(&Command) -> (u32, Option<Data>),
    ) -> io::Result<CheckIn> {
        let began = wait::now();
        loop {
            let check_in = self.session(session_id, &mut answer)?;
            let later = check_in.messages == 1 && matches!(check_in.refused, Some((502 | 503, _)));
            if !later || began.elapsed() > PATIENCE {
                return Ok(check_in);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn session(
        &self,
        session_id: &str,
        answer: &mut impl FnMut(&Command) -> (u32, Option<Data>),
    ) -> io::Result<CheckIn> {
        let mut session = self.open(session_id)?;
        let mut whole = CheckIn::default();
        let mut body = session.package_1();
        while whole.messages < MOST_MESSAGES {
            whole.messages += 1;
            let answered = session.exchange(body)?;
            let Some(message) = answered.message else {
                whole.refused = Some((answered.response.status, answered.response.slug()));
                return Ok(whole);
            };
            whole.authenticated = session.authenticated;
            let commands = commands_of(&message);
            whole.commands.extend(commands.iter().cloned());
            let challenged = !session.authenticated && session.next_message <= 3;
            if commands.is_empty() && !challenged {
                return Ok(whole);
            }
            body =
                if session.authenticated { session.answers(&message, answer) } else { session.package_1() };
        }
        Err(io::Error::other("the session does not end"))
    }
}

impl DmSession<'_> {
    /// The commands of package 1: a client-initiated session and DevInfo.
    pub fn package_1(&mut self) -> Vec<Command> {
        let info = [
            ("./DevInfo/DevId", self.client.enrolment.device_id.clone()),
            ("./DevInfo/Man", "Example".to_owned()),
            ("./DevInfo/Mod", "script".to_owned()),
            ("./DevInfo/DmV", "1.2".to_owned()),
            ("./DevInfo/Lang", "en".to_owned()),
        ];
        let items = info.map(|(uri, value)| Item {
            source: Some(Location::uri(uri)),
            data: Some(Data::from(value)),
            ..Item::default()
        });
        vec![
            Command::Alert(Alert { cmd_id: self.command(), code: 1201, ..Alert::default() }),
            Command::Replace(Request { cmd_id: self.command(), items: items.to_vec(), ..Request::default() }),
        ]
    }

    /// Sends one message and reads the answer; learns the nonce of a challenge.
    ///
    /// # Errors
    /// The connection broke, or a 200 held no SyncML.
    pub fn exchange(&mut self, body: Vec<Command>) -> io::Result<Answer> {
        let octets = self.message(body);
        self.send(&octets)
    }

    /// As [`Self::exchange`]; while it is told to come back later, the same message again on a new connection, as often as
    /// [`PATIENCE`] lets it.
    ///
    /// # Errors
    /// As [`Self::exchange`].
    pub fn persist(&mut self, body: Vec<Command>) -> io::Result<Answer> {
        let octets = self.message(body);
        let began = wait::now();
        loop {
            let answer = self.send(&octets)?;
            if !matches!(answer.response.status, 502 | 503) || began.elapsed() > PATIENCE {
                return Ok(answer);
            }
            std::thread::sleep(Duration::from_millis(200));
            self.tls = self.client.connect()?;
        }
    }

    /// The octets of a message with the next MsgID.
    pub fn message(&mut self, body: Vec<Command>) -> Vec<u8> {
        let message = Message {
            version: Version::V1_2,
            header: SyncHdr {
                ver_dtd: Version::V1_2.ver_dtd().to_owned(),
                ver_proto: Version::V1_2.ver_proto().to_owned(),
                session_id: self.session_id.clone(),
                msg_id: self.next_message,
                target: Location::uri(&self.client.enrolment.server_uri),
                source: Location {
                    uri: self.client.enrolment.device_id.clone(),
                    name: self.client.enrolment.user.clone(),
                },
                cred: if self.authenticated { None } else { self.cred() },
                meta: Meta { max_msg_size: Some(self.max_msg_size), ..Meta::default() },
                ..SyncHdr::default()
            },
            body,
            is_final: self.is_final,
        };
        self.next_message += 1;
        self.command_id = 0;
        let style = match self.client.encoding {
            Encoding::Xml => Style::xml(Version::V1_2),
            Encoding::Wbxml => Style::wbxml(Version::V1_2),
        };
        syncml::encode(&message, &style).expect("a script's messages can be encoded")
    }

    /// Sends octets as a message and reads the answer.
    ///
    /// # Errors
    /// As [`Self::exchange`].
    pub fn send(&mut self, octets: &[u8]) -> io::Result<Answer> {
        let media = syncml::MediaType::of(self.client.encoding, syncml::MimeFamily::Dm);
        let response = self.tls.post(&self.client.path(), &[("Content-Type", media.as_str())], octets)?;
        if response.status != 200 {
            return Ok(Answer { response, message: None });
        }
        let decoded = syncml::decode(&response.body, self.client.encoding, &Limits::default())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        self.learn(&decoded.message);
        Ok(Answer { response, message: Some(decoded.message) })
    }

    /// Whether the server has taken the credentials.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The connection, for what a test does to it.
    pub fn tls(&mut self) -> &mut Tls {
        &mut self.tls
    }

    /// The answers to a server's message: Status for its header and each command, Results where there are any.
    pub fn answers(
        &mut self,
        message: &Message,
        answer: &mut impl FnMut(&Command) -> (u32, Option<Data>),
    ) -> Vec<Command> {
        let msg_ref = Some(message.header.msg_id);
        let code = if message.header.cred.is_some() { 212 } else { 200 };
        let mut body = vec![Command::Status(Status {
            cmd_id: self.command(),
            msg_ref,
            cmd_ref: 0,
            cmd: "SyncHdr".to_owned(),
            code,
            ..Status::default()
        })];
        for command in flat(&message.body) {
            let Some((cmd, request)) = request_of(&command) else { continue };
            let (code, data) = answer(&command);
            body.push(Command::Status(Status {
                cmd_id: self.command(),
                msg_ref,
                cmd_ref: request.cmd_id,
                cmd: cmd.to_owned(),
                code,
                ..Status::default()
            }));
            let target = request.items.first().and_then(|item| item.target.clone());
            if let (Command::Get(_), Some(data), Some(target)) = (&command, data, target) {
                let item = Item { source: Some(target), data: Some(data), ..Item::default() };
                body.push(Command::Results(Results {
                    cmd_id: self.command(),
                    msg_ref,
                    cmd_ref: request.cmd_id,
                    items: vec![item],
                    ..Results::default()
                }));
            }
        }
        body
    }

    fn command(&mut self) -> u32 {
        self.command_id += 1;
        self.command_id
    }

    fn cred(&self) -> Option<Cred> {
        let file = &self.client.enrolment;
        let (user, password) = (file.user.as_deref()?, file.password.as_deref()?);
        let (type_, data) = match file.auth {
            AuthType::Basic => ("syncml:auth-basic", auth::basic(user, password)),
            AuthType::Md5 => {
                let hash = auth::user_password_hash(user, password);
                ("syncml:auth-md5", auth::md5_digest(&hash, &self.nonce))
            }
            AuthType::Hmac | AuthType::Certificate | AuthType::Signed => return None,
        };
        let meta = Meta { format: Some("b64".to_owned()), type_: Some(type_.to_owned()), ..Meta::default() };
        Some(Cred { meta, data: Data::from(data) })
    }

    /// Takes what the server said of our credentials.
    fn learn(&mut self, message: &Message) {
        for command in &message.body {
            let Command::Status(status) = command else { continue };
            if status.cmd_ref != 0 || status.cmd != "SyncHdr" {
                continue;
            }
            self.authenticated = matches!(status.code, 200 | 212);
            let nonce = status.chal.as_ref().and_then(|chal| chal.next_nonce.as_deref());
            if let Some(nonce) = nonce.and_then(auth::decode_nonce) {
                self.nonce = nonce;
            }
        }
    }
}

/// The default answer: 200 to everything, and "script" for what is read.
#[must_use]
pub fn answered_with_200(_: &Command) -> (u32, Option<Data>) {
    (200, Some(Data::from("script")))
}

/// What a server's message asks for: its commands without Status and Results.
#[must_use]
pub fn commands_of(message: &Message) -> Vec<Command> {
    let asks = |command: &&Command| !matches!(command, Command::Status(_) | Command::Results(_));
    message.body.iter().filter(asks).cloned().collect()
}

/// Commands with those inside Atomic and Sequence behind their container.
fn flat(commands: &[Command]) -> Vec<Command> {
    let inside = |command: &Command| match command {
        Command::Atomic(group) | Command::Sequence(group) => flat(&group.commands),
        _ => Vec::new(),
    };
    commands.iter().flat_map(|command| std::iter::once(command.clone()).chain(inside(command))).collect()
}

/// The name and the content of a command that is answered with a Status.
fn request_of(command: &Command) -> Option<(&'static str, Request)> {
    let container = |cmd_id| Request { cmd_id, ..Request::default() };
    Some(match command {
        Command::Add(request) => ("Add", request.clone()),
        Command::Replace(request) => ("Replace", request.clone()),
        Command::Get(request) => ("Get", request.clone()),
        Command::Delete(request) => ("Delete", request.clone()),
        Command::Copy(request) => ("Copy", request.clone()),
        Command::Exec(request) => ("Exec", request.clone()),
        Command::Atomic(group) => ("Atomic", container(group.cmd_id)),
        Command::Sequence(group) => ("Sequence", container(group.cmd_id)),
        Command::Alert(alert) => ("Alert", container(alert.cmd_id)),
        Command::Status(_) | Command::Results(_) | Command::Unknown { .. } => return None,
    })
}

/// The LocURI that a command is about, where it has one.
#[must_use]
pub fn target_of(command: &Command) -> Option<String> {
    let (_, request) = request_of(command)?;
    Some(request.items.first()?.target.as_ref()?.uri.clone())
}
