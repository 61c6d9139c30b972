//! What gateways get over their watch: settings for each, one blocked list and one set of live routes for all.
//!
//! Promise: a change that [`Lists`] has taken reaches every connected gateway, as a delta where the gateway's
//! version is in the log, else in full. The versions belong to a lineage, made anew with each [`Lists`], so a
//! version of another start is never mistaken for one of this.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use postern_wire::{
    link::{
        Ack, AckVerdict, Admission, BlockedDelta, BlockedEntry, BlockedSubject, ENTRIES_A_LINE, ListKind,
        RoutesDelta, Settings, Trust, WatchLine, WatchQuery,
    },
    route::RouteHash,
};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

/// So many changes are kept for deltas; a gateway that is further behind gets the list in full.
const LOG: usize = 16 * 1024;
/// So many lines for single gateways may wait for a slow watch; what is lost is asked for again.
const LINES: usize = 256;
/// So many wake-ups may wait for a slow watch before the oldest are lost (a device asks again by itself).
const WAKES: usize = 4 * 1024;

/// Settings and lists, by version. Shared by all watches; cheap to change.
pub struct Lists {
    held: Mutex<Held>,
    changed: watch::Sender<u64>,
    /// Told when a gateway has acknowledged a list.
    acknowledged: watch::Sender<()>,
    wakes: broadcast::Sender<Wake>,
    lines: broadcast::Sender<Addressed>,
}

/// A line for one gateway.
#[derive(Clone, Debug)]
pub(super) struct Addressed {
    pub(super) gateway: Arc<str>,
    pub(super) line: WatchLine,
}

/// A wake-up for the gateways: whichever holds the device passes it on.
#[derive(Clone, Debug)]
pub struct Wake {
    /// The listening device.
    pub route: RouteHash,
    /// Package 0, base64.
    pub package0: Arc<str>,
    /// SHA-256 of the device's certificate in lower-case hex, where it has one: only a listener that showed it is woken.
    pub certificate: Option<Arc<str>>,
}

struct Held {
    lineage: Uuid,
    settings: BTreeMap<String, Announced>,
    trust: Option<Trust>,
    blocked: Versioned<BlockedSubject, Admission>,
    routes: Versioned<RouteHash, ()>,
    /// The versions that each gateway last acknowledged: blocked list and routes.
    at: BTreeMap<String, ListsAt>,
    /// The trust's version that each gateway last took, or why it did not.
    trust_at: BTreeMap<String, Result<u64, String>>,
}

/// The versions of both lists that a gateway has; 0 before it has said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListsAt {
    /// The blocked list.
    pub blocked: u64,
    /// The known routes.
    pub routes: u64,
}

impl ListsAt {
    /// Whether both are at least at these versions.
    #[must_use]
    pub const fn has(self, wanted: Self) -> bool {
        self.blocked >= wanted.blocked && self.routes >= wanted.routes
    }
}

struct Announced {
    version: u64,
    line: WatchLine,
    in_force: Option<u64>,
}

impl Lists {
    /// Nothing blocked, no route known. `lineage` is a new random id at each start of the core.
    #[must_use]
    pub fn new(lineage: Uuid) -> Self {
        let held = Held {
            lineage,
            settings: BTreeMap::new(),
            trust: None,
            trust_at: BTreeMap::new(),
            blocked: Versioned::default(),
            routes: Versioned::default(),
            at: BTreeMap::new(),
        };
        Self {
            held: Mutex::new(held),
            changed: watch::Sender::new(0),
            acknowledged: watch::Sender::new(()),
            wakes: broadcast::Sender::new(WAKES),
            lines: broadcast::Sender::new(LINES),
        }
    }

    /// Makes `settings` what the gateway `gateway` is to have.
    ///
    /// # Errors
    /// When the document is outside its limits or is not JSON; nothing changes then.
    pub fn publish_settings(&self, gateway: &str, settings: &Settings) -> Result<(), String> {
        settings.check().map_err(|error| error.to_string())?;
        let line = WatchLine::settings(settings).map_err(|error| error.to_string())?;
        self.publish_settings_line(gateway, settings.version, line);
        Ok(())
    }

