//! Devices that listen for a notification, by route; and notifications that came a moment too early.
//!
//! Promise (docs/THREATS.md, "Notifications"): a bounded number listens in all, and at most [`A_ROUTE`] on one route,
//! one for each certificate: a newer one ends the older. A notification for a device that has a certificate is given only to
//! a listener that showed it, so that a stranger who has learnt a route cannot take it away. One whose device does not
//! listen is kept for a short while, one a route: that bridges the gap between two polls. What is lost costs a delay,
//! for the core sends it again until a session answers it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use data_encoding::HEXLOWER_PERMISSIVE;
use postern_wire::route::RouteHash;
use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

/// So many may listen on one route, each with another certificate (or one without).
const A_ROUTE: usize = 4;
/// So many notifications are kept for devices that do not listen; the oldest makes room.
const KEPT: usize = 4_096;

/// SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of this certificate (DER).
    pub(crate) fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// From 64 hex digits.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

/// A notification on its way to a device.
#[derive(Clone, Debug)]
pub(crate) struct Wake {
    pub(crate) package0: Bytes,
    /// Only a listener that showed this certificate gets it.
    pub(crate) certificate: Option<Fingerprint>,
}

/// Who listens.
#[derive(Default)]
pub(crate) struct Listeners {
    all: Arc<Mutex<All>>,
}

#[derive(Default)]
struct All {
    routes: FxHashMap<RouteHash, Vec<Listener>>,
    count: usize,
    next: u64,
    kept: FxHashMap<RouteHash, Kept>,
    /// The kept in the order they came, with the number that makes each entry's own.
    order: VecDeque<(RouteHash, u64)>,
}

struct Listener {
    number: u64,
    certificate: Option<Fingerprint>,
    tell: oneshot::Sender<Bytes>,
}

struct Kept {
    number: u64,
    wake: Wake,
    until_ms: u64,
}

/// What becomes of a device that asks to listen.
pub(crate) enum Listening {
    /// A notification was kept for it.
    Kept(Bytes),
    /// It waits.
    Held(Held),
    /// As many listen as may.
    Full,
}

/// A device that listens; dropped, it no longer does.
pub(crate) struct Held {
    all: Arc<Mutex<All>>,
    route: RouteHash,
    number: u64,
    told: Option<oneshot::Receiver<Bytes>>,
}

impl Listeners {
    /// Takes a listener in, or gives it what was kept for it. `most` may listen in all; times are monotonic.
    pub(crate) fn listen(
        &self,
        route: RouteHash,
        certificate: Option<Fingerprint>,
        most: usize,
        now_ms: u64,
    ) -> Listening {
        let mut all = self.lock();
        if let Some(package0) = all.take_kept(&route, certificate, now_ms) {
            return Listening::Kept(package0);
        }
        all.make_room_on(&route, certificate);
        if all.count >= most {
            return Listening::Full;
        }
        let (tell, told) = oneshot::channel();
        let number = all.number();
        all.routes.entry(route).or_default().push(Listener { number, certificate, tell });
        all.count += 1;
        Listening::Held(Held { all: Arc::clone(&self.all), route, number, told: Some(told) })
    }

    /// Gives a notification to whoever may have it, else keeps it for `keep_ms`. Whether someone got it.
    pub(crate) fn wake(&self, route: RouteHash, wake: Wake, now_ms: u64, keep_ms: u64) -> bool {
        let mut all = self.lock();
        let woken = all.tell(&route, &wake);
        if !woken && keep_ms > 0 {
            all.keep(route, wake, now_ms, now_ms.saturating_add(keep_ms));
        }
        woken
    }

    /// How many listen.
    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        lock(&self.all)
    }
}

fn lock(all: &Mutex<All>) -> MutexGuard<'_, All> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl All {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn take_kept(
        &mut self,
        route: &RouteHash,
        certificate: Option<Fingerprint>,
        now_ms: u64,
    ) -> Option<Bytes> {
        self.drop_old(now_ms);
        let kept = self.kept.get(route)?;
        let his = kept.wake.certificate.is_none() || kept.wake.certificate == certificate;
        if !his || kept.until_ms <= now_ms {
            return None;
        }
        self.kept.remove(route).map(|kept| kept.wake.package0)
    }

    /// Ends the listener with the same certificate, and the oldest where the route has too many.
    fn make_room_on(&mut self, route: &RouteHash, certificate: Option<Fingerprint>) {
        let Some(listeners) = self.routes.get_mut(route) else { return };
        let before = listeners.len();
        listeners.retain(|listener| listener.certificate != certificate);
        if listeners.len() >= A_ROUTE {
            listeners.remove(0);
        }
        self.count -= before - listeners.len();
        if listeners.is_empty() {
            self.routes.remove(route);
        }
    }

    /// A listener whose device is gone does not count as told.
    fn tell(&mut self, route: &RouteHash, wake: &Wake) -> bool {
        let Some(listeners) = self.routes.remove(route) else { return false };
        let before = listeners.len();
        let (told, left): (Vec<_>, Vec<_>) = listeners
            .into_iter()
            .partition(|listener| wake.certificate.is_none() || listener.certificate == wake.certificate);
        self.count -= before - left.len();
        if !left.is_empty() {
            self.routes.insert(*route, left);
        }
        let sent = told.into_iter().map(|listener| listener.tell.send(wake.package0.clone()).is_ok());
        sent.fold(false, |any, sent| any | sent)
    }

    fn keep(&mut self, route: RouteHash, wake: Wake, now_ms: u64, until_ms: u64) {
        self.drop_old(now_ms);
        while self.order.len() >= KEPT {
            self.drop_first();
        }
        let number = self.number();
        self.order.push_back((route, number));
        self.kept.insert(route, Kept { number, wake, until_ms });
    }

    /// Drops from the front what is over or was taken; a shorter time behind a longer one waits for it.
    fn drop_old(&mut self, now_ms: u64) {
        while let Some((route, number)) = self.order.front() {
            let live = self.kept.get(route).is_some_and(|k| k.number == *number && k.until_ms > now_ms);
            if live {
                return;
            }
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((route, number)) = self.order.pop_front()
            && self.kept.get(&route).is_some_and(|kept| kept.number == number)
        {
            self.kept.remove(&route);
        }
    }
}

