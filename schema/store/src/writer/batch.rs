//! One batch: the attempts that are made to commit it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::prelude::*;
use postern_wire::terms::UtcMillis;
use uuid::Uuid;

use super::Work;
use crate::{column::db, conn::each, epoch::Epoch, errors::StoreError, tables::batches::dsl as b, tx::Tx};

/// Jobs with what became of each.
pub(super) type Answers = Vec<(Box<dyn Work>, Result<(), StoreError>)>;

/// What a batch is committed under.
pub(super) struct Terms {
    pub(super) id: Uuid,
    pub(super) epoch: i64,
    pub(super) renew: bool,
    pub(super) trim_before: Option<UtcMillis>,
}

/// What became of a batch.
pub(super) enum Outcome {
    /// Committed; each job with its own answer.
    Committed(Answers),
    /// Rolled back: this core does not hold the epoch.
    NotActive(Vec<Box<dyn Work>>),
    /// There were no jobs, and the renewal of the epoch failed (a full disk): the next one may do better.
    NotRenewed(StoreError),
    /// The connection broke; whether the batch is committed is unknown.
    Lost(Vec<Box<dyn Work>>, String),
}

/// Why an attempt ended without a commit.
enum Broken {
    NotActive,
    Lost(String),
    /// A statement or COMMIT failed; the connection is fine and rolled back.
    Failed(StoreError),
}

/// Tries all jobs in one transaction; when that fails, with a savepoint around each; when that fails (SQLite may
/// drop the whole transaction when the disk is full), each in a transaction of its own.
pub(super) fn carry_out(
    tx: &mut Tx,
    epoch: &mut Epoch,
    terms: &Terms,
    mut jobs: Vec<Box<dyn Work>>,
) -> Outcome {
    match attempt(tx, epoch, terms, &mut jobs, together) {
        Ok(answers) => return committed(jobs, answers),
        Err(Broken::NotActive) => return Outcome::NotActive(jobs),
        Err(Broken::Lost(cause)) => return Outcome::Lost(jobs, cause),
        Err(Broken::Failed(error)) if jobs.is_empty() => return Outcome::NotRenewed(error),
        Err(Broken::Failed(error)) if jobs.len() == 1 => return committed(jobs, vec![Err(error)]),
        Err(Broken::Failed(_)) => {}
    }
    match attempt(tx, epoch, terms, &mut jobs, one_by_one) {
        Ok(answers) => committed(jobs, answers),
        Err(Broken::NotActive) => Outcome::NotActive(jobs),
        Err(Broken::Lost(cause)) => Outcome::Lost(jobs, cause),
        Err(Broken::Failed(_)) => alone(tx, epoch, terms, jobs),
    }
}

/// Whether a batch went through before its connection died. Its COMMIT may still be under way in the server's old
/// session: the exclusive lock on the epoch's row waits for that, as a take-over does.
pub(super) fn is_recorded(tx: &mut Tx, id: Uuid) -> Result<bool, StoreError> {
    tx.conn.begin_write()?;
    Epoch::lock_row(&mut tx.conn)?;
    let found: i64 = each!(tx.conn, c => b::batches.filter(b::id.eq(db(id))).count().get_result(c))?;
    tx.conn.run("ROLLBACK")?;
    Ok(found == 1)
}

fn committed(jobs: Vec<Box<dyn Work>>, answers: Vec<Result<(), StoreError>>) -> Outcome {
    Outcome::Committed(jobs.into_iter().zip(answers).collect())
}

type Run = fn(&mut Tx, &mut [Box<dyn Work>]) -> Result<Vec<Result<(), StoreError>>, StoreError>;

/// BEGIN, the epoch, the jobs, the batch's id, COMMIT.
///
/// The id is inserted last: on PostgreSQL a transaction in which any statement failed refuses it, so a job that
/// swallowed an error cannot make its batch look committed (COMMIT would then silently roll back).
fn attempt(
    tx: &mut Tx,
    epoch: &mut Epoch,
    terms: &Terms,
    jobs: &mut [Box<dyn Work>],
    run: Run,
) -> Result<Vec<Result<(), StoreError>>, Broken> {
    // A lock that somebody else holds for long is like a database that is away: held, and tried again.
    tx.conn.begin_write().map_err(|e| Broken::Lost(e.to_string()))?;
    let now = tx.now();
    match epoch.holds(&mut tx.conn, terms.epoch, terms.renew, now) {
        Ok(true) => {}
        Ok(false) => {
            return Err(match tx.conn.run("ROLLBACK") {
                Ok(()) => Broken::NotActive,
                Err(e) => Broken::Lost(e.to_string()),
            });
        }
        Err(error) => return Err(roll_back(tx, error)),
    }
    let answers = match run(tx, jobs) {
        Ok(answers) => answers,
        Err(error) => return Err(roll_back(tx, error)),
    };
    if let Err(error) = record(tx, terms) {
        return Err(roll_back(tx, error));
    }
    match tx.conn.run("COMMIT") {
        Ok(()) => Ok(answers),
        Err(error) => Err(roll_back(tx, error)),
    }
}

