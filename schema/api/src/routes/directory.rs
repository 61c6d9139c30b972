//! The routes of the directory: its reading, who devices are in it, signing in by it.

use super::{
    Answer::{Nothing, One, PageOf},
    Method::{Delete, Get, Post, Put},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/directory",
        "directory.show",
        P::DirectoryRead,
        One("DirectoryState"),
        "See how the reading of the directory stands.",
    ),
    route(
        Post,
        "/api/1/directory/refresh",
        "directory.refresh",
        P::DirectoryRefresh,
        One("RefreshedDirectory"),
        "Read the directory now: what changed, or everything; and try again what is to be written there.",
    )
    .takes("RefreshDirectory"),
    route(
        Get,
        "/api/1/directory/bindings",
        "directory.bindings",
        P::DirectoryRead,
        PageOf("DeviceBinding"),
        "List who devices and their owners are in the directory, and why not.",
    )
    .query(&[
        ("unbound", "Only devices without a computer, or with an owner who is no user."),
        PAGE[0],
        PAGE[1],
    ]),
    route(
        Get,
        "/api/1/devices/{device}/binding",
        "devices.binding",
        P::DirectoryRead,
        One("DeviceBinding"),
        "Show who a device and its owner are in the directory.",
    ),
    route(
        Put,
        "/api/1/devices/{device}/binding",
        "devices.bind",
        P::DevicesBind,
        One("DeviceBinding"),
        "Name a device's computer, its owner's user, or both.",
    )
    .takes("BindDevice"),
    route(
        Delete,
        "/api/1/devices/{device}/binding",
        "devices.unbind",
        P::DevicesBind,
        One("DeviceBinding"),
        "Forget what was named for a device: the rules say who it is.",
    )
    .query(&[("reason", "Why; stands in the audit log.")]),
    route(
        Post,
        "/api/1/sessions",
        "sign_in.open",
        P::Anyone,
        One("SignedIn"),
        "Sign in by the directory; the answer shows the token's text once. Needs no token.",
    )
    .takes("SignIn")
    .answers(201),
    route(
        Post,
        "/api/1/sessions/close",
        "sign_in.close",
        P::SignedIn,
        Nothing,
        "Sign out: the token that asks holds no more.",
    )
    .takes("SignOut"),
];
