//! A DDF document in: no panic, what was accepted reads the same after it has been written again, and the registry
//! takes it. The first octet says in which encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::syncml::Encoding;

#[path = "../../tests/normal_ddf/mod.rs"]
mod normal_ddf;

fuzz_target!(|input: &[u8]| {
    let Some((first, document)) = input.split_first() else { return };
    normal_ddf::check(document, if first & 1 == 0 { Encoding::Xml } else { Encoding::Wbxml });
});
