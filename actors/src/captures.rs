//! A gateway came into other hands: what is done for the devices whose sessions it carried.
//!
//! Promise: everything that is to be done stands in rows ([`postern_store::captures`]); [`pursue`] goes through those that
//! are open, a few in a transaction, and may be stopped anywhere. A device's secret is rotated where one crossed the
//! gateway: the new one is told at its next session (through another gateway: that one is never dialed again) and counts
//! when the device has proved it; the old one counts until then, for its answer may be lost. What it reported under a
//! proof that does not cover the body is read again.

use std::collections::BTreeSet;

use postern_engine::{destructive, operations::account, profiles::Shelf};
use postern_store::{
    Sealer, StoreError, Tx, WriteError,
    captures::{self, CaptureDevice, Progress},
    credentials::{self, Credentials},
    enrolments::{self, Enrolment},
    facts, operations,
};
use postern_wire::{
    route::RouteId,
    terms::{
        AuthType, CommandState, EnrolmentId, EnrolmentState, Lane, OperationId, OperationKind, ProofClass,
        Verb,
    },
};
use secrecy::SecretString;

use crate::{AuditActor, Body, BodyItem, Order, SubmitError, orders::submit, shared::Shared};

/// What these orders stand under in the audit.
const SERVICE: &str = "gateway-compromised";
/// Devices that one transaction sees to: few enough that nobody waits for it.
const AT_ONCE: i64 = 50;
/// For so long after the declaration it is looked for devices whose sessions were not recorded yet, milliseconds.
const RECENT_MS: i64 = 600_000;
/// Nodes that are read again of one device.
const NODES: i64 = 200;
/// Nodes that one Get reads.
const A_GET: usize = 10;
/// Random octets of a new secret.
const SECRET_OCTETS: usize = 20;

/// Whether there is anything to go through.
pub(crate) fn is_due(
    r: &mut postern_store::Reader,
    now: postern_wire::terms::UtcMillis,
) -> Result<bool, StoreError> {
    let open = !captures::open(r, None, 1)?.is_empty();
    Ok(open || !captures::declared_after(r, now.plus(-RECENT_MS))?.is_empty())
}

/// Devices that were given work.
#[derive(Debug, Default)]
pub(crate) struct Pursued {
    pub(crate) routes: Vec<RouteId>,
    pub(crate) devices: Vec<EnrolmentId>,
}

/// Goes once through everything that is open.
pub(crate) async fn pursue(shared: &Shared) -> Result<Pursued, WriteError> {
    let mut all = Pursued::default();
    let recent = shared.now().plus(-RECENT_MS);
    shared
        .store
        .write(move |tx| {
            for gateway in captures::declared_after(tx, recent)? {
                captures::find_devices(tx, &gateway)?;
            }
            Ok(())
        })
        .await?;
    let mut after: Option<(String, EnrolmentId)> = None;
    loop {
        let secrets: Vec<SecretString> = (0..AT_ONCE).map(|_| fresh_secret(shared)).collect();
        let room = Room {
            cap: shared.settings.pending_cap,
            shelf: shared.settings.session.profiles.clone(),
            sealer: std::sync::Arc::clone(&shared.sealer),
        };
        let from = after.clone();
        let (some, last) = shared
            .store
            .write(move |tx| {
                let rows = captures::open(tx, from.clone(), AT_ONCE)?;
                let mut pursued = Pursued::default();
                for (row, secret) in rows.iter().zip(&secrets) {
                    if let Some(route) = see_to(tx, row, secret, &room)? {
                        pursued.routes.push(route);
                        pursued.devices.push(row.enrolment);
                    }
                }
                Ok((pursued, rows.last().map(|row| (row.gateway.clone(), row.enrolment))))
            })
            .await?;
        all.routes.extend(some.routes);
        all.devices.extend(some.devices);
        match last {
            Some(last) => after = Some(last),
            None => return Ok(all),
        }
    }
}

fn fresh_secret(shared: &Shared) -> SecretString {
    let mut octets = zeroize::Zeroizing::new([0; SECRET_OCTETS]);
    shared.random.fill(&mut *octets);
    SecretString::from(data_encoding::BASE32_NOPAD.encode(&*octets))
}

