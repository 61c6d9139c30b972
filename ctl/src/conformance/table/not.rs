//! NOT: notification, package 0.

use super::{
    Obligation::{C, M3, O, Q},
    Row, rule,
};
use crate::conformance::{
    client::notices,
    codec::push,
    server::sec_mac,
    tamper::{Thing, header},
    variant::Variants::Once,
};

pub(super) const ROWS: &[Row] = &[
    rule("NOT-01", M3, "NOT 6.2", "The trigger's header has its bits where the standard has them.")
        .codec(Once, push::layout, |p| p.written(|octets| octets[1] ^= 1)),
    rule("NOT-02", M3, "NOT 6.2.2", "The digest is that of the standard's formula.")
        .codec(Once, push::digest, |p| p.written(|octets| octets[3] ^= 1)),
    rule("NOT-03", M3, "NOT 6.1", "The digest covers vendor octets behind the server id.")
        .codec(Once, push::vendor, |p| p.written(|octets| octets[0] ^= 1)),
    rule("NOT-04", M3, "NOT 6.2.7", "Each UI mode with each initiator has its bits.")
        .codec(Once, push::modes, |p| p.written(|octets| octets[1] ^= 1)),
    rule("NOT-05", M3, "NOT 6.2.10", "Session ids are 1 to FFFF; 0 is refused.")
        .codec(Once, push::session_ids, |p| p.text(|text| text.insert(0, '0'))),
    rule(
        "NOT-06",
        M3,
        "NOT 7.1",
        "The WSP push has its type, content type and application id in the shortest form.",
    )
        .codec(Once, push::wsp_push, |p| p.written(|octets| octets[4] ^= 1)),
    rule(
        "NOT-07",
        M3,
        "NOT 7.1",
        "In a short message it goes to port 2948 as 8-bit data of at most 140 octets.",
    )
        .codec(Once, push::short_message, |p| p.written(|octets| octets[4] ^= 1)),
    rule("NOT-08", M3, "NOT 7.1", "What is longer than one short message is cut into numbered parts.")
        .codec(Once, push::concatenated, |p| p.written(|octets| octets[11] ^= 1)),
    rule(
        "NOT-09",
        O,
        "NOT 5.1",
        "After a trigger with the zero nonce the client's zero-nonce proof is accepted once, and new nonces are given.",
    )
        .server(Once, sec_mac::resynchronised, |p| p.answer(header(|s| s.code = 401)))
        .client(Once, notices::resynchronised, |p| p.request(|m| m.header.cred = None)),
    rule("NOT-10", Q, "NOT 5.1", "A zero-nonce proof that no trigger asked for is refused.")
        .server(Once, sec_mac::zero_nonce, |p| p.answer(header(|s| s.code = 212))),
    rule("NOT-11", O, "NOT 6.2.10", "A trigger that is sent again for the same job starts one session.")
        .client(Once, notices::told_again, |p| if p.nth == 1 { p.written(|octets| *octets = notices::good_package_0()) }),
    rule("NOT-12", C, "NOT 5.1", "A trigger with a wrong digest starts no session.")
        .client(Once, notices::forged, |p| p.written(|octets| *octets = notices::good_package_0())),
    rule("NOT-13", Q, "NOT 6.2.11", "A server id longer than 255 octets is refused.")
        .codec(Once, push::server_id_length, |p| if let Thing::Judged(answer) = &mut p.thing { **answer = false }),
    rule(
        "NOT-14",
        O,
        "PAP",
        "A push goes to the proxy gateway with its headers; 1001 is success, 5xxx is tried again.",
    )
        .codec(Once, push::pap_push, |p| if let Thing::Judged(answer) = &mut p.thing { **answer = false }),
];
