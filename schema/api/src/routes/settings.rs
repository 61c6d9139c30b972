//! The routes of settings.

use super::{
    Answer::One,
    Method::{Get, Patch},
    RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/settings",
        "settings.show",
        P::SettingsRead,
        One("Settings"),
        "Show the global settings.",
    ),
    route(
        Patch,
        "/api/1/settings",
        "settings.update",
        P::SettingsWrite,
        One("Settings"),
        "Set or clear global settings.",
    )
    .takes("UpdateSettings")
    .needs_if_match(),
    route(
        Get,
        "/api/1/groups/{group}/settings",
        "settings.show_group",
        P::SettingsRead,
        One("Settings"),
        "Show a group's settings.",
    ),
    route(
        Patch,
        "/api/1/groups/{group}/settings",
        "settings.update_group",
        P::SettingsWrite,
        One("Settings"),
        "Set or clear a group's settings.",
    )
    .takes("UpdateSettings")
    .needs_if_match(),
    route(
        Get,
        "/api/1/devices/{device}/settings",
        "settings.show_device",
        P::SettingsRead,
        One("Settings"),
        "Show the settings that hold for a device, and where each comes from.",
    ),
    route(
        Patch,
        "/api/1/devices/{device}/settings",
        "settings.update_device",
        P::SettingsWrite,
        One("Settings"),
        "Set or clear a device's own settings.",
    )
    .takes("UpdateSettings")
    .needs_if_match(),
];
