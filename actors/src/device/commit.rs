//! Effects of a message put into rows: the durable ones in one transaction, the others for later.

use std::sync::Arc;

use postern_engine::{
    command::{Cause, Event, is_pending},
    effect::{AlertItem, Effect, ItemStatus, RefusedReason, ResultItem},
    enrolment::leaving,
    recovery as rules,
    safety::limits::Sendable,
};
use postern_store::{
    StoreError, Tx, WriteError,
    alarms::{self, Severity},
    commands::{self, Finish, Sending, Step},
    credentials,
    enrolments::{self, Seen},
    facts::{self, Fact},
    refusals::Refusal as RefusalRow,
    results::{self, ResultItem as ResultRow},
    schedules,
    sessions::SessionRow,
};
use postern_wire::{
    link::BlockedEntry,
    syncml::Data,
    terms::{CommandId, CommandState, DmSessionId, EnrolmentId, OperationId, ProofClass, UtcMillis},
};

use sha2::{Digest as _, Sha256};

use super::{live::Live, record::OpenRecord};
use crate::{
    CheckIn,
    counters::Counters,
    enrolment,
    later::Note,
    locks, payload,
    recovery::{self, Arrived},
    safety::send::{self, Guarded},
    schedule::Waiting,
    shared::Shared,
    wipe::{
        follow::{self, Part},
        moves::After,
    },
};

/// Results of a command that was accepted first stand behind those that came with the acceptance.
const AFTER_ACCEPTANCE: i64 = 10_000;
/// The kind of the alarm of an Atomic that was half done.
const ROLLBACK_FAILED: &str = "rollback-failed";
/// The fact that names the quirk profiles which the device's client matched, with commas between.
pub(crate) const PROFILES: &str = "model/profiles";
/// The codes of its parts stand behind all results.
const AFTER_RESULTS: i64 = 20_000;
/// The type of a row that holds the status code of a part of a command.
const STATUS_TYPE: &str = "application/vnd.syncml.status";
/// Commands that are recorded as sent by one statement: each row carries the references of all of them.
const SENT_TOGETHER: usize = 16;
/// The longest value that becomes a fact.
const FACT_OCTETS: usize = 1024;

/// The durable effects of one message, ready to be written as often as the writer has to try.
#[derive(Debug)]
pub(crate) struct Commit {
    enrolment: EnrolmentId,
    steps: Vec<Write>,
    touched: Vec<CommandId>,
    ended: Vec<CommandState>,
    sent: i64,
    /// The operations of the destructive commands that it records as sent.
    guarded: Vec<OperationId>,
    /// The commands of a wipe that are among them.
    wipes: Vec<Part>,
    /// The locks of which a command ended.
    locks: Vec<OperationId>,
    /// SHA-256 over the exchange, where a wipe is part of it.
    exchange: Option<[u8; 32]>,
}

#[derive(Debug)]
enum Write {
    Send(Sending),
    Step(Step),
    Finish(Vec<Finish>),
    Results(Vec<ResultRow>),
    Proof(ProofClass),
    Resynchronised,
    /// It proved its new credentials.
    Turned,
    Facts(Vec<Fact>),
    /// The first session: who proved itself has been seen.
    Seen(ProofClass),
    /// The device said that it leaves.
    Leaves(String, UtcMillis),
    /// The device brought a sealed recovery password.
    Recovery(Arrived),
    /// It proved itself with its next certificate.
    Promote,
    /// Its work is done: managed from now on, which shows at once.
    Managed,
    /// An Atomic failed and could not be taken back (516): what the device is like, a person has to find out.
    HalfDone(CommandId),
    /// A device answered what told it its interval.
    Interval(OperationId, bool, Option<i64>),
}

impl Commit {
    /// Puts `effects` into writes, in their order. `accepted` are the commands that had been accepted with 202
    /// before this message.
    pub(crate) fn gather(
        enrolment: EnrolmentId,
        session: Option<DmSessionId>,
        effects: Vec<Effect>,
        accepted: &[CommandId],
        waiting: &Waiting,
    ) -> Self {
        let mut commit = Self {
            enrolment,
            steps: Vec::new(),
            touched: Vec::new(),
            ended: Vec::new(),
            sent: 0,
            guarded: Vec::new(),
            wipes: waiting.wipes().to_vec(),
            locks: Vec::new(),
            exchange: None,
        };
        for effect in effects {
            commit.note(&effect, waiting);
            commit.add(effect, session, accepted);
        }
        commit
    }

