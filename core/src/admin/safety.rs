//! The brakes of destructive operations: state, freeze and thaw, limits, break-glass.

use actix_web::web;
use postern_actors::safety::{self as gate, Limits};
use postern_api::{
    Time,
    problem::Slug,
    safety::{
        Approver, BreakGlass, Freeze, FreezeOrThaw, OpenBreakGlass, REASON, Safety, SafetyChange,
        SafetyLimit, SafetyLimits, SetSafetyLimits,
    },
};
use postern_engine::safety::limits::BOUNDS;
use postern_store::{
    alarms::{self, Severity},
    approvals, destructive, freezes,
    outbox::{self, Recipients},
};
use postern_wire::terms::EventKind;
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    problem::Refused,
    write::{Done, Stop},
};
use crate::{glass, inside::Inside};

/// How long break-glass stays open, in milliseconds.
const OPEN_MS: i64 = 3_600_000;
/// Devices that one code is good for, at most.
const DEVICES: u64 = 25;
/// Open requests that are counted.
const COUNTED: i64 = 1_000;

pub(super) async fn show(inside: web::Data<Inside>, caller: Caller) -> Answer {
    let (by, now) = (caller.actor(), inside.now());
    let shown = inside
        .store
        .read(move |r| {
            let (_, figures) = gate::dry_run(r, &by, &[], now)?;
            let limits = gate::limits(r)?;
            let waiting = approvals::open(r, COUNTED)?.len();
            Ok(Safety {
                frozen: freezes::current(r)?.map(freeze_view),
                fleet: figures.fleet,
                fleet_limit: limits.fleet(figures.fleet),
                hit_by_all: figures.all,
                hit_by_you: figures.mine,
                your_limit: limits.per_person,
                approvers: gate::approvers(r)?
                    .into_iter()
                    .map(|one| Approver { name: one.name, from: Time(one.from) })
                    .collect(),
                waiting: u64::try_from(waiting).unwrap_or(u64::MAX),
            })
        })
        .await?;
    answer::ok(&shown)
}

fn freeze_view(row: freezes::Freeze) -> Freeze {
    Freeze {
        id: row.id,
        since: Time(row.since),
        by: row.frozen_by,
        reason: row.reason,
        automatic: row.automatic,
    }
}

pub(super) async fn freeze(
    inside: web::Data<Inside>,
    body: web::Json<FreezeOrThaw>,
    caller: Caller,
) -> Answer {
    let reason = answer::text("/reason", &body.reason, REASON)?;
    let frozen = inside.active()?.approvals.freeze(caller.actor(), reason).await?;
    answer::ok(&freeze_view(frozen))
}

pub(super) async fn thaw(inside: web::Data<Inside>, body: web::Json<FreezeOrThaw>, caller: Caller) -> Answer {
    let reason = answer::text("/reason", &body.reason, REASON)?;
    let waits = inside.active()?.approvals.thaw(caller.actor(), reason).await?;
    answer::json(202, &SafetyChange { done: waits.is_none(), approval: waits })
}

pub(super) async fn limits(inside: web::Data<Inside>, _: Caller) -> Answer {
    let (limits, set) = inside.store.read(|r| Ok((gate::limits(r)?, destructive::limits(r)?))).await?;
    let defaults = Limits::default();
    let shown = BOUNDS.iter().map(|bound| {
        let row = set.iter().find(|row| row.name == bound.name);
        SafetyLimit {
            name: bound.name.to_owned(),
            value: limits.get(bound.name).unwrap_or_default(),
            default: defaults.get(bound.name).unwrap_or_default(),
            least: bound.least,
            most: bound.most,
            what: bound.what.to_owned(),
            set_by: row.map(|row| row.set_by.clone()),
            set_at: row.map(|row| Time(row.at)),
        }
    });
    answer::ok(&SafetyLimits { limits: shown.collect() })
}

pub(super) async fn set_limits(
    inside: web::Data<Inside>,
    body: web::Json<SetSafetyLimits>,
    caller: Caller,
) -> Answer {
    let reason = answer::text("/reason", &body.reason, REASON)?;
    let mut next = inside.store.read(gate::limits).await?;
    for (name, value) in &body.limits {
        next = next
            .with(name, *value)
            .map_err(|why| Refused::invalid(&format!("/limits/{name}"), why.to_string()))?;
    }
    let waits = inside.active()?.approvals.set_limits(next, caller.actor(), reason).await?;
    answer::json(202, &SafetyChange { done: waits.is_none(), approval: waits })
}

/// Opens break-glass: a code of the safe, once, for this person and token.
pub(super) async fn break_glass(
    inside: web::Data<Inside>,
    body: web::Json<OpenBreakGlass>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let reason = answer::text("/reason", &body.reason, REASON)?;
    if !(1..=DEVICES).contains(&body.devices) {
        return Err(Refused::invalid("/devices", format!("a code is good for 1 to {DEVICES} devices")));
    }
    let known = glass::known(&inside.config.at(&inside.config.keys.break_glass));
    let hash = glass::hash(&body.code);
    if !glass::is_known(&known, &hash) {
        tracing::error!(admin = %caller.admin.name, source = %caller.source, "a break-glass code that is none");
        return Err(Refused::new(Slug::BreakGlassClosed, "this is no code of the safe"));
    }
    let (person, admin, token, devices) =
        (caller.admin.name.clone(), caller.admin.id, caller.token, body.devices);
    tracing::error!(admin = %person, devices, "break-glass is opened");
    let opened = inside
        .change(&caller, move |tx| {
            let mut left = 0;
            for code in &known {
                left += u64::from(!freezes::is_used(tx, *code)?);
            }
            if freezes::is_used(tx, hash)? {
                return Err(Stop::Refused(Refused::new(Slug::BreakGlassClosed, "this code was used before")));
            }
            let (id, at) = (tx.fresh_id(), tx.now());
            let until = at.plus(OPEN_MS);
            let count = i64::try_from(devices).unwrap_or(0);
            freezes::open_glass(
                tx,
                freezes::BreakGlass {
                    id,
                    person: person.clone(),
                    token,
                    opened_at: at,
                    until,
                    devices: count,
                    spent: 0,
                    code_hash: hash,
                    reason: reason.clone(),
                },
            )?;
            let subject = format!("admin:{person}");
            let text = format!("{subject} opened break-glass for {devices} devices: {reason}");
            alarms::raise(tx, Severity::Critical, gate::GLASS, &subject, &text)?;
            outbox::put(
                tx,
                &outbox::Event {
                    kind: EventKind::BreakGlass,
                    subject: format!("break-glass:{id}"),
                    device: None,
                    dedupe: format!("break-glass:{id}"),
                    data: json!({ "who": person, "devices": devices, "reason": reason }),
                    recipients: Recipients { requester: Some(admin), owner: None, security_list: true },
                    owner_held_until: None,
                    at,
                },
            )?;
            let detail = json!({ "devices": devices, "until": Time(until), "reason": reason });
            let value = BreakGlass { until: Time(until), devices, codes_left: left.saturating_sub(1) };
            Ok(Done { object: format!("break-glass:{id}"), detail, value })
        })
        .await?;
    answer::ok(&opened)
}
