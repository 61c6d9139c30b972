//! Who is told that a device is locked: once the order to lock it has ended, in the transaction of what the device said.
//!
//! Promise: a device of LAWMO counts as locked by the state that was read from it after the lock; where it has none to
//! read, and on Windows, by its Status, and then that is the evidence that is named. One that says that it is unlocked is
//! told to nobody as locked.

use postern_engine::operations::lock::{Action, STATE, said};
use postern_store::{
    StoreError, Tx, admins, commands, enrolments,
    outbox::{self, Event, Recipients},
    results,
};
use postern_wire::terms::{CommandState, EventKind, OperationId, Verb};
use serde_json::json;

/// Commands of one lock.
const COMMANDS: i64 = 16;

/// Some of this operation's commands have ended: where all have and the device is locked now, people are told.
pub(crate) fn ended(tx: &mut Tx, operation: OperationId) -> Result<(), StoreError> {
    let rows = commands::of_operation(tx, operation, None, COMMANDS)?;
    let open = |state| matches!(state, CommandState::Queued | CommandState::Sent);
    if rows.iter().any(|row| open(row.state)) {
        return Ok(());
    }
    let locked = rows.iter().find(|row| row.verb == Verb::Exec && row.state == CommandState::Succeeded);
    let Some(exec) = locked else { return Ok(()) };
    let Some(action) = Action::of_node(&exec.uri).filter(|action| action.locks()) else { return Ok(()) };
    let mut state = None;
    for row in rows.iter().filter(|row| row.verb == Verb::Get && row.uri == STATE) {
        let read = results::of(tx, row.id)?;
        state = read.iter().find_map(|item| said(&String::from_utf8_lossy(&item.data)));
    }
    if state == Some("unlocked") {
        return Ok(());
    }
    let Some(device) = enrolments::find(tx, exec.enrolment)? else { return Ok(()) };
    let asked = postern_store::operations::find(tx, operation)?;
    let by = asked.as_ref().map(|asked| asked.actor.clone()).unwrap_or_default();
    // An operation bears the bare name of whoever asked for it, and only people ask for locks.
    let requester = admins::by_name(tx, &by)?.map(|admin| admin.id);
    let event = Event {
        kind: EventKind::DeviceLocked,
        subject: format!("device:{}", device.id),
        device: Some(device.id),
        dedupe: format!("lock:{operation}/{}", EventKind::DeviceLocked),
        data: json!({
            "device": device.name,
            "device_id": device.device_id,
            "action": action.as_str(),
            "state": state,
            "evidence": if state.is_some() { "read from the device" } else { "acknowledged" },
            "status": exec.status,
            "by": by,
            "reason": asked.map(|asked| asked.reason).unwrap_or_default(),
            "operation": operation,
        }),
        recipients: Recipients { requester, owner: Some(device.id), security_list: true },
        owner_held_until: None,
        at: tx.now(),
    };
    outbox::put(tx, &event).map(drop)
}