    /// What a command of the schedule brought, or of a lock.
    fn note(&mut self, effect: &Effect, waiting: &Waiting) {
        let Effect::CommandMoved { command, state, code, results, at, .. } = effect else { return };
        if let Some(operation) = waiting.interval(*command).filter(|_| !is_pending(*state)) {
            let success = *state == CommandState::Succeeded;
            self.steps.push(Write::Interval(operation, success, code.map(i64::from)));
        }
        if let Some(operation) = waiting.lock(*command).filter(|_| !is_pending(*state))
            && !self.locks.contains(&operation)
        {
            self.locks.push(operation);
        }
        if waiting.is_reading(*command) {
            let facts = read_facts(self.enrolment, results, *at);
            if !facts.is_empty() {
                self.steps.push(Write::Facts(facts));
            }
        }
    }

    /// What was said, where a wipe is part of it: its steps bear the digest.
    pub(crate) fn heard(&mut self, request: &[u8], reply: &[u8]) {
        if self.wipes.is_empty() {
            return;
        }
        let mut hash = Sha256::new();
        hash.update(b"postern-wipe-exchange-1");
        for part in [request, reply] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        self.exchange = Some(hash.finalize().into());
    }

    /// The device proved itself for the first time.
    pub(crate) fn seen(&mut self, class: ProofClass) {
        self.steps.push(Write::Seen(class));
    }

    /// The device proved itself with the certificate that it was given for the enrolled one.
    pub(crate) fn promote(&mut self) {
        self.steps.push(Write::Promote);
    }

    /// Its first session has nothing more to do.
    pub(crate) fn managed(&mut self) {
        self.steps.push(Write::Managed);
    }

