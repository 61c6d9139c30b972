//! Wipes: ask, show, explain, prove, agree, take back, let off.

mod proof;
mod view;

use actix_web::web;
use postern_actors::wipe::{Disarmed, NewWipe, WipeError};
use postern_api::{
    problem::Slug,
    wipes::{DecideWipe, RequestWipe, RequestedWipes, WipeQuery},
};
use postern_store::{Reader, StoreError, enrolments, wipes};
use postern_wire::terms::{EnrolmentId, EnrolmentState};
use uuid::Uuid;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    devices::REASON,
    problem::Refused,
};
use crate::inside::Inside;
pub(super) use proof::proof;

const LIST: &str = "wipes";
/// Devices that one request may name.
const TARGETS: usize = 1_000;

pub(super) async fn list(inside: web::Data<Inside>, query: web::Query<WipeQuery>, _: Caller) -> Answer {
    let query = query.into_inner();
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let before: Option<Uuid> = window.place()?;
    let fetch = window.fetch();
    let now = inside.now();
    let rows: Result<Vec<wipes::Wipe>, Refused> = inside
        .store
        .read(move |r| {
            let enrolment = match &query.device {
                None => None,
                Some(name) => match one(r, name)? {
                    Ok(id) => Some(id),
                    Err(refused) => return Ok(Err(refused)),
                },
            };
            let filter = wipes::Filter { state: query.state, enrolment, outstanding: query.outstanding };
            wipes::list(r, &filter, before, fetch).map(Ok)
        })
        .await?;
    answer::ok(&window.page(LIST, rows?, |row| row.id.to_string(), |row| view::wipe(&row, now)))
}

pub(super) async fn request(
    inside: web::Data<Inside>,
    body: web::Json<RequestWipe>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let reason = answer::text("/reason", &body.reason, REASON)?;
    if body.devices.is_empty() || body.devices.len() > TARGETS {
        return Err(Refused::invalid("/devices", format!("a request is for 1 to {TARGETS} devices")));
    }
    let active = inside.active()?;
    let names = body.devices;
    let targets = inside
        .store
        .read(move |r| {
            let mut targets = Vec::with_capacity(names.len());
            for name in &names {
                match one(r, name)? {
                    Ok(id) => targets.push((id, name.clone())),
                    Err(refused) => return Ok(Err(refused)),
                }
            }
            Ok(Ok(targets))
        })
        .await??;
    let asked = active
        .wipes
        .request(NewWipe {
            targets,
            kind: body.kind,
            reason,
            lost: body.lost,
            dry_run: body.dry_run,
            break_glass: body.break_glass || caller.break_glass,
            actor: caller.actor(),
            admin: caller.admin.id,
            token: caller.token,
        })
        .await?;
    let now = inside.now();
    let answered = RequestedWipes {
        dry_run: body.dry_run,
        approval: asked.approval,
        wipes: asked.wipes.iter().map(|row| view::wipe(row, now)).collect(),
    };
    let status = if body.dry_run { 200 } else { 202 };
    inside.keep_answer(&caller, status, &answered).await;
    answer::json(status, &answered)
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let (name, now) = (path.into_inner(), inside.now());
    let shown = inside
        .store
        .read(move |r| match find(r, &name)? {
            Ok(row) => view::with_stamps(r, &row, now).map(Ok),
            Err(refused) => Ok(Err(refused)),
        })
        .await??;
    answer::tagged(200, shown.revision, &shown)
}

pub(super) async fn explain(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let (name, now) = (path.into_inner(), inside.now());
    let explained = inside
        .store
        .read(move |r| match find(r, &name)? {
            Ok(row) => view::explain(r, &row, now).map(Ok),
            Err(refused) => Ok(Err(refused)),
        })
        .await??;
    answer::ok(&explained)
}

pub(super) async fn cancel(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<DecideWipe>,
    caller: Caller,
) -> Answer {
    let (id, reason) = decided(&inside, path.into_inner(), &body).await?;
    let active = inside.active()?;
    let row = active.wipes.cancel(id, caller.actor(), reason).await?;
    changed(&inside, &caller, 200, row).await
}

