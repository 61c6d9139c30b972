//! Locks: devices are locked and unlocked, each by an operation of its own.
//!
//! Promise: all devices of a request are admitted together or none is; each order names its enrolment, generation and
//! node and is signed by the order key. A lock that was never sent gives way to a newer one (and an unlock to it).

pub(crate) mod told;

use std::sync::Arc;

use postern_engine::operations::lock::{self, Action};
use postern_store::{
    StoreError, Tx,
    enrolments::{self, Enrolment},
};
use postern_wire::{
    order,
    route::RouteId,
    terms::{Dialect, EnrolmentId, EnrolmentState, Lane, OperationId, OperationKind},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    AuditActor, Devices, Order, Settings,
    approvals::{After, Approved, KindHandler},
    enrolment::{Enrolments, OrderSigner},
    orders::{Unwritten, submit},
    safety::{self, Admission, Admitted, Ask, Class, Held},
};

/// How long an order to lock is worth sending, in milliseconds.
const WITHIN_MS: i64 = 30 * 86_400_000;

/// Why a lock is not queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// No such enrolment, or it is retired.
    #[error("there is no live enrolment {0}")]
    UnknownDevice(EnrolmentId),
    /// A device cannot do it.
    #[error("device {0}: {1}")]
    Cannot(EnrolmentId, String),
    /// Somebody else has to approve it first: this request waits.
    #[error("somebody else has to approve it first: request {0}")]
    NeedsApproval(Uuid),
    /// The limits of destructive operations do not let it through.
    #[error(transparent)]
    Held(#[from] Held),
    /// Too much work at hand; try again after so many seconds.
    #[error("overloaded, try again in {0} s")]
    Overloaded(u32),
    /// The database cannot be reached, or this core is not the active one.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<Unwritten> for LockError {
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
pub struct Locks {
    devices: Devices,
    signer: Arc<dyn OrderSigner>,
}

/// What was queued.
type Queued = Vec<(EnrolmentId, OperationId, RouteId)>;

impl Locks {
    /// With the enrolments' order key.
    #[must_use]
    pub fn new(devices: Devices, enrolments: &Enrolments) -> Self {
        Self { devices, signer: enrolments.signer() }
    }

    /// Locks or unlocks; gives each device's operation. Returns after the commit.
    ///
    /// # Errors
    /// [`LockError`]; nothing is queued then.
    pub async fn order(
        &self,
        targets: Vec<EnrolmentId>,
        action: Action,
        by: AuditActor,
        reason: String,
    ) -> Result<Vec<(EnrolmentId, OperationId)>, LockError> {
        let shared = self.devices.shared();
        let (signer, settings) = (Arc::clone(&self.signer), shared.settings.clone());
        let written = shared
            .store
            .write_urgent(move |tx| decide(tx, signer.as_ref(), &settings, &targets, action, &by, &reason));
        let queued = written.await.map_err(Unwritten::from)??;
        let ids = queued.iter().map(|(device, operation, _)| (*device, *operation)).collect();
        tell(&self.devices, queued);
        Ok(ids)
    }

    /// What carries an approved lock out.
    #[must_use]
    pub fn handlers(&self) -> Vec<Arc<dyn KindHandler>> {
        [Class::Lock, Class::Pin]
            .into_iter()
            .map(|class| Arc::new(Handler { locks: self.clone(), class }) as Arc<dyn KindHandler>)
            .collect()
    }
}

/// The class of an action, which is also its kind of request.
#[must_use]
pub const fn class(action: Action) -> Class {
    if action.is_pin() { Class::Pin } else { Class::Lock }
}

fn decide(
    tx: &mut Tx,
    signer: &dyn OrderSigner,
    settings: &Settings,
    targets: &[EnrolmentId],
    action: Action,
    by: &AuditActor,
    reason: &str,
) -> Result<Result<Queued, LockError>, StoreError> {
    for id in targets {
        let row = enrolments::find(tx, *id)?.filter(|row| row.state != EnrolmentState::Retired);
        let Some(row) = row else { return Ok(Err(LockError::UnknownDevice(*id))) };
        if let Err(why) = lock::node(row.dialect, action) {
            return Ok(Err(LockError::Cannot(*id, why.to_string())));
        }
    }
    let class = class(action);
    let ask = Ask {
        kind: class.as_str(),
        class,
        by,
        targets,
        reason,
        settings: json!({ "action": action.as_str() }),
    };
    match safety::admit(tx, &ask)? {
        Admitted::Go(admission) => queue(tx, signer, settings, targets, action, admission, by, reason),
        Admitted::NeedsApproval(request) => Ok(Err(LockError::NeedsApproval(request))),
        Admitted::Held(held) => Ok(Err(held.into())),
    }
}

#[expect(clippy::too_many_arguments, reason = "what an admitted lock is made of")]
fn queue(
    tx: &mut Tx,
    signer: &dyn OrderSigner,
    settings: &Settings,
    targets: &[EnrolmentId],
    action: Action,
    admission: Admission,
    by: &AuditActor,
    reason: &str,
) -> Result<Result<Queued, LockError>, StoreError> {
    let expires = tx.now().plus(WITHIN_MS);
    let mut queued = Vec::with_capacity(targets.len());
    for id in targets {
        let row = enrolments::get(tx, *id)?;
        let signed = match signed(tx, signer, &row, action, expires) {
            Ok(signed) => signed,
            // What was written so far has to go: a device's part that fails fails the whole request.
            Err(why) => return Err(StoreError::Refused(why)),
        };
        let commands = lock::commands(row.dialect, action, signed)
            .map_err(|why| StoreError::Refused(format!("device {id}: {why}")))?;
        let order = Order {
            targets: vec![*id],
            kind: OperationKind::Lock,
            commands,
            ordered: true,
            lane: Lane::Urgent,
            deadline: Some(expires),
            actor: by.clone(),
            reason: reason.to_owned(),
            idempotency: None,
        };
        let operation = submit::within(tx, &order, settings.pending_cap, &settings.session.profiles)?
            .map_err(|refused| StoreError::Refused(format!("device {id}: {refused}")))?;
        admission.bind(tx, Some(*id), operation)?;
        queued.push((*id, operation, RouteId::from_bytes(row.route)));
    }
    Ok(Ok(queued))
}

/// The signed order for a device that obeys one.
fn signed(
    tx: &mut Tx,
    signer: &dyn OrderSigner,
    row: &Enrolment,
    action: Action,
    expires: postern_wire::terms::UtcMillis,
) -> Result<Option<String>, String> {
    let ours = row.dialect == Dialect::Classic
        && crate::enrolment::can_obey(tx, row).map_err(|error| error.to_string())?;
    if !ours {
        return Ok(None);
    }
    let uri = lock::node(row.dialect, action).map_err(|why| why.to_string())?;
    order::Order {
        v: order::VERSION,
        enrolment: row.id,
        generation: u32::try_from(row.generation).unwrap_or(u32::MAX),
        uri: uri.to_owned(),
        expires,
        order: OperationId(tx.fresh_id()),
    }
    .seal(|octets| signer.sign(octets))
    .map(Some)
    .map_err(|why| format!("the order key: {why}"))
}

fn tell(devices: &Devices, queued: Queued) {
    for (_, _, route) in &queued {
        devices.changed(*route);
    }
    let ids = queued.into_iter().map(|(device, ..)| device).collect();
    devices.shared().notices.queued(ids, true);
}

/// Carries an approved lock out.
struct Handler {
    locks: Locks,
    class: Class,
}

impl KindHandler for Handler {
    fn kind(&self) -> &'static str {
        self.class.as_str()
    }

    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError> {
        let action = what.what().get("action").and_then(Value::as_str).and_then(Action::parse);
        let Some(action) = action.filter(|action| class(*action) == self.class) else {
            return Ok(Err("it names no such action".to_owned()));
        };
        let admission = safety::admit_approved(tx, self.class, what.approval, &what.content.targets)?;
        let targets: Vec<_> = what.content.targets.iter().map(|(id, _)| *id).collect();
        let settings = self.locks.devices.shared().settings.clone();
        let (by, reason) = (what.requester(), what.approval.reason.as_str());
        let signer = self.locks.signer.as_ref();
        let queued = queue(tx, signer, &settings, &targets, action, admission, &by, reason)?;
        Ok(match queued {
            Ok(queued) => Ok(Box::new(move |devices: &Devices| tell(devices, queued)) as After),
            Err(why) => Err(why.to_string()),
        })
    }
}
