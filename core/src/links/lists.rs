//! What gateways get over their watch: settings for each, one blocked list and one set of live routes for all.
//!
//! Promise: a change that [`Lists`] has taken reaches every connected gateway, as a delta where the gateway's
//! version is in the log, else in full. The versions belong to a lineage, made anew with each [`Lists`], so a
//! version of another start is never mistaken for one of this.

mod versioned;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use postern_wire::{
    link::{
        Ack, AckVerdict, Admission, BlockedDelta, BlockedEntry, BlockedSubject, ListKind, RoutesDelta,
        Settings, Trust, WatchLine, WatchQuery,
    },
    route::RouteHash,
};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use versioned::{Full, Part, Versioned};

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
    /// The newest settings' version of each gateway that this core's database knows.
    known: BTreeMap<String, u64>,
    /// The settings' version that each gateway began its watch with.
    began_with: BTreeMap<String, u64>,
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

impl Held {
    fn known(&self, gateway: &str) -> u64 {
        self.known.get(gateway).copied().unwrap_or(0)
    }

    fn know(&mut self, gateway: &str, version: u64) {
        let known = self.known.entry(gateway.to_owned()).or_default();
        *known = (*known).max(version);
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
            known: BTreeMap::new(),
            began_with: BTreeMap::new(),
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
        let entries = entries.into_iter().map(|entry| (entry.subject, entry.verdict));
        self.change(|held| held.blocked.load(entries))
    }

    /// Blocks `add` and frees `remove`. Returns the list's version.
    pub fn change_blocked(&self, add: Vec<BlockedEntry>, remove: Vec<BlockedSubject>) -> u64 {
        let add = add.into_iter().map(|entry| (entry.subject, entry.verdict)).collect();
        self.change(|held| held.blocked.change(add, remove))
    }

    /// Replaces the whole set of live routes. Returns its version.
    pub fn load_routes(&self, routes: impl IntoIterator<Item = RouteHash>) -> u64 {
        let routes = routes.into_iter().map(|route| (route, ()));
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

    /// The newest version of a gateway's settings that the database knows, in force or not.
    pub fn know_settings(&self, gateway: &str, version: u64) {
        self.lock().know(gateway, version);
    }

    /// Gateways whose settings in force are newer than the newest that this core knows (it was restored), with that
    /// version.
    #[must_use]
    pub fn ahead(&self) -> Vec<(String, u64)> {
        let held = self.lock();
        let ahead = held.began_with.iter().filter(|(name, version)| **version > held.known(name));
        ahead.map(|(name, version)| (name.clone(), *version)).collect()
    }

    /// The versions now: blocked list and routes.
    #[must_use]
    pub fn versions(&self) -> (u64, u64) {
        let held = self.lock();
        (held.blocked.version(), held.routes.version())
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
            held.began_with.insert(gateway.to_owned(), settings);
        }
        if let Some(announced) = self.lock().settings.get_mut(gateway) {
            announced.in_force = Some(settings);
        }
    }

    /// The `versions` line for `gateway`.
    pub(super) fn versions_line(&self, gateway: &str, epoch: u64) -> WatchLine {
        let held = self.lock();
        // A gateway that is ahead of a restored core is where it should be.
        let ahead = held.began_with.get(gateway).copied().filter(|version| *version > held.known(gateway));
        let announced = held.settings.get(gateway).map_or(0, |announced| announced.version);
        WatchLine::Versions {
            settings: ahead.unwrap_or(announced),
            blocked: held.blocked.version(),
            routes: held.routes.version(),
            lineage: held.lineage,
            epoch,
            trust: held.trust.as_ref().map_or(0, |trust| trust.version),
        }
    }

    /// The next line that brings `gateway` from what it was `told` to now; `None` when it is there. A long list is never
    /// in memory twice: each part of it is made when the one before has left.
    pub(super) fn next_line(&self, gateway: &str, told: &mut Told) -> Option<WatchLine> {
        if let Some(line) = told.ready.pop_front() {
            return Some(line);
        }
        let held = self.lock();
        if held.trust != told.trust {
            told.trust.clone_from(&held.trust);
            if let Some(trust) = &held.trust {
                return Some(WatchLine::Trust(trust.clone()));
            }
        }
        if let Some(announced) = held.settings.get(gateway)
            && announced.version != told.has.settings
            // A gateway keeps a document that a restored core does not know (`Lists::ahead`).
            && told.has.settings <= held.known(gateway)
        {
            told.has.settings = announced.version;
            return Some(announced.line.clone());
        }
        if held.lineage != told.has.lineage {
            // Versions of another lineage count for nothing.
            (told.has.lineage, told.has.blocked, told.has.routes) = (held.lineage, 0, 0);
        }
        told.blocked(&held.blocked).or_else(|| told.routes(&held.routes))
    }

