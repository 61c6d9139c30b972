//! The routes of the system's own parts.

use super::{
    Also,
    Answer::{One, PageOf},
    Method::{Get, Post},
    RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/servers",
        "servers.list",
        P::ServerRead,
        PageOf("Server"),
        "List cores (active and standby), gateways and supervisors with their health.",
    ),
    route(
        Get,
        "/api/1/doctor",
        "server.doctor",
        P::ServerRead,
        One("Doctor"),
        "Look at clocks, certificates, keys, database, disk and gateways, and say what to do.",
    ),
    route(
        Post,
        "/api/1/server/release",
        "server.release",
        P::ServerRelease,
        One("Released"),
        "Let destructive orders out again after a restore.",
    )
    .takes("ReleaseServer"),
    route(
        Get,
        "/api/1/server/log-levels",
        "server.log_levels",
        P::ServerRead,
        PageOf("LogLevel"),
        "List the log levels that were changed for a time.",
    ),
    route(
        Post,
        "/api/1/server/log-levels",
        "server.set_log_level",
        P::ServerLog,
        PageOf("LogLevel"),
        "Change what is logged of one device, a module or all, for a time.",
    )
    .takes("SetLogLevel"),
    route(
        Get,
        "/api/1/support",
        "server.support",
        P::ServerSupport,
        PageOf("SupportPart"),
        "Make a support bundle: state, configuration, figures and last log lines, without secrets.",
    )
    .query(&[("names", "Leave names, addresses and ids as they are (`true`); needs `devices.read` too.")])
    .also(&[Also { permission: P::DevicesRead, when: "`names` is set" }]),
];
