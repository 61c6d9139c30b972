//! A device: an enrolment, a memory and a way to the server.
//!
//! Promise: what a server's message changed is kept durably before the answer that admits it leaves. Every reply to
//! an enrolment of type `signed` carries the core's signature over it and over this request's nonce, or it is not
//! read. Time and randomness are given by the caller.

mod error;
mod renewed;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use postern_wire::{
    bootstrap::mac::NetworkSecret,
    problem::ProblemDetails,
    push::Push,
    recovery,
    signature::{self, Parameters, RequestParts, ResponseParts},
    syncml::{Limits, MediaType, decode},
    terms::UtcMillis,
};

use crate::{
    bootstrap::{self, BootstrapError, Installed, Trust},
    csp::{Hardware, Leaving, Providers, RecoveryProvider, Schedule, UNENROL},
    enrolment::{Account, BadAccount, Origin, ServerProof},
    event::{Event, Observer},
    interaction::{NoUser, UserInterface},
    origin::ServerUri,
    router,
    state::{ClientEvent, State, StateError, Storage},
    transport::{Answered, Https, Request, Transport},
    tree::path::Path,
    unit::{Cause, Composed, Ending, Random, Received, Step, Unit, UnitSettings},
};
pub use error::DeviceError;
pub use renewed::Identities;

/// How a device behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How sessions are spoken.
    pub unit: Arc<UnitSettings>,
    /// What the simulated hardware is.
    pub hardware: Arc<Hardware>,
    /// What of the tree does something.
    pub csp: Arc<Providers>,
    /// How often one message is sent again when its connection broke or the server was busy.
    pub retries: u32,
    /// Before the first of these; doubled each time.
    pub retry_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            unit: Arc::new(UnitSettings::default()),
            hardware: Arc::new(Hardware::default()),
            csp: Arc::new(Providers::default()),
            retries: 3,
            retry_wait: Duration::from_millis(200),
        }
    }
}

/// Steps of work at most between two sessions.
const STEPS: u32 = 1_000;

/// What a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// SessionID.
    pub session_id: String,
    /// Messages sent.
    pub messages: u32,
    /// Commands answered.
    pub commands: u32,
    /// Octets of message bodies sent.
    pub octets_sent: u64,
    /// Octets of message bodies received.
    pub octets_received: u64,
    /// Whether the server proved itself as the enrolment demands. A session without commands may end before.
    pub server_proved: bool,
    /// How it ended.
    pub ending: Ending,
}

/// An account and the way to its server.
struct Line<T> {
    account: Arc<Account>,
    transport: T,
}

/// A device.
pub struct Device<T = Https> {
    account: Arc<Account>,
    settings: Settings,
    storage: Storage,
    state: State,
    /// What `storage` holds: an unchanged state is not written again.
    kept: Option<State>,
    last_session: u16,
    transport: T,
    /// The other accounts, with the way to their servers.
    lines: Vec<Line<T>>,
    observer: Option<Observer>,
    user: Box<dyn UserInterface>,
    /// Makes something of a new certificate or of new anchors.
    identities: Option<Box<dyn Identities<T>>>,
}

impl<T: Transport> Device<T> {
    /// A device with the memory that rests in `storage`, or a fresh one.
    pub fn new(
        account: Arc<Account>,
        settings: Settings,
        storage: Storage,
        transport: T,
    ) -> Result<Self, DeviceError> {
        let hardware = Hardware { version: settings.unit.version, ..(*settings.hardware).clone() };
        let planted = settings.csp.plant(&account, &hardware).map_err(DeviceError::Plant)?;
        let state = storage.load(planted)?;
        Ok(Self {
            account,
            settings,
            storage,
            state,
            kept: None,
            last_session: 0,
            transport,
            lines: Vec::new(),
            observer: None,
            user: Box::new(NoUser),
            identities: None,
        })
    }

