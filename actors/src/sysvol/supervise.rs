//! SYSVOL's supervisor: reads what the directory's GPOs ask for when the directory changes, tries again what could not be read, and says
//! when SYSVOL is behind.

use std::{
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Duration,
};

use postern_store::{
    Reader, Sealer, Store, StoreError, WriteError,
    alarms::{self, Severity},
    sysvol as table,
};
use postern_wire::terms::UtcMillis;
use tokio::sync::{Mutex, watch};

use super::{Dn, SysvolCache, SysvolLook, SysvolState, SysvolStatus, kept};
use crate::{
    DirectoryKeeper, DirectoryView,
    abilities::{Clock, Randomness},
};

/// The alarm of a SYSVOL that is not what the directory says.
pub const STALE: &str = "sysvol-stale";
/// What that alarm is about.
const SUBJECT: &str = "sysvol";
/// What passes by itself is told when it has lasted so long.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// How long after a whole look the next one is due, until the setting was read.
const WHOLE_EVERY: Duration = Duration::from_secs(8 * 3600);
/// GPOs that an alarm names.
const NAMED: usize = 5;

/// What is set for SYSVOL; asked before each look.
pub trait SysvolRules: Send + Sync + 'static {
    /// How long after a whole look the next one is due.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn whole_every(&self, r: &mut Reader) -> Result<Duration, StoreError>;
}

/// What the supervisor needs.
pub struct SysvolParts {
    /// What is kept.
    pub cache: Arc<SysvolCache>,
    /// The directory whose GPOs are asked for.
    pub directory: Arc<DirectoryKeeper>,
    /// The store.
    pub store: Store,
    /// Seals what is kept.
    pub sealer: Arc<Sealer>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Randomness>,
    /// How often what is not good is tried again.
    pub again_every: Duration,
    /// Says what is set.
    pub rules: Arc<dyn SysvolRules>,
}

/// SYSVOL's supervisor: a handle, cheap to clone.
#[derive(Clone)]
pub struct SysvolSupervisor {
    inner: Arc<Inner>,
}

struct Inner {
    parts: SysvolParts,
    /// When all was last read, whatever the versions said; monotonic.
    whole_at: Mutex<Option<Duration>>,
    /// How long after that it is due again, as last read.
    whole_every: StdMutex<Duration>,
    /// Which directory's GPOs the store's folders were last held against.
    swept: StdMutex<Option<u64>>,
}

