//! Changes of what is desired, put in force; one that takes much away waits until somebody agrees.
//!
//! Promise: until then the last desired state stays, and the devices that would lose something are told nothing. What is agreed to
//! is that very change: the digest over devices and what each is to be. Another change takes the place of one that waits. What
//! only comes on top goes out at once.

mod ask;
mod settle;
mod view;

use std::collections::BTreeSet;

use postern_engine::policy::desired::{book::Book, change};
use postern_store::{
    StoreError, Tx, movers,
    policies::{self, Device},
};
use postern_wire::{route::RouteId, terms::EnrolmentId};
use uuid::Uuid;

use self::ask::{Asked, Takes, Way};
pub use self::view::{HeldChange, HeldSetting};
pub(super) use self::{ask::Handler, settle::settle};
use super::{
    Policies, SERVICE, apply,
    inputs::{Change, PolicySettings},
    supervise::{self, Batch, Computed, LookError, Looked, Next},
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

/// How long somebody's change counts that is not in force because a device's policy cannot be computed.
const STALE_MS: i64 = 7 * 24 * 3_600_000;

/// Decides what of a batch goes into force, and writes it.
pub(super) async fn judge(
    policies: &Policies,
    batch: Batch,
    settings: PolicySettings,
) -> Result<Looked, LookError> {
    let shared = policies.shared();
    let now = shared.now();
    let mut looked = Looked { computed: batch.computed.len(), ..Looked::default() };
    let is_old = batch.is_old;
    let stays = move |one: &Computed| is_old && one.result.is_err();
    let asked: BTreeSet<EnrolmentId> =
        batch.computed.iter().filter(|one| !stays(one)).map(|one| one.id).collect();
    let waits = all_held(policies).await?;
    // Who would lose something: of this batch, and of those that wait already and were not computed again.
    let mut takes: Takes = waits
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
            settings_taken += next.difference.taken();
        }
    }
    let since = now.plus(-WINDOW_MS);
    let lately = shared.store.look_up(move |r| policies::lost_since(r, since)).await?;
    let concerned = takes.keys().chain(&lately).collect::<BTreeSet<_>>().len();
    let is_new = takes.keys().any(|id| !lately.contains(id));
    let held = is_new && change::is_held(concerned, batch.managed, settings.hold_share);
    let digest = ask::digest(&takes);
    let next = held.then_some(digest);
    let way = shared.store.write(move |tx| ask::clear(tx, next)).await?;
    if way == Way::Agreed {
        // It was computed against what that change replaces.
        policies.changed(Change::Documents);
        return Ok(Looked::default());
    }
    let refused = way == Way::Refused;
    if held {
        looked.held = takes.len();
    }
    let documents = batch.documents;
    shared.store.write(move |tx| policies::keep(tx, &documents)).await?;
    let put = |one: Computed| -> Put {
        let waiting = match held && takes.contains_key(&one.id) {
            _ if stays(&one) => Waiting::Held,
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
    if held {
        if !refused {
            // Only now: whoever agrees, agrees to all that waits.
            let (devices, managed) = (takes.len(), batch.managed);
            let asked = Asked { digest, devices, managed, settings: settings_taken };
            if !shared.store.write(move |tx| ask::ask(tx, &asked)).await? {
                policies.changed(Change::Documents);
            }
        }
        return Ok(looked);
    }
    // Those that waited and were not computed again go with the rest.
    let rest: Vec<Device> =
        waits.into_iter().filter(|row| !is_old && !asked.contains(&row.enrolment)).collect();
    looked.changed += settle::promote(policies, rest, true).await?;
    if batch.is_whole {
        settled(policies, batch.movers, looked.stale > 0).await?;
    }
    Ok(looked)
}

/// All of policy is in force: who changed it before it was computed has no part in what comes. Where some device could not be
/// computed that counts for a while longer.
async fn settled(policies: &Policies, before: Vec<movers::Mover>, is_stale: bool) -> Result<(), LookError> {
    let old = policies.shared().now().plus(-STALE_MS);
    let over = before.into_iter().filter(|mover| !is_stale || mover.at < old);
    let ids: Vec<Uuid> = over.map(|mover| mover.id).collect();
    if !ids.is_empty() {
        policies.shared().store.write(move |tx| movers::forget(tx, &ids)).await?;
    }
    Ok(())
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
        (Err(why), Waiting::Held) => row.is_some_and(|row| row.stale.as_deref() != Some(why)),
        (Err(why), _) => row.is_some_and(|row| row.stale.as_deref() != Some(why) || row.waiting.is_some()),
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
            // What waited was computed before: nobody is asked to agree to it any longer.
            let waiting = row.waiting.filter(|_| put.waiting == Waiting::Held);
            policies::put(tx, Device { stale: Some(why.clone()), waiting, ..row })?;
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
    let lost_at = if next.difference.takes() { Some(now) } else { row.lost_at };
    let (id, row) =
        (row.enrolment, Device { desired: next.document, epoch, changed_at: now, lost_at, ..row });
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
            lost_at: None,
        },
    )?;
    supervise::tell(tx, one.id)
}

/// The rows of all that waits.
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
