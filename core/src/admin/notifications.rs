//! Notifications: where a device is reached, asking it to come, what became of that.

use actix_web::web;
use postern_actors::{LISTEN, WantedNotification, masked};
use postern_api::{
    Time,
    devices::ReasonQuery,
    notifications::{DeviceNotifications, Notification, NotificationStep, NotifyDevice, PushAddress},
    problem::Slug,
};
use postern_store::{
    Reader, StoreError,
    notifications::{self, Step},
};
use postern_wire::terms::{EnrolmentId, EnrolmentState, UtcMillis};
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::{REASON, resolve},
    problem::Refused,
    write::{Done, Stop},
};
use crate::inside::Inside;

/// Jobs that are shown.
const SHOWN: i64 = 20;
/// Digits of a telephone number (ITU-T E.164).
const DIGITS: std::ops::RangeInclusive<usize> = 3..=15;
/// Longest name of a bearer.
const BEARER: usize = 32;

pub(super) async fn list(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let shown = inside
        .store
        .read(move |r| {
            let device = match resolve(r, &name) {
                Ok(device) => device.id,
                Err(refused) => return Ok(Err(refused)),
            };
            let address = notifications::address(r, device)?
                .map(|row| PushAddress { number: row.address, bearer: row.bearer });
            let jobs = notifications::of(r, device, SHOWN)?;
            let jobs: Result<_, StoreError> = jobs.into_iter().map(|job| shown(r, job)).collect();
            Ok(Ok(DeviceNotifications { address, notifications: jobs? }))
        })
        .await??;
    answer::ok(&shown)
}

fn shown(r: &mut Reader, job: notifications::Notification) -> Result<Notification, StoreError> {
    let steps = notifications::steps(r, job.id)?;
    Ok(Notification {
        id: job.id,
        session_id: format!("{:X}", job.session_id),
        state: job.state,
        cause: job.cause,
        asked_by: job.asked_by,
        bearer: job.bearer,
        attempts: u32::try_from(job.attempts).unwrap_or(u32::MAX),
        created_at: Time(job.created_at),
        next_at: job.next_at.map(Time),
        expires_at: Time(job.expires_at),
        finished_at: job.finished_at.map(Time),
        session: job.session.map(|session| session.0),
        steps: steps.into_iter().map(step).collect(),
    })
}

fn step(step: Step) -> NotificationStep {
    NotificationStep {
        at: Time(step.at),
        state: step.state,
        cause: step.cause,
        bearer: step.bearer,
        reference: step.reference,
    }
}

/// The steps that fall into a command's life: they stand on its timeline.
pub(super) fn during(
    r: &mut Reader,
    device: EnrolmentId,
    from: UtcMillis,
    to: UtcMillis,
) -> Result<Vec<Step>, StoreError> {
    notifications::steps_between(r, device, from, to, 200)
}

/// A step as a timeline says it.
pub(super) fn told(step: &Step) -> String {
    match &step.bearer {
        Some(bearer) => format!("notification {}: {} ({bearer})", step.state, step.cause),
        None => format!("notification {}: {}", step.state, step.cause),
    }
}

pub(super) async fn send(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<NotifyDevice>,
    caller: Caller,
) -> Answer {
    let body = body.into_inner();
    let reason = answer::optional_text("/reason", body.reason.as_deref(), REASON)?.unwrap_or_default();
    let bearer = answer::optional_text("/bearer", body.bearer.as_deref(), BEARER)?;
    let active = inside.active()?;
    let name = path.into_inner();
    let device = inside.store.read(move |r| Ok(resolve(r, &name))).await??.id;
    let wanted = WantedNotification { device, bearer, resync: body.resync, actor: caller.actor(), reason };
    let job = active.devices.notify(wanted).await?;
    let job = inside.store.read(move |r| shown(r, job.clone())).await?;
    inside.keep_answer(&caller, 202, &job).await;
    answer::json(202, &job)
}

pub(super) async fn put_address(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<PushAddress>,
    caller: Caller,
) -> Answer {
    let (name, body) = (path.into_inner(), body.into_inner());
    let bearer = answer::optional_text("/bearer", body.bearer.as_deref(), BEARER)?;
    let number = body.number.as_deref().map(number).transpose()?;
    if number.is_none() && bearer.as_deref() != Some(LISTEN) {
        return Err(Refused::invalid("/number", "a number is needed, or `listen` as the bearer"));
    }
    let address = inside
        .change(&caller, move |tx| {
            let device = resolve(tx, &name)?;
            if device.state == EnrolmentState::Retired {
                return Err(retired(device.id).into());
            }
            let row = notifications::PushAddress {
                enrolment: device.id,
                address: number.clone(),
                bearer: bearer.clone(),
                at: tx.now(),
            };
            notifications::set_address(tx, row)?;
            Ok(Done {
                object: format!("device:{}", device.id),
                // A telephone number belongs to a person: the log that nobody changes holds its end only.
                detail: json!({"number": number.as_deref().map(masked), "bearer": bearer}),
                value: PushAddress { number: number.clone(), bearer: bearer.clone() },
            })
        })
        .await?;
    answer::ok(&address)
}

pub(super) fn retired(device: EnrolmentId) -> Refused {
    Refused::new(Slug::WrongState, format!("device {device} is retired"))
}

/// A telephone number in international form; spaces and hyphens are left out.
fn number(text: &str) -> Result<String, Refused> {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    if DIGITS.contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        Ok(format!("+{digits}"))
    } else {
        Err(Refused::invalid("/number", "a telephone number in international form has 3 to 15 digits"))
    }
}

pub(super) async fn clear_address(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    _query: web::Query<ReasonQuery>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    inside
        .change(&caller, move |tx| {
            let device = resolve(tx, &name)?;
            if !notifications::clear_address(tx, device.id)? {
                return Err(Stop::Refused(Refused::not_found("push address of", device.id)));
            }
            Ok(Done { object: format!("device:{}", device.id), detail: json!(null), value: () })
        })
        .await?;
    answer::nothing()
}