    /// What of it is destructive is judged once more when it is written.
    pub(crate) fn guard(&mut self, guarded: &Guarded) {
        for step in &self.steps {
            if let Write::Send(sending) = step {
                self.guarded.extend(guarded.among(&sending.ids));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many commands it records as sent.
    pub(crate) const fn sent(&self) -> i64 {
        self.sent
    }

    /// Commits, and tells the watchers of the commands that changed. Whether a wipe moved with it, so that what else
    /// is known of the device has to be read again.
    pub(crate) async fn write(self, shared: &Shared) -> Result<bool, WriteError> {
        let commit = Arc::new(self);
        let writing = commit.clone();
        let (blocked, wiped) = match shared.store.write(move |tx| writing.apply(tx)).await {
            Ok(done) => done,
            Err(cause) => {
                commit.freeze_where_due(shared).await;
                return Err(cause);
            }
        };
        enrolment::rows::announce(shared, blocked);
        shared.watches.tell(commit.touched.iter().copied());
        for state in &commit.ended {
            Counters::command_finished(*state);
        }
        let moved = !wiped.routes.is_empty();
        wiped.tell(shared);
        Ok(moved)
    }

    /// What was too much to be sent freezes the fleet; the transaction that found out was taken back with the sending.
    async fn freeze_where_due(&self, shared: &Shared) {
        if self.guarded.is_empty() {
            return;
        }
        let (device, guarded) = (self.enrolment, self.guarded.clone());
        let written = shared.store.write_urgent(move |tx| send::freeze_where_due(tx, device, &guarded)).await;
        if let Err(cause) = written {
            tracing::error!(%device, %cause, "a freeze was not written");
        }
    }

    fn add(&mut self, effect: Effect, session: Option<DmSessionId>, accepted: &[CommandId]) {
        match effect {
            Effect::CommandSent { command, sent, .. } => {
                self.touched.push(command);
                self.sent += 1;
                let reference = payload::Sent::of(command, &sent);
                match self.steps.last_mut() {
                    Some(Write::Send(sending))
                        if sending.session == sent.session && sending.ids.len() < SENT_TOGETHER =>
                    {
                        sending.ids.push(command);
                        sending.reference.push(' ');
                        sending.reference.push_str(&reference.to_text());
                    }
                    _ => self.steps.push(Write::Send(Sending {
                        ids: vec![command],
                        session: sent.session,
                        cause: "session".to_owned(),
                        reference: reference.to_text(),
                    })),
                }
            }
            Effect::CommandMoved { command, event, state, cause, code, items, results, class, at } => {
                self.touched.push(command);
                let later = accepted.contains(&command);
                let first = if later { AFTER_ACCEPTANCE } else { 0 };
                let mut rows = result_rows(self.enrolment, command, results, first, class, at);
                if !is_pending(state) && !later {
                    rows.extend(status_rows(self.enrolment, command, &items, class, at));
                }
                if cause == Cause::RollbackFailed {
                    tracing::error!(device = %self.enrolment, %command, "an Atomic failed and could not be taken back");
                    self.steps.push(Write::HalfDone(command));
                }
                if !rows.is_empty() {
                    self.keep_results(rows);
                }
                if is_pending(state) {
                    self.steps.push(Write::Step(Step {
                        id: command,
                        state,
                        cause: cause.as_str().to_owned(),
                        session,
                        attempts: match event {
                            Event::NotExecuted => commands::Attempts::OneLess,
                            Event::ProbedUndone => commands::Attempts::None,
                            _ => commands::Attempts::Same,
                        },
                        accepted_at: (event == Event::Accept).then_some(at),
                    }));
                    return;
                }
                self.ended.push(state);
                let finish = Finish {
                    id: command,
                    state,
                    status: code.map(i64::from),
                    cause: cause.as_str().to_owned(),
                    proof: (class != ProofClass::None).then_some(class),
                    session,
                };
                self.finish(finish);
            }
            Effect::ProofClassRose { class } => self.steps.push(Write::Proof(class)),
            Effect::Resynchronised { .. } => self.steps.push(Write::Resynchronised),
            Effect::CredentialTurned { .. } => self.steps.push(Write::Turned),
            Effect::AlertReceived { code, items, class: proof, at, .. } => {
                self.steps.push(Write::Facts(alert_facts(self.enrolment, code, &items, at)));
                if let Some(item) = items.iter().find(|item| code == 1226 && leaving::leaves(&item.type_)) {
                    self.steps.push(Write::Leaves(format!("alert 1226 of type {}", item.type_), at));
                }
                let brought = items.iter().filter(|item| code == 1226 && rules::brings(&item.type_));
                for item in brought {
                    let text = String::from_utf8_lossy(&octets(item.data.clone())).into_owned();
                    self.steps.push(Write::Recovery(Arrived { text, proof, at }));
                }
            }
            // Not durable by the engine's own word; losing one costs a repeat.
            Effect::ProbeSent { .. }
            | Effect::SessionOpened { .. }
            | Effect::SessionClosed { .. }
            | Effect::Seen { .. }
            | Effect::DeviceInfo(_)
            | Effect::ServerNonce { .. }
            | Effect::ServerRefused { .. }
            | Effect::Refused { .. } => {}
        }
    }

    /// All results of a message go in one statement; they depend on no other write.
    fn keep_results(&mut self, rows: Vec<ResultRow>) {
        let kept = self.steps.iter_mut().find_map(|step| match step {
            Write::Results(kept) => Some(kept),
            _ => None,
        });
        match kept {
            Some(kept) => kept.extend(rows),
            None => self.steps.push(Write::Results(rows)),
        }
    }

    /// Commands that end in one message end together, unless one of them takes a step in between.
    fn finish(&mut self, finish: Finish) {
        let mut later = self.steps.iter_mut().rev();
        let ends = later.find_map(|step| match step {
            Write::Finish(ends) => Some(Some(ends)),
            Write::Step(step) if step.id == finish.id => Some(None),
            _ => None,
        });
        match ends.flatten() {
            Some(ends) => ends.push(finish),
            None => self.steps.push(Write::Finish(vec![finish])),
        }
    }

    /// Gives what joined the blocked list, and what the steps of a wipe mean to others.
    fn apply(&self, tx: &mut Tx) -> Result<(Vec<BlockedEntry>, After), StoreError> {
        let mut blocked = Vec::new();
        for operation in &self.guarded {
            if send::leaves(tx, self.enrolment, *operation)? != Sendable::Yes {
                return Err(StoreError::Conflict("something destructive may not be sent now".into()));
            }
        }
        let mut wiped = After::default();
        let wipes = self.wipes.as_slice();
        for step in &self.steps {
            match step {
                Write::Send(sending) => {
                    let pending = commands::sending(tx, sending)?;
                    if pending.len() != sending.ids.len() {
                        return Err(StoreError::Conflict(
                            "a command was taken back while it was being sent".into(),
                        ));
                    }
                    if !wipes.is_empty() {
                        let (ids, session) = (&sending.ids, sending.session);
                        wiped.extend(follow::sent(tx, wipes, ids, session, self.exchange)?);
                    }
                }
                Write::Step(step) => {
                    commands::step(tx, step)?;
                    wiped.extend(follow::stepped(tx, wipes, step, self.exchange)?);
                }
                Write::Finish(ends) => {
                    commands::finish(tx, ends)?;
                    for end in ends {
                        wiped.extend(follow::finished(tx, wipes, end, self.exchange)?);
                    }
                }
                Write::Results(rows) => results::insert(tx, rows)?,
                Write::Proof(class) => enrolments::authenticated(tx, self.enrolment, *class)?,
                Write::Resynchronised => enrolments::expect_resync(tx, self.enrolment, None)?,
                Write::Turned => credentials::turn(tx, self.enrolment)?,
                Write::Facts(rows) => {
                    facts::set(tx, rows)?;
                }
                Write::Seen(class) => enrolments::authenticated(tx, self.enrolment, *class)?,
                Write::Managed => {
                    enrolments::managed(tx, self.enrolment)?;
                    recovery::await_first(tx, self.enrolment)?;
                }
                Write::Recovery(arrived) => recovery::arrived(tx, self.enrolment, arrived)?,
                Write::Leaves(why, at) => enrolment::leave::asked(tx, self.enrolment, why, *at)?,
                Write::Promote => blocked.extend(enrolment::renew::promote(tx, self.enrolment)?),
                Write::HalfDone(command) => {
                    let subject = format!("device:{}", self.enrolment);
                    let text = format!(
                        "command {command}, an Atomic, failed and the device could not take back what it had done of it"
                    );
                    alarms::raise(tx, Severity::Warning, ROLLBACK_FAILED, &subject, &text)?;
                }
                Write::Interval(operation, success, status) => {
                    schedules::answered(tx, self.enrolment, *operation, *success, *status)?;
                }
            }
        }
        for operation in &self.locks {
            locks::told::ended(tx, *operation)?;
        }
        Ok((blocked, wiped))
    }
}

fn result_rows(
    enrolment: EnrolmentId,
    command: CommandId,
    results: Vec<ResultItem>,
    first: i64,
    proof: ProofClass,
    at: UtcMillis,
) -> Vec<ResultRow> {
    (first..)
        .zip(results)
        .map(|(position, item)| ResultRow {
            command,
            position,
            enrolment,
            source_uri: Some(item.uri),
            format: Some(item.format),
            media_type: Some(item.type_).filter(|text| !text.is_empty()),
            data: octets(item.data),
            sealed: false,
            proof,
            at,
        })
        .collect()
}

/// The codes of a command's parts, where there are several: each child of a container, each item of several that did not all succeed.
/// They stand behind the results, as values of type [`STATUS_TYPE`] under the part's node or verb.
fn status_rows(
    enrolment: EnrolmentId,
    command: CommandId,
    items: &[ItemStatus],
    proof: ProofClass,
    at: UtcMillis,
) -> Vec<ResultRow> {
    let container = items.first().is_some_and(|item| !item.verb.is_on_the_tree());
    let all_well = items.iter().all(|item| matches!(item.code, Some(200..=299)));
    if items.len() < 2 || (all_well && !container) {
        return Vec::new();
    }
    let row = |(position, item): (i64, &ItemStatus)| {
        let named = if item.uri.is_empty() { item.verb.as_str() } else { &item.uri };
        Some(ResultRow {
            command,
            position,
            enrolment,
            source_uri: Some(named.to_owned()),
            format: Some("int".to_owned()),
            media_type: Some(STATUS_TYPE.to_owned()),
            data: item.code?.to_string().into_bytes(),
            sealed: false,
            proof,
            at,
        })
    };
    (AFTER_RESULTS..).zip(items).filter_map(row).collect()
}

fn octets(data: Data) -> Vec<u8> {
    match data {
        Data::Text(text) | Data::Markup(text) => text.into_bytes(),
        Data::Binary(octets) => octets,
    }
}

/// The leaves that were read stand as facts, short texts only.
fn read_facts(enrolment: EnrolmentId, results: &[ResultItem], at: UtcMillis) -> Vec<Fact> {
    let leaves = results.iter().filter(|item| item.children().is_none());
    leaves
        .filter_map(|item| {
            let value = item.data.as_text().filter(|text| text.len() <= FACT_OCTETS)?.to_owned();
            let key = if item.uri.starts_with('.') { item.uri.clone() } else { format!("./{}", item.uri) };
            Some(Fact { enrolment, key, value, source: "device".to_owned(), at })
        })
        .collect()
}

/// The newest alert of each type and source stands as a fact; a sealed password has rows of its own.
fn alert_facts(enrolment: EnrolmentId, code: u32, items: &[AlertItem], at: UtcMillis) -> Vec<Fact> {
    items
        .iter()
        .filter(|item| !rules::brings(&item.type_))
        .map(|item| Fact {
            enrolment,
            key: format!("alert/{code}/{}/{}", item.type_, item.source),
            value: String::from_utf8_lossy(&octets(item.data.clone())).into_owned(),
            source: "device".to_owned(),
            at,
        })
        .collect()
}

/// Hands one effect that may be lost to the batch; `request` is what brought it about, when there was one.
pub(crate) fn defer(live: &mut Live, shared: &Arc<Shared>, effect: Effect, request: Option<&CheckIn>) {
    let id = live.enrolment;
    let peer = request.map(|request| &request.peer);
    let source = peer.and_then(|peer| peer.source).map(|address| address.to_string());
    let gateway = peer.and_then(|peer| peer.gateway.as_deref()).map(str::to_owned);
    match effect {
        Effect::Seen { at } => shared.later.add(Note::Seen(Seen { id, at, source, gateway })),
        Effect::SessionOpened { session, device_session, class, server_initiated, at } => {
            shared.notices.opened(id, session, &device_session, server_initiated);
            let row = SessionRow {
                id: session,
                enrolment: id,
                session_id: device_session,
                opened_at: at,
                closed_at: None,
                outcome: None,
                proof: class,
                dm_version: request.map_or("", |request| dm_version(&request.body)).to_owned(),
                source,
                gateway,
                messages: 1,
                commands: 0,
            };
            live.record = Some(OpenRecord::new(row, shared.clone()));
        }
        Effect::SessionClosed { session, reason, messages, at } => {
            if let Some(record) = live.record.take_if(|record| record.is(session)) {
                record.close(at, reason.as_str(), Some(messages));
            }
        }
        Effect::DeviceInfo(info) => {
            let digest = info.digest();
            let digest: [u8; 8] = digest[..8].try_into().expect("8 of 32 octets");
            if digest == live.info {
                return;
            }
            live.info = digest;
            let at = shared.now();
            let fact = |(key, value)| Fact { enrolment: id, key, value, source: "device".to_owned(), at };
            let profiles = (PROFILES.to_owned(), info.profiles);
            let model = Some(profiles).filter(|(_, names)| !names.is_empty());
            shared.later.add(Note::Facts(id, info.leaves.into_iter().chain(model).map(fact).collect()));
        }
        Effect::ServerNonce { nonce } => shared.later.add(Note::ServerNonce(id, nonce)),
        Effect::ServerRefused { code, .. } => {
            // 407 asks for credentials, which is how a first session goes; another code means that they are wrong.
            if code == 407 {
                tracing::debug!(device = %id, code, "the device asks for the server's credentials");
            } else {
                tracing::warn!(device = %id, code, "the device does not take the server's credentials");
            }
        }
        Effect::AlertReceived { code, items, at, .. } => {
            shared.later.add(Note::Facts(id, alert_facts(id, code, &items, at)));
        }
        Effect::Refused { reason, detail, at } => {
            if reason == RefusedReason::CredentialsMissing {
                tracing::debug!(device = %id, "credentials asked for");
            } else {
                let detail = detail.escape_debug();
                tracing::info!(device = %id, cause = reason.slug(), %detail, "message refused");
                shared.later.add(Note::Refused(RefusalRow {
                    id: shared.random.id(at),
                    enrolment: Some(id),
                    subject: id.to_string(),
                    gateway: gateway.unwrap_or_default(),
                    reason: reason.slug().to_owned(),
                    serial: peer.and_then(|peer| peer.certificate.as_ref()).map(|facts| facts.serial.clone()),
                    route: None,
                    source: source.unwrap_or_default(),
                    count: 1,
                    at,
                }));
            }
        }
        Effect::ProbeSent { .. }
        | Effect::CommandSent { .. }
        | Effect::CommandMoved { .. }
        | Effect::ProofClassRose { .. }
        | Effect::CredentialTurned { .. }
        | Effect::Resynchronised { .. } => {}
    }
}

/// The version that an accepted message names: VerProto stands as text in either encoding.
fn dm_version(body: &[u8]) -> &'static str {
    if body.windows(6).any(|octets| octets == b"DM/1.1") { "1.1" } else { "1.2" }
}
