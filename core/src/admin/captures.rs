//! Gateways in other hands: the declaration, and how far what follows from it has come.

use actix_web::web;
use postern_actors::gcm::Gcm;
use postern_api::{
    Page, Time,
    captures::{CaptureProgress, Compromised, CompromisedDevice, DeclareCompromised},
    page::PageQuery,
};
use postern_store::{
    Reader, StoreError, Tx,
    captures::{self, Capture, CaptureDevice, Progress},
    certificates, enrolments, gateways,
};
use postern_wire::{
    link::{BlockedEntry, gateway_uri},
    terms::{EnrolmentId, RevocationReason, UtcMillis},
};
use serde_json::json;

use super::{
    answer::{self, Answer, Window},
    auth::Caller,
    devices::REASON,
    problem::Refused,
    write::{Done, Stop},
};
use crate::inside::Inside;

/// Certificates of one gateway that are looked at, the newest first.
const CERTIFICATES: i64 = 1_000;
const DEVICES: &str = "compromised-devices";

pub(super) async fn declare(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    body: web::Json<DeclareCompromised>,
    caller: Caller,
) -> Answer {
    let name = path.into_inner();
    let body = body.into_inner();
    let reason = answer::text("/reason", &body.reason, REASON)?;
    let since: UtcMillis = body.since.0;
    if since > inside.now() {
        return Err(Refused::invalid("/since", "it cannot be in other hands from a time that has not come"));
    }
    let active = inside.active()?;
    let by = caller.name();
    let gateway = name.clone();
    let (declared, blocked) = inside
        .change(&caller, move |tx| {
            if gateways::find(tx, &gateway)?.is_none() {
                return Err(Stop::Refused(Refused::not_found("gateway", &gateway)));
            }
            // First for their keys' sake: what is revoked already keeps its reason when the gateway is retired.
            let blocked = revoke_keys(tx, &gateway)?;
            let count = i64::try_from(blocked.len()).unwrap_or(i64::MAX);
            let retired = Gcm::retire(tx, &gateway, &format!("in other hands: {reason}"))?;
            let blocked: Vec<_> = blocked.into_iter().flatten().chain(retired.blocked).collect();
            let capture = captures::declare(tx, &gateway, since, &by, &reason, count)?;
            let detail = json!({
                "since": since.to_string(),
                "devices": capture.devices,
                "certificates": capture.certificates,
                "reason": reason,
            });
            let value = (shown(tx, capture)?, blocked);
            Ok::<_, Stop>(Done { object: format!("gateway:{gateway}"), detail, value })
        })
        .await?;
    active.told.block(blocked, Vec::new());
    inside.certificates_due.notify_one();
    // Its links close now; nothing dials it any more, this core or another.
    active.gcm.hang_up(&name).await;
    tracing::warn!(gateway = %name, since = %since, devices = declared.devices, "a gateway is in other hands");
    if let Err(error) = active.devices.pursue_captures().await {
        tracing::warn!(%error, "what follows from a gateway in other hands goes on with the next look");
    }
    answer::json(201, &declared)
}

/// Somebody else has its keys: every certificate of it that still counts is revoked for that reason, those of its link port
/// and of its device port. Gives what each adds to the blocked list, if anything: devices judge a server by its CRL.
fn revoke_keys(tx: &mut Tx, gateway: &str) -> Result<Vec<Option<BlockedEntry>>, StoreError> {
    let held = certificates::of(tx, &gateway_uri(gateway), CERTIFICATES)?;
    let now = tx.now();
    held.into_iter()
        .filter(|row| row.revoked_at.is_none() && row.not_after > now)
        .map(|row| Ok(certificates::revoke(tx, &row.serial, RevocationReason::KeyCompromise)?.blocked))
        .collect()
}

pub(super) async fn show(inside: web::Data<Inside>, path: web::Path<String>, _: Caller) -> Answer {
    let name = path.into_inner();
    let found = inside
        .store
        .read(move |r| match captures::find(r, &name)? {
            Some(capture) => Ok(Ok(shown(r, capture)?)),
            None => Ok(Err(Refused::not_found("gateway in other hands", &name))),
        })
        .await??;
    answer::ok(&found)
}

pub(super) async fn devices(
    inside: web::Data<Inside>,
    path: web::Path<String>,
    query: web::Query<PageQuery>,
    _: Caller,
) -> Answer {
    let name = path.into_inner();
    let window = Window::read(DEVICES, query.limit, query.cursor.as_deref())?;
    let after: Option<EnrolmentId> = window.place()?;
    let fetch = window.fetch();
    let rows = inside
        .store
        .read(move |r| {
            let rows = captures::devices(r, &name, after, fetch)?;
            rows.into_iter().map(|row| device(r, row)).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let page: Page<CompromisedDevice> = window.page(DEVICES, rows, |row| row.id.to_string(), |row| row);
    answer::ok(&page)
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn shown(r: &mut Reader, capture: Capture) -> Result<Compromised, StoreError> {
    let (mut rotation, mut reading) = (CaptureProgress::default(), CaptureProgress::default());
    for (one, other, count) in captures::counts(r, &capture.gateway)? {
        *place(&mut rotation, one) += number(count);
        *place(&mut reading, other) += number(count);
    }
    let open = |progress: CaptureProgress| progress.wanted + progress.ordered;
    Ok(Compromised {
        finished: open(rotation) + open(reading) == 0,
        gateway: capture.gateway,
        since: Time(capture.since),
        declared_at: Time(capture.declared_at),
        declared_by: capture.declared_by,
        reason: capture.reason,
        certificates_revoked: number(capture.certificates),
        devices: number(capture.devices),
        rotation,
        reading,
    })
}

const fn place(progress: &mut CaptureProgress, of: Progress) -> &mut u64 {
    match of {
        Progress::Wanted => &mut progress.wanted,
        Progress::Ordered => &mut progress.ordered,
        Progress::Done => &mut progress.done,
        Progress::NotNeeded => &mut progress.not_needed,
        Progress::Impossible => &mut progress.impossible,
    }
}

fn device(r: &mut Reader, row: CaptureDevice) -> Result<CompromisedDevice, StoreError> {
    let name = enrolments::find(r, row.enrolment)?.map(|enrolment| enrolment.name);
    Ok(CompromisedDevice {
        id: row.enrolment,
        name,
        proof_class: row.proof,
        sessions: number(row.sessions),
        last_session_at: Time(row.last_at),
        rotation: row.rotation.as_str().to_owned(),
        rotation_because: row.rotation_because,
        rotation_operation: row.rotation_operation.map(|operation| operation.0),
        reading: row.reading.as_str().to_owned(),
        reading_because: row.reading_because,
        reading_operation: row.reading_operation.map(|operation| operation.0),
    })
}
