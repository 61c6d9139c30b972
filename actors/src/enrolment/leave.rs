//! Un-enrolment by a person and by the device.
//!
//! Promise: the order that a device is to obey names its enrolment, generation and node, and is signed by the order key.

use postern_engine::{
    enrolment::leaving::{self, Event, Leaving, NODE, Step},
    queue::{Body, BodyItem},
    schedule,
};
use postern_store::{
    StoreError, Tx,
    enrolments::{self, Enrolment},
    facts,
    lives::{self, Life},
    operations, sessions,
};
use postern_wire::{
    order,
    route::RouteId,
    terms::{CommandState, EnrolmentId, EnrolmentState, Lane, OperationId, OperationKind, UtcMillis, Verb},
};
use serde_json::json;

use super::{
    EnrolmentError, Enrolments, Left, OrderSigner,
    requests::who,
    rows::{self, Ended},
};
use crate::{
    AuditActor, Order, Settings,
    approvals::{After, Approved, KindHandler},
    orders::{Unwritten, audit, submit},
    safety::{self, Admission, Admitted, Ask, Class},
    wipe,
};

/// How long an order to leave is worth sending, in milliseconds.
const WITHIN_MS: i64 = 30 * 86_400_000;
/// A session in which a device asked to leave is over after so long, whatever its row says, in milliseconds.
const SESSION_MS: i64 = 30 * 60_000;
/// Lives that are looked at together.
const PAGE: i64 = 200;
/// Where the manufacturer stands among what a device says of itself.
const MANUFACTURER: &str = "./DevInfo/Man";

/// What an act on one life came to.
pub(super) enum Outcome {
    /// Nothing that anybody is to be told.
    Nothing,
    /// The device has an order in its queue.
    Told(OperationId, RouteId),
    /// It is retired.
    Ended(Ended),
}

pub(super) async fn unenrol(
    enrolments: &Enrolments,
    id: EnrolmentId,
    at_once: bool,
    actor: AuditActor,
    reason: String,
) -> Result<Left, EnrolmentError> {
    let shared = enrolments.shared();
    let signer = std::sync::Arc::clone(&enrolments.inner.parts.signer);
    let settings = shared.settings.clone();
    let written =
        shared.store.write(move |tx| order_it(tx, signer.as_ref(), &settings, id, at_once, &actor, &reason));
    match written.await.map_err(Unwritten::from)?? {
        Outcome::Ended(ended) => {
            ended.tell(&enrolments.inner.devices);
            Ok(Left::Retired)
        }
        Outcome::Told(operation, route) => {
            enrolments.inner.devices.changed(route);
            shared.notices.queued(vec![id], false);
            Ok(Left::Told(operation))
        }
        Outcome::Nothing => Err(EnrolmentError::UnknownDevice(id)),
    }
}

fn order_it(
    tx: &mut Tx,
    signer: &dyn OrderSigner,
    settings: &Settings,
    id: EnrolmentId,
    at_once: bool,
    actor: &AuditActor,
    reason: &str,
) -> Result<Result<Outcome, EnrolmentError>, StoreError> {
    let Some(row) = enrolments::find(tx, id)?.filter(|row| row.state != EnrolmentState::Retired) else {
        return Ok(Err(EnrolmentError::UnknownDevice(id)));
    };
    if let Some(open) = wipe::suspends(tx, id)? {
        let why = format!("its wipe {} is not over: take it back or disarm it first", open.id);
        return Ok(Err(EnrolmentError::Queue(why)));
    }
    let life = rows::life(tx, &row)?;
    let can = row.state != EnrolmentState::Quarantined && can(tx, &row)?;
    let event = Event::Order { now: at_once || row.state == EnrolmentState::Quarantined, can };
    let step = match leaving::step(Leaving::parse(life.leaving.as_deref()), event) {
        Err(refused) => return Ok(Err(refused.into())),
        Ok(step) => step,
    };
    let ask = Ask {
        kind: safety::UNENROL,
        class: Class::Unenrol,
        by: actor,
        targets: &[id],
        reason,
        settings: json!({ "at_once": at_once }),
    };
    let admission = match safety::admit(tx, &ask)? {
        Admitted::Go(admission) => admission,
        Admitted::NeedsApproval(request) => return Ok(Err(EnrolmentError::NeedsApproval(request))),
        Admitted::Held(held) => return Ok(Err(held.into())),
    };
    carry_out(tx, signer, settings, &row, life, step, admission, actor, reason)
}

