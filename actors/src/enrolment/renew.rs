//! The renewal of device certificates.
//!
//! Promise: what was issued stands in the rows before it leaves; the old certificate holds until the device has shown
//! the new one, which happens in the transaction of that session.

use postern_engine::enrolment::renewal::{self, Event, Left, Renewal, Step};
use postern_store::{
    Reader, StoreError, Tx, authorities, certificates, commands,
    enrolments::{self, Enrolment},
    lives::{self, Life},
    results,
};
use postern_wire::{
    link::BlockedEntry,
    route::RouteId,
    terms::{CaRole, CaState, CommandState, EnrolmentId, EnrolmentState, OperationId, UtcMillis, Verb},
};
use serde_json::json;

use super::{
    EnrolmentError, Enrolments,
    leave::{can, ended, submit_one},
    rows::{self, Because},
};
use crate::{
    AuditActor, Authority, DeviceCsr, Settings,
    orders::{Unwritten, audit},
};

/// Lives and enrolments that are looked at together.
const PAGE: i64 = 200;
/// How long the device's part of a renewal is worth sending, in milliseconds.
const WITHIN_MS: i64 = 14 * 86_400_000;
/// Commands of a renewal.
const COMMANDS: i64 = 4;
/// Octets of a signing request.
const CSR_OCTETS: usize = 16 * 1024;

/// Looks for certificates that are due.
pub(super) async fn look_for_due(enrolments: &Enrolments) -> Result<(), EnrolmentError> {
    let inner = &enrolments.inner;
    let shared = enrolments.shared();
    if !inner.devices.clock_is_steady() {
        return Ok(());
    }
    let rules = std::sync::Arc::clone(&inner.parts.rules);
    let mut after = None;
    loop {
        let (from, now, reading) = (after, shared.now(), std::sync::Arc::clone(&rules));
        let page = shared.store.read(move |r| {
            let third = reading.read(r)?.certificate_ms / renewal::RENEW_PART;
            due(r, now.plus(third), from)
        });
        let page = page.await.map_err(|error| EnrolmentError::Unavailable(error.to_string()))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(*last);
        let full = i64::try_from(page.len()) == Ok(PAGE);
        let (settings, rules) = (shared.settings.clone(), std::sync::Arc::clone(&rules));
        let written = shared.store.write(move |tx| {
            let life_ms = rules.read(tx)?.certificate_ms;
            let mut told = Vec::new();
            for id in &page {
                told.extend(look_at(tx, *id, life_ms, &settings)?);
            }
            Ok(told)
        });
        for route in written.await.map_err(Unwritten::from)? {
            inner.devices.changed(route);
        }
        if !full {
            return Ok(());
        }
    }
}

/// Enrolments whose certificate ends before a moment, and in a roll-over of the device CA those whose certificate is of
/// another generation than the one that signs; in order of id.
fn due(
    r: &mut Reader,
    before: UtcMillis,
    after: Option<EnrolmentId>,
) -> Result<Vec<EnrolmentId>, StoreError> {
    let mut ids = lives::certificates_ending(r, before, after, PAGE)?;
    let all = authorities::list(r)?;
    let mut device = all.iter().filter(|ca| ca.role == CaRole::Device);
    let signing = device.clone().find(|ca| ca.state == CaState::Signing);
    if let Some(signing) = signing
        && device.any(|ca| ca.generation != signing.generation)
    {
        let stragglers = certificates::device_stragglers(r, signing.generation, after, PAGE)?;
        ids.extend(stragglers.into_iter().map(|(id, ..)| id));
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    }
    Ok(ids)
}

/// Whether the CA of a certificate signs no more: its time has come, however long it holds.
fn ca_signs_no_more(tx: &mut Tx, serial: Option<&str>) -> Result<bool, StoreError> {
    let Some(serial) = serial else { return Ok(false) };
    let Some(signing) = authorities::signing(tx, CaRole::Device)? else { return Ok(false) };
    let rows = certificates::by_serial(tx, serial)?;
    Ok(rows.iter().any(|row| row.role == CaRole::Device && row.authority != signing.generation))
}

/// Gives the route of a device that was asked.
fn look_at(
    tx: &mut Tx,
    id: EnrolmentId,
    life_ms: i64,
    settings: &Settings,
) -> Result<Option<RouteId>, StoreError> {
    let Some(row) = enrolments::find(tx, id)? else { return Ok(None) };
    let (Some(until), EnrolmentState::Managed | EnrolmentState::New) = (row.certificate_not_after, row.state)
    else {
        return Ok(None);
    };
    let life = rows::life(tx, &row)?;
    let from = life.certificate_from.unwrap_or_else(|| until.plus(-life_ms));
    let left = match renewal::left(from, until, tx.now()) {
        Left::Enough if ca_signs_no_more(tx, row.certificate_serial.as_deref())? => Left::Due,
        left => left,
    };
    if left == Left::Alarm {
        let text = format!("the certificate of {} ends at {until}, and is not renewed yet", row.name);
        rows::alarm(tx, rows::EXPIRING, &format!("device:{id}"), &text)?;
    }
    let state = Renewal::parse(&life.renewal);
    let event = Event::Look { left, can: can(tx, &row)? };
    match renewal::step(state, event) {
        Ok(Step::Ask) => ask(tx, &row, life, settings),
        Ok(Step::Become(next)) => {
            let cause =
                if next == Renewal::Due { "its model cannot be told; enrol it anew" } else { "renewed" };
            put(tx, life, next, None, cause)?;
            Ok(None)
        }
        Ok(Step::Keep | Step::Issue | Step::Promote) | Err(_) => Ok(None),
    }
}

