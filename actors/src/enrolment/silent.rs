//! Devices that do not come.
//!
//! Promise: who is overdue is computed, as everywhere; only a step of the rules is written, with its row in the audit log.

use postern_engine::enrolment::silence::{self, Silent, Standing, Step};
use postern_store::{Reader, StoreError, Tx, enrolments, lives, schedules};
use postern_wire::terms::{EnrolmentId, EnrolmentState, UtcMillis};
use serde_json::json;

use super::{
    EnrolmentError, EnrolmentRules, Enrolments,
    rows::{self, Ended},
};
use crate::{
    AuditActor,
    orders::{Unwritten, audit},
    safety::{self, Admitted, Ask, Class},
    wipe,
};

/// Devices that are looked at in one transaction.
const PAGE: i64 = 200;

/// Looks at all who are overdue, and at all who were.
pub(super) async fn look(enrolments: &Enrolments) -> Result<(), EnrolmentError> {
    for standing in [None, Some(Standing::Quiet), Some(Standing::Stale)] {
        look_through(enrolments, standing).await?;
    }
    Ok(())
}

/// Those of a standing, or with none those that are overdue. They are found by a reader: an idle fleet is looked through
/// without holding up, or filling, the writer.
async fn look_through(enrolments: &Enrolments, standing: Option<Standing>) -> Result<(), EnrolmentError> {
    let shared = enrolments.shared();
    let steady = enrolments.inner.devices.clock_is_steady();
    let mut after = None;
    loop {
        let (from, rules) = (after, std::sync::Arc::clone(&enrolments.inner.parts.rules));
        let now = shared.now();
        let ids = shared.store.read(move |r| page(r, rules.as_ref(), standing, from, (steady, now))).await;
        let ids = ids.map_err(|error| EnrolmentError::Unavailable(error.to_string()))?;
        let last = ids.last().copied().filter(|_| i64::try_from(ids.len()) == Ok(PAGE));
        if !ids.is_empty() {
            let rules = std::sync::Arc::clone(&enrolments.inner.parts.rules);
            let written = shared.store.write(move |tx| judge(tx, rules.as_ref(), &ids, steady));
            for ended in written.await.map_err(Unwritten::from)? {
                ended.tell(&enrolments.inner.devices);
            }
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

fn page(
    r: &mut Reader,
    rules: &dyn EnrolmentRules,
    standing: Option<Standing>,
    after: Option<EnrolmentId>,
    (steady, now): (bool, UtcMillis),
) -> Result<Vec<EnrolmentId>, StoreError> {
    match standing {
        None if !steady => Ok(Vec::new()),
        None => {
            let overdue = schedules::Overdue { now, ..rules.read(r)?.overdue };
            schedules::overdue(r, overdue, after, PAGE)
        }
        Some(standing) => {
            let lives = lives::standing(r, standing.as_str(), after, PAGE)?;
            Ok(lives.iter().map(|life| life.enrolment).collect())
        }
    }
}

/// Judges each anew: it may have come since it was read.
fn judge(
    tx: &mut Tx,
    rules: &dyn EnrolmentRules,
    ids: &[EnrolmentId],
    steady: bool,
) -> Result<Vec<Ended>, StoreError> {
    let mut set = rules.read(tx)?;
    set.overdue.now = tx.now();
    let mut ended = Vec::new();
    for id in ids {
        let is_overdue = schedules::is_overdue(tx, set.overdue, *id)?;
        ended.extend(one(tx, *id, is_overdue, &set, steady)?);
    }
    Ok(ended)
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
    let wipe_pending = wipe::suspends(tx, id)?.is_some();
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
