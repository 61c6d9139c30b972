//! XML in: no panic, and what was accepted reads the same after it has been written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::syncml::Encoding;

#[path = "../../tests/normal/mod.rs"]
mod normal;

fuzz_target!(|body: &[u8]| normal::check(body, Encoding::Xml));
