//! How the parts of a core that work by themselves are: when each last did its work, and what went wrong last.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use postern_wire::terms::UtcMillis;

/// The parts' last words.
#[derive(Debug, Default)]
pub struct Supervisors(Mutex<BTreeMap<&'static str, Supervisor>>);

/// One part's last words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supervisor {
    /// When it last did its work.
    pub done_at: Option<UtcMillis>,
    /// When it last failed, and why.
    pub failed: Option<(UtcMillis, String)>,
}

impl Supervisor {
    /// Whether its last word was a failure.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.failed.as_ref().is_some_and(|(at, _)| self.done_at.is_none_or(|done| done < *at))
    }
}

impl Supervisors {
    /// A part did its work, or did not.
    pub fn told<T, E: fmt::Display>(&self, name: &'static str, now: UtcMillis, done: &Result<T, E>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = all.entry(name).or_default();
        match done {
            Ok(_) => part.done_at = Some(now),
            Err(error) => part.failed = Some((now, error.to_string())),
        }
    }

    /// All parts.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, Supervisor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
