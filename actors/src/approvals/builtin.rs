//! The kinds that need no supervisor of their own: retire, un-enrol, thaw, and a change of limits.

use std::sync::Arc;

use postern_engine::safety::{
    approval::{self, Content},
    limits::{BOUNDS, Limits},
};
use postern_store::{
    StoreError, Tx, alarms, approvals as rows,
    destructive::{self, SetLimit},
    enrolments, freezes,
};
use postern_wire::terms::EventKind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{After, Approved, DecideError, Decided, KindHandler, read, request};
use crate::{
    AuditActor,
    enrolment::{Enrolments, rows::end},
    orders::audit,
    safety::{self, Class},
};

/// The kind of request that lifts a freeze.
pub const THAW: &str = "thaw";
/// The kind of request that changes limits.
pub const LIMITS: &str = "limits";
/// Devices whose orders waited that are told of a thaw.
const TOLD: i64 = 10_000;

pub(super) fn handlers(enrolments: &Enrolments) -> Vec<Arc<dyn KindHandler>> {
    vec![
        Arc::new(Retire),
        Arc::new(crate::enrolment::Unenrol(enrolments.clone())),
        Arc::new(Thaw),
        Arc::new(ChangeLimits),
    ]
}

// === retire

struct Retire;

impl KindHandler for Retire {
    fn kind(&self) -> &'static str {
        safety::RETIRE
    }

    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError> {
        safety::admit_approved(tx, Class::Retire, what.approval, &what.content.targets)?;
        let (by, reason) = (what.requester(), what.approval.reason.as_str());
        let mut ended = Vec::new();
        for (id, _) in &what.content.targets {
            let row = enrolments::get(tx, *id)?;
            ended.push(end(tx, &row, &by, "device.retire", reason)?);
        }
        Ok(Ok(Box::new(move |devices| {
            for one in ended {
                one.tell(devices);
            }
        })))
    }
}

// === thaw

struct Thaw;

impl KindHandler for Thaw {
    fn kind(&self) -> &'static str {
        THAW
    }

    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError> {
        let wanted = what.what().get("freeze").and_then(Value::as_str).and_then(|id| id.parse::<Uuid>().ok());
        let freeze = match freezes::current(tx)? {
            Some(freeze) if Some(freeze.id) == wanted => freeze.id,
            Some(_) => return Ok(Err("another freeze stands now".to_owned())),
            None => return Ok(Err("nothing is frozen".to_owned())),
        };
        let by = format!("{}, {}", what.requester().said(), what.by.said());
        lift(tx, freeze, what.by, &by, &what.approval.reason).map(Ok)
    }
}

fn lift(tx: &mut Tx, freeze: Uuid, actor: &AuditActor, by: &str, reason: &str) -> Result<After, StoreError> {
    freezes::thaw(tx, by, reason)?;
    alarms::clear(tx, safety::FROZEN, safety::FLEET, &format!("thawed by {by}"))?;
    audit(tx, actor, "safety.thaw", safety::FLEET.to_owned(), &json!({ "by": by, "reason": reason }))?;
    safety::tell(
        tx,
        EventKind::Thawed,
        format!("freeze:{freeze}"),
        actor,
        json!({ "who": by, "reason": reason }),
    )?;
    let waiting = postern_store::held::waiting_devices(tx, TOLD)?;
    Ok(Box::new(move |devices| devices.thawed(waiting)))
}

/// The request that waits for a second person, if one does, and what was decided, if it was.
type Thawed = (Option<Uuid>, Option<Decided>);

