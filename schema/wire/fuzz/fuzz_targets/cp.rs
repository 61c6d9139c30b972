//! OMA CP in either encoding: no panic, and what was accepted reads the same after it has been written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::bootstrap::cp::{Account, AuthTypes, Document};

fuzz_target!(|octets: &[u8]| {
    let Ok(document) = Document::read(octets) else { return };
    let _ = Account::all_of(&document);
    for auth_types in [AuthTypes::Inline, AuthTypes::Edition2005] {
        // U+0000 cannot come in; a document may grow past the bound when its string table is unfolded.
        let again = document.to_wbxml(auth_types).expect("no U+0000");
        if let Ok(read) = Document::from_wbxml(&again) {
            assert_eq!(read, document);
        } else {
            assert!(again.len() > 65_536);
        }
    }
    // WBXML can carry characters that XML cannot.
    let Ok(again) = document.to_xml() else { return };
    if again.len() <= 65_536 {
        assert_eq!(Document::from_xml(again.as_bytes()).as_ref(), Ok(&document));
    }
});