impl SysvolSupervisor {
    /// A supervisor that has not looked yet.
    #[must_use]
    pub fn new(parts: SysvolParts) -> Self {
        let inner = Inner {
            parts,
            whole_at: Mutex::default(),
            whole_every: StdMutex::new(WHOLE_EVERY),
            swept: StdMutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes the folders of before the start back into force. What cannot be read back is said and left.
    pub async fn restore(&self) {
        let parts = &self.inner.parts;
        match kept::load(&parts.store, &parts.sealer).await {
            Ok(all) if all.is_empty() => {}
            Ok(all) => {
                let folders = all.len();
                parts.cache.restore(all).await;
                tracing::info!(folders, "SYSVOL as it was last read is in force until it is read again");
            }
            Err(error) => tracing::error!(%error, "SYSVOL as it was last read is not taken back"),
        }
    }

    /// What is kept.
    #[must_use]
    pub fn cache(&self) -> &Arc<SysvolCache> {
        &self.inner.parts.cache
    }

    /// Looks whenever the directory is another, and by a timer. Runs until it is dropped.
    pub async fn keep_looking(self) {
        let mut directory: watch::Receiver<u64> = self.inner.parts.directory.generation();
        loop {
            self.refresh(false).await;
            tokio::select! {
                changed = directory.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(self.inner.parts.again_every) => {}
            }
        }
    }

    /// Looks now; with `whole`, or where that is due, every folder is read whatever the versions say. Without a directory there is
    /// nothing to read.
    pub async fn refresh(&self, whole: bool) -> Option<SysvolLook> {
        let parts = &self.inner.parts;
        let view = parts.directory.view()?;
        let mut whole_at = self.inner.whole_at.lock().await;
        let now = parts.clock.monotonic();
        let whole_every = self.whole_every().await;
        let is_due = whole_at.is_some_and(|at| now.saturating_sub(at) >= whole_every);
        let look = parts.cache.refresh(&view.directory, whole || is_due).await;
        if whole || is_due || whole_at.is_none() {
            *whole_at = Some(now);
        }
        drop(whole_at);
        if look.changed {
            tracing::info!(asked = look.asked, troubles = look.troubles, "SYSVOL was read");
        } else if look.troubles > 0 {
            tracing::debug!(troubles = look.troubles, "SYSVOL is not what the directory says");
        }
        if let Err(error) = self.keep(&view).await {
            tracing::warn!(%error, "SYSVOL was not written down; it is with a later look");
        }
        if let Err(error) = self.tell().await {
            tracing::warn!(%error, "SYSVOL's alarm waits for the database");
        }
        Some(look)
    }

    /// What is set; while the database does not answer, what was set before.
    async fn whole_every(&self) -> Duration {
        let rules = Arc::clone(&self.inner.parts.rules);
        let set = self.inner.parts.store.look_up(move |r| rules.whole_every(r)).await.ok();
        let mut kept = self.inner.whole_every.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = set.unwrap_or(*kept);
        *kept
    }

    /// Writes down the folders that are others, and forgets those of GPOs that are gone.
    async fn keep(&self, view: &DirectoryView) -> Result<(), WriteError> {
        let parts = &self.inner.parts;
        for (dn, contents) in parts.cache.unkept() {
            let now = parts.clock.wall();
            let pass = parts.random.id(now);
            kept::keep(&parts.store, &parts.sealer, pass, &dn, &contents, now).await?;
            parts.cache.was_kept(&dn, &contents);
        }
        let swept = *self.inner.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept == Some(view.generation) {
            return Ok(());
        }
        let directory = Arc::clone(&view.directory);
        parts
            .store
            .write(move |tx| {
                for gpo in table::gpos(tx)? {
                    if !Dn::new(&gpo).is_ok_and(|dn| directory.gpos().contains_key(&dn)) {
                        table::forget(tx, &gpo)?;
                    }
                }
                Ok(())
            })
            .await?;
        *self.inner.swept.lock().unwrap_or_else(PoisonError::into_inner) = Some(view.generation);
        Ok(())
    }

    /// Raises the alarm, or clears it.
    async fn tell(&self) -> Result<(), WriteError> {
        let parts = &self.inner.parts;
        let status = parts.cache.status();
        match said(&status, parts.clock.wall()) {
            Some(text) => {
                let raise =
                    parts.store.write(move |tx| alarms::raise(tx, Severity::Warning, STALE, SUBJECT, &text));
                raise.await.map(drop)
            }
            None if status.troubles().next().is_some() => Ok(()),
            None => {
                let open = parts.store.look_up(|r| alarms::open(r, STALE, SUBJECT)).await;
                if !matches!(open, Ok(Some(_))) {
                    return Ok(());
                }
                let clear = parts
                    .store
                    .write(|tx| alarms::clear(tx, STALE, SUBJECT, "SYSVOL holds what the directory says"));
                clear.await.map(drop)
            }
        }
    }
}

/// What is to be told; what passes by itself only when it has lasted.
fn said(status: &SysvolStatus, now: UtcMillis) -> Option<String> {
    let patience = i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX);
    let lasts = |since: UtcMillis| now.0.saturating_sub(since.0) >= patience;
    let told: Vec<String> = status
        .troubles()
        .filter(|(_, gpo)| match &gpo.state {
            SysvolState::Same | SysvolState::Unknown => false,
            SysvolState::Refused(error) if !error.passes() => true,
            _ => lasts(gpo.since),
        })
        .map(|(_, gpo)| {
            let held = gpo
                .in_force
                .map_or("nothing of it is in force".to_owned(), |v| format!("version {v} is in force"));
            format!("{:?}: {}; {held}", gpo.name, gpo.said())
        })
        .collect();
    let first = told.iter().take(NAMED).cloned().collect::<Vec<_>>().join(". ");
    match told.len() {
        0 => None,
        count if count > NAMED => Some(format!("{count} GPOs. {first} …")),
        _ => Some(first),
    }
}
