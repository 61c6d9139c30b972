//! The routes of enrolment over the air, and of devices that leave.

use super::{
    Answer::{One, PageOf},
    Method::{Delete, Get, Post},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/enrolment-requests",
        "enrolment.list",
        P::DevicesRead,
        PageOf("EnrolmentRequest"),
        "List requests for enrolments, the newest first.",
    )
    .query(&[
        ("state", "In this state (open, used, cancelled, expired, locked)."),
        ("owner", "For exactly this owner."),
        PAGE[0],
        PAGE[1],
    ]),
    route(
        Post,
        "/api/1/enrolment-requests",
        "enrolment.request",
        P::DevicesEnrol,
        One("RequestedEnrolment"),
        "Ask for an enrolment; the answer shows its one-time password once.",
    )
    .takes("RequestEnrolment")
    .answers(201),
    route(
        Get,
        "/api/1/enrolment-requests/{request}",
        "enrolment.show",
        P::DevicesRead,
        One("EnrolmentRequest"),
        "Show a request, by its id or code.",
    ),
    route(
        Delete,
        "/api/1/enrolment-requests/{request}",
        "enrolment.cancel",
        P::DevicesEnrol,
        One("EnrolmentRequest"),
        "Take a request back that no device has used.",
    )
    .query(&[("reason", "Why; stands in the audit log.")]),
    route(
        Post,
        "/api/1/enrolment-imports",
        "enrolment.import",
        P::DevicesEnrol,
        One("ImportedEnrolments"),
        "Ask for many enrolments; the answer shows their one-time passwords once.",
    )
    .takes("ImportEnrolments"),
    route(
        Get,
        "/api/1/enrolment-log",
        "enrolment.log",
        P::DevicesRead,
        PageOf("EnrolmentAttempt"),
        "List attempts to enrol, the newest first.",
    )
    .query(&[("request", "Of this request: its id or code."), PAGE[0], PAGE[1]]),
    route(
        Post,
        "/api/1/devices/{device}/unenrol",
        "devices.unenrol",
        P::DevicesRetire,
        One("Device"),
        "Have a device leave: it is told and retired when it has acknowledged that, or retired at once.",
    )
    .takes("UnenrolDevice"),
    route(
        Post,
        "/api/1/devices/{device}/release",
        "devices.release",
        P::DevicesRetire,
        One("Device"),
        "Let a device in quarantine begin its life; the one with the same hardware is retired.",
    )
    .takes("DecideQuarantine"),
    route(
        Post,
        "/api/1/devices/{device}/reject",
        "devices.reject",
        P::DevicesRetire,
        One("Device"),
        "Retire a device in quarantine.",
    )
    .takes("DecideQuarantine"),
    route(
        Post,
        "/api/1/devices/{device}/re-enrol",
        "devices.re_enrol",
        P::DevicesEnrol,
        One("Enrolled"),
        "Enrol a device anew by hand: a new generation with new secrets, which receives nothing of the old queue.",
    )
    .takes("EnrolDevice"),
];
