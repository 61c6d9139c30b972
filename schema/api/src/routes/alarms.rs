//! The routes of alarms.

use super::{
    Answer::{One, PageOf},
    Method::{Get, Post},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/alarms",
        "alarms.list",
        P::AlarmsRead,
        PageOf("Alarm"),
        "List alarms, the newest first.",
    )
    .query(&[
        ("state", "`open` (the default), `cleared` or `all`."),
        ("kind", "Of exactly this kind."),
        PAGE[0],
        PAGE[1],
    ]),
    route(
        Post,
        "/api/1/alarms/{alarm}/acknowledge",
        "alarms.acknowledge",
        P::AlarmsWrite,
        One("Alarm"),
        "Say that an alarm was seen; with `close`, that it is over.",
    )
    .takes("AcknowledgeAlarm"),
];
