//! Changes of what is desired, put in force; one that takes much away waits until somebody agrees.
//!
//! Promise: until then the last desired state stays, and the devices that would lose something are told nothing. What is agreed to
//! is that very change: the digest over devices and what each is to be. Another change takes the place of one that waits. What
//! only comes on top goes out at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use postern_engine::{
    policy::desired::{book::Book, change},
    safety::approval::{Content, State},
};
use postern_store::{
    StoreError, Tx,
    alarms::{self, Severity},
    approvals::Approval,
    policies::{self, Device, Hold},
};
use postern_wire::{
    route::RouteId,
    terms::{EnrolmentId, UtcMillis},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Policies, SERVICE, apply,
    inputs::PolicySettings,
    supervise::{self, Batch, Computed, LookError, Looked, Next},
};
use crate::{
    AuditActor,
    approvals::{self, After, Approved, KindHandler},
    orders::audit,
    safety,
};

/// The kind of request that lets a wide change of policy go out.
pub const CHANGE: &str = "policy.change";
/// The alarm while one waits.
pub const HELD: &str = "policy-held";
/// What it stands for.
const FLEET: &str = "fleet";
/// Devices that are written together.
const PAGE: usize = 200;
/// Devices that lost something in so long count together, so that many small steps are no way around.
const WINDOW_MS: i64 = 3_600_000;

/// Who lost something lately by changes that nobody had to agree to.
#[derive(Debug, Default)]
pub(super) struct Lately(Vec<(UtcMillis, EnrolmentId)>);

impl Lately {
    fn devices(&mut self, now: UtcMillis) -> BTreeSet<EnrolmentId> {
        self.0.retain(|(at, _)| now.since(*at) < WINDOW_MS);
        self.0.iter().map(|(_, id)| *id).collect()
    }
}

/// Decides what of a batch goes into force, and writes it.
pub(super) async fn judge(
    policies: &Policies,
    batch: Batch,
    settings: PolicySettings,
) -> Result<Looked, LookError> {
    let shared = policies.shared();
    let now = shared.now();
    let mut looked = Looked { computed: batch.computed.len(), ..Looked::default() };
    let asked: BTreeSet<EnrolmentId> = batch.computed.iter().map(|one| one.id).collect();
    let waits = all_held(policies).await?;
    // Who would lose something: of this batch, and of those that wait already and were not computed again.
    let mut takes: BTreeMap<EnrolmentId, [u8; 32]> = waits
        .iter()
        .filter(|row| !asked.contains(&row.enrolment))
        .filter_map(|row| Some((row.enrolment, row.waiting?)))
        .collect();
    let mut settings_taken = 0;
    for one in &batch.computed {
        if let Ok(next) = &one.result
            && one.row.is_some()
            && next.difference.takes()
        {
            takes.insert(one.id, next.document);
            settings_taken += next.difference.altered + next.difference.removed;
        }
    }
    let lately = policies.inner.lately.lock().unwrap_or_else(PoisonError::into_inner).devices(now);
    let concerned = takes.keys().copied().chain(lately.iter().copied()).collect::<BTreeSet<_>>().len();
    let is_new = takes.keys().any(|id| !lately.contains(id));
    let held = is_new && change::is_held(concerned, batch.managed, settings.hold_share);
    let digest = digest(&takes);
    let mut refused = false;
    if held {
        looked.held = takes.len();
        refused = shared.store.look_up(move |r| policies::was_refused(r, digest)).await?;
        if !refused {
            let (devices, managed) = (takes.len(), batch.managed);
            let asked = Asked { digest, devices, managed, settings: settings_taken };
            shared.store.write(move |tx| ask(tx, &asked)).await?;
        }
    } else {
        shared.store.write(gone).await?;
        let mut lately = policies.inner.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.0.extend(takes.keys().map(|id| (now, *id)));
    }
    let documents = batch.documents;
    shared.store.write(move |tx| policies::keep(tx, &documents)).await?;
    let put = |one: Computed| -> Put {
        let waiting = match held && takes.contains_key(&one.id) {
            true if refused => Waiting::Refused,
            true => Waiting::Held,
            false => Waiting::No,
        };
        Put { one, waiting }
    };
    let mut all: Vec<Put> = batch.computed.into_iter().map(put).collect();
    looked.stale = all.iter().filter(|put| put.one.result.is_err()).count();
    all.retain(is_news);
    while !all.is_empty() {
        let some: Vec<Put> = all.drain(..all.len().min(PAGE)).collect();
        let written = shared.store.write(move |tx| {
            let epoch = policies::raise_epoch(tx)?;
            let mut routes = Vec::new();
            for put in &some {
                routes.extend(write(tx, put, epoch)?);
            }
            Ok(routes)
        });
        let routes: Vec<RouteId> = written.await?;
        looked.changed += routes.len();
        let epoch = shared.store.look_up(policies::epoch).await?;
        shared.policy.set(epoch, settings.verify_ms);
        supervise::tell_all(policies, routes);
    }
    if !held {
        // Those that waited and were not computed again go with the rest.
        let rest: Vec<Device> = waits.into_iter().filter(|row| !asked.contains(&row.enrolment)).collect();
        looked.changed += promote(policies, rest).await?;
    }
    Ok(looked)
}

