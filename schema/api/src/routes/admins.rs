//! The routes of admins, roles and tokens.

use super::{
    Answer::{One, PageOf},
    Method::{Delete, Get, Patch, Post},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/roles",
        "roles.list",
        P::AdminsRead,
        PageOf("RoleInfo"),
        "List roles and what they hold.",
    ),
    route(Get, "/api/1/admins", "admins.list", P::AdminsRead, PageOf("Admin"), "List admins by name.")
        .query(&[PAGE[0], PAGE[1]]),
    route(Post, "/api/1/admins", "admins.create", P::AdminsWrite, One("Admin"), "Make an admin.")
        .takes("CreateAdmin")
        .answers(201),
    route(Get, "/api/1/admins/{admin}", "admins.show", P::AdminsRead, One("Admin"), "Show an admin."),
    route(
        Patch,
        "/api/1/admins/{admin}",
        "admins.update",
        P::AdminsWrite,
        One("Admin"),
        "Change an admin's roles, or disable it; never oneself.",
    )
    .takes("UpdateAdmin")
    .needs_if_match(),
    route(
        Get,
        "/api/1/tokens",
        "tokens.list",
        P::AdminsRead,
        PageOf("Token"),
        "List tokens, the newest first; never their text.",
    )
    .query(&[PAGE[0], PAGE[1]]),
    route(
        Post,
        "/api/1/tokens",
        "tokens.create",
        P::TokensWrite,
        One("CreatedToken"),
        "Make a token; the answer shows its text once.",
    )
    .takes("CreateToken")
    .answers(201),
    route(Delete, "/api/1/tokens/{token}", "tokens.revoke", P::TokensWrite, One("Token"), "Revoke a token.")
        .query(&[("reason", "Why; stands in the audit log.")]),
];
