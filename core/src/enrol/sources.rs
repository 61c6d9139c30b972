//! Who failed lately, by source address.
//!
//! Promise: only failures count, so a fleet behind one address that knows its passwords is not held up; what is
//! remembered is bounded, and forgotten after a minute.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Wrong passwords of one source within [`WINDOW`] after which it has to wait.
const MOST: u32 = 30;
/// How long failures count.
const WINDOW: Duration = Duration::from_secs(60);
/// Sources that are remembered.
const REMEMBERED: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<HashMap<String, (Duration, u32)>>);

impl Sources {
    /// Whether this source may try.
    pub(super) fn admits(&self, source: &str, now: Duration) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(source)
            .is_none_or(|(since, failures)| now.saturating_sub(*since) > WINDOW || *failures < MOST)
    }

    /// This source tried a wrong password.
    pub(super) fn failed(&self, source: &str, now: Duration) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= REMEMBERED && !held.contains_key(source) {
            held.retain(|_, (since, _)| now.saturating_sub(*since) <= WINDOW);
            if held.len() >= REMEMBERED {
                return;
            }
        }
        let entry = held.entry(source.to_owned()).or_insert((now, 0));
        if now.saturating_sub(entry.0) > WINDOW {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_failed_often_waits_and_others_do_not() {
        let sources = Sources::default();
        let at = Duration::from_secs;
        for _ in 0..MOST {
            assert!(sources.admits("192.0.2.1", at(1)));
            sources.failed("192.0.2.1", at(1));
        }
        assert!(!sources.admits("192.0.2.1", at(61)));
        assert!(sources.admits("192.0.2.2", at(61)));
        assert!(sources.admits("192.0.2.1", at(62)));
        sources.failed("192.0.2.1", at(62));
        assert!(sources.admits("192.0.2.1", at(62)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let sources = Sources::default();
        for number in 0..REMEMBERED + 10 {
            sources.failed(&number.to_string(), Duration::ZERO);
        }
        assert_eq!(sources.0.lock().unwrap().len(), REMEMBERED);
        sources.failed("later", Duration::from_secs(61));
        assert_eq!(sources.0.lock().unwrap().len(), 1);
    }
}
