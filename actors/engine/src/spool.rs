//! How much of unfinished large objects is held: by one session, and by all of them together.
//!
//! Promise: what was reserved is given back when its object is done or dropped, whichever way that happens.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The octets that objects on their way in may take up together; shared by all sessions of a core.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Room>);

#[derive(Debug)]
struct Room {
    limit: u64,
    used: AtomicU64,
}

impl Spool {
    /// Room for so many octets.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Room { limit, used: AtomicU64::new(0) }))
    }

    /// Octets held now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    pub(crate) fn reserve(&self) -> Reservation {
        Reservation { room: self.0.clone(), octets: 0 }
    }
}

/// What one object holds.
#[derive(Debug)]
pub(crate) struct Reservation {
    room: Arc<Room>,
    octets: u64,
}

impl Reservation {
    /// Takes so much more, if it is there.
    pub(crate) fn grow(&mut self, octets: u64) -> bool {
        let limit = self.room.limit;
        let more = |used: u64| used.checked_add(octets).filter(|sum| *sum <= limit);
        let grown = self.room.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if grown {
            self.octets += octets;
        }
        grown
    }
}

/// A session that is set back to where it stood holds what it held: for that moment the room may be overdrawn.
impl Clone for Reservation {
    fn clone(&self) -> Self {
        self.room.used.fetch_add(self.octets, Ordering::Relaxed);
        Self { room: self.room.clone(), octets: self.octets }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_bounded_and_given_back() {
        let spool = Spool::new(10);
        let (mut one, mut two) = (spool.reserve(), spool.reserve());
        assert!(one.grow(6) && !two.grow(5) && two.grow(4));
        assert_eq!(spool.used(), 10);
        drop(one);
        assert_eq!(spool.used(), 4);
        assert!(two.grow(6));
    }
}
