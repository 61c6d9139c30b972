//! BOO: bootstrap.

use postern_wire::syncml::Command;
use serde_json::json;

use super::{
    Obligation::{C, M2, O},
    Row, rule,
};
use crate::conformance::{
    client::notices, codec::push, server::sec_mac, tamper::header, variant::Variants::Once,
};

pub(super) const ROWS: &[Row] = &[
    rule(
        "BOO-01",
        M2,
        "BOO 5.3",
        "The w7 document has the account's fields where the standard maps them; APPSRV is the client's proof.",
    )
        .codec(Once, push::w7, |p| p.text(|text| *text = text.replace("APPSRV", "X").replace("CLIENT", "APPSRV").replace("\"X\"", "\"CLIENT\""))),
    rule(
        "BOO-02",
        M2,
        "BOO 5.3",
        "The document in PROV WBXML says what its XML says, with AAUTHTYPE inline.",
    )
        .codec(Once, push::prov_wbxml, |p| p.replace("DIGEST", "BASIC\0")),
    rule(
        "BOO-03",
        M2,
        "BOO 5.3",
        "The MACs under USERPIN, NETWPIN and USERNETWPIN are those of the formula.",
    )
        .codec(Once, push::cp_macs, |p| p.text(|text| text.insert(0, '0'))),
    rule("BOO-04", M2, "BOO 5.3", "The key of an IMSI is its semi-octet form, of odd and even length.")
        .codec(Once, push::imsi_key, |p| p.text(|text| text.insert(0, '0'))),
    rule("BOO-05", O, "BOO 5.3", "USERPINMAC's digits are the MAC's octets modulo 10.")
        .codec(Once, push::user_pin_digits, |p| p.text(|text| text.insert(0, '0'))),
    rule("BOO-06", M2, "BOO 5.3", "The push of a document has its SEC and MAC parameters in WSP's form.")
        .codec(Once, push::bootstrap_push, |p| p.written(|octets| octets[7] ^= 1)),
    rule(
        "BOO-07",
        M2,
        "BOO 5.3",
        "A document longer than one short message is cut into parts of one reference.",
    )
        .codec(Once, push::bootstrap_segments, |p| if p.nth == 2 { p.written(|octets| octets[9] ^= 1) }),
    rule(
        "BOO-08",
        M2,
        "BOO 5.4",
        "The DM profile is a WBXML message with an Add of a TNDS tree to ./Inbox, its ACL inside.",
    )
        .codec(Once, push::dm_profile, |p| p.replace("./Inbox", "./Other")),
    rule("BOO-09", M2, "SEC 5.7.2", "The DM profile's MACs are those of the formula.")
        .codec(Once, push::profile_macs, |p| p.text(|text| text.insert(0, '0'))),
    rule("BOO-10", M2, "BOO 5.4.4", "After a bootstrap the server waits for a session and wants no Status.")
        .server(Once, sec_mac::after_bootstrap, |p| p.operator("device", |v| v["state"] = json!("failed"))),
    rule(
        "BOO-11",
        C,
        "BOO 5.3.4",
        "A bootstrap with the right MAC makes an account, with Get, Replace and Delete for its server.",
    )
        .client(Once, notices::applied, |p| p.request(|m| for c in &mut m.body { if let Command::Results(r) = c { r.items[0].data = Some("Get=*".into()) } })),
    rule("BOO-12", C, "BOO 5.3.4", "A wrong MAC, or three wrong PINs, make no account.")
        .client(Once, notices::rejected, |p| p.written(|octets| { octets.pop(); })),
    rule("BOO-13", M2, "BOO 5.4.4", "The first session with bootstrapped credentials is accepted.")
        .server(Once, sec_mac::first_session, |p| p.answer(header(|s| s.code = 401))),
    rule("BOO-14", C, "BOO 5.2", "The bootstrap of a second server leaves the first one's nodes alone.")
        .client(Once, notices::second_server, |p| p.request(|m| for c in &mut m.body { if let Command::Results(r) = c { r.items[0].data = Some("x".into()) } })),
];