    /// Like [`Lists::publish_settings`] with a document as it is stored; the gateway judges it.
    pub fn publish_document(&self, gateway: &str, version: u64, document: serde_json::Value, sha256: String) {
        self.publish_settings_line(gateway, version, WatchLine::Settings { version, document, sha256 });
    }

    /// Makes no document what the gateway is to have: its defaults hold.
    pub fn withdraw_settings(&self, gateway: &str) {
        self.change(|held| held.settings.remove(gateway));
    }

    /// Sends a line to one gateway, if it watches now.
    pub fn send(&self, gateway: &str, line: WatchLine) {
        // No gateway watches: what the line would say is asked for again.
        let _ = self.lines.send(Addressed { gateway: gateway.into(), line });
    }

    /// Makes `trust` what every gateway is to trust.
    pub fn publish_trust(&self, trust: Trust) {
        self.change(|held| held.trust = Some(trust));
    }

    /// The version of the trust that `gateway` took last, or why it did not take it; `None`: it said nothing yet.
    #[must_use]
    pub fn trust_at(&self, gateway: &str) -> Option<Result<u64, String>> {
        self.lock().trust_at.get(gateway).cloned()
    }

    /// Replaces the whole blocked list. Returns its version.
    pub fn load_blocked(&self, entries: impl IntoIterator<Item = BlockedEntry>) -> u64 {
        let entries = entries.into_iter().map(|entry| (entry.subject, entry.verdict)).collect();
        self.change(|held| held.blocked.load(entries))
    }

    /// Blocks `add` and frees `remove`. Returns the list's version.
    pub fn change_blocked(&self, add: Vec<BlockedEntry>, remove: Vec<BlockedSubject>) -> u64 {
        let add = add.into_iter().map(|entry| (entry.subject, entry.verdict)).collect();
        self.change(|held| held.blocked.change(add, remove))
    }

    /// Replaces the whole set of live routes. Returns its version.
    pub fn load_routes(&self, routes: impl IntoIterator<Item = RouteHash>) -> u64 {
        let routes = routes.into_iter().map(|route| (route, ())).collect();
        self.change(|held| held.routes.load(routes))
    }

    /// Makes `add` live and `remove` unknown. Returns the set's version.
    pub fn change_routes(&self, add: Vec<RouteHash>, remove: Vec<RouteHash>) -> u64 {
        let add = add.into_iter().map(|route| (route, ())).collect();
        self.change(|held| held.routes.change(add, remove))
    }

    /// Sends a wake-up to every gateway that watches now.
    pub fn wake(&self, wake: Wake) {
        // No gateway watches: the device comes by its own schedule.
        let _ = self.wakes.send(wake);
    }

    /// The settings version that counts as in force at `gateway`: the last one it acknowledged, or the one that it
    /// kept when it rejected a newer.
    #[must_use]
    pub fn settings_in_force(&self, gateway: &str) -> Option<u64> {
        self.lock().settings.get(gateway).and_then(|announced| announced.in_force)
    }

    /// The versions now: blocked list and routes.
    #[must_use]
    pub fn versions(&self) -> (u64, u64) {
        let held = self.lock();
        (held.blocked.version, held.routes.version)
    }

    pub(super) fn acknowledged(&self, gateway: &str, ack: &Ack) {
        if ack.kind == ListKind::Trust {
            let taken = match &ack.verdict {
                AckVerdict::Applied => Ok(ack.version),
                AckVerdict::Rejected { reason, .. } => Err(reason.clone()),
            };
            self.lock().trust_at.insert(gateway.to_owned(), taken);
        }
        if ack.kind != ListKind::Settings {
            if ack.verdict == AckVerdict::Applied {
                let mut held = self.lock();
                let at = held.at.entry(gateway.to_owned()).or_default();
                match ack.kind {
                    ListKind::Blocked => at.blocked = ack.version,
                    ListKind::Routes => at.routes = ack.version,
                    ListKind::Settings | ListKind::Trust => {}
                }
                drop(held);
                self.acknowledged.send_replace(());
            }
            return;
        }
        if let Some(announced) = self.lock().settings.get_mut(gateway) {
            announced.in_force = Some(match ack.verdict {
                AckVerdict::Applied => ack.version,
                AckVerdict::Rejected { in_force, .. } => in_force,
            });
        }
    }

