//! A server that follows a script, in the same process, and devices enrolled with it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use postern_device::{
    Account, Device, DeviceError, Enrolment, SessionReport, Settings,
    interaction::Scripted as User,
    keys::{SigningKey, new_request},
    state::Storage,
    transport::{Answered, Request, Transport, TransportError},
    unit::{Cause, UnitSettings},
};
use postern_wire::{
    order::{Order, VERSION},
    signature::{self, CORE_KEY_ID, FieldsReceived, Parameters, RequestParts, ResponseParts},
    syncml::{
        Alert, Command, Cred, Data, Encoding, Item, Limits, Location, Message, Meta, Request as DmRequest,
        Status, Style, SyncHdr, Version, decode, encode,
    },
    terms::{AuthType, EnrolmentId, OperationId, UtcMillis},
};
use uuid::Uuid;

pub(crate) const NOW: UtcMillis = UtcMillis(1_700_000_000_000);
pub(crate) const URI: &str = "https://dm.test/dm/1/abc";

/// What the server does with one message.
pub(crate) type Turn = Box<dyn FnMut(&Message) -> Reply + Send>;

pub(crate) enum Reply {
    Message(Box<Message>),
    /// These octets as the body.
    Octets(Vec<u8>),
    Http(u16),
    Broken,
}

/// Signs replies as the core does; `tamper` sees the finished answer and the request's nonce.
pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    pub(crate) tamper: Box<dyn FnMut(&mut Answered) + Send>,
}

/// The x-syncml-hmac of a reply: what it is made of are the request and the reply's octets.
pub(crate) type MacOf = Box<dyn FnMut(&Request, &[u8]) -> Option<String> + Send>;

/// What the server will do; the last turn is for all that comes.
pub(crate) type Script = Arc<Mutex<VecDeque<Turn>>>;

/// The transport into the script.
pub(crate) struct Scripted {
    pub(crate) script: Script,
    pub(crate) seen: Seen,
    pub(crate) signer: Option<Signer>,
    pub(crate) mac: Option<MacOf>,
    pub(crate) encoding: Encoding,
}

#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(Message, Request)>>>);

impl Seen {
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.0.lock().unwrap().iter().map(|(message, _)| message.clone()).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().iter().map(|(_, request)| request.clone()).collect()
    }
}

impl Transport for Scripted {
    async fn exchange(&mut self, request: Request) -> Result<Answered, TransportError> {
        let message = decode(&request.body, self.encoding, &Limits::default()).unwrap().message;
        self.seen.0.lock().unwrap().push((message.clone(), request.clone()));
        let reply = {
            let mut script = self.script.lock().unwrap();
            match script.len() {
                0 => panic!("the script has no turn for {message:#?}"),
                1 => (script[0])(&message),
                _ => (script.pop_front().unwrap())(&message),
            }
        };
        let mut answered =
            Answered { status: 200, content_type: request.media.as_str().to_owned(), ..Answered::default() };
        match reply {
            Reply::Message(message) => {
                let style = match self.encoding {
                    Encoding::Xml => Style::xml(Version::V1_2),
                    Encoding::Wbxml => Style::wbxml(Version::V1_2),
                };
                answered.body = Bytes::from(encode(&message, &style).unwrap());
            }
            Reply::Octets(octets) => answered.body = Bytes::from(octets),
            Reply::Http(status) => answered.status = status,
            Reply::Broken => return Err(TransportError::Timeout { what: "answer", limit_ms: 1 }),
        }
        if answered.body.len() > request.answer_limit {
            return Err(TransportError::TooLarge { limit: request.answer_limit });
        }
        answered.hmac = self.mac.as_mut().and_then(|mac| mac(&request, &answered.body));
        if let Some(signer) = &mut self.signer {
            sign(&mut answered, signer, nonce_of(&request));
            (signer.tamper)(&mut answered);
        }
        Ok(answered)
    }

    fn close(&mut self) {}
}

