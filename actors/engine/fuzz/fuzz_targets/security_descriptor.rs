//! Any octets: read or refused; what is read can be checked and shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_engine::policy::{
    security_descriptor::{SecurityDescriptor, access::Right},
    sid::Sid,
};

fuzz_target!(|octets: &[u8]| {
    if let Ok(descriptor) = SecurityDescriptor::read(octets) {
        let everyone = Sid::everyone();
        for right in [Right::Read, Right::Apply] {
            let _ = descriptor.check(right, &|sid| *sid == everyone);
            let _ = descriptor.check(right, &|_| true);
        }
        let _ = descriptor.sddl(None);
    }
});
