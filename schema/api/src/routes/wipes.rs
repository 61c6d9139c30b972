//! The routes of wipes.

use super::{
    Answer::{One, PageOf},
    Method::{Get, Post},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/wipes",
        "wipes.list",
        P::DevicesRead,
        PageOf("Wipe"),
        "List wipes, the newest first; armed ones with their age.",
    )
    .query(&[
        ("state", "In this state."),
        ("device", "Of this device."),
        ("outstanding", "Outstanding ones only, or those that are over."),
        PAGE[0],
        PAGE[1],
    ]),
    route(
        Post,
        "/api/1/wipes",
        "wipes.request",
        P::WipeRequest,
        One("RequestedWipes"),
        "Ask for the wipe of one device, or of many: all or none. Answered when it is committed.",
    )
    .takes("RequestWipe")
    .answers(202),
    route(
        Get,
        "/api/1/wipes/{wipe}",
        "wipes.show",
        P::DevicesRead,
        One("Wipe"),
        "Show a wipe with its stamps.",
    ),
    route(
        Get,
        "/api/1/wipes/{wipe}/explanation",
        "wipes.explain",
        P::DevicesRead,
        One("WipeExplanation"),
        "Tell where a wipe is, why, and what can be done.",
    ),
    route(
        Get,
        "/api/1/wipes/{wipe}/proof",
        "wipes.proof",
        P::AuditRead,
        One("WipeProof"),
        "Prove what became of a wipe: signed, with its rows of the audit log up to a signed head.",
    ),
    route(
        Post,
        "/api/1/wipes/{wipe}/cancel",
        "wipes.cancel",
        P::WipeRequest,
        One("Wipe"),
        "Take a wipe back that no device got.",
    )
    .takes("DecideWipe"),
    route(
        Post,
        "/api/1/wipes/{wipe}/approve",
        "wipes.approve",
        P::WipeApprove,
        One("Wipe"),
        "Agree to a wipe that waits for a second person.",
    )
    .takes("DecideWipe"),
    route(
        Post,
        "/api/1/wipes/{wipe}/disarm",
        "wipes.disarm",
        P::WipeDisarm,
        One("Wipe"),
        "Let a device off whose wipe is armed: two persons have to say so.",
    )
    .takes("DecideWipe"),
];
