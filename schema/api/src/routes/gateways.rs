//! The routes of gateways and their settings documents.

use super::{
    Answer::{One, PageOf},
    Method::{Get, Put},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/gateways",
        "gateways.list",
        P::GatewaysRead,
        PageOf("Gateway"),
        "List gateways with their links, documents and heartbeat.",
    ),
    route(
        Get,
        "/api/1/gateways/{gateway}",
        "gateways.show",
        P::GatewaysRead,
        One("Gateway"),
        "Show a gateway.",
    ),
    route(
        Get,
        "/api/1/gateways/{gateway}/settings",
        "gateways.settings",
        P::GatewaysRead,
        One("GatewaySettings"),
        "Show the settings document that a gateway is to have.",
    ),
    route(
        Put,
        "/api/1/gateways/{gateway}/settings",
        "gateways.put_settings",
        P::GatewaysWrite,
        One("GatewaySettings"),
        "Give a gateway a new settings document.",
    )
    .takes("PutGatewaySettings")
    .needs_if_match(),
    route(
        Get,
        "/api/1/gateways/{gateway}/settings/versions",
        "gateways.settings_versions",
        P::GatewaysRead,
        PageOf("GatewaySettings"),
        "List a gateway's settings documents, the newest first.",
    )
    .query(&[PAGE[0], PAGE[1]]),
];
