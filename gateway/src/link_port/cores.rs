//! Which cores are linked, and which of them is used.
//!
//! A core is used when it watches (its lines come in time), does not drain, has an epoch, and this gateway is at its
//! versions: its blocked list and routes, and its settings or, when those were rejected, the core knows of that. Of
//! several the one with the highest epoch is used. So a message never crosses under an older blocked list than the
//! core's (fail closed).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use postern_wire::{
    link::{Ack, AckVerdict, BeatEcho, ListKind, SICK_AFTER_BEATS, Trust, Welcome},
    terms::UtcMillis,
};
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{lists::ListSet, settings, shared::Shared, trust};

/// So many cores are remembered; more than any installation has.
const MOST: usize = 64;
/// However short the heartbeat: a core that makes a long list is not sick.
const SICK_AFTER_LEAST_MS: u64 = 2_000;

#[derive(Default)]
pub(crate) struct Cores {
    known: Mutex<HashMap<Uuid, Arc<Core>>>,
    active: ArcSwapOption<Core>,
}

/// One run of one core.
pub(crate) struct Core {
    pub(crate) id: Uuid,
    epoch: AtomicU64,
    heartbeat_ms: u64,
    /// Request links that carry a message.
    pub(crate) busy: AtomicU32,
    /// All links of it.
    pub(crate) links: AtomicUsize,
    /// Request links of it.
    pub(crate) request_links: AtomicUsize,
    acks: Mutex<Vec<Ack>>,
    /// There is something to report.
    pub(crate) to_report: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watches: usize,
    draining: bool,
    last_line_ms: u64,
    /// The core's clock as its last beat said it, and when that came.
    last_beat: Option<(UtcMillis, u64)>,
    target: Option<Target>,
    lists: Arc<ListSet>,
    document: Option<Document>,
    trust: Option<Trust>,
    /// The version of the trust that was judged last.
    trust_judged: u64,
    /// A settings version that was rejected, and the core knows.
    rejected: Option<u64>,
}

/// The versions that a core holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) settings: u64,
    pub(crate) blocked: u64,
    pub(crate) routes: u64,
    pub(crate) trust: u64,
}

/// A settings document that waits to be judged.
pub(crate) struct Document {
    pub(crate) version: u64,
    pub(crate) document: Value,
    pub(crate) sha256: String,
}

impl Cores {
    /// The core that messages go to now.
    pub(crate) fn active(&self) -> Option<Arc<Core>> {
        self.active.load_full()
    }

    /// The core that has just said this.
    pub(crate) fn meet(&self, welcome: &Welcome, lists: &Arc<ListSet>) -> Option<Arc<Core>> {
        let mut known = lock(&self.known);
        if let Some(core) = known.get(&welcome.core) {
            return Some(Arc::clone(core));
        }
        known.retain(|_, core| core.links.load(Ordering::Relaxed) > 0);
        if known.len() >= MOST {
            return None;
        }
        let core = Arc::new(Core {
            id: welcome.core,
            epoch: AtomicU64::new(welcome.epoch),
            heartbeat_ms: welcome.heartbeat_ms.clamp(50, 60_000),
            busy: AtomicU32::new(0),
            links: AtomicUsize::new(0),
            request_links: AtomicUsize::new(0),
            acks: Mutex::default(),
            to_report: Notify::new(),
            state: Mutex::new(State { lists: Arc::clone(lists), ..State::default() }),
        });
        known.insert(welcome.core, Arc::clone(&core));
        Some(core)
    }

    /// When any core that has an epoch was last heard of, monotonic milliseconds.
    pub(crate) fn last_heard_ms(&self) -> Option<u64> {
        let known = lock(&self.known);
        let heard = known.values().filter(|core| core.epoch() > 0 && core.links.load(Ordering::Relaxed) > 0);
        heard.filter_map(|core| core.last_heard_ms()).max()
    }

    fn candidate(&self, now_ms: u64) -> Option<Arc<Core>> {
        let known = lock(&self.known);
        let alive = known.values().filter(|core| core.is_alive(now_ms));
        alive.max_by_key(|core| (core.epoch(), core.id)).cloned()
    }
}

impl Core {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    pub(crate) fn heartbeat_ms(&self) -> u64 {
        self.heartbeat_ms
    }

    /// A watch without a line for so long is sick.
    pub(crate) fn sick_after_ms(&self) -> u64 {
        (self.heartbeat_ms * SICK_AFTER_BEATS).max(SICK_AFTER_LEAST_MS)
    }

    pub(crate) fn lists(&self) -> Arc<ListSet> {
        Arc::clone(&lock(&self.state).lists)
    }

    pub(crate) fn is_draining(&self) -> bool {
        lock(&self.state).draining
    }

    pub(crate) fn watch_begins(&self, now_ms: u64) {
        let mut state = lock(&self.state);
        state.watches += 1;
        state.last_line_ms = now_ms;
    }

    pub(crate) fn watch_ends(&self) {
        lock(&self.state).watches -= 1;
    }

    fn last_heard_ms(&self) -> Option<u64> {
        let state = lock(&self.state);
        state.target.is_some().then_some(state.last_line_ms)
    }

    /// The core's clock, as a beat said it just now.
    pub(crate) fn beat_came(&self, now: UtcMillis, now_ms: u64) {
        lock(&self.state).last_beat = Some((now, now_ms));
    }

    /// What the last beat said, and how long ago.
    pub(crate) fn last_beat(&self, now_ms: u64) -> Option<BeatEcho> {
        let beat = lock(&self.state).last_beat;
        beat.map(|(now, at_ms)| BeatEcho { now, age_ms: now_ms.saturating_sub(at_ms) })
    }

