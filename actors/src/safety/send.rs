//! The gate once more, when something destructive is about to leave.
//!
//! Promise: a destructive command is left out of a session's queue while it may not go, and is judged again in the very
//! transaction that records it as sent; a command that nobody admitted never goes, whatever way it came into the queue.

use postern_engine::{
    queue::PendingCommand,
    safety::{
        HOUR_MS, class_of,
        limits::{Outgoing, Sendable, judge_send},
    },
};
use postern_store::{Reader, StoreError, Tx, commands::Command, destructive, freezes};
use postern_wire::terms::{CommandId, EnrolmentId, OperationId, OperationKind, UtcMillis, Verb};

use super::{freeze, limits};
use crate::AuditActor;

/// The destructive commands of one device's queue, with their operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guarded(Vec<(CommandId, OperationId)>);

impl Guarded {
    /// Adds a command where it destroys something.
    pub(crate) fn note(&mut self, command: &PendingCommand) {
        if class_of(command.kind, &command.body).is_some() {
            self.0.push((command.id, command.operation));
        }
    }

    /// Those of `sent` that are destructive.
    pub(crate) fn among(&self, sent: &[CommandId]) -> Vec<OperationId> {
        self.0.iter().filter(|(id, _)| sent.contains(id)).map(|(_, operation)| *operation).collect()
    }
}

/// Whether a row may be destructive: what only reads is not looked at.
pub(crate) fn may_destroy(row: &Command) -> bool {
    row.verb != Verb::Get || matches!(row.kind, OperationKind::Wipe | OperationKind::Lock)
}

/// Of these commands, those that may not go now.
pub(crate) fn kept(
    r: &mut Reader,
    device: EnrolmentId,
    commands: &[PendingCommand],
    now: UtcMillis,
) -> Result<Vec<CommandId>, StoreError> {
    let mut kept = Vec::new();
    for command in commands.iter().filter(|command| class_of(command.kind, &command.body).is_some()) {
        // What would freeze the fleet stays in: the transaction that sends it decides.
        let judged = judged(r, device, command.operation, now)?.0;
        if matches!(judged, Sendable::Never | Sendable::Frozen) {
            kept.push(command.id);
        }
    }
    Ok(kept)
}

/// Judges a destructive operation at the moment that it is recorded as sent, and notes that it is.
pub(crate) fn leaves(
    tx: &mut Tx,
    device: EnrolmentId,
    operation: OperationId,
) -> Result<Sendable, StoreError> {
    let now = tx.now();
    let (judged, act) = judged(tx, device, operation, now)?;
    if let (Sendable::Yes, Some(act)) = (judged, act) {
        destructive::sent(tx, act.id)?;
    }
    Ok(judged)
}

/// Freezes where this operation, sent now, would be too much.
pub(crate) fn freeze_where_due(
    tx: &mut Tx,
    device: EnrolmentId,
    operations: &[OperationId],
) -> Result<(), StoreError> {
    let now = tx.now();
    for operation in operations {
        if judged(tx, device, *operation, now)?.0 == Sendable::Freeze {
            let reason = "more destructive orders were about to be sent within an hour than the limits allow";
            freeze(tx, &AuditActor::service("safety"), reason, true)?;
        }
    }
    Ok(())
}

fn judged(
    r: &mut Reader,
    device: EnrolmentId,
    operation: OperationId,
    now: UtcMillis,
) -> Result<(Sendable, Option<destructive::DestructiveAct>), StoreError> {
    let act = destructive::of_operation(r, operation, device)?;
    let hour = now.plus(-HOUR_MS);
    let reviewed = freezes::last_thaw(r)?.map_or(hour, |thaw| thaw.max(hour));
    let of = Outgoing {
        admitted: act.is_some(),
        glass: act.as_ref().is_some_and(|act| act.glass),
        uncounted: act.as_ref().is_some_and(|act| act.approval.is_some() || act.person.is_none()),
        again: act.as_ref().is_some_and(|act| act.sent_at.is_some()),
        frozen: freezes::current(r)?.is_some(),
        fleet: destructive::fleet(r)?,
        sent: destructive::sent_to(r, reviewed, device)?,
    };
    Ok((judge_send(&limits(r)?, &of), act))
}

/// Whether an operation's command for a device would go now. For supervisors, which ask before they plan another try.
///
/// # Errors
/// The database's.
pub fn may_send(
    r: &mut Reader,
    device: EnrolmentId,
    operation: OperationId,
    now: UtcMillis,
) -> Result<bool, StoreError> {
    Ok(judged(r, device, operation, now)?.0 == Sendable::Yes)
}