fn ask(tx: &mut Tx, row: &Enrolment, life: Life, settings: &Settings) -> Result<Option<RouteId>, StoreError> {
    let deadline = Some(tx.now().plus(WITHIN_MS));
    let (actor, why) = (AuditActor::service("enrolment"), "renewal of the certificate");
    match submit_one(tx, settings, row.id, renewal::ask(), deadline, &actor, why)? {
        // Its queue is full: at a later look.
        Err(_) => Ok(None),
        Ok(operation) => {
            let life = Life { renewal_tries: life.renewal_tries + 1, ..life };
            put(tx, life, Renewal::Asked, Some(operation), "the device is asked for a new key")?;
            Ok(Some(RouteId::from_bytes(row.route)))
        }
    }
}

fn put(
    tx: &mut Tx,
    life: Life,
    next: Renewal,
    operation: Option<OperationId>,
    cause: &str,
) -> Result<(), StoreError> {
    let at = tx.now();
    lives::put(
        tx,
        Life {
            renewal: next.as_str().to_owned(),
            renewal_operation: operation,
            renewal_at: Some(at),
            renewal_cause: cause.to_owned(),
            ..life
        },
    )
}

/// Goes on with the renewals that are under way.
pub(super) async fn go_on(enrolments: &Enrolments) -> Result<(), EnrolmentError> {
    let shared = enrolments.shared();
    for step in [Renewal::Asked, Renewal::Issued] {
        let mut after = None;
        loop {
            let from = after;
            let page = shared.store.look_up(move |r| lives::renewing(r, step.as_str(), from, PAGE)).await;
            let page = page.map_err(|error| EnrolmentError::Unavailable(error.to_string()))?;
            let Some(last) = page.last() else { break };
            after = Some(last.enrolment);
            for life in &page {
                let (id, settings) = (life.enrolment, shared.settings.clone());
                let authority = std::sync::Arc::clone(&enrolments.inner.parts.authority);
                let written = shared.store.write(move |tx| go_on_with(tx, id, authority.as_ref(), &settings));
                if let Some((route, blocked)) = written.await.map_err(Unwritten::from)? {
                    rows::announce(shared, blocked);
                    enrolments.inner.devices.changed(route);
                }
            }
            if i64::try_from(page.len()) != Ok(PAGE) {
                break;
            }
        }
    }
    Ok(())
}

type Told = Option<(RouteId, Vec<BlockedEntry>)>;

fn go_on_with(
    tx: &mut Tx,
    id: EnrolmentId,
    authority: &dyn Authority,
    settings: &Settings,
) -> Result<Told, StoreError> {
    let Some(row) = enrolments::find(tx, id)?.filter(|row| row.state != EnrolmentState::Retired) else {
        return Ok(None);
    };
    let life = rows::life(tx, &row)?;
    let Some(success) = ended(tx, life.renewal_operation)? else { return Ok(None) };
    let state = Renewal::parse(&life.renewal);
    let event = match (state, success) {
        (Renewal::Asked, true) => Event::Csr,
        (Renewal::Issued, true) => Event::Installed,
        _ => Event::Failed,
    };
    match renewal::step(state, event) {
        Ok(Step::Issue) => issue(tx, &row, life, authority, settings),
        Ok(Step::Become(Renewal::Taken)) => {
            put(tx, life, Renewal::Taken, None, "the device has it and has not shown it yet")?;
            Ok(None)
        }
        Ok(Step::Become(next)) => {
            let blocked = rows::revoke(tx, life.next_serial.as_deref(), Because::Superseded)?;
            put(tx, without_next(life), next, None, "a try came to nothing")?;
            Ok(Some((RouteId::from_bytes(row.route), blocked)))
        }
        Ok(Step::Keep | Step::Ask | Step::Promote) | Err(_) => Ok(None),
    }
}

