//! Acts of the CAs that take devices' certificates away, be it one or all of a generation: counted like any other way to
//! lose a device, before they are done.
//!
//! Promise: what a CRL lists, what a CA that is retired leaves behind and a certificate that is revoked by hand go through
//! the same gate with the devices that lose their access by it; an approval is for exactly these. An act that fails after
//! it was let through is counted all the same.

use postern_actors::safety::{self, Admitted, Ask, Class};
use postern_store::{
    Reader, StoreError,
    certificates::{self, Certificate},
    enrolments,
    lists::{self, List},
};
use postern_wire::{
    link::{BlockedSubject, CertificateName},
    terms::{EnrolmentId, EnrolmentState},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    auth::Caller,
    problem::{Refused, needs_approval},
};
use crate::inside::Inside;

/// More devices than any limit lets pass: so many are named in a request, and the others stand under its digest.
const NAMED: usize = 10_001;
/// Devices that are read together.
const PAGE: i64 = 5_000;

/// Lets an act through that cuts these devices off, or says why not. `what` says which act it is.
///
/// # Errors
/// What the gate says.
pub(super) async fn admitted(
    inside: &Inside,
    caller: &Caller,
    mut devices: Vec<EnrolmentId>,
    what: Value,
    reason: &str,
) -> Result<(), Refused> {
    if devices.is_empty() {
        return Ok(());
    }
    devices.sort_unstable();
    devices.dedup();
    let mut digest = Sha256::new();
    for device in &devices {
        digest.update(device.0.as_bytes());
    }
    let settings = json!({
        "act": what,
        "devices": devices.len(),
        "digest": data_encoding::HEXLOWER.encode(&digest.finalize()),
    });
    devices.truncate(NAMED);
    let (by, reason) = (caller.actor(), reason.to_owned());
    inside
        .store
        .write(move |tx| {
            let ask = Ask {
                kind: safety::CERTIFICATE,
                class: Class::Identity,
                by: &by,
                targets: &devices,
                reason: &reason,
                settings: settings.clone(),
            };
            Ok(match safety::admit(tx, &ask)? {
                Admitted::Go(_) => Ok(()),
                Admitted::NeedsApproval(request) => Err(needs_approval(request)),
                Admitted::Held(held) => Err(held.into()),
            })
        })
        .await?
}

/// The live device whose certificate this is and that loses it now.
pub(super) fn device_of(r: &mut Reader, row: &Certificate) -> Result<Option<EnrolmentId>, StoreError> {
    let device = row.subject.strip_prefix("postern:device:").and_then(|id| id.parse::<EnrolmentId>().ok());
    let live = match device {
        Some(id) => enrolments::find(r, id)?.filter(|row| row.state != EnrolmentState::Retired),
        None => None,
    };
    Ok(live.filter(|_| row.revoked_at.is_none()).map(|device| device.id))
}

/// The live devices whose certificates these are, but for those that are on the blocked list already.
pub(super) fn devices_of_list(
    r: &mut Reader,
    names: &[CertificateName],
) -> Result<Vec<EnrolmentId>, StoreError> {
    let mut devices = Vec::new();
    for name in names {
        let Some(row) = certificates::find(r, name)? else { continue };
        let Some(device) = device_of(r, &row)? else { continue };
        let subject = BlockedSubject::Certificate(name.clone());
        let entry =
            serde_json::to_string(&subject).map_err(|error| StoreError::Damaged(error.to_string()))?;
        if lists::find(r, List::Blocked, &entry)?.is_none() {
            devices.push(device);
        }
    }
    Ok(devices)
}

/// The live devices whose certificate is of this generation of the device CA.
pub(super) fn devices_of_generation(r: &mut Reader, generation: i64) -> Result<Vec<EnrolmentId>, StoreError> {
    let mut devices: Vec<EnrolmentId> = Vec::new();
    loop {
        let page = certificates::devices_of(r, generation, devices.last().copied(), PAGE)?;
        if page.is_empty() {
            return Ok(devices);
        }
        devices.extend(page);
    }
}