    /// Tells `observer` everything that happens from now on.
    #[must_use]
    pub fn observed_by(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Puts servers' dialogues to `user` from now on.
    #[must_use]
    pub fn with_user(mut self, user: impl UserInterface + 'static) -> Self {
        self.user = Box::new(user);
        self
    }

    /// The device's memory.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Whose device this is.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Keeps an event that is told to its server in this and every later session until it has answered.
    pub fn raise(&mut self, event: ClientEvent) -> Result<(), StateError> {
        self.state.raise(event);
        self.storage_keeps()
    }

    /// Tells the enrolled server, in this and every later session until it has answered, that the device leaves.
    pub fn leave(&mut self) -> Result<(), StateError> {
        let server_id = self.account.server_id.clone();
        Leaving::ask(&mut self.state, &server_id);
        self.storage_keeps()
    }

    /// Whether the server knows that the device leaves: account and keys are to be erased.
    #[must_use]
    pub fn has_left(&self) -> bool {
        Leaving::has_left(&self.state)
    }

    /// Opens a session on the device's own accord and carries it to its end.
    pub async fn check_in(
        &mut self,
        now: UtcMillis,
        random: Random<'_>,
    ) -> Result<SessionReport, DeviceError> {
        self.check_in_because(Cause::Client, now, random).await
    }

    /// Lets the device check in with the server of another account too, that of a bootstrap. An account of the same
    /// ServerID gives way.
    pub fn connect(&mut self, account: Account, transport: T) {
        self.lines.retain(|line| line.account.server_id != account.server_id);
        self.lines.push(Line { account: Arc::new(account), transport });
    }

    /// Checks no more in with the accounts that `gone` names by ServerID.
    pub fn disconnect(&mut self, gone: impl Fn(&str) -> bool) {
        self.lines.retain(|line| !gone(&line.account.server_id));
    }

    /// The accounts that the device checks in with: the enrolled one first.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        let own = Some(&*self.account).filter(|account| account.origin != Origin::Nobody);
        own.into_iter().chain(self.lines.iter().map(|line| &*line.account))
    }

    /// The accounts that bootstraps and servers put into the tree.
    #[must_use]
    pub fn accounts_in_tree(&self) -> Vec<(Path, Result<Account, BadAccount>)> {
        Account::in_tree(&self.state.tree, &self.account.device_id)
    }

    /// Puts the accounts of a bootstrap into the tree, once it is proved. They are to be connected then.
    pub fn bootstrap(
        &mut self,
        push: &Push,
        network: Option<NetworkSecret>,
    ) -> Result<Vec<Installed>, DeviceError> {
        let trust = Trust::Proof { network, user: &mut *self.user };
        let applied = bootstrap::apply(push, trust, &self.account, &mut self.state);
        self.bootstrapped(applied)
    }

    /// The same of a document that the device's owner vouches for.
    pub fn bootstrap_unproved(&mut self, push: &Push) -> Result<Vec<Installed>, DeviceError> {
        let applied = bootstrap::apply(push, Trust::Owner, &self.account, &mut self.state);
        self.bootstrapped(applied)
    }

    fn bootstrapped(
        &mut self,
        applied: Result<Vec<Installed>, BootstrapError>,
    ) -> Result<Vec<Installed>, DeviceError> {
        self.storage_keeps()?; // tries at a PIN count, too
        let installed = applied.map_err(DeviceError::Bootstrap)?;
        for account in &installed {
            self.tell(&Event::Bootstrapped { server_id: account.server_id.clone() });
        }
        Ok(installed)
    }

    /// Judges a notification (package 0) and holds the session that it asks for. What is ignored changes nothing.
    pub async fn notified(
        &mut self,
        package0: &[u8],
        now: UtcMillis,
        random: Random<'_>,
    ) -> Result<SessionReport, DeviceError> {
        let fresh: Vec<_> = std::iter::once(&self.account)
            .chain(self.lines.iter().map(|line| &line.account))
            .filter(|account| account.origin != Origin::Nobody)
            .map(|account| account.refreshed(&mut self.state).unwrap_or_else(|_| Account::clone(account)))
            .collect();
        let judged = router::judge(package0, &fresh, &self.state, &mut *self.user);
        let start = judged.map_err(|why| {
            self.tell(&Event::NotificationIgnored { why: why.to_string() });
            DeviceError::Ignored(why)
        })?;
        let report = self.check_in_as(&start.server_id, start.cause, now, random).await?;
        if let Some(session) = start.cause.session() {
            self.state.see(&start.server_id, session, &start.digest);
        }
        self.storage_keeps()?;
        Ok(report)
    }

    /// Opens a session with the server of this account and carries it to its end.
    pub async fn check_in_as(
        &mut self,
        server_id: &str,
        cause: Cause,
        now: UtcMillis,
        random: Random<'_>,
    ) -> Result<SessionReport, DeviceError> {
        let own = self.account.server_id == server_id && self.account.origin != Origin::Nobody;
        let other = self.lines.iter().position(|line| line.account.server_id == server_id);
        let at = if own { None } else { Some(other.ok_or(DeviceError::NoAccount)?) };
        self.exchange_lines(at);
        let outcome = self.check_in_because(cause, now, random).await;
        self.exchange_lines(at);
        outcome
    }

    fn exchange_lines(&mut self, with: Option<usize>) {
        if let Some(line) = with.and_then(|at| self.lines.get_mut(at)) {
            std::mem::swap(&mut self.account, &mut line.account);
            std::mem::swap(&mut self.transport, &mut line.transport);
        }
    }

