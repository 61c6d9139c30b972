//! SEC: security.

use postern_wire::syncml::Data;
use serde_json::json;

use super::{
    Obligation::{M, O, Q},
    Row, rule,
};
use crate::conformance::{
    client::sec_client,
    codec::proof,
    server::{sec_mac, sec_peer, sec_proof},
    tamper::{Thing, a_get, challenge, each_status, header},
    variant::Variants::{All, Encodings, Once},
};

pub(super) const ROWS: &[Row] = &[
    rule(
        "SEC-01",
        M,
        "PRO 9.1",
        "No credentials: 407 for the header and every command, with a challenge; nothing is done.",
    )
        .server(All, sec_proof::missing, |p| p.answer(header(|s| s.chal = None))),
    rule(
        "SEC-02",
        M,
        "PRO 9.1",
        "Wrong credentials: 401 with a new challenge; what came with them is not kept.",
    )
        .server(Encodings, sec_proof::wrong, |p| p.answer(|m| each_status(m, |s| s.code = 407))),
    rule(
        "SEC-03",
        M,
        "PRO 9",
        "Good credentials after a challenge, in the next message of the session, are accepted.",
    )
        .server(All, sec_proof::retried, |p| p.answer(header(|s| if s.code == 212 { s.chal = None })))
        .client(Encodings, sec_client::answers_challenge, |p| p.request(|m| m.header.cred = None)),
    rule("SEC-04", O, "PRO 9.4.1", "auth-basic is accepted, or refused with another challenge.")
        .server(Encodings, sec_proof::basic, |p| p.answer(header(|s| s.code = 403)))
        .client(Once, sec_client::basic, |p| p.request(|m| m.header.cred = None)),
    rule("SEC-05", M, "SEC 5.3.2", "auth-basic and auth-md5 have the digests of the standard's formula.")
        .codec(Once, proof::digests, |p| p.text(|text| text.insert(0, 'x'))),
    rule(
        "SEC-06",
        M,
        "PRO 9.1",
        "The nonce of one session opens the next without a challenge, and only once.",
    )
        .server(Encodings, sec_proof::stored_nonce, |p| p.answer(header(|s| if s.msg_ref == Some(1) { s.code = 401 })))
        .client(Once, sec_client::stored_nonce, |p| p.request(|m| if m.header.msg_id == 1 { m.header.cred = None })),
    rule("SEC-07", M, "SEC 5.3.3", "A stale nonce gets one more challenge, whose answer is accepted.")
        .server(Once, sec_proof::stale_nonce, |p| p.answer(header(|s| s.chal = None))),
    rule("SEC-08", M, "SEC 5.3.3", "A whole session that is played again is refused.")
        .server(Encodings, sec_proof::replayed, |p| p.answer(header(|s| s.code = 212))),
    rule("SEC-09", M, "SEC 5.4.1", "A challenge that is answered with another type ends the session.")
        .server(Once, sec_proof::other_type, |p| p.answer(header(|s| s.chal = Some(challenge()))))
        .client(Once, sec_client::other_type, |p| p.answer(header(|s| s.chal = Some(challenge())))),
    rule("SEC-10", O, "SEC 5.3.3", "Nonces have 128 bits or more and never repeat.")
        .server(Once, sec_proof::nonces, |p| p.answer(header(|s| if s.code == 212 { s.chal = Some(challenge()) }))),
    rule("SEC-11", M, "PRO 9.1", "A reply to failed credentials holds Status and nothing else.")
        .server(Encodings, sec_proof::only_status, |p| p.answer(|m| m.body.push(a_get()))),
    rule("SEC-12", M, "SEC 5.1", "The server proves itself with a secret of its own for each device.")
        .server(Encodings, sec_proof::server_cred, |p| p.answer(|m| m.header.cred = None)),
    rule(
        "SEC-13",
        M,
        "PRO 9.1",
        "A client's 401 or 407 makes the server prove itself with the nonce that came, and send its commands again.",
    )
        .server(Once, sec_proof::server_challenged, |p| p.answer(|m| if let Some(cred) = &mut m.header.cred { cred.data = Data::from("x") }))
        .client(Encodings, sec_client::challenges_server, |p| p.request(|m| each_status(m, |s| s.code = 200))),
    rule(
        "SEC-14",
        M,
        "SEC 5.4",
        "auth-MAC: a good one gets 200 and a nonce; a bad, nameless or short one 401.",
    )
        .server(Encodings, sec_mac::mac_in, |p| p.answer(header(|s| s.code = 401))),
    rule(
        "SEC-15",
        M,
        "SEC 5.4.3",
        "auth-MAC is over the message's octets as they came, in both encodings, chunked too.",
    )
        .server(Encodings, sec_mac::mac_of_octets, |p| p.answer(header(|s| if s.msg_ref > Some(2) { s.code = 401 })))
        .codec(Once, proof::mac, |p| p.text(|text| text.insert(0, 'x'))),
    rule("SEC-16", M, "SEC 5.4.3", "Once auth-MAC was used, a message without it ends the session.")
        .server(Once, sec_mac::mac_sticky, |p| p.answer(header(|s| s.code = 200))),
    rule("SEC-17", M, "SEC 5.4", "The server's messages carry an auth-MAC that the client can verify.")
        .server(Encodings, sec_mac::mac_out, |p| p.http(|answer| answer.headers.retain(|(name, _)| name != "x-syncml-hmac"))),
    rule(
        "SEC-18",
        M,
        "SEC 5.4.3",
        "The header is read in any order, with spaces, quoted pairs and without algorithm.",
    )
        .codec(Once, proof::header, |p| p.text(|text| text.insert(0, 'x'))),
    rule("SEC-19", M, "PRO 9.1", "After 200 credentials are wanted in each message; after 212 they are not.")
        .server(All, sec_proof::once_or_each, |p| p.answer(header(|s| s.code = if s.code == 212 { 200 } else { s.code }))),
    rule("SEC-20", M, "SEC 5.4.3", "A secret that is changed in a session is used from the next one on.")
        .server(Once, sec_peer::rotated, |p| p.answer(header(|s| s.code = 401)))
        .client(Once, sec_client::rotated, |p| p.request(|m| if m.header.msg_id == 1 { m.header.cred = None })),
    rule(
        "SEC-21",
        M,
        "SEC 5.3",
        "A TLS client certificate proves a device; without one, credentials are asked for.",
    )
        .server(Once, sec_peer::client_certificate, |p| p.answer(header(|s| s.code = 212))),
    rule("SEC-22", Q, "SEC 5.5.1.1", "TLS 1.2 and 1.3 are spoken; SSL 3.0 and TLS 1.0 are refused.").deviates(
        "SEC 5.5.1.1 wants TLS 1.0 and SSL 3.0, which are broken; a device that has nothing newer needs a TLS terminator before the gateway",
    )
        .server(Once, sec_peer::tls_versions, |p| if let Thing::Judged(answer) = &mut p.thing { **answer = false }).deviates(
        "SEC 5.5.1.1 wants TLS 1.0 and SSL 3.0, which are broken; a device that has nothing newer needs a TLS terminator before the gateway",
    ),
    rule("SEC-23", Q, "SEC 5", "Credentials of one device with the Source of another are refused.")
        .server(Once, sec_peer::other_source, |p| p.answer(header(|s| s.code = 212))),
    rule("SEC-24", Q, "SEC 5", "An unknown and a known user get the same answer.")
        .server(Once, sec_peer::user_enumeration, |p| p.request(|m| if m.header.source.name.as_deref() == Some("nobody") { m.header.cred = None })),
    rule("SEC-25", Q, "SEC 5", "Another connection that uses a session's ids without proof is refused.")
        .server(Once, sec_peer::hijacked, |p| p.answer(header(|s| s.code = 212))),
    rule(
        "SEC-26",
        O,
        "SEC 5.3.4",
        "A challenge of a server that has not proved itself changes no stored nonce.",
    )
        .client(Once, sec_client::unproved_challenge, |p| p.answer(|m| if let Some(cred) = &mut m.header.cred { cred.data = Data::from("x") })),
    rule("SEC-27", Q, "SEC 5", "Ten failures are slowed by their source, and never lock the device out.")
        .server(Once, sec_peer::brute_force, |p| p.answer(header(|s| if s.code == 212 { s.code = 403 }))),
    rule(
        "SEC-28",
        Q,
        "SEC 5",
        "Secrets never come back in Results and never stand in an answer to the operator.",
    )
        .server(Once, sec_peer::secrets, |p| p.operator("device", |v| v["password"] = json!("x")))
        .client(Once, sec_client::secrets, |p| p.request(|m| each_status(m, |s| if s.cmd_ref > 102 { s.code = 200 }))),
];