/// Where a device's new desired state goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Into force.
    No,
    /// It waits.
    Held,
    /// Somebody said no to it.
    Refused,
}

struct Put {
    one: Computed,
    waiting: Waiting,
}

/// Whether a row has to be written.
fn is_news(put: &Put) -> bool {
    let row = put.one.row.as_ref();
    match (&put.one.result, put.waiting) {
        (Err(why), _) => row.is_some_and(|row| row.stale.as_deref() != Some(why)),
        (Ok(next), Waiting::Held) => row.is_none_or(|row| row.waiting != Some(next.document)),
        (Ok(_), Waiting::Refused) => row.is_some_and(|row| row.waiting.is_some()),
        (Ok(next), Waiting::No) => {
            row.is_none_or(|row| row.desired != next.document || row.waiting.is_some() || row.stale.is_some())
        }
    }
}

/// Writes one device's row; gives its route where it has to compare.
fn write(tx: &mut Tx, put: &Put, epoch: i64) -> Result<Option<RouteId>, StoreError> {
    let one = &put.one;
    // What a session wrote meanwhile is not lost: only the parts that are the supervisor's are set.
    let row = policies::find(tx, one.id)?;
    match (&one.result, row) {
        (Err(why), Some(row)) => {
            policies::put(tx, Device { stale: Some(why.clone()), ..row })?;
            Ok(None)
        }
        (Err(_), None) => Ok(None),
        (Ok(next), Some(row)) => match put.waiting {
            Waiting::Held => {
                policies::put(tx, Device { waiting: Some(next.document), stale: None, ..row })?;
                Ok(None)
            }
            Waiting::Refused => {
                policies::put(tx, Device { waiting: None, stale: None, ..row })?;
                Ok(None)
            }
            Waiting::No => force(tx, row, next, epoch),
        },
        (Ok(next), None) => first(tx, one, next, epoch).map(Some),
    }
}

/// Another desired state comes into force.
fn force(tx: &mut Tx, row: Device, next: &Next, epoch: i64) -> Result<Option<RouteId>, StoreError> {
    let row = Device { waiting: None, stale: None, ..row };
    if next.same {
        // Who says so changed: nothing is to be told to the device, what it was brought to has another name.
        let renamed =
            |hash: Option<[u8; 32]>| hash.map(|hash| if hash == row.desired { next.document } else { hash });
        let (settled, planned) = (renamed(row.settled), renamed(row.planned));
        policies::put(tx, Device { desired: next.document, settled, planned, ..row })?;
        return Ok(None);
    }
    let now = tx.now();
    let (id, row) = (row.enrolment, Device { desired: next.document, epoch, changed_at: now, ..row });
    figure(tx, row)?;
    supervise::tell(tx, id).map(Some)
}