    /// Opens a session for the given cause and carries it to its end.
    pub async fn check_in_because(
        &mut self,
        cause: Cause,
        now: UtcMillis,
        random: Random<'_>,
    ) -> Result<SessionReport, DeviceError> {
        let outcome = match self.try_renewed(cause, now, &mut *random).await {
            Ok(None) => self.session(cause, now, random).await,
            Ok(Some(report)) => Ok(report),
            Err(error) => Err(error),
        };
        self.transport.close();
        if matches!(&outcome, Err(error) if error.is_of_a_stranger())
            && self.account.origin == Origin::Enrolled
        {
            Leaving::session_over(&mut self.state);
        }
        self.work(now).await?;
        outcome
    }

    /// When the next session is due by the schedule that the server set.
    #[must_use]
    pub fn due(&self, now: UtcMillis) -> UtcMillis {
        Schedule::due(&self.state, now)
    }

    /// Plans the next session, and keeps when that is.
    pub fn plan(&mut self, now: UtcMillis, random: Random<'_>) -> Result<UtcMillis, DeviceError> {
        let mut octets = [0; 4];
        random(&mut octets);
        let next = Schedule::plan(&mut self.state, now, u32::from_be_bytes(octets));
        self.storage_keeps()?;
        Ok(next)
    }

    /// Does what servers' Execs left to do, a step at a time, and keeps the state after each. What ended is then among
    /// the state's completions. `true` when there are any.
    pub async fn work(&mut self, now: UtcMillis) -> Result<bool, DeviceError> {
        for _ in 0..STEPS {
            let Some(step) = self.settings.csp.work(&mut self.state, now) else { break };
            step.await;
            self.storage_keeps()?;
        }
        self.settings.csp.collect(&mut self.state, now);
        self.storage_keeps()?;
        Ok(!self.state.completions.is_empty())
    }

    async fn session(
        &mut self,
        cause: Cause,
        now: UtcMillis,
        random: Random<'_>,
    ) -> Result<SessionReport, DeviceError> {
        if self.account.origin == Origin::Nobody {
            return Err(DeviceError::NoAccount);
        }
        let refreshed = self.account.refreshed(&mut self.state).map_err(DeviceError::Account)?;
        self.account = Arc::new(refreshed);
        // what came up between sessions goes with this one
        self.settings.csp.collect(&mut self.state, now);
        let session_id = self.next_session_id(cause, random);
        let mut unit = Unit::open(
            Arc::clone(&self.account),
            Arc::clone(&self.settings.unit),
            Arc::clone(&self.settings.csp),
            cause,
            session_id.clone(),
            &self.state,
        );
        self.tell(&Event::Opened { session_id: session_id.clone() });
        let mut uri = self.account.server.clone();
        let (mut octets_sent, mut octets_received) = (0, 0);
        loop {
            let composed = unit.compose(&mut self.state)?;
            self.storage_keeps()?;
            octets_sent += composed.body.len() as u64;
            let answered = self.send(&uri, composed, now, random).await?;
            octets_received += answered.body.len() as u64;
            self.tell(&Event::Received { octets: answered.body.len() });

            let encoding = self.settings.unit.encoding;
            let limits = Limits {
                message_octets: self.settings.unit.max_message,
                text_octets: self.settings.unit.max_message,
                ..Limits::default()
            };
            let decoded = decode(&answered.body, encoding, &limits)?;
            let mut events = Vec::new();
            let received =
                Received { message: &decoded.message, body: &answered.body, hmac: answered.hmac.as_deref() };
            let step = unit.receive(received, &mut self.state, now, random, &mut events, &mut *self.user);
            events.iter().for_each(|event| self.tell(event));
            for event in &events {
                if let Event::AlertAnswered { about, code } = event
                    && about == UNENROL
                {
                    Leaving::answered(&mut self.state, *code);
                }
                if let Event::AlertAnswered { about, code } = event
                    && about == recovery::NODE
                {
                    RecoveryProvider::answered(&mut self.state, *code);
                }
            }
            let step = match step {
                Ok(step) => step,
                Err(error) => {
                    self.storage_keeps()?;
                    return Err(error.into());
                }
            };
            if let Step::End(ending) = step {
                if ending == Ending::Complete && self.account.origin == Origin::Enrolled {
                    Leaving::session_over(&mut self.state);
                }
                self.storage_keeps()?;
                self.tell(&Event::Closed { messages: unit.messages(), commands: unit.commands() });
                return Ok(SessionReport {
                    session_id,
                    messages: unit.messages(),
                    commands: unit.commands(),
                    octets_sent,
                    octets_received,
                    server_proved: unit.server_is_proved(),
                    ending,
                });
            }
            if let Some(next) = unit.resp_uri() {
                uri = self.account.server.follow(next)?;
            }
        }
    }

