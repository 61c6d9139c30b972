//! Lock and unlock: devices by name, of a group, or both; what would be hit, before it is.

use std::collections::BTreeSet;

use actix_web::web;
use postern_actors::safety as gate;
use postern_api::{
    Permission,
    locks::{DEVICES, LockDevices, Locked, LockedDevice},
    safety::REASON,
};
use postern_engine::{operations::lock::Action, safety::limits::Verdict};
use postern_store::{Reader, StoreError, enrolments, groups};
use postern_wire::terms::{EnrolmentId, EnrolmentState};

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::resolve,
    problem::Refused,
};
use crate::inside::Inside;

/// Members of a group that are read together.
const PAGE: i64 = 500;

pub(super) async fn order(inside: web::Data<Inside>, body: web::Json<LockDevices>, caller: Caller) -> Answer {
    let body = body.into_inner();
    let reason = answer::text("/reason", &body.reason, REASON)?;
    let action = Action::parse(&body.action).ok_or_else(|| {
        let all: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        Refused::invalid("/action", format!("an action is one of {}", all.join(", ")))
    })?;
    if action.is_pin() {
        caller.require(Permission::PinReset)?;
    }
    let (names, group) = (body.devices, body.group);
    let found = inside.store.read(move |r| Ok(targets(r, &names, group.as_deref()))).await??;
    let ids: Vec<EnrolmentId> = found.iter().map(|device| device.id).collect();
    if body.dry_run {
        let (by, now) = (caller.actor(), inside.now());
        let (verdict, _) = inside.store.read(move |r| gate::dry_run(r, &by, &ids, now)).await?;
        return answer::ok(&Locked { outcome: would(verdict).to_owned(), devices: found });
    }
    let queued = inside.active()?.locks.order(ids, action, caller.actor(), reason).await?;
    let devices = found
        .into_iter()
        .map(|device| {
            let operation = queued.iter().find(|(id, _)| *id == device.id).map(|(_, operation)| *operation);
            LockedDevice { operation, ..device }
        })
        .collect();
    let locked = Locked { outcome: "queued".to_owned(), devices };
    inside.keep_answer(&caller, 202, &locked).await;
    answer::json(202, &locked)
}

/// What would become of a request.
pub(super) const fn would(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Go { alone: false } | Verdict::Glass => "would-go",
        Verdict::Go { alone: true } => "would-go-alone",
        Verdict::Approve { .. } => "would-wait-for-approval",
        Verdict::Freeze => "would-freeze",
        Verdict::Frozen | Verdict::Later | Verdict::GlassSpent => "is-frozen",
    }
}

/// The devices that a request names, each once, in order of id; a retired one among a group's is left out.
fn targets(r: &mut Reader, names: &[String], group: Option<&str>) -> Result<Vec<LockedDevice>, Refused> {
    let mut ids = BTreeSet::new();
    for name in names {
        ids.insert(resolve(r, name)?.id);
    }
    if let Some(name) = group {
        let group = groups::find(r, name)?.ok_or_else(|| Refused::not_found("group", name))?;
        ids.extend(members(r, group.id)?);
    }
    if ids.is_empty() || ids.len() > DEVICES {
        return Err(Refused::invalid("/devices", format!("a request is for 1 to {DEVICES} devices")));
    }
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let row = enrolments::get(r, id)?;
        found.push(LockedDevice { id, name: row.name, operation: None });
    }
    Ok(found)
}

fn members(r: &mut Reader, group: uuid::Uuid) -> Result<Vec<EnrolmentId>, StoreError> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = groups::members(r, group, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(*last);
        for id in page {
            let row = enrolments::find(r, id)?;
            all.extend(row.filter(|row| row.state != EnrolmentState::Retired).map(|row| row.id));
        }
        if all.len() > DEVICES {
            return Ok(all);
        }
    }
}
