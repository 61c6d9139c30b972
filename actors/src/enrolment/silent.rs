//! Devices that do not come.
//!
//! Promise: who is overdue is computed, as everywhere; only a step of the rules is written, with its row in the audit log.

use std::collections::BTreeSet;

use postern_engine::enrolment::silence::{self, Silent, Standing, Step};
use postern_store::{StoreError, Tx, commands, enrolments, lives, schedules};
use postern_wire::terms::{EnrolmentId, EnrolmentState, OperationKind};
use serde_json::json;

use super::{
    EnrolmentError, EnrolmentRules, Enrolments,
    rows::{self, Ended},
};
use crate::{
    AuditActor,
    orders::{Unwritten, audit},
    safety::{self, Admitted, Ask, Class},
};

/// Devices that are looked at in one transaction.
const PAGE: i64 = 200;
/// Commands among which a wipe is looked for; wipes come first.
const PENDING: i64 = 16;

/// Looks at all who are overdue, and at all who were.
pub(super) async fn look(enrolments: &Enrolments) -> Result<(), EnrolmentError> {
    for standing in [None, Some(Standing::Quiet), Some(Standing::Stale)] {
        look_through(enrolments, standing).await?;
    }
    Ok(())
}

/// Those of a standing, or with none those that are overdue.
async fn look_through(enrolments: &Enrolments, standing: Option<Standing>) -> Result<(), EnrolmentError> {
    let shared = enrolments.shared();
    let steady = enrolments.inner.devices.clock_is_steady();
    let mut after = None;
    loop {
        let (from, rules) = (after, std::sync::Arc::clone(&enrolments.inner.parts.rules));
        let written = shared.store.write(move |tx| page(tx, rules.as_ref(), standing, from, steady));
        let (last, ended) = written.await.map_err(Unwritten::from)?;
        for ended in ended {
            ended.tell(&enrolments.inner.devices);
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

type Page = (Option<EnrolmentId>, Vec<Ended>);

fn page(
    tx: &mut Tx,
    rules: &dyn EnrolmentRules,
    standing: Option<Standing>,
    after: Option<EnrolmentId>,
    steady: bool,
) -> Result<Page, StoreError> {
    let mut set = rules.read(tx)?;
    set.overdue.now = tx.now();
    let ids: Vec<EnrolmentId> = match standing {
        None if !steady => Vec::new(),
        None => schedules::overdue(tx, set.overdue, after, PAGE)?,
        Some(standing) => {
            let lives = lives::standing(tx, standing.as_str(), after, PAGE)?;
            lives.iter().map(|life| life.enrolment).collect()
        }
    };
    let last = ids.last().copied().filter(|_| i64::try_from(ids.len()) == Ok(PAGE));
    let overdue: Option<BTreeSet<EnrolmentId>> = standing.is_none().then(|| ids.iter().copied().collect());
    let mut ended = Vec::new();
    for id in ids {
        let is_overdue = match &overdue {
            Some(overdue) => overdue.contains(&id),
            None => schedules::is_overdue(tx, set.overdue, id)?,
        };
        ended.extend(one(tx, id, is_overdue, &set, steady)?);
    }
    Ok((last, ended))
}

fn one(
    tx: &mut Tx,
    id: EnrolmentId,
    overdue: bool,
    set: &super::EnrolmentSettings,
    steady: bool,
) -> Result<Option<Ended>, StoreError> {
    let Some(row) = enrolments::find(tx, id)? else { return Ok(None) };
    if !matches!(row.state, EnrolmentState::New | EnrolmentState::Managed) {
        return Ok(None);
    }
    let life = rows::life(tx, &row)?;
    let wipe_pending = row.pending > 0
        && commands::pending_of(tx, id, PENDING)?.iter().any(|one| one.kind == OperationKind::Wipe);
    let device = Silent {
        standing: Standing::parse(&life.standing),
        since: life.standing_since,
        seen: row.last_seen_at.unwrap_or(row.created_at),
        overdue,
        wipe_pending,
    };
    let actor = AuditActor::service("enrolment");
    let subject = format!("device:{id}");
    match silence::look(device, set.silence, tx.now(), steady) {
        Step::Keep | Step::Held => Ok(None),
        Step::Become(next) => {
            let detail =
                json!({ "device_id": row.device_id, "was": device.standing.as_str(), "seen": device.seen });
            if next == Standing::Stale {
                let text = format!(
                    "{} was last seen at {} and is about to lose its enrolment by its silence",
                    row.name, device.seen
                );
                rows::alarm(tx, rows::STALE, &subject, &text)?;
            } else if device.standing == Standing::Stale {
                rows::clear_alarms(tx, &subject, "it is no longer stale")?;
            }
            audit(tx, &actor, &format!("device.{}", next.as_str()), subject, &detail)?;
            let at = tx.now();
            lives::put(tx, lives::Life { standing: next.as_str().to_owned(), standing_since: at, ..life })?;
            Ok(None)
        }
        Step::Unenrol => {
            let reason = format!("silent since {} (DisenrollInterval)", device.seen);
            let ask = Ask {
                kind: safety::UNENROL,
                class: Class::Unenrol,
                by: &actor,
                targets: &[id],
                reason: &reason,
                settings: serde_json::Value::Null,
            };
            // While it is frozen, or where enough were ended in this hour, it waits for the next look.
            if !matches!(safety::admit(tx, &ask)?, Admitted::Go(_)) {
                return Ok(None);
            }
            rows::end(tx, &row, &actor, "device.unenrol", &reason).map(Some)
        }
    }
}
