//! The folders of GPOs as they were last read well: by the version of the directory and of GPT.INI.
//!
//! Promise: [`SysvolCache::folders`] holds of each GPO the last good folder; a folder that is refused, gone, half there or that
//! went back behind what the directory says takes nothing away from it, and [`SysvolCache::status`] says so. One look
//! at a time; a GPO whose two versions are known and equal costs nothing. What was good outlives a restart (`kept`).

mod judge;
mod kept;
mod supervise;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use postern_engine::policy::{directory::Directory, rsop::settings::Folder};
pub use postern_engine::policy::{
    dn::Dn,
    gpo::{Gpo, GpoId, NoSecurity},
    sysvol::{Contents, Entry, Kind, Limits, Other, Refused, Tree, named, places},
};
use postern_wire::terms::UtcMillis;
use tokio::sync::{Mutex, watch};

use crate::abilities::{Clock, SysvolError, SysvolSource};
pub use supervise::{STALE, SysvolParts, SysvolRules, SysvolSupervisor};

/// Octets of all Registry.pol together.
const ALL_OCTETS: u64 = 256 << 20;

/// The folders of a directory's GPOs.
pub type Folders = BTreeMap<Dn, Arc<Folder>>;

/// How a GPO's folder stands to the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SysvolState {
    /// Both have the same version.
    Same,
    /// SYSVOL is older in a half: what is in force is the last good folder.
    Older,
    /// SYSVOL is newer: what it has is in force.
    Newer,
    /// It was not looked at yet.
    #[default]
    Unknown,
    /// It was not looked at since the start: what is in force was kept from before.
    Kept,
    /// It could not be read, or does not count: what is in force is the last good folder, if there is one.
    Refused(SysvolError),
}

impl SysvolState {
    /// The word in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Older => "older",
            Self::Newer => "newer",
            Self::Unknown => "unknown",
            Self::Kept => "kept",
            Self::Refused(error) => error.word(),
        }
    }
}

/// How it is with one GPO's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysvolGpo {
    /// What people call the GPO.
    pub name: String,
    /// Its version in the directory.
    pub directory: u32,
    /// Its version in SYSVOL as last read, where it could be read.
    pub sysvol: Option<u32>,
    /// The version that is in force; `None` where none was ever good.
    pub in_force: Option<u32>,
    /// How the two stand.
    pub state: SysvolState,
    /// Since when they stand so.
    pub since: UtcMillis,
    /// What it holds beside Registry.pol.
    pub others: Arc<[Other]>,
}

impl SysvolGpo {
    /// How the two versions stand, for people.
    #[must_use]
    pub fn said(&self) -> String {
        match &self.state {
            SysvolState::Refused(error) => error.to_string(),
            SysvolState::Same => format!("version {}", self.directory),
            SysvolState::Unknown => "it was not looked at yet".to_owned(),
            SysvolState::Kept => "it was not looked at since the start".to_owned(),
            SysvolState::Older | SysvolState::Newer => {
                let sysvol = self.sysvol.map_or("none".to_owned(), |version| version.to_string());
                format!(
                    "{} than the directory: version {sysvol}, there {}",
                    self.state.word(),
                    self.directory
                )
            }
        }
    }
}

/// How it is with SYSVOL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SysvolStatus {
    /// When it was last looked at; `None` before the first time.
    pub at: Option<UtcMillis>,
    /// The GPOs.
    pub gpos: BTreeMap<Dn, SysvolGpo>,
}

impl SysvolStatus {
    /// The GPOs whose folder is not the directory's version.
    pub fn troubles(&self) -> impl Iterator<Item = (&Dn, &SysvolGpo)> {
        self.gpos.iter().filter(|(_, gpo)| gpo.state != SysvolState::Same)
    }

    /// Whether something in force comes from before the start, and was not looked at since.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.gpos.values().any(|gpo| gpo.state == SysvolState::Kept)
    }

    /// Whether what is in force may not be what SYSVOL holds.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.troubles().any(|(_, gpo)| matches!(gpo.state, SysvolState::Kept | SysvolState::Refused(_)))
    }
}

/// What a look came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SysvolLook {
    /// Whether [`SysvolCache::folders`] is another now.
    pub changed: bool,
    /// Folders that were read, or tried.
    pub asked: usize,
    /// GPOs whose folder is not the directory's version.
    pub troubles: usize,
}

/// Keeps the folders of GPOs.
pub struct SysvolCache {
    source: Arc<dyn SysvolSource>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    all_octets: u64,
    kept: RwLock<Kept>,
    look: Mutex<()>,
    generation: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    folders: Arc<Folders>,
    gpos: BTreeMap<Dn, Held>,
    at: Option<UtcMillis>,
}

/// What is held of one GPO.
#[derive(Clone, Debug, Default)]
struct Held {
    good: Option<Good>,
    /// The versions that were last seen.
    directory: Option<u32>,
    sysvol: Option<u32>,
    state: SysvolState,
    since: UtcMillis,
    name: String,
    /// What of the last good folder does not lie in the store yet.
    unkept: Option<Arc<Contents>>,
}

/// The last good folder.
#[derive(Clone, Debug)]
struct Good {
    folder: Arc<Folder>,
    version: u32,
    octets: u64,
}

