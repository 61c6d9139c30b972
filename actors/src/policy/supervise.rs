//! The supervisor: after a change only the devices that it can concern get another desired state, in bounded batches.
//!
//! Promise: what cannot be computed takes nothing away; what takes much away waits for somebody (`hold`). A device whose desired
//! state is the same is not written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use postern_engine::policy::{
    desired::{Desired, Source, change::Change as Difference},
    gpo::Half,
    rsop::{Rsop, Target, World, fleet::Fleet},
};
use postern_store::{
    ReadError, StoreError, Tx, WriteError, enrolments,
    movers::{self, Mover},
    policies::{self, Device},
};
use postern_wire::{
    route::RouteId,
    terms::{EnrolmentId, UtcMillis},
};

use super::{
    Policies, apply,
    compute::{Gathered, Stale},
    hold,
    inputs::{Change, PolicySettings, Who, WorldNow},
    wake,
};

/// How often what is due is looked at where nothing changes.
const LOOK: Duration = Duration::from_secs(5);
/// Looks between two searches for devices without a row, and for desired states that nobody names.
const SEARCH: u32 = 12;
/// Devices that are read, or written, together.
const PAGE: i64 = 200;
/// Devices that are asked for by name at once.
const TOGETHER: usize = 200;
/// Looks between two computations of everything, because of facts that changed: an hour.
const REFRESH: u32 = 720;
/// Desired states that nobody names go after so long.
const KEPT_MS: i64 = 24 * 3_600_000;

/// Persons and tokens that changed policy, forgotten together.
const MOVERS: i64 = 1_000;

/// What waits to be computed.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Everything, because directory, documents or settings changed.
    pub(super) all: bool,
    /// These.
    pub(super) devices: BTreeSet<EnrolmentId>,
}

impl Pending {
    pub(super) fn add(&mut self, change: Change) {
        match change {
            Change::World | Change::Documents => self.all = true,
            Change::Devices(ids) => self.devices.extend(ids),
        }
    }
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The database did not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database did not take it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The computation ended.
    #[error("the computation ended")]
    Ended,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Devices that were computed.
    pub computed: usize,
    /// Devices that have another desired state now.
    pub changed: usize,
    /// Devices whose change waits for somebody.
    pub held: usize,
    /// Devices that keep their last good state because another cannot be computed.
    pub stale: usize,
}