fn issue(
    tx: &mut Tx,
    row: &Enrolment,
    life: Life,
    authority: &dyn Authority,
    settings: &Settings,
) -> Result<Told, StoreError> {
    let failed = |tx: &mut Tx, life: Life, why: &str| -> Result<Told, StoreError> {
        put(tx, life, Renewal::None, None, why)?;
        Ok(None)
    };
    let Some(csr) = csr(tx, life.renewal_operation)? else {
        return failed(tx, life, "the device gave no signing request that can be read");
    };
    let dns_name = certificates::dns_name(tx, row.id)?;
    let request = DeviceCsr {
        der: &csr,
        enrolment: row.id,
        generation: u64::try_from(row.generation).unwrap_or(u64::MAX),
        dns_name: dns_name.as_deref(),
    };
    let issued = match authority.issue_device(request, tx.now()) {
        Ok(issued) => issued,
        Err(error) => return failed(tx, life, &error.to_string()),
    };
    let chain = std::iter::once(&issued.der).chain(&issued.chain_der).map(|der| pem(der)).collect::<String>();
    let (actor, why) = (AuditActor::service("enrolment"), "the renewed certificate");
    let deadline = Some(tx.now().plus(WITHIN_MS));
    let operation = match submit_one(tx, settings, row.id, renewal::deliver(&chain), deadline, &actor, why)? {
        Ok(operation) => operation,
        Err(refused) => return failed(tx, life, &refused.to_string()),
    };
    rows::keep_certificate(tx, &issued, row.generation)?;
    let detail = json!({ "serial": issued.serial, "not_after": issued.not_after, "operation": operation });
    audit(tx, &actor, "device.certificate.issue", format!("device:{}", row.id), &detail)?;
    let life = Life {
        next_serial: Some(issued.serial),
        next_fingerprint: Some(issued.fingerprint),
        next_from: Some(issued.not_before),
        next_until: Some(issued.not_after),
        ..life
    };
    put(tx, life, Renewal::Issued, Some(operation), "a new certificate is on its way")?;
    Ok(Some((RouteId::from_bytes(row.route), Vec::new())))
}

/// The signing request that the device answered: PEM, base64 or DER.
fn csr(tx: &mut Tx, operation: Option<OperationId>) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(operation) = operation else { return Ok(None) };
    let all = commands::of_operation(tx, operation, None, COMMANDS)?;
    let get = all.iter().find(|one| one.verb == Verb::Get && one.state == CommandState::Succeeded);
    let Some(get) = get else { return Ok(None) };
    let item = results::of(tx, get.id)?.into_iter().find(|item| !item.data.is_empty() && !item.sealed);
    Ok(item.and_then(|item| der(&item.data)))
}

fn der(data: &[u8]) -> Option<Vec<u8>> {
    if data.len() > CSR_OCTETS {
        return None;
    }
    if data.first() == Some(&0x30) {
        return Some(data.to_vec());
    }
    let text = std::str::from_utf8(data).ok()?;
    let base64: String =
        text.lines().filter(|line| !line.starts_with("-----")).flat_map(str::split_whitespace).collect();
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).ok()
}

fn pem(der: &[u8]) -> String {
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem + "-----END CERTIFICATE-----\n"
}

fn without_next(life: Life) -> Life {
    Life { next_serial: None, next_fingerprint: None, next_from: None, next_until: None, ..life }
}

/// The device proved itself with its next certificate, which takes the place of the old one. Gives what joined the
/// blocked list.
pub(crate) fn promote(tx: &mut Tx, id: EnrolmentId) -> Result<Vec<BlockedEntry>, StoreError> {
    let row = enrolments::get(tx, id)?;
    let life = rows::life(tx, &row)?;
    let (Some(serial), Some(fingerprint), Some(until)) =
        (life.next_serial.clone(), life.next_fingerprint, life.next_until)
    else {
        return Ok(Vec::new());
    };
    if renewal::step(Renewal::parse(&life.renewal), Event::Shown) != Ok(Step::Promote) {
        return Ok(Vec::new());
    }
    let blocked = rows::revoke(tx, row.certificate_serial.as_deref(), Because::Superseded)?;
    enrolments::set_certificate(tx, id, &serial, fingerprint, until)?;
    let detail = json!({ "serial": serial, "replaces": row.certificate_serial, "not_after": until });
    let actor = AuditActor::service("enrolment");
    audit(tx, &actor, "device.certificate.renew", format!("device:{id}"), &detail)?;
    rows::clear_alarms(tx, &format!("device:{id}"), "the certificate was renewed")?;
    let from: Option<UtcMillis> = life.next_from;
    let life = Life { certificate_from: from, renewal_tries: 0, ..without_next(life) };
    put(tx, life, Renewal::None, None, "renewed")?;
    Ok(blocked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_request_is_read_as_pem_base64_or_der() {
        let request = [0x30, 3, 2, 1, 5];
        assert_eq!(der(&request), Some(request.to_vec()));
        assert_eq!(der(b"MAMCAQU="), Some(request.to_vec()));
        let pem = pem(&request).replace("CERTIFICATE", "CERTIFICATE REQUEST");
        assert_eq!(der(pem.as_bytes()), Some(request.to_vec()));
        for bad in [&b"no base64 at all"[..], &[0xff, 0xfe], &[b'A'; CSR_OCTETS + 1]] {
            assert_eq!(der(bad), None);
        }
    }
}