fn sign(answered: &mut Answered, signer: &Signer, nonce: [u8; 16]) {
    let parts =
        ResponseParts { status: answered.status, content_type: &answered.content_type, body: &answered.body };
    let parameters = Parameters { created: 0, nonce, key_id: CORE_KEY_ID.into() };
    let fields = signature::sign_response(&parts, &parameters, |base| signer.key.sign(base)).unwrap();
    answered.fields = [Some(fields.content_digest), Some(fields.signature_input), Some(fields.signature)];
}

/// The nonce of a request's signature, unverified.
pub(crate) fn nonce_of(request: &Request) -> [u8; 16] {
    verify(request, |_, _| true).unwrap().nonce
}

/// Verifies a request as the core does.
pub(crate) fn verify(
    request: &Request,
    check: impl FnOnce(&[u8], &[u8; 64]) -> bool,
) -> Result<Parameters, signature::SignatureError> {
    let fields = request.fields.as_ref().expect("the device signs");
    let parts = RequestParts {
        method: "POST",
        path: &request.uri.target,
        content_type: request.media.header_value(),
        body: &request.body,
    };
    let received = FieldsReceived {
        content_digest: Some(&fields.content_digest),
        signature_input: Some(&fields.signature_input),
        signature: Some(&fields.signature),
    };
    signature::verify_request(&parts, &received, |_, base, signature| check(base, signature))
}

/// A device with its script.
pub(crate) struct Rig {
    pub(crate) enrolment: Enrolment,
    pub(crate) settings: Settings,
    pub(crate) storage: Storage,
    pub(crate) signer: Option<Signer>,
    pub(crate) mac: Option<MacOf>,
    pub(crate) user: Option<User>,
    pub(crate) seen: Seen,
    script: Script,
    counter: u8,
}

impl Rig {
    pub(crate) fn new(auth: AuthType) -> Self {
        let enrolment = Enrolment {
            server_uri: URI.into(),
            enrolment: EnrolmentId(Uuid::from_u128(5)),
            generation: 3,
            device_id: "IMEI:1".into(),
            server_id: "srv".into(),
            auth,
            user: Some("dev".into()),
            password: Some("devpw".to_owned().into()),
            server_password: None,
            server_auth: None,
            certificate_pem: None,
            key_pem: None,
            ca_pem: String::new(),
            message_key_pem: None,
            order_key_pem: None,
            device_ca_pem: None,
            escrow_key: None,
            request: None,
            renew_from: None,
        };
        let settings = Settings { retry_wait: Duration::ZERO, ..Settings::default() };
        Self {
            enrolment,
            settings,
            storage: Storage::Memory,
            signer: None,
            mac: None,
            user: None,
            seen: Seen::default(),
            script: Script::default(),
            counter: 0,
        }
    }

    /// A device whose messages and replies are signed.
    pub(crate) fn signed() -> Self {
        let mut rig = Self::new(AuthType::Signed);
        let (own, core) = (new_request("dev").unwrap(), new_request("core").unwrap());
        rig.enrolment.certificate_pem = Some("shown in TLS, which is not spoken here".into());
        rig.enrolment.key_pem = Some(own.key_pem.into());
        rig.enrolment.message_key_pem = Some(public_pem(&core.key_pem));
        rig.signer =
            Some(Signer { key: SigningKey::from_pem(&core.key_pem).unwrap(), tamper: Box::new(|_| {}) });
        rig
    }

    pub(crate) fn server_password(mut self) -> Self {
        self.enrolment.server_password = Some("srvpw".to_owned().into());
        self
    }

    pub(crate) fn unit(mut self, change: impl FnOnce(&mut UnitSettings)) -> Self {
        let mut unit = UnitSettings::clone(&self.settings.unit);
        change(&mut unit);
        self.settings.unit = Arc::new(unit);
        self
    }

