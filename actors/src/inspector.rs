//! The live session inspector: what a watched device and this core said to each other, kept in bounded memory.
//!
//! Promise: a device that nobody watches costs one look at a counter. What is kept of a watched one is bounded in
//! exchanges and octets, the oldest goes first, and a watcher that lags is told how much it missed; a slow watcher never
//! slows a device. A watch ends by itself when nobody has asked for a while.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use postern_wire::terms::{DmSessionId, EnrolmentId, UtcMillis};
use tokio::sync::watch;

/// Devices that may be watched at the same time.
const DEVICES: usize = 64;
/// Exchanges that are kept of one device.
const EXCHANGES: usize = 256;
/// Octets that are kept of one device.
const OCTETS: usize = 4 * 1024 * 1024;
/// How long a watch stands after it was last asked for.
const LEASE: Duration = Duration::from_secs(120);
/// How long a recording that was asked for waits for its sessions.
const RECORDING: Duration = Duration::from_secs(7 * 24 * 3600);

/// One message of a device and what it was answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// From 1, rising by 1 for this device and watch.
    pub seq: u64,
    /// When the message came.
    pub at: UtcMillis,
    /// The session that it belongs to, where it has one.
    pub session: Option<DmSessionId>,
    /// Its Content-Type.
    pub content_type: &'static str,
    /// Its octets.
    pub request: Bytes,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The answer's octets; none for a refusal.
    pub answer: Option<(&'static str, Bytes)>,
    /// What was decided and why: rule and text.
    pub decisions: Vec<(&'static str, String)>,
}

/// What a watcher gets.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// What came after the place that was asked for.
    pub exchanges: Vec<Exchange>,
    /// How many after that place are no longer kept.
    pub missed: u64,
    /// The place to go on from.
    pub next: u64,
    /// Sessions that are still to be recorded.
    pub recording: u32,
}

/// Too many devices are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{DEVICES} devices are watched already; wait until another watch ends")]
pub struct TooManyWatched;

#[derive(Debug, Default)]
pub(crate) struct Inspector {
    tapes: Mutex<HashMap<EnrolmentId, Tape>>,
    /// How many there are, readable without the lock.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Tape {
    until: Duration,
    sessions: u32,
    kept: VecDeque<Exchange>,
    octets: usize,
    last: u64,
    news: Arc<watch::Sender<u64>>,
}

impl Tape {
    fn new() -> Self {
        let news = Arc::new(watch::channel(0).0);
        Self { until: Duration::ZERO, sessions: 0, kept: VecDeque::new(), octets: 0, last: 0, news }
    }

    fn push(&mut self, mut exchange: Exchange) {
        self.last += 1;
        exchange.seq = self.last;
        self.octets += size(&exchange);
        self.kept.push_back(exchange);
        while self.kept.len() > EXCHANGES || (self.octets > OCTETS && self.kept.len() > 1) {
            if let Some(oldest) = self.kept.pop_front() {
                self.octets -= size(&oldest);
            }
        }
        self.news.send_replace(self.last);
    }

    fn after(&self, after: u64) -> Watched {
        let first = self.kept.front().map_or(self.last + 1, |exchange| exchange.seq);
        Watched {
            exchanges: self.kept.iter().filter(|exchange| exchange.seq > after).cloned().collect(),
            missed: first.saturating_sub(after + 1),
            next: self.last,
            recording: self.sessions,
        }
    }
}

fn size(exchange: &Exchange) -> usize {
    let decisions: usize = exchange.decisions.iter().map(|(rule, text)| rule.len() + text.len()).sum();
    exchange.request.len() + exchange.answer.as_ref().map_or(0, |(_, body)| body.len()) + decisions
}

impl Inspector {
    /// Whether this device is watched or recorded at this moment.
    pub(crate) fn sees(&self, device: EnrolmentId, now: Duration) -> bool {
        self.count.load(Relaxed) > 0 && self.lock().get(&device).is_some_and(|tape| now <= tape.until)
    }

    /// Keeps an exchange of a device that is seen; `ended` is whether a session ended with it.
    pub(crate) fn keep(&self, device: EnrolmentId, exchange: Exchange, ended: bool) {
        if let Some(tape) = self.lock().get_mut(&device) {
            tape.push(exchange);
            if ended {
                tape.sessions = tape.sessions.saturating_sub(1);
            }
        }
    }

    /// What came after `after`, and a way to wait for more. Begins the watch, or keeps it up.
    pub(crate) fn watch(
        &self,
        device: EnrolmentId,
        after: u64,
        now: Duration,
    ) -> Result<(Watched, watch::Receiver<u64>), TooManyWatched> {
        let mut tapes = self.lock();
        let tape = self.tape(&mut tapes, device, now)?;
        tape.until = tape.until.max(now + LEASE);
        let watched = tape.after(after);
        let news = tape.news.subscribe();
        Ok((watched, news))
    }

