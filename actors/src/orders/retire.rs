//! Revoking an enrolment.

use postern_engine::command::Cause;
use postern_store::{
    StoreError, Tx, enrolments,
    lists::{self, Change, List},
};
use postern_wire::{
    route::RouteId,
    terms::{CommandId, EnrolmentId, EnrolmentState},
};
use serde_json::json;

use super::{Unwritten, audit, blocked_route, drop_pending};
use crate::{AuditActor, RetireError, Retired, shared::Shared};

pub(crate) async fn retire(
    shared: &Shared,
    device: EnrolmentId,
    actor: AuditActor,
    reason: String,
) -> Result<(Retired, RouteId), RetireError> {
    let written = shared.store.write(move |tx| decide(tx, device, &actor, &reason)).await;
    let (route, dropped) = match written.map_err(Unwritten::from) {
        Ok(decided) => decided?,
        Err(Unwritten::Overloaded(seconds)) => return Err(RetireError::Overloaded(seconds)),
        Err(Unwritten::Full) => return Err(RetireError::Unavailable("the database's disk is full".into())),
        Err(Unwritten::Unavailable(cause)) => return Err(RetireError::Unavailable(cause)),
    };
    let cancelled = u32::try_from(dropped.len()).unwrap_or(u32::MAX);
    shared.watches.tell(dropped);
    shared.announce.gone(route.hash());
    Ok((Retired { enrolment: device, cancelled }, route))
}

type Decided = Result<(RouteId, Vec<CommandId>), RetireError>;

fn decide(tx: &mut Tx, id: EnrolmentId, actor: &AuditActor, reason: &str) -> Result<Decided, StoreError> {
    let Some(row) = enrolments::find(tx, id)? else { return Ok(Err(RetireError::Unknown(id))) };
    if row.state == EnrolmentState::Retired {
        return Ok(Err(RetireError::Already(id)));
    }
    let dropped = drop_pending(tx, id, Cause::Retired)?;
    enrolments::retire(tx, id, reason)?;
    let route = RouteId::from_bytes(row.route);
    bury(tx, route)?;
    let detail = json!({ "device_id": row.device_id, "ended_commands": dropped.len(), "reason": reason });
    audit(tx, actor, "device.retire", format!("device:{id}"), &detail)?;
    Ok(Ok((route, dropped)))
}

/// Takes a route out of the live ones and puts it on the blocked list.
pub(super) fn bury(tx: &mut Tx, route: RouteId) -> Result<(), StoreError> {
    let hash = route.hash();
    lists::change(tx, List::Routes, &[Change::Remove { entry: hash.to_string() }])?;
    lists::change(
        tx,
        List::Blocked,
        &[Change::Add { entry: blocked_route(hash), verdict: "refuse".to_owned() }],
    )?;
    Ok(())
}
