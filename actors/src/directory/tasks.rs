//! What is still to be written into the directory: a computer for a new device, and one taken out of use after a wipe.
//!
//! Promise: a task is a row before it is tried and until it is over; a restart loses none. A directory that is down holds nothing up: the
//! task waits, ever longer. What a person has to put right first (a right, a container, a password) is *parked*, with an alarm, and tried
//! again when that person says so ([`DirectoryTasks::wake`]). What must never be done is given up. A computer is taken out of use only for
//! the generation that was wiped, and while it is no other device's.
//!
//! - `rows`: how tasks begin and end, and how long they wait.

mod rows;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use postern_engine::policy::{binding::Unbound, sid::Sid};
use postern_store::{
    ReadError, Store, WriteError,
    directory::{self as table, Task},
    enrolments::{self, Enrolment},
    wipes::{self, Wipe},
};
use postern_wire::terms::EnrolmentState;
use secrecy::SecretString;
use tokio::sync::Notify;

use super::{Bindings as _, DirectorySupervisor};
use crate::abilities::{
    Clock, DirectoryError, DirectoryWriteError, DirectoryWriter, NewComputer, Randomness, TakeOut, TakenOut,
};

/// The alarm of a task that does not come to an end.
const TASK: &str = "directory-task";
/// How often is looked for what is to be done.
const LOOK: Duration = Duration::from_secs(5);
/// Tasks that one look takes.
const TOGETHER: i64 = 50;
/// After the account was refused, nobody signs in for so long: each try counts towards its lock-out.
const REST: Duration = Duration::from_secs(30 * 60);

/// What the tasks need.
pub struct DirectoryTaskParts {
    /// The store.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Randomness>,
    /// Who devices are.
    pub supervisor: DirectorySupervisor,
    /// Writes.
    pub writer: Arc<dyn DirectoryWriter>,
    /// What becomes of a computer after a wipe.
    pub after_wipe: Option<TakeOut>,
    /// Whether computers are made for new devices.
    pub creates: bool,
}

/// The tasks: a handle, cheap to clone.
#[derive(Clone)]
pub struct DirectoryTasks {
    inner: Arc<Inner>,
}

struct Inner {
    parts: DirectoryTaskParts,
    /// Monotonic: until then nobody signs in.
    rest: Mutex<Option<Duration>>,
    woken: Notify,
}

/// The database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// A read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A write.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What a try came to.
struct Told {
    text: String,
    /// The SID and the name of a computer that was made.
    made: Option<(String, String)>,
}

type Tried = Result<Told, DirectoryWriteError>;
/// How reading the directory anew went.
type Read = Result<(), DirectoryError>;

impl DirectoryTasks {
    /// Tasks that nobody works at yet.
    #[must_use]
    pub fn new(parts: DirectoryTaskParts) -> Self {
        Self { inner: Arc::new(Inner { parts, rest: Mutex::default(), woken: Notify::new() }) }
    }

    /// For a core that writes nothing into a directory: what happens meanwhile is left alone, also when that is switched on again.
    ///
    /// # Errors
    /// The database's.
    pub async fn switched_off(store: &Store) -> Result<(), WriteError> {
        rows::switched_off(store).await
    }

    /// Runs until it is dropped.
    pub async fn keep_working(self) {
        loop {
            if let Err(error) = self.look().await {
                tracing::debug!(%error, "what is to be written into the directory waits for the database");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.inner.woken.notified() => {}
            }
        }
    }

    /// A person put something right: what waits or is parked is tried at once ([`table::unpark`] is the caller's).
    pub fn wake(&self) {
        *self.rest() = None;
        self.inner.woken.notify_one();
    }

    /// One look: what is new becomes tasks, what is due is tried.
    ///
    /// # Errors
    /// Where the database does not answer; the next look goes on.
    pub async fn look(&self) -> Result<(), LookError> {
        let parts = &self.inner.parts;
        rows::take_up(parts).await?;
        let is_resting = self.rest().is_some_and(|until| parts.clock.monotonic() < until);
        if is_resting {
            return Ok(());
        }
        let now = parts.clock.wall();
        let mut due = parts.store.look_up(move |r| table::due_tasks(r, now, TOGETHER)).await?.into_iter();
        let mut read = None;
        while let Some(task) = due.next() {
            let tried = self.work(&task, &mut read).await?;
            let error = tried.as_ref().err().filter(|error| error.is_of_all()).cloned();
            self.end(task, tried).await?;
            // The others would hear the same, and one password tried for each would lock the account out.
            if let Some(error) = error {
                if matches!(error, DirectoryWriteError::Directory(DirectoryError::Refused(_))) {
                    *self.rest() = Some(parts.clock.monotonic() + REST);
                }
                for task in due.by_ref() {
                    self.end(task, Err(error.clone())).await?;
                }
            }
        }
        Ok(())
    }

    /// `read`: how reading the directory anew went, once in a look.
    async fn work(&self, task: &Task, read: &mut Option<Read>) -> Result<Tried, LookError> {
        let parts = &self.inner.parts;
        let (id, wipe) = (task.enrolment, task.wipe);
        let found = parts.store.read(move |r| {
            let wipe = wipe.map(|wipe| wipes::find(r, wipe)).transpose()?.flatten();
            Ok((enrolments::find(r, id)?, wipe))
        });
        let (Some(row), wipe) = found.await? else { return Ok(never("the device was purged")) };
        if task.wipe.is_none() {
            return self.create(task, &row, read).await;
        }
        let tried = self.take_out(task, &row, wipe.as_ref()).await?;
        Ok(match tried {
            // It went just now, or the account may not see it.
            Ok(TakenOut::NotThere) => self.is_gone(task, read).await,
            Ok(TakenOut::Done(text)) => Ok(Told { text, made: None }),
            Err(error) => Err(error),
        })
    }

