//! A list of commands in XML: no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::syncml::{Limits, decode_commands};

fuzz_target!(|body: &[u8]| {
    let _ = decode_commands(body, &Limits::default());
});