/// Runs until it is dropped.
pub(super) async fn run(policies: Policies) {
    let mut looks = 0_u32;
    loop {
        if looks.is_multiple_of(REFRESH) {
            policies.inner.pending.lock().unwrap_or_else(PoisonError::into_inner).all = true;
        }
        match look(&policies, looks.is_multiple_of(SEARCH)).await {
            Ok(looked) if looked != Looked::default() => {
                tracing::info!(
                    computed = looked.computed,
                    changed = looked.changed,
                    held = looked.held,
                    stale = looked.stale,
                    "policy was computed"
                );
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the policy supervisor put something off");
                policies.inner.pending.lock().unwrap_or_else(PoisonError::into_inner).all = true;
                tokio::time::sleep(LOOK).await;
            }
        }
        looks = looks.wrapping_add(1);
        tokio::select! {
            () = policies.inner.poke.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Looks once at everything.
pub(super) async fn look(policies: &Policies, search: bool) -> Result<Looked, LookError> {
    let shared = policies.shared();
    let inputs = policies.inner.inputs.clone();
    let settings = shared.store.look_up(move |r| inputs.settings(r)).await?;
    if policies.inner.inputs.is_empty() {
        return Ok(Looked::default());
    }
    hold::settle(policies).await?;
    if search {
        let unknown = shared.store.look_up(|r| policies::unknown(r, PAGE)).await?;
        if !unknown.is_empty() {
            policies.changed(Change::Devices(unknown));
        }
        let before = UtcMillis(shared.now().0 - KEPT_MS);
        shared.store.write(move |tx| policies::sweep(tx, before)).await?;
    }
    verify(policies).await?;
    // Before what is pending: whoever changes something is noted first, and tells of it then.
    let movers = shared.store.look_up(|r| movers::list(r, MOVERS)).await?;
    let is_old = policies.inner.inputs.is_old().is_some();
    if policies.inner.old.swap(is_old, Ordering::Relaxed) && !is_old {
        // What was kept back while the directory was from before the start is told now, even where that was the same.
        policies.changed(Change::World);
    }
    let pending = std::mem::take(&mut *policies.inner.pending.lock().unwrap_or_else(PoisonError::into_inner));
    let looked = recompute(policies, pending, movers, settings).await?;
    let epoch = shared.store.look_up(policies::epoch).await?;
    shared.policy.set(epoch, settings.verify_ms);
    wake::ask(policies, settings.wakes_per_minute).await?;
    Ok(looked)
}

/// Devices whose settings are to be read back compare at their next session.
async fn verify(policies: &Policies) -> Result<(), LookError> {
    let shared = policies.shared();
    if !policies.inner.devices.clock_is_steady() {
        return Ok(());
    }
    loop {
        let now = shared.now();
        let due = shared.store.look_up(move |r| policies::due(r, now, PAGE)).await?;
        let full = i64::try_from(due.len()) == Ok(PAGE);
        if due.is_empty() {
            return Ok(());
        }
        let routes = shared.store.write(move |tx| due.iter().map(|id| tell(tx, *id)).collect()).await?;
        tell_all(policies, routes);
        if !full {
            return Ok(());
        }
    }
}

/// A device has to compare at its next session; gives its route.
pub(super) fn tell(tx: &mut Tx, id: EnrolmentId) -> Result<RouteId, StoreError> {
    enrolments::set_policy_epoch(tx, id, 0)?;
    Ok(RouteId::from_bytes(enrolments::get(tx, id)?.route))
}

pub(super) fn tell_all(policies: &Policies, routes: Vec<RouteId>) {
    for route in routes {
        policies.inner.devices.changed(route);
    }
}

/// What came of one device.
pub(super) struct Computed {
    pub(super) id: EnrolmentId,
    pub(super) generation: i64,
    pub(super) row: Option<Device>,
    pub(super) result: Result<Next, Stale>,
}

/// Another desired state.
pub(super) struct Next {
    pub(super) document: [u8; 32],
    /// What the device is to be is the same, only who says so is not.
    pub(super) same: bool,
    pub(super) difference: Difference,
}

/// All that one look computed.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) managed: usize,
    pub(super) computed: Vec<Computed>,
    /// Texts of new desired states, by hash.
    pub(super) documents: BTreeMap<[u8; 32], String>,
    /// Those that could not be computed wait for a directory that was read since the start: what they wait for otherwise stays.
    pub(super) is_old: bool,
    /// All devices were computed.
    pub(super) is_whole: bool,
    /// Who changed something before that.
    pub(super) movers: Vec<Mover>,
}

async fn recompute(
    policies: &Policies,
    pending: Pending,
    movers: Vec<Mover>,
    settings: PolicySettings,
) -> Result<Looked, LookError> {
    if !pending.all && pending.devices.is_empty() {
        return Ok(Looked::default());
    }
    let shared = policies.shared();
    let inputs = policies.inner.inputs.clone();
    let (old, world) = (inputs.is_old(), inputs.world());
    let inputs = shared.store.look_up(move |r| inputs.of_now(r)).await?;
    let managed = shared.store.look_up(policies::count_subjects).await?;
    let mut batch = Batch {
        managed: usize::try_from(managed).unwrap_or(0),
        is_old: old.is_some(),
        is_whole: pending.all,
        movers,
        ..Batch::default()
    };
    // Some devices are asked for by name; all of them, page by page.
    let mut named = (!pending.all).then(|| pending.devices.into_iter().collect::<Vec<_>>());
    let mut after = None;
    let fleet = Arc::clone(&policies.inner.fleet);
    let concerned = tokio::task::spawn_blocking({
        let world = world.clone();
        move || match world {
            WorldNow::Good(world) => {
                fleet.lock().unwrap_or_else(PoisonError::into_inner).set_world(World::clone(&world))
            }
            WorldNow::Absent | WorldNow::Unread(_) => BTreeSet::new(),
        }
    });
    drop(concerned.await.map_err(|_| LookError::Ended)?);
    loop {
        let (from, inputs) = (after, inputs.clone());
        let asked: Option<Vec<EnrolmentId>> =
            named.as_mut().map(|left| left.drain(..left.len().min(TOGETHER)).collect());
        let page = shared.store.look_up(move |r| {
            let page = match &asked {
                Some(ids) => policies::subjects_of(r, ids)?,
                None => policies::subjects(r, from, PAGE)?,
            };
            let gathered: Vec<Gathered> =
                page.iter().map(|id| Gathered::read(r, &inputs, *id)).collect::<Result<_, _>>()?;
            let mut known: BTreeMap<[u8; 32], Arc<Desired>> = BTreeMap::new();
            for row in gathered.iter().filter_map(|one| one.row.as_ref()) {
                if !known.contains_key(&row.desired)
                    && let Some(desired) = apply::document(r, row.desired)?
                {
                    known.insert(row.desired, Arc::new(desired));
                }
            }
            Ok((page.last().copied(), page.len(), gathered, known))
        });
        let (last, count, gathered, known) = page.await?;
        let (fleet, world, old) = (Arc::clone(&policies.inner.fleet), world.clone(), old.clone());
        let computing = tokio::task::spawn_blocking(move || {
            let mut fleet = fleet.lock().unwrap_or_else(PoisonError::into_inner);
            let mut texts = BTreeMap::new();
            let computed: Vec<Computed> = gathered
                .into_iter()
                .map(|one| compute(&mut fleet, &world, old.as_ref(), one, &known, &mut texts))
                .collect();
            (computed, texts)
        });
        let (computed, texts) = computing.await.map_err(|_| LookError::Ended)?;
        batch.computed.extend(computed);
        batch.documents.extend(texts);
        after = last.or(after);
        let is_last = match &named {
            Some(left) => left.is_empty(),
            None => i64::try_from(count) != Ok(PAGE),
        };
        if is_last {
            break;
        }
    }
    hold::judge(policies, batch, settings).await
}

fn compute(
    fleet: &mut Fleet<EnrolmentId>,
    world: &WorldNow,
    old: Option<&Stale>,
    one: Gathered,
    known: &BTreeMap<[u8; 32], Arc<Desired>>,
    texts: &mut BTreeMap<[u8; 32], String>,
) -> Computed {
    let (id, generation) = (one.enrolment.id, one.enrolment.generation);
    let before = one.row.as_ref().and_then(|row| known.get(&row.desired));
    let desired = match old.filter(|_| one.row.is_some()) {
        Some(why) => Err(why.clone()),
        None => of_world(fleet, world, &one, before.map(|before| &**before))
            .and_then(|rsop| one.desired(rsop.as_ref())),
    };
    let result = desired.map(|desired| {
        let document = desired.document_hash().0;
        let nothing = Desired::default();
        let difference = Difference::between(before.map_or(&nothing, |before| before), &desired);
        let same = before.is_some_and(|before| before.hash == desired.hash);
        texts.entry(document).or_insert_with(|| serde_json::to_string(&desired).unwrap_or_default());
        Next { document, same, difference }
    });
    // Its book is the session's: those of a whole fleet are not kept until the end of a look.
    let row = one.row.map(|row| Device { book: String::new(), ..row });
    Computed { id, generation, row, result }
}

/// The directory's part for a device.
type OfWorld = Option<Result<Arc<Rsop>, postern_engine::policy::rsop::Error>>;

fn of_world(
    fleet: &mut Fleet<EnrolmentId>,
    world: &WorldNow,
    one: &Gathered,
    before: Option<&Desired>,
) -> Result<OfWorld, Stale> {
    let id = one.enrolment.id;
    if let Who::Unknown(why) = &one.who
        && one.row.is_some()
    {
        return Err(why.clone());
    }
    match (world, one.target()) {
        (WorldNow::Unread(why), _) if one.row.is_some() => Err(why.clone()),
        (WorldNow::Unread(why), Some(_)) => Err(why.clone()),
        // One of its accounts, or both, is gone, or the directory was emptied: that takes nothing away.
        (WorldNow::Good(_), target)
            if before.is_some_and(|before| has_lost_an_account(before, target.as_ref())) =>
        {
            Err("the directory holds no account of it any longer".to_owned())
        }
        (WorldNow::Good(_), Some(target)) => {
            fleet.set_target(id, Arc::new(target));
            Ok(fleet.result(&id).cloned())
        }
        (WorldNow::Absent | WorldNow::Unread(_), _) | (WorldNow::Good(_), None) => {
            fleet.remove(&id);
            Ok(None)
        }
    }
}

/// Whether a GPO's settings of a half were wanted, and the account of that half is not there now.
fn has_lost_an_account(before: &Desired, target: Option<&Target>) -> bool {
    let of_half = |half: Half| {
        before.settings.iter().any(|setting| match &setting.source {
            Source::Gpo { setting, .. } => setting.starts_with(half.word()),
            Source::Document { .. } => false,
        })
    };
    let (computer, user) =
        target.map_or((false, false), |target| (target.computer.is_some(), target.user.is_some()));
    (!computer && of_half(Half::Computer)) || (!user && of_half(Half::User))
}