    pub(crate) fn line_came(&self, now_ms: u64) {
        lock(&self.state).last_line_ms = now_ms;
    }

    /// The core's `versions`: lists of another lineage than those at hand start empty.
    pub(crate) fn set_target(&self, target: Target, lineage: Uuid) {
        let mut state = lock(&self.state);
        state.target = Some(target);
        if state.lists.lineage != lineage {
            state.lists = Arc::new(ListSet::new(lineage));
        }
    }

    /// One version of the target has risen.
    pub(crate) fn raise_target(&self, kind: ListKind, version: u64) {
        if let Some(target) = &mut lock(&self.state).target {
            match kind {
                ListKind::Settings => target.settings = version,
                ListKind::Blocked => target.blocked = version,
                ListKind::Routes => target.routes = version,
                ListKind::Trust => target.trust = version,
            }
        }
    }

    pub(crate) fn announce_settings(&self, document: Document) {
        self.raise_target(ListKind::Settings, document.version);
        lock(&self.state).document = Some(document);
    }

    pub(crate) fn announce_trust(&self, trust: Trust) {
        self.raise_target(ListKind::Trust, trust.version);
        lock(&self.state).trust = Some(trust);
    }

    pub(crate) fn drain(&self) {
        lock(&self.state).draining = true;
    }

    /// Puts an acknowledgement among what is to be reported.
    pub(crate) fn acknowledge(&self, ack: Ack) {
        lock(&self.acks).push(ack);
        self.to_report.notify_one();
    }

    pub(crate) fn take_acks(&self) -> Vec<Ack> {
        std::mem::take(&mut lock(&self.acks))
    }

    pub(crate) fn give_back_acks(&self, acks: Vec<Ack>) {
        lock(&self.acks).splice(0..0, acks);
    }

    /// The core has taken these: it knows now which settings it may count as in force.
    pub(crate) fn acks_taken(&self, acks: &[Ack]) {
        let rejected = acks.iter().rev().find_map(|ack| match ack.verdict {
            AckVerdict::Rejected { .. } if ack.kind == ListKind::Settings => Some(ack.version),
            _ => None,
        });
        if rejected.is_some() {
            lock(&self.state).rejected = rejected;
        }
    }

    fn is_alive(&self, now_ms: u64) -> bool {
        let state = lock(&self.state);
        let fresh = now_ms.saturating_sub(state.last_line_ms) <= self.sick_after_ms();
        self.epoch() > 0 && !state.draining && fresh && state.target.is_some()
    }

    fn is_reached(&self, settings_in_force: u64) -> bool {
        let state = lock(&self.state);
        state.target.is_some_and(|target| {
            let settings = target.settings == settings_in_force
                || target.settings == 0
                || state.rejected == Some(target.settings);
            let trust = target.trust == 0 || target.trust == state.trust_judged;
            settings && trust && state.lists.versions() == (target.blocked, target.routes)
        })
    }
}

/// Looks which core is to be used, judges its settings if they wait, and puts its lists in force.
pub(crate) fn reconsider(shared: &Shared) {
    let candidate = shared.cores.candidate(shared.uptime_ms());
    if let Some(core) = &candidate {
        let document = lock(&core.state).document.take();
        if let Some(document) = document {
            judge_settings(shared, core, &document);
        }
        let trust = lock(&core.state).trust.take();
        if let Some(trust) = trust {
            judge_trust(shared, core, &trust);
        }
    }
    let reached = candidate.filter(|core| core.is_reached(shared.settings.now().version));
    let before = shared.cores.active();
    if reached.as_ref().map(|core| core.id) == before.as_ref().map(|core| core.id) {
        return;
    }
    match &reached {
        Some(core) => {
            tracing::info!(core = %core.id, epoch = core.epoch(), "this core is used");
            put_in_force(shared, core.lists());
        }
        None => tracing::warn!("no core is used: devices are told to come again"),
    }
    shared.cores.active.store(reached);
    shared.pool.look_again();
}

fn judge_settings(shared: &Shared, core: &Core, document: &Document) {
    let version = document.version;
    let verdict = settings::judge(shared, document);
    match &verdict {
        AckVerdict::Applied => {
            tracing::info!(version, "settings applied, on trial");
            shared.pool.keep_want_within_limits(shared);
        }
        AckVerdict::Rejected { reason, .. } => tracing::warn!(version, reason, "settings rejected"),
    }
    core.acknowledge(Ack { kind: ListKind::Settings, version, verdict });
}

fn judge_trust(shared: &Shared, core: &Core, trust: &Trust) {
    let version = trust.version;
    let verdict = match trust::apply(shared, trust) {
        Ok(()) => {
            shared.trouble("trust", None);
            AckVerdict::Applied
        }
        Err(reason) => {
            shared.trouble("trust", Some(format!("version {version} was rejected: {reason}")));
            AckVerdict::Rejected { reason, in_force: shared.trust.version() }
        }
    };
    lock(&core.state).trust_judged = version;
    core.acknowledge(Ack { kind: ListKind::Trust, version, verdict });
}

/// Makes a core's lists those of the gateway, and writes them.
fn put_in_force(shared: &Shared, lists: Arc<ListSet>) {
    if Arc::ptr_eq(&shared.lists.load(), &lists) {
        return;
    }
    shared.lists.store(lists);
    write_blocked(shared);
    shared.routes_to_write.store(true, Ordering::Relaxed);
}

/// Writes the blocked list in force.
pub(crate) fn write_blocked(shared: &Shared) {
    let written = shared.list_files.store_blocked(&shared.lists.load());
    shared.trouble("blocked list on disk", written.err().map(|error| error.to_string()));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
