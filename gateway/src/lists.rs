//! The blocked list and the known routes, in memory and on disk.
//!
//! Promise: what was in force last still holds after a restart without a core; a list changes only as a whole version.
//! Of a route only a truncated hash is here.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use postern_wire::{
    link::{Admission, BlockedDelta, BlockedEntry, BlockedSubject, RoutesDelta},
    route::RouteHash,
};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::disk;

/// Both lists of one lineage.
#[derive(Default)]
pub(crate) struct ListSet {
    pub(crate) lineage: Uuid,
    blocked: RwLock<Blocked>,
    routes: RwLock<Routes>,
}

#[derive(Default)]
struct Blocked {
    version: u64,
    entries: FxHashMap<BlockedSubject, Admission>,
}

#[derive(Default)]
struct Routes {
    version: u64,
    known: FxHashSet<[u8; 16]>,
}

impl ListSet {
    /// Nothing known yet of this lineage.
    pub(crate) fn new(lineage: Uuid) -> Self {
        Self { lineage, ..Self::default() }
    }

    /// The versions: blocked list and routes.
    pub(crate) fn versions(&self) -> (u64, u64) {
        (read(&self.blocked).version, read(&self.routes).version)
    }

    /// The verdict on a subject.
    pub(crate) fn verdict(&self, subject: &BlockedSubject) -> Admission {
        read(&self.blocked).entries.get(subject).copied().unwrap_or(Admission::Admit)
    }

    /// Whether a route is live.
    pub(crate) fn knows(&self, route: &RouteHash) -> bool {
        read(&self.routes).known.contains(route.as_bytes())
    }

    /// Applies all parts of one version of the blocked list.
    pub(crate) fn apply_blocked(&self, parts: Vec<BlockedDelta>) {
        let mut blocked = write(&self.blocked);
        for part in parts {
            if part.full {
                blocked.entries.clear();
            }
            for subject in &part.remove {
                blocked.entries.remove(subject);
            }
            blocked.entries.extend(part.add.into_iter().map(|entry| (entry.subject, entry.verdict)));
            blocked.version = part.version;
        }
    }