/// Keeps a row with the figures that its new desired state gives.
fn figure(tx: &mut Tx, row: Device) -> Result<(), StoreError> {
    let book = apply::book(&row)?;
    match apply::document(tx, row.desired)? {
        Some(desired) => apply::keep(tx, row, &desired, &book),
        None => Err(StoreError::Damaged("a desired state is not there".to_owned())),
    }
}

fn first(tx: &mut Tx, one: &Computed, next: &Next, epoch: i64) -> Result<RouteId, StoreError> {
    let now = tx.now();
    let book =
        serde_json::to_string(&Book::default()).map_err(|error| StoreError::Refused(error.to_string()))?;
    figure(
        tx,
        Device {
            enrolment: one.id,
            generation: one.generation,
            desired: next.document,
            waiting: None,
            settled: None,
            planned: None,
            epoch,
            book,
            operation: None,
            verify_at: None,
            stale: None,
            compliant: 0,
            pending: 0,
            failed: 0,
            unsupported: 0,
            conflicts: 0,
            drift: 0,
            changed_at: now,
            settled_at: None,
            revision: 0,
        },
    )?;
    supervise::tell(tx, one.id)
}

// --- what waits

async fn all_held(policies: &Policies) -> Result<Vec<Device>, LookError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let from = after;
        let page = policies.shared().store.look_up(move |r| policies::held(r, from, 500)).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.enrolment);
        all.extend(page);
    }
}

fn digest(takes: &BTreeMap<EnrolmentId, [u8; 32]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"postern-policy-change-1");
    for (id, document) in takes {
        hash.update(id.0.as_bytes());
        hash.update(document);
    }
    hash.finalize().into()
}

struct Asked {
    digest: [u8; 32],
    devices: usize,
    managed: usize,
    settings: usize,
}

/// Asks for somebody to agree, once for the same change.
fn ask(tx: &mut Tx, asked: &Asked) -> Result<(), StoreError> {
    if policies::hold(tx)?.is_some_and(|hold| hold.digest == asked.digest) {
        return Ok(());
    }
    gone(tx)?;
    let (id, now) = (tx.fresh_id(), tx.now());
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let reason = format!(
        "a change of policy would alter or remove settings on {} of {} devices",
        asked.devices, asked.managed
    );
    let what = json!({
        "hold": id.to_string(),
        "digest": data_encoding::HEXLOWER.encode(&asked.digest),
        "devices": asked.devices,
        "managed": asked.managed,
        "settings": asked.settings,
    });
    let content = Content::new(CHANGE, Vec::new(), json!({ "what": what }));
    let limits = safety::limits(tx)?;
    let approval = safety::wait_for(tx, &AuditActor::service(SERVICE), &content, &reason, &limits, 0, None)?;
    policies::put_hold(
        tx,
        Hold {
            id,
            digest: asked.digest,
            state: "waiting".to_owned(),
            approval,
            devices: number(asked.devices),
            managed: number(asked.managed),
            settings: number(asked.settings),
            made_at: now,
            ended_at: None,
        },
    )?;
    let text =
        format!("{reason}; they keep what they have until somebody agrees (`posternctl approval list`)");
    alarms::raise(tx, Severity::Warning, HELD, FLEET, &text)?;
    audit(tx, &AuditActor::service(SERVICE), "policy.held", FLEET.to_owned(), &what)
}

/// Another change, or none, takes the place of the one that waits: its request is taken back.
fn gone(tx: &mut Tx) -> Result<(), StoreError> {
    let Some(hold) = policies::hold(tx)? else { return Ok(()) };
    if let Some(approval) = hold.approval {
        let by = AuditActor::service(SERVICE);
        approvals::withdraw(tx, approval, &by, "the change of policy is another one now")?;
    }
    over(tx, "gone")
}