#[expect(clippy::too_many_arguments, reason = "what an admitted un-enrolment is made of")]
fn carry_out(
    tx: &mut Tx,
    signer: &dyn OrderSigner,
    settings: &Settings,
    row: &Enrolment,
    life: Life,
    step: Step,
    admission: Admission,
    actor: &AuditActor,
    reason: &str,
) -> Result<Result<Outcome, EnrolmentError>, StoreError> {
    match step {
        Step::Retire => {
            let because = if reason.is_empty() { "un-enrolled by an admin" } else { reason };
            Ok(Ok(Outcome::Ended(rows::end(tx, row, actor, "device.unenrol", because)?)))
        }
        Step::Tell => {
            let told = tell(tx, signer, settings, row, life, actor, reason)?;
            if let Ok(Outcome::Told(operation, _)) = &told {
                admission.bind(tx, Some(row.id), *operation)?;
            }
            Ok(told)
        }
        Step::Keep | Step::Become(_) => Ok(Ok(Outcome::Nothing)),
    }
}

impl KindHandler for super::Unenrol {
    fn kind(&self) -> &'static str {
        safety::UNENROL
    }

    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError> {
        let at_once = what.what().get("at_once").and_then(serde_json::Value::as_bool).unwrap_or(false);
        let signer = self.0.signer();
        let settings = self.0.shared().settings.clone();
        let (by, reason) = (what.requester(), what.approval.reason.as_str());
        let admission = safety::admit_approved(tx, Class::Unenrol, what.approval, &what.content.targets)?;
        let mut done = Vec::new();
        for (id, _) in &what.content.targets {
            let row = enrolments::get(tx, *id)?;
            let life = rows::life(tx, &row)?;
            let can = row.state != EnrolmentState::Quarantined && can(tx, &row)?;
            let event = Event::Order { now: at_once || row.state == EnrolmentState::Quarantined, can };
            let step = match leaving::step(Leaving::parse(life.leaving.as_deref()), event) {
                Ok(step) => step,
                Err(refused) => return Ok(Err(refused.to_string())),
            };
            let carried =
                carry_out(tx, signer.as_ref(), &settings, &row, life, step, admission, &by, reason)?;
            match carried {
                Ok(outcome) => done.push((*id, outcome)),
                Err(refused) => return Ok(Err(refused.to_string())),
            }
        }
        Ok(Ok(Box::new(move |devices| {
            for (id, outcome) in done {
                match outcome {
                    Outcome::Ended(ended) => {
                        ended.tell(devices);
                    }
                    Outcome::Told(_, route) => {
                        devices.changed(route);
                        devices.shared().notices.queued(vec![id], false);
                    }
                    Outcome::Nothing => {}
                }
            }
        })))
    }
}

/// Whether a device's model has our own nodes.
pub(crate) fn can(tx: &mut Tx, row: &Enrolment) -> Result<bool, StoreError> {
    let man = facts::of(tx, row.id)?.into_iter().find(|fact| fact.key == MANUFACTURER);
    Ok(schedule::can(row.dialect, man.as_ref().map(|fact| fact.value.as_str())))
}

fn tell(
    tx: &mut Tx,
    signer: &dyn OrderSigner,
    settings: &Settings,
    row: &Enrolment,
    life: Life,
    actor: &AuditActor,
    reason: &str,
) -> Result<Result<Outcome, EnrolmentError>, StoreError> {
    let now = tx.now();
    let expires = now.plus(WITHIN_MS);
    let text = order::Order {
        v: order::VERSION,
        enrolment: row.id,
        generation: u32::try_from(row.generation).unwrap_or(u32::MAX),
        uri: NODE.to_owned(),
        expires,
        order: OperationId(tx.fresh_id()),
    }
    .seal(|octets| signer.sign(octets));
    let text = match text {
        Ok(text) => text,
        Err(why) => return Ok(Err(EnrolmentError::Unavailable(format!("the order key: {why}")))),
    };
    let item =
        BodyItem { format: Some("chr".to_owned()), data: Some(text.as_str().into()), ..BodyItem::node(NODE) };
    let commands = vec![Body::plain(Verb::Exec, vec![item])];
    let operation = match submit_one(tx, settings, row.id, commands, Some(expires), actor, reason)? {
        Ok(operation) => operation,
        Err(refused) => return Ok(Err(refused)),
    };
    let leaving = Life {
        leaving: Leaving::Ordered.as_str().map(str::to_owned),
        leaving_because: if reason.is_empty() {
            "un-enrolled by an admin".to_owned()
        } else {
            reason.to_owned()
        },
        leaving_by: who(actor),
        leaving_operation: Some(operation),
        leaving_at: Some(now),
        ..life
    };
    lives::put(tx, leaving)?;
    let detail = json!({ "device_id": row.device_id, "operation": operation, "reason": reason });
    audit(tx, actor, "device.unenrol.ordered", format!("device:{}", row.id), &detail)?;
    Ok(Ok(Outcome::Told(operation, RouteId::from_bytes(row.route))))
}