    /// Applies all parts of one version of the routes.
    pub(crate) fn apply_routes(&self, parts: Vec<RoutesDelta>) {
        let mut routes = write(&self.routes);
        for part in parts {
            if part.full {
                routes.known.clear();
            }
            for route in &part.remove {
                routes.known.remove(route.as_bytes());
            }
            routes.known.extend(part.add.iter().map(|route| *route.as_bytes()));
            routes.version = part.version;
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

// === on disk ===

/// Where the lists rest.
#[derive(Clone, Debug)]
pub(crate) struct ListFiles {
    blocked: PathBuf,
    routes: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct BlockedFile {
    lineage: Uuid,
    version: u64,
    entries: Vec<BlockedEntry>,
}

/// First octets of the routes file; lineage, version, the hashes and a SHA-256 over all of it follow.
const ROUTES_MAGIC: &[u8; 8] = b"PSTNRTS1";
const ROUTES_HEAD: usize = 8 + 16 + 8;

impl ListFiles {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { blocked: folder.join("blocked.json"), routes: folder.join("routes.bin") }
    }

    /// The lists as they were last written; with the troubles, if any could not be read. A blocked list that cannot be
    /// read is put aside under another name, never overwritten.
    pub(crate) fn load(&self) -> (ListSet, Vec<String>) {
        let mut troubles = Vec::new();
        let blocked = self.load_blocked().unwrap_or_else(|error| {
            troubles.push(format!("{}: {error}; the core sends it anew", self.blocked.display()));
            let _ = fs::rename(&self.blocked, self.blocked.with_extension("broken"));
            None
        });
        let routes = self.load_routes().unwrap_or_else(|error| {
            troubles.push(format!("{}: {error}; the core sends it anew", self.routes.display()));
            None
        });
        let lineage = blocked.as_ref().map_or_else(Uuid::nil, |(lineage, _)| *lineage);
        let set = ListSet::new(lineage);
        if let Some((_, blocked)) = blocked {
            *write(&set.blocked) = blocked;
        }
        if let Some((of, mut routes)) = routes {
            // Files of two lineages: what is known still holds until a core comes, its version says nothing.
            if of != lineage {
                routes.version = 0;
            }
            *write(&set.routes) = routes;
        }
        (set, troubles)
    }

    /// Writes the blocked list.
    pub(crate) fn store_blocked(&self, set: &ListSet) -> io::Result<()> {
        let file = {
            let blocked = read(&set.blocked);
            let entry = |(subject, verdict): (&BlockedSubject, &Admission)| BlockedEntry {
                subject: subject.clone(),
                verdict: *verdict,
            };
            let entries = blocked.entries.iter().map(entry).collect();
            BlockedFile { lineage: set.lineage, version: blocked.version, entries }
        };
        disk::write_whole(&self.blocked, &serde_json::to_vec(&file).map_err(io::Error::other)?)
    }

    /// Writes the routes.
    pub(crate) fn store_routes(&self, set: &ListSet) -> io::Result<()> {
        let mut octets = Vec::new();
        {
            let routes = read(&set.routes);
            octets.reserve(ROUTES_HEAD + routes.known.len() * 16 + 32);
            octets.extend_from_slice(ROUTES_MAGIC);
            octets.extend_from_slice(set.lineage.as_bytes());
            octets.extend_from_slice(&routes.version.to_be_bytes());
            routes.known.iter().for_each(|route| octets.extend_from_slice(route));
        }
        let digest = Sha256::digest(&octets);
        octets.extend_from_slice(&digest);
        disk::write_whole(&self.routes, &octets)
    }

    fn load_blocked(&self) -> io::Result<Option<(Uuid, Blocked)>> {
        let Some(octets) = disk::read_if_there(&self.blocked)? else { return Ok(None) };
        let file: BlockedFile = serde_json::from_slice(&octets).map_err(io::Error::other)?;
        let entries = file.entries.into_iter().map(|entry| (entry.subject, entry.verdict)).collect();
        Ok(Some((file.lineage, Blocked { version: file.version, entries })))
    }

    fn load_routes(&self) -> io::Result<Option<(Uuid, Routes)>> {
        let Some(octets) = disk::read_if_there(&self.routes)? else { return Ok(None) };
        routes_of(&octets).map(Some).ok_or_else(|| io::Error::other("not a whole routes file"))
    }
}

fn routes_of(octets: &[u8]) -> Option<(Uuid, Routes)> {
    let (content, digest) = octets.split_at_checked(octets.len().checked_sub(32)?)?;
    if Sha256::digest(content).as_slice() != digest {
        return None;
    }
    let hashes = content.get(ROUTES_HEAD..)?;
    let lineage = Uuid::from_slice(content.strip_prefix(ROUTES_MAGIC)?.get(..16)?).ok()?;
    let version = u64::from_be_bytes(content.get(24..32)?.try_into().ok()?);
    let (hashes, rest) = hashes.as_chunks::<16>();
    rest.is_empty().then(|| (lineage, Routes { version, known: hashes.iter().copied().collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(number: u8) -> RouteHash {
        RouteHash::from_bytes([number; 16])
    }

    fn blocked(number: u8) -> BlockedEntry {
        BlockedEntry { subject: BlockedSubject::Route(route(number)), verdict: Admission::Refuse }
    }

    #[test]
    fn both_lists_come_back_from_disk_as_they_were() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ListFiles::new(folder.path());
        let set = ListSet::new(Uuid::from_u128(7));
        set.apply_blocked(vec![BlockedDelta {
            version: 4,
            full: true,
            add: vec![blocked(1)],
            ..Default::default()
        }]);
        set.apply_routes(vec![RoutesDelta {
            version: 9,
            full: true,
            add: vec![route(1), route(2)],
            ..Default::default()
        }]);
        files.store_blocked(&set).expect("written");
        files.store_routes(&set).expect("written");
        let (back, troubles) = files.load();
        assert_eq!((back.lineage, back.versions(), troubles), (Uuid::from_u128(7), (4, 9), vec![]));
        assert_eq!(back.verdict(&BlockedSubject::Route(route(1))), Admission::Refuse);
        assert!(back.knows(&route(2)) && !back.knows(&route(3)));
    }

    #[test]
    fn a_routes_file_that_is_cut_short_is_told_and_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ListFiles::new(folder.path());
        let set = ListSet::new(Uuid::from_u128(7));
        set.apply_routes(vec![RoutesDelta {
            version: 9,
            full: true,
            add: vec![route(1)],
            ..Default::default()
        }]);
        files.store_routes(&set).expect("written");
        let octets = fs::read(&files.routes).expect("read");
        for length in [0, 8, 40, octets.len() - 1] {
            fs::write(&files.routes, &octets[..length]).expect("written");
            let (back, troubles) = files.load();
            assert!(troubles.len() == 1 && !back.knows(&route(1)), "{length}");
        }
    }

    #[test]
    fn a_full_list_replaces_and_a_delta_adds_and_removes() {
        let set = ListSet::default();
        set.apply_routes(vec![RoutesDelta { version: 1, add: vec![route(1)], ..Default::default() }]);
        set.apply_routes(vec![
            RoutesDelta { version: 2, full: true, more: true, add: vec![route(2)], ..Default::default() },
            RoutesDelta { version: 2, add: vec![route(3)], ..Default::default() },
        ]);
        assert_eq!((set.knows(&route(1)), set.knows(&route(2)), set.knows(&route(3))), (false, true, true));
        set.apply_routes(vec![RoutesDelta { version: 3, remove: vec![route(2)], ..Default::default() }]);
        assert!(!set.knows(&route(2)) && set.versions().1 == 3);
    }
}
