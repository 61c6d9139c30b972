//! BOO: bootstrap (part 10.6).

use super::{
    Obligation::{C, M2, O},
    Row, rule,
};

pub(super) const ROWS: &[Row] = &[
    rule(
        "BOO-01",
        M2,
        "BOO 5.3",
        "The w7 document has the account's fields where the standard maps them; APPSRV is the client's proof.",
    ),
    rule(
        "BOO-02",
        M2,
        "BOO 5.3",
        "The document in PROV WBXML says what its XML says, with AAUTHTYPE inline.",
    ),
    rule(
        "BOO-03",
        M2,
        "BOO 5.3",
        "The MACs under USERPIN, NETWPIN and USERNETWPIN are those of the formula.",
    ),
    rule("BOO-04", M2, "BOO 5.3", "The key of an IMSI is its semi-octet form, of odd and even length."),
    rule("BOO-05", O, "BOO 5.3", "USERPINMAC's digits are the MAC's octets modulo 10."),
    rule("BOO-06", M2, "BOO 5.3", "The push of a document has its SEC and MAC parameters in WSP's form."),
    rule(
        "BOO-07",
        M2,
        "BOO 5.3",
        "A document longer than one short message is cut into parts of one reference.",
    ),
    rule(
        "BOO-08",
        M2,
        "BOO 5.4",
        "The DM profile is a WBXML message with an Add of a TNDS tree to ./Inbox, its ACL inside.",
    ),
    rule("BOO-09", M2, "SEC 5.7.2", "The DM profile's MACs are those of the formula."),
    rule("BOO-10", M2, "BOO 5.4.4", "After a bootstrap the server waits for a session and wants no Status."),
    rule(
        "BOO-11",
        C,
        "BOO 5.3.4",
        "A bootstrap with the right MAC makes an account, with Get, Replace and Delete for its server.",
    ),
    rule("BOO-12", C, "BOO 5.3.4", "A wrong MAC, or three wrong PINs, make no account."),
    rule("BOO-13", M2, "BOO 5.4.4", "The first session with bootstrapped credentials is accepted."),
    rule("BOO-14", C, "BOO 5.2", "The bootstrap of a second server leaves the first one's nodes alone."),
];
