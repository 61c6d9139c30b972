//! One attempt: package 0 made for the device as it stands now, and handed to the bearer whose turn it is.
//!
//! The digest bears the newest nonce that the device gave, so what is still to be written of earlier sessions is written
//! first. The secret of the digest leaves this module only as the digest.

use std::time::Duration;

use postern_engine::notification::{Event, LISTEN, Ways};
use postern_store::{
    Sealer, StoreError,
    credentials::Credentials,
    enrolments::{self, Enrolment},
    notifications::{self, Notification, StepNote},
};
use postern_wire::{
    auth,
    notification::{Package0, SessionId, Trigger},
    push::Push,
    route::RouteId,
    terms::EnrolmentState,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::Desk;
use crate::{PushError, PushOrder};

/// The default nonce "0x00000000" as most clients read it: four zero octets (OMA-TS-DM_Notification 5.1).
const RESYNC_NONCE: [u8; 4] = [0; 4];
/// A bearer has so long; it bounds its own waits, this only catches one that does not.
const LIMIT: Duration = Duration::from_secs(120);

/// The name and the password hash with which the server proves itself to a device.
pub(super) struct Server {
    id: String,
    hash: SecretString,
}

/// What a notification to this device is signed with; `None` when the device knows no password of ours.
pub(super) fn server(sealer: &Sealer, enrolment: &Enrolment) -> Result<Option<Server>, StoreError> {
    let Some(sealed) = &enrolment.credentials else { return Ok(None) };
    let credentials = Credentials::open(sealer, enrolment.id, sealed)?;
    let Some(password) = credentials.server_password else { return Ok(None) };
    let hash = auth::user_password_hash(&credentials.server_id, password.expose_secret());
    Ok(Some(Server { id: credentials.server_id, hash: SecretString::from(hash) }))
}

/// What one attempt needs of the rows.
struct Facts {
    enrolment: Enrolment,
    address: Option<notifications::PushAddress>,
}

/// Tries once, and writes down how it went.
pub(super) async fn attempt(desk: &Desk, row: Notification) {
    let shared = &desk.shared;
    shared.later.flush(&shared.store).await;
    let device = row.enrolment;
    let facts = shared
        .store
        .read(move |r| {
            let Some(enrolment) = enrolments::find(r, device)? else { return Ok(None) };
            Ok(Some(Facts { enrolment, address: notifications::address(r, device)? }))
        })
        .await;
    let facts = match facts {
        Ok(Some(facts)) => facts,
        Ok(None) => return finish(desk, &row, Event::Retired, None, None).await,
        Err(cause) => return tracing::debug!(%cause, "a notification waits for the database"),
    };
    if facts.enrolment.state == EnrolmentState::Retired {
        return finish(desk, &row, Event::Retired, None, None).await;
    }
    if facts.enrolment.pending == 0 && row.asked_by.is_none() {
        return finish(desk, &row, Event::Emptied, None, None).await;
    }
    let package0 = match package0(desk, &row, &facts.enrolment) {
        Ok(Some(package0)) => package0,
        Ok(None) => return finish(desk, &row, Event::Impossible, None, None).await,
        Err(cause) => {
            tracing::error!(%device, cause, "a notification cannot be made");
            return finish(desk, &row, Event::Impossible, None, None).await;
        }
    };
    hand_over(desk, &row, facts, package0).await;
}

/// Package 0 for the device; `None` when it knows no password of ours.
fn package0(desk: &Desk, row: &Notification, enrolment: &Enrolment) -> Result<Option<Vec<u8>>, String> {
    let found = server(&desk.shared.sealer, enrolment).map_err(|cause| cause.to_string())?;
    let Some(server) = found else { return Ok(None) };
    let number = u16::try_from(row.session_id).ok().and_then(SessionId::new);
    let session_id = number.ok_or_else(|| format!("SessionID {}", row.session_id))?;
    let nonce = match row.resync {
        true => &RESYNC_NONCE[..],
        false => enrolment.server_nonce.as_deref().unwrap_or_default(),
    };
    let trigger = Trigger::new(session_id, &server.id);
    let package0 = Package0::seal(trigger, server.hash.expose_secret(), nonce);
    Ok(Some(package0.map_err(|cause| cause.to_string())?.encode()))
}

async fn hand_over(desk: &Desk, row: &Notification, facts: Facts, package0: Vec<u8>) {
    let names = desk.bearer_names();
    let number = facts.address.as_ref().and_then(|address| address.address.clone());
    let ways = Ways {
        number: number.is_some(),
        preferred: facts.address.as_ref().and_then(|address| address.bearer.as_deref()),
        forced: row.forced.as_deref(),
        bearers: &names,
    };
    let Some(name) = ways.choose(row.attempts) else {
        return finish(desk, row, Event::Impossible, None, None).await;
    };
    if row.urgent && row.forced.is_none() {
        by_the_others(desk, row, &facts, &ways.order(), name, &package0);
    }
    if name == LISTEN {
        let route = RouteId::from_bytes(facts.enrolment.route).hash();
        desk.gateways.wake(route, facts.enrolment.certificate_fingerprint, &package0);
        return finish(desk, row, Event::Handed { listen: true }, Some(name), None).await;
    }
    let bearer = desk.bearers.iter().find(|bearer| bearer.name() == name);
    let (Some(bearer), Some(to)) = (bearer, number) else {
        return finish(desk, row, Event::Impossible, None, None).await;
    };
    let order = PushOrder {
        id: desk.shared.random.id(desk.shared.now()),
        to,
        content: Push::notification(package0),
        valid_until: row.expires_at,
    };
    let handed = tokio::time::timeout(LIMIT, bearer.push(order)).await;
    let handed = handed.unwrap_or_else(|_| Err(PushError::retry("the bearer gave no answer")));
    match handed {
        Ok(receipt) => {
            let event = Event::Handed { listen: false };
            finish(desk, row, event, Some(name), Some(receipt.reference)).await;
        }
        Err(PushError::Retry { reason, after }) => {
            tracing::info!(bearer = name, notification = %row.id, reason, "a push was not taken");
            let after_ms = after.map_or(0, |after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
            finish(desk, row, Event::NotHanded { after_ms }, Some(name), None).await;
        }
        Err(PushError::Refused { reason }) => {
            tracing::warn!(bearer = name, notification = %row.id, reason, "a push was refused");
            let event = Event::Refused { others: ways.order().len() > 1 };
            finish(desk, row, event, Some(name), None).await;
        }
    }
}

/// What is urgent goes by every channel at once: the one whose turn it is moves the job, the others only help.
fn by_the_others(desk: &Desk, row: &Notification, facts: &Facts, all: &[&str], turn: &str, package0: &[u8]) {
    for name in all.iter().filter(|name| **name != turn) {
        if *name == LISTEN {
            let route = RouteId::from_bytes(facts.enrolment.route).hash();
            desk.gateways.wake(route, facts.enrolment.certificate_fingerprint, package0);
            continue;
        }
        let bearer = desk.bearers.iter().find(|bearer| bearer.name() == *name).cloned();
        let number = facts.address.as_ref().and_then(|address| address.address.clone());
        let (Some(bearer), Some(to)) = (bearer, number) else { continue };
        if !desk.may_push() {
            continue;
        }
        let order = PushOrder {
            id: desk.shared.random.id(desk.shared.now()),
            to,
            content: Push::notification(package0.to_vec()),
            valid_until: row.expires_at,
        };
        let id = row.id;
        tokio::task::spawn_local(async move {
            match tokio::time::timeout(LIMIT, bearer.push(order)).await {
                Ok(Ok(_)) => {}
                Ok(Err(cause)) => {
                    tracing::info!(bearer = bearer.name(), notification = %id, ?cause, "an urgent push was not taken");
                }
                Err(_) => {
                    tracing::info!(bearer = bearer.name(), notification = %id, "an urgent push got no answer")
                }
            }
        });
    }
}

async fn finish(
    desk: &Desk,
    row: &Notification,
    event: Event,
    bearer: Option<&str>,
    reference: Option<String>,
) {
    if bearer.is_some() {
        desk.shared.notices.count_attempt(matches!(event, Event::Handed { .. }));
    }
    let note = StepNote { bearer: bearer.map(str::to_owned), reference };
    desk.apply(row.id, event, note, None).await;
}
