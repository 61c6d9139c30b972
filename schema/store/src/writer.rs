//! The writer: one thread, one connection, many callers' writes in one transaction.
//!
//! Promise: a caller hears `Ok` only after COMMIT. A batch that fails is rolled back and run again with a savepoint
//! around each caller, so that only the one that fails is refused. Each batch leaves its id in `batches`; when the
//! connection dies at COMMIT, the id tells afterwards whether it went through. While the database is away, writes
//! are held and tried again, then refused.

mod batch;

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::{counter, gauge};
use postern_wire::terms::UtcMillis;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::{
    ambient::Ambient,
    conn::{Conn, Purpose},
    epoch::{Epoch, Look},
    errors::{StoreError, WriteError},
    migrate,
    options::{Options, Place},
    queue::Queue,
    reserve::Reserve,
    store::Activity,
    tx::Tx,
};
use batch::Outcome;

/// How long the first wait for a lost database is; it doubles up to a second.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// How often old batch rows are removed.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// One caller's write.
pub(crate) trait Work: Send {
    /// Whether it may have the disk reserve.
    fn is_urgent(&self) -> bool;
    /// Does it, inside a transaction. May be called again after a rollback.
    fn run(&mut self, tx: &mut Tx) -> Result<(), StoreError>;
    /// Tells the caller.
    fn resolve(self: Box<Self>, outcome: Result<(), WriteError>);
}

/// What the writer shares with the handles.
pub(crate) struct Shared {
    pub(crate) queue: Queue<Box<dyn Work>>,
    pub(crate) condition: Mutex<Condition>,
    pub(crate) activity: watch::Sender<Activity>,
}

/// How the database was when it was asked last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    pub(crate) lost_since: Option<UtcMillis>,
    pub(crate) last_commit: Option<UtcMillis>,
}

