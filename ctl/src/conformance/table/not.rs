//! NOT: notification, package 0 (part 10.5).

use super::{
    Obligation::{C, M3, O, Q},
    Row, rule,
};

pub(super) const ROWS: &[Row] = &[
    rule("NOT-01", M3, "NOT 6.2", "The trigger's header has its bits where the standard has them."),
    rule("NOT-02", M3, "NOT 6.2.2", "The digest is that of the standard's formula."),
    rule("NOT-03", M3, "NOT 6.1", "The digest covers vendor octets behind the server id."),
    rule("NOT-04", M3, "NOT 6.2.7", "Each UI mode with each initiator has its bits."),
    rule("NOT-05", M3, "NOT 6.2.10", "Session ids are 1 to FFFF; 0 is refused."),
    rule(
        "NOT-06",
        M3,
        "NOT 7.1",
        "The WSP push has its type, content type and application id in the shortest form.",
    ),
    rule(
        "NOT-07",
        M3,
        "NOT 7.1",
        "In a short message it goes to port 2948 as 8-bit data of at most 140 octets.",
    ),
    rule("NOT-08", M3, "NOT 7.1", "What is longer than one short message is cut into numbered parts."),
    rule(
        "NOT-09",
        O,
        "NOT 5.1",
        "After a trigger with the zero nonce the client's zero-nonce proof is accepted once, and new nonces are given.",
    ),
    rule("NOT-10", Q, "NOT 5.1", "A zero-nonce proof that no trigger asked for is refused."),
    rule("NOT-11", O, "NOT 6.2.10", "A trigger that is sent again for the same job starts one session."),
    rule("NOT-12", C, "NOT 5.1", "A trigger with a wrong digest starts no session."),
    rule("NOT-13", Q, "NOT 6.2.11", "A server id longer than 255 octets is refused."),
    rule(
        "NOT-14",
        O,
        "PAP",
        "A push goes to the proxy gateway with its headers; 1001 is success, 5xxx is tried again.",
    ),
];
