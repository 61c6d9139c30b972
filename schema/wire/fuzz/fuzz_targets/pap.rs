//! The answer of a push proxy gateway: no panic, and its texts are bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::push::pap::Answer;

fuzz_target!(|octets: &[u8]| {
    let Ok(answer) = Answer::read(octets) else { return };
    let result = match answer {
        Answer::Push { result, .. } | Answer::BadMessage(result) | Answer::ResultNotification { result, .. } => result,
    };
    assert!(result.description.chars().count() <= 256);
    let _ = result.code.verdict();
});
