//! Recovery: sealed passwords, escrow keys and the chains of their changes; no panic, what is read is written as it came,
//! and no chain leads anywhere that nobody signed. Each text is also tried as the JSON under the form's base64url.
#![no_main]

use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use postern_wire::recovery::{EscrowKey, KeyChain, KeyId, RecoveryPassword, Sealed};

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    for text in [text, &under_a_seal(text)] {
        let Ok(sealed) = Sealed::parse(text) else { continue };
        let again = Sealed::parse(&sealed.text()).expect("what was read can be read again");
        assert_eq!((again.header(), again.text()), (sealed.header(), sealed.text()));
        assert!(text.trim().starts_with(std::str::from_utf8(sealed.authenticated()).expect("base64url")));
    }
    if let Ok(password) = RecoveryPassword::parse(text) {
        assert_eq!(password.digits().len(), 20);
    }
    let _ = text.parse::<KeyId>();
    if let Ok(key) = text.parse::<EscrowKey>() {
        assert_eq!(key.to_base64().parse::<EscrowKey>().map(|again| again.id()), Ok(key.id()));
    }
    for text in [text, &under_a_signature(text)] {
        let Ok(chain) = KeyChain::parse(text) else { continue };
        let pinned = EscrowKey::from_der([7; 32]).expect("it is within its limits");
        if let Ok(key) = chain.follow(&pinned, |_, _, _| false) {
            assert_eq!(key.id(), pinned.id());
        }
    }
});

/// A sealed password with this header.
fn under_a_seal(header: &str) -> String {
    let parts = [header.as_bytes(), &[1; 384], &[2; 12], &[3; 20], &[4; 16]];
    parts.map(|part| BASE64URL_NOPAD.encode(part)).join(".")
}

/// A change of keys with this JSON.
fn under_a_signature(json: &str) -> String {
    format!("{json}.{}", BASE64URL_NOPAD.encode(&[5; 256]))
}
