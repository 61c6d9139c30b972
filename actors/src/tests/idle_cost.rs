//! What an idle enrolled device costs in memory.

use postern_wire::route::RouteId;
use rustc_hash::FxHashMap;

use crate::device::Remembered;

/// The aim of the issue, in octets for each idle enrolled device.
const AIM: usize = 128;

#[test]
fn an_idle_device_costs_at_most_128_octets_in_the_index() {
    const DEVICES: u32 = 100_000;
    let before = resident();
    let mut index: FxHashMap<RouteId, Remembered> = FxHashMap::default();
    for n in 0..DEVICES {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&n.to_be_bytes());
        index.insert(RouteId::from_bytes(octets), Remembered { nonce_counter: n, ..Remembered::default() });
    }
    // hashbrown: one control octet for each bucket, and buckets at 7/8 of a power of two.
    let buckets = (index.capacity() * 8 / 7).next_power_of_two();
    let each = buckets * (size_of::<(RouteId, Remembered)>() + 1) / index.len();
    let grown = resident().saturating_sub(before) / index.len();
    println!("index octets for each idle device at {DEVICES}: {each} reckoned, {grown} resident");
    assert!(each <= AIM, "{each}");
}

/// Resident memory of this process in octets; 0 where it cannot be told.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()).unwrap_or(0) * 1024
}
