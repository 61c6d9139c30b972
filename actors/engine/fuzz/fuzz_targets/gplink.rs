//! Any text: link lists and distinguished names are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::{dn::Dn, gplink};

fuzz_target!(|text: &str| {
    match gplink::read(text) {
        Ok(links) => assert!(links.len() <= text.len()),
        Err(error) => assert!(error.offset <= text.len()),
    }
    if let Ok(dn) = Dn::new(text) {
        let again = Dn::new(dn.key()).expect("a normal form is a name");
        assert_eq!(again.key(), dn.key());
        let mut above = Some(dn);
        while let Some(dn) = above {
            let _ = (dn.name(), dn.domain());
            above = dn.parent();
        }
    }
});
