//! A scripted client's session with a server, message by message.

use postern_wire::{
    auth::{self, HmacHeader},
    syncml::{
        self, Alert, Command, Cred, Data, Item, Limits, Location, MediaType, Message, Meta, MimeFamily,
        Request, Status, SyncHdr,
    },
    terms::AuthType,
};
use rustls::ALL_VERSIONS;
use secrecy::ExposeSecret as _;

use super::{
    Reply,
    bench::Device,
    reply::{answers, flat},
};
use crate::conformance::{
    account::Account,
    http::{self, Connection, HttpsUrl},
    tamper::{Passing, Tamper, Thing},
    variant::Variant,
    verdict::{Miss, Outcome, hold, some},
};

/// Messages that a session may have before it counts as going round in circles.
const MOST_MESSAGES: u32 = 200;

/// What a scripted client shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Good credentials, until 212 says that they are not needed any more.
    Good,
    /// Good credentials in every message.
    Always,
    /// Nothing.
    Nothing,
    /// A wrong password.
    Wrong,
    /// Good credentials of this type, whatever the account says.
    As(AuthType),
}

/// A session.
pub struct Session {
    /// Whose.
    pub account: Account,
    /// In which encoding and version.
    pub variant: Variant,
    /// SessionID.
    pub session_id: String,
    /// MsgID of the next message.
    pub msg_id: u32,
    /// MaxMsgSize that is announced.
    pub max_msg_size: u64,
    /// MaxObjSize that is announced.
    pub max_obj_size: Option<u64>,
    /// RespURI that is sent.
    pub resp_uri: Option<String>,
    /// What it shows of itself.
    pub show: Show,
    /// The server's nonce for the client's proof.
    pub nonce: Option<Vec<u8>>,
    /// The client's nonce for the server's proof.
    pub server_nonce: Option<Vec<u8>>,
    /// The code that took the client's proof.
    pub accepted: Option<u32>,
    /// Where messages go.
    pub url: HttpsUrl,
    connection: Option<Connection>,
    tamper: Option<Tamper>,
    passed: u32,
}

/// A server's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The message.
    pub message: Message,
    /// Its octets.
    pub octets: Vec<u8>,
    /// The HTTP answer's header fields.
    pub headers: Vec<(String, String)>,
}

impl Answer {
    /// Every Status.
    pub fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.message.body.iter().filter_map(|command| match command {
            Command::Status(status) => Some(status),
            _ => None,
        })
    }

    /// The Status for the SyncHdr.
    pub fn header_status(&self) -> Outcome<&Status> {
        some("the Status for SyncHdr", self.statuses().find(|status| status.cmd_ref == 0))
    }

    /// The Status for the command of this name; the first where there are several.
    pub fn status_of(&self, name: &str) -> Outcome<&Status> {
        some(&format!("the Status for {name}"), self.statuses().find(|status| status.cmd == name))
    }

    /// What the server asks for: its commands without Status and Results.
    #[must_use]
    pub fn commands(&self) -> Vec<&Command> {
        let asks = |command: &&Command| !matches!(command, Command::Status(_) | Command::Results(_));
        self.message.body.iter().filter(asks).collect()
    }

    /// The codes of its alerts.
    #[must_use]
    pub fn alerts(&self) -> Vec<u32> {
        let code = |command: &&Command| match command {
            Command::Alert(alert) => Some(alert.code),
            _ => None,
        };
        self.commands().iter().filter_map(code).collect()
    }
}

impl Session {
    /// A session of a device that has not said anything yet.
    pub fn open(
        device: &Device,
        variant: Variant,
        session_id: String,
        tamper: Option<Tamper>,
    ) -> Outcome<Self> {
        let account = device.account.clone();
        let url = HttpsUrl::parse(&account.server_uri);
        let url = url.ok_or_else(|| Miss::broken(format!("{:?} is no https URL", account.server_uri)))?;
        Ok(Self {
            account,
            variant,
            session_id,
            msg_id: 1,
            max_msg_size: 65_536,
            max_obj_size: Some(1 << 20),
            resp_uri: None,
            show: Show::Good,
            nonce: device.nonce.clone(),
            server_nonce: device.server_nonce.clone(),
            accepted: None,
            url,
            connection: None,
            tamper,
            passed: 0,
        })
    }

    /// The commands of package 1: a client-initiated session and DevInfo.
    #[must_use]
    pub fn package_1(&self) -> Vec<Command> {
        let info = [
            ("./DevInfo/DevId", self.account.device_id.as_str()),
            ("./DevInfo/Man", "Conformance"),
            ("./DevInfo/Mod", "script"),
            ("./DevInfo/DmV", self.variant.version.ver_dtd()),
            ("./DevInfo/Lang", "en"),
        ];
        let items = info.map(|(uri, value)| Item {
            source: Some(Location::uri(uri)),
            data: Some(Data::from(value)),
            ..Item::default()
        });
        vec![
            Command::Alert(Alert { code: 1201, ..Alert::default() }),
            Command::Replace(Request { items: items.to_vec(), ..Request::default() }),
        ]
    }

