//! The routes of the outbox: what people and other systems are told of.

use super::{
    Answer::{One, PageOf},
    Method::{Get, Post, Put},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/mail/outbox",
        "mail.outbox",
        P::MailRead,
        PageOf("Delivery"),
        "List deliveries by mail, webhook, syslog and stream, the newest first.",
    )
    .query(&[
        ("state", "`waiting`, `held`, `delivered` or `parked`."),
        ("channel", "`mail`, `webhook`, `syslog` or `stream`."),
        ("subject", "Of events about exactly this: `wipe:ID` …"),
        PAGE[0],
        PAGE[1],
    ]),
    route(
        Get,
        "/api/1/mail/outbox/{delivery}",
        "mail.delivery",
        P::MailRead,
        One("Delivery"),
        "Show one delivery.",
    ),
    route(
        Post,
        "/api/1/mail/outbox/{delivery}/retry",
        "mail.retry",
        P::MailRetry,
        One("Delivery"),
        "Have a delivery tried again now; with `replay` also one that another system took already.",
    )
    .takes("RetryDelivery"),
    route(
        Get,
        "/api/1/mail/letters/{kind}",
        "mail.preview",
        P::MailRead,
        One("Preview"),
        "Show the letter of a kind of event as it would go out now.",
    )
    .query(&[("event", "That of this event, in place of an example.")]),
    route(
        Post,
        "/api/1/mail/test",
        "mail.test",
        P::MailRetry,
        One("Told"),
        "Send a test by mail to an address, and by every webhook and stream.",
    )
    .takes("TestMail")
    .answers(202),
    route(
        Get,
        "/api/1/mail/addresses",
        "mail.addresses",
        P::MailRead,
        PageOf("Address"),
        "List where people get mail.",
    )
    .query(&PAGE),
    route(
        Put,
        "/api/1/mail/addresses",
        "mail.put_address",
        P::MailAddresses,
        One("PutAddress"),
        "Set where an admin or an owner of devices gets mail.",
    )
    .takes("PutAddress"),
];
