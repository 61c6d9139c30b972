//! The directory as it was last read well: kept up to date, and kept in force while the directory is in trouble.
//!
//! Promise: what [`DirectoryKeeper::snapshot`] gives was whole when it was read; a look that fails changes nothing of
//! it, and [`DirectoryKeeper::status`] says since when and why. One look at a time.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use postern_wire::terms::UtcMillis;
use tokio::sync::Mutex;

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
    pace: DirectoryPace,
    kept: RwLock<Kept>,
    look: Mutex<()>,
}

#[derive(Default)]
struct Kept {
    snapshot: Option<Arc<DirectorySnapshot>>,
    status: DirectoryStatus,
    /// Monotonic.
    whole_at: Duration,
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
        Self { reader, clock, pace, kept: RwLock::default(), look: Mutex::default() }
    }

    /// The last good snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<DirectorySnapshot>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).snapshot.clone()
    }

    /// How it is with the directory.
    #[must_use]
    pub fn status(&self) -> DirectoryStatus {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// Looks at what changed; reads everything where `whole` wants it, where it is due, and where only that tells.
    ///
    /// # Errors
    /// What is wrong with the directory; the snapshot stays.
    pub async fn refresh(&self, whole: bool) -> Result<DirectoryLook, DirectoryError> {
        let _one = self.look.lock().await;
        let looked = self.look(whole).await;
        let now = self.clock.wall();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        match looked {
            Ok((look, snapshot)) => {
                if look == DirectoryLook::Whole {
                    kept.whole_at = self.clock.monotonic();
                }
                let before = kept.status.good.take().filter(|_| look != DirectoryLook::Whole);
                kept.status = DirectoryStatus {
                    good: Some(GoodDirectory {
                        mark: snapshot.mark.clone(),
                        entries: snapshot.entries.len(),
                        at: now,
                        whole_at: before.map_or(now, |good| good.whole_at),
                    }),
                    trouble: None,
                };
                kept.snapshot = Some(snapshot);
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

    async fn look(&self, whole: bool) -> Result<(DirectoryLook, Arc<DirectorySnapshot>), DirectoryError> {
        let (before, whole_at) = {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            (kept.snapshot.clone(), kept.whole_at)
        };
        let is_due = self.clock.monotonic().saturating_sub(whole_at) >= self.pace.whole_every;
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
        at(6);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Whole), "nobody can tell what changed");
        assert_eq!(keeper.status().trouble, None);
        at(200);
        assert_eq!(keeper.refresh(false).await, Ok(DirectoryLook::Whole), "one is due");
    }
}
