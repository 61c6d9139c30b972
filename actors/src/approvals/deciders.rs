//! From when on somebody counts as another person.
//!
//! Promise: a new admin, a new role and a token that another made wait, on the side of who decides and of who asked.

use postern_engine::safety::approval::Askers;
use postern_store::{StoreError, Tx, approvals::Approval, tokens};
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use crate::{AuditActor, safety};

/// From when on this admin, by its roles and this token, may approve.
pub(crate) fn approves_from(tx: &mut Tx, by: &AuditActor) -> Result<Option<UtcMillis>, StoreError> {
    let known = safety::approvers(tx)?.into_iter().find(|one| one.name == by.name);
    let Some(known) = known else { return Ok(None) };
    Ok(Some(token_counts_from(tx, by.token)?.map_or(known.from, |from| known.from.max(from))))
}

/// From when on this admin may decide this request. A token that another made for who asked counts on neither side: its
/// maker would ask in that person's name and agree in their own.
pub(crate) fn decides_from(
    tx: &mut Tx,
    request: &Approval,
    by: &AuditActor,
) -> Result<Option<UtcMillis>, StoreError> {
    let Some(from) = approves_from(tx, by)? else { return Ok(None) };
    Ok(Some(token_counts_from(tx, request.token)?.map_or(from, |asked| from.max(asked))))
}

/// From when on a token stands for its admin where two persons are wanted; none for no token, or one that is gone.
fn token_counts_from(tx: &mut Tx, token: Option<Uuid>) -> Result<Option<UtcMillis>, StoreError> {
    let Some(id) = token else { return Ok(None) };
    let token = tokens::list(tx, None)?.into_iter().find(|token| token.id == id);
    Ok(token.map(|token| token.may_approve_from))
}

/// The same where more than the requester had a part in it.
pub(super) fn among_from(
    tx: &mut Tx,
    request: &Approval,
    askers: &Askers,
    by: &AuditActor,
) -> Result<Option<UtcMillis>, StoreError> {
    let Some(mut from) = decides_from(tx, request, by)? else { return Ok(None) };
    for asker in &askers.known {
        from = token_counts_from(tx, asker.token)?.map_or(from, |asked| from.max(asked));
    }
    Ok(Some(from))
}
