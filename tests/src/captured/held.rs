//! What a captured gateway holds in memory.

use std::{
    collections::{HashMap, HashSet},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use postern_wire::{
    link::{Ack, AckVerdict, Admission, BlockedDelta, BlockedSubject, Heartbeat, ListKind, RoutesDelta},
    route::RouteHash,
};

use super::{Evil, Exchange, link::LinkStream};

/// How long a message waits for a link.
const WAIT: Duration = Duration::from_secs(10);

/// Shared by all its threads.
#[derive(Default)]
pub(super) struct Held {
    /// The gateway's name.
    pub(super) name: String,
    evil: Mutex<Evil>,
    seen: Mutex<Vec<Exchange>>,
    links: Mutex<Vec<LinkStream>>,
    freed: Condvar,
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    watched: bool,
    routes: HashSet<RouteHash>,
    blocked: HashMap<BlockedSubject, Admission>,
    /// In force here.
    versions: Versions,
    /// As the core told last.
    told: Versions,
    acks: Vec<Ack>,
}

#[derive(Clone, Copy, Default)]
struct Versions {
    settings: u64,
    blocked: u64,
    routes: u64,
}

impl Held {
    pub(super) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn evil(&self) -> Evil {
        lock(&self.evil).clone()
    }

    pub(super) fn be(&self, evil: Evil) {
        *lock(&self.evil) = evil;
    }

    pub(super) fn seen(&self) -> Vec<Exchange> {
        lock(&self.seen).clone()
    }

    pub(super) fn see(&self, exchange: Exchange) {
        lock(&self.seen).push(exchange);
    }

    // === links ===

    pub(super) fn put_link(&self, link: LinkStream) {
        lock(&self.links).push(link);
        self.freed.notify_one();
    }

    /// A request link; nothing where none came in time.
    pub(super) fn take_link(&self) -> Option<LinkStream> {
        let none = |links: &mut Vec<LinkStream>| links.is_empty();
        let waited = self.freed.wait_timeout_while(lock(&self.links), WAIT, none);
        waited.unwrap_or_else(PoisonError::into_inner).0.pop()
    }

    pub(super) fn is_ready(&self) -> bool {
        lock(&self.lists).watched && !lock(&self.links).is_empty()
    }

    // === lists ===

    pub(super) fn knows(&self, route: &RouteHash) -> bool {
        lock(&self.lists).routes.contains(route)
    }

    pub(super) fn verdict(&self, subject: &BlockedSubject) -> Admission {
        lock(&self.lists).blocked.get(subject).copied().unwrap_or(Admission::Admit)
    }

    pub(super) fn versions_told(&self, settings: u64, blocked: u64, routes: u64) {
        let mut lists = lock(&self.lists);
        *lists = Lists { watched: true, told: Versions { settings, blocked, routes }, ..Lists::default() };
    }

    pub(super) fn settings_told(&self, version: u64) {
        let evil = self.evil();
        let mut lists = lock(&self.lists);
        (lists.told.settings, lists.versions.settings) = (version, version);
        lists.acknowledge(ListKind::Settings, version, &evil);
    }

    pub(super) fn routes_told(&self, delta: RoutesDelta) {
        let evil = self.evil();
        let mut lists = lock(&self.lists);
        if delta.full {
            lists.routes.clear();
        }
        lists.routes.extend(delta.add);
        for gone in &delta.remove {
            lists.routes.remove(gone);
        }
        if evil.withhold_blocked {
            lists.routes.extend(delta.remove);
        }
        if !delta.more {
            (lists.told.routes, lists.versions.routes) = (delta.version, delta.version);
            lists.acknowledge(ListKind::Routes, delta.version, &evil);
        }
    }

    pub(super) fn blocked_told(&self, delta: BlockedDelta) {
        let evil = self.evil();
        let mut lists = lock(&self.lists);
        if !delta.more {
            lists.told.blocked = delta.version;
        }
        if evil.withhold_blocked {
            if !delta.more && evil.lying_beat {
                lists.acknowledge(ListKind::Blocked, delta.version, &evil);
            }
            return;
        }
        if delta.full {
            lists.blocked.clear();
        }
        for gone in &delta.remove {
            lists.blocked.remove(gone);
        }
        lists.blocked.extend(delta.add.into_iter().map(|entry| (entry.subject, entry.verdict)));
        if !delta.more {
            lists.versions.blocked = delta.version;
            lists.acknowledge(ListKind::Blocked, delta.version, &evil);
        }
    }

    pub(super) fn take_acks(&self) -> Vec<Ack> {
        std::mem::take(&mut lock(&self.lists).acks)
    }

    pub(super) fn heartbeat(&self) -> Heartbeat {
        let lying = self.evil().lying_beat;
        let lists = lock(&self.lists);
        let versions = if lying { lists.told } else { lists.versions };
        Heartbeat {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings: versions.settings,
            blocked: versions.blocked,
            routes: versions.routes,
            ..Heartbeat::default()
        }
    }
}

impl Lists {
    fn acknowledge(&mut self, kind: ListKind, version: u64, evil: &Evil) {
        if !evil.no_acks {
            self.acks.push(Ack { kind, version, verdict: AckVerdict::Applied });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
