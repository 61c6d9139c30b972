//! Any octets: documents are read or refused, and what is written of them reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::documents::{Limits, read};

fuzz_target!(|octets: &[u8]| {
    let limits = Limits::default();
    let Ok(documents) = read::documents(octets, &limits) else { return };
    assert!(documents.len() <= limits.documents);
    for document in documents {
        for text in [document.to_yaml(), document.canonical()] {
            let again = read::documents(text.as_bytes(), &Limits { octets: usize::MAX, ..limits });
            assert_eq!(again.expect("what was written reads"), [document.clone()]);
        }
    }
});
