//! The routes of management objects and their descriptions.

use super::{
    Answer::{Nothing, One, PageOf},
    Method::{Delete, Get, Post},
    RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/objects",
        "objects.list",
        P::DevicesRead,
        PageOf("ManagementObject"),
        "List the management objects that are known: built in and imported.",
    ),
    route(
        Post,
        "/api/1/objects",
        "objects.import",
        P::ObjectsWrite,
        One("ManagementObject"),
        "Import the description (DDF 1.2) of a management object.",
    )
    .takes("ImportObject")
    .answers(201),
    route(
        Get,
        "/api/1/objects/{object}",
        "objects.show",
        P::DevicesRead,
        One("ManagementObjectDetail"),
        "Show a management object and its nodes.",
    ),
    route(
        Delete,
        "/api/1/objects/{object}",
        "objects.delete",
        P::ObjectsWrite,
        Nothing,
        "Delete an imported description.",
    ),
    route(
        Get,
        "/api/1/completions",
        "objects.complete",
        P::DevicesRead,
        One("Completions"),
        "Complete an address that was begun.",
    )
    .query(&[("prefix", "What was begun."), ("device", "Use what is known of this device.")]),
];