    /// Package 1 and more, until the server has taken the proof: its answer to that message.
    pub fn sign_in(&mut self, more: Vec<Command>) -> Outcome<Answer> {
        for _ in 0..3 {
            let body = [self.package_1(), more.clone()].concat();
            let answer = self.send(body, true)?;
            if self.accepted.is_some() {
                return Ok(answer);
            }
        }
        Err(Miss::broken("the server does not take good credentials"))
    }

    /// Sends a message with the next MsgID and reads the answer.
    pub fn send(&mut self, body: Vec<Command>, is_final: bool) -> Outcome<Answer> {
        let message = self.message(body, is_final);
        self.send_message(&message)
    }

    /// The message that [`Self::send`] would send; counts it.
    pub fn message(&mut self, mut body: Vec<Command>, is_final: bool) -> Message {
        number(&mut body, &mut 0);
        let cred = self.cred();
        let name = self.account.user.clone().filter(|_| cred.is_some());
        let version = self.variant.version;
        let message = Message {
            version,
            header: SyncHdr {
                ver_dtd: version.ver_dtd().to_owned(),
                ver_proto: version.ver_proto().to_owned(),
                session_id: self.session_id.clone(),
                msg_id: self.msg_id,
                target: Location::uri(&self.account.server_uri),
                source: Location { uri: self.account.device_id.clone(), name },
                resp_uri: self.resp_uri.clone(),
                cred,
                meta: Meta {
                    max_msg_size: Some(self.max_msg_size),
                    max_obj_size: self.max_obj_size,
                    ..Meta::default()
                },
                ..SyncHdr::default()
            },
            body,
            is_final,
        };
        self.msg_id += 1;
        message
    }

    /// Sends a message as it is.
    pub fn send_message(&mut self, message: &Message) -> Outcome<Answer> {
        let octets = self.encode(message)?;
        self.send_octets(octets)
    }

    /// A message in this session's encoding.
    pub fn encode(&self, message: &Message) -> Outcome<Vec<u8>> {
        syncml::encode(message, &self.variant.style())
            .map_err(|error| Miss::broken(format!("the script's message cannot be written: {error}")))
    }

    /// Sends octets as a message; the answer has to be one too.
    pub fn send_octets(&mut self, octets: Vec<u8>) -> Outcome<Answer> {
        let response = self.post(octets)?;
        self.take(response)
    }

    /// Reads an HTTP answer as a message, and learns what it says of the proof.
    pub fn take(&mut self, response: http::Response) -> Outcome<Answer> {
        hold(response.status == 200, || format!("the answer is {}", response.summary()))?;
        let media = response.header("content-type").and_then(MediaType::parse);
        let media = media.ok_or_else(|| Miss::broken("the answer's media type is none of SyncML"))?;
        let decoded = syncml::decode(&response.body, media.encoding(), &Limits::default())
            .map_err(|error| Miss::broken(format!("the answer cannot be read: {error}")))?;
        let answer = Answer { message: decoded.message, octets: response.body, headers: response.headers };
        self.learn(&answer);
        Ok(answer)
    }

    /// Posts octets with this session's media type, and auth-MAC where that is how it proves itself.
    pub fn post(&mut self, octets: Vec<u8>) -> Outcome<http::Response> {
        let media = MediaType::of(self.variant.encoding, MimeFamily::Dm);
        let mut headers = vec![("Content-Type".to_owned(), media.header_value().to_owned())];
        headers.extend(self.mac(&octets).map(|mac| (auth::HMAC_HEADER.to_owned(), mac)));
        self.exchange(http::Request {
            method: "POST".to_owned(),
            path: self.url.path.clone(),
            headers,
            body: octets,
            chunked: false,
        })
    }

