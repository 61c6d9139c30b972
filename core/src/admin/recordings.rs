//! Recorded sessions: order, list, read, forget. A transcript holds none of the enrolment's secrets (the engine puts
//! others in their place while it records), yet it tells what a device said, so each reading stands in the audit.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use postern_actors::{Described, objects};
use postern_api::{
    Page, Time,
    sessions::{RECORD_MOST, RecordSessions, RecordedSession},
};
use postern_store::{
    Reader, StoreError,
    recordings::{self, RecordingOrder},
};
use postern_wire::terms::{DmSessionId, EnrolmentId};
use serde_json::json;

use super::{
    answer::{self, Answer},
    auth::Caller,
    devices::resolve,
    problem::{Refused, internal},
    sessions::too_many,
    write::{Done, Stop},
};
use crate::{
    ca::DAY_MS,
    inside::{Active, Inside},
};

/// How long an ordered recording waits for its sessions.
const WAITS_MS: i64 = 7 * DAY_MS;
/// The word for the newest recording.
const LATEST: &str = "latest";

pub(super) async fn order(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<RecordSessions>,
    caller: Caller,
) -> Answer {
    let count = body.sessions;
    if count > RECORD_MOST {
        return Err(Refused::invalid("/sessions", format!("at most {RECORD_MOST} at a time")));
    }
    let active = inside.active()?;
    let (name, by) = (path.into_inner(), caller.name());
    let order = inside
        .change(&caller, move |tx| {
            let enrolment = resolve(tx, &name)?.id;
            let at = tx.now();
            let order = RecordingOrder {
                enrolment,
                sessions: i64::from(count),
                asked_by: by.clone(),
                at,
                until: at.plus(WAITS_MS),
            };
            recordings::order(tx, order.clone())?;
            let detail = json!({ "sessions": count });
            Ok::<_, Stop>(Done { object: format!("device:{enrolment}"), detail, value: order })
        })
        .await?;
    take_up(&inside, &active, &order).await?;
    active.devices.record_sessions(order.enrolment, count).map_err(too_many)?;
    answer::nothing()
}

/// Lets the devices' actors know of an order; also at a start.
pub(crate) async fn take_up(
    inside: &Inside,
    active: &Active,
    order: &RecordingOrder,
) -> Result<(), postern_store::ReadError> {
    let (device, known) = (order.enrolment, inside.objects.clone());
    let described = inside.store.read(move |r| described(r, &known, device)).await?;
    active.devices.record_transcripts(device, order.sessions, order.until, described);
    Ok(())
}

/// Which nodes of a device are not to be read, as descriptions say.
///
/// # Errors
/// As the store's reads.
pub(super) fn described(
    r: &mut Reader,
    known: &objects::Objects,
    device: EnrolmentId,
) -> Result<Described, StoreError> {
    let (registry, mounts) = (known.registry(r)?, objects::mounts(r, device)?);
    Ok(Arc::new(move |uri| registry.is_secret(uri, &mounts)))
}

pub(super) async fn list(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let read = inside.store.read(move |r| {
        let device = match resolve(r, &name) {
            Ok(device) => device,
            Err(refused) => return Ok(Err(refused)),
        };
        Ok(Ok(recordings::heads(r, device.id)?))
    });
    let items = read.await??.into_iter().map(|head| RecordedSession {
        session: head.session.0,
        at: Time(head.at),
        messages: u64::try_from(head.messages).unwrap_or(0),
        octets: u64::try_from(head.octets).unwrap_or(0),
    });
    answer::ok(&Page { items: items.collect::<Vec<_>>(), next_cursor: None })
}

pub(super) async fn show(
    inside: web::Data<Inside>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Answer {
    let (name, wanted) = path.into_inner();
    let recording = inside
        .change(&caller, move |tx| {
            let device = resolve(tx, &name)?.id;
            let session = find(tx, device, &wanted)?;
            let recording = recordings::find(tx, session)?.filter(|recording| recording.enrolment == device);
            let recording = recording.ok_or_else(|| Refused::not_found("recorded session", &wanted))?;
            let detail = json!({ "session": session });
            Ok::<_, Stop>(Done { object: format!("device:{device}"), detail, value: recording })
        })
        .await?;
    let opened =
        inside.sealer.open(recording.enrolment, &recording.content).map_err(|error| internal(&error))?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header(("Cache-Control", "no-store"))
        .body(opened.to_vec()))
}

pub(super) async fn forget(
    inside: web::Data<Inside>,
    path: web::Path<(String, String)>,
    caller: Caller,
) -> Answer {
    let (name, wanted) = path.into_inner();
    inside
        .change(&caller, move |tx| {
            let device = resolve(tx, &name)?.id;
            let session = find(tx, device, &wanted)?;
            if !recordings::forget(tx, device, session)? {
                return Err(Refused::not_found("recorded session", &wanted).into());
            }
            Ok::<_, Stop>(Done {
                object: format!("device:{device}"),
                detail: json!({ "session": session }),
                value: (),
            })
        })
        .await?;
    answer::nothing()
}

/// The session that a path names.
fn find(r: &mut Reader, device: EnrolmentId, wanted: &str) -> Result<DmSessionId, Stop> {
    let none = || Refused::not_found("recorded session", wanted);
    if wanted == LATEST {
        let newest = recordings::heads(r, device)?.into_iter().next();
        return Ok(newest.ok_or_else(none)?.session);
    }
    wanted.parse().map(DmSessionId).map_err(|_| none().into())
}
