//! Token buckets by key, bounded in number.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use rustc_hash::FxHashMap;

const SHARDS: usize = 16;
/// So many keys a shard; beyond, all further keys share one bucket until others are full again.
const KEYS_A_SHARD: usize = 8_192;
const SWEEP_MS: u64 = 1_000;

/// A rate: so many a minute, so many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_minute: u32,
    pub(crate) burst: u32,
}

/// Buckets for many keys under one rate.
pub(crate) struct Rates {
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    buckets: FxHashMap<u128, Bucket>,
    /// When full buckets were last dropped: not more than once each [`SWEEP_MS`], for that looks at all.
    swept_ms: Option<u64>,
}

struct Bucket {
    tokens: f64,
    at_ms: u64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Rates {
    /// Takes a token; false when there is none. `now_ms` is a monotonic clock's.
    pub(crate) fn take(&self, key: u128, rate: Rate, now_ms: u64) -> bool {
        self.with(key, rate, now_ms, |bucket| {
            let has = bucket.tokens >= 1.0;
            if has {
                bucket.tokens -= 1.0;
            }
            has
        })
    }

    /// Gives a token back.
    pub(crate) fn give(&self, key: u128, rate: Rate, now_ms: u64) {
        self.with(key, rate, now_ms, |bucket| {
            bucket.tokens = (bucket.tokens + 1.0).min(f64::from(rate.burst))
        });
    }

    fn with<T>(&self, key: u128, rate: Rate, now_ms: u64, then: impl FnOnce(&mut Bucket) -> T) -> T {
        let spread = (key ^ (key >> 64)) as u64;
        let shard = spread.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        let mut shard = self.shards[shard as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        let key = if shard.has_room_for(key, rate, now_ms) { key } else { 0 };
        let buckets = &mut shard.buckets;
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: f64::from(rate.burst), at_ms: now_ms });
        bucket.tokens = bucket.filled(rate, now_ms);
        bucket.at_ms = now_ms;
        then(bucket)
    }
}

impl Shard {
    fn has_room_for(&mut self, key: u128, rate: Rate, now_ms: u64) -> bool {
        if self.buckets.len() < KEYS_A_SHARD || self.buckets.contains_key(&key) {
            return true;
        }
        if self.swept_ms.is_none_or(|at| now_ms.saturating_sub(at) >= SWEEP_MS) {
            self.swept_ms = Some(now_ms);
            self.buckets.retain(|_, bucket| bucket.filled(rate, now_ms) < f64::from(rate.burst));
        }
        self.buckets.len() < KEYS_A_SHARD
    }
}

impl Bucket {
    fn filled(&self, rate: Rate, now_ms: u64) -> f64 {
        let gained = now_ms.saturating_sub(self.at_ms) as f64 * f64::from(rate.per_minute) / 60_000.0;
        (self.tokens + gained).min(f64::from(rate.burst))
    }
}

/// The key of an address: an IPv6 /64 is one, for one host has it whole.
pub(crate) fn address_key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()) | 0xffff_0000_0000,
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_minute: 60, burst: 2 };

    #[test]
    fn a_burst_passes_then_one_each_second() {
        let rates = Rates::default();
        let taken = [0, 0, 0, 999, 1_000, 1_001].map(|now| rates.take(7, RATE, now));
        assert_eq!(taken, [true, true, false, false, true, false]);
        assert!(rates.take(8, RATE, 0), "another key has a bucket of its own");
    }

    #[test]
    fn a_token_given_back_can_be_taken_again_but_no_more_than_the_burst() {
        let rates = Rates::default();
        rates.give(7, RATE, 0);
        assert_eq!([0, 0, 0].map(|now| rates.take(7, RATE, now)), [true, true, false]);
        rates.give(7, RATE, 0);
        assert!(rates.take(7, RATE, 0));
    }

    #[test]
    fn a_flood_of_addresses_does_not_grow_without_bound() {
        let rates = Rates::default();
        for key in 1..(SHARDS * KEYS_A_SHARD * 2) as u128 {
            rates.take(key, RATE, 0);
        }
        let held: usize =
            rates.shards.iter().map(|shard| shard.lock().expect("not poisoned").buckets.len()).sum();
        assert!(held <= SHARDS * (KEYS_A_SHARD + 1), "{held}");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let key = |text: &str| address_key(text.parse().expect("an address"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    }
}
