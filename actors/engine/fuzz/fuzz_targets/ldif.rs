//! Any octets: LDIF is read or refused, and what is read makes a directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::{directory::Directory, ldif};

fuzz_target!(|octets: &[u8]| {
    if let Ok(entries) = ldif::read(octets, &ldif::Limits::default()) {
        let _ = Directory::from_entries(entries);
    }
});