    /// Records the next sessions of a device.
    pub(crate) fn record(
        &self,
        device: EnrolmentId,
        sessions: u32,
        now: Duration,
    ) -> Result<(), TooManyWatched> {
        let mut tapes = self.lock();
        let tape = self.tape(&mut tapes, device, now)?;
        tape.sessions = sessions;
        tape.until = tape.until.max(now + RECORDING);
        Ok(())
    }

    fn tape<'t>(
        &self,
        tapes: &'t mut HashMap<EnrolmentId, Tape>,
        device: EnrolmentId,
        now: Duration,
    ) -> Result<&'t mut Tape, TooManyWatched> {
        if !tapes.contains_key(&device) {
            tapes.retain(|_, tape| now <= tape.until);
            if tapes.len() >= DEVICES {
                return Err(TooManyWatched);
            }
        }
        let tape = tapes.entry(device).or_insert_with(Tape::new);
        Ok(tape)
    }

    fn lock(&self) -> Tapes<'_> {
        Tapes { map: self.tapes.lock().unwrap_or_else(PoisonError::into_inner), count: &self.count }
    }
}

/// The tapes; their count follows when they are let go.
struct Tapes<'l> {
    map: std::sync::MutexGuard<'l, HashMap<EnrolmentId, Tape>>,
    count: &'l AtomicUsize,
}

impl std::ops::Deref for Tapes<'_> {
    type Target = HashMap<EnrolmentId, Tape>;
    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

impl std::ops::DerefMut for Tapes<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.map
    }
}

impl Drop for Tapes<'_> {
    fn drop(&mut self) {
        self.count.store(self.map.len(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u128) -> EnrolmentId {
        EnrolmentId(uuid::Uuid::from_u128(n))
    }

    fn exchange(octets: usize) -> Exchange {
        Exchange {
            seq: 0,
            at: UtcMillis(0),
            session: None,
            content_type: "",
            request: Bytes::from(vec![0; octets]),
            status: 200,
            answer: None,
            decisions: Vec::new(),
        }
    }

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn nobody_is_seen_who_is_not_watched_and_a_watch_ends_by_itself() {
        let inspector = Inspector::default();
        assert!(!inspector.sees(device(1), NOW));
        inspector.watch(device(1), 0, NOW).unwrap();
        assert!(inspector.sees(device(1), NOW + LEASE));
        assert!(!inspector.sees(device(1), NOW + LEASE + Duration::from_secs(1)));
        assert!(!inspector.sees(device(2), NOW));
    }

    #[test]
    fn what_is_kept_is_bounded_and_a_watcher_that_lags_is_told_what_it_missed() {
        let inspector = Inspector::default();
        inspector.watch(device(1), 0, NOW).unwrap();
        for _ in 0..EXCHANGES + 10 {
            inspector.keep(device(1), exchange(1), false);
        }
        let (watched, _) = inspector.watch(device(1), 3, NOW).unwrap();
        assert_eq!((watched.exchanges.len(), watched.missed, watched.next), (EXCHANGES, 7, 266));
        for _ in 0..10 {
            inspector.keep(device(1), exchange(OCTETS / 2), false);
        }
        let (watched, _) = inspector.watch(device(1), 0, NOW).unwrap();
        assert!(watched.exchanges.iter().map(size).sum::<usize>() <= OCTETS);
    }

    #[test]
    fn watched_devices_are_bounded_and_an_ended_watch_makes_room() {
        let inspector = Inspector::default();
        for n in 0..DEVICES as u128 {
            inspector.watch(device(n), 0, NOW).unwrap();
        }
        assert_eq!(inspector.watch(device(1000), 0, NOW).unwrap_err(), TooManyWatched);
        inspector.watch(device(1000), 0, NOW + LEASE + Duration::from_secs(1)).unwrap();
    }

    #[actix::test]
    async fn a_watcher_is_told_of_what_comes_between_two_looks() {
        let inspector = Inspector::default();
        let (_, mut news) = inspector.watch(device(1), 0, NOW).unwrap();
        inspector.keep(device(1), exchange(1), true);
        news.changed().await.unwrap();
        let (watched, _) = inspector.watch(device(1), 0, NOW).unwrap();
        assert_eq!(watched.exchanges[0].seq, 1);
    }

    #[test]
    fn a_recording_stands_longer_than_a_watch_and_counts_sessions() {
        let inspector = Inspector::default();
        inspector.record(device(1), 2, NOW).unwrap();
        inspector.keep(device(1), exchange(1), true);
        assert!(inspector.sees(device(1), NOW + LEASE * 2));
        assert_eq!(inspector.watch(device(1), 0, NOW).unwrap().0.recording, 1);
    }
}
