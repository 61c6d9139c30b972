//! A list with a log of its changes.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use postern_wire::link::ENTRIES_A_LINE;

/// So many changes are kept for deltas; a gateway that is further behind gets the list in full.
pub(super) const LOG: usize = 16 * 1024;
/// So many entries go in one part: few enough that a part is small beside what a link buffers anyway.
pub(super) const PART: usize = 1024;
const _: () = assert!(PART <= ENTRIES_A_LINE);

/// The list. A tree that was built from sorted entries takes about 20 octets a route hash, a hash table 22 to 44; and a
/// tree can be told from any place on.
pub(super) struct Versioned<K, V> {
    version: u64,
    entries: BTreeMap<K, V>,
    log: VecDeque<(u64, K, Option<V>)>,
    /// Deltas from this version on are in the log.
    log_from: u64,
}

/// How far a list that goes out in full has come.
pub(super) struct Full<K> {
    version: u64,
    after: Option<K>,
}

impl<K> Full<K> {
    /// The version that it was begun at, and that it is told as.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }
}

/// One line's worth.
pub(super) struct Part<K, V> {
    /// The list starts empty.
    pub(super) full: bool,
    /// Another part follows.
    pub(super) more: bool,
    pub(super) add: Vec<(K, V)>,
    pub(super) remove: Vec<K>,
}

impl<K, V> Default for Versioned<K, V> {
    fn default() -> Self {
        Self { version: 1, entries: BTreeMap::new(), log: VecDeque::new(), log_from: 1 }
    }
}

impl<K: Clone + Ord, V: Clone> Versioned<K, V> {
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// Replaces it whole. Gives the version.
    pub(super) fn load(&mut self, entries: impl Iterator<Item = (K, V)>) -> u64 {
        self.entries = entries.collect();
        self.version += 1;
        self.log.clear();
        self.log_from = self.version;
        self.version
    }

    pub(super) fn change(&mut self, add: Vec<(K, V)>, remove: Vec<K>) -> u64 {
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

    /// What changed since `version`, as the last word on each key; `None` when the log does not reach back.
    pub(super) fn since(&self, version: u64) -> Option<Vec<Part<K, V>>> {
        if version < self.log_from || version > self.version {
            return None;
        }
        let mut last: BTreeMap<&K, &Option<V>> = BTreeMap::new();
        for (_, key, value) in self.log.iter().filter(|(at, ..)| *at > version) {
            last.insert(key, value);
        }
        let all: Vec<_> = last.into_iter().collect();
        let mut parts: Vec<Part<K, V>> = all.chunks(PART).map(Part::of_changes).collect();
        if parts.is_empty() {
            parts.push(Part::of_changes(&[]));
        }
        if let Some(last) = parts.last_mut() {
            last.more = false;
        }
        Some(parts)
    }

    /// Begins to tell it in full.
    pub(super) fn begin(&self) -> Full<K> {
        Full { version: self.version, after: None }
    }

    /// The next part of a list in full.
    pub(super) fn part(&self, full: &mut Full<K>) -> Part<K, V> {
        let from = full.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.entries.range((from, Bound::Unbounded));
        let add: Vec<_> = rest.by_ref().take(PART).map(|(key, value)| (key.clone(), value.clone())).collect();
        let (first, more) = (full.after.is_none(), rest.next().is_some());
        full.after = add.last().map(|(key, _)| key.clone());
        Part { full: first, more, add, remove: Vec::new() }
    }
}

impl<K: Clone, V: Clone> Part<K, V> {
    fn of_changes(changes: &[(&K, &Option<V>)]) -> Self {
        let mut part = Self { full: false, more: true, add: Vec::new(), remove: Vec::new() };
        for (key, value) in changes {
            match value {
                Some(value) => part.add.push(((*key).clone(), value.clone())),
                None => part.remove.push((*key).clone()),
            }
        }
        part
    }
}