/// A thaw: gives the request that waits, or what is to be told after it is done.
pub(super) fn thaw(
    tx: &mut Tx,
    handlers: &[Arc<dyn KindHandler>],
    by: &AuditActor,
    reason: &str,
) -> Result<Result<Thawed, DecideError>, StoreError> {
    let now = tx.now();
    let Some(freeze) = freezes::current(tx)? else { return Ok(Err(approval::NoThaw::NotFrozen.into())) };
    let content = Content::new(THAW, Vec::new(), json!({ "what": { "freeze": freeze.id.to_string() } }));
    // Somebody else asked for it before: then this is the second person.
    for row in rows::open(tx, 500)? {
        let other = row.kind == THAW && row.hash == content.hash() && row.requester != by.name;
        if other && read(&row).is_ok_and(|content| request(&row, &content).state.is_open()) {
            let decided = super::approve(tx, handlers, row.id, row.hash, by, reason)?;
            return Ok(decided.map(|decided| (None, Some(decided))));
        }
    }
    if safety::second(tx, &by.name, now)? {
        let limits = safety::limits(tx)?;
        let waits = safety::wait_for(tx, by, &content, reason, &limits, 0, None)?;
        return Ok(waits.map(|id| (Some(id), None)).ok_or(safety::Held::TooManyOpen.into()));
    }
    if let Err(refused) = approval::thaw_alone(Some(freeze.since), now) {
        return Ok(Err(refused.into()));
    }
    safety::loud(tx, by, "a thaw", reason)?;
    let after = lift(tx, freeze.id, by, &by.said(), reason)?;
    Ok(Ok((None, Some(Decided { state: approval::State::Approved, after: Some(after) }))))
}

// === limits

struct ChangeLimits;

impl KindHandler for ChangeLimits {
    fn kind(&self) -> &'static str {
        LIMITS
    }

    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError> {
        let mut next = Limits::default();
        for bound in BOUNDS {
            let Some(value) = what.what().get(bound.name).and_then(Value::as_u64) else {
                return Ok(Err(format!("it names no {}", bound.name)));
            };
            next = match next.with(bound.name, value) {
                Ok(next) => next,
                Err(why) => return Ok(Err(why.to_string())),
            };
        }
        if what.approval.requester == what.by.name {
            safety::loud(tx, what.by, "a change of limits", &what.approval.reason)?;
        }
        put(tx, &next, &what.requester(), &what.approval.reason)?;
        Ok(Ok(Box::new(|_| {})))
    }
}

fn values(limits: &Limits) -> Value {
    BOUNDS.iter().map(|bound| (bound.name.to_owned(), json!(limits.get(bound.name)))).collect()
}

fn put(tx: &mut Tx, next: &Limits, by: &AuditActor, reason: &str) -> Result<(), StoreError> {
    let (before, at) = (safety::limits(tx)?, tx.now());
    let changed = BOUNDS.iter().filter(|bound| before.get(bound.name) != next.get(bound.name));
    let rows = changed
        .filter_map(|bound| {
            let value = i64::try_from(next.get(bound.name)?).ok()?;
            Some(SetLimit { name: bound.name.to_owned(), value, set_by: by.said(), at })
        })
        .collect();
    destructive::set_limits(tx, rows)?;
    let detail = json!({ "before": values(&before), "limits": values(next), "reason": reason });
    audit(tx, by, "safety.limits", safety::FLEET.to_owned(), &detail)
}

pub(super) fn limits(
    tx: &mut Tx,
    next: &Limits,
    by: &AuditActor,
    reason: &str,
) -> Result<Result<Option<Uuid>, DecideError>, StoreError> {
    let (before, now) = (safety::limits(tx)?, tx.now());
    if before.is_tightened_by(next) {
        put(tx, next, by, reason)?;
        return Ok(Ok(None));
    }
    // Who is alone waits a day, and gives it then: whoever has a stolen token does not have the day.
    let alone_from = (!safety::second(tx, &by.name, now)?).then(|| now.plus(approval::ALONE_MS));
    let content = Content::new(LIMITS, Vec::new(), json!({ "what": values(next) }));
    let waits = safety::wait_for(tx, by, &content, reason, &before, 0, alone_from)?;
    Ok(waits.map(Some).ok_or(safety::Held::TooManyOpen.into()))
}
