//! The requests that somebody else has to agree to: decided by people, carried out in the transaction of the decision.
//!
//! Promise: who approves sees what is carried out: the hash that the decision names is that of the frozen list of devices
//! with their generations, of kind and settings, and all of that is looked at again when it is carried out. Kinds have a
//! [`KindHandler`], which does it; a kind without one becomes a permit, and who asked does it by asking again, once. What
//! cools off, or expires, is looked after by [`Approvals::keep_up`].

mod builtin;
mod deciders;

use std::{sync::Arc, time::Duration};

use postern_engine::safety::{
    Class,
    approval::{self, Askers, Content, Decider, Request, State},
};
use postern_store::{
    StoreError, Tx, alarms,
    approvals::{self as rows, Approval},
    enrolments, freezes,
};
use postern_wire::terms::EnrolmentState;
use serde_json::json;
use uuid::Uuid;

use crate::{
    AuditActor, Devices,
    enrolment::Enrolments,
    orders::{Unwritten, audit},
    safety::{self, Held},
};
pub use builtin::{LIMITS, THAW};
pub(crate) use deciders::{approves_from, decides_from};

/// How often what cools off and what expires is looked at.
const EVERY: Duration = Duration::from_secs(5);
/// Requests that are looked at together.
const PAGE: i64 = 500;
/// The service that carries out what has cooled off.
const SERVICE: &str = "approvals";

/// What is to be told once the transaction is committed.
pub type After = Box<dyn FnOnce(&Devices) + Send>;

/// What a handler is given.
#[derive(Clone, Copy, Debug)]
pub struct Approved<'a> {
    /// The request.
    pub approval: &'a Approval,
    /// What exactly: the devices are there, of these generations and not retired.
    pub content: &'a Content,
    /// Who agreed, for the audit log.
    pub by: &'a AuditActor,
}

impl Approved<'_> {
    /// What whoever asked put into [`safety::Ask::settings`].
    #[must_use]
    pub fn what(&self) -> &serde_json::Value {
        self.content.settings.get("what").unwrap_or(&serde_json::Value::Null)
    }

    /// Who asked, for the audit log of what is done.
    #[must_use]
    pub fn requester(&self) -> AuditActor {
        AuditActor { token: self.approval.token, ..AuditActor::admin(&self.approval.requester, None) }
    }
}

/// Carries out what was approved, of one kind.
pub trait KindHandler: Send + Sync {
    /// The kind: [`safety::Ask::kind`].
    fn kind(&self) -> &'static str;

    /// Does it, in the approving transaction. The inner error says why it can no longer be done: the request is stale then.
    /// What destroys is noted by [`safety::admit_approved`].
    ///
    /// # Errors
    /// The database's.
    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError>;

    /// Who asked, too, where a service put into words what persons did: none of them agrees to it.
    fn askers(&self, _content: &Content) -> Askers {
        Askers::default()
    }

