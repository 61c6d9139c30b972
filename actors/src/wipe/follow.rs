//! What a device's session means to its wipe: called in the transaction that the device's answer waits for.

use postern_engine::wipe::{Event, Refused};
use postern_store::{
    StoreError, Tx,
    commands::{Finish, Step},
    wipes::{self, Wipe},
};
use postern_wire::terms::{
    CommandId, CommandState, DmSessionId, EnrolmentId, OperationId, WipeEvidence, WipeState,
};

use super::{
    moves::{After, Said, apply, apply_ended},
    tell::SERVICE,
};
use crate::AuditActor;

/// A command of a wipe, and the operation that it belongs to.
pub(crate) type Part = (CommandId, OperationId);

/// Some of these commands stand in the reply that is about to leave.
pub(crate) fn sent(
    tx: &mut Tx,
    parts: &[Part],
    ids: &[CommandId],
    session: DmSessionId,
    exchange: Option<[u8; 32]>,
) -> Result<After, StoreError> {
    let mut after = After::default();
    for (id, operation) in parts.iter().filter(|(id, _)| ids.contains(id)) {
        let Some(wipe) = wipes::of_operation(tx, *operation)? else { continue };
        let wipes_it = wipe.command == Some(*id);
        if wipe.state == WipeState::Sent && !wipes_it {
            continue; // what goes before it is one sending with it
        }
        let said = Said { session: Some(session), exchange, ..Said::because("in the reply to its session") };
        after.extend(take(tx, &wipe, Event::Send, said)?);
    }
    Ok(after)
}

/// A command stays in the queue: the device accepted it for later, or it is to be sent again.
pub(crate) fn stepped(
    tx: &mut Tx,
    parts: &[Part],
    step: &Step,
    exchange: Option<[u8; 32]>,
) -> Result<After, StoreError> {
    let Some(wipe) = whose(tx, parts, step.id)? else { return Ok(After::default()) };
    let event = match step.state {
        _ if step.accepted_at.is_some() => Event::Accept,
        CommandState::Queued => Event::Lose,
        _ => return Ok(After::default()),
    };
    let status = (event == Event::Accept).then_some(202);
    let said = Said { status, session: step.session, exchange, ..Said::because(step.cause.clone()) };
    take(tx, &wipe, event, said)
}

/// A command ended by what the device said of it, or because it said nothing.
pub(crate) fn finished(
    tx: &mut Tx,
    parts: &[Part],
    end: &Finish,
    exchange: Option<[u8; 32]>,
) -> Result<After, StoreError> {
    let Some(wipe) = whose(tx, parts, end.id)? else { return Ok(After::default()) };
    let later = wipe.state == WipeState::Accepted;
    let wipes_it = wipe.command == Some(end.id);
    let (event, evidence) = match end.state {
        CommandState::Succeeded if !wipes_it => return Ok(After::default()),
        CommandState::Succeeded if later => (Event::Complete, Some(WipeEvidence::Result)),
        CommandState::Succeeded => (Event::Acknowledge, Some(WipeEvidence::Acknowledged)),
        CommandState::Failed if end.status.is_none() && !later => (Event::Unsendable, None),
        CommandState::Failed => (Event::Refuse, None),
        CommandState::InDoubt if later => (Event::Overrun, None),
        CommandState::InDoubt => (Event::GiveUp, None),
        _ => return Ok(After::default()),
    };
    let said = Said {
        cause: end.cause.clone(),
        status: end.status,
        proof: end.proof,
        session: end.session,
        exchange,
        evidence,
    };
    take(tx, &wipe, event, said)
}

/// The enrolment ends, or gets a new generation: its wipe ends with it.
pub(crate) fn ended(tx: &mut Tx, id: EnrolmentId, leaves: bool, because: &str) -> Result<(), StoreError> {
    let Some(wipe) = wipes::outstanding(tx, id)? else { return Ok(()) };
    let event = if leaves { Event::Leave } else { Event::Supersede };
    let evidence = leaves.then_some(WipeEvidence::Left);
    let said = Said { evidence, ..Said::because(because) };
    let actor = AuditActor::service(SERVICE);
    match apply_ended(tx, &wipe, event, &actor, said)? {
        Ok(_) => Ok(()),
        Err(refused) => Err(StoreError::Refused(refused.to_string())),
    }
}

fn whose(tx: &mut Tx, parts: &[Part], id: CommandId) -> Result<Option<Wipe>, StoreError> {
    match parts.iter().find(|(part, _)| *part == id) {
        Some((_, operation)) => wipes::of_operation(tx, *operation),
        None => Ok(None),
    }
}

/// An event that the machine does not know leaves the wipe where it is: the command's row tells the rest.
fn take(tx: &mut Tx, wipe: &Wipe, event: Event, said: Said) -> Result<After, StoreError> {
    let actor = AuditActor { name: format!("device:{}", wipe.enrolment), ..AuditActor::service(SERVICE) };
    match apply(tx, wipe, event, &actor, said)? {
        Ok((_, after)) => Ok(after),
        Err(Refused { state, event }) => {
            tracing::warn!(wipe = %wipe.id, %state, event = event.as_str(), "a wipe does not take this");
            Ok(After::default())
        }
    }
}
