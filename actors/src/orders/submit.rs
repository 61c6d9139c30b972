//! Taking an order: planned for each device, put together with what waits there, and committed whole.

use std::collections::BTreeSet;

use postern_engine::operations::{self, Coalesced, PlanError, Target, coalesce};
use postern_engine::{account::Quirks, effect::Effect, profiles::Shelf, queue::Queue};
use postern_store::{
    StoreError, Tx,
    commands::{self, Command},
    enrolments::{self, Enrolment},
    idempotency::{self, Answered},
    operations::Operation,
};
use postern_wire::{
    route::RouteId,
    terms::{CommandId, CommandState, EnrolmentId, EnrolmentState, Lane, OperationId, OperationKind},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Unwritten, audit, finish, queue_of};
use crate::{Body, Order, SubmitError, Submitted, device::PROFILES, payload::Content, shared::Shared};

/// Devices that one order may name.
const TARGETS: usize = 10_000;
/// Commands that one order may have for each device.
const COMMANDS: usize = 256;
/// Keys of orders stand apart from those of other requests.
const KEY_PREFIX: &str = "order/";

/// What an order's idempotency key keeps.
#[derive(Serialize, Deserialize)]
struct Answer {
    operation: OperationId,
    commands: Vec<(EnrolmentId, CommandId)>,
}

/// What was committed, and who is to be told.
pub(crate) struct Taken {
    pub(crate) submitted: Submitted,
    pub(crate) routes: Vec<RouteId>,
    touched: Vec<CommandId>,
}

pub(crate) async fn submit(shared: &Shared, order: Order) -> Result<Taken, SubmitError> {
    check(&order)?;
    let digest = digest(&order);
    let cap = shared.settings.pending_cap;
    let urgent = is_urgent(&order);
    let shelf = shared.settings.session.profiles.clone();
    let work = move |tx: &mut Tx| decide(tx, &order, digest, cap, &shelf);
    let written = if urgent { shared.store.write_urgent(work).await } else { shared.store.write(work).await };
    let taken = match written.map_err(Unwritten::from) {
        Ok(decided) => decided?,
        Err(Unwritten::Overloaded(seconds)) => return Err(SubmitError::Overloaded(seconds)),
        Err(Unwritten::Full) => return Err(SubmitError::Full),
        Err(Unwritten::Unavailable(cause)) => return Err(SubmitError::Unavailable(cause)),
    };
    shared.watches.tell(taken.touched.iter().copied());
    Ok(taken)
}

/// Takes an order of a service inside a transaction of its own; the caller tells whom it concerns.
pub(crate) fn within(
    tx: &mut Tx,
    order: &Order,
    cap: usize,
    shelf: &Shelf,
) -> Result<Result<OperationId, SubmitError>, StoreError> {
    if let Err(refused) = check(order) {
        return Ok(Err(refused));
    }
    let decided = decide(tx, order, digest(order), cap, shelf)?;
    Ok(decided.map(|taken| taken.submitted.operation))
}

/// Whether an order passes those that wait.
pub(crate) fn is_urgent(order: &Order) -> bool {
    order.kind == OperationKind::Wipe || order.lane == Lane::Urgent
}

fn check(order: &Order) -> Result<(), SubmitError> {
    let invalid = |text: String| Err(SubmitError::Invalid(text));
    if order.targets.is_empty() || order.targets.len() > TARGETS {
        return invalid(format!("an order is for 1 to {TARGETS} devices"));
    }
    if order.targets.iter().collect::<BTreeSet<_>>().len() != order.targets.len() {
        return invalid("a device is named twice".to_owned());
    }
    if order.commands.len() > COMMANDS {
        return invalid(format!("an order has at most {COMMANDS} commands"));
    }
    if operations::planner(order.kind).is_none() {
        return Err(SubmitError::NotServed(order.kind));
    }
    Ok(())
}

/// What makes two orders the same.
fn digest(order: &Order) -> [u8; 32] {
    let commands: Vec<_> = order
        .commands
        .iter()
        .map(|body| {
            let content = Content { body: body.clone(), ordered: order.ordered };
            (body.verb(), String::from_utf8_lossy(&content.to_payload()).into_owned())
        })
        .collect();
    let text = json!([order.targets, order.kind, order.lane, order.deadline, commands]).to_string();
    Sha256::digest(text).into()
}

