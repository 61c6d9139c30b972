//! A scripted server's side of one session, message by message.

use postern_wire::{
    auth,
    syncml::{
        self, Alert, Command, Cred, Data, Limits, Location, MediaType, Message, Meta, Results, Status, Style,
        SyncHdr,
    },
};

use super::{
    bench::{SERVER_ID, Target},
    listener::Link,
};
use crate::conformance::{
    http::{Request, Response},
    server::session::number,
    tamper::{Passing, Tamper, Thing},
    verdict::{Miss, Outcome, hold, some},
};

/// Messages that a client may need for one package.
const MOST_MESSAGES: u32 = 100;

/// A session, and the client's last message.
pub struct Session<'t> {
    target: &'t mut Target,
    link: Option<Link>,
    tamper: Option<Tamper>,
    passed: u32,
    /// The client's last message.
    pub message: Message,
    /// Its octets.
    pub octets: usize,
    /// The HTTP request that it came in.
    pub request: Request,
    style: Style,
    msg_id: u32,
    /// MaxMsgSize that is announced.
    pub max_msg_size: Option<u64>,
    /// RespURI that is sent.
    pub resp_uri: Option<String>,
    /// The Status code for the client's SyncHdr.
    pub header_code: u32,
    /// The challenge beside it.
    pub chal: Option<Meta>,
    /// The server's credentials.
    pub cred: Option<Cred>,
}

/// What a client answered to a package of commands.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Every Status, those for SyncHdr too.
    pub statuses: Vec<Status>,
    /// Every Results.
    pub results: Vec<Results>,
    /// Every Alert.
    pub alerts: Vec<Alert>,
    /// Octets of each message.
    pub octets: Vec<usize>,
    /// Which of them had Final.
    pub finals: Vec<bool>,
}

impl Done {
    /// The Status codes of the command with this CmdID.
    #[must_use]
    pub fn codes(&self, cmd_id: u32) -> Vec<u32> {
        self.statuses.iter().filter(|status| status.cmd_ref == cmd_id).map(|status| status.code).collect()
    }

    /// The one Status code of the command with this CmdID.
    pub fn code(&self, cmd_id: u32) -> Outcome<u32> {
        some(&format!("the Status for command {cmd_id}"), self.codes(cmd_id).first().copied())
    }

    /// The Data of the Results for the command with this CmdID, chunks joined.
    #[must_use]
    pub fn value(&self, cmd_id: u32) -> Option<String> {
        let items = self
            .results
            .iter()
            .filter(|results| results.cmd_ref == cmd_id)
            .flat_map(|results| &results.items);
        let texts: Vec<_> = items.filter_map(|item| item.data.as_ref()?.as_text()).collect();
        (!texts.is_empty()).then(|| texts.concat())
    }

    fn take(&mut self, message: &Message, octets: usize) {
        for command in &message.body {
            match command {
                Command::Status(status) => self.statuses.push(status.clone()),
                Command::Results(results) => self.results.push(results.clone()),
                Command::Alert(alert) if alert.code != 1222 => self.alerts.push(alert.clone()),
                _ => {}
            }
        }
        self.octets.push(octets);
        self.finals.push(message.is_final);
    }
}

impl<'t> Session<'t> {
    /// A session whose first message has come.
    pub fn new(
        target: &'t mut Target,
        link: Link,
        request: Request,
        tamper: Option<Tamper>,
    ) -> Outcome<Self> {
        let mut session = Self {
            target,
            link: Some(link),
            tamper,
            passed: 0,
            message: Message {
                version: syncml::Version::V1_2,
                header: SyncHdr::default(),
                body: Vec::new(),
                is_final: false,
            },
            octets: 0,
            request: Request::default(),
            style: Style::xml(syncml::Version::V1_2),
            msg_id: 0,
            max_msg_size: None,
            resp_uri: None,
            header_code: 212,
            chal: None,
            cred: None,
        };
        session.take(request)?;
        Ok(session)
    }

