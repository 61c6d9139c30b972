//! Taking back a command that was not sent.

use postern_engine::queue::Queue;
use postern_store::{StoreError, Tx, commands, enrolments};
use postern_wire::{
    route::RouteId,
    terms::{CommandId, CommandState, OperationKind},
};
use serde_json::json;

use super::{Unwritten, audit, finish};
use crate::{AuditActor, CancelError, Cancelled, device::pending, shared::Shared};

pub(crate) async fn cancel(
    shared: &Shared,
    command: CommandId,
    actor: AuditActor,
    reason: String,
) -> Result<(Cancelled, RouteId), CancelError> {
    let written = shared.store.write(move |tx| decide(tx, command, &actor, &reason)).await;
    let (cancelled, route) = match written.map_err(Unwritten::from) {
        Ok(decided) => decided?,
        Err(Unwritten::Overloaded(seconds)) => return Err(CancelError::Overloaded(seconds)),
        Err(Unwritten::Full) => return Err(CancelError::Unavailable("the database's disk is full".into())),
        Err(Unwritten::Unavailable(cause)) => return Err(CancelError::Unavailable(cause)),
    };
    shared.watches.tell([command]);
    Ok((cancelled, route))
}

fn decide(
    tx: &mut Tx,
    id: CommandId,
    actor: &AuditActor,
    reason: &str,
) -> Result<Result<(Cancelled, RouteId), CancelError>, StoreError> {
    let Some(row) = commands::find(tx, id)? else { return Ok(Err(CancelError::Unknown(id))) };
    if !matches!(row.state, CommandState::Queued | CommandState::Sent) {
        return Ok(Err(CancelError::Ended(row.state)));
    }
    if row.kind == OperationKind::Wipe {
        return Ok(Err(CancelError::Wipe));
    }
    let mut queue = Queue::load(vec![pending(&row)?], 1);
    let now = tx.now();
    let Ok(effect) = queue.cancel(id, now) else { return Ok(Err(CancelError::Sent)) };
    let end =
        finish(&effect).ok_or_else(|| StoreError::Refused("a cancelled command did not end".to_owned()))?;
    commands::finish(tx, std::slice::from_ref(&end))?;
    let route = RouteId::from_bytes(enrolments::get(tx, row.enrolment)?.route);
    let detail = json!({ "command": id, "device": row.enrolment, "state": end.state, "reason": reason });
    audit(tx, actor, "command.cancel", format!("command:{id}"), &detail)?;
    Ok(Ok((Cancelled { command: id, enrolment: row.enrolment, state: end.state }, route)))
}
