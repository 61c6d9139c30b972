//! Puts the segments of short messages together, in any order, with bounds on count and time.

use std::collections::BTreeMap;

use super::{BadUserData, Ports, Segment, UserData};
use crate::terms::UtcMillis;

/// What a reassembly holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Datagrams that wait for a segment; the one that waits longest makes room. Default 16.
    pub datagrams: usize,
    /// Segments of all of them together. Default 512, which is 64 KiB.
    pub segments: usize,
    /// How long one waits for its next segment, in milliseconds. Default 10 minutes.
    pub wait_ms: i64,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self { datagrams: 16, segments: 512, wait_ms: 600_000 }
    }
}

/// A datagram that is complete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assembled {
    /// Its ports, if it has any.
    pub ports: Option<Ports>,
    /// Its octets.
    pub datagram: Vec<u8>,
}

/// Segments that wait for the others.
#[derive(Debug)]
pub struct Reassembly {
    limits: ReassemblyLimits,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    from: String,
    ports: Option<Ports>,
    /// The first segment's place: reference and total are those of all.
    like: Segment,
    last: UtcMillis,
    pieces: BTreeMap<u8, Vec<u8>>,
}

impl Reassembly {
    /// An empty one.
    #[must_use]
    pub fn new(limits: ReassemblyLimits) -> Self {
        Self { limits, waiting: Vec::new() }
    }

    /// Takes the user data of a short message from `from` that came at `now`; the datagram that it completes, if it
    /// completes one. A segment that comes twice counts once.
    ///
    /// # Errors
    /// [`BadUserData`]; [`BadUserData::Segment`] drops what the segment did not fit.
    pub fn take(
        &mut self,
        now: UtcMillis,
        from: &str,
        user_data: &[u8],
    ) -> Result<Option<Assembled>, BadUserData> {
        self.expire(now);
        let UserData { ports, segment, body } = UserData::decode(user_data)?;
        let Some(segment) = segment else {
            return Ok(Some(Assembled { ports, datagram: body.to_vec() }));
        };
        let at = match self.waiting.iter().position(|waiting| waiting.is_of(from, ports, segment)) {
            Some(at) => at,
            None => {
                let pieces = BTreeMap::new();
                self.waiting.push(Waiting { from: from.to_owned(), ports, like: segment, last: now, pieces });
                self.waiting.len() - 1
            }
        };
        let waiting = &mut self.waiting[at];
        waiting.last = now;
        let differs = waiting.pieces.get(&segment.number).is_some_and(|known| known != body);
        if differs || waiting.like.total != segment.total {
            self.waiting.remove(at);
            return Err(BadUserData::Segment);
        }
        waiting.pieces.insert(segment.number, body.to_vec());
        if waiting.pieces.len() == usize::from(segment.total) {
            let datagram = self.waiting.remove(at).pieces.into_values().flatten().collect();
            return Ok(Some(Assembled { ports, datagram }));
        }
        self.shrink(at);
        Ok(None)
    }

    /// Datagrams that wait for a segment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn expire(&mut self, now: UtcMillis) {
        let wait = self.limits.wait_ms;
        // A clock that was set back must not keep anything for longer than that either.
        self.waiting.retain(|waiting| (0..=wait).contains(&now.since(waiting.last)));
    }

    /// Drops those that wait longest until the bounds hold again; the one at `keep` is the last to go.
    fn shrink(&mut self, mut keep: usize) {
        let segments = |waiting: &[Waiting]| waiting.iter().map(|one| one.pieces.len()).sum::<usize>();
        while self.waiting.len() > self.limits.datagrams || segments(&self.waiting) > self.limits.segments {
            let others = (0..self.waiting.len()).filter(|at| *at != keep);
            let oldest = others.min_by_key(|at| self.waiting[*at].last).unwrap_or(keep);
            self.waiting.remove(oldest);
            if oldest == keep {
                return;
            }
            if oldest < keep {
                keep -= 1;
            }
        }
    }
}

impl Waiting {
    fn is_of(&self, from: &str, ports: Option<Ports>, segment: Segment) -> bool {
        self.from == from
            && self.ports == ports
            && (self.like.reference, self.like.wide) == (segment.reference, segment.wide)
    }
}