    /// Sends these commands with Final and takes the client's answer to all of them, asking for more until its package
    /// is complete. Commands have CmdIDs from 101 on.
    pub fn run(&mut self, commands: &str) -> Outcome<Done> {
        self.send(commands, true)?;
        let mut done = Done::default();
        for _ in 0..MOST_MESSAGES {
            self.receive()?;
            done.take(&self.message, self.octets);
            if self.message.is_final {
                return Ok(done);
            }
            self.send("", false)?;
        }
        Err(Miss::broken("the client's package does not end"))
    }

    /// The client's answer in its one next message.
    pub fn once(&mut self, commands: &str, is_final: bool) -> Outcome<Done> {
        self.send(commands, is_final)?;
        self.receive()?;
        let mut done = Done::default();
        done.take(&self.message, self.octets);
        Ok(done)
    }

    /// Answers the client's last message: Status for everything in it, these commands, and Alert 1222 where neither
    /// they nor Final tell the client to go on.
    pub fn send(&mut self, commands: &str, is_final: bool) -> Outcome {
        let mut body = self.statuses();
        if !commands.is_empty() {
            body.extend(commands_of(commands)?);
        } else if !is_final {
            body.push(Command::Alert(Alert { code: 1222, ..Alert::default() }));
        }
        self.send_body(body, is_final)
    }

    /// Sends a body as it is, CmdIDs apart.
    pub fn send_body(&mut self, mut body: Vec<Command>, is_final: bool) -> Outcome {
        number(&mut body, &mut 0);
        let message = self.reply(body, is_final);
        let octets = syncml::encode(&message, &self.style)
            .map_err(|error| Miss::broken(format!("the script's message cannot be written: {error}")))?;
        self.send_octets(octets)
    }

    /// Sends octets as the answer.
    pub fn send_octets(&mut self, octets: Vec<u8>) -> Outcome {
        let media = self.style.media_type().header_value().to_owned();
        let headers = vec![("content-type".to_owned(), media)];
        self.respond(Response { status: 200, headers, body: octets })
    }

    /// Sends an HTTP answer.
    pub fn respond(&mut self, mut response: Response) -> Outcome {
        self.tamper(Thing::Answer(&mut response));
        some("the client's connection", self.link.as_mut())?.answer(&response)?;
        Ok(())
    }

    /// The message that answers the last one.
    pub fn reply(&mut self, body: Vec<Command>, is_final: bool) -> Message {
        self.msg_id += 1;
        let theirs = &self.message.header;
        let name = self.cred.is_some().then(|| SERVER_ID.to_owned());
        Message {
            version: self.message.version,
            header: SyncHdr {
                ver_dtd: theirs.ver_dtd.clone(),
                ver_proto: theirs.ver_proto.clone(),
                session_id: theirs.session_id.clone(),
                msg_id: self.msg_id,
                target: Location::uri(&theirs.source.uri),
                source: Location { uri: theirs.target.uri.clone(), name },
                resp_uri: self.resp_uri.clone(),
                cred: self.cred.clone(),
                meta: Meta { max_msg_size: self.max_msg_size, ..Meta::default() },
                ..SyncHdr::default()
            },
            body,
            is_final,
        }
    }

    /// The octets of a message in this session's encoding.
    pub fn encode(&self, message: &Message) -> Outcome<Vec<u8>> {
        syncml::encode(message, &self.style)
            .map_err(|error| Miss::broken(format!("the script's message cannot be written: {error}")))
    }

    /// Waits for the client's next message, which has to come.
    pub fn receive(&mut self) -> Outcome {
        let next = self.target.next_request(self.link.take())?;
        let (link, request) = next.ok_or_else(|| Miss::broken("the client ends the session too early"))?;
        self.link = Some(link);
        let session_id = self.message.header.session_id.clone();
        self.take(request)?;
        hold(self.message.header.session_id == session_id, || "the client opens another session".to_owned())
    }

