//! What several acts on an enrolment's life write: its end, its certificates, alarms.

use postern_engine::command::Cause;
use postern_store::{
    StoreError, Tx,
    alarms::{self, Severity},
    authorities, certificates,
    enrolments::{self, Enrolment},
    lives::{self, Life},
};
use postern_wire::{
    link::{BlockedEntry, CertificateName},
    route::RouteId,
    terms::{CaRole, CommandId, EnrolmentId, RevocationReason},
};
use serde_json::json;

use crate::{
    AuditActor, CertificateFacts, Devices, IssuedDevice,
    orders::{audit, drop_pending, retire::bury},
    shared::Shared,
    wipe,
};

/// The alarm of hardware that came twice.
pub(crate) const DUPLICATE: &str = "duplicate-hardware";
/// The alarm of a device that is about to lose its enrolment by its silence.
pub(crate) const STALE: &str = "device-stale";
/// The alarm of a certificate of which less than a tenth of its life is left.
pub(crate) const EXPIRING: &str = "certificate-expiring";

/// Why a certificate is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Because {
    /// Another one took its place.
    Superseded,
    /// The enrolment ended.
    Ended,
}

/// An enrolment that ended: whom to tell after the commit.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: EnrolmentId,
    pub(crate) route: RouteId,
    pub(crate) dropped: Vec<CommandId>,
    pub(crate) blocked: Vec<BlockedEntry>,
}

/// Ends an enrolment: its commands, its credentials, its route, its certificate; with its row in the audit log.
pub(crate) fn end(
    tx: &mut Tx,
    row: &Enrolment,
    actor: &AuditActor,
    action: &str,
    reason: &str,
) -> Result<Ended, StoreError> {
    let leaves = lives::find(tx, row.id)?.is_some_and(|life| life.leaving.is_some());
    wipe::follow::ended(tx, row.id, leaves, reason)?;
    let dropped = drop_pending(tx, row.id, Cause::Retired)?;
    enrolments::retire(tx, row.id, reason)?;
    let route = RouteId::from_bytes(row.route);
    bury(tx, route)?;
    let mut blocked = revoke(tx, row.certificate_serial.as_deref(), Because::Ended)?;
    if let Some(life) = lives::find(tx, row.id)? {
        blocked.extend(revoke(tx, life.next_serial.as_deref(), Because::Ended)?);
        let over = Life {
            leaving: None,
            renewal: "none".to_owned(),
            next_serial: None,
            next_fingerprint: None,
            ..life
        };
        lives::put(tx, over)?;
    }
    clear_alarms(tx, &format!("device:{}", row.id), "the enrolment ended")?;
    let detail = json!({ "device_id": row.device_id, "ended_commands": dropped.len(), "reason": reason });
    audit(tx, actor, action, format!("device:{}", row.id), &detail)?;
    Ok(Ended { id: row.id, route, dropped, blocked })
}

impl Ended {
    /// Tells the gateways and whoever waits.
    pub(crate) fn tell(self, devices: &Devices) -> u32 {
        let count = u32::try_from(self.dropped.len()).unwrap_or(u32::MAX);
        let route = self.route;
        self.tell_shared(devices.shared());
        devices.tell_retired(route);
        count
    }

    /// The same but for the device's actor, which is told by itself.
    pub(crate) fn tell_shared(self, shared: &Shared) {
        shared.watches.tell(self.dropped);
        shared.announce.gone(self.route.hash());
        announce(shared, self.blocked);
        shared.notices.retired(self.id);
    }
}

/// The life of an enrolment; one without a row came by hand.
pub(crate) fn life(tx: &mut Tx, row: &Enrolment) -> Result<Life, StoreError> {
    let found = lives::find(tx, row.id)?.filter(|life| life.generation == row.generation);
    Ok(found.unwrap_or_else(|| Life::new(row.id, row.generation, "hand", tx.now())))
}

/// Keeps a certificate in the table of certificates.
pub(crate) fn keep_certificate(
    tx: &mut Tx,
    issued: &IssuedDevice,
    generation: i64,
) -> Result<(), StoreError> {
    certificates::insert(tx, &of_device(&issued.facts(), issued.enrolment, generation))?;
    certificates::set_dns_name(tx, issued.enrolment, issued.dns_name.as_deref())
}

/// The row of a device's certificate.
pub(crate) fn of_device(
    certificate: &CertificateFacts,
    enrolment: EnrolmentId,
    generation: i64,
) -> certificates::Issued {
    certificates::Issued {
        name: CertificateName { serial: certificate.serial.clone(), issuer: certificate.issuer.clone() },
        role: CaRole::Device,
        subject: certificates::device(enrolment),
        subject_generation: generation,
        fingerprint: certificate.fingerprint,
        not_before: certificate.not_before,
        not_after: certificate.not_after,
    }
}

/// A device that enrols is given the server CA that signs now, with the others that are trusted.
pub(crate) fn trusts_server(tx: &mut Tx, id: EnrolmentId) -> Result<(), StoreError> {
    match authorities::signing(tx, CaRole::Server)? {
        Some(server) => certificates::trusts_server(tx, id, server.generation),
        None => Ok(()),
    }
}

/// Revokes a certificate; one that is not in the table, or is revoked already, is passed over.
pub(crate) fn revoke(
    tx: &mut Tx,
    serial: Option<&str>,
    because: Because,
) -> Result<Vec<BlockedEntry>, StoreError> {
    let Some(serial) = serial else { return Ok(Vec::new()) };
    let reason = match because {
        Because::Superseded => RevocationReason::Superseded,
        Because::Ended => RevocationReason::CessationOfOperation,
    };
    match certificates::revoke(tx, serial, reason) {
        Ok(revoked) => Ok(revoked.blocked.into_iter().collect()),
        Err(StoreError::NotFound(_) | StoreError::Refused(_)) => Ok(Vec::new()),
        Err(other) => Err(other),
    }
}

/// Tells the gateways what joined the blocked list.
pub(crate) fn announce(shared: &Shared, blocked: Vec<BlockedEntry>) {
    for entry in blocked {
        shared.announce.blocked(entry);
    }
}

/// Raises an alarm.
pub(crate) fn alarm(tx: &mut Tx, kind: &str, subject: &str, text: &str) -> Result<(), StoreError> {
    alarms::raise(tx, Severity::Warning, kind, subject, text).map(|_| ())
}

/// Clears the alarms of a subject that this supervisor raises.
pub(crate) fn clear_alarms(tx: &mut Tx, subject: &str, because: &str) -> Result<(), StoreError> {
    for kind in [DUPLICATE, STALE, EXPIRING] {
        alarms::clear(tx, kind, subject, because)?;
    }
    Ok(())
}