impl Shared {
    pub(crate) fn condition(&self) -> Condition {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Condition)) {
        change(&mut self.condition.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A typed write and the caller that waits for it.
pub(crate) struct Call<T, F> {
    pub(crate) work: F,
    pub(crate) urgent: bool,
    pub(crate) value: Option<T>,
    pub(crate) reply: oneshot::Sender<Result<T, WriteError>>,
}

impl<T, F> Work for Call<T, F>
where
    T: Send,
    F: FnMut(&mut Tx) -> Result<T, StoreError> + Send,
{
    fn is_urgent(&self) -> bool {
        self.urgent
    }

    fn run(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        self.value = None;
        self.value = Some((self.work)(tx)?);
        Ok(())
    }

    fn resolve(self: Box<Self>, outcome: Result<(), WriteError>) {
        let answer = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(WriteError::Stopped),
            (Err(error), _) => Err(error),
        };
        // A caller that no longer waits has nothing to be told.
        let _ = self.reply.send(answer);
    }
}

/// The thread's state.
pub(crate) struct Writer {
    options: Options,
    ambient: Ambient,
    shared: Arc<Shared>,
    epoch: Epoch,
    reserve: Option<Reserve>,
    tx: Option<Tx>,
    lost: Option<Lost>,
    held: Option<Held>,
    renewed: Duration,
    trimmed: Duration,
    crowded: bool,
}

/// The database is away.
struct Lost {
    since: UtcMillis,
    started: Duration,
    backoff: Duration,
    cause: String,
}

/// A batch whose fate is open: to be looked up, or run again.
struct Held {
    id: Uuid,
    jobs: Vec<Box<dyn Work>>,
}

impl Writer {
    pub(crate) fn new(options: Options, ambient: Ambient, shared: Arc<Shared>) -> Self {
        let epoch = Epoch::new(&options);
        let reserve = match &options.place {
            Place::Sqlite { path } if options.disk_reserve > 0 => {
                let mut name = path.clone().into_os_string();
                name.push(".reserve");
                Some(Reserve::new(name.into(), options.disk_reserve))
            }
            _ => None,
        };
        Self {
            options,
            ambient,
            shared,
            epoch,
            reserve,
            tx: None,
            lost: None,
            held: None,
            renewed: Duration::ZERO,
            trimmed: Duration::ZERO,
            crowded: false,
        }
    }

    /// Connects, migrates, and looks at the epoch once. A database that is away is waited for.
    pub(crate) fn start(&mut self) -> Result<(), StoreError> {
        let started = self.elapsed();
        let mut backoff = FIRST_BACKOFF;
        loop {
            let tried = self.prepare();
            let waited = self.elapsed().saturating_sub(started);
            match tried {
                Err(StoreError::Lost(_) | StoreError::Busy(_)) if waited < self.options.retry_for => {
                    std::thread::sleep(backoff);
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                }
                other => return other,
            }
        }
    }

    fn prepare(&mut self) -> Result<(), StoreError> {
        let mut conn = Conn::open(&self.options, Purpose::Write)?;
        let applied = migrate::run(&mut conn, self.options.lock_timeout)?;
        if applied > 0 {
            tracing::info!(migrations = applied, "brought the database's schema up to date");
        }
        self.tx = Some(Tx::new(conn, self.ambient.clone()));
        self.look()
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        loop {
            let activity = *self.shared.activity.borrow();
            let ended = match activity {
                _ if self.lost.is_some() => self.wait_for_database(),
                Activity::Active { epoch } => self.serve(epoch),
                Activity::Standby => self.stand_by(),
                Activity::Lost | Activity::Stopped => self.refuse(),
            };
            if ended {
                break;
            }
        }
        self.stop();
    }

    // --- active

    fn serve(&mut self, epoch: i64) -> bool {
        let due = (self.renewed + self.options.renew_every).saturating_sub(self.elapsed());
        let Some(first) = self.shared.queue.pop(due) else {
            if self.shared.queue.is_closed() {
                return true;
            }
            self.commit(epoch, Vec::new());
            return false;
        };
        let jobs = self.gather(first);
        self.crowded = jobs.len() > 1;
        self.commit(epoch, jobs);
        false
    }

    /// Takes what waits. A batch that is not full lingers for company only when the one before had company: a
    /// lone caller is not made to wait.
    fn gather(&self, first: Box<dyn Work>) -> Vec<Box<dyn Work>> {
        let mut jobs = vec![first];
        let until = self.elapsed() + self.options.batch_linger;
        while jobs.len() < self.options.batch_limit {
            if let Some(job) = self.shared.queue.try_pop() {
                jobs.push(job);
                continue;
            }
            let left = until.saturating_sub(self.elapsed());
            if !self.crowded || left.is_zero() {
                break;
            }
            match self.shared.queue.pop(left) {
                Some(job) => jobs.push(job),
                None => break,
            }
        }
        jobs
    }

    fn commit(&mut self, epoch: i64, jobs: Vec<Box<dyn Work>>) {
        let id = (self.ambient.id)();
        self.carry_out(epoch, Held { id, jobs });
    }

    fn carry_out(&mut self, epoch: i64, held: Held) {
        let Some(mut tx) = self.tx.take() else {
            self.lose(held, "not connected".to_owned());
            return;
        };
        let begun = self.elapsed();
        let now = (self.ambient.now)();
        tx.starts_at(now);
        let renew = begun.saturating_sub(self.renewed) >= self.options.renew_every / 2;
        let trim = begun.saturating_sub(self.trimmed) >= TRIM_EVERY;
        let keep_ms = i64::try_from(self.options.keep_batches_for.as_millis()).unwrap_or(i64::MAX);
        let terms = batch::Terms { id: held.id, epoch, renew, trim_before: trim.then(|| now.plus(-keep_ms)) };
        let outcome = batch::carry_out(&mut tx, &mut self.epoch, &terms, held.jobs);
        match outcome {
            Outcome::Committed(answers) => {
                self.tx = Some(tx);
                let took = self.elapsed().saturating_sub(begun);
                let starved = self.committed(now, begun, renew, trim, took, answers);
                if !starved.is_empty() {
                    tracing::warn!(jobs = starved.len(), "the disk is full; urgent writes use the reserve");
                    self.commit(epoch, starved);
                }
            }
            Outcome::NotActive(jobs) => {
                self.tx = Some(tx);
                tracing::error!(epoch, "another core took over; this one writes nothing more");
                self.become_(Activity::Lost);
                resolve_all(jobs, &WriteError::NotActive);
            }
            Outcome::NotRenewed(error) => {
                tracing::warn!(%error, "the epoch was not renewed");
                self.tx = Some(tx);
                self.renewed = begun;
            }
            Outcome::Lost(jobs, cause) => self.lose(Held { id: held.id, jobs }, cause),
        }
    }

    /// Tells the callers. Gives back the urgent jobs that found the disk full, when the reserve was there to give.
    fn committed(
        &mut self,
        now: UtcMillis,
        begun: Duration,
        renewed: bool,
        trimmed: bool,
        took: Duration,
        answers: batch::Answers,
    ) -> Vec<Box<dyn Work>> {
        if renewed {
            self.renewed = begun;
        }
        if trimmed {
            self.trimmed = begun;
            if let Some(reserve) = &self.reserve {
                reserve.lay_down();
            }
        }
        self.shared.set(|c| c.last_commit = Some(now));
        if !answers.is_empty() {
            metrics::histogram!("postern_store_batch_jobs").record(as_f64(answers.len()));
            metrics::histogram!("postern_store_commit_seconds").record(took.as_secs_f64());
        }
        let is_starved = |job: &dyn Work, answer: &Result<(), StoreError>| {
            job.is_urgent() && matches!(answer, Err(StoreError::Full(_)))
        };
        let spent = answers.iter().any(|(job, answer)| is_starved(job.as_ref(), answer))
            && self.reserve.as_ref().is_some_and(Reserve::spend);
        let mut starved = Vec::new();
        for (job, answer) in answers {
            if spent && is_starved(job.as_ref(), &answer) {
                starved.push(job);
                continue;
            }
            counter!("postern_store_writes_total", "outcome" => if answer.is_ok() { "ok" } else { "rejected" })
                .increment(1);
            job.resolve(answer.map_err(WriteError::Rejected));
        }
        starved
    }

    // --- the database is away

    fn lose(&mut self, held: Held, cause: String) {
        self.tx = None;
        let since = (self.ambient.now)();
        if self.lost.is_none() {
            tracing::warn!(cause, "the database is lost; writes are held");
            counter!("postern_store_lost_total").increment(1);
            self.shared.set(|c| c.lost_since = Some(since));
        }
        let started = self.elapsed();
        let lost = self.lost.take();
        self.lost = Some(match lost {
            Some(lost) => Lost { cause, ..lost },
            None => Lost { since, started, backoff: FIRST_BACKOFF, cause },
        });
        if !held.jobs.is_empty() {
            self.held = Some(held);
        }
    }

    /// One try to get the database back. True when the store was shut down meanwhile.
    fn wait_for_database(&mut self) -> bool {
        let Some(lost) = &mut self.lost else { return false };
        let backoff = lost.backoff;
        lost.backoff = (backoff * 2).min(LONGEST_BACKOFF);
        let unavailable = WriteError::Unavailable { since: lost.since, cause: lost.cause.clone() };
        let started = lost.started;
        if self.shared.queue.wait_closed(backoff) {
            self.refuse_all(&unavailable);
            return true;
        }
        if self.elapsed().saturating_sub(started) >= self.options.retry_for {
            self.refuse_all(&unavailable);
        }
        match Conn::open(&self.options, Purpose::Write) {
            Ok(conn) => {
                self.tx = Some(Tx::new(conn, self.ambient.clone()));
                self.found();
            }
            Err(error) => {
                if let Some(lost) = &mut self.lost {
                    lost.cause = error.to_string();
                }
            }
        }
        false
    }

    /// Connected again: decides the fate of the held batch first.
    fn found(&mut self) {
        let activity = *self.shared.activity.borrow();
        let held = self.held.take();
        let Activity::Active { epoch } = activity else {
            self.back();
            return;
        };
        let Some(held) = held else {
            self.commit(epoch, Vec::new());
            if self.tx.is_some() {
                self.back();
            }
            return;
        };
        let Some(tx) = &mut self.tx else { return };
        match batch::is_recorded(tx, held.id) {
            Ok(true) => {
                tracing::info!(batch = %held.id, "the batch had been committed before the connection died");
                let now = (self.ambient.now)();
                self.shared.set(|c| c.last_commit = Some(now));
                for job in held.jobs {
                    job.resolve(Ok(()));
                }
                self.back();
            }
            Ok(false) => {
                self.carry_out(epoch, held);
                if self.tx.is_some() {
                    self.back();
                }
            }
            Err(error) => self.lose(held, error.to_string()),
        }
    }

    fn back(&mut self) {
        if self.lost.take().is_some() {
            tracing::info!("the database is back");
            self.shared.set(|c| c.lost_since = None);
        }
    }

    // --- standing by, and after

    fn stand_by(&mut self) -> bool {
        let until = self.elapsed() + self.options.poll_every;
        loop {
            let left = until.saturating_sub(self.elapsed());
            if left.is_zero() {
                break;
            }
            match self.shared.queue.pop(left) {
                Some(job) => job.resolve(Err(WriteError::NotActive)),
                None if self.shared.queue.is_closed() => return true,
                None => break,
            }
        }
        if let Err(error) = self.look() {
            self.epoch.forget();
            self.lose(Held { id: Uuid::nil(), jobs: Vec::new() }, error.to_string());
        }
        false
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let (now, elapsed) = ((self.ambient.now)(), self.elapsed());
        let Some(tx) = &mut self.tx else { return Err(StoreError::Lost("not connected".to_owned())) };
        if let Look::Taken(epoch) = self.epoch.look(&mut tx.conn, now, elapsed)? {
            tracing::info!(epoch, holder = %self.options.holder, "this core is the active one");
            self.renewed = elapsed;
            self.trimmed = elapsed;
            if let Some(reserve) = &self.reserve {
                reserve.lay_down();
            }
            self.become_(Activity::Active { epoch });
        }
        Ok(())
    }

    fn refuse(&self) -> bool {
        match self.shared.queue.pop(LONGEST_BACKOFF) {
            Some(job) => job.resolve(Err(WriteError::NotActive)),
            None if self.shared.queue.is_closed() => return true,
            None => {}
        }
        false
    }

    fn refuse_all(&mut self, error: &WriteError) {
        if let Some(held) = self.held.take() {
            resolve_all(held.jobs, error);
        }
        while let Some(job) = self.shared.queue.try_pop() {
            counter!("postern_store_writes_total", "outcome" => "unavailable").increment(1);
            job.resolve(Err(error.clone()));
        }
    }

    fn stop(&mut self) {
        let activity = *self.shared.activity.borrow();
        if let (Activity::Active { epoch }, Some(tx)) = (activity, &mut self.tx)
            && let Err(error) = self.epoch.release(&mut tx.conn, epoch)
        {
            tracing::warn!(%error, "the epoch could not be released; a standby waits its full time");
        }
        while let Some(job) = self.shared.queue.try_pop() {
            job.resolve(Err(WriteError::Stopped));
        }
        self.become_(Activity::Stopped);
    }

    fn become_(&self, activity: Activity) {
        let active = matches!(activity, Activity::Active { .. });
        gauge!("postern_store_active").set(if active { 1.0 } else { 0.0 });
        self.shared.activity.send_replace(activity);
    }

    fn elapsed(&self) -> Duration {
        (self.ambient.elapsed)()
    }
}

fn resolve_all(mut jobs: Vec<Box<dyn Work>>, error: &WriteError) {
    for job in mem::take(&mut jobs) {
        job.resolve(Err(error.clone()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric; queues are far shorter than 2^52")]
fn as_f64(n: usize) -> f64 {
    n as f64
}
