//! SMPP: no panic, and what was accepted reads the same after it has been written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_wire::push::smpp::{Body, Pdu, receipt::Receipt};

fuzz_target!(|octets: &[u8]| {
    // The length is what a fuzzer finds last: it is set here.
    let mut framed = octets.to_vec();
    if framed.len() >= 16 {
        let length = (framed.len() as u32).to_be_bytes();
        framed[..4].copy_from_slice(&length);
    }
    let Ok(pdu) = Pdu::decode(&framed) else { return };
    if let Body::DeliverSm(message) = &pdu.body {
        let _ = Receipt::of(message);
    }
    if let Body::SubmitSm(message) | Body::DeliverSm(message) = &pdu.body {
        // 255 octets of short_message are read; 254 may be written (5.2.22).
        if message.short_message.len() > 254 {
            return;
        }
    }
    let again = pdu.encode().expect("what was read can be written");
    let mut read = Pdu::decode(&again).expect("what was written can be read");
    // A refused bind is written without its body.
    if let (Body::BindTransceiverResp { .. }, Body::BindTransceiverResp { .. }) = (&read.body, &pdu.body) {
        if pdu.status.0 != 0 {
            read.body = pdu.body.clone();
        }
    }
    assert_eq!(read, pdu);
});
