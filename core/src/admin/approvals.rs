//! Requests that somebody else has to agree to.

use actix_web::web;
use postern_api::{
    Permission, Time,
    approvals::{Approval, ApprovalDevice, ApprovalQuery, Approve, DEVICES_SHOWN, Reject},
    problem::Slug,
};
use postern_engine::safety::approval::{Content, State};
use postern_store::{Reader, StoreError, approvals as rows, enrolments};
use uuid::Uuid;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    devices::REASON,
    problem::Refused,
};
use crate::inside::Inside;

const LIST: &str = "approvals";

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<ApprovalQuery>, _: Caller) -> Answer {
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let before: Option<Uuid> = window.place()?;
    if query.state.as_deref().is_some_and(|state| State::parse(state).is_none()) {
        return Err(Refused::invalid("state", "there is no such state"));
    }
    let (state, fetch) = (query.state.clone(), window.fetch());
    let found = inside
        .store
        .read(move |r| {
            let found = rows::list(r, state.as_deref(), before, fetch)?;
            found.into_iter().map(|row| view(r, row, 0)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    answer::ok(&window.page(LIST, found, |request| request.id.to_string(), |request| request))
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    answer::ok(&shown(&inside, id(&path)?).await?)
}

pub(super) async fn approve(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<Approve>,
    caller: Caller,
) -> Answer {
    let id = id(&path)?;
    let hash = data_encoding::HEXLOWER_PERMISSIVE.decode(body.hash.trim().as_bytes()).ok();
    let Some(hash) = hash.and_then(|octets| <[u8; 32]>::try_from(octets).ok()) else {
        return Err(Refused::invalid(
            "/hash",
            "the hash is 64 hexadecimal digits, as `approval show` tells it",
        ));
    };
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    inside.active()?.approvals.approve(id, hash, caller.actor(), reason).await?;
    answer::ok(&shown(&inside, id).await?)
}

pub(super) async fn reject(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<Reject>,
    caller: Caller,
) -> Answer {
    let id = id(&path)?;
    let reason = answer::text("/reason", &body.reason, REASON)?;
    let row = inside.store.read(move |r| rows::find(r, id)).await?;
    let row = row.ok_or_else(|| Refused::not_found("request", id))?;
    if row.requester != caller.admin.name {
        caller.require(Permission::ApprovalsDecide)?;
    }
    inside.active()?.approvals.reject(id, caller.actor(), reason).await?;
    answer::ok(&shown(&inside, id).await?)
}

fn id(path: &str) -> Result<Uuid, Refused> {
    path.parse().map_err(|_| Refused::not_found("request", path))
}

async fn shown(inside: &Inside, id: Uuid) -> Result<Approval, Refused> {
    let found = inside
        .store
        .read(move |r| match rows::find(r, id)? {
            Some(row) => view(r, row, DEVICES_SHOWN).map(Some),
            None => Ok(None),
        })
        .await?;
    found.ok_or_else(|| Refused::new(Slug::NotFound, format!("there is no request {id}")))
}

/// A row as the API shows it, with so many of its devices.
fn view(r: &mut Reader, row: rows::Approval, most: usize) -> Result<Approval, StoreError> {
    let content: Content = serde_json::from_str(&row.content)
        .map_err(|error| StoreError::Damaged(format!("the request {}: {error}", row.id)))?;
    let mut devices = Vec::new();
    for (id, generation) in content.targets.iter().take(most) {
        let device = enrolments::find(r, *id)?;
        devices.push(ApprovalDevice {
            id: *id,
            generation: u32::try_from(*generation).unwrap_or(u32::MAX),
            name: device.as_ref().map(|device| device.name.clone()).unwrap_or_default(),
            owner: device.and_then(|device| device.owner),
        });
    }
    let begins_at = (row.state == rows::COOLING).then_some(row.agreed_at).flatten();
    Ok(Approval {
        id: row.id,
        kind: row.kind,
        state: row.state,
        requester: row.requester,
        reason: row.reason,
        hash: data_encoding::HEXLOWER.encode(&row.hash),
        device_count: u64::try_from(row.targets).unwrap_or(0),
        devices,
        settings: content.settings,
        created_at: Time(row.created_at),
        expires_at: Time(row.expires_at),
        cooling_s: u64::try_from(row.cooling_ms / 1000).unwrap_or(0),
        begins_at: begins_at.map(|at| Time(at.plus(row.cooling_ms))),
        alone_from: row.alone_from.map(Time),
        agreed_by: row.agreed_by,
        decided_at: row.decided_at.map(Time),
        decided_by: row.decided_by,
        because: (!row.because.is_empty()).then_some(row.because),
    })
}