    fn publish_settings_line(&self, gateway: &str, version: u64, line: WatchLine) {
        self.change(|held| {
            let in_force = held.settings.get(gateway).and_then(|announced| announced.in_force);
            held.settings.insert(gateway.to_owned(), Announced { version, line, in_force });
            held.know(gateway, version);
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

/// What a watch listens to: that something changed, wake-ups, lines for single gateways.
pub(super) type Subscribed =
    (watch::Receiver<u64>, broadcast::Receiver<Wake>, broadcast::Receiver<Addressed>);

/// What a watch has told its gateway so far.
pub(super) struct Told {
    has: WatchQuery,
    blocked: Option<Full<BlockedSubject>>,
    routes: Option<Full<RouteHash>>,
    trust: Option<Trust>,
    /// Made and not sent yet.
    ready: VecDeque<WatchLine>,
}

impl Told {
    /// The gateway says that it has this.
    pub(super) fn new(has: WatchQuery) -> Self {
        Self { has, blocked: None, routes: None, trust: None, ready: VecDeque::new() }
    }

    fn blocked(&mut self, list: &Versioned<BlockedSubject, Admission>) -> Option<WatchLine> {
        let line = |version, part: Part<BlockedSubject, Admission>| {
            let Part { full, more, add, remove } = part;
            let add = add.into_iter().map(|(subject, verdict)| BlockedEntry { subject, verdict }).collect();
            WatchLine::Blocked(BlockedDelta { version, full, more, add, remove })
        };
        next_line(list, &mut self.has.blocked, &mut self.blocked, &mut self.ready, line)
    }

    fn routes(&mut self, list: &Versioned<RouteHash, ()>) -> Option<WatchLine> {
        let line = |version, part: Part<RouteHash, ()>| {
            let Part { full, more, add, remove } = part;
            let add = add.into_iter().map(|(route, ())| route).collect();
            WatchLine::Routes(RoutesDelta { version, full, more, add, remove })
        };
        next_line(list, &mut self.has.routes, &mut self.routes, &mut self.ready, line)
    }
}

/// The next line about one list: a part of it in full where that was begun or is due, else what changed.
fn next_line<K: Clone + Ord, V: Clone>(
    list: &Versioned<K, V>,
    has: &mut u64,
    whole: &mut Option<Full<K>>,
    ready: &mut VecDeque<WatchLine>,
    line: impl Fn(u64, Part<K, V>) -> WatchLine,
) -> Option<WatchLine> {
    if whole.is_none() && list.version() == *has {
        return None;
    }
    if whole.is_none()
        && let Some(parts) = list.since(*has)
    {
        *has = list.version();
        ready.extend(parts.into_iter().map(|part| line(*has, part)));
        return ready.pop_front();
    }
    let full = whole.get_or_insert_with(|| list.begin());
    let (version, part) = (full.version(), list.part(full));
    if !part.more {
        // What changed meanwhile stands in the log behind this version.
        *has = version;
        *whole = None;
    }
    Some(line(version, part))
}

#[cfg(test)]
mod tests {
    use super::{
        versioned::{LOG, PART},
        *,
    };

    impl Lists {
        /// All lines that bring `gateway` from `has` to now; `has` is set to that.
        fn catch_up(&self, gateway: &str, has: &mut WatchQuery) -> Vec<WatchLine> {
            let mut told = Told::new(*has);
            let lines = std::iter::from_fn(|| self.next_line(gateway, &mut told)).collect();
            *has = told.has;
            lines
        }
    }

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
        let deltas = routes_of(&lists.catch_up("g", &mut has));
        assert!(deltas.len() == 1 && deltas[0].full && deltas[0].add.len() == 2, "{deltas:?}");
        assert!(lists.catch_up("g", &mut has).is_empty());
    }

    #[test]
    fn a_gateway_that_is_one_behind_gets_only_the_last_word_on_each_change() {
        let lists = Lists::new(Uuid::from_u128(1));
        let mut has = WatchQuery::default();
        lists.catch_up("g", &mut has);
        lists.change_routes(vec![route(1)], vec![]);
        lists.change_routes(vec![route(2)], vec![route(1)]);
        let deltas = routes_of(&lists.catch_up("g", &mut has));
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
        lists.catch_up("g", &mut has);
        for number in 0..=LOG as u32 {
            lists.change_routes(vec![route(number)], vec![]);
        }
        assert!(routes_of(&lists.catch_up("g", &mut has))[0].full);
    }

    #[test]
    fn versions_of_another_lineage_count_for_nothing() {
        let lists = Lists::new(Uuid::from_u128(1));
        let (blocked, routes) = lists.versions();
        let mut has = WatchQuery { settings: 0, blocked, routes, lineage: Uuid::from_u128(2) };
        assert!(routes_of(&lists.catch_up("g", &mut has))[0].full);
    }

    #[test]
    fn a_long_list_goes_out_in_parts_and_only_the_last_ends_it() {
        let lists = Lists::new(Uuid::from_u128(1));
        lists.load_routes((0..PART as u32 * 2 + 1).map(route));
        let deltas = routes_of(&lists.catch_up("g", &mut WatchQuery::default()));
        assert_eq!(
            deltas.iter().map(|delta| (delta.full, delta.more)).collect::<Vec<_>>(),
            [(true, true), (false, true), (false, false)]
        );
    }

    #[test]
    fn what_changes_while_a_long_list_goes_out_follows_it() {
        let lists = Lists::new(Uuid::from_u128(1));
        let version = lists.load_routes((1..=PART as u32 * 2).map(route));
        let mut told = Told::new(WatchQuery::default());
        let blocked = lists.next_line("g", &mut told);
        assert!(matches!(blocked, Some(WatchLine::Blocked(BlockedDelta { full: true, more: false, .. }))));
        let mut lines: Vec<_> = lists.next_line("g", &mut told).into_iter().collect();
        // One that went out already, one that did not yet, and a new one that sorts before both.
        lists.change_routes(vec![route(0)], vec![route(1), route(PART as u32 * 2)]);
        lines.extend(std::iter::from_fn(|| lists.next_line("g", &mut told)));
        let mut held = std::collections::BTreeSet::new();
        let deltas = routes_of(&lines);
        for delta in &deltas {
            if delta.full {
                held.clear();
            }
            held.extend(&delta.add);
            for route in &delta.remove {
                held.remove(route);
            }
        }
        assert_eq!(
            deltas.iter().map(|delta| delta.version).collect::<Vec<_>>(),
            [version, version, version + 1]
        );
        assert_eq!(held, [0].into_iter().chain(2..PART as u32 * 2).map(route).collect());
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
