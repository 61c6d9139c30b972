//! Recovery: sealed passwords, escrow keys and the chains of their changes; no panic, what is read is written as it came,
//! and no chain leads anywhere that nobody signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::recovery::{EscrowKey, KeyChain, KeyId, RecoveryPassword, Sealed};

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(sealed) = Sealed::parse(text) {
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
    if let Ok(chain) = KeyChain::parse(text) {
        let pinned = EscrowKey::from_der([7; 32]).expect("it is within its limits");
        match chain.follow(&pinned, |_, _, _| false) {
            Ok(key) => assert_eq!(key.id(), pinned.id()),
            Err(_) => {}
        }
    }
});
