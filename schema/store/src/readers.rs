//! The readers: a few threads, each with a connection that cannot write.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    ambient::Ambient,
    conn::{Conn, Purpose},
    errors::{ReadError, StoreError},
    options::Options,
    queue::Queue,
    tx::Reader,
};

/// One caller's read.
pub(crate) trait Question: Send {
    /// Whether it must see one moment (a read transaction around it).
    fn wants_transaction(&self) -> bool;
    /// Whether anybody still waits for the answer.
    fn is_forgotten(&self) -> bool;
    /// Asks. May be called again when the connection broke.
    fn ask(&mut self, reader: &mut Reader) -> Result<(), StoreError>;
    /// Tells the caller.
    fn resolve(self: Box<Self>, outcome: Result<(), ReadError>);
}

/// A typed read and the caller that waits for it.
pub(crate) struct Call<T, F> {
    pub(crate) work: F,
    pub(crate) transaction: bool,
    pub(crate) value: Option<T>,
    pub(crate) reply: oneshot::Sender<Result<T, ReadError>>,
}

impl<T, F> Question for Call<T, F>
where
    T: Send,
    F: FnMut(&mut Reader) -> Result<T, StoreError> + Send,
{
    fn wants_transaction(&self) -> bool {
        self.transaction
    }

    fn is_forgotten(&self) -> bool {
        self.reply.is_closed()
    }

    fn ask(&mut self, reader: &mut Reader) -> Result<(), StoreError> {
        self.value = Some((self.work)(reader)?);
        Ok(())
    }

    fn resolve(self: Box<Self>, outcome: Result<(), ReadError>) {
        let answer = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(ReadError::Stopped),
            (Err(error), _) => Err(error),
        };
        // A caller that no longer waits has nothing to be told.
        let _ = self.reply.send(answer);
    }
}

/// A reader thread: serves questions until the queue is closed and empty.
pub(crate) fn serve(options: &Options, ambient: &Ambient, queue: &Arc<Queue<Box<dyn Question>>>) {
    /// How long a reader sleeps before it looks whether the queue was closed.
    const NAP: Duration = Duration::from_secs(60);
    let mut reader: Option<Reader> = None;
    loop {
        let Some(mut question) = queue.pop(NAP) else {
            if queue.is_closed() {
                return;
            }
            continue;
        };
        if question.is_forgotten() {
            continue;
        }
        let mut answer = ask(options, ambient, &mut reader, question.as_mut());
        if answer.as_ref().is_err_and(StoreError::is_lost) {
            // The connection may have been stale (the server restarted): once more on a fresh one.
            reader = None;
            answer = ask(options, ambient, &mut reader, question.as_mut());
            if answer.as_ref().is_err_and(StoreError::is_lost) {
                reader = None;
            }
        }
        question.resolve(answer.map_err(ReadError::Failed));
    }
}

fn ask(
    options: &Options,
    ambient: &Ambient,
    slot: &mut Option<Reader>,
    question: &mut dyn Question,
) -> Result<(), StoreError> {
    let reader = match slot {
        Some(reader) => reader,
        None => slot.insert(Reader::new(Conn::open(options, Purpose::Read)?, ambient.clone())),
    };
    let transaction = question.wants_transaction();
    if transaction {
        reader.conn.begin_read()?;
    }
    let asked = catch_unwind(AssertUnwindSafe(|| question.ask(reader)))
        .unwrap_or_else(|_| Err(StoreError::Database("a read panicked".to_owned())));
    if transaction && reader.conn.run("ROLLBACK").is_err() {
        *slot = None;
    }
    asked
}
