//! The routes of gateways and their settings documents.

use super::{
    Answer::{Nothing, One, PageOf},
    Method::{Delete, Get, Post, Put},
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
        Post,
        "/api/1/gateways",
        "gateways.add",
        P::GatewaysWrite,
        One("GatewayBundle"),
        "Add a gateway: make the bundle that it joins with, shown once.",
    )
    .takes("AddGateway")
    .answers(201),
    route(
        Get,
        "/api/1/gateways/{gateway}",
        "gateways.show",
        P::GatewaysRead,
        One("Gateway"),
        "Show a gateway.",
    ),
    route(
        Post,
        "/api/1/gateways/{gateway}/compromised",
        "gateways.compromise",
        P::GatewaysCompromise,
        One("Compromised"),
        "Declare that a gateway is in other hands: it is cut off, and what it may have learnt or changed is renewed.",
    )
    .takes("DeclareCompromised")
    .answers(201),
    route(
        Get,
        "/api/1/gateways/{gateway}/compromised",
        "gateways.compromised",
        P::GatewaysRead,
        One("Compromised"),
        "Show how far the renewal after a gateway in other hands has come.",
    ),
    route(
        Get,
        "/api/1/gateways/{gateway}/compromised/devices",
        "gateways.compromised_devices",
        P::GatewaysRead,
        PageOf("CompromisedDevice"),
        "List the devices whose sessions a gateway in other hands carried, and what became of each.",
    )
    .query(&[PAGE[0], PAGE[1]]),
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
    route(
        Post,
        "/api/1/gateways/{gateway}/settings/roll-back",
        "gateways.roll_back_settings",
        P::GatewaysWrite,
        One("GatewaySettings"),
        "Give a gateway again the settings that it had.",
    )
    .takes("RollBackGatewaySettings"),
    route(
        Post,
        "/api/1/gateways/{gateway}/retire",
        "gateways.retire",
        P::GatewaysWrite,
        One("RetiredGateway"),
        "Retire a gateway: it serves no more, its certificates are revoked, it is dialed no more.",
    )
    .takes("RetireGateway"),
    route(
        Get,
        "/api/1/gateways/{gateway}/certificates",
        "gateways.certificates",
        P::GatewaysRead,
        PageOf("GatewayCertificate"),
        "List a gateway's keys with their signing requests and certificates, the newest first.",
    ),
    route(
        Post,
        "/api/1/gateways/{gateway}/certificates/renew",
        "gateways.renew_certificate",
        P::GatewaysWrite,
        Nothing,
        "Make a gateway ask for a new certificate, over a new key.",
    )
    .takes("RenewGatewayCertificate"),
    route(
        Put,
        "/api/1/gateways/{gateway}/certificates/server",
        "gateways.import_certificate",
        P::GatewaysWrite,
        One("GatewayCertificate"),
        "Take the chain that an external CA made over a gateway's signing request.",
    )
    .takes("ImportGatewayCertificate"),
    route(
        Get,
        "/api/1/gateway-defaults",
        "gateway_defaults.show",
        P::GatewaysRead,
        One("GatewayDefaults"),
        "Show what is set for all gateways, and how far its roll-out is.",
    ),
    route(
        Put,
        "/api/1/gateway-defaults",
        "gateway_defaults.put",
        P::GatewaysWrite,
        One("GatewayDefaults"),
        "Set something for all gateways: it is rolled out to one first, then to the rest, stopping on error.",
    )
    .takes("PutGatewaySettings")
    .needs_if_match(),
    route(
        Delete,
        "/api/1/gateway-defaults/roll-out",
        "gateway_defaults.stop",
        P::GatewaysWrite,
        One("GatewayDefaults"),
        "Stop the roll-out that runs; gateways that have it go back.",
    ),
    route(
        Get,
        "/api/1/gateway-lists",
        "gateways.lists",
        P::GatewaysRead,
        One("GatewayLists"),
        "Show which gateways have the blocked list and the routes.",
    )
    .query(&[(
        "wait_ms",
        "Wait so long for the connected gateways to have them; 0 to 30000, 0 when absent.",
    )]),
];