pub(super) async fn disarm(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<DecideWipe>,
    caller: Caller,
) -> Answer {
    let (id, reason) = decided(&inside, path.into_inner(), &body).await?;
    let active = inside.active()?;
    let (status, row) = match active.wipes.disarm(id, caller.actor(), reason).await? {
        Disarmed::First(row) => (202, row),
        Disarmed::Done(row) => (200, row),
    };
    changed(&inside, &caller, status, row).await
}

pub(super) async fn approve(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<DecideWipe>,
    caller: Caller,
) -> Answer {
    let (id, reason) = decided(&inside, path.into_inner(), &body).await?;
    let active = inside.active()?;
    let row = active.wipes.approve(id, caller.actor(), reason).await?;
    changed(&inside, &caller, 200, row).await
}

async fn decided(inside: &Inside, name: String, body: &DecideWipe) -> Result<(Uuid, String), Refused> {
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    let row = inside.store.read(move |r| find(r, &name)).await??;
    Ok((row.id, reason))
}

async fn changed(inside: &Inside, caller: &Caller, status: u16, row: wipes::Wipe) -> Answer {
    let now = inside.now();
    let shown = inside.store.read(move |r| view::with_stamps(r, &row, now)).await?;
    inside.keep_answer(caller, status, &shown).await;
    answer::tagged(status, shown.revision, &shown)
}

/// A wipe by its id, or the newest of a device.
fn find(r: &mut Reader, name: &str) -> Result<Result<wipes::Wipe, Refused>, StoreError> {
    if let Ok(id) = name.parse::<Uuid>()
        && let Some(row) = wipes::find(r, id)?
    {
        return Ok(Ok(row));
    }
    let id = match one(r, name)? {
        Ok(id) => id,
        Err(_) => return Ok(Err(Refused::not_found("wipe", name))),
    };
    let filter = wipes::Filter { enrolment: Some(id), ..wipes::Filter::default() };
    let newest = wipes::list(r, &filter, None, 1)?.pop();
    Ok(newest.ok_or_else(|| Refused::not_found("wipe of the device", name)))
}

/// The one device that an identity means: of several, the one that is not retired; else the list of them.
fn one(r: &mut Reader, name: &str) -> Result<Result<EnrolmentId, Refused>, StoreError> {
    let mut rows = enrolments::identified(r, name)?;
    if rows.iter().any(|row| row.state != EnrolmentState::Retired) {
        rows.retain(|row| row.state != EnrolmentState::Retired);
    }
    Ok(match rows.as_slice() {
        [] => Err(Refused::not_found("device", name)),
        [row] => Ok(row.id),
        several => Err(several.iter().fold(
            Refused::new(Slug::AmbiguousDevice, "this fits several devices; take the id of the one you mean"),
            |refused, row| {
                let owner = row.owner.as_deref().unwrap_or("-");
                let state = row.state;
                refused.item(
                    row.id.to_string(),
                    format!("{} ({}), {state}, of {owner}", row.name, row.device_id),
                )
            },
        )),
    })
}

impl From<WipeError> for Refused {
    fn from(error: WipeError) -> Self {
        let detail = error.to_string();
        match error {
            WipeError::Invalid(at, why) => Self::invalid(at, why),
            WipeError::UnknownDevice(id) => Self::not_found("device", id),
            WipeError::UnknownWipe(id) => Self::not_found("wipe", id),
            WipeError::Retired(_)
            | WipeError::Quarantined(_)
            | WipeError::Machine(_)
            | WipeError::Cancel(_) => Self::new(Slug::WrongState, detail),
            WipeError::NotAllowed { .. } | WipeError::Cannot { .. } => {
                Self::new(Slug::WipeImpossible, detail)
            }
            WipeError::Outstanding { wipe, state, .. } => {
                Self::new(Slug::WipeOutstanding, detail).item(wipe.to_string(), state.to_string())
            }
            WipeError::Held(held) => held.into(),
            WipeError::Approval(_) => Self::new(Slug::ApprovalRefused, detail),
            WipeError::SamePerson(_) => Self::new(Slug::SamePerson, detail),
            WipeError::Queue(_) => Self::new(Slug::QueueFull, detail),
            WipeError::Overloaded(seconds) => Self::new(Slug::Unavailable, detail).retry_after(seconds),
            WipeError::Full => Self::new(Slug::OutOfSpace, detail),
            WipeError::Unavailable(_) => Self::new(Slug::Unavailable, detail),
        }
    }
}
