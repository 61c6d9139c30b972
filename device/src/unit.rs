//! The data process unit: the client's side of one session, as pure code (OMA-TS-DM_Protocol 1.2.1, 8).
//!
//! Promise: messages in, messages out; no socket, clock or random source. Final is sent only when the server's
//! package is complete and everything that is due to it fits; what does not fit the server's MaxMsgSize goes
//! into further messages. A server that must prove itself and does not gets 401 or 407 for every command. A session
//! ends in a bounded number of messages, whatever the server sends.

mod alerts;
mod auth;
mod compose;
mod large;
mod outgoing;
mod settings;

use std::{collections::VecDeque, sync::Arc};

use postern_wire::{
    syncml::{Alert, Command, EncodeError, Item, Location, Message, Meta, Request, Results, Status},
    terms::UtcMillis,
};

pub use compose::Composed;
pub use settings::{Cause, UnitSettings};

use crate::{
    codes::Code,
    csp::{self, Providers},
    enrolment::Account,
    event::Event,
    interaction::UserInterface,
    manager::{Answer, Manager, Run},
    origin::BadServerUri,
    state::State,
    tree::path::Path,
};
use auth::{OwnProof, ServerStanding, Shown};

/// Fills octets with randomness that nobody can guess.
pub type Random<'a> = &'a mut (dyn FnMut(&mut [u8]) + Send);

/// A server message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// What it says.
    pub message: &'a Message,
    /// Its octets as transmitted.
    pub body: &'a [u8],
    /// The value of x-syncml-hmac.
    pub hmac: Option<&'a str>,
}

/// What to do after a message was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Compose the next message and send it.
    Send,
    /// The session is over.
    End(Ending),
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server has nothing more.
    Complete,
    /// The server sent Alert 1223.
    Aborted,
}

