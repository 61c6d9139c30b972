//! The routes of sessions, as they run.

use super::{
    Answer::{Document, Nothing, One, PageOf},
    Method::{Delete, Get, Post},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/devices/{device}/sessions",
        "sessions.list",
        P::DevicesRead,
        PageOf("SessionSummary"),
        "List a device's sessions, the newest first.",
    )
    .query(&[PAGE[0], PAGE[1]]),
    route(
        Get,
        "/api/1/devices/{device}/sessions/watch",
        "sessions.watch",
        P::SessionsWatch,
        One("WatchedSessions"),
        "Read the live dialogue of a device, secrets masked, with what the core decided and why.",
    )
    .query(&[
        ("after", "`next` of the answer before; without it the watch begins, which is audited."),
        ("wait", "Answer when something was said, or after this many seconds (most 60)."),
    ]),
    route(
        Post,
        "/api/1/devices/{device}/sessions/record",
        "sessions.record",
        P::SessionsRecord,
        Nothing,
        "Have the next sessions of a device recorded, as transcripts that hold none of its secrets.",
    )
    .takes("RecordSessions"),
    route(
        Get,
        "/api/1/devices/{device}/recordings",
        "recordings.list",
        P::SessionsRecord,
        PageOf("RecordedSession"),
        "List the recorded sessions of a device, the newest first.",
    ),
    route(
        Get,
        "/api/1/devices/{device}/recordings/{session}",
        "recordings.show",
        P::SessionsRecord,
        Document,
        "Read the transcript of a recorded session (`latest` is the newest), which is audited.",
    ),
    route(
        Delete,
        "/api/1/devices/{device}/recordings/{session}",
        "recordings.forget",
        P::SessionsRecord,
        Nothing,
        "Delete the transcript of a recorded session.",
    ),
    route(
        Delete,
        "/api/1/devices/{device}/sessions/open",
        "sessions.abort",
        P::CommandsQueue,
        Nothing,
        "End the open session of a device with the next answer (Alert 1223); its commands wait for the next session.",
    ),
];
