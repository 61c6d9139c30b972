//! The share of devices above which a change waits: a wider one lets more go out unasked, so another person agrees to it first.
//!
//! Promise: a narrower share is anybody's who may set it; a wider one is set in the transaction of the approval. Where nobody
//! else may approve, who asked gives it a day later, as wider limits of destructive operations.

use postern_engine::safety::approval::{ALONE_MS, Content};
use postern_store::{
    StoreError, Tx,
    settings::{self, Scope},
};
use serde_json::json;
use uuid::Uuid;

use super::{Policies, inputs::Change};
use crate::{
    AuditActor,
    approvals::{After, Approved, KindHandler},
    orders::audit,
    safety,
};

/// The kind of request that widens it.
pub const SHARE: &str = "policy.hold-share";
/// The setting.
pub const SETTING: &str = "PolicyHoldShare";

/// Asks for a wider share. None where this person has too many requests open.
///
/// # Errors
/// The database's.
pub fn ask(tx: &mut Tx, by: &AuditActor, before: &str, after: &str) -> Result<Option<Uuid>, StoreError> {
    let now = tx.now();
    let content = Content::new(SHARE, Vec::new(), json!({ "what": { "before": before, "value": after } }));
    let alone_from = (!safety::second(tx, &by.name, now)?).then(|| now.plus(ALONE_MS));
    let limits = safety::limits(tx)?;
    let reason = format!(
        "changes of policy are to wait for somebody above {after} of the devices instead of {before}"
    );
    safety::wait_for(tx, by, &content, &reason, &limits, 0, alone_from)
}

/// Sets what was agreed to.
pub(super) struct Handler(pub(super) Policies);

impl KindHandler for Handler {
    fn kind(&self) -> &'static str {
        SHARE
    }

    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError> {
        let Some(value) = what.what().get("value").and_then(serde_json::Value::as_str) else {
            return Ok(Err("it names no share".to_owned()));
        };
        let by = what.requester();
        if what.approval.requester == what.by.name {
            safety::loud(tx, what.by, "a wider PolicyHoldShare", &what.approval.reason)?;
        }
        let revision = settings::revision(tx, Scope::Global)?;
        let values = [(SETTING.to_owned(), Some(value.to_owned()))];
        settings::change(tx, Scope::Global, revision, &values, &by.said())?;
        let detail = json!({ "values": { SETTING: value }, "reason": what.approval.reason });
        audit(tx, &by, "settings.update", "settings".to_owned(), &detail)?;
        let policies = self.0.clone();
        Ok(Ok(Box::new(move |_| policies.changed(Change::Documents))))
    }
}