    /// Sends a message until there is an answer that counts, within the retries. Each attempt is signed anew.
    async fn send(
        &mut self,
        uri: &ServerUri,
        composed: Composed,
        now: UtcMillis,
        random: Random<'_>,
    ) -> Result<Answered, DeviceError> {
        let (body, hmac) = (Bytes::from(composed.body), composed.hmac);
        let mut wait = self.settings.retry_wait;
        let mut left = self.settings.retries;
        loop {
            self.tell(&Event::Sent { msg_id: composed.msg_id, octets: body.len() });
            let error = match self.attempt(uri, (&body, &hmac), now, random).await {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            let transient = match &error {
                DeviceError::Transport(error) => error.is_transient(),
                DeviceError::Http { status, .. } => matches!(status, 502..=504),
                _ => false,
            };
            // the first message may wait for the next check-in; a session under way may not
            if !transient || left == 0 || composed.msg_id == 1 {
                return Err(error);
            }
            left -= 1;
            self.transport.close();
            self.tell(&Event::Retried { why: error.to_string() });
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    async fn attempt(
        &mut self,
        uri: &ServerUri,
        (body, hmac): (&Bytes, &Option<String>),
        now: UtcMillis,
        random: Random<'_>,
    ) -> Result<Answered, DeviceError> {
        let media = self.settings.unit.style().media_type();
        let mut nonce = [0; 16];
        let mut fields = None;
        if let Some(key) = &self.account.signing_key {
            random(&mut nonce);
            let parts =
                RequestParts { method: "POST", path: &uri.target, content_type: media.header_value(), body };
            let key_id = self.account.enrolment.to_string();
            let parameters = Parameters { created: now.0.div_euclid(1000), nonce, key_id };
            fields = Some(signature::sign_request(&parts, &parameters, |base| key.sign(base))?);
        }
        let answer_limit = self.settings.unit.max_message;
        let request =
            Request { uri: uri.clone(), media, body: body.clone(), fields, hmac: hmac.clone(), answer_limit };
        let answered = self.transport.exchange(request).await?;
        if answered.status != 200 {
            return Err(refusal(&answered));
        }
        self.prove(&answered, &nonce)?;
        if MediaType::parse(&answered.content_type).is_none_or(|got| got.encoding() != media.encoding()) {
            return Err(DeviceError::MediaType(answered.content_type));
        }
        Ok(answered)
    }

    /// For an enrolment of type `signed`: the reply is the core's, and answers this request.
    fn prove(&self, answered: &Answered, nonce: &[u8; 16]) -> Result<(), DeviceError> {
        if self.account.server_proof != ServerProof::Signature {
            return Ok(());
        }
        let key = self.account.message_key.as_ref();
        let parts = ResponseParts {
            status: answered.status,
            content_type: &answered.content_type,
            body: &answered.body,
        };
        let fields = answered.signature_fields();
        signature::verify_response(&parts, &fields, nonce, |_, base, signature| {
            key.is_some_and(|key| key.verifies(base, signature))
        })?;
        Ok(())
    }

    /// 1200 echoes the trigger's id; 1201 takes one at random, other than the last. Upper-case hex.
    fn next_session_id(&mut self, cause: Cause, random: Random<'_>) -> String {
        let id = cause.session().unwrap_or_else(|| {
            let mut octets = [0; 2];
            random(&mut octets);
            let id = u16::from_be_bytes(octets).max(1);
            if id == self.last_session { id.checked_add(1).unwrap_or(1) } else { id }
        });
        self.last_session = id;
        format!("{id:X}")
    }

    fn storage_keeps(&mut self) -> Result<(), StateError> {
        if matches!(self.storage, Storage::Folder(_)) && self.kept.as_ref() != Some(&self.state) {
            self.storage.save(&self.state)?;
            self.kept = Some(self.state.clone());
        }
        Ok(())
    }

    fn tell(&self, event: &Event) {
        tracing::debug!(device_id = %self.account.device_id, %event, "device event");
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

fn refusal(answered: &Answered) -> DeviceError {
    let problem: Option<ProblemDetails> = answered
        .content_type
        .starts_with("application/problem+json")
        .then(|| serde_json::from_slice(&answered.body).ok())
        .flatten();
    DeviceError::Http {
        status: answered.status,
        slug: problem.and_then(|problem| problem.slug().map(ToOwned::to_owned)),
        retry_after: answered.retry_after,
    }
}