impl std::fmt::Debug for SysvolCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SysvolCache").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl SysvolCache {
    /// A cache that has read nothing yet.
    #[must_use]
    pub fn new(source: Arc<dyn SysvolSource>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            limits: Limits::default(),
            all_octets: ALL_OCTETS,
            kept: RwLock::default(),
            look: Mutex::default(),
            generation: watch::Sender::new(0),
        }
    }

    /// The folders in force, for a `World`. The same [`Arc`] until a look changes one.
    #[must_use]
    pub fn folders(&self) -> Arc<Folders> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).folders.clone()
    }

    /// Tells when [`Self::folders`] is another: the number goes up.
    #[must_use]
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// How it is with SYSVOL.
    #[must_use]
    pub fn status(&self) -> SysvolStatus {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let gpos = kept.gpos.iter().map(|(dn, held)| (dn.clone(), held.status())).collect();
        SysvolStatus { at: kept.at, gpos }
    }

    /// Puts folders of before the start in force, until they are looked at.
    async fn restore(&self, all: Vec<kept::Kept>) {
        let _one = self.look.lock().await;
        let mut gpos = BTreeMap::new();
        let mut read_at: Option<UtcMillis> = None;
        let now = self.clock.wall();
        for kept in all {
            let name = kept.gpo.name();
            let Some(good) = judge::of_before(&kept.contents, &self.limits.registry_pol) else { continue };
            let (sysvol, state) = (Some(good.version), SysvolState::Kept);
            let held = Held { good: Some(good), sysvol, state, since: now, name, ..Held::default() };
            gpos.insert(kept.gpo, held);
            read_at = Some(read_at.map_or(kept.at, |at| at.min(kept.at)));
        }
        if gpos.is_empty() {
            return;
        }
        self.keep(gpos);
        self.kept.write().unwrap_or_else(PoisonError::into_inner).at = read_at;
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// The folders that do not lie in the store yet.
    fn unkept(&self) -> Vec<(Dn, Arc<Contents>)> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let unkept = |(dn, held): (&Dn, &Held)| Some((dn.clone(), held.unkept.clone()?));
        kept.gpos.iter().filter_map(unkept).collect()
    }

    /// A folder lies in the store now.
    fn was_kept(&self, dn: &Dn, contents: &Arc<Contents>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = kept.gpos.get_mut(dn)
            && held.unkept.as_ref().is_some_and(|unkept| Arc::ptr_eq(unkept, contents))
        {
            held.unkept = None;
        }
    }

    /// Reads what a directory's GPOs ask for: those whose version changed, and those that did not have the directory's; with `whole`
    /// all of them, whatever their versions say.
    pub async fn refresh(&self, directory: &Directory, whole: bool) -> SysvolLook {
        let _one = self.look.lock().await;
        let before = self.kept.read().unwrap_or_else(PoisonError::into_inner).gpos.clone();
        let mut look = SysvolLook::default();
        let mut down = None;
        let mut octets: u64 =
            before.values().filter_map(|held| held.good.as_ref()).map(|good| good.octets).sum();
        let mut after = BTreeMap::new();
        for (dn, gpo) in directory.gpos() {
            let held = before.get(dn).cloned().unwrap_or_default();
            let of_good = held.good.as_ref().map_or(0, |good| good.octets);
            let others = octets.saturating_sub(of_good);
            let held = self.look_at(gpo, held, whole, others, &mut down, &mut look.asked).await;
            octets = others + held.good.as_ref().map_or(0, |good| good.octets);
            look.troubles += usize::from(held.state != SysvolState::Same);
            after.insert(dn.clone(), held);
        }
        look.changed = self.keep(after);
        if look.changed {
            self.generation.send_modify(|generation| *generation += 1);
        }
        look
    }

    /// One GPO; `others` are the octets of all others.
    async fn look_at(
        &self,
        gpo: &Gpo,
        mut held: Held,
        whole: bool,
        others: u64,
        down: &mut Option<SysvolError>,
        asked: &mut usize,
    ) -> Held {
        let was = held.state.clone();
        let is_known = held.directory == Some(gpo.version) && held.state == SysvolState::Same;
        held.directory = Some(gpo.version);
        held.name.clone_from(&gpo.name);
        if is_known && !whole {
            return held;
        }
        let known = held.good.as_ref().map(|good| good.version).filter(|_| !whole);
        let read = match down {
            Some(error) => Err(error.clone()),
            None => {
                *asked += 1;
                self.source.folder(gpo, known).await
            }
        };
        *down = read.as_ref().err().filter(|error| error.is_of_the_place()).cloned();
        let most = self.all_octets.saturating_sub(others);
        held.take(gpo, read, &self.limits.registry_pol, most, self.all_octets);
        if held.state != was {
            held.since = self.clock.wall();
        }
        held
    }

    /// Puts what was found in force; gives whether that is another.
    fn keep(&self, gpos: BTreeMap<Dn, Held>) -> bool {
        let folders: Folders = gpos.iter().map(|(dn, held)| (dn.clone(), held.in_force())).collect();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *kept.folders != folders;
        if changed {
            kept.folders = Arc::new(folders);
        }
        kept.gpos = gpos;
        kept.at = Some(self.clock.wall());
        changed
    }
}

impl Held {
    fn in_force(&self) -> Arc<Folder> {
        match (&self.good, &self.state) {
            (Some(good), _) => good.folder.clone(),
            (None, SysvolState::Refused(error)) => Arc::new(Folder::unusable(&error.to_string())),
            (None, _) => Arc::new(Folder::unusable(&SysvolError::NoFolder.to_string())),
        }
    }

    fn status(&self) -> SysvolGpo {
        SysvolGpo {
            name: self.name.clone(),
            directory: self.directory.unwrap_or(0),
            sysvol: self.sysvol,
            in_force: self.good.as_ref().map(|good| good.version),
            state: self.state.clone(),
            since: self.since,
            others: self.good.as_ref().map_or_else(|| Arc::from([]), |good| good.folder.others.clone()),
        }
    }
}