fn decide(
    tx: &mut Tx,
    order: &Order,
    digest: [u8; 32],
    cap: usize,
    shelf: &Shelf,
) -> Result<Result<Taken, SubmitError>, StoreError> {
    let key = order.idempotency.as_ref().map(|key| format!("{KEY_PREFIX}{key}"));
    if let Some(key) = &key
        && let Some(answered) = idempotency::find(tx, &order.actor.name, key)?
    {
        return Ok(repeat(&answered, digest));
    }
    let operation = OperationId(tx.fresh_id());
    let mut planned = Vec::with_capacity(order.targets.len());
    for id in &order.targets {
        match plan(tx, order, operation, *id, cap, shelf)? {
            Ok(plan) => planned.push(plan),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    // Nothing was written so far; from here on everything is, or the transaction fails.
    let mut rows = Vec::new();
    let mut ends = Vec::new();
    for plan in &mut planned {
        rows.append(&mut plan.rows);
        ends.extend(plan.superseded.iter().filter_map(finish));
    }
    let made: Vec<_> = rows.iter().map(|row| (row.enrolment, row.id)).collect();
    keep_operation(tx, order, operation, made.len())?;
    commands::finish(tx, &ends)?;
    commands::insert(tx, rows)?;
    note(tx, order, operation, made.len(), ends.len())?;
    if let Some(key) = key {
        keep_answer(tx, order, key, digest, operation, &made)?;
    }
    let touched = made.iter().map(|(_, id)| *id).chain(ends.iter().map(|end| end.id)).collect();
    let routes = planned.iter().map(|plan| plan.route).collect();
    Ok(Ok(Taken { submitted: Submitted { operation, commands: made, repeated: false }, routes, touched }))
}

fn repeat(answered: &Answered, digest: [u8; 32]) -> Result<Taken, SubmitError> {
    if answered.request != digest {
        return Err(SubmitError::KeyReused);
    }
    let Answer { operation, commands } = serde_json::from_str(&answered.answer)
        .map_err(|cause| SubmitError::Unavailable(format!("the stored answer cannot be read: {cause}")))?;
    let submitted = Submitted { operation, commands, repeated: true };
    Ok(Taken { submitted, routes: Vec::new(), touched: Vec::new() })
}

/// One device's part of an order.
struct DevicePlan {
    route: RouteId,
    rows: Vec<Command>,
    superseded: Vec<Effect>,
}

fn plan(
    tx: &mut Tx,
    order: &Order,
    operation: OperationId,
    id: EnrolmentId,
    cap: usize,
    shelf: &Shelf,
) -> Result<Result<DevicePlan, SubmitError>, StoreError> {
    let Some(device) = enrolments::find(tx, id)? else { return Ok(Err(SubmitError::UnknownDevice(id))) };
    if device.state == EnrolmentState::Retired {
        return Ok(Err(SubmitError::Retired(id)));
    }
    let mut queue = if device.pending > 0 { queue_of(tx, id, cap)? } else { Queue::new(cap) };
    let wanted = operations::Order {
        operation,
        kind: order.kind,
        lane: order.lane,
        deadline: order.deadline,
        ordered: order.ordered,
        commands: order.commands.clone(),
    };
    let Some(planner) = operations::planner(order.kind) else {
        return Ok(Err(SubmitError::NotServed(order.kind)));
    };
    let facts = postern_store::facts::of(tx, id)?;
    let profiles = facts.iter().find(|fact| fact.key == PROFILES).map_or("", |fact| fact.value.as_str());
    let quirks = shelf.get().named(profiles, Quirks::default());
    let target = Target { dialect: device.dialect, quirks };
    let planned = match planner.plan(&wanted, target) {
        Ok(planned) => planned,
        Err(refused) => return Ok(Err(refusal(refused))),
    };
    let ordered = order.ordered || planned.ordered;
    let Coalesced { insert, supersede } = coalesce(&queue, order.kind, planned);
    let now = tx.now();
    let superseded: Vec<_> = supersede.into_iter().filter_map(|old| queue.supersede(old, now).ok()).collect();
    if queue.admits(order.kind, insert.len()).is_err() {
        return Ok(Err(SubmitError::TooMany { device: id, cap }));
    }
    let rows = (0..)
        .zip(insert)
        .map(|(position, command)| {
            let content = Content { body: command.body, ordered };
            let id = CommandId(tx.fresh_id());
            row(&device, order, operation, id, position, &content, command.redelivery, now)
        })
        .collect();
    Ok(Ok(DevicePlan { route: RouteId::from_bytes(device.route), rows, superseded }))
}

fn refusal(refused: PlanError) -> SubmitError {
    match refused {
        PlanError::NoPlanner { kind } => SubmitError::NotServed(kind),
        PlanError::Protected { uri, protected } => {
            SubmitError::Destructive { uri, reason: protected.to_string() }
        }
        other => SubmitError::Invalid(other.to_string()),
    }
}

#[expect(clippy::too_many_arguments, reason = "one row has these parts, and it is made in one place")]
fn row(
    device: &Enrolment,
    order: &Order,
    operation: OperationId,
    id: CommandId,
    position: i64,
    content: &Content,
    redelivery: postern_wire::terms::Redelivery,
    now: postern_wire::terms::UtcMillis,
) -> Command {
    Command {
        id,
        operation,
        enrolment: device.id,
        generation: device.generation,
        kind: order.kind,
        lane: order.lane,
        rank: commands::rank(order.kind, order.lane),
        position,
        verb: content.body.verb(),
        uri: first_target(&content.body),
        payload: content.to_payload(),
        sealed: false,
        redelivery,
        probe: None,
        mac: None,
        state: CommandState::Queued,
        attempts: 0,
        created_at: now,
        not_before: None,
        deadline: order.deadline,
        sent_at: None,
        session: None,
        reference: None,
        accepted_at: None,
        finished_at: None,
        status: None,
        cause: "queued".to_owned(),
        proof: None,
        revision: 1,
    }
}

fn first_target(body: &Body) -> String {
    body.first_uri().unwrap_or_default().to_owned()
}

fn keep_operation(
    tx: &mut Tx,
    order: &Order,
    operation: OperationId,
    commands: usize,
) -> Result<(), StoreError> {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let created_at = tx.now();
    postern_store::operations::insert(
        tx,
        Operation {
            id: operation,
            kind: order.kind,
            lane: order.lane,
            actor: order.actor.name.clone(),
            reason: order.reason.clone(),
            detail: json!({ "ordered": order.ordered }).to_string(),
            created_at,
            deadline: order.deadline,
            devices: count(order.targets.len()),
            commands: count(commands),
        },
    )
}

/// The audit entry: what was asked of whom; never the data, which may be secret.
fn note(
    tx: &mut Tx,
    order: &Order,
    operation: OperationId,
    commands: usize,
    superseded: usize,
) -> Result<(), StoreError> {
    const NAMED: usize = 20;
    let asked: Vec<_> = order
        .commands
        .iter()
        .take(NAMED)
        .map(|body| json!({ "verb": body.verb(), "uri": first_target(body) }))
        .collect();
    let detail = json!({
        "operation": operation,
        "kind": order.kind,
        "devices": order.targets.iter().take(NAMED).collect::<Vec<_>>(),
        "device_count": order.targets.len(),
        "asked": asked,
        "commands": commands,
        "superseded": superseded,
        "reason": order.reason,
    });
    let object = match order.targets.as_slice() {
        [one] => format!("device:{one}"),
        _ => format!("operation:{operation}"),
    };
    audit(tx, &order.actor, "operation.submit", object, &detail)
}

fn keep_answer(
    tx: &mut Tx,
    order: &Order,
    key: String,
    digest: [u8; 32],
    operation: OperationId,
    made: &[(EnrolmentId, CommandId)],
) -> Result<(), StoreError> {
    let answer = serde_json::to_string(&Answer { operation, commands: made.to_vec() })
        .map_err(|cause| StoreError::Refused(cause.to_string()))?;
    let at = tx.now();
    idempotency::keep(
        tx,
        Answered { principal: order.actor.name.clone(), key, request: digest, status: 202, answer, at },
    )
}