    /// Ends the session with Status and Final, and wants nothing more of the client.
    pub fn close(mut self) -> Outcome {
        let statuses = self.statuses();
        self.send_body(statuses, true)?;
        self.ends()
    }

    /// Wants the client to say nothing more in this session.
    pub fn ends(mut self) -> Outcome {
        let session_id = self.message.header.session_id.clone();
        let Some((link, request)) = self.target.next_request(self.link.take())? else { return Ok(()) };
        let message = decode(&request)?;
        if message.header.session_id != session_id && message.header.msg_id == 1 {
            self.target.waiting = Some((link, request)); // the next case's
            return Ok(());
        }
        Err(Miss::broken("the client goes on where the session is over"))
    }

    /// Status for the header and everything else in the client's last message.
    #[must_use]
    pub fn statuses(&self) -> Vec<Command> {
        let header = &self.message.header;
        let mut body = vec![Command::Status(Status {
            msg_ref: Some(header.msg_id),
            cmd: "SyncHdr".to_owned(),
            target_refs: vec![header.target.uri.clone()],
            source_refs: vec![header.source.uri.clone()],
            code: self.header_code,
            chal: self.chal.clone(),
            ..Status::default()
        })];
        let failed = self.header_code >= 400;
        for command in &self.message.body {
            let (cmd, cmd_ref, code) = match command {
                Command::Alert(alert) => ("Alert", alert.cmd_id, 200),
                Command::Replace(request) => ("Replace", request.cmd_id, 200),
                Command::Results(results) if results.items.iter().any(|item| item.more_data) => {
                    ("Results", results.cmd_id, 213)
                }
                _ => continue,
            };
            let code = if failed { self.header_code } else { code };
            body.push(Command::Status(Status {
                msg_ref: Some(header.msg_id),
                cmd_ref,
                cmd: cmd.to_owned(),
                code,
                ..Status::default()
            }));
        }
        body
    }

    /// The server's md5 credentials under a nonce.
    #[must_use]
    pub fn server_md5(password: &str, nonce: &[u8]) -> Cred {
        let digest = auth::md5_digest(&auth::user_password_hash(SERVER_ID, password), nonce);
        let meta = Meta { format: Some("b64".into()), type_: Some(auth::TYPE_MD5.into()), ..Meta::default() };
        Cred { meta, data: Data::from(digest) }
    }

    fn take(&mut self, mut request: Request) -> Outcome {
        self.tamper(Thing::Request(&mut request));
        self.passed += 1;
        let media = request.header("content-type").and_then(MediaType::parse);
        let media = media.ok_or_else(|| Miss::broken("the request's media type is none of SyncML"))?;
        let decoded = syncml::decode(&request.body, media.encoding(), &Limits::default())
            .map_err(|error| Miss::broken(format!("the client's message cannot be read: {error}")))?;
        self.octets = request.body.len();
        self.message = decoded.message;
        self.style = decoded.style.with_family(media.family());
        self.request = request;
        Ok(())
    }

    fn tamper(&self, thing: Thing<'_>) {
        if let Some(tamper) = self.tamper {
            tamper(&mut Passing { nth: self.passed, thing });
        }
    }
}

fn decode(request: &Request) -> Outcome<Message> {
    let media = request.header("content-type").and_then(MediaType::parse);
    let media = media.ok_or_else(|| Miss::broken("the request's media type is none of SyncML"))?;
    syncml::decode(&request.body, media.encoding(), &Limits::default())
        .map(|decoded| decoded.message)
        .map_err(|error| Miss::broken(format!("the client's message cannot be read: {error}")))
}

/// Commands given as XML.
pub fn commands_of(xml: &str) -> Outcome<Vec<Command>> {
    syncml::decode_commands(xml.as_bytes(), &Limits::default())
        .map(|(commands, _)| commands)
        .map_err(|error| Miss::broken(format!("the script's commands cannot be read: {error}")))
}