/// Puts an order of the kind `certificate` into a device's queue.
pub(super) fn submit_one(
    tx: &mut Tx,
    settings: &Settings,
    id: EnrolmentId,
    commands: Vec<Body>,
    deadline: Option<UtcMillis>,
    actor: &AuditActor,
    reason: &str,
) -> Result<Result<OperationId, EnrolmentError>, StoreError> {
    let order = Order {
        targets: vec![id],
        kind: OperationKind::Certificate,
        commands,
        ordered: true,
        lane: Lane::Normal,
        deadline,
        actor: actor.clone(),
        reason: reason.to_owned(),
        idempotency: None,
    };
    let taken = submit::within(tx, &order, settings.pending_cap, &settings.session.profiles)?;
    Ok(taken.map_err(|refused| EnrolmentError::Queue(refused.to_string())))
}

/// Looks at the lives that are on their way out.
pub(super) async fn look(enrolments: &Enrolments) -> Result<(), EnrolmentError> {
    let shared = enrolments.shared();
    let mut after = None;
    loop {
        let from = after;
        let page = shared.store.look_up(move |r| lives::leaving(r, from, PAGE)).await;
        let page = page.map_err(|error| EnrolmentError::Unavailable(error.to_string()))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.enrolment);
        for life in &page {
            let id = life.enrolment;
            let written = shared.store.write(move |tx| look_at(tx, id)).await.map_err(Unwritten::from)?;
            if let Outcome::Ended(ended) = written {
                ended.tell(&enrolments.inner.devices);
            }
        }
        if i64::try_from(page.len()) != Ok(PAGE) {
            return Ok(());
        }
    }
}

fn look_at(tx: &mut Tx, id: EnrolmentId) -> Result<Outcome, StoreError> {
    let Some(row) = enrolments::find(tx, id)?.filter(|row| row.state != EnrolmentState::Retired) else {
        return Ok(Outcome::Nothing);
    };
    let life = rows::life(tx, &row)?;
    let leaving = Leaving::parse(life.leaving.as_deref());
    let event = match leaving {
        Leaving::Ordered => match ended(tx, life.leaving_operation)? {
            None => return Ok(Outcome::Nothing),
            Some(true) => Event::Acknowledged,
            Some(false) => Event::OrderFailed,
        },
        Leaving::Asked if is_over(tx, &row, &life)? => Event::SessionOver,
        Leaving::Asked | Leaving::No | Leaving::Refused => return Ok(Outcome::Nothing),
    };
    match leaving::step(leaving, event) {
        Ok(Step::Retire) => {
            let actor = AuditActor::service("enrolment");
            let (by, because) = (&life.leaving_by, &life.leaving_because);
            let reason = match leaving {
                Leaving::Asked => format!("the device left: {because}"),
                _ => format!("{because} ({by}), acknowledged by the device"),
            };
            Ok(Outcome::Ended(rows::end(tx, &row, &actor, "device.unenrol", &reason)?))
        }
        Ok(Step::Become(next)) => {
            let by = AuditActor::service("enrolment");
            let detail = json!({ "device_id": row.device_id, "operation": life.leaving_operation });
            audit(tx, &by, "device.unenrol.refused", format!("device:{id}"), &detail)?;
            lives::put(tx, Life { leaving: next.as_str().map(str::to_owned), ..life })?;
            Ok(Outcome::Nothing)
        }
        Ok(Step::Keep | Step::Tell) | Err(_) => Ok(Outcome::Nothing),
    }
}

/// Whether an operation on one device has ended, and with success.
pub(super) fn ended(tx: &mut Tx, operation: Option<OperationId>) -> Result<Option<bool>, StoreError> {
    let Some(operation) = operation else { return Ok(Some(false)) };
    let rollup = operations::rollup(tx, operation)?;
    if rollup.open() > 0 {
        return Ok(None);
    }
    let done = rollup.of(CommandState::Succeeded);
    let all: i64 = CommandState::ALL.iter().map(|state| rollup.of(*state)).sum();
    Ok(Some(done > 0 && done == all))
}

/// Whether the session in which the device asked is over.
fn is_over(tx: &mut Tx, row: &Enrolment, life: &Life) -> Result<bool, StoreError> {
    let asked = life.leaving_at.unwrap_or(row.created_at);
    if tx.now().since(asked) > SESSION_MS {
        return Ok(true);
    }
    let latest = sessions::of(tx, row.id, 1)?.pop();
    Ok(latest.is_some_and(|session| session.closed_at.is_some_and(|closed| closed >= asked)))
}

/// A device said that it leaves: kept in the transaction that its answer waits for. `at` is the moment of its message,
/// which is the one that its session may end with.
pub(crate) fn asked(tx: &mut Tx, id: EnrolmentId, why: &str, at: UtcMillis) -> Result<(), StoreError> {
    let row = enrolments::get(tx, id)?;
    let life = rows::life(tx, &row)?;
    if let Ok(Step::Become(next)) = leaving::step(Leaving::parse(life.leaving.as_deref()), Event::DeviceAsks)
    {
        lives::put(
            tx,
            Life {
                leaving: next.as_str().map(str::to_owned),
                leaving_because: why.to_owned(),
                leaving_by: format!("device:{id}"),
                leaving_at: Some(at),
                ..life
            },
        )?;
    }
    Ok(())
}
