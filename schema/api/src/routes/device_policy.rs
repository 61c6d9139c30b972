//! The routes of what policy wants of a device.

use super::{Answer::One, Method::Get, RouteSpec, route};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[route(
    Get,
    "/api/1/devices/{device}/policy",
    "devices.policy",
    P::DevicesRead,
    One("DevicePolicy"),
    "Say what policy wants of a device, who says so, and how each setting stands.",
)];
