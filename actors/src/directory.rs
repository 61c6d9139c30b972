//! The directory as it was last read well: kept up to date, and kept in force while the directory is in trouble.
//!
//! Promise: what [`DirectoryKeeper::snapshot`] gives was whole when it was read; a look that fails changes nothing of
//! it, and [`DirectoryKeeper::status`] says since when and why. One look at a time.
//!
//! - `bindings`: which computer and which user a device and its owner are. - `cache`: the last good reading in the
//!   store, so that it outlives a restart. - `supervise`: the timer, and what is told of trouble. - `tasks`: what is written there.

mod bindings;
mod cache;
mod supervise;
mod tasks;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use postern_engine::policy::{
    binding::Accounts,
    directory::{AccountKind, Directory, Remark},
    dn::Dn,
};
use postern_wire::terms::UtcMillis;
use tokio::sync::{Mutex, watch};

pub use bindings::{Bindings, StoredBindings};
pub use supervise::{DirectoryParts, DirectoryRules, DirectorySupervisor, STALE};
pub use tasks::{DirectoryTaskParts, DirectoryTasks};

use crate::abilities::{Clock, DirectoryError, DirectoryMark, DirectoryReader, DirectorySnapshot};

/// How the directory is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryPace {
    /// How long after a whole reading the next one is due, whatever was seen in between.
    pub whole_every: Duration,
}

impl Default for DirectoryPace {
    fn default() -> Self {
        Self { whole_every: Duration::from_secs(8 * 3600) }
    }
}

/// How a look went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryLook {
    /// Everything was read.
    Whole,
    /// What changed was read, and it changes the snapshot.
    Changed,
    /// Nothing that policy asks for has changed.
    Same,
}

/// How it is with the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryStatus {
    /// The snapshot in force; `None` until the first one was read.
    pub good: Option<GoodDirectory>,
    /// What is wrong; `None` when the last look went well.
    pub trouble: Option<DirectoryTrouble>,
}

impl DirectoryStatus {
    /// Whether what is in force may not be what the directory holds: the last look failed, or none was taken since
    /// the start.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.trouble.is_some() || self.good.as_ref().is_none_or(|good| good.restored)
    }
}

/// The snapshot in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoodDirectory {
    /// Up to where it was read.
    pub mark: DirectoryMark,
    /// How many entries it has.
    pub entries: usize,
    /// When it was last known to be what the directory holds.
    pub at: UtcMillis,
    /// When all of it was last read.
    pub whole_at: UtcMillis,
    /// It comes from before the start, and no look has gone well since.
    pub restored: bool,
}

/// The directory in force, as policy goes by it.
#[derive(Clone, Debug)]
pub struct DirectoryView {
    /// Counts the readings that differed, from 1.
    pub generation: u64,
    /// What was read.
    pub snapshot: Arc<DirectorySnapshot>,
    /// The same for the engine.
    pub directory: Arc<Directory>,
    /// What was passed over.
    pub remarks: Arc<[Remark]>,
    /// Its computers and users by what they are found by.
    pub accounts: Arc<Accounts>,
}

impl DirectoryView {
    /// The one computer, or user, of a name: its distinguished name, `sAMAccountName`, `userPrincipalName` or own name.
    ///
    /// # Errors
    /// Why it is none, for people.
    pub fn named(&self, is_computer: bool, name: &str) -> Result<Dn, String> {
        let kind = if is_computer { AccountKind::Computer } else { AccountKind::User };
        let found = self.directory.account(kind, name);
        found.map(|account| account.dn.clone()).map_err(|why| why.to_string())
    }
}

/// What is wrong with the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryTrouble {
    /// What the last look met.
    pub error: DirectoryError,
    /// When a look first failed.
    pub since: UtcMillis,
    /// Looks that failed since then.
    pub looks: u32,
}

/// Keeps the last good snapshot of a directory.
pub struct DirectoryKeeper {
    reader: Arc<dyn DirectoryReader>,
    clock: Arc<dyn Clock>,
    /// Computers elsewhere are no devices.
    devices_below: Option<Dn>,
    kept: RwLock<Kept>,
    generation: watch::Sender<u64>,
    look: Mutex<()>,
}

