//! Any octets: read or refused; what is read is written as it was, and every record says something.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::{
    registry_pol::{File, Limits},
    rsop::settings::Policy,
};

fuzz_target!(|octets: &[u8]| {
    match File::read(octets, &Limits::default()) {
        Ok(file) => {
            let written = file.write();
            assert_eq!(written, octets[..octets.len() - file.trailing_octets]);
            for record in &file.records {
                let _ = (record.directive(), record.typed());
            }
            let _ = Policy::of(&file);
        }
        Err(error) => assert!(error.offset <= octets.len()),
    }
});
