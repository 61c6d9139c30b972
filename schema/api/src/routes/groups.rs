//! The routes of groups and their members.

use super::{
    Answer::{Nothing, One, PageOf},
    Method::{Delete, Get, Patch, Post, Put},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(Get, "/api/1/groups", "groups.list", P::GroupsRead, PageOf("Group"), "List groups by name.")
        .query(&[PAGE[0], PAGE[1]]),
    route(Post, "/api/1/groups", "groups.create", P::GroupsWrite, One("Group"), "Make a group.")
        .takes("CreateGroup")
        .answers(201),
    route(
        Get,
        "/api/1/groups/{group}",
        "groups.show",
        P::GroupsRead,
        One("GroupDetail"),
        "Show a group and its members.",
    ),
    route(
        Patch,
        "/api/1/groups/{group}",
        "groups.update",
        P::GroupsWrite,
        One("Group"),
        "Change a group's name or description.",
    )
    .takes("UpdateGroup")
    .needs_if_match(),
    route(
        Delete,
        "/api/1/groups/{group}",
        "groups.delete",
        P::GroupsWrite,
        Nothing,
        "Delete a group; its members stay.",
    )
    .query(&[("reason", "Why; stands in the audit log.")]),
    route(
        Put,
        "/api/1/groups/{group}/devices/{device}",
        "groups.add_device",
        P::GroupsWrite,
        Nothing,
        "Put a device into a group.",
    ),
    route(
        Delete,
        "/api/1/groups/{group}/devices/{device}",
        "groups.remove_device",
        P::GroupsWrite,
        Nothing,
        "Take a device out of a group.",
    ),
    route(
        Put,
        "/api/1/groups/{group}/groups/{member}",
        "groups.add_group",
        P::GroupsWrite,
        Nothing,
        "Put a group into a group; a cycle is refused.",
    ),
    route(
        Delete,
        "/api/1/groups/{group}/groups/{member}",
        "groups.remove_group",
        P::GroupsWrite,
        Nothing,
        "Take a group out of a group.",
    ),
];