    pub(crate) fn device(&mut self, script: Vec<Turn>) -> Device<Scripted> {
        self.script = Arc::new(Mutex::new(script.into()));
        let transport = Scripted {
            script: Arc::clone(&self.script),
            signer: self.signer.take(),
            mac: self.mac.take(),
            ..self.transport(Vec::new())
        };
        let account = Arc::new(Account::new(&self.enrolment, None).unwrap());
        let device = Device::new(account, self.settings.clone(), self.storage.clone(), transport).unwrap();
        match &self.user {
            Some(user) => device.with_user(user.clone()),
            None => device,
        }
    }

    /// A way to another server with a script of its own.
    pub(crate) fn transport(&self, script: Vec<Turn>) -> Scripted {
        Scripted {
            script: Arc::new(Mutex::new(script.into())),
            seen: self.seen.clone(),
            signer: None,
            mac: None,
            encoding: self.settings.unit.encoding,
        }
    }

    /// What the server of the last device does from now on.
    pub(crate) fn script(&self, script: Vec<Turn>) {
        *self.script.lock().unwrap() = script.into();
    }

    /// One session of a fresh device object.
    pub(crate) fn session(
        &mut self,
        script: Vec<Turn>,
    ) -> (Result<SessionReport, DeviceError>, Device<Scripted>) {
        self.session_because(Cause::Client, script)
    }

    pub(crate) fn session_because(
        &mut self,
        cause: Cause,
        script: Vec<Turn>,
    ) -> (Result<SessionReport, DeviceError>, Device<Scripted>) {
        let mut device = self.device(script);
        self.counter += 1;
        let mut count = self.counter;
        let mut random = |octets: &mut [u8]| {
            octets.fill(count);
            count = count.wrapping_add(1);
        };
        let outcome = run(device.check_in_because(cause, NOW, &mut random));
        (outcome, device)
    }
}

pub(crate) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn public_pem(private_pem: &str) -> String {
    rcgen::KeyPair::from_pem(private_pem).unwrap().public_key_pem()
}

/// A server message: SyncHdr Status with `code`, Status 200 for every command that wants one, then `commands`.
pub(crate) fn answer(to: &Message, code: u32, commands: Vec<Command>, is_final: bool) -> Message {
    let mut body = vec![header_status(to, code, None)];
    for command in &to.body {
        let (cmd_ref, cmd) = match command {
            Command::Alert(alert) => (alert.cmd_id, "Alert"),
            Command::Replace(request) => (request.cmd_id, "Replace"),
            Command::Results(results) if results.items.iter().any(|item| item.more_data) => {
                body.push(status(to, results.cmd_id, "Results", 213));
                continue;
            }
            _ => continue,
        };
        let code = if code == 212 { 200 } else { code.min(401) };
        body.push(status(to, cmd_ref, cmd, code));
    }
    body.extend(commands);
    for (command, id) in body.iter_mut().zip(1..) {
        set_id(command, id);
    }
    Message {
        version: Version::V1_2,
        header: SyncHdr {
            ver_dtd: "1.2".into(),
            ver_proto: "DM/1.2".into(),
            session_id: to.header.session_id.clone(),
            msg_id: to.header.msg_id,
            target: to.header.source.clone(),
            source: Location { uri: URI.into(), name: Some("srv".into()) },
            ..SyncHdr::default()
        },
        body,
        is_final,
    }
}

/// Numbers a command; the children of a container get numbers in a space of their own.
fn set_id(command: &mut Command, id: u32) {
    match command {
        Command::Atomic(group) | Command::Sequence(group) => {
            group.cmd_id = id;
            for (child, number) in group.commands.iter_mut().zip(1..) {
                set_id(child, id * 100 + number);
            }
        }
        Command::Status(status) => status.cmd_id = id,
        Command::Alert(alert) => alert.cmd_id = id,
        Command::Get(request)
        | Command::Add(request)
        | Command::Replace(request)
        | Command::Delete(request)
        | Command::Copy(request)
        | Command::Exec(request) => request.cmd_id = id,
        _ => {}
    }
}

pub(crate) fn status(to: &Message, cmd_ref: u32, cmd: &str, code: u32) -> Command {
    Command::Status(Status {
        msg_ref: Some(to.header.msg_id),
        cmd_ref,
        cmd: cmd.into(),
        code,
        ..Status::default()
    })
}

