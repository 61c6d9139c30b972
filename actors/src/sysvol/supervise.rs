//! SYSVOL's supervisor: reads what the directory's GPOs ask for when the directory changes, tries again what could not be read, and says
//! when SYSVOL is behind.

use std::{sync::Arc, time::Duration};

use postern_store::{
    Store, WriteError,
    alarms::{self, Severity},
};
use postern_wire::terms::UtcMillis;
use tokio::sync::{Mutex, watch};

use super::{SysvolCache, SysvolLook, SysvolState, SysvolStatus};
use crate::{DirectoryKeeper, abilities::Clock};

/// The alarm of a SYSVOL that is not what the directory says.
pub const STALE: &str = "sysvol-stale";
/// What that alarm is about.
const SUBJECT: &str = "sysvol";
/// What passes by itself is told when it has lasted so long.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// GPOs that an alarm names.
const NAMED: usize = 5;

/// What the supervisor needs.
pub struct SysvolParts {
    /// What is kept.
    pub cache: Arc<SysvolCache>,
    /// The directory whose GPOs are asked for.
    pub directory: Arc<DirectoryKeeper>,
    /// The store.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How often what is not good is tried again.
    pub again_every: Duration,
    /// How long after a whole look the next one is due.
    pub whole_every: Duration,
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
}

impl SysvolSupervisor {
    /// A supervisor that has not looked yet.
    #[must_use]
    pub fn new(parts: SysvolParts) -> Self {
        Self { inner: Arc::new(Inner { parts, whole_at: Mutex::default() }) }
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
        let is_due = whole_at.is_some_and(|at| now.saturating_sub(at) >= parts.whole_every);
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
        if let Err(error) = self.tell().await {
            tracing::warn!(%error, "SYSVOL's alarm waits for the database");
        }
        Some(look)
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
