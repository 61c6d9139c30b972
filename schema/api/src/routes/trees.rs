//! The routes of devices' management trees.

use super::{
    Answer::{Nothing, One, PageOf},
    Method::{Delete, Get, Post},
    RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/devices/{device}/tree",
        "trees.show",
        P::DevicesRead,
        One("Tree"),
        "Show what is known of a device's management tree, and since when.",
    )
    .query(&[("uri", "The node; the root when absent."), ("snapshot", "This snapshot alone.")]),
    route(
        Post,
        "/api/1/devices/{device}/tree",
        "trees.read",
        P::CommandsQueue,
        One("TreeReading"),
        "Read a part of a device's management tree: one level, some, or the whole.",
    )
    .takes("ReadTree")
    .answers(202),
    route(
        Get,
        "/api/1/devices/{device}/tree/readings/{reading}",
        "trees.reading",
        P::DevicesRead,
        One("TreeReading"),
        "Show a reading; waits for its end with `wait`.",
    )
    .query(&[("wait", "Answer when it has ended, or after this many seconds (most 60).")]),
    route(
        Get,
        "/api/1/devices/{device}/tree/snapshots",
        "trees.snapshots",
        P::DevicesRead,
        PageOf("TreeSnapshot"),
        "List the snapshots of a device's tree, the newest first.",
    ),
    route(
        Delete,
        "/api/1/devices/{device}/tree/snapshots/{snapshot}",
        "trees.forget",
        P::CommandsQueue,
        Nothing,
        "Forget a snapshot.",
    ),
    route(
        Get,
        "/api/1/devices/{device}/tree/diff",
        "trees.diff",
        P::DevicesRead,
        One("TreeDiff"),
        "Compare two snapshots of a device's tree.",
    )
    .query(&[
        ("uri", "Snapshots of this node; of any when absent."),
        ("from", "The older snapshot; the one before `to` of the same node when absent."),
        ("to", "The newer snapshot; the newest when absent."),
    ]),
];
