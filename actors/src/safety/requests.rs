//! Requests for approval: put into the database, and the permits that come of them.
//!
//! Promise: the very same request of the same person waits once; a permit counts once, and only for the hash that was
//! agreed to.

use postern_engine::safety::{
    approval::{Content, State},
    limits::{By, Figures, Limits},
};
use postern_store::{
    StoreError, Tx,
    alarms::{self, Severity},
    approvals::{self, Approval},
};
use postern_wire::terms::{EnrolmentId, EventKind, UtcMillis};
use serde_json::json;
use uuid::Uuid;

use super::{
    Admission, Admitted, Ask, Class, Held, OPEN_REQUESTS, WAITING, limits, loud, note, second, tell,
};
use crate::{AuditActor, orders::audit};

/// What an approval lets this very request do, once: for kinds that whoever asked carries out.
pub(super) fn granted(
    tx: &mut Tx,
    ask: &Ask<'_>,
    targets: &[(EnrolmentId, i64)],
    figures: &Figures,
) -> Result<Option<Admission>, StoreError> {
    if figures.frozen || figures.glass.is_some() || figures.by == By::Service {
        return Ok(None);
    }
    let hash = content(ask, targets.to_vec()).hash();
    let Some(ticket) = approvals::granted(tx, &ask.by.name, hash)? else { return Ok(None) };
    let now = tx.now();
    if ticket.expires_at <= now {
        return Ok(None);
    }
    let admission = note(tx, ask.class, ask.by, targets, Some(ticket.id), false)?;
    approvals::set(tx, &used(ticket, now))?;
    Ok(Some(admission))
}

pub(super) fn content(ask: &Ask<'_>, targets: Vec<(EnrolmentId, i64)>) -> Content {
    let settings = json!({ "class": ask.class.as_str(), "what": ask.settings });
    Content::new(ask.kind, targets, settings)
}

/// Puts a request for approval into the database, or gives the open one for the very same.
pub(super) fn request(
    tx: &mut Tx,
    ask: &Ask<'_>,
    targets: Vec<(EnrolmentId, i64)>,
    limits: &Limits,
    cooling_ms: i64,
) -> Result<Admitted, StoreError> {
    let content = content(ask, targets);
    match wait_for(tx, ask.by, &content, ask.reason, limits, cooling_ms, None)? {
        Some(id) => Ok(Admitted::NeedsApproval(id)),
        None => Ok(Admitted::Held(Held::TooManyOpen)),
    }
}

/// Puts what has to be approved into the database, with its audit row and its alarm. None where this person has too many
/// open.
///
/// # Errors
/// The database's.
pub(crate) fn wait_for(
    tx: &mut Tx,
    by: &AuditActor,
    content: &Content,
    reason: &str,
    limits: &Limits,
    cooling_ms: i64,
    alone_from: Option<UtcMillis>,
) -> Result<Option<Uuid>, StoreError> {
    let hash = content.hash();
    if let Some(same) = approvals::same(tx, &by.name, hash)? {
        return Ok(Some(same.id));
    }
    if approvals::open_of(tx, &by.name)? >= OPEN_REQUESTS {
        return Ok(None);
    }
    let (id, now) = (tx.fresh_id(), tx.now());
    let expires_at = now.max(alone_from.unwrap_or(now)).plus(limits.approval_ms());
    approvals::insert(
        tx,
        Approval {
            id,
            kind: content.kind.clone(),
            state: approvals::WAITING.to_owned(),
            requester: by.name.clone(),
            token: by.token,
            reason: reason.to_owned(),
            content: content.to_text(),
            hash,
            targets: i64::try_from(content.targets.len()).unwrap_or(i64::MAX),
            created_at: now,
            expires_at,
            cooling_ms,
            alone_from,
            agreed_at: None,
            agreed_by: None,
            decided_at: None,
            decided_by: None,
            because: String::new(),
            revision: 1,
        },
    )?;
    let detail = json!({
        "kind": content.kind,
        "devices": content.targets.iter().take(20).collect::<Vec<_>>(),
        "device_count": content.targets.len(),
        "settings": content.settings,
        "hash": data_encoding::HEXLOWER.encode(&hash),
        "reason": reason,
    });
    audit(tx, by, "approval.requested", format!("approval:{id}"), &detail)?;
    let text = format!(
        "{} asks for a {} of {} devices: `posternctl approval show {id}`",
        by.said(),
        content.kind,
        content.targets.len()
    );
    alarms::raise(tx, Severity::Notice, WAITING, &format!("approval:{id}"), &text)?;
    let data = json!({
        "who": by.said(),
        "kind": content.kind,
        "devices": content.targets.len(),
        "reason": reason,
    });
    // A wipe tells of itself, with more than is known here.
    if content.kind != Class::Wipe.as_str() {
        tell(tx, EventKind::ApprovalNeeded, format!("approval:{id}"), by, data)?;
    }
    Ok(Some(id))
}

/// Whether a change that needs a second person may be made by who asks for it: there is nobody else (which is loud), or
/// this very change was agreed to, which counts once. False: it is to be asked for ([`ask_consent`]) and left undone.
///
/// # Errors
/// The database's.
pub fn consent(tx: &mut Tx, by: &AuditActor, content: &Content, reason: &str) -> Result<bool, StoreError> {
    let now = tx.now();
    let granted = approvals::granted(tx, &by.name, content.hash())?.filter(|ticket| now < ticket.expires_at);
    if let Some(ticket) = granted {
        approvals::set(tx, &used(ticket, now))?;
        return Ok(true);
    }
    if second(tx, &by.name, now)? {
        return Ok(false);
    }
    loud(tx, by, &format!("a change of {}", content.kind), reason)?;
    Ok(true)
}

/// Asks for what [`consent`] did not give. None where this person has too many requests open.
///
/// # Errors
/// The database's.
pub fn ask_consent(
    tx: &mut Tx,
    by: &AuditActor,
    content: &Content,
    reason: &str,
) -> Result<Option<Uuid>, StoreError> {
    let limits = limits(tx)?;
    wait_for(tx, by, content, reason, &limits, 0, None)
}

/// A permit that counted.
fn used(ticket: Approval, now: UtcMillis) -> Approval {
    Approval {
        state: State::Approved.as_str().to_owned(),
        decided_at: Some(now),
        because: "carried out by who asked".to_owned(),
        ..ticket
    }
}
