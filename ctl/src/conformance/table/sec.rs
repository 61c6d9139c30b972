//! SEC: security (part 10.4).

use super::{
    Obligation::{M, O, Q},
    Row, rule,
};

pub(super) const ROWS: &[Row] = &[
    rule(
        "SEC-01",
        M,
        "PRO 9.1",
        "No credentials: 407 for the header and every command, with a challenge; nothing is done.",
    ),
    rule(
        "SEC-02",
        M,
        "PRO 9.1",
        "Wrong credentials: 401 with a new challenge; what came with them is not kept.",
    ),
    rule(
        "SEC-03",
        M,
        "PRO 9",
        "Good credentials after a challenge, in the next message of the session, are accepted.",
    ),
    rule("SEC-04", O, "PRO 9.4.1", "auth-basic is accepted, or refused with another challenge."),
    rule("SEC-05", M, "SEC 5.3.2", "auth-basic and auth-md5 have the digests of the standard's formula."),
    rule(
        "SEC-06",
        M,
        "PRO 9.1",
        "The nonce of one session opens the next without a challenge, and only once.",
    ),
    rule("SEC-07", M, "SEC 5.3.3", "A stale nonce gets one more challenge, whose answer is accepted."),
    rule("SEC-08", M, "SEC 5.3.3", "A whole session that is played again is refused."),
    rule("SEC-09", M, "SEC 5.4.1", "A challenge that is answered with another type ends the session."),
    rule("SEC-10", O, "SEC 5.3.3", "Nonces have 128 bits or more and never repeat."),
    rule("SEC-11", M, "PRO 9.1", "A reply to failed credentials holds Status and nothing else."),
    rule("SEC-12", M, "SEC 5.1", "The server proves itself with a secret of its own for each device."),
    rule(
        "SEC-13",
        M,
        "PRO 9.1",
        "A client's 401 or 407 makes the server prove itself with the nonce that came, and send its commands again.",
    ),
    rule(
        "SEC-14",
        M,
        "SEC 5.4",
        "auth-MAC: a good one gets 200 and a nonce; a bad, nameless or short one 401.",
    ),
    rule(
        "SEC-15",
        M,
        "SEC 5.4.3",
        "auth-MAC is over the message's octets as they came, in both encodings, chunked too.",
    ),
    rule("SEC-16", M, "SEC 5.4.3", "Once auth-MAC was used, a message without it ends the session."),
    rule("SEC-17", M, "SEC 5.4", "The server's messages carry an auth-MAC that the client can verify."),
    rule(
        "SEC-18",
        M,
        "SEC 5.4.3",
        "The header is read in any order, with spaces, quoted pairs and without algorithm.",
    ),
    rule("SEC-19", M, "PRO 9.1", "After 200 credentials are wanted in each message; after 212 they are not."),
    rule("SEC-20", M, "SEC 5.4.3", "A secret that is changed in a session is used from the next one on."),
    rule(
        "SEC-21",
        M,
        "SEC 5.3",
        "A TLS client certificate proves a device; without one, credentials are asked for.",
    ),
    rule("SEC-22", Q, "SEC 5.5.1.1", "TLS 1.2 and 1.3 are spoken; SSL 3.0 and TLS 1.0 are refused.").deviates(
        "SEC 5.5.1.1 wants TLS 1.0 and SSL 3.0, which are broken; a device that has nothing newer needs a TLS terminator before the gateway",
    ),
    rule("SEC-23", Q, "SEC 5", "Credentials of one device with the Source of another are refused."),
    rule("SEC-24", Q, "SEC 5", "An unknown and a known user get the same answer."),
    rule("SEC-25", Q, "SEC 5", "Another connection that uses a session's ids without proof is refused."),
    rule(
        "SEC-26",
        O,
        "SEC 5.3.4",
        "A challenge of a server that has not proved itself changes no stored nonce.",
    ),
    rule("SEC-27", Q, "SEC 5", "Ten failures are slowed by their source, and never lock the device out."),
    rule(
        "SEC-28",
        Q,
        "SEC 5",
        "Secrets never come back in Results and never stand in an answer to the operator.",
    ),
];
