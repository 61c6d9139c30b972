//! Whom this gateway refused: counted together, bounded, and kept until a core has taken it.
//!
//! Promise: what an outsider does can fill neither memory nor log: refusals of the same reason, certificate, route and
//! source are one entry with a count, and only so many entries wait.

use std::{
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use postern_wire::{
    link::{CertificateName, Refusal, RefusalReason},
    route::RouteHash,
    terms::UtcMillis,
};
use rustc_hash::FxHashMap;

/// So many entries wait for a core; beyond, a refusal is counted but not told.
const MOST: usize = 4_096;
/// So many characters of a detail are told.
const DETAIL: usize = 200;

/// Who was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Refused {
    pub(crate) reason: RefusalReason,
    pub(crate) certificate: Option<CertificateName>,
    pub(crate) route: Option<RouteHash>,
    pub(crate) source: IpAddr,
}

/// The refusals that wait for a core.
#[derive(Default)]
pub(crate) struct Refusals {
    waiting: Mutex<FxHashMap<Refused, Noted>>,
    untold: AtomicU64,
}

struct Noted {
    at: UtcMillis,
    detail: Option<String>,
    count: u64,
}

impl Refusals {
    /// Notes one refusal. The first of its kind since the last report is a log line.
    pub(crate) fn note(&self, refused: Refused, detail: Option<&str>, now: UtcMillis) {
        let detail = detail.map(|detail| detail.chars().take(DETAIL).collect::<String>());
        let mut waiting = self.lock();
        if let Some(noted) = waiting.get_mut(&refused) {
            noted.count += 1;
            noted.detail = detail;
        } else if waiting.len() < MOST {
            log(&refused, detail.as_deref());
            waiting.insert(refused, Noted { at: now, detail, count: 1 });
        } else {
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes at most `most` entries to tell them.
    pub(crate) fn take(&self, most: usize) -> Vec<(Refused, Refusal)> {
        let mut waiting = self.lock();
        let keys: Vec<Refused> = waiting.keys().take(most).cloned().collect();
        let take = |key: Refused| waiting.remove(&key).map(|noted| (key.clone(), told(&key, noted)));
        keys.into_iter().filter_map(take).collect()
    }

    /// Puts back what a core did not take.
    pub(crate) fn give_back(&self, refusals: Vec<(Refused, Refusal)>) {
        let mut waiting = self.lock();
        for (refused, refusal) in refusals {
            let full = waiting.len() >= MOST;
            match waiting.get_mut(&refused) {
                Some(noted) => {
                    noted.count += refusal.count;
                    noted.at = refusal.at;
                }
                None if full => drop(self.untold.fetch_add(refusal.count, Ordering::Relaxed)),
                None => {
                    let noted = Noted { at: refusal.at, detail: refusal.detail, count: refusal.count };
                    waiting.insert(refused, noted);
                }
            }
        }
    }

    /// Refusals that were counted but are never told in detail.
    pub(crate) fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Refused, Noted>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(refused: &Refused, noted: Noted) -> Refusal {
    Refusal {
        at: noted.at,
        reason: refused.reason,
        certificate: refused.certificate.clone(),
        route: refused.route,
        source: refused.source.to_string(),
        detail: noted.detail,
        count: noted.count,
    }
}

fn log(refused: &Refused, detail: Option<&str>) {
    let certificate = refused.certificate.as_ref().map(ToString::to_string);
    let route = refused.route.as_ref().map(ToString::to_string);
    tracing::info!(
        reason = refused.reason.as_str(),
        source = %refused.source,
        certificate,
        route,
        // What a peer sent may be in it: as a quoted string it cannot break the line.
        detail = ?detail.unwrap_or_default(),
        "refused"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(number: u32) -> Refused {
        Refused {
            reason: RefusalReason::Path,
            certificate: None,
            route: None,
            source: IpAddr::from(number.to_be_bytes()),
        }
    }

    #[test]
    fn the_same_refusal_is_one_entry_with_a_count() {
        let refusals = Refusals::default();
        for _ in 0..5 {
            refusals.note(refused(1), Some("x"), UtcMillis(1));
        }
        let taken = refusals.take(10);
        assert_eq!(taken.iter().map(|(_, refusal)| refusal.count).collect::<Vec<_>>(), [5]);
        refusals.give_back(taken);
        refusals.note(refused(1), None, UtcMillis(2));
        assert_eq!(refusals.take(10)[0].1.count, 6);
        assert!(refusals.take(10).is_empty());
    }

    #[test]
    fn no_more_than_a_bounded_number_waits_and_the_rest_is_counted() {
        let refusals = Refusals::default();
        for number in 0..MOST as u32 + 10 {
            refusals.note(refused(number), None, UtcMillis(1));
        }
        assert_eq!((refusals.take(usize::MAX).len(), refusals.untold()), (MOST, 10));
    }
}