pub(crate) fn header_status(to: &Message, code: u32, chal: Option<Meta>) -> Command {
    Command::Status(Status {
        msg_ref: Some(to.header.msg_id),
        cmd: "SyncHdr".into(),
        code,
        chal,
        ..Status::default()
    })
}

/// The server's message with a Chal in its SyncHdr Status.
pub(crate) fn challenge(to: &Message, code: u32, kind: &str, nonce: Option<&str>) -> Message {
    let mut message = answer(to, code, Vec::new(), true);
    let Command::Status(status) = &mut message.body[0] else { unreachable!() };
    status.chal = Some(Meta {
        format: Some("b64".into()),
        type_: Some(kind.into()),
        next_nonce: nonce.map(Into::into),
        ..Meta::default()
    });
    message
}

pub(crate) fn with_cred(mut message: Message, kind: &str, data: &str) -> Message {
    let meta = Meta { format: Some("b64".into()), type_: Some(kind.into()), ..Meta::default() };
    message.header.cred = Some(Cred { meta, data: Data::Text(data.into()) });
    message
}

/// Accepts and has nothing to do.
pub(crate) fn nothing() -> Turn {
    Box::new(|to| Reply::Message(Box::new(answer(to, 212, Vec::new(), true))))
}

/// Accepts and sends these commands in a complete package.
pub(crate) fn send(commands: Vec<Command>) -> Turn {
    Box::new(move |to| Reply::Message(Box::new(answer(to, 212, commands.clone(), true))))
}

pub(crate) fn turn(make: impl FnMut(&Message) -> Message + Send + 'static) -> Turn {
    let mut make = make;
    Box::new(move |to| Reply::Message(Box::new(make(to))))
}

fn request(target: &str, data: Option<&str>) -> DmRequest {
    let item = Item { target: Some(Location::uri(target)), data: data.map(Into::into), ..Item::default() };
    DmRequest { items: vec![item], ..DmRequest::default() }
}

pub(crate) fn get(target: &str) -> Command {
    Command::Get(request(target, None))
}

pub(crate) fn add(target: &str, data: &str) -> Command {
    Command::Add(request(target, Some(data)))
}

pub(crate) fn exec(target: &str, data: &str) -> Command {
    Command::Exec(request(target, Some(data)))
}

/// A chunk of a large object.
pub(crate) fn chunk(target: &str, data: &str, size: Option<u64>, more_data: bool) -> Command {
    let mut request = request(target, Some(data));
    request.items[0].meta.size = size;
    request.items[0].more_data = more_data;
    Command::Add(request)
}

pub(crate) fn alert(code: u32) -> Command {
    Command::Alert(Alert { code, ..Alert::default() })
}

/// (Cmd, Data) of every Status of a client message.
pub(crate) fn statuses(message: &Message) -> Vec<(String, u32)> {
    let status = |command: &Command| match command {
        Command::Status(status) => Some((status.cmd.clone(), status.code)),
        _ => None,
    };
    message.body.iter().filter_map(status).collect()
}

/// Text of every Results of a client message.
pub(crate) fn results(message: &Message) -> Vec<String> {
    let mut texts = Vec::new();
    for command in &message.body {
        if let Command::Results(results) = command {
            for item in &results.items {
                texts.push(item.data.as_ref().and_then(Data::as_text).unwrap_or_default().to_owned());
            }
        }
    }
    texts
}

/// A wipe order for the rig's enrolment and the key that signs it.
pub(crate) fn order(key: &SigningKey, number: u128) -> String {
    let order = Order {
        v: VERSION,
        enrolment: EnrolmentId(Uuid::from_u128(5)),
        generation: 3,
        uri: postern_device::csp::WIPE.into(),
        expires: NOW.plus(60_000),
        order: OperationId(Uuid::from_u128(number)),
    };
    order.seal(|octets| key.sign(octets)).unwrap()
}