    /// It was refused, or expired, or is stale.
    ///
    /// # Errors
    /// The database's.
    fn dropped(&self, _tx: &mut Tx, _approval: &Approval, _state: State) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Why a decision does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// No such request.
    #[error("there is no request {0}")]
    Unknown(Uuid),
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] approval::Refused),
    /// This admin holds no role that approves.
    #[error("you hold no role that approves")]
    NoApprover,
    /// It can no longer be done as it was asked for.
    #[error("it is not what it was when it was asked for: {0}")]
    Stale(String),
    /// A freeze stands.
    #[error(transparent)]
    Held(#[from] Held),
    /// A freeze is not lifted.
    #[error(transparent)]
    NoThaw(#[from] approval::NoThaw),
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<Unwritten> for DecideError {
    fn from(cause: Unwritten) -> Self {
        match cause {
            Unwritten::Overloaded(seconds) => Self::Overloaded(seconds),
            Unwritten::Full => Self::Unavailable("the database's disk is full".to_owned()),
            Unwritten::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

/// The handle.
#[derive(Clone)]
pub struct Approvals {
    devices: Devices,
    handlers: Arc<[Arc<dyn KindHandler>]>,
}

/// A decision that counts.
struct Decided {
    state: State,
    after: Option<After>,
}

impl Approvals {
    /// With the handlers of the kinds that this crate knows, and `more`.
    #[must_use]
    pub fn new(devices: Devices, enrolments: &Enrolments, more: Vec<Arc<dyn KindHandler>>) -> Self {
        let mut handlers = builtin::handlers(enrolments);
        handlers.extend(more);
        Self { devices, handlers: handlers.into() }
    }

    /// Agrees to a request whose hash the decider saw. Gives where it stands then.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn approve(
        &self,
        id: Uuid,
        hash: [u8; 32],
        by: AuditActor,
        reason: String,
    ) -> Result<State, DecideError> {
        let handlers = Arc::clone(&self.handlers);
        let store = self.devices.shared().store.clone();
        let written = store.write_urgent(move |tx| approve(tx, &handlers, id, hash, &by, &reason));
        let decided = written.await.map_err(Unwritten::from)??;
        self.tell(decided)
    }

    /// Refuses a request, or takes one's own back.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn reject(&self, id: Uuid, by: AuditActor, reason: String) -> Result<State, DecideError> {
        let handlers = Arc::clone(&self.handlers);
        let store = self.devices.shared().store.clone();
        let written = store.write_urgent(move |tx| {
            let Some(row) = rows::find(tx, id)? else { return Ok(Err(DecideError::Unknown(id))) };
            let content = read(&row)?;
            if let Err(refused) = approval::reject(&request(&row, &content)) {
                return Ok(Err(refused.into()));
            }
            end(tx, &handlers, &row, State::Rejected, &by, &reason)?;
            Ok(Ok(Decided { state: State::Rejected, after: None }))
        });
        let decided = written.await.map_err(Unwritten::from)??;
        self.tell(decided)
    }

    fn tell(&self, decided: Decided) -> Result<State, DecideError> {
        if let Some(after) = decided.after {
            after(&self.devices);
        }
        Ok(decided.state)
    }

    /// Freezes everything destructive: nothing of it is accepted or sent until the thaw.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn freeze(&self, by: AuditActor, reason: String) -> Result<freezes::Freeze, DecideError> {
        let store = self.devices.shared().store.clone();
        let written = store.write_urgent(move |tx| safety::freeze(tx, &by, &reason, false)).await;
        Ok(written.map_err(Unwritten::from)?)
    }

    /// Asks for the end of a freeze, or gives it where somebody else asked before. `None`: it is thawed; else the request
    /// that waits for a second person.
    ///
    /// # Errors
    /// [`DecideError`].
    pub async fn thaw(&self, by: AuditActor, reason: String) -> Result<Option<Uuid>, DecideError> {
        let handlers = Arc::clone(&self.handlers);
        let store = self.devices.shared().store.clone();
        let written = store.write_urgent(move |tx| builtin::thaw(tx, &handlers, &by, &reason));
        let (waits, decided) = written.await.map_err(Unwritten::from)??;
        if let Some(decided) = decided {
            self.tell(decided)?;
        }
        Ok(waits)
    }

    /// Changes limits: at once where they allow nothing more than before, else by a request. `None`: they are in force.
    ///
    /// # Errors
    /// [`DecideError`]; `Held` where a value is refused is told by the caller, which checks them first.
    pub async fn set_limits(
        &self,
        next: safety::Limits,
        by: AuditActor,
        reason: String,
    ) -> Result<Option<Uuid>, DecideError> {
        let store = self.devices.shared().store.clone();
        let written = store.write_urgent(move |tx| builtin::limits(tx, &next, &by, &reason)).await;
        written.map_err(Unwritten::from)?
    }

    /// Looks once at what cools off and at what expires. Gives how many requests moved.
    ///
    /// # Errors
    /// [`DecideError`]; what is open stays so.
    pub async fn look(&self) -> Result<usize, DecideError> {
        let shared = self.devices.shared();
        let open = shared.store.look_up(|r| rows::open(r, PAGE)).await;
        let open = open.map_err(|error| DecideError::Unavailable(error.to_string()))?;
        let steady = self.devices.clock_is_steady();
        let mut moved = 0;
        for row in open {
            let now = shared.now();
            let due = |row: &Approval| {
                read(row).ok().and_then(|content| approval::look(&request(row, &content), now))
            };
            // Because of a time alone nothing begins, and nothing ends, while the time is in doubt.
            if !steady || due(&row).is_none() {
                continue;
            }
            let (id, handlers) = (row.id, Arc::clone(&self.handlers));
            let written = shared.store.write(move |tx| look_at(tx, &handlers, id));
            if let Some(decided) = written.await.map_err(Unwritten::from)? {
                self.tell(decided)?;
                moved += 1;
            }
        }
        Ok(moved)
    }

    /// Looks again and again. Ends with the task.
    pub async fn keep_up(self) {
        loop {
            if let Err(cause) = self.look().await {
                tracing::debug!(%cause, "open requests are looked at later");
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

fn approve(
    tx: &mut Tx,
    handlers: &[Arc<dyn KindHandler>],
    id: Uuid,
    hash: [u8; 32],
    by: &AuditActor,
    reason: &str,
) -> Result<Result<Decided, DecideError>, StoreError> {
    let Some(row) = rows::find(tx, id)? else { return Ok(Err(DecideError::Unknown(id))) };
    let content = read(&row)?;
    let now = tx.now();
    if destroys(&content)
        && let Some(held) = frozen(tx)?
    {
        return Ok(Err(held.into()));
    }
    let handler = handlers.iter().find(|handler| handler.kind() == row.kind);
    let askers = handler.map(|handler| handler.askers(&content)).unwrap_or_default();
    let from = deciders::among_from(tx, &row, &askers, by)?;
    let Some(from) = from else { return Ok(Err(DecideError::NoApprover)) };
    let names = askers.known.iter().map(|asker| asker.name.as_str());
    let beside: Vec<&str> = names.chain([row.requester.as_str()]).collect();
    let decider = Decider { name: &by.name, from, second: safety::second_beside(tx, &beside, now)?, hash };
    let asked = Request { askers: &askers, ..request(&row, &content) };
    match approval::approve(&asked, &decider, now) {
        Err(refused) => Ok(Err(refused.into())),
        Ok(State::Cooling) => {
            let agreed = Approval {
                state: State::Cooling.as_str().to_owned(),
                agreed_at: Some(now),
                agreed_by: Some(by.name.clone()),
                because: reason.to_owned(),
                ..row.clone()
            };
            rows::set(tx, &agreed)?;
            told(tx, by, &row, "approval.approved", reason)?;
            Ok(Ok(Decided { state: State::Cooling, after: None }))
        }
        Ok(_) => carry_out(tx, handlers, &row, &content, by, reason),
    }
}

/// Does what was agreed to, where it still is what it was.
fn carry_out(
    tx: &mut Tx,
    handlers: &[Arc<dyn KindHandler>],
    row: &Approval,
    content: &Content,
    by: &AuditActor,
    reason: &str,
) -> Result<Result<Decided, DecideError>, StoreError> {
    if destroys(content)
        && let Some(held) = frozen(tx)?
    {
        return Ok(Err(held.into()));
    }
    if let Some(why) = changed(tx, content)? {
        end(tx, handlers, row, State::Stale, by, &why)?;
        return Ok(Err(DecideError::Stale(why)));
    }
    let now = tx.now();
    let handler = handlers.iter().find(|handler| handler.kind() == row.kind);
    let (state, after) = match handler {
        None => (State::Granted, None),
        Some(handler) => match handler.approved(tx, &Approved { approval: row, content, by })? {
            Ok(after) => (State::Approved, Some(after)),
            Err(why) => {
                end(tx, handlers, row, State::Stale, by, &why)?;
                return Ok(Err(DecideError::Stale(why)));
            }
        },
    };
    let agreed = Approval {
        state: state.as_str().to_owned(),
        agreed_at: row.agreed_at.or(Some(now)),
        agreed_by: row.agreed_by.clone().or_else(|| Some(by.name.clone())),
        decided_at: (state == State::Approved).then_some(now),
        decided_by: Some(by.said()),
        because: if reason.is_empty() { row.because.clone() } else { reason.to_owned() },
        ..row.clone()
    };
    rows::set(tx, &agreed)?;
    told(tx, by, row, "approval.approved", reason)?;
    alarms::clear(tx, safety::WAITING, &format!("approval:{}", row.id), "it was approved")?;
    Ok(Ok(Decided { state, after }))
}

/// Whether a freeze holds it back.
fn destroys(content: &Content) -> bool {
    let class = content.settings.get("class").and_then(serde_json::Value::as_str);
    class.and_then(Class::parse).is_some()
}

/// What a freeze holds back.
pub(crate) fn frozen(tx: &mut Tx) -> Result<Option<Held>, StoreError> {
    let stands = freezes::current(tx)?;
    Ok(stands.map(|freeze| Held::Frozen { since: freeze.since, reason: freeze.reason }))
}

/// What is not as it was asked for.
fn changed(tx: &mut Tx, content: &Content) -> Result<Option<String>, StoreError> {
    for (id, generation) in &content.targets {
        let found = enrolments::find(tx, *id)?;
        match found {
            Some(row) if row.state == EnrolmentState::Retired => {
                return Ok(Some(format!("device {id} is retired")));
            }
            Some(row) if row.generation == *generation => {}
            Some(row) => {
                return Ok(Some(format!(
                    "device {id} is of generation {} now, it was asked for {generation}",
                    row.generation
                )));
            }
            None => return Ok(Some(format!("device {id} is gone"))),
        }
    }
    Ok(None)
}

/// Time alone moves a request on.
fn look_at(tx: &mut Tx, handlers: &[Arc<dyn KindHandler>], id: Uuid) -> Result<Option<Decided>, StoreError> {
    let Some(row) = rows::find(tx, id)? else { return Ok(None) };
    let content = read(&row)?;
    let now = tx.now();
    let by = AuditActor::service(SERVICE);
    match approval::look(&request(&row, &content), now) {
        Some(State::Expired) => {
            end(tx, handlers, &row, State::Expired, &by, "nobody decided in time")?;
            Ok(Some(Decided { state: State::Expired, after: None }))
        }
        Some(_) => match carry_out(tx, handlers, &row, &content, &by, "")? {
            Ok(decided) => Ok(Some(decided)),
            // Frozen: it stays where it is until the thaw; stale: it was ended.
            Err(_) => Ok(None),
        },
        None => Ok(None),
    }
}

/// Takes a request of a service back: what it asked for is not wanted any longer.
pub(crate) fn withdraw(tx: &mut Tx, id: Uuid, by: &AuditActor, reason: &str) -> Result<(), StoreError> {
    let Some(row) = rows::find(tx, id)? else { return Ok(()) };
    match State::parse(&row.state) {
        Some(state) if state.is_open() => end(tx, &[], &row, State::Stale, by, reason),
        _ => Ok(()),
    }
}

/// Ends a request that nothing comes of.
fn end(
    tx: &mut Tx,
    handlers: &[Arc<dyn KindHandler>],
    row: &Approval,
    state: State,
    by: &AuditActor,
    reason: &str,
) -> Result<(), StoreError> {
    let now = tx.now();
    let ended = Approval {
        state: state.as_str().to_owned(),
        decided_at: Some(now),
        decided_by: Some(by.said()),
        because: reason.to_owned(),
        ..row.clone()
    };
    rows::set(tx, &ended)?;
    if let Some(handler) = handlers.iter().find(|handler| handler.kind() == row.kind) {
        handler.dropped(tx, row, state)?;
    }
    let action = match state {
        State::Rejected => "approval.rejected",
        State::Expired => "approval.expired",
        _ => "approval.stale",
    };
    told(tx, by, row, action, reason)?;
    alarms::clear(tx, safety::WAITING, &format!("approval:{}", row.id), state.as_str())?;
    Ok(())
}

fn told(tx: &mut Tx, by: &AuditActor, row: &Approval, action: &str, reason: &str) -> Result<(), StoreError> {
    let detail = json!({
        "kind": row.kind,
        "requester": row.requester,
        "hash": data_encoding::HEXLOWER.encode(&row.hash),
        "devices": row.targets,
        "reason": reason,
    });
    audit(tx, by, action, format!("approval:{}", row.id), &detail)
}

/// What a row says was asked; one whose text is not that of its hash is damaged.
fn read(row: &Approval) -> Result<Content, StoreError> {
    let damaged = |why: String| StoreError::Damaged(format!("the request {}: {why}", row.id));
    let content: Content = serde_json::from_str(&row.content).map_err(|error| damaged(error.to_string()))?;
    if content.hash() != row.hash || content.kind != row.kind {
        return Err(damaged("it is not what its hash says".to_owned()));
    }
    Ok(content)
}

fn request<'a>(row: &'a Approval, content: &Content) -> Request<'a> {
    Request {
        state: State::parse(&row.state).unwrap_or(State::Stale),
        requester: &row.requester,
        askers: &approval::NOBODY,
        hash: content.hash(),
        expires: row.expires_at,
        cooling_ms: row.cooling_ms,
        agreed: row.agreed_at,
        alone_from: row.alone_from,
    }
}
