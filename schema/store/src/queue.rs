//! A bounded queue with two lanes between callers and a database thread.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Which lane a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Refused when the queue is full.
    Normal,
    /// Goes first, and has a reserve beyond a full queue.
    Urgent,
}

/// Why a job did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Full,
    Closed,
}

/// The queue. Memory is bounded by `limit + reserve` jobs.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    came: Condvar,
    limit: usize,
    reserve: usize,
}

struct Inner<T> {
    urgent: VecDeque<T>,
    normal: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) const fn new(limit: usize, reserve: usize) -> Self {
        let inner = Inner { urgent: VecDeque::new(), normal: VecDeque::new(), closed: false };
        Self { inner: Mutex::new(inner), came: Condvar::new(), limit, reserve }
    }

    /// Lets a job in, or gives it back.
    pub(crate) fn push(&self, job: T, urgency: Urgency) -> Result<(), (T, NotTaken)> {
        let mut inner = self.lock();
        if inner.closed {
            return Err((job, NotTaken::Closed));
        }
        match urgency {
            Urgency::Normal if inner.normal.len() >= self.limit => return Err((job, NotTaken::Full)),
            Urgency::Urgent if inner.urgent.len() >= self.reserve => return Err((job, NotTaken::Full)),
            Urgency::Normal => inner.normal.push_back(job),
            Urgency::Urgent => inner.urgent.push_back(job),
        }
        drop(inner);
        self.came.notify_one();
        Ok(())
    }

    /// Waits up to `patience` for a job; urgent ones first.
    pub(crate) fn pop(&self, patience: Duration) -> Option<T> {
        let mut inner = self.lock();
        if inner.is_empty() && !inner.closed {
            let waited = self.came.wait_timeout_while(inner, patience, |i| i.is_empty() && !i.closed);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.take()
    }

    /// Takes a job if one is there.
    pub(crate) fn try_pop(&self) -> Option<T> {
        self.lock().take()
    }

    /// Waits up to `patience` for the queue to be closed. True when it is.
    pub(crate) fn wait_closed(&self, patience: Duration) -> bool {
        let waited = self.came.wait_timeout_while(self.lock(), patience, |i| !i.closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Jobs that wait.
    pub(crate) fn len(&self) -> usize {
        let inner = self.lock();
        inner.normal.len() + inner.urgent.len()
    }

    /// Lets nothing more in; what is in may still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inner<T> {
    fn is_empty(&self) -> bool {
        self.normal.is_empty() && self.urgent.is_empty()
    }

    fn take(&mut self) -> Option<T> {
        self.urgent.pop_front().or_else(|| self.normal.pop_front())
    }
}
