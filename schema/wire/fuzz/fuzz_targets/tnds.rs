//! A TNDS document in: no panic, and what was accepted reads the same after it has been written again. The first
//! octet says in which encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::syncml::Encoding;

#[path = "../../tests/normal_tree/mod.rs"]
mod normal_tree;

fuzz_target!(|input: &[u8]| {
    let Some((first, document)) = input.split_first() else { return };
    normal_tree::check(document, if first & 1 == 0 { Encoding::Xml } else { Encoding::Wbxml });
});