    /// Waits until each of these gateways has acknowledged the routes' version `version`, for `limit` at most: after
    /// it, a device that was just enrolled is not told 404. Whether they have.
    pub async fn routes_reached(&self, gateways: &[String], version: u64, limit: Duration) -> bool {
        self.acknowledged_by_all(gateways, ListsAt { blocked: 0, routes: version }, limit).await
    }

    /// Waits until each of these gateways has acknowledged both lists at these versions or newer ones, for `limit` at
    /// most. Whether they have. A gateway that is not among them because it is cut off serves nobody until it has them.
    pub async fn acknowledged_by_all(&self, gateways: &[String], wanted: ListsAt, limit: Duration) -> bool {
        let mut news = self.acknowledged.subscribe();
        let reached = news.wait_for(|()| {
            let held = self.lock();
            gateways.iter().all(|gateway| held.at.get(gateway).is_some_and(|at| at.has(wanted)))
        });
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// What a gateway has acknowledged since it began to watch.
    #[must_use]
    pub fn at(&self, gateway: &str) -> ListsAt {
        self.lock().at.get(gateway).copied().unwrap_or_default()
    }

    pub(super) fn subscribe(&self) -> Subscribed {
        (self.changed.subscribe(), self.wakes.subscribe(), self.lines.subscribe())
    }

    /// A gateway began to watch with these versions.
    pub(super) fn began_with(&self, gateway: &str, has: &WatchQuery) {
        let settings = has.settings;
        {
            let mut held = self.lock();
            let same = held.lineage == has.lineage;
            let at =
                if same { ListsAt { blocked: has.blocked, routes: has.routes } } else { ListsAt::default() };
            held.at.insert(gateway.to_owned(), at);
        }
        if let Some(announced) = self.lock().settings.get_mut(gateway) {
            announced.in_force = Some(settings);
        }
    }

    /// The `versions` line for `gateway`.
    pub(super) fn versions_line(&self, gateway: &str, epoch: u64) -> WatchLine {
        let held = self.lock();
        WatchLine::Versions {
            settings: held.settings.get(gateway).map_or(0, |announced| announced.version),
            blocked: held.blocked.version,
            routes: held.routes.version,
            lineage: held.lineage,
            epoch,
            trust: held.trust.as_ref().map_or(0, |trust| trust.version),
        }
    }

    /// The lines that bring `gateway` from `has` to now; `has` is set to that.
    pub(super) fn catch_up(
        &self,
        gateway: &str,
        has: &mut WatchQuery,
        trust: &mut Option<Trust>,
    ) -> Vec<WatchLine> {
        let held = self.lock();
        let mut lines = Vec::new();
        if held.trust != *trust {
            trust.clone_from(&held.trust);
            lines.extend(held.trust.clone().map(WatchLine::Trust));
        }
        if let Some(announced) = held.settings.get(gateway)
            && announced.version != has.settings
        {
            lines.push(announced.line.clone());
            has.settings = announced.version;
        }
        let same = held.lineage == has.lineage;
        if !same || held.blocked.version != has.blocked {
            lines.extend(blocked_lines(held.blocked.since(has.blocked, same), held.blocked.version));
            has.blocked = held.blocked.version;
        }
        if !same || held.routes.version != has.routes {
            lines.extend(routes_lines(held.routes.since(has.routes, same), held.routes.version));
            has.routes = held.routes.version;
        }
        has.lineage = held.lineage;
        lines
    }

    fn publish_settings_line(&self, gateway: &str, version: u64, line: WatchLine) {
        self.change(|held| {
            let in_force = held.settings.get(gateway).and_then(|announced| announced.in_force);
            held.settings.insert(gateway.to_owned(), Announced { version, line, in_force });
        });
    }

    fn change<T>(&self, with: impl FnOnce(&mut Held) -> T) -> T {
        let result = with(&mut self.lock());
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn blocked_lines(changes: Changes<BlockedSubject, Admission>, version: u64) -> Vec<WatchLine> {
    let parts = changes.into_parts();
    let last = parts.len() - 1;
    let line = |(index, (full, add, remove)): (usize, Part<BlockedSubject, Admission>)| {
        let add = add.into_iter().map(|(subject, verdict)| BlockedEntry { subject, verdict }).collect();
        WatchLine::Blocked(BlockedDelta { version, full, more: index != last, add, remove })
    };
    parts.into_iter().enumerate().map(line).collect()
}

fn routes_lines(changes: Changes<RouteHash, ()>, version: u64) -> Vec<WatchLine> {
    let parts = changes.into_parts();
    let last = parts.len() - 1;
    let line = |(index, (full, add, remove)): (usize, Part<RouteHash, ()>)| {
        let add = add.into_iter().map(|(route, ())| route).collect();
        WatchLine::Routes(RoutesDelta { version, full, more: index != last, add, remove })
    };
    parts.into_iter().enumerate().map(line).collect()
}

/// What a watch listens to: that something changed, wake-ups, lines for single gateways.
pub(super) type Subscribed =
    (watch::Receiver<u64>, broadcast::Receiver<Wake>, broadcast::Receiver<Addressed>);

// === a map with a log of its changes ===

struct Versioned<K, V> {
    version: u64,
    entries: HashMap<K, V>,
    log: VecDeque<(u64, K, Option<V>)>,
    /// Deltas from this version on are in the log.
    log_from: u64,
}

impl<K, V> Default for Versioned<K, V> {
    fn default() -> Self {
        Self { version: 1, entries: HashMap::new(), log: VecDeque::new(), log_from: 1 }
    }
}

struct Changes<K, V> {
    full: bool,
    add: Vec<(K, V)>,
    remove: Vec<K>,
}

/// One line's worth: in full or not, what is added, what is removed.
type Part<K, V> = (bool, Vec<(K, V)>, Vec<K>);

impl<K, V> Changes<K, V> {
    fn into_parts(self) -> Vec<Part<K, V>> {
        let mut parts: Vec<Part<K, V>> = Vec::new();
        let (mut add, mut remove) = (self.add.into_iter().peekable(), self.remove.into_iter().peekable());
        while parts.is_empty() || add.peek().is_some() || remove.peek().is_some() {
            parts.push((
                self.full && parts.is_empty(),
                add.by_ref().take(ENTRIES_A_LINE).collect(),
                remove.by_ref().take(ENTRIES_A_LINE).collect(),
            ));
        }
        parts
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Versioned<K, V> {
    fn load(&mut self, entries: HashMap<K, V>) -> u64 {
        self.entries = entries;
        self.version += 1;
        self.log.clear();
        self.log_from = self.version;
        self.version
    }

    fn change(&mut self, add: Vec<(K, V)>, remove: Vec<K>) -> u64 {
        self.version += 1;
        for key in remove {
            self.entries.remove(&key);
            self.log.push_back((self.version, key, None));
        }
        for (key, value) in add {
            self.entries.insert(key.clone(), value.clone());
            self.log.push_back((self.version, key, Some(value)));
        }
        while self.log.len() > LOG {
            if let Some((version, ..)) = self.log.pop_front() {
                self.log_from = version;
            }
        }
        self.version
    }

    /// What changed since `version`, as the last word on each key; in full when the log does not reach back.
    fn since(&self, version: u64, same_lineage: bool) -> Changes<K, V> {
        if !same_lineage || version < self.log_from || version > self.version {
            let add = self.entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            return Changes { full: true, add, remove: Vec::new() };
        }
        let mut last: HashMap<&K, &Option<V>> = HashMap::new();
        for (_, key, value) in self.log.iter().filter(|(at, ..)| *at > version) {
            last.insert(key, value);
        }
        let mut changes = Changes { full: false, add: Vec::new(), remove: Vec::new() };
        for (key, value) in last {
            match value {
                Some(value) => changes.add.push((key.clone(), value.clone())),
                None => changes.remove.push(key.clone()),
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(number: u32) -> RouteHash {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&number.to_be_bytes());
        RouteHash::from_bytes(octets)
    }

    fn routes_of(lines: &[WatchLine]) -> Vec<RoutesDelta> {
        let delta = |line: &WatchLine| match line {
            WatchLine::Routes(delta) => Some(delta.clone()),
            _ => None,
        };
        lines.iter().filter_map(delta).collect()
    }

    #[test]
    fn a_gateway_that_holds_nothing_gets_the_lists_in_full() {
        let lists = Lists::new(Uuid::from_u128(1));
        lists.change_routes(vec![route(1), route(2)], vec![]);
        let mut has = WatchQuery::default();
        let deltas = routes_of(&lists.catch_up("g", &mut has, &mut None));
        assert!(deltas.len() == 1 && deltas[0].full && deltas[0].add.len() == 2, "{deltas:?}");
        assert!(lists.catch_up("g", &mut has, &mut None).is_empty());
    }

    #[test]
    fn a_gateway_that_is_one_behind_gets_only_the_last_word_on_each_change() {
        let lists = Lists::new(Uuid::from_u128(1));
        let mut has = WatchQuery::default();
        lists.catch_up("g", &mut has, &mut None);
        lists.change_routes(vec![route(1)], vec![]);
        lists.change_routes(vec![route(2)], vec![route(1)]);
        let deltas = routes_of(&lists.catch_up("g", &mut has, &mut None));
        assert_eq!(deltas.len(), 1);
        assert_eq!(
            (deltas[0].full, &deltas[0].add, &deltas[0].remove),
            (false, &vec![route(2)], &vec![route(1)])
        );
    }

    #[test]
    fn a_gateway_that_is_further_behind_than_the_log_gets_the_list_in_full() {
        let lists = Lists::new(Uuid::from_u128(1));
        let mut has = WatchQuery::default();
        lists.catch_up("g", &mut has, &mut None);
        for number in 0..=LOG as u32 {
            lists.change_routes(vec![route(number)], vec![]);
        }
        assert!(routes_of(&lists.catch_up("g", &mut has, &mut None))[0].full);
    }

    #[test]
    fn versions_of_another_lineage_count_for_nothing() {
        let lists = Lists::new(Uuid::from_u128(1));
        let (blocked, routes) = lists.versions();
        let mut has = WatchQuery { settings: 0, blocked, routes, lineage: Uuid::from_u128(2) };
        assert!(routes_of(&lists.catch_up("g", &mut has, &mut None))[0].full);
    }

    #[test]
    fn a_long_list_goes_out_in_parts_and_only_the_last_ends_it() {
        let lists = Lists::new(Uuid::from_u128(1));
        lists.load_routes((0..ENTRIES_A_LINE as u32 * 2 + 1).map(route));
        let deltas = routes_of(&lists.catch_up("g", &mut WatchQuery::default(), &mut None));
        assert_eq!(
            deltas.iter().map(|delta| (delta.full, delta.more)).collect::<Vec<_>>(),
            [(true, true), (false, true), (false, false)]
        );
    }

    #[test]
    fn a_rejected_document_leaves_the_one_before_in_force() {
        let lists = Lists::new(Uuid::from_u128(1));
        lists.publish_settings("g", &Settings { version: 1, ..Settings::default() }).expect("taken");
        let ack = |version, verdict| Ack { kind: ListKind::Settings, version, verdict };
        lists.acknowledged("g", &ack(1, AckVerdict::Applied));
        lists.publish_document("g", 2, serde_json::json!({"nonsense": 1}), String::new());
        lists.acknowledged("g", &ack(2, AckVerdict::Rejected { reason: "nonsense".to_owned(), in_force: 1 }));
        assert_eq!(lists.settings_in_force("g"), Some(1));
    }

    #[tokio::test]
    async fn a_new_route_is_waited_for_until_every_watching_gateway_acknowledged_it() {
        let lists = Lists::new(Uuid::from_u128(1));
        let version = lists.change_routes(vec![route(1)], vec![]);
        let both = ["a".to_owned(), "b".to_owned()];
        let ack = |version| Ack { kind: ListKind::Routes, version, verdict: AckVerdict::Applied };
        lists.acknowledged("a", &ack(version));
        assert!(!lists.routes_reached(&both, version, Duration::ZERO).await);
        lists.acknowledged("b", &ack(version));
        assert!(lists.routes_reached(&both, version, Duration::ZERO).await);
        lists.began_with("a", &WatchQuery::default());
        assert!(!lists.routes_reached(&both, version, Duration::ZERO).await);
        assert!(lists.routes_reached(&[], version, Duration::ZERO).await);
    }
}
