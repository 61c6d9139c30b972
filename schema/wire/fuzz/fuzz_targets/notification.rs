//! Package 0: no panic, and what was accepted is written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::notification::{NonceReading, Package0};

fuzz_target!(|octets: &[u8]| {
    let Ok(package) = Package0::decode(octets) else { return };
    assert_eq!(package.encode(), octets);
    assert_eq!(package.trigger.encode().as_deref(), Ok(&octets[16..]));
    let _ = package.verify("hash", "AAAA", &NonceReading::ALL);
});