/// What orders are planned with.
struct Room {
    cap: usize,
    shelf: Shelf,
    sealer: std::sync::Arc<Sealer>,
}

/// Sees to one device; gives its route where it was given work.
fn see_to(
    tx: &mut Tx,
    row: &CaptureDevice,
    secret: &SecretString,
    room: &Room,
) -> Result<Option<RouteId>, StoreError> {
    let device = enrolments::find(tx, row.enrolment)?;
    let gone = match &device {
        None => Some("it is not known any more"),
        Some(device) if device.state == EnrolmentState::Retired => Some("it was retired since"),
        Some(device) if device.generation != row.generation => Some("it was enrolled anew since"),
        Some(_) => None,
    };
    let Some(device) = device.filter(|_| gone.is_none()) else {
        let because = gone.unwrap_or_default();
        captures::set_rotation(tx, row, Progress::NotNeeded, because, None)?;
        captures::set_reading(tx, row, Progress::NotNeeded, because, None)?;
        return Ok(None);
    };
    let rotates = rotate(tx, row, &device, secret, room)?;
    let reads = read_again(tx, row, &device, room)?;
    Ok((rotates || reads).then(|| RouteId::from_bytes(device.route)))
}

/// The next step for a device's secret; whether something was ordered.
fn rotate(
    tx: &mut Tx,
    row: &CaptureDevice,
    device: &Enrolment,
    secret: &SecretString,
    room: &Room,
) -> Result<bool, StoreError> {
    match (row.rotation, row.rotation_operation) {
        (Progress::Wanted, _) => {}
        (Progress::Ordered, Some(operation)) => {
            follow_rotation(tx, row, operation)?;
            return Ok(false);
        }
        _ => return Ok(false),
    }
    let settled = |tx: &mut Tx, progress, because: &str| {
        captures::set_rotation(tx, row, progress, because, None).map(|()| false)
    };
    if matches!(device.auth, AuthType::Certificate | AuthType::Signed) {
        let because = "nothing secret crossed the gateway: its key never left the device";
        return settled(tx, Progress::NotNeeded, because);
    }
    if !is_ours(tx, device)? {
        let because = "its model has no node that is known to take a new secret: enrol it anew";
        return settled(tx, Progress::Impossible, because);
    }
    if device.next_credentials.is_some() {
        // What it was told before must be proved or refused first; until then it is not known which one it has.
        return settled(tx, Progress::Wanted, "an earlier new secret is still on its way to it");
    }
    let Some(held) = &device.credentials else {
        return settled(tx, Progress::Impossible, "it has no credentials");
    };
    let next =
        Credentials { password: Some(secret.clone()), ..Credentials::open(&room.sealer, device.id, held)? };
    let Some(operation) = order(tx, device.id, OperationKind::Account, vec![account::command()], row, room)?
    else {
        return settled(tx, Progress::Wanted, "its queue is full");
    };
    credentials::expect(tx, device.id, Some(next.seal(&room.sealer, device.id)?))?;
    captures::set_rotation(tx, row, Progress::Ordered, "told at its next session", Some(operation))?;
    Ok(true)
}

/// A secret that was told counts when the device proves it ([`credentials::turn`]); one that it refused never does.
fn follow_rotation(tx: &mut Tx, row: &CaptureDevice, operation: OperationId) -> Result<(), StoreError> {
    let rollup = operations::rollup(tx, operation)?;
    if rollup.of(CommandState::Failed) > 0 {
        credentials::expect(tx, row.enrolment, None)?;
        let because = "the device refused its new secret: enrol it anew";
        return captures::set_rotation(tx, row, Progress::Impossible, because, Some(operation));
    }
    if rollup.of(CommandState::Succeeded) > 0 {
        let because = "it has its new secret, and proves it with its next session";
        return captures::set_rotation(tx, row, Progress::Ordered, because, Some(operation));
    }
    if rollup.open() == 0 {
        let because =
            "its command ended without an answer: the old and the new secret both count until it comes";
        return captures::set_rotation(tx, row, Progress::Ordered, because, Some(operation));
    }
    Ok(())
}

