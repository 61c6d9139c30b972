//! Revoking an enrolment.

use postern_store::{
    StoreError, Tx, enrolments,
    lists::{self, Change, List},
};
use postern_wire::{
    route::RouteId,
    terms::{EnrolmentId, EnrolmentState},
};

use super::{Unwritten, blocked_route};
use crate::{
    AuditActor, RetireError,
    enrolment::rows::{Ended, end},
    safety::{self, Admitted, Ask, Class},
    shared::Shared,
    wipe,
};

pub(crate) async fn retire(
    shared: &Shared,
    device: EnrolmentId,
    actor: AuditActor,
    reason: String,
) -> Result<Ended, RetireError> {
    let written = shared.store.write(move |tx| decide(tx, device, &actor, &reason)).await;
    match written.map_err(Unwritten::from) {
        Ok(decided) => decided,
        Err(Unwritten::Overloaded(seconds)) => Err(RetireError::Overloaded(seconds)),
        Err(Unwritten::Full) => Err(RetireError::Unavailable("the database's disk is full".into())),
        Err(Unwritten::Unavailable(cause)) => Err(RetireError::Unavailable(cause)),
    }
}

fn decide(
    tx: &mut Tx,
    id: EnrolmentId,
    actor: &AuditActor,
    reason: &str,
) -> Result<Result<Ended, RetireError>, StoreError> {
    let Some(row) = enrolments::find(tx, id)? else { return Ok(Err(RetireError::Unknown(id))) };
    if row.state == EnrolmentState::Retired {
        return Ok(Err(RetireError::Already(id)));
    }
    if let Some(open) = wipe::suspends(tx, id)? {
        return Ok(Err(RetireError::Wiping(open.id)));
    }
    let ask = Ask {
        kind: safety::RETIRE,
        class: Class::Retire,
        by: actor,
        targets: &[id],
        reason,
        settings: serde_json::Value::Null,
    };
    match safety::admit(tx, &ask)? {
        Admitted::Go(_) => end(tx, &row, actor, "device.retire", reason).map(Ok),
        Admitted::NeedsApproval(request) => Ok(Err(RetireError::NeedsApproval(request))),
        Admitted::Held(held) => Ok(Err(held.into())),
    }
}

/// Takes a route out of the live ones and puts it on the blocked list.
pub(crate) fn bury(tx: &mut Tx, route: RouteId) -> Result<(), StoreError> {
    let hash = route.hash();
    lists::change(tx, List::Routes, &[Change::Remove { entry: hash.to_string() }])?;
    lists::change(
        tx,
        List::Blocked,
        &[Change::Add { entry: blocked_route(hash), verdict: "refuse".to_owned() }],
    )?;
    Ok(())
}