/// Why a session cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The server's message belongs to another session or generation, or answers nothing that was sent.
    #[error("the server's message does not fit the session: {0}")]
    Misfit(&'static str),
    /// The server refused this device, and no other credentials would help.
    #[error("the server refused this device with {0}")]
    Refused(Code),
    /// The server asked for another type of credentials than the enrolment's.
    #[error("the server asks for {0:?} credentials, which this enrolment does not use")]
    OtherScheme(String),
    /// The server did not prove itself, twice.
    #[error("the server did not prove itself")]
    ServerNotProved,
    /// The server would go on for ever.
    #[error("the session has more than {0} messages")]
    Endless(u32),
    /// RespURI leads elsewhere.
    #[error(transparent)]
    RespUri(#[from] BadServerUri),
    /// A status alone is larger than the server's MaxMsgSize.
    #[error("the server takes no message larger than {0} octets, which is too little")]
    NoRoom(usize),
    /// A message could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The client's side of one session.
#[derive(Debug)]
pub struct Unit {
    account: Arc<Account>,
    settings: Arc<UnitSettings>,
    csp: Arc<Providers>,
    session_id: String,
    /// MsgID of the last message sent.
    msg_id: u32,
    resp_uri: Option<String>,
    /// The server's MaxMsgSize and MaxObjSize.
    peer_message: usize,
    peer_object: u64,
    /// Status for the last SyncHdr.
    header_status: Option<Status>,
    /// What is still to be sent, without CmdIDs.
    outbox: VecDeque<Command>,
    /// What was sent last, apart from the SyncHdr Status, and whether with Final: sent again after a challenge.
    last_sent: (Vec<Command>, bool),
    resending: bool,
    /// The server's package is complete; ours answers it.
    server_final: bool,
    /// Our package is not: the last message had no Final.
    package_open: bool,
    /// A Results that was begun in an earlier message: what goes out next.
    sending: Option<outgoing::Outgoing>,
    own: OwnProof,
    server: ServerStanding,
    large: Option<large::Incoming>,
    /// The message that is being read holds a chunk of it.
    chunk_came: bool,
    telling: alerts::Telling,
    commands: u32,
    /// Server messages in a row that brought nothing while there was nothing to send.
    standing_still: u8,
}

/// Both sides may ask for the next message so often in a row and neither have anything to say.
const STANDSTILL: u8 = 8;

impl Unit {
    /// A session about to begin; `session_id` as it goes into SyncHdr.
    #[must_use]
    pub fn open(
        account: Arc<Account>,
        settings: Arc<UnitSettings>,
        csp: Arc<Providers>,
        cause: Cause,
        session_id: String,
        state: &State,
    ) -> Self {
        let resync = cause.default_nonce();
        let mut unit = Self {
            own: OwnProof::new(&account, state, resync.as_deref()),
            server: ServerStanding::new(&account, state, resync.as_deref()),
            peer_message: settings.peer_message,
            account,
            settings,
            csp,
            session_id,
            msg_id: 0,
            resp_uri: None,
            peer_object: u64::MAX,
            header_status: None,
            outbox: VecDeque::new(),
            last_sent: (Vec::new(), true),
            resending: false,
            server_final: true,
            package_open: false,
            sending: None,
            large: None,
            chunk_came: false,
            telling: alerts::Telling::default(),
            commands: 0,
            standing_still: 0,
        };
        unit.outbox.push_back(alert(cause.alert()));
        unit.outbox.push_back(dev_info(state));
        unit.tell(state);
        unit
    }

    /// Where the next message goes, if the server said so.
    #[must_use]
    pub fn resp_uri(&self) -> Option<&str> {
        self.resp_uri.as_deref()
    }

    /// Messages sent.
    #[must_use]
    pub const fn messages(&self) -> u32 {
        self.msg_id
    }

    /// Commands answered.
    #[must_use]
    pub const fn commands(&self) -> u32 {
        self.commands
    }

    /// Whether the server has proved itself as the enrolment demands.
    #[must_use]
    pub const fn server_is_proved(&self) -> bool {
        self.server.is_proved()
    }

    /// Reads the server's next message: authentication, commands, and what follows from them.
    pub fn receive(
        &mut self,
        received: Received<'_>,
        state: &mut State,
        now: UtcMillis,
        random: Random<'_>,
        events: &mut Vec<Event>,
        ui: &mut dyn UserInterface,
    ) -> Result<Step, SessionError> {
        let message = received.message;
        self.fits(message)?;
        let header = &message.header;
        if let Some(uri) = &header.resp_uri {
            self.account.server.follow(uri)?;
            self.resp_uri = Some(uri.clone());
        }
        let bounded = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        self.peer_message = header.meta.max_msg_size.map_or(self.peer_message, bounded);
        self.peer_object = header.meta.max_obj_size.unwrap_or(self.peer_object);

        let aborted =
            message.body.iter().any(|command| matches!(command, Command::Alert(alert) if alert.code == 1223));
        if aborted {
            return Ok(Step::End(Ending::Aborted));
        }
        let shown = Shown { cred: header.cred.as_ref(), hmac: received.hmac, body: received.body };
        let verdict = self.server.judge(&self.account, &shown, random, events)?;
        self.header_status = Some(header_status(message, verdict.code, verdict.chal));
        let answer = header_answer(message, self.msg_id)
            .ok_or(SessionError::Misfit("no Status for the SyncHdr that was sent"))?;
        let again = self.own.learn(&self.account, answer, events)?;
        if self.server.is_proved() {
            self.own.keep(&self.account, state);
            self.server.answered(&self.account, state);
        }
        if verdict.run == Run::Execute {
            self.settle(message, state, events);
        }
        if again {
            self.resending = true;
            self.server_final |= self.last_sent.1;
            return Ok(Step::Send);
        }
        self.obey(message, verdict.run, state, now, events, ui)
    }

    /// Runs what the message asks for and decides how to go on.
    fn obey(
        &mut self,
        message: &Message,
        run: Run,
        state: &mut State,
        now: UtcMillis,
        events: &mut Vec<Event>,
        ui: &mut dyn UserInterface,
    ) -> Result<Step, SessionError> {
        let mut asked =
            message.body.iter().filter(|command| !matches!(command, Command::Status(_))).peekable();
        let any = asked.peek().is_some();
        self.chunk_answered(message);
        self.moves(message)?;
        if any && run != Run::Execute {
            self.server.count_failure()?;
        }
        let account = Arc::clone(&self.account);
        let encoding = self.settings.style().encoding;
        let csp = Arc::clone(&self.csp);
        self.chunk_came = false;
        let mut manager = Manager {
            state,
            csp: &csp,
            account: &account,
            encoding,
            now,
            events,
            ui,
            cancelled: false,
            atomic_octets: self.room(),
        };
        for command in asked {
            let answers = match run {
                Run::Execute if !manager.cancelled => self.take_large(command, &mut manager),
                _ => manager.run(command, run),
            };
            self.answer(message.header.msg_id, answers);
        }
        if any {
            self.csp.collect(state, now);
            self.tell(state);
        }
        if message.is_final && !self.chunk_came {
            self.break_off(); // the package is over and the object is not
        }
        self.server_final |= message.is_final && self.large.is_none();
        let idle = !any && self.outbox.is_empty() && self.sending.is_none() && !self.package_open;
        if idle && message.is_final {
            return Ok(Step::End(Ending::Complete));
        }
        Ok(Step::Send)
    }

    /// Turns answers into Status and Results: one Status for several Items with the same outcome, each with its
    /// TargetRef; Results behind the Status.
    fn answer(&mut self, msg_ref: u32, mut answers: Vec<Answer>) {
        let too_large =
            |item: &Item| item.data.as_ref().is_some_and(|data| large::carried_len(data) > self.peer_object);
        for answer in &mut answers {
            if answer.results.iter().any(too_large) {
                answer.code = Code::TOO_LARGE;
                answer.results.clear();
            }
        }
        let mut rest = answers.as_mut_slice();
        while let Some(first) = rest.first() {
            let (cmd_ref, cmd) = (first.cmd_ref, first.cmd.clone());
            let of_one = rest.iter().take_while(|next| (next.cmd_ref, &next.cmd) == (cmd_ref, &cmd)).count();
            let alike = rest[..of_one].iter().all(|next| next.code == rest[0].code);
            let (now, later) = rest.split_at_mut(if alike { of_one } else { 1 });
            rest = later;
            self.commands += 1;
            self.outbox.push_back(Command::Status(Status {
                target_refs: now.iter().filter_map(|answer| answer.target.clone()).collect(),
                source_refs: now.iter().filter_map(|answer| answer.source.clone()).collect(),
                ..now[0].status(msg_ref)
            }));
            let items = now.iter_mut().flat_map(|answer| std::mem::take(&mut answer.results));
            self.outbox.extend(items.map(|item| {
                Command::Results(Results {
                    msg_ref: Some(msg_ref),
                    cmd_ref,
                    items: vec![item],
                    ..Results::default()
                })
            }));
        }
    }

    /// Ends what would go on for ever: nothing to send here, and nothing but Alert 1222 from there.
    fn moves(&mut self, message: &Message) -> Result<(), SessionError> {
        let says_nothing = |command: &Command| match command {
            Command::Status(_) => true,
            Command::Alert(alert) => alert.code == 1222,
            _ => false,
        };
        let still = self.outbox.is_empty() && self.sending.is_none() && message.body.iter().all(says_nothing);
        self.standing_still = if still { self.standing_still + 1 } else { 0 };
        if self.standing_still >= STANDSTILL {
            return Err(SessionError::Misfit("both sides ask for the next message and neither has one"));
        }
        Ok(())
    }

    fn fits(&self, message: &Message) -> Result<(), SessionError> {
        if self.msg_id >= self.settings.max_messages {
            return Err(SessionError::Endless(self.settings.max_messages));
        }
        let style = self.settings.style();
        let header = &message.header;
        if header.session_id != self.session_id {
            return Err(SessionError::Misfit("another SessionID"));
        }
        if header.ver_dtd != style.version.ver_dtd() || header.ver_proto != style.version.ver_proto() {
            return Err(SessionError::Misfit("another version of the protocol"));
        }
        Ok(())
    }
}

/// The Status that answers our SyncHdr: named so, or with CmdRef 0; about the message that was sent last.
fn header_answer(message: &Message, sent: u32) -> Option<&Status> {
    message.body.iter().find_map(|command| match command {
        Command::Status(status)
            if status.cmd_ref == 0
                && (status.cmd.is_empty() || status.cmd == "SyncHdr")
                && status.msg_ref.is_none_or(|msg_ref| msg_ref == sent) =>
        {
            Some(status)
        }
        _ => None,
    })
}

fn header_status(message: &Message, code: Code, chal: Option<Meta>) -> Status {
    Status {
        msg_ref: Some(message.header.msg_id),
        cmd: "SyncHdr".to_owned(),
        target_refs: vec![message.header.target.uri.clone()],
        source_refs: vec![message.header.source.uri.clone()],
        chal,
        code: code.0,
        ..Status::default()
    }
}

fn alert(code: u32) -> Command {
    Command::Alert(Alert { code, ..Alert::default() })
}

/// Replace with one Item for each leaf of ./DevInfo, by its full URI (OMA-TS-DM_Protocol 8.3).
fn dev_info(state: &State) -> Command {
    let root = Path::root().child(csp::DEVINFO);
    let items = csp::DEVINFO_LEAVES.iter().map(|leaf| {
        let path = root.child(leaf);
        let value = state.tree.get(&path).and_then(|node| node.text()).unwrap_or_default();
        Item {
            source: Some(Location::uri(path.to_string())),
            meta: Meta {
                format: Some("chr".to_owned()),
                type_: Some("text/plain".to_owned()),
                ..Meta::default()
            },
            data: Some(value.into()),
            ..Item::default()
        }
    });
    Command::Replace(Request { items: items.collect(), ..Request::default() })
}
