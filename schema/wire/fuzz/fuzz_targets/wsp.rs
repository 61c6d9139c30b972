//! WSP pushes, user data headers and their reassembly: no panic, and what was accepted reads the same after it has been
//! written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::{
    push::{
        sms::{Ports, Reassembly, ReassemblyLimits, UserData, split},
        wsp,
    },
    terms::UtcMillis,
};

fuzz_target!(|octets: &[u8]| {
    if let Ok(received) = wsp::decode(octets) {
        // Names may hold characters that are read and not written.
        if let Ok(again) = wsp::encode(&received.push, received.transaction) {
            assert_eq!(wsp::decode(&again).as_ref(), Ok(&received));
        }
    }
    let _ = UserData::decode(octets);
    let mut reassembly = Reassembly::new(ReassemblyLimits { datagrams: 4, segments: 16, wait_ms: 1_000 });
    for (at, piece) in octets.chunks(20).enumerate() {
        let _ = reassembly.take(UtcMillis(at as i64 * 100), "+1", piece);
        assert!(reassembly.waiting() <= 4);
    }
    if let Ok(segments) = split(octets, Ports::PUSH, 1) {
        let mut reassembly = Reassembly::new(ReassemblyLimits::default());
        let mut whole = None;
        for segment in segments.iter().rev() {
            whole = reassembly.take(UtcMillis(0), "+1", segment).expect("our own segments fit");
        }
        assert_eq!(whole.map(|assembled| assembled.datagram).as_deref(), Some(octets));
    }
});
