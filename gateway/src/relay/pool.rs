//! The pool of request links: idle ones by worker, taken by whoever needs one.
//!
//! A link's socket is driven by the worker that accepted it; a message of another worker may use it when its own has
//! none idle. One message at a time on each: the pool is the cap on what is in flight.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use postern_wire::link::RefusalReason;
use tokio::{sync::Notify, time::timeout};

use crate::{admission::Refusal, link_port::cores::Core, shared::Shared};

pub(crate) type Request = http::Request<Full<Bytes>>;

/// A request link that is not in use now.
pub(crate) struct Link {
    pub(crate) core: Arc<Core>,
    pub(crate) sender: SendRequest<Full<Bytes>>,
    /// The worker that drives it.
    pub(crate) home: usize,
    pub(crate) used_ms: u64,
    pub(crate) checked_ms: u64,
}

pub(crate) struct Pool {
    idle: Vec<Mutex<Vec<Link>>>,
    freed: Notify,
    waiting: AtomicU32,
    /// The most links in use or waited for since the last look.
    peak: AtomicU32,
    want: AtomicU32,
    pub(crate) want_changed: Notify,
}

/// A link in use. Dropped before [`Lease::finish`], it is closed: its exchange was not finished.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    link: Option<Link>,
    core: Arc<Core>,
}

impl Pool {
    pub(crate) fn new(workers: usize, want: u32) -> Self {
        Self {
            idle: (0..workers).map(|_| Mutex::default()).collect(),
            freed: Notify::new(),
            waiting: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            want: AtomicU32::new(want),
            want_changed: Notify::new(),
        }
    }

    /// A link of the core in use; waits at most `wait` for one.
    pub(crate) async fn take(
        &self,
        shared: &Shared,
        worker: usize,
        wait: Duration,
    ) -> Result<Lease<'_>, Refusal> {
        if let Some(lease) = self.try_take(shared, worker)? {
            return Ok(lease);
        }
        let _waiting = Waiting::new(self);
        self.raise_want(shared);
        let found = timeout(wait, async {
            loop {
                let freed = self.freed.notified();
                if let Some(lease) = self.try_take(shared, worker)? {
                    return Ok(lease);
                }
                freed.await;
            }
        });
        found.await.unwrap_or_else(|_| Err(RefusalReason::LinksBusy.into()))
    }

    /// Puts a new or used link among the idle ones.
    pub(crate) fn put(&self, link: Link) {
        lock(&self.idle[link.home]).push(link);
        self.freed.notify_one();
    }

    /// Wakes everyone who waits: the core in use has changed.
    pub(crate) fn look_again(&self) {
        self.freed.notify_waiters();
    }

    /// Takes idle links of a worker that `which` picks: to ping them, or to close them by dropping them.
    pub(crate) fn withdraw(&self, worker: usize, which: impl FnMut(&mut Link) -> bool) -> Vec<Link> {
        lock(&self.idle[worker]).extract_if(.., which).collect()
    }

    /// How many request links this gateway wants.
    pub(crate) fn want(&self) -> u32 {
        self.want.load(Ordering::Relaxed)
    }

    /// Once in a while: wants what the last while needed and a quarter more.
    pub(crate) fn settle_want(&self, shared: &Shared) {
        let peak = self.peak.swap(0, Ordering::Relaxed);
        self.set_want(shared, peak + peak.div_ceil(4));
    }

    /// The settings have changed: what is wanted stays within their limits.
    pub(crate) fn keep_want_within_limits(&self, shared: &Shared) {
        self.set_want(shared, self.want());
    }

    fn try_take(&self, shared: &Shared, worker: usize) -> Result<Option<Lease<'_>>, Refusal> {
        let Some(core) = shared.cores.active() else { return Err(RefusalReason::NoCore.into()) };
        let workers = self.idle.len();
        for shard in (0..workers).map(|offset| (worker + offset) % workers) {
            let mut idle = lock(&self.idle[shard]);
            while let Some(at) = idle.iter().rposition(|link| Arc::ptr_eq(&link.core, &core)) {
                let link = idle.swap_remove(at);
                if !link.sender.is_closed() {
                    let busy = core.busy.fetch_add(1, Ordering::Relaxed) + 1;
                    self.peak.fetch_max(busy, Ordering::Relaxed);
                    return Ok(Some(Lease { pool: self, link: Some(link), core }));
                }
            }
        }
        Ok(None)
    }

    fn raise_want(&self, shared: &Shared) {
        let busy = shared.cores.active().map_or(0, |core| core.busy.load(Ordering::Relaxed));
        let needed = busy + self.waiting.load(Ordering::Relaxed);
        self.peak.fetch_max(needed, Ordering::Relaxed);
        if needed > self.want() {
            self.set_want(shared, needed + needed.div_ceil(4));
        }
    }

    fn set_want(&self, shared: &Shared, want: u32) {
        let limits = shared.settings.now().links;
        let want = want.clamp(limits.min, limits.max);
        if self.want.swap(want, Ordering::Relaxed) != want {
            self.want_changed.notify_waiters();
        }
    }
}

impl Lease<'_> {
    /// Sends a request; gives it back when it never left.
    pub(crate) async fn send(
        &mut self,
        request: Request,
    ) -> Result<http::Response<Incoming>, (Refusal, Option<Box<Request>>)> {
        let broken =
            |error: &dyn std::fmt::Display| Refusal::with(RefusalReason::LinkBroken, error.to_string());
        let Some(link) = &mut self.link else { return Err((broken(&"no link"), Some(Box::new(request)))) };
        if let Err(error) = link.sender.ready().await {
            return Err((broken(&error), Some(Box::new(request))));
        }
        link.sender.try_send_request(request).await.map_err(|mut error| {
            let unsent = error.take_message().map(Box::new);
            (broken(error.error()), unsent)
        })
    }

    /// The exchange is finished: the link may carry the next.
    pub(crate) fn finish(mut self, now_ms: u64) {
        if let Some(mut link) = self.link.take() {
            link.used_ms = now_ms;
            link.checked_ms = now_ms;
            self.pool.put(link);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.core.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Waiting<'a>(&'a Pool);

impl<'a> Waiting<'a> {
    fn new(pool: &'a Pool) -> Self {
        pool.waiting.fetch_add(1, Ordering::Relaxed);
        Self(pool)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock(idle: &Mutex<Vec<Link>>) -> MutexGuard<'_, Vec<Link>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
