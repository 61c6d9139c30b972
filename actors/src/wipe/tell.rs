//! Who is told of a step, and as what the supervisor itself stands in the audit.
//!
//! Promise: what people are told stands in the outbox in the step's own transaction, under a key that makes it the only
//! one; it names the evidence and claims nothing that nobody saw. Of a lost or stolen device the owner is told when
//! the wipe is over, for the thief may have the mailbox.

use postern_engine::wipe::Event as Step;
use postern_store::{
    StoreError, Tx, enrolments,
    outbox::{self, Event, Recipients},
    wipes::Wipe,
};
use postern_wire::terms::{EventKind, WipeState};
use serde_json::json;

/// What the supervisor stands under in the audit.
pub(crate) const SERVICE: &str = "wipe";

/// What a step means to people.
pub(crate) fn step(tx: &mut Tx, row: &Wipe, event: Step) -> Result<(), StoreError> {
    for kind in kinds(row.state, event) {
        put(tx, row, *kind)?;
    }
    if matches!(row.state, WipeState::Succeeded | WipeState::Cancelled) {
        outbox::release(tx, &hold(row))?;
    }
    Ok(())
}

fn kinds(state: WipeState, event: Step) -> &'static [EventKind] {
    match (state, event) {
        (WipeState::Pending, Step::Admit) => &[EventKind::WipeRequested],
        (WipeState::AwaitingApproval, _) => &[EventKind::WipeRequested, EventKind::WipeApprovalNeeded],
        (WipeState::Accepted, _) => &[EventKind::WipeAccepted],
        (WipeState::Succeeded, _) => &[EventKind::WipeSucceeded],
        (WipeState::Failed, _) => &[EventKind::WipeFailed],
        (WipeState::InDoubt, _) => &[EventKind::WipeInDoubt],
        (WipeState::Expired, _) => &[EventKind::WipeExpired],
        (WipeState::Armed, Step::Arm) => &[EventKind::WipeArmed],
        (WipeState::Cancelled, _) => &[EventKind::WipeCancelled],
        _ => &[],
    }
}

fn put(tx: &mut Tx, row: &Wipe, kind: EventKind) -> Result<(), StoreError> {
    let device = enrolments::find(tx, row.enrolment)?;
    let name = device.as_ref().map_or(row.device_id.as_str(), |device| device.name.as_str());
    let settings = super::settings_of(row);
    let data = json!({
        "wipe": row.id,
        "device": row.enrolment,
        "device_id": row.device_id,
        "name": name,
        "owner": device.as_ref().and_then(|device| device.owner.as_deref()),
        "kind": row.kind,
        "way": row.way,
        "state": row.state,
        "reason": row.reason,
        "requested_by": row.requested_by,
        "requested_at": row.requested_at.to_string(),
        "expires_at": row.expires_at.map(|at| at.to_string()),
        "tries": row.tries,
        "status": row.status,
        "cause": row.cause,
        "evidence": row.evidence,
        "proved_done": row.state == WipeState::Succeeded,
        "unsuccessful": settings.unsuccessful.as_str(),
        "approval": row.approval,
    });
    outbox::put(
        tx,
        &Event {
            kind,
            subject: format!("wipe:{}", row.id),
            device: Some(row.enrolment),
            // Each comes once in the life of a wipe, but an acceptance once for each try.
            dedupe: match kind {
                EventKind::WipeAccepted => format!("wipe:{}/{kind}/{}", row.id, row.tries),
                _ => format!("wipe:{}/{kind}", row.id),
            },
            data,
            recipients: Recipients {
                requester: row.requester,
                owner: Some(row.enrolment),
                security_list: true,
            },
            owner_held_until: row.lost.then(|| hold(row)),
            at: tx.now(),
        },
    )?;
    Ok(())
}

fn hold(row: &Wipe) -> String {
    format!("wipe:{}", row.id)
}
