//! What is loud: alarms, rows in the audit log, and events for the people who are told.

use postern_engine::safety::limits::Figures;
use postern_store::{
    StoreError, Tx, admins,
    alarms::{self, Severity},
    outbox,
};
use postern_wire::terms::EventKind;
use serde_json::json;

use super::{ALONE, Ask, FLEET, GLASS, person};
use crate::{AuditActor, orders::audit};

/// Tells the security list, and whoever asked, in the transaction of what happened.
pub(crate) fn tell(
    tx: &mut Tx,
    kind: EventKind,
    subject: String,
    by: &AuditActor,
    data: serde_json::Value,
) -> Result<(), StoreError> {
    let requester = match person(by) {
        Some(name) => admins::by_name(tx, name)?.map(|admin| admin.id),
        None => None,
    };
    let event = outbox::Event {
        kind,
        dedupe: format!("{subject}/{}", kind.as_str()),
        subject,
        device: None,
        data,
        recipients: outbox::Recipients { requester, owner: None, security_list: true },
        owner_held_until: None,
        at: tx.now(),
    };
    outbox::put(tx, &event).map(|_| ())
}

/// Somebody did alone what two should: audited and loud.
pub(crate) fn loud(tx: &mut Tx, by: &AuditActor, what: &str, reason: &str) -> Result<(), StoreError> {
    audit(tx, by, "safety.alone", FLEET.to_owned(), &json!({ "what": what, "reason": reason }))?;
    let text = format!("{} did {what} alone: there is no second approver", by.said());
    alarms::raise(tx, Severity::Warning, ALONE, &by.said(), &text).map(|_| ())
}

pub(super) fn loud_alone(tx: &mut Tx, ask: &Ask<'_>, figures: &Figures) -> Result<(), StoreError> {
    let detail = json!({
        "class": ask.class.as_str(),
        "devices": ask.targets.iter().take(20).collect::<Vec<_>>(),
        "device_count": ask.targets.len(),
        "hit_in_the_last_hour": figures.mine,
        "reason": ask.reason,
    });
    audit(tx, ask.by, "safety.alone", FLEET.to_owned(), &detail)?;
    let text = format!(
        "{} did a {} of {} devices alone, above the limit of one person: there is no second approver",
        ask.by.said(),
        ask.class,
        ask.targets.len()
    );
    alarms::raise(tx, Severity::Warning, ALONE, &ask.by.said(), &text).map(|_| ())
}

pub(super) fn loud_glass(tx: &mut Tx, ask: &Ask<'_>) -> Result<(), StoreError> {
    let detail = json!({
        "class": ask.class.as_str(),
        "devices": ask.targets.iter().take(20).collect::<Vec<_>>(),
        "device_count": ask.targets.len(),
        "reason": ask.reason,
    });
    audit(tx, ask.by, "safety.break_glass.used", FLEET.to_owned(), &detail)?;
    let data = json!({
        "who": ask.by.said(),
        "kind": ask.class.as_str(),
        "devices": ask.targets.len(),
        "reason": ask.reason,
    });
    let one = tx.fresh_id();
    tell(tx, EventKind::BreakGlass, format!("break-glass-use:{one}"), ask.by, data)?;
    let text =
        format!("{} did a {} of {} devices by break-glass", ask.by.said(), ask.class, ask.targets.len());
    tracing::error!(
        who = ask.by.said(),
        class = ask.class.as_str(),
        devices = ask.targets.len(),
        "break-glass"
    );
    alarms::raise(tx, Severity::Critical, GLASS, &ask.by.said(), &text).map(|_| ())
}
