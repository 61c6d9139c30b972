//! The store: what the other rooms hold.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use postern_wire::terms::UtcMillis;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::{
    ambient::Ambient,
    errors::{ReadError, StoreError, WriteError},
    options::{Options, Place},
    queue::{NotTaken, Queue, Urgency},
    readers::{self, Question},
    tx::{Reader, Tx},
    writer::{self, Shared, Work, Writer},
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
    options: Options,
    writes: Arc<Shared>,
    reads: Arc<Queue<Box<dyn Question>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Opens the database, brings its schema up to date, and starts the threads. Blocks; call it off the runtime.
    /// The store is active or stands by: see [`Store::activity`]. A database that is away is waited for, up to
    /// [`Options::retry_for`].
    pub fn open(options: Options, ambient: Ambient) -> Result<Self, StoreError> {
        let writes = Arc::new(Shared {
            queue: Queue::new(options.queue_limit, options.urgent_reserve),
            condition: Mutex::default(),
            activity: watch::Sender::new(Activity::Standby),
        });
        let reads = Arc::new(Queue::new(options.read_queue_limit, 0));
        let mut threads = Vec::with_capacity(options.readers + 1);

        let (told, started) = mpsc::channel();
        let mut writer = Writer::new(options.clone(), ambient.clone(), writes.clone());
        threads.push(thread("postern-writer", move || {
            let start = writer.start();
            let ready = start.is_ok();
            if told.send(start).is_ok() && ready {
                writer.run();
            }
        })?);
        started.recv().map_err(|_| StoreError::Configuration("the writer's thread died".to_owned()))??;

        for n in 0..options.readers.max(1) {
            let (options, ambient, reads) = (options.clone(), ambient.clone(), reads.clone());
            threads.push(thread(&format!("postern-reader-{n}"), move || {
                readers::serve(&options, &ambient, &reads);
            })?);
        }
        let inner = Inner { options, writes, reads, threads: Mutex::new(threads) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes. `work` runs inside a transaction that it shares with other callers; it may run more than once
    /// (each time from the same state of the database), so it changes nothing outside. Resolves after COMMIT.
    ///
    /// An error from a topic function ends the work: return it. After `Unavailable` the write may, rarely, have
    /// been committed (the connection died at COMMIT and did not come back); rows with ids of the caller's make
    /// trying again safe.
    pub fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T, WriteError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit(work, Urgency::Normal)
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
        self.submit(work, Urgency::Urgent)
    }

    /// Reads on a reader's thread, in one read transaction: everything that `work` sees is of one moment.
    /// `work` may run twice, when the connection turns out to be stale.
    pub fn read<T, F>(&self, work: F) -> impl Future<Output = Result<T, ReadError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    {
        self.ask(work, true)
    }

    /// Reads without a transaction around: right for one statement, and the cheapest.
    pub fn look_up<T, F>(&self, work: F) -> impl Future<Output = Result<T, ReadError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    {
        self.ask(work, false)
    }

    /// [`Store::write`] for a thread that is not a runtime's.
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.push(work, Urgency::Normal, reply);
        answer.blocking_recv().unwrap_or(Err(WriteError::Stopped))
    }

    /// [`Store::read`] for a thread that is not a runtime's.
    pub fn read_blocking<T, F>(&self, work: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnMut(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.push_question(work, true, reply);
        answer.blocking_recv().unwrap_or(Err(ReadError::Stopped))
    }

    /// Whether this store may write, now and as it changes.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.inner.writes.activity.subscribe()
    }

    /// Waits until this core is active. False when it never will be (lost, stopped).
    pub async fn active(&self) -> bool {
        let mut activity = self.activity();
        let settled = activity.wait_for(|a| *a != Activity::Standby).await;
        settled.is_ok_and(|a| matches!(*a, Activity::Active { .. }))
    }

    /// How the store is.
    #[must_use]
    pub fn health(&self) -> Health {
        let condition = self.inner.writes.condition();
        Health {
            kind: match self.inner.options.place {
                Place::Sqlite { .. } => Kind::Sqlite,
                Place::Postgres(_) => Kind::Postgres,
            },
            up: condition.lost_since.is_none(),
            lost_since: condition.lost_since,
            queue_depth: self.inner.writes.queue.len(),
            queue_limit: self.inner.options.queue_limit,
            last_commit: condition.last_commit,
            activity: *self.inner.writes.activity.borrow(),
        }
    }

    /// Who this store holds the epoch as.
    #[must_use]
    pub fn holder(&self) -> Uuid {
        self.inner.options.holder
    }

    /// Commits what waits, releases the epoch, and stops the threads. Blocks until they have ended; call it off
    /// the runtime. Writes and reads after it are refused with `Stopped`.
    pub fn shutdown(&self) {
        self.inner.writes.queue.close();
        self.inner.reads.close();
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had panicked");
            }
        }
    }

    fn submit<T, F>(
        &self,
        work: F,
        urgency: Urgency,
    ) -> impl Future<Output = Result<T, WriteError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.push(work, urgency, reply);
        async move { answer.await.unwrap_or(Err(WriteError::Stopped)) }
    }

    fn push<T, F>(&self, work: F, urgency: Urgency, reply: oneshot::Sender<Result<T, WriteError>>)
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let call: Box<dyn Work> =
            Box::new(writer::Call { work, urgent: urgency == Urgency::Urgent, value: None, reply });
        if let Err((call, why)) = self.inner.writes.queue.push(call, urgency) {
            metrics::counter!("postern_store_writes_total", "outcome" => "refused").increment(1);
            call.resolve(Err(match why {
                NotTaken::Full => WriteError::Overloaded,
                NotTaken::Closed => WriteError::Stopped,
            }));
        }
    }

    fn ask<T, F>(
        &self,
        work: F,
        transaction: bool,
    ) -> impl Future<Output = Result<T, ReadError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.push_question(work, transaction, reply);
        async move { answer.await.unwrap_or(Err(ReadError::Stopped)) }
    }

    fn push_question<T, F>(&self, work: F, transaction: bool, reply: oneshot::Sender<Result<T, ReadError>>)
    where
        T: Send + 'static,
        F: FnMut(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let call: Box<dyn Question> = Box::new(readers::Call { work, transaction, value: None, reply });
        if let Err((call, why)) = self.inner.reads.push(call, Urgency::Normal) {
            call.resolve(Err(match why {
                NotTaken::Full => ReadError::Overloaded,
                NotTaken::Closed => ReadError::Stopped,
            }));
        }
    }
}

impl Drop for Inner {
    /// The last handle went without a shutdown: the threads commit what waits and end by themselves.
    fn drop(&mut self) {
        self.writes.queue.close();
        self.reads.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({:?})", self.health())
    }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|e| StoreError::Configuration(format!("no thread for {name}: {e}")))
}
