//! A timer wheel: one for each shard, instead of a timer for each device.
//!
//! Promise: setting and firing cost O(1); a timer fires no earlier than it was set for, and at most one tick
//! late as long as the wheel is turned every tick. What is due further away than one turn waits for another.

use std::time::Duration;

const SPOKES: usize = 1024;

/// Timers for keys of type `K`, driven by the owner's monotonic clock. A timer is not taken out: the owner
/// ignores one that has lost its meaning.
#[derive(Debug)]
pub(crate) struct Wheel<K> {
    spokes: Vec<Vec<(u64, K)>>,
    tick: Duration,
    turned_to: u64,
    len: usize,
}

impl<K> Wheel<K> {
    /// A wheel with ticks of `tick` that starts at `now`.
    pub(crate) fn new(tick: Duration, now: Duration) -> Self {
        let mut wheel =
            Self { spokes: Vec::new(), tick: tick.max(Duration::from_millis(1)), turned_to: 0, len: 0 };
        wheel.spokes.resize_with(SPOKES, Vec::new);
        wheel.turned_to = wheel.tick_of(now);
        wheel
    }

    /// Sets a timer for `key` at `due`; one in the past fires at the next turn.
    pub(crate) fn set(&mut self, key: K, due: Duration) {
        let due = (self.tick_of(due) + 1).max(self.turned_to + 1);
        self.spoke(due).push((due, key));
        self.len += 1;
    }

    /// Turns the wheel to `now` and takes out what is due, in no order within a tick.
    pub(crate) fn turn(&mut self, now: Duration) -> Vec<K> {
        let now = self.tick_of(now);
        let mut due = Vec::new();
        if self.len == 0 {
            self.turned_to = self.turned_to.max(now);
            return due;
        }
        let steps = now.saturating_sub(self.turned_to).min(SPOKES as u64);
        for step in 1..=steps {
            let at = now - steps + step;
            let spoke = self.spoke(at);
            let mut index = 0;
            while index < spoke.len() {
                if spoke[index].0 <= now {
                    due.push(spoke.swap_remove(index).1);
                } else {
                    index += 1;
                }
            }
            if spoke.is_empty() {
                *spoke = Vec::new(); // gives a burst's memory back
            }
        }
        self.len -= due.len();
        self.turned_to = self.turned_to.max(now);
        due
    }

    fn tick_of(&self, moment: Duration) -> u64 {
        u64::try_from(moment.as_nanos() / self.tick.as_nanos()).unwrap_or(u64::MAX / 2)
    }

    fn spoke(&mut self, tick: u64) -> &mut Vec<(u64, K)> {
        let index = usize::try_from(tick % SPOKES as u64).expect("less than SPOKES");
        &mut self.spokes[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_timer_never_fires_early_and_at_most_one_tick_late() {
        let mut wheel = Wheel::new(s(1), s(100));
        wheel.set("a", s(160));
        assert!(wheel.turn(s(160)).is_empty());
        assert_eq!(wheel.turn(s(161)), ["a"]);
        assert!(wheel.turn(s(5000)).is_empty());
    }

    #[test]
    fn a_timer_beyond_one_turn_waits_for_its_own() {
        let mut wheel = Wheel::new(s(1), s(0));
        wheel.set("far", s(1500));
        for now in 1..=1500 {
            assert!(wheel.turn(s(now)).is_empty(), "{now}");
        }
        assert_eq!(wheel.turn(s(1501)), ["far"]);
    }

    #[test]
    fn a_wheel_that_stood_still_fires_all_that_is_due() {
        let mut wheel = Wheel::new(s(1), s(0));
        for due in 0..3000 {
            wheel.set(due, s(due));
        }
        assert_eq!(wheel.turn(s(10_000)).len(), 3000);
    }

    #[test]
    fn a_timer_set_in_the_past_fires_at_the_next_turn() {
        let mut wheel = Wheel::new(s(1), s(50));
        wheel.set("late", s(3));
        assert_eq!(wheel.turn(s(51)), ["late"]);
    }
}