impl Held {
    /// The notification; `None` when a newer listener took this one's place.
    pub(crate) async fn package0(mut self) -> Option<Bytes> {
        let told = self.told.take()?;
        told.await.ok()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        let All { routes, count, .. } = &mut *all;
        if let Some(listeners) = routes.get_mut(&self.route) {
            let before = listeners.len();
            listeners.retain(|listener| listener.number != self.number);
            *count -= before - listeners.len();
            if listeners.is_empty() {
                routes.remove(&self.route);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: RouteHash = RouteHash::from_bytes([7; 16]);
    const OWN: Option<Fingerprint> = Some(Fingerprint([1; 32]));
    const OTHER: Option<Fingerprint> = Some(Fingerprint([2; 32]));

    fn wake(text: &'static str, certificate: Option<Fingerprint>) -> Wake {
        Wake { package0: Bytes::from_static(text.as_bytes()), certificate }
    }

    fn held(listeners: &Listeners, certificate: Option<Fingerprint>) -> Held {
        match listeners.listen(ROUTE, certificate, 100, 0) {
            Listening::Held(held) => held,
            Listening::Kept(_) => panic!("nothing was kept"),
            Listening::Full => panic!("there is room"),
        }
    }

    #[tokio::test]
    async fn a_listener_gets_the_notification_and_no_longer_listens() {
        let listeners = Listeners::default();
        let first = held(&listeners, None);
        assert!(listeners.wake(ROUTE, wake("a", None), 0, 1_000));
        assert_eq!((first.package0().await.as_deref(), listeners.count()), (Some(&b"a"[..]), 0));
    }

    #[tokio::test]
    async fn a_newer_listener_of_a_route_ends_the_older_and_the_count_stays_right() {
        let listeners = Listeners::default();
        let first = held(&listeners, None);
        let second = held(&listeners, None);
        assert_eq!((first.package0().await, listeners.count()), (None, 1));
        drop(second);
        assert_eq!(listeners.count(), 0);
    }

    #[tokio::test]
    async fn a_notification_for_a_certificate_goes_to_no_one_else() {
        let listeners = Listeners::default();
        let (stranger, other) = (held(&listeners, None), held(&listeners, OTHER));
        assert!(!listeners.wake(ROUTE, wake("a", OWN), 0, 1_000));
        assert_eq!(listeners.count(), 2, "they wait on");
        drop((stranger, other));
        assert!(matches!(listeners.listen(ROUTE, None, 100, 1), Listening::Held(_)));
        assert!(matches!(listeners.listen(ROUTE, OWN, 100, 1), Listening::Kept(_)));
        assert!(matches!(listeners.listen(ROUTE, OWN, 100, 1), Listening::Held(_)), "it is given once");
    }

    #[tokio::test]
    async fn a_stranger_does_not_displace_the_listener_with_the_certificate() {
        let listeners = Listeners::default();
        let device = held(&listeners, OWN);
        let _stranger = held(&listeners, None);
        assert!(listeners.wake(ROUTE, wake("a", OWN), 0, 0));
        assert_eq!(device.package0().await.as_deref(), Some(&b"a"[..]));
    }

    #[test]
    fn a_notification_is_kept_for_its_time_and_the_newest_of_a_route_counts() {
        let listeners = Listeners::default();
        let take = |now| match listeners.listen(ROUTE, None, 100, now) {
            Listening::Kept(package0) => Some(package0),
            Listening::Held(_) | Listening::Full => None,
        };
        listeners.wake(ROUTE, wake("a", None), 0, 1_000);
        listeners.wake(ROUTE, wake("b", None), 10, 1_000);
        assert_eq!(take(1_009).as_deref(), Some(&b"b"[..]));
        listeners.wake(ROUTE, wake("c", None), 2_000, 1_000);
        assert_eq!(take(3_000), None, "over");
        listeners.wake(ROUTE, wake("d", None), 4_000, 0);
        assert_eq!(take(4_000), None, "not kept at all");
    }

    #[test]
    fn no_more_than_the_limit_listen_and_no_more_than_a_bounded_number_is_kept() {
        let listeners = Listeners::default();
        let route = |number: u32| {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&number.to_be_bytes());
            RouteHash::from_bytes(octets)
        };
        let first = listeners.listen(route(1), None, 1, 0);
        assert!(matches!(first, Listening::Held(_)));
        assert!(matches!(listeners.listen(route(2), None, 1, 0), Listening::Full));
        let again = listeners.listen(route(1), None, 1, 0);
        assert!(matches!(again, Listening::Held(_)), "a newer one of the same route takes the older's place");
        for number in 10..KEPT as u32 + 20 {
            listeners.wake(route(number), wake("a", None), 0, 1_000);
        }
        let all = listeners.lock();
        assert_eq!((all.kept.len(), all.order.len()), (KEPT, KEPT));
    }

    #[test]
    fn a_route_has_a_bounded_number_of_listeners() {
        let listeners = Listeners::default();
        let all: Vec<Held> = (0..10).map(|n| held(&listeners, Some(Fingerprint([n; 32])))).collect();
        assert_eq!((listeners.count(), all.len()), (A_ROUTE, 10));
    }
}
