//! A histogram of fixed size: 1,200 steps of 2 % from one microsecond up (beyond five hours all are alike).

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

const STEPS: usize = 1_200;
const STEP: f64 = 1.02;

/// Latencies, to read quantiles from.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
    longest_us: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; STEPS], total: 0, longest_us: 0 }
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.counts[step(us)] += 1;
        self.total += 1;
        self.longest_us = self.longest_us.max(us);
    }

    /// The latency that this share (0 to 1) of all did not exceed, in microseconds; 0 without any.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank between 0 and the total"
        )]
        let rank = (share.clamp(0.0, 1.0) * self.total as f64).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return upper_us(index).min(self.longest_us);
            }
        }
        0
    }

    /// The longest, in microseconds.
    #[must_use]
    pub const fn longest_us(&self) -> u64 {
        self.longest_us
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Latencies", 4)?;
        shown.serialize_field("p50", &self.quantile_us(0.50))?;
        shown.serialize_field("p95", &self.quantile_us(0.95))?;
        shown.serialize_field("p99", &self.quantile_us(0.99))?;
        shown.serialize_field("max", &self.longest_us)?;
        shown.end()
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "logarithms of positive numbers, cut to the table"
)]
fn step(us: u64) -> usize {
    (((us as f64).ln() / STEP.ln()) as usize).min(STEPS - 1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "at most 1.02^1200, about 2·10^10"
)]
fn upper_us(index: usize) -> u64 {
    STEP.powf(index as f64 + 1.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_two_percent() {
        let mut latencies = Latencies::default();
        for ms in 1..=1000 {
            latencies.record(Duration::from_millis(ms));
        }
        for (share, us) in [(0.5, 500_000), (0.95, 950_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let read = latencies.quantile_us(share);
            assert!(read.abs_diff(us) * 100 <= us * 2, "{share}: {read}");
        }
        assert_eq!(latencies.longest_us(), 1_000_000);
    }

    #[test]
    fn nothing_recorded_is_zero_and_the_extremes_are_kept() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_us(0.99), 0);
        latencies.record(Duration::ZERO);
        latencies.record(Duration::MAX);
        assert_eq!(latencies.quantile_us(0.1), 1);
    }
}
