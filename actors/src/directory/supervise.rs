//! The directory's supervisor: looks by a timer, keeps what was read, and says when the directory is in trouble.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postern_store::{
    Reader, Sealer, Store, StoreError, WriteError,
    alarms::{self, Severity},
    directory as table,
};
use postern_wire::terms::UtcMillis;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    DirectoryKeeper, DirectoryLook, DirectoryPace, DirectoryStatus, DirectoryTrouble, StoredBindings, cache,
};
use crate::abilities::{BindRefusal, Clock, DirectoryError, Randomness};

/// The alarm of a directory that cannot be read.
pub const STALE: &str = "directory-stale";
/// What that alarm is about.
const SUBJECT: &str = "directory";
/// Looks in a row that fail before a trouble that may pass by itself is told.
const PATIENCE: u32 = 3;
/// After an account was refused, the next look of the timer waits so long: each try counts towards its lock-out.
const REFUSED_WAIT: Duration = Duration::from_secs(30 * 60);
/// The longest wait between two looks while the directory does not answer.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Between two writings of what changed; a whole reading is written at once.
const KEEP_EVERY: Duration = Duration::from_secs(5 * 60);

/// What is set for the directory; asked before each look.
pub trait DirectoryRules: Send + Sync + 'static {
    /// How long after a whole reading the next one is due.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    fn whole_every(&self, r: &mut Reader) -> Result<Duration, StoreError>;
}

/// What the supervisor needs.
pub struct DirectoryParts {
    /// Keeps the last good reading.
    pub keeper: Arc<DirectoryKeeper>,
    /// The store.
    pub store: Store,
    /// Seals what is kept.
    pub sealer: Arc<Sealer>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Randomness>,
    /// Says what is set.
    pub rules: Arc<dyn DirectoryRules>,
    /// How often it is looked for what changed.
    pub look_every: Duration,
}

/// The directory's supervisor: a handle, cheap to clone.
#[derive(Clone)]
pub struct DirectorySupervisor {
    inner: Arc<Inner>,
}

struct Inner {
    parts: DirectoryParts,
    written: Mutex<Written>,
    look: Notify,
}

/// What of the reading lies in the store.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    pass: Option<Uuid>,
    generation: u64,
    /// Monotonic.
    at: Option<Duration>,
}

impl DirectorySupervisor {
    /// A supervisor that has not looked yet.
    #[must_use]
    pub fn new(parts: DirectoryParts) -> Self {
        Self { inner: Arc::new(Inner { parts, written: Mutex::default(), look: Notify::new() }) }
    }

    /// The keeper.
    #[must_use]
    pub fn keeper(&self) -> &Arc<DirectoryKeeper> {
        &self.inner.parts.keeper
    }

    /// Who devices and their owners are, by this directory.
    #[must_use]
    pub fn bindings(&self) -> StoredBindings {
        StoredBindings::new(Arc::clone(self.keeper()))
    }

    /// Takes what was kept before the start back into force. What cannot be read back is said and left.
    pub async fn restore(&self) {
        let parts = &self.inner.parts;
        match cache::load(&parts.store, &parts.sealer).await {
            Ok(Some(kept)) => {
                let entries = kept.snapshot.entries.len();
                self.keeper().restore(kept.snapshot, kept.at, kept.whole_at).await;
                let generation = *self.keeper().generation().borrow();
                *self.written() = Written { pass: Some(kept.pass), generation, at: None };
                tracing::info!(entries, read_at = %kept.at, "the directory as it was last read is in force until it is read again");
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the directory as it was last read is not taken back"),
        }
    }

    /// Looks by the timer. Runs until it is dropped.
    pub async fn keep_looking(self) {
        loop {
            let looked = self.refresh(false).await;
            let wait = self.wait(looked.err());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.inner.look.notified() => {}
            }
        }
    }

    /// Something changed that the timer goes by.
    pub fn look(&self) {
        self.inner.look.notify_one();
    }

    /// Looks now; reads everything where `whole` wants it or it is due.
    ///
    /// # Errors
    /// What is wrong with the directory; what was read before stays in force.
    pub async fn refresh(&self, whole: bool) -> Result<DirectoryLook, DirectoryError> {
        let parts = &self.inner.parts;
        let rules = Arc::clone(&parts.rules);
        if let Ok(whole_every) = parts.store.look_up(move |r| rules.whole_every(r)).await {
            self.keeper().set_pace(DirectoryPace { whole_every });
        }
        let looked = self.keeper().refresh(whole).await;
        match &looked {
            Ok(DirectoryLook::Same) => {}
            Ok(look) => tracing::info!(?look, "the directory was read"),
            Err(error) => {
                tracing::warn!(%error, "the directory cannot be read; what was read before stays in force")
            }
        }
        if let Err(error) = self.keep(looked.as_ref().ok().copied()).await {
            tracing::warn!(%error, "the directory was not written down; it is with a later look");
        }
        if let Err(error) = self.tell().await {
            tracing::warn!(%error, "the directory's alarm waits for the database");
        }
        looked
    }

