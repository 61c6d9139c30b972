//! Orders of people and supervisors: each is one transaction with its audit entry, acknowledged after the commit.
//!
//! Promise: the rows decide. The writer runs one transaction after the other, so what an order finds it may rely
//! on; a device actor that was about to send what an order took back finds that out when it commits, and holds
//! its reply back. Active devices are told afterwards and read their rows again.

pub(crate) mod cancel;
pub(crate) mod enrol;
pub(crate) mod expire;
pub(crate) mod retire;
pub(crate) mod submit;

use postern_engine::{
    command::Cause,
    effect::Effect,
    queue::{PendingCommand, Queue},
};
use postern_store::{
    StoreError, Tx, WriteError,
    audit::{self, Act},
    commands::{self, Finish},
};
use postern_wire::{
    link::BlockedSubject,
    route::RouteHash,
    terms::{CommandId, CommandState, EnrolmentId, ProofClass},
};

use crate::{AuditActor, device::pending};

/// Retry-After of an order that met a full queue, in seconds.
const RETRY_AFTER_S: u32 = 2;
/// Pending commands that one round of cancelling takes.
const PAGE: i64 = 500;

/// Appends the audit entry of an order that was carried out.
pub(crate) fn audit(
    tx: &mut Tx,
    actor: &AuditActor,
    action: &str,
    object: String,
    detail: &serde_json::Value,
) -> Result<(), StoreError> {
    audit::append(
        tx,
        Act {
            actor: actor.said(),
            action: action.to_owned(),
            object,
            outcome: "ok".to_owned(),
            detail: detail.to_string(),
            source: actor.source.clone().unwrap_or_default(),
            request: actor.request.clone().unwrap_or_default(),
        },
    )?;
    Ok(())
}

/// The end of a command as its row gets it.
fn finish(effect: &Effect) -> Option<Finish> {
    match effect {
        Effect::CommandMoved { command, state, cause, code, class, .. } => Some(Finish {
            id: *command,
            state: *state,
            status: code.map(i64::from),
            cause: cause.as_str().to_owned(),
            proof: (*class != ProofClass::None).then_some(*class),
            session: None,
        }),
        _ => None,
    }
}

/// Ends every pending command of a device that is retired or enrolled anew: those that may have been executed are
/// in doubt. Gives their ids.
pub(crate) fn drop_pending(
    tx: &mut Tx,
    device: EnrolmentId,
    cause: Cause,
) -> Result<Vec<CommandId>, StoreError> {
    let mut dropped = Vec::new();
    loop {
        let rows = commands::pending_of(tx, device, PAGE)?;
        if rows.is_empty() {
            return Ok(dropped);
        }
        let ends: Vec<_> = rows
            .iter()
            .map(|row| {
                let doubt = row.state == CommandState::Sent || row.attempts > 0;
                Finish {
                    id: row.id,
                    state: if doubt { CommandState::InDoubt } else { CommandState::Cancelled },
                    status: None,
                    cause: cause.as_str().to_owned(),
                    proof: None,
                    session: None,
                }
            })
            .collect();
        commands::finish(tx, &ends)?;
        dropped.extend(ends.iter().map(|end| end.id));
    }
}

/// A device's queue as its rows have it; a damaged row is left to a person.
fn queue_of(tx: &mut Tx, device: EnrolmentId, cap: usize) -> Result<Queue, StoreError> {
    let limit = i64::try_from(cap).unwrap_or(i64::MAX).saturating_add(64);
    let rows = commands::pending_of(tx, device, limit)?;
    let commands: Vec<PendingCommand> = rows.iter().filter_map(|row| pending(row).ok()).collect();
    Ok(Queue::load(commands, cap))
}

/// The blocked list's entry for a route: the link contract's subject as JSON.
pub(crate) fn blocked_route(hash: RouteHash) -> String {
    serde_json::to_string(&BlockedSubject::Route(hash)).expect("a hash always becomes JSON")
}

/// What a failed write means to who gave an order.
pub(crate) enum Unwritten {
    Overloaded(u32),
    Full,
    Unavailable(String),
}

impl From<WriteError> for Unwritten {
    fn from(cause: WriteError) -> Self {
        match cause {
            WriteError::Overloaded => Self::Overloaded(RETRY_AFTER_S),
            WriteError::Rejected(StoreError::Full(_)) => Self::Full,
            other => Self::Unavailable(other.to_string()),
        }
    }
}
