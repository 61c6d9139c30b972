//! The routes of operations and commands.

use super::{
    Answer::One,
    Method::{Delete, Get},
    RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/operations/{operation}",
        "operations.show",
        P::DevicesRead,
        One("Operation"),
        "Show an operation and its commands.",
    ),
    route(
        Get,
        "/api/1/commands/{command}",
        "commands.show",
        P::DevicesRead,
        One("Command"),
        "Show a command with its results and timeline; waits for a change with `wait` and `revision`.",
    )
    .query(&[
        ("wait", "Answer when the revision is above `revision`, or after this many seconds (most 60)."),
        ("revision", "The revision that the caller has seen."),
    ]),
    route(
        Delete,
        "/api/1/commands/{command}",
        "commands.cancel",
        P::CommandsQueue,
        One("Command"),
        "Cancel a command that has not been sent.",
    )
    .query(&[("reason", "Why; stands in the audit log.")]),
];