    fn wait(&self, error: Option<DirectoryError>) -> Duration {
        let every = self.inner.parts.look_every;
        let looks = self.keeper().status().trouble.map_or(0, |trouble| trouble.looks);
        match error {
            None => every,
            Some(DirectoryError::Refused(refusal)) if refusal != BindRefusal::NoRights => {
                REFUSED_WAIT.max(every)
            }
            Some(_) => every.saturating_mul(1 << looks.saturating_sub(1).min(8)).min(LONGEST_WAIT.max(every)),
        }
    }

    /// Writes down what was read, where it differs from what lies there.
    async fn keep(&self, look: Option<DirectoryLook>) -> Result<(), WriteError> {
        let parts = &self.inner.parts;
        let (Some(look), Some(view), Some(good)) = (look, self.keeper().view(), self.keeper().status().good)
        else {
            return Ok(());
        };
        let now = parts.clock.monotonic();
        let written = *self.written();
        let is_time = written.at.is_none_or(|at| now.saturating_sub(at) >= KEEP_EVERY);
        if look != DirectoryLook::Whole && !is_time {
            return Ok(());
        }
        let same =
            written.pass.filter(|_| written.generation == view.generation && look != DirectoryLook::Whole);
        let pass = match same {
            Some(pass) => {
                let usn = i64::try_from(view.snapshot.mark.usn).unwrap_or(i64::MAX);
                parts.store.write(move |tx| table::still_good(tx, pass, usn, good.at)).await?;
                pass
            }
            None => {
                let pass = parts.random.id(parts.clock.wall());
                cache::keep(&parts.store, &parts.sealer, pass, &view.snapshot, good.at, good.whole_at)
                    .await?;
                pass
            }
        };
        *self.written() = Written { pass: Some(pass), generation: view.generation, at: Some(now) };
        Ok(())
    }

    /// Raises the alarm, or clears it.
    async fn tell(&self) -> Result<(), WriteError> {
        let status = self.keeper().status();
        let store = &self.inner.parts.store;
        let text =
            status.trouble.as_ref().filter(|trouble| is_told(trouble)).map(|trouble| said(trouble, &status));
        match text {
            Some(text) => {
                let raised =
                    store.write(move |tx| alarms::raise(tx, Severity::Warning, STALE, SUBJECT, &text));
                raised.await.map(drop)
            }
            None if status.trouble.is_some() => Ok(()),
            None => {
                let open = store.look_up(|r| alarms::open(r, STALE, SUBJECT)).await;
                if !matches!(open, Ok(Some(_))) {
                    return Ok(());
                }
                let cleared =
                    store.write(|tx| alarms::clear(tx, STALE, SUBJECT, "the directory was read again"));
                cleared.await.map(drop)
            }
        }
    }

    fn written(&self) -> std::sync::MutexGuard<'_, Written> {
        self.inner.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What cannot pass by itself is told at once.
const fn is_told(trouble: &DirectoryTrouble) -> bool {
    trouble.looks >= PATIENCE
        || matches!(
            trouble.error,
            DirectoryError::Certificate(_)
                | DirectoryError::ClearText(_)
                | DirectoryError::Refused(_)
                | DirectoryError::TooLarge(_)
        )
}

fn said(trouble: &DirectoryTrouble, status: &DirectoryStatus) -> String {
    let since: UtcMillis = trouble.since;
    match &status.good {
        Some(good) => format!(
            "{}, since {since}; policy goes by what was read at {} until it can be read again",
            trouble.error, good.at
        ),
        None => format!("{}, since {since}; it was never read, so no policy comes from it", trouble.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_pass_by_itself_is_told_at_once_and_the_rest_when_it_lasts() {
        let trouble = |error, looks| DirectoryTrouble { error, since: UtcMillis(0), looks };
        assert!(is_told(&trouble(DirectoryError::Refused(BindRefusal::Locked), 1)));
        assert!(is_told(&trouble(DirectoryError::Certificate("unknown issuer".to_owned()), 1)));
        assert!(!is_told(&trouble(DirectoryError::Slow, 2)));
        assert!(is_told(&trouble(DirectoryError::Slow, 3)));
    }
}
