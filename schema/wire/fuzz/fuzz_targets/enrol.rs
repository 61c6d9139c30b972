//! Enrolment: bodies, what stands inside them, passwords and discoveries; no panic, and nothing is proved by chance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::enrol::{
    Admitted, Application, Discovery, Finish, Hello, Initiator, OneTimePassword, Psk, Refusal, Responder, Start,
    Welcome,
};

fuzz_target!(|octets: &[u8]| {
    let psk = Psk::from_bytes([1; 32]);
    if let Ok(start) = Start::read(octets) {
        assert!(Responder::start(&start, Some(&psk), [2; 32].into()).is_err());
    }
    let _ = Finish::read(octets);
    let code = "00000".parse().expect("five characters of the alphabet");
    let hello = Hello { software: "x".into(), platform: "y".into() };
    let (device, _) = Initiator::start(code, &psk, &hello, [3; 32].into()).expect("it is within its limits");
    assert!(device.welcomed(octets).is_err());
    let _ = Hello::read(octets);
    let _ = Welcome::read(octets);
    let _ = Application::read(octets);
    let _ = Admitted::read(octets);
    let _ = Refusal::read(octets);
    if let Ok(discovery) = Discovery::read(octets) {
        assert!(discovery.server.is_ascii());
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        let _ = OneTimePassword::parse(text);
        let _ = Discovery::hosts(text);
    }
});