struct Kept {
    pace: DirectoryPace,
    view: Option<DirectoryView>,
    status: DirectoryStatus,
    /// Monotonic; `None`: a whole reading is due.
    whole_due: Option<Duration>,
}

impl std::fmt::Debug for DirectoryKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryKeeper").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl DirectoryKeeper {
    /// A keeper that has read nothing yet.
    #[must_use]
    pub fn new(reader: Arc<dyn DirectoryReader>, clock: Arc<dyn Clock>, pace: DirectoryPace) -> Self {
        let kept = Kept { pace, view: None, status: DirectoryStatus::default(), whole_due: None };
        Self {
            reader,
            clock,
            devices_below: None,
            kept: RwLock::new(kept),
            generation: watch::Sender::new(0),
            look: Mutex::default(),
        }
    }

    /// The same; a device is only taken for a computer below this container.
    #[must_use]
    pub fn with_devices_below(self, devices_below: Option<Dn>) -> Self {
        Self { devices_below, ..self }
    }

    /// The last good snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<DirectorySnapshot>> {
        self.view().map(|view| view.snapshot)
    }

    /// The last good snapshot for the engine.
    #[must_use]
    pub fn directory(&self) -> Option<Arc<Directory>> {
        self.view().map(|view| view.directory)
    }

    /// The last good snapshot with what was made of it.
    #[must_use]
    pub fn view(&self) -> Option<DirectoryView> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).view.clone()
    }

    /// The generation of the snapshot in force: 0 while there is none, another number whenever it changed.
    #[must_use]
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// How it is with the directory.
    #[must_use]
    pub fn status(&self) -> DirectoryStatus {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// How it is looked at from now on.
    pub fn set_pace(&self, pace: DirectoryPace) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.pace != pace {
            let before = kept.pace.whole_every;
            kept.whole_due =
                kept.whole_due.and_then(|due| due.checked_sub(before)).map(|at| at + pace.whole_every);
            kept.pace = pace;
        }
    }

    /// Puts a snapshot of before the start in force, marked as such, unless there is one already.
    pub async fn restore(&self, snapshot: DirectorySnapshot, at: UtcMillis, whole_at: UtcMillis) {
        let _one = self.look.lock().await;
        if self.snapshot().is_some() {
            return;
        }
        let Ok(view) = self.view_of(Arc::new(snapshot)).await else { return };
        let age = u64::try_from(self.clock.wall().since(whole_at)).unwrap_or(0);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let left = kept.pace.whole_every.checked_sub(Duration::from_millis(age));
        kept.whole_due = left.map(|left| self.clock.monotonic() + left);
        kept.status.good = Some(GoodDirectory {
            mark: view.snapshot.mark.clone(),
            entries: view.snapshot.entries.len(),
            at,
            whole_at,
            restored: true,
        });
        self.put(&mut kept, view);
    }

    /// Looks at what changed; reads everything where `whole` wants it, where it is due, and where only that tells.
    ///
    /// # Errors
    /// What is wrong with the directory; the snapshot stays.
    pub async fn refresh(&self, whole: bool) -> Result<DirectoryLook, DirectoryError> {
        let _one = self.look.lock().await;
        let looked = match self.look(whole).await {
            Ok((look, snapshot)) => self.view_of(snapshot).await.map(|view| (look, view)),
            Err(error) => Err(error),
        };
        let now = self.clock.wall();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        match looked {
            Ok((look, view)) => {
                if look == DirectoryLook::Whole {
                    kept.whole_due = Some(self.clock.monotonic() + kept.pace.whole_every);
                }
                let before = kept.status.good.take().filter(|_| look != DirectoryLook::Whole);
                kept.status = DirectoryStatus {
                    good: Some(GoodDirectory {
                        mark: view.snapshot.mark.clone(),
                        entries: view.snapshot.entries.len(),
                        at: now,
                        whole_at: before.map_or(now, |good| good.whole_at),
                        restored: false,
                    }),
                    trouble: None,
                };
                self.put(&mut kept, view);
                Ok(look)
            }
            Err(error) => {
                let before = kept.status.trouble.take();
                kept.status.trouble = Some(DirectoryTrouble {
                    error: error.clone(),
                    since: before.as_ref().map_or(now, |trouble| trouble.since),
                    looks: before.map_or(0, |trouble| trouble.looks).saturating_add(1),
                });
                Err(error)
            }
        }
    }

    /// What is made of a snapshot; that of the last one where its entries are the same.
    async fn view_of(&self, snapshot: Arc<DirectorySnapshot>) -> Result<DirectoryView, DirectoryError> {
        let before = self.view();
        if let Some(before) = &before
            && before.snapshot.entries == snapshot.entries
        {
            return Ok(DirectoryView { snapshot, ..before.clone() });
        }
        let generation = before.map_or(1, |before| before.generation + 1);
        let below = self.devices_below.clone();
        let made = tokio::task::spawn_blocking(move || {
            let (directory, remarks) = snapshot.directory();
            let accounts = Accounts::of(&snapshot.entries, below.as_ref(), postern_store::tokens::hash);
            DirectoryView {
                generation,
                directory: Arc::new(directory),
                remarks: remarks.into(),
                accounts: Arc::new(accounts),
                snapshot,
            }
        });
        made.await.map_err(|error| DirectoryError::Half(format!("it could not be taken in: {error}")))
    }

    fn put(&self, kept: &mut Kept, view: DirectoryView) {
        let generation = view.generation;
        kept.view = Some(view);
        self.generation.send_if_modified(|known| std::mem::replace(known, generation) != generation);
    }

    async fn look(&self, whole: bool) -> Result<(DirectoryLook, Arc<DirectorySnapshot>), DirectoryError> {
        let (before, due) = {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            (kept.view.as_ref().map(|view| Arc::clone(&view.snapshot)), kept.whole_due)
        };
        let is_due = due.is_none_or(|due| self.clock.monotonic() >= due);
        if let Some(before) = before.filter(|_| !whole && !is_due) {
            let changes = self.reader.changes(before.mark.clone()).await?;
            if let Some(after) = before.after(changes) {
                let same = after.entries == before.entries;
                let look = if same { DirectoryLook::Same } else { DirectoryLook::Changed };
                return Ok((look, Arc::new(after)));
            }
        }
        Ok((DirectoryLook::Whole, Arc::new(self.reader.snapshot().await?)))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex as StdMutex};

    use futures_util::{FutureExt as _, future::BoxFuture};
    use postern_engine::policy::{dn::Dn, ldif::Entry};

    use super::*;
    use crate::abilities::DirectoryChanges;

    #[derive(Default)]
    struct Told(StdMutex<Duration>);

    impl Clock for Told {
        fn wall(&self) -> UtcMillis {
            UtcMillis(i64::try_from(self.monotonic().as_millis()).unwrap())
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    struct Scripted(StdMutex<Vec<Result<Option<DirectoryChanges>, DirectoryError>>>);

    impl Scripted {
        /// `None` in the script: a whole reading is expected.
        fn next(&self) -> Result<Option<DirectoryChanges>, DirectoryError> {
            self.0.lock().unwrap().remove(0)
        }
    }

    impl DirectoryReader for Scripted {
        fn snapshot(&self) -> BoxFuture<'_, Result<DirectorySnapshot, DirectoryError>> {
            let read = self.next().map(|changes| {
                assert_eq!(changes, None, "a look at what changed was expected");
                DirectorySnapshot { mark: mark(1), entries: BTreeMap::new() }
            });
            std::future::ready(read).boxed()
        }

        fn changes(&self, _: DirectoryMark) -> BoxFuture<'_, Result<DirectoryChanges, DirectoryError>> {
            let read = self.next().map(|changes| changes.expect("a whole reading was expected"));
            std::future::ready(read).boxed()
        }
    }

    fn mark(usn: u64) -> DirectoryMark {
        DirectoryMark { server: "CN=DC1".to_owned(), database: "00".to_owned(), usn }
    }

    #[tokio::test]
    async fn what_was_good_stays_while_the_directory_is_in_trouble() {
        let unit = Entry { dn: "OU=A,DC=x".to_owned(), ..Entry::default() };
        let added = DirectoryChanges::Some {
            entries: vec![unit],
            present: [Dn::new("OU=A,DC=x").unwrap()].into(),
            mark: mark(2),
        };
        let down = || DirectoryError::Down("refused".to_owned());
        let script = vec![
            Err(down()),
            Ok(None),
            Ok(Some(added)),
            Ok(Some(DirectoryChanges::Nothing(mark(3)))),
            Err(down()),
            Err(DirectoryError::Slow),
            Ok(Some(DirectoryChanges::Unknown)),
            Ok(None),
            Ok(None),
        ];
        let clock = Arc::new(Told::default());
        let reader = Arc::new(Scripted(StdMutex::new(script)));
        let pace = DirectoryPace { whole_every: Duration::from_secs(100) };
        let keeper = DirectoryKeeper::new(reader, clock.clone(), pace);
        let at = |seconds| *clock.0.lock().unwrap() = Duration::from_secs(seconds);

        assert_eq!(keeper.refresh(false).await, Err(down()));
        assert_eq!(keeper.snapshot(), None);
        at(1);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Whole));
        at(2);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Changed));
        at(3);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Same));
        let good = keeper.snapshot().unwrap();
        assert_eq!((good.entries.len(), good.mark.usn), (1, 3));
        at(4);
        assert_eq!(keeper.refresh(false).await, Err(down()));
        at(5);
        assert_eq!(keeper.refresh(false).await, Err(DirectoryError::Slow));
        assert_eq!(keeper.snapshot(), Some(good));
        let status = keeper.status();
        let trouble = DirectoryTrouble { error: DirectoryError::Slow, since: UtcMillis(4_000), looks: 2 };
        assert_eq!(status.trouble, Some(trouble));
        let good = status.good.unwrap();
        assert_eq!((good.at, good.whole_at, good.entries), (UtcMillis(3_000), UtcMillis(1_000), 1));
        assert_eq!(*keeper.generation().borrow(), 2, "a mark alone is no change");
        at(6);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Whole), "nobody can tell what changed");
        assert_eq!(keeper.status().trouble, None);
        at(200);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Whole), "one is due");
    }

    #[tokio::test]
    async fn what_was_kept_before_a_restart_is_in_force_and_stale_until_a_look_goes_well() {
        let unit = Entry { dn: "OU=A,DC=x".to_owned(), ..Entry::default() };
        let entries = BTreeMap::from([(Dn::new("OU=A,DC=x").unwrap(), unit)]);
        let snapshot = DirectorySnapshot { mark: mark(7), entries };
        let script = vec![Err(DirectoryError::Slow), Ok(Some(DirectoryChanges::Nothing(mark(7)))), Ok(None)];
        let clock = Arc::new(Told::default());
        let reader = Arc::new(Scripted(StdMutex::new(script)));
        let pace = DirectoryPace { whole_every: Duration::from_secs(100) };
        let keeper = DirectoryKeeper::new(reader, clock.clone(), pace);
        *clock.0.lock().unwrap() = Duration::from_secs(1_000);

        keeper.restore(snapshot.clone(), UtcMillis(990_000), UtcMillis(950_000)).await;
        assert_eq!(keeper.snapshot().as_deref(), Some(&snapshot));
        assert!(keeper.status().is_stale());
        assert_eq!(*keeper.generation().borrow(), 1);
        assert_eq!(keeper.refresh(false).await, Err(DirectoryError::Slow));
        assert!(keeper.status().good.unwrap().restored);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Same), "its mark still tells what changed");
        assert!(!keeper.status().is_stale());
        *clock.0.lock().unwrap() = Duration::from_secs(1_050);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Whole), "the whole reading was 100 s ago");
    }
}
