//! Enrolment over the air: requests, imports, the log; and devices that leave or stand in quarantine.

use actix_web::web;
use postern_actors::enrolment::{Decision, EnrolmentError, Left, Made, NewRequest, Terms};
use postern_api::{
    Time,
    devices::ReasonQuery,
    enrolment::{
        DecideQuarantine, DeviceLife, EnrolmentAttempt, EnrolmentLogQuery, EnrolmentRequest,
        EnrolmentRequestQuery, ImportEnrolments, ImportedEnrolment, ImportedEnrolments, MOST_IMPORTED,
        RequestEnrolment, RequestedEnrolment, UnenrolDevice,
    },
    groups::GroupRef,
};
use postern_store::{
    Reader, StoreError, attempts, groups,
    lives::Life,
    requests::{self, Request},
};
use postern_wire::terms::{AuthType, Dialect, EnrolmentId};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use uuid::Uuid;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    devices::{REASON, resolve, show_row},
    problem::Refused,
};
use crate::{inside::Inside, schedule::Eye};

const LIST: &str = "enrolment-requests";
const LOG: &str = "enrolment-log";
/// Longest name, owner, platform and hardware id, in characters.
const NAME: usize = 256;

pub(super) async fn list(
    inside: web::Data<Inside>,
    query: web::Query<EnrolmentRequestQuery>,
    _: Caller,
) -> Answer {
    let query = query.into_inner();
    let window = Window::read(LIST, query.limit, query.cursor.as_deref())?;
    let before: Option<Uuid> = window.place()?;
    let fetch = window.fetch();
    let filter = requests::Filter { state: query.state, owner: query.owner };
    let rows = inside
        .store
        .read(move |r| {
            let rows = requests::list(r, &filter, before, fetch)?;
            rows.into_iter().map(|row| view(r, row)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    answer::ok(&window.page(LIST, rows, |row| row.id.to_string(), |row| row))
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let found: Result<EnrolmentRequest, Refused> = inside
        .store
        .read(move |r| {
            let row = match find(r, &name)? {
                Ok(row) => row,
                Err(refused) => return Ok(Err(refused)),
            };
            view(r, row).map(Ok)
        })
        .await?;
    answer::ok(&found?)
}

pub(super) async fn request(
    inside: web::Data<Inside>,
    body: web::Json<RequestEnrolment>,
    caller: Caller,
) -> Answer {
    let wanted = wanted(&inside, body.into_inner()).await?;
    let active = inside.active()?;
    let made = active.enrolments.request(wanted, caller.actor()).await?;
    let answered = requested(&inside, made).await?;
    keep_sealed(&inside, &caller, 201, &answered).await;
    answer::json(201, &answered)
}

pub(super) async fn import(
    inside: web::Data<Inside>,
    body: web::Json<ImportEnrolments>,
    caller: Caller,
) -> Answer {
    let ImportEnrolments { requests: asked, all_or_none } = body.into_inner();
    if asked.is_empty() || asked.len() > MOST_IMPORTED {
        return Err(Refused::invalid("/requests", format!("an import has 1 to {MOST_IMPORTED} requests")));
    }
    let active = inside.active()?;
    let mut refused = Vec::new();
    let (mut good, mut places) = (Vec::new(), Vec::new());
    for (index, one) in asked.into_iter().enumerate() {
        match wanted(&inside, one).await {
            Ok(wanted) => {
                good.push(wanted);
                places.push(index);
            }
            Err(why) => refused.push((index, why.to_string())),
        }
    }
    let total = good.len() + refused.len();
    let done = if all_or_none && !refused.is_empty() {
        good.iter().map(|_| Err(EnrolmentError::NotMade)).collect()
    } else if good.is_empty() {
        Vec::new()
    } else if all_or_none {
        active.enrolments.request_all_or_none(good, caller.actor()).await?
    } else {
        active.enrolments.request_all(good, caller.actor()).await?
    };
    let mut items: Vec<ImportedEnrolment> = refused
        .into_iter()
        .map(|(index, why)| ImportedEnrolment { index, made: None, refused: Some(why) })
        .collect();
    for (index, one) in places.into_iter().zip(done) {
        items.push(match one {
            Ok(made) => {
                ImportedEnrolment { index, made: Some(requested(&inside, made).await?), refused: None }
            }
            Err(why) => ImportedEnrolment { index, made: None, refused: Some(why.to_string()) },
        });
    }
    items.sort_by_key(|item| item.index);
    let made = items.iter().filter(|item| item.made.is_some()).count();
    let answered = ImportedEnrolments { made, refused: total - made, items };
    keep_sealed(&inside, &caller, 200, &answered).await;
    answer::ok(&answered)
}

pub(super) async fn cancel(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<ReasonQuery>,
    caller: Caller,
) -> Answer {
    let reason = answer::optional_text("reason", query.reason.as_deref(), REASON)?.unwrap_or_default();
    let active = inside.active()?;
    let name = path.into_inner();
    let row = inside.store.read(move |r| find(r, &name)).await??;
    active.enrolments.cancel(row.id, caller.actor(), reason).await?;
    let shown: Option<EnrolmentRequest> = inside
        .store
        .read(move |r| match requests::find(r, row.id)? {
            Some(row) => view(r, row).map(Some),
            None => Ok(None),
        })
        .await?;
    answer::ok(&shown.ok_or_else(|| Refused::not_found("enrolment request", row.id))?)
}

pub(super) async fn log(
    inside: web::Data<Inside>,
    query: web::Query<EnrolmentLogQuery>,
    _: Caller,
) -> Answer {
    let query = query.into_inner();
    let window = Window::read(LOG, query.limit, query.cursor.as_deref())?;
    let before: Option<Uuid> = window.place()?;
    let fetch = window.fetch();
    let rows: Result<Vec<attempts::Attempt>, Refused> = inside
        .store
        .read(move |r| {
            let request = match &query.request {
                None => None,
                Some(name) => match find(r, name)? {
                    Ok(row) => Some(row.id),
                    Err(refused) => return Ok(Err(refused)),
                },
            };
            attempts::list(r, request, before, fetch).map(Ok)
        })
        .await?;
    answer::ok(&window.page(LOG, rows?, |row| row.id.to_string(), attempt))
}

pub(super) async fn unenrol(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<UnenrolDevice>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    let active = inside.active()?;
    let id = named(&inside, path.into_inner()).await?;
    let left = active.enrolments.unenrol(id, body.now, caller.actor(), reason).await?;
    let status = match left {
        Left::Told(_) => 202,
        Left::Retired => 200,
    };
    device(&inside, id, status).await
}

pub(super) async fn release(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<DecideQuarantine>,
    caller: Caller,
) -> Answer {
    decide(&inside, path.into_inner(), body.into_inner(), &caller, Decision::Release).await
}

pub(super) async fn reject(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<DecideQuarantine>,
    caller: Caller,
) -> Answer {
    decide(&inside, path.into_inner(), body.into_inner(), &caller, Decision::Reject).await
}

async fn decide(
    inside: &Inside,
    name: String,
    body: DecideQuarantine,
    caller: &Caller,
    decision: Decision,
) -> Answer {
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    let active = inside.active()?;
    let id = named(inside, name).await?;
    active.enrolments.decide(id, decision, caller.actor(), reason).await?;
    device(inside, id, 200).await
}

async fn named(inside: &Inside, name: String) -> Result<EnrolmentId, Refused> {
    Ok(inside.store.read(move |r| Ok(resolve(r, &name))).await??.id)
}

async fn device(inside: &Inside, id: EnrolmentId, status: u16) -> Answer {
    let eye = Eye::of(inside);
    let device = inside.store.read(move |r| Ok(show_row(r, &eye, &id.to_string()))).await??;
    answer::tagged(status, device.revision, &device)
}

/// A request by its id or its code.
fn find(r: &mut Reader, name: &str) -> Result<Result<Request, Refused>, StoreError> {
    let row = match name.parse::<Uuid>() {
        Ok(id) => requests::find(r, id)?,
        Err(_) => match name.parse::<postern_wire::enrol::RequestCode>() {
            Ok(code) => requests::by_code(r, code.as_str())?,
            Err(_) => None,
        },
    };
    Ok(row.ok_or_else(|| Refused::not_found("enrolment request", name)))
}

/// What is asked for, checked as far as it can be without the database.
async fn wanted(inside: &Inside, body: RequestEnrolment) -> Result<NewRequest, Refused> {
    let renews = match body.renews {
        None => None,
        Some(name) => Some(inside.store.read(move |r| Ok(resolve(r, &name))).await??),
    };
    let auth = body.auth.or(renews.as_ref().map(|row| row.auth)).unwrap_or(AuthType::Signed);
    let name = match (&renews, body.name.trim()) {
        (Some(row), "") => row.name.clone(),
        (_, given) => answer::text("/name", given, NAME)?,
    };
    let owner = answer::optional_text("/owner", body.owner.as_deref(), NAME)?;
    let domain = answer::optional_text("/email_domain", body.email_domain.as_deref(), NAME)?;
    Ok(NewRequest {
        terms: Terms {
            name,
            owner: owner.or_else(|| renews.as_ref().and_then(|row| row.owner.clone())),
            auth,
            dialect: body.dialect.unwrap_or(Dialect::Classic),
            expires: body.expires.map(|time| time.0),
        },
        platform: answer::optional_text("/platform", body.platform.as_deref(), NAME)?,
        email_domain: domain.map(|domain| domain.trim_start_matches('@').to_ascii_lowercase()),
        hardware_id: answer::optional_text("/hardware_id", body.hardware_id.as_deref(), NAME)?,
        groups: body.groups,
        renews: renews.map(|row| row.id),
        reason: answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default(),
    })
}

async fn requested(inside: &Inside, made: Made) -> Result<RequestedEnrolment, Refused> {
    let request = inside.store.read(move |r| view(r, made.request.clone())).await?;
    let url = &inside.config.devices.url;
    let server = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/');
    Ok(RequestedEnrolment {
        request,
        password: made.password.expose_secret().to_owned(),
        server: server.to_owned(),
    })
}

/// Keeps an answer that holds passwords for a repeated request; the request itself is committed.
async fn keep_sealed(inside: &Inside, caller: &Caller, status: u16, value: &impl Serialize) {
    if let Err(refused) = inside.keep_sealed_answer(caller, status, value).await {
        tracing::warn!(%refused, "an answer was not kept under its Idempotency-Key");
    }
}

fn view(r: &mut Reader, row: Request) -> Result<EnrolmentRequest, StoreError> {
    let ids: Vec<Uuid> = serde_json::from_str(&row.member_of)
        .map_err(|error| StoreError::Damaged(format!("the groups of a request: {error}")))?;
    let mut member_of = Vec::new();
    for id in ids {
        let group = groups::find(r, &id.to_string())?;
        member_of.extend(group.map(|group| GroupRef { id: group.id, name: group.name }));
    }
    Ok(EnrolmentRequest {
        id: row.id,
        code: row.code,
        state: row.state,
        name: row.name,
        owner: row.owner,
        groups: member_of,
        platform: row.platform,
        auth: row.auth,
        email_domain: row.email_domain,
        hardware_id: row.hardware_id,
        renews: row.renews,
        reason: row.reason,
        created_by: row.created_by,
        created_at: Time(row.created_at),
        expires: Time(row.expires_at),
        failures: u64::try_from(row.failures).unwrap_or(0),
        last_failure: row.last_failure_at.map(Time),
        last_failure_source: row.last_failure_source,
        finished_at: row.finished_at.map(Time),
        finished_by: row.finished_by,
        cause: row.cause,
        enrolment: row.enrolment,
        generation: row.generation.and_then(|generation| u32::try_from(generation).ok()),
    })
}

fn attempt(row: attempts::Attempt) -> EnrolmentAttempt {
    EnrolmentAttempt {
        id: row.id,
        at: Time(row.at),
        request: row.request,
        door: row.door,
        step: row.step,
        outcome: row.outcome,
        reason: row.reason,
        detail: row.detail,
        source: row.source,
        gateway: row.gateway,
        enrolment: row.enrolment,
        count: u64::try_from(row.count).unwrap_or(0),
    }
}

/// A life as the API shows it.
pub(super) fn life(row: Life) -> DeviceLife {
    let said = |text: String| (!text.is_empty()).then_some(text);
    DeviceLife {
        door: row.door,
        request: row.request,
        standing: row.standing,
        standing_since: Time(row.standing_since),
        twin: row.twin,
        leaving_because: said(row.leaving_because).filter(|_| row.leaving.is_some()),
        leaving: row.leaving,
        leaving_since: row.leaving_at.map(Time),
        renewal: row.renewal,
        renewal_since: row.renewal_at.map(Time),
        renewal_because: said(row.renewal_cause),
        renewal_tries: u32::try_from(row.renewal_tries).unwrap_or(0),
    }
}