    /// One HTTP exchange on this session's connection.
    pub fn exchange(&mut self, mut request: http::Request) -> Outcome<http::Response> {
        let nth = self.passed;
        self.passed += 1;
        hold(nth < MOST_MESSAGES, || "the session does not end".to_owned())?;
        self.tamper(nth, Thing::Request(&mut request));
        if self.connection.is_none() {
            let config =
                http::client_config(&self.account.ca_pem, self.account.identity.as_ref(), ALL_VERSIONS)?;
            self.connection = Some(Connection::open(&self.url, config)?);
        }
        let connection = some("the connection", self.connection.as_mut())?;
        let mut response = connection.exchange(&request)?;
        if response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = None;
        }
        self.tamper(nth, Thing::Answer(&mut response));
        Ok(response)
    }

    /// Ends the connection; the next message opens another.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// The answers to a server's message: Status for its header and for each command, with Results.
    pub fn answers(&mut self, answer: &Answer, mut reply: impl FnMut(&Command) -> Reply) -> Vec<Command> {
        let header = &answer.message.header;
        let mut body = vec![Command::Status(self.header_answer(answer))];
        for command in flat(&answer.message.body) {
            if !matches!(command, Command::Status(_) | Command::Results(_)) {
                body.extend(answers(command, header.msg_id, reply(command)));
            }
        }
        body
    }

    /// The Status for the SyncHdr of a server's message.
    #[must_use]
    pub fn header_answer(&self, answer: &Answer) -> Status {
        let header = &answer.message.header;
        Status {
            msg_ref: Some(header.msg_id),
            cmd: "SyncHdr".to_owned(),
            target_refs: vec![header.target.uri.clone()],
            source_refs: vec![header.source.uri.clone()],
            code: if header.cred.is_some() { 212 } else { 200 },
            ..Status::default()
        }
    }

    /// Answers everything that the server asks for until it asks for nothing more; what it asked for.
    pub fn finish(
        &mut self,
        first: Answer,
        mut reply: impl FnMut(&Command) -> Reply,
    ) -> Outcome<Vec<Command>> {
        let mut asked = Vec::new();
        let mut answer = first;
        loop {
            let commands: Vec<_> = answer.commands().into_iter().cloned().collect();
            if commands.is_empty() {
                return Ok(asked);
            }
            asked.extend(commands);
            let body = self.answers(&answer, &mut reply);
            answer = self.send(body, true)?;
        }
    }

    /// The credentials that this session shows now.
    fn cred(&self) -> Option<Cred> {
        let user = self.account.user.as_deref()?;
        let password = self.account.password.as_ref()?.expose_secret();
        let (type_, password) = match self.show {
            Show::Nothing => return None,
            Show::Good if self.accepted == Some(212) => return None,
            Show::Wrong => (self.account.auth, "not the password"),
            Show::As(type_) => (type_, password),
            Show::Good | Show::Always => (self.account.auth, password),
        };
        let (type_, data) = match type_ {
            AuthType::Basic => (auth::TYPE_BASIC, auth::basic(user, password)),
            AuthType::Md5 => {
                let nonce = self.nonce.as_deref()?;
                (auth::TYPE_MD5, auth::md5_digest(&auth::user_password_hash(user, password), nonce))
            }
            _ => return None,
        };
        let meta = Meta { format: Some("b64".into()), type_: Some(type_.into()), ..Meta::default() };
        Some(Cred { meta, data: Data::from(data) })
    }

    /// The value of x-syncml-hmac for a message, where this session proves itself so.
    fn mac(&self, octets: &[u8]) -> Option<String> {
        let hmac = match self.show {
            Show::As(type_) => type_ == AuthType::Hmac,
            Show::Nothing => false,
            _ => self.account.auth == AuthType::Hmac,
        };
        let user = self.account.user.as_deref().filter(|_| hmac)?;
        let password = match self.show {
            Show::Wrong => "not the password",
            _ => self.account.password.as_ref()?.expose_secret(),
        };
        let hash = auth::user_password_hash(user, password);
        let mac = auth::mac(&hash, self.nonce.as_deref()?, octets);
        Some(HmacHeader { username: user.to_owned(), mac }.to_string())
    }

    /// Takes what the server said of our proof, and its next nonce.
    fn learn(&mut self, answer: &Answer) {
        let Ok(status) = answer.header_status() else { return };
        if matches!(status.code, 200 | 212) {
            self.accepted = Some(status.code);
        }
        let nonce = status.chal.as_ref().and_then(|chal| chal.next_nonce.as_deref());
        if let Some(nonce) = nonce.and_then(auth::decode_nonce) {
            self.nonce = Some(nonce);
        }
    }

    fn tamper(&self, nth: u32, thing: Thing<'_>) {
        if let Some(tamper) = self.tamper {
            tamper(&mut Passing { nth, thing });
        }
    }
}

/// Gives CmdIDs to the commands that have none, from 1.
pub fn number(commands: &mut [Command], last: &mut u32) {
    for command in commands {
        let id = match command {
            Command::Alert(alert) => &mut alert.cmd_id,
            Command::Status(status) => &mut status.cmd_id,
            Command::Results(results) => &mut results.cmd_id,
            Command::Atomic(group) | Command::Sequence(group) => {
                *last += 1;
                if group.cmd_id == 0 {
                    group.cmd_id = *last;
                }
                number(&mut group.commands, last);
                continue;
            }
            Command::Add(request)
            | Command::Replace(request)
            | Command::Get(request)
            | Command::Delete(request)
            | Command::Copy(request)
            | Command::Exec(request) => &mut request.cmd_id,
            Command::Unknown { .. } => continue,
        };
        *last += 1;
        if *id == 0 {
            *id = *last;
        }
    }
}