/// The next step for what a device reported; whether something was ordered.
fn read_again(tx: &mut Tx, row: &CaptureDevice, device: &Enrolment, room: &Room) -> Result<bool, StoreError> {
    match (row.reading, row.reading_operation) {
        (Progress::Wanted, _) => {}
        (Progress::Ordered, Some(operation)) => {
            let rollup = operations::rollup(tx, operation)?;
            if rollup.open() == 0 {
                let (done, all) =
                    (rollup.of(CommandState::Succeeded), rollup.states.iter().map(|(_, n)| n).sum::<i64>());
                let (progress, because) = match done {
                    0 => (Progress::Impossible, "the device answered none of the readings".to_owned()),
                    _ => (Progress::Done, format!("{done} of {all} readings were answered")),
                };
                captures::set_reading(tx, row, progress, &because, Some(operation))?;
            }
            return Ok(false);
        }
        _ => return Ok(false),
    }
    if row.proof >= ProofClass::Mac {
        let because = "each message proved its content: the gateway could change nothing";
        captures::set_reading(tx, row, Progress::NotNeeded, because, None)?;
        return Ok(false);
    }
    let nodes = nodes(tx, row, device)?;
    if nodes.is_empty() {
        captures::set_reading(tx, row, Progress::NotNeeded, "it reported nothing", None)?;
        return Ok(false);
    }
    let gets = nodes
        .chunks(A_GET)
        .map(|some| Body::plain(Verb::Get, some.iter().map(|uri| BodyItem::node(uri.clone())).collect()));
    match order(tx, device.id, OperationKind::Inventory, gets.collect(), row, room)? {
        Some(operation) => {
            captures::set_reading(tx, row, Progress::Ordered, "read at its next session", Some(operation))?;
            Ok(true)
        }
        None => {
            captures::set_reading(tx, row, Progress::Wanted, "its queue is full", None)?;
            Ok(false)
        }
    }
}

/// The nodes that the gateway may have answered for: of results, and of facts that a device told of itself.
fn nodes(tx: &mut Tx, row: &CaptureDevice, device: &Enrolment) -> Result<Vec<String>, StoreError> {
    let Some(capture) = captures::find(tx, &row.gateway)? else { return Ok(Vec::new()) };
    let reported = captures::reported(tx, device.id, capture.since, capture.declared_at, NODES)?;
    let told = facts::of(tx, device.id)?;
    let told = told
        .into_iter()
        .filter(|fact| fact.source == "device" && fact.at >= capture.since && fact.at <= capture.declared_at)
        .map(|fact| fact.key);
    let readable = |uri: &String| {
        let parsed = postern_wire::uri::TreeUri::parse(uri).ok();
        parsed.is_some_and(|uri| destructive::protected(Verb::Get, &uri, false).is_none())
    };
    let most = usize::try_from(NODES).unwrap_or(usize::MAX);
    let all: BTreeSet<String> =
        reported.into_iter().chain(told).filter(|uri| uri.starts_with("./")).filter(readable).collect();
    Ok(all.into_iter().take(most).collect())
}

/// Whether it is a device of ours, whose tree is known.
fn is_ours(tx: &mut Tx, device: &Enrolment) -> Result<bool, StoreError> {
    let man = facts::of(tx, device.id)?.into_iter().find(|fact| fact.key == "./DevInfo/Man");
    Ok(postern_engine::schedule::can(device.dialect, man.as_ref().map(|fact| fact.value.as_str())))
}

fn order(
    tx: &mut Tx,
    id: EnrolmentId,
    kind: OperationKind,
    commands: Vec<Body>,
    row: &CaptureDevice,
    room: &Room,
) -> Result<Option<OperationId>, StoreError> {
    let order = Order {
        targets: vec![id],
        kind,
        commands,
        ordered: false,
        lane: Lane::Urgent,
        deadline: None,
        actor: AuditActor::service(SERVICE),
        reason: format!("the gateway {} is in other hands", row.gateway),
        idempotency: None,
    };
    match submit::within(tx, &order, room.cap, &room.shelf)? {
        Ok(operation) => Ok(Some(operation)),
        Err(SubmitError::TooMany { .. }) => Ok(None),
        Err(refused) => Err(StoreError::Refused(refused.to_string())),
    }
}
