//! The routes of the caller and the system.

use super::{
    Answer::{Document, One},
    Method::Get,
    RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(Get, "/api/1/me", "me.show", P::SignedIn, One("Me"), "Show who the caller is and what it may do."),
    route(Get, "/api/1/openapi.json", "openapi.show", P::SignedIn, Document, "Show this document."),
    route(
        Get,
        "/api/1/status",
        "status.show",
        P::StatusRead,
        One("Status"),
        "Show links, database, certificates and queue on one screen.",
    ),
];
