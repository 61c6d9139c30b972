//! The routes of quirk profiles.

use super::{
    Answer::{Nothing, One, PageOf},
    Method::{Delete, Get, Post},
    RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/quirks",
        "quirks.list",
        P::DevicesRead,
        PageOf("QuirkProfile"),
        "List the quirk profiles in force, in the order in which they add up.",
    ),
    route(
        Post,
        "/api/1/quirks",
        "quirks.add",
        P::QuirksWrite,
        PageOf("QuirkProfile"),
        "Add quirk profiles; one takes the place of that of its name. Sessions that begin from now on go by them.",
    )
    .takes("AddQuirks")
    .answers(201),
    route(
        Get,
        "/api/1/quirks/{profile}",
        "quirks.show",
        P::DevicesRead,
        One("QuirkProfile"),
        "Show a quirk profile.",
    ),
    route(
        Delete,
        "/api/1/quirks/{profile}",
        "quirks.delete",
        P::QuirksWrite,
        Nothing,
        "Delete a quirk profile that was added; a built-in one of its name counts again.",
    ),
];