/// Leaves the transaction. When even that fails, or the statement's error says so, the connection is lost.
fn roll_back(tx: &mut Tx, error: StoreError) -> Broken {
    let left = tx.conn.run("ROLLBACK");
    match left {
        // SQLite may have rolled back by itself.
        Err(StoreError::Database(text)) if text.contains("no transaction is active") && !error.is_lost() => {
            Broken::Failed(error)
        }
        Err(_) => Broken::Lost(error.to_string()),
        Ok(()) if error.is_lost() => Broken::Lost(error.to_string()),
        Ok(()) => Broken::Failed(error),
    }
}

fn together(tx: &mut Tx, jobs: &mut [Box<dyn Work>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        run(tx, job)?;
        answers.push(Ok(()));
    }
    Ok(answers)
}

fn one_by_one(tx: &mut Tx, jobs: &mut [Box<dyn Work>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        tx.conn.run("SAVEPOINT caller")?;
        let mut answer = run(tx, job);
        if let Err(error) = &answer
            && error.is_lost()
        {
            return Err(error.clone());
        }
        if answer.is_ok() {
            answer = tx.conn.run("RELEASE SAVEPOINT caller");
        }
        if answer.is_err() {
            tx.conn.run("ROLLBACK TO SAVEPOINT caller")?;
            tx.conn.run("RELEASE SAVEPOINT caller")?;
        }
        answers.push(answer);
    }
    Ok(answers)
}

/// Each job in a transaction of its own. Their batch ids are derived from the batch's, so that the look-up after a
/// lost connection finds the one that was open then.
fn alone(tx: &mut Tx, epoch: &mut Epoch, terms: &Terms, jobs: Vec<Box<dyn Work>>) -> Outcome {
    let mut answers: Answers = Vec::with_capacity(jobs.len());
    let mut waiting = jobs.into_iter();
    while let Some(job) = waiting.next() {
        let id = tx.fresh_id();
        let own = Terms { id, epoch: terms.epoch, renew: terms.renew, trim_before: None };
        let mut one = vec![job];
        let ended = attempt(tx, epoch, &own, &mut one, together);
        let Some(job) = one.pop() else { continue };
        match ended {
            Ok(_) => answers.push((job, Ok(()))),
            Err(Broken::Failed(error)) => answers.push((job, Err(error))),
            Err(Broken::NotActive) => {
                settle(answers);
                return Outcome::NotActive(std::iter::once(job).chain(waiting).collect());
            }
            Err(Broken::Lost(cause)) => {
                settle(answers);
                // The one in flight may be committed; its caller is told that nobody knows.
                job.resolve(Err(super::WriteError::Unavailable { since: tx.now(), cause: cause.clone() }));
                return Outcome::Lost(waiting.collect(), cause);
            }
        }
    }
    Outcome::Committed(answers)
}

fn settle(answers: Answers) {
    for (job, answer) in answers {
        job.resolve(answer.map_err(super::WriteError::Rejected));
    }
}

/// A job that panics is a job that fails.
fn run(tx: &mut Tx, job: &mut Box<dyn Work>) -> Result<(), StoreError> {
    catch_unwind(AssertUnwindSafe(|| job.run(tx))).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(StoreError::Database(format!("a write panicked: {what}")))
    })
}

fn record(tx: &mut Tx, terms: &Terms) -> Result<(), StoreError> {
    let now = tx.now();
    if let Some(before) = terms.trim_before {
        each!(tx.conn, c => diesel::delete(b::batches.filter(b::at.lt(before.0))).execute(c))?;
    }
    each!(tx.conn, c => diesel::insert_into(b::batches)
        .values((b::id.eq(db(terms.id)), b::epoch.eq(terms.epoch), b::at.eq(now.0)))
        .execute(c))?;
    Ok(())
}