/// A change does not wait any longer.
fn over(tx: &mut Tx, state: &str) -> Result<(), StoreError> {
    let Some(hold) = policies::hold(tx)? else { return Ok(()) };
    let ended_at = (state != "agreed").then_some(tx.now());
    policies::put_hold(tx, Hold { state: state.to_owned(), ended_at, ..hold })?;
    alarms::clear(tx, HELD, FLEET, state)?;
    Ok(())
}

/// What was agreed to comes into force; what was not stops waiting.
pub(super) async fn settle(policies: &Policies) -> Result<(), LookError> {
    let shared = policies.shared();
    let (waiting, agreed) = shared.store.look_up(|r| Ok((policies::hold(r)?, policies::agreed(r)?))).await?;
    if waiting.is_some() {
        return Ok(());
    }
    let rows = all_held(policies).await?;
    if let Some(hold) = agreed {
        promote(policies, rows).await?;
        shared
            .store
            .write(move |tx| {
                let ended_at = Some(tx.now());
                policies::put_hold(tx, Hold { ended_at, ..hold.clone() })
            })
            .await?;
        return Ok(());
    }
    for some in rows.chunks(PAGE) {
        let ids: Vec<EnrolmentId> = some.iter().map(|row| row.enrolment).collect();
        let written = shared.store.write(move |tx| {
            for id in &ids {
                if let Some(row) = policies::find(tx, *id)? {
                    policies::put(tx, Device { waiting: None, ..row })?;
                }
            }
            Ok(())
        });
        written.await?;
    }
    Ok(())
}

/// What waited comes into force; gives on how many devices.
async fn promote(policies: &Policies, rows: Vec<Device>) -> Result<usize, LookError> {
    let shared = policies.shared();
    let mut count = 0;
    for some in rows.chunks(PAGE) {
        let ids: Vec<EnrolmentId> = some.iter().map(|row| row.enrolment).collect();
        let written = shared.store.write(move |tx| {
            let (epoch, now) = (policies::raise_epoch(tx)?, tx.now());
            let mut routes = Vec::new();
            for id in &ids {
                let Some(row) = policies::find(tx, *id)? else { continue };
                let Some(desired) = row.waiting else { continue };
                figure(tx, Device { desired, waiting: None, epoch, changed_at: now, ..row })?;
                routes.push(supervise::tell(tx, *id)?);
            }
            Ok((routes, epoch))
        });
        let (routes, epoch): (Vec<RouteId>, i64) = written.await?;
        count += routes.len();
        shared.policy.raise(epoch);
        supervise::tell_all(policies, routes);
    }
    Ok(count)
}

/// Lets a wide change of policy go out.
pub(super) struct Handler(pub(super) Policies);

impl KindHandler for Handler {
    fn kind(&self) -> &'static str {
        CHANGE
    }

    fn approved(&self, tx: &mut Tx, what: &Approved<'_>) -> Result<Result<After, String>, StoreError> {
        let text = |name: &str| what.what().get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let id = text("hold").parse::<Uuid>().ok();
        let hold = policies::hold(tx)?.filter(|hold| Some(hold.id) == id);
        let Some(hold) = hold else { return Ok(Err("another change took its place".to_owned())) };
        let (mut takes, mut after) = (BTreeMap::new(), None);
        loop {
            let page = policies::held(tx, after, 500)?;
            let Some(last) = page.last() else { break };
            after = Some(last.enrolment);
            takes.extend(page.iter().filter_map(|row| Some((row.enrolment, row.waiting?))));
        }
        if digest(&takes) != hold.digest {
            return Ok(Err("what waits is not what was asked for".to_owned()));
        }
        over(tx, "agreed")?;
        let policies = self.0.clone();
        Ok(Ok(Box::new(move |_| policies.inner.poke.notify_one())))
    }

    fn dropped(&self, tx: &mut Tx, approval: &Approval, state: State) -> Result<(), StoreError> {
        let waits = policies::hold(tx)?.is_some_and(|hold| hold.approval == Some(approval.id));
        match (waits, state) {
            (true, State::Rejected) => over(tx, "refused"),
            (true, _) => over(tx, "gone"),
            (false, _) => Ok(()),
        }
    }
}
