//! The routes of the audit log.

use super::{
    Answer::{One, PageOf},
    Method::{Get, Post},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/audit",
        "audit.list",
        P::AuditRead,
        PageOf("AuditRow"),
        "List the audit log, the newest first.",
    )
    .query(&[
        ("object", "On exactly this object: `device:ID`, `group:ID` …"),
        ("actor", "By exactly this actor: `admin:NAME`, `service:NAME` …"),
        ("action", "Exactly this action, or all that begin with it when it ends in a dot: `devices.`."),
        ("since", "Not before this time."),
        ("until", "Before this time."),
        PAGE[0],
        PAGE[1],
    ]),
    route(
        Get,
        "/api/1/audit/head",
        "audit.head",
        P::AuditRead,
        One("AuditHead"),
        "Show the last signed head.",
    ),
    route(
        Post,
        "/api/1/audit/verify",
        "audit.verify",
        P::AuditRead,
        One("AuditVerified"),
        "Recompute the chain and check it against signed heads that were kept elsewhere.",
    )
    .takes("VerifyAudit"),
];
