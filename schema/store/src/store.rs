//! The store: what the other rooms hold.

use std::sync::Arc;

use postern_wire::terms::UtcMillis;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    ambient::Ambient,
    errors::{ReadError, StoreError, WriteError},
    options::Options,
    tx::{Reader, Tx},
};

/// A handle to the database; clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Whether this store may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Another core holds the epoch; this one watches it.
    Standby,
    /// This core holds the epoch.
    Active {
        /// Its number; grows with every take-over.
        epoch: i64,
    },
    /// This core held the epoch and lost it. It writes nothing more; the process should end.
    Lost,
    /// The store was shut down.
    Stopped,
}

/// Which backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Which backend.
    pub kind: Kind,
    /// Whether the database answered the last time it was asked.
    pub up: bool,
    /// Since when it does not.
    pub lost_since: Option<UtcMillis>,
    /// Writes that wait.
    pub queue_depth: usize,
    /// How many may wait.
    pub queue_limit: usize,
    /// The last commit.
    pub last_commit: Option<UtcMillis>,
    /// Whether this core may write.
    pub activity: Activity,
}

struct Inner {
    activity: watch::Receiver<Activity>,
}

impl Store {
    /// Opens the database, brings its schema up to date, and starts the threads. Blocks; call it off the runtime.
    /// The store is active or stands by: see [`Store::activity`].
    pub fn open(options: Options, ambient: Ambient) -> Result<Self, StoreError> {
        let _ = (options, ambient);
        Err(StoreError::Configuration("not there yet".to_owned()))
    }

    /// Writes. `work` runs inside a transaction that it shares with other callers; it may run more than once
    /// (each time from the same state of the database), so it changes nothing outside. Resolves after COMMIT.
    pub fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T, WriteError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let _ = (&self.inner, work);
        async { Err(WriteError::Stopped) }
    }

    /// Writes before all others, with a reserve beyond a full queue: wipes.
    pub fn write_urgent<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, WriteError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let _ = work;
        async { Err(WriteError::Stopped) }
    }

    /// Reads on a reader's thread, in one read transaction.
    pub fn read<T, F>(&self, work: F) -> impl Future<Output = Result<T, ReadError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let _ = work;
        async { Err(ReadError::Stopped) }
    }

    /// Reads without a transaction around: right for one statement, and the cheapest.
    pub fn look_up<T, F>(&self, work: F) -> impl Future<Output = Result<T, ReadError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let _ = work;
        async { Err(ReadError::Stopped) }
    }

    /// [`Store::write`] for a thread that is not a runtime's.
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let _ = work;
        Err(WriteError::Stopped)
    }

    /// [`Store::read`] for a thread that is not a runtime's.
    pub fn read_blocking<T, F>(&self, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let _ = work;
        Err(ReadError::Stopped)
    }

    /// Whether this store may write, now and as it changes.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.inner.activity.clone()
    }

    /// Waits until this core is active. False when it never will be (lost, stopped).
    pub async fn active(&self) -> bool {
        false
    }

    /// How the store is.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            kind: Kind::Sqlite,
            up: false,
            lost_since: None,
            queue_depth: 0,
            queue_limit: 0,
            last_commit: None,
            activity: *self.inner.activity.borrow(),
        }
    }

    /// Who this store holds the epoch as.
    #[must_use]
    pub fn holder(&self) -> Uuid {
        Uuid::nil()
    }

    /// Commits what waits, releases the epoch, and stops the threads. Blocks until they have ended.
    pub fn shutdown(&self) {}
}
