//! The routes of recovery passwords, and of the password that an admin is asked for before one is shown.

use super::{
    Answer::{Nothing, One},
    Method::{Get, Post, Put},
    RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/recovery",
        "recovery.status",
        P::DevicesRead,
        One("RecoverySummary"),
        "Say how recovery passwords stand, and what rests on each escrow key.",
    ),
    route(
        Post,
        "/api/1/recovery/rotate",
        "recovery.rotate_all",
        P::RecoveryRotate,
        One("RecoverySummary"),
        "Have every device make a new recovery password.",
    )
    .takes("RecoveryReason")
    .answers(202),
    route(
        Post,
        "/api/1/recovery/key",
        "recovery.roll_key",
        P::RecoveryRollKey,
        One("RecoverySummary"),
        "Make a new escrow key; each device seals to it when it has seen the old one's signature.",
    )
    .takes("RecoveryReason")
    .answers(202),
    route(
        Get,
        "/api/1/devices/{device}/recovery",
        "recovery.device",
        P::DevicesRead,
        One("DeviceRecovery"),
        "Say how a device's recovery password stands.",
    ),
    route(
        Post,
        "/api/1/devices/{device}/recovery/show",
        "recovery.show",
        P::RecoveryShow,
        One("ShownRecovery"),
        "Open a device's recovery password, once it is audited; the owner is told, and the device makes a new one.",
    )
    .takes("ShowRecovery"),
    route(
        Post,
        "/api/1/devices/{device}/recovery/rotate",
        "recovery.rotate",
        P::RecoveryRotate,
        One("DeviceRecovery"),
        "Have a device make a new recovery password.",
    )
    .takes("RecoveryReason")
    .answers(202),
    route(
        Put,
        "/api/1/me/password",
        "me.set_password",
        P::SignedIn,
        Nothing,
        "Set one's own password, which is asked for before a secret is shown.",
    )
    .takes("SetPassword"),
];
