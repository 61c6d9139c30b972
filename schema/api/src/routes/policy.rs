//! The routes of policy: documents, and the answers about devices.

use super::{
    Also,
    Answer::{One, PageOf},
    Method::{Get, Post},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

const ASSIGN: &[Also] =
    &[Also { permission: P::PolicyAssign, when: "an assignment to a group is another than before" }];

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/policy/documents",
        "policy.list",
        P::PolicyRead,
        PageOf("PolicyDocument"),
        "List policy documents by name.",
    )
    .query(&[PAGE[0], PAGE[1], ("removed", "`true`: also those that were taken away.")]),
    route(
        Post,
        "/api/1/policy/plan",
        "policy.plan",
        P::PolicyRead,
        One("PolicyPlan"),
        "Say what applying documents would change, and on how many devices. Changes nothing.",
    )
    .takes("ApplyPolicies"),
    route(
        Post,
        "/api/1/policy/apply",
        "policy.apply",
        P::PolicyWrite,
        One("PolicyPlan"),
        "Apply documents: all or none. What says the same as before makes no version.",
    )
    .takes("ApplyPolicies")
    .also(ASSIGN)
    .needs_if_match(),
    route(
        Get,
        "/api/1/policy/documents/{document}",
        "policy.show",
        P::PolicyRead,
        One("PolicyDocumentDetail"),
        "Show a policy document.",
    ),
    route(
        Get,
        "/api/1/policy/documents/{document}/versions",
        "policy.versions",
        P::PolicyRead,
        PageOf("PolicyVersion"),
        "List the versions of a policy document, the newest first.",
    )
    .query(&PAGE),
    route(
        Get,
        "/api/1/policy/documents/{document}/versions/{version}",
        "policy.version",
        P::PolicyRead,
        One("PolicyVersion"),
        "Show one version of a policy document, with its text.",
    ),
    route(
        Post,
        "/api/1/policy/documents/{document}/rollback",
        "policy.roll_back",
        P::PolicyWrite,
        One("PolicyPlan"),
        "Bring back an earlier version of a policy document, as a new version.",
    )
    .takes("RollBackPolicy")
    .also(ASSIGN)
    .needs_if_match(),
    route(
        Get,
        "/api/1/policy/held",
        "policy.held",
        P::ApprovalsRead,
        One("HeldPolicy"),
        "Show the change of policy that waits until somebody agrees, setting by setting.",
    )
    .query(&[PAGE[0], PAGE[1], ("change", "Only this one, by its id or that of its request.")]),
    route(
        Get,
        "/api/1/policy/compare",
        "policy.compare",
        P::PolicyRead,
        One("PolicyComparison"),
        "Say what policy sets otherwise on two devices, and who says so.",
    )
    .query(&[("one", "A device."), ("other", "Another.")]),
    route(
        Get,
        "/api/1/devices/{device}/policy/explain",
        "policy.explain",
        P::PolicyRead,
        One("PolicyExplanation"),
        "Say why a device is to be as it is: the GPOs and documents on the way, who wins, who loses, how each setting stands.",
    )
    .query(&[("setting", "Only this one: a node, a setting's name, or the end of a registry setting.")]),
    route(
        Post,
        "/api/1/devices/{device}/policy/what-if",
        "policy.what_if",
        P::PolicyRead,
        One("PolicyComparison"),
        "Say what would be another if the device moved, were in a group, a GPO linked, documents applied. Changes nothing.",
    )
    .takes("SupposePolicy"),
];