    async fn take_out(
        &self,
        task: &Task,
        row: &Enrolment,
        wipe: Option<&Wipe>,
    ) -> Result<Result<TakenOut, DirectoryWriteError>, LookError> {
        let parts = &self.inner.parts;
        // What was decided when the wipe succeeded, or nothing: what is set for later wipes makes no disabled computer a deleted one.
        let Some(act) = TakeOut::parse(&task.act).filter(|act| parts.after_wipe == Some(*act)) else {
            return Ok(never("after_wipe says something else now"));
        };
        let is_the_same = wipe.is_some_and(|wipe| wipe.generation == row.generation);
        if row.state != EnrolmentState::Retired || !is_the_same {
            return Ok(never("the device was enrolled anew"));
        }
        let Some(sid) = sid_of(task) else { return Ok(never("its computer has no SID")) };
        let (bindings, id, computer) = (parts.supervisor.bindings(), row.id, sid.clone());
        let other = parts.store.read(move |r| bindings.other_device(r, &computer, id)).await?;
        if let Some(other) = other {
            let why = format!("its computer is that of the device {other} now");
            return Ok(Err(DirectoryWriteError::Never(why)));
        }
        Ok(parts.writer.take_out(sid, act).await)
    }

    /// Where the account that writes finds no computer, the one that reads says whether there is one.
    async fn is_gone(&self, task: &Task, read: &mut Option<Read>) -> Tried {
        self.read_anew(read).await?;
        let view = self.inner.parts.supervisor.keeper().view();
        let seen = sid_of(task).and_then(|sid| view?.accounts.by_sid(&sid).cloned());
        match seen {
            Some(dn) => {
                Err(DirectoryWriteError::Refused(format!("the account that writes does not see {dn}")))
            }
            None => Ok(Told { text: "it is not in the directory any more".to_owned(), made: None }),
        }
    }

    async fn create(
        &self,
        task: &Task,
        row: &Enrolment,
        read: &mut Option<Read>,
    ) -> Result<Tried, LookError> {
        let parts = &self.inner.parts;
        if !parts.creates {
            return Ok(never("no container to make it in is set any more"));
        }
        if row.state == EnrolmentState::Retired {
            return Ok(never("the device is retired"));
        }
        // One that a person made meanwhile is its computer.
        if let Err(later) = self.read_anew(read).await {
            return Ok(Err(later));
        }
        let (bindings, id) = (parts.supervisor.bindings(), row.id);
        match parts.store.read(move |r| bindings.of(r, id)).await?.computer {
            Err(Unbound::Nobody) => {}
            Ok((dn, _)) => return Ok(Ok(Told { text: format!("{dn} is its computer already"), made: None })),
            Err(why) => return Ok(Err(DirectoryWriteError::Never(why.to_string()))),
        }
        let mut octets = zeroize::Zeroizing::new([0; 30]);
        parts.random.fill(&mut *octets);
        // Of each kind of character that a domain may want, at least one.
        let password = SecretString::from(format!("aA1!{}", data_encoding::BASE64.encode(&*octets)));
        let computer = NewComputer { names: rows::names(row), mark: rows::mark(task), password };
        let made = parts.writer.create(computer).await;
        Ok(made.map(|(sid, dn)| Told {
            text: format!("{dn} was made"),
            made: Some((sid.to_string(), dn.to_string())),
        }))
    }

    /// Reads the directory anew, by the account that reads. One that was refused is spared.
    async fn read_anew(&self, read: &mut Option<Read>) -> Result<(), DirectoryWriteError> {
        let supervisor = &self.inner.parts.supervisor;
        let now = match read.take() {
            Some(read) => read,
            None => match supervisor.keeper().status().trouble.map(|trouble| trouble.error) {
                Some(error @ DirectoryError::Refused(_)) => Err(error),
                _ => supervisor.refresh(false).await.map(drop),
            },
        };
        let later = |error| DirectoryWriteError::Later(format!("it is read anew before: {error}"));
        read.insert(now).clone().map_err(later)
    }

    /// Writes down how a try went.
    async fn end(&self, task: Task, tried: Tried) -> Result<(), LookError> {
        let parts = &self.inner.parts;
        let made = tried.as_ref().ok().and_then(|told| told.made.clone());
        let task = rows::after(task, tried.map(|told| told.text), parts.clock.wall());
        tracing::info!(
            act = task.act,
            device = %task.enrolment,
            state = task.state,
            cause = task.cause,
            "the directory was to be written"
        );
        let is_made = made.is_some();
        parts.store.write(move |tx| rows::ended(tx, task.clone(), made.as_ref())).await?;
        if is_made {
            parts.supervisor.look();
        }
        Ok(())
    }

    fn rest(&self) -> std::sync::MutexGuard<'_, Option<Duration>> {
        self.inner.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sid_of(task: &Task) -> Option<Sid> {
    task.computer.as_ref().and_then(|sid| sid.parse().ok())
}

fn never<T>(why: &str) -> Result<T, DirectoryWriteError> {
    Err(DirectoryWriteError::Never(why.to_owned()))
}
