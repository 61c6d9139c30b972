//! The routes of the safety of destructive operations: freeze, limits, break-glass, approvals, locks.

use super::{
    Also,
    Answer::{One, PageOf},
    Method::{Get, Post, Put},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/safety",
        "safety.show",
        P::StatusRead,
        One("Safety"),
        "See how it stands with destructive operations.",
    ),
    route(
        Post,
        "/api/1/safety/freeze",
        "safety.freeze",
        P::Freeze,
        One("Freeze"),
        "Freeze: nothing destructive is accepted or sent.",
    )
    .takes("FreezeOrThaw"),
    route(
        Post,
        "/api/1/safety/thaw",
        "safety.thaw",
        P::Thaw,
        One("SafetyChange"),
        "End a freeze: two persons ask for it.",
    )
    .takes("FreezeOrThaw")
    .answers(202),
    route(
        Get,
        "/api/1/safety/limits",
        "safety.limits",
        P::StatusRead,
        One("SafetyLimits"),
        "See the limits of destructive operations.",
    ),
    route(
        Put,
        "/api/1/safety/limits",
        "safety.set_limits",
        P::LimitsChange,
        One("SafetyChange"),
        "Change limits; what allows more waits for another's approval.",
    )
    .takes("SetSafetyLimits")
    .answers(202),
    route(
        Post,
        "/api/1/safety/break-glass",
        "safety.break_glass",
        P::BreakGlass,
        One("BreakGlass"),
        "Open break-glass with a code from the safe.",
    )
    .takes("OpenBreakGlass"),
    route(
        Get,
        "/api/1/approvals",
        "approvals.list",
        P::ApprovalsRead,
        PageOf("Approval"),
        "List requests for approval, the newest first.",
    )
    .query(&[("state", "In this state."), PAGE[0], PAGE[1]]),
    route(
        Get,
        "/api/1/approvals/{approval}",
        "approvals.show",
        P::ApprovalsRead,
        One("Approval"),
        "Show a request with all that it asks for.",
    ),
    route(
        Post,
        "/api/1/approvals/{approval}/approve",
        "approvals.approve",
        P::ApprovalsDecide,
        One("Approval"),
        "Agree to a request that another made.",
    )
    .takes("Approve"),
    route(
        Post,
        "/api/1/approvals/{approval}/reject",
        "approvals.reject",
        P::ApprovalsRead,
        One("Approval"),
        "Refuse a request, or take one's own back.",
    )
    .takes("Reject")
    .also(&[Also { permission: P::ApprovalsDecide, when: "the request is another's" }]),
    route(Post, "/api/1/locks", "locks.order", P::Lock, One("Locked"), "Lock or unlock devices.")
        .takes("LockDevices")
        .answers(202)
        .also(&[Also { permission: P::PinReset, when: "the PIN is reset" }]),
];
