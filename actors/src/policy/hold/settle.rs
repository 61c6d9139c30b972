//! The end of what waited: into force where it was agreed to, else forgotten.
//!
//! Promise: what comes into force is what was agreed to, by its digest; a core that dies on the way goes on with it.

use postern_store::{
    StoreError, Tx,
    policies::{self, Device, Hold},
};
use postern_wire::{route::RouteId, terms::EnrolmentId};
use serde_json::json;
use uuid::Uuid;

use super::{
    super::{
        Policies, SERVICE,
        inputs::Change,
        supervise::{self, LookError},
    },
    FLEET, PAGE, all_held,
    ask::{digest, written},
    figure,
};
use crate::{AuditActor, orders::audit};

/// What comes into force, part by part.
const GOING: &str = "going";

/// What was agreed to comes into force; what was not stops waiting.
pub(in crate::policy) async fn settle(policies: &Policies) -> Result<(), LookError> {
    let shared = policies.shared();
    let (waiting, agreed) = shared.store.look_up(|r| Ok((policies::hold(r)?, policies::agreed(r)?))).await?;
    if let Some(hold) = agreed {
        let id = hold.id;
        if shared.store.write(move |tx| begin(tx, id)).await? {
            let rows = all_held(policies).await?;
            promote(policies, rows, false).await?;
            shared.store.write(move |tx| end(tx, id)).await?;
            return Ok(());
        }
        tracing::warn!(hold = %id, "what waits is not what was agreed to: it is computed anew");
        policies.changed(Change::Documents);
    }
    if waiting.is_some() {
        return Ok(());
    }
    let rows = all_held(policies).await?;
    if !rows.is_empty() {
        // Refused, expired or left by a core that died: it is asked for anew, or refused as before.
        policies.changed(Change::Documents);
    }
    for some in rows.chunks(PAGE) {
        let ids: Vec<EnrolmentId> = some.iter().map(|row| row.enrolment).collect();
        let written = shared.store.write(move |tx| {
            for id in &ids {
                if let Some(row) = policies::find(tx, *id)? {
                    policies::put(tx, Device { waiting: None, ..row })?;
                }
            }
            Ok(())
        });
        written.await?;
    }
    Ok(())
}

/// Whether the agreed change may come into force: all of it still waits, or some of it is in force already.
fn begin(tx: &mut Tx, id: Uuid) -> Result<bool, StoreError> {
    let Some(hold) = policies::find_hold(tx, id)? else { return Ok(false) };
    if hold.state == GOING {
        return Ok(true);
    }
    let is_it = digest(&written(tx)?) == hold.digest;
    let (state, ended_at) = if is_it { (GOING, None) } else { ("gone", Some(tx.now())) };
    policies::put_hold(tx, Hold { state: state.to_owned(), ended_at, ..hold })?;
    if !is_it {
        let detail = json!({ "hold": id.to_string(), "reason": "what waits is not what was agreed to" });
        audit(tx, &AuditActor::service(SERVICE), "policy.gone", FLEET.to_owned(), &detail)?;
    }
    Ok(is_it)
}

fn end(tx: &mut Tx, id: Uuid) -> Result<(), StoreError> {
    let Some(hold) = policies::find_hold(tx, id)? else { return Ok(()) };
    let ended_at = Some(tx.now());
    policies::put_hold(tx, Hold { state: "agreed".to_owned(), ended_at, ..hold })
}

/// What waited comes into force; gives on how many devices. `lost`: nobody had to agree to it.
pub(super) async fn promote(policies: &Policies, rows: Vec<Device>, lost: bool) -> Result<usize, LookError> {
    let shared = policies.shared();
    let mut count = 0;
    for some in rows.chunks(PAGE) {
        let ids: Vec<EnrolmentId> = some.iter().map(|row| row.enrolment).collect();
        let written = shared.store.write(move |tx| {
            let (epoch, now) = (policies::raise_epoch(tx)?, tx.now());
            let mut routes = Vec::new();
            for id in &ids {
                let Some(row) = policies::find(tx, *id)? else { continue };
                let Some(desired) = row.waiting else { continue };
                let lost_at = if lost { Some(now) } else { row.lost_at };
                figure(tx, Device { desired, waiting: None, epoch, changed_at: now, lost_at, ..row })?;
                routes.push(supervise::tell(tx, *id)?);
            }
            Ok((routes, epoch))
        });
        let (routes, epoch): (Vec<RouteId>, i64) = written.await?;
        count += routes.len();
        shared.policy.raise(epoch);
        supervise::tell_all(policies, routes);
    }
    Ok(count)
}
