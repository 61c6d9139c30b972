//! The routes of devices, how they are reached, and what is queued for them.

use super::{
    Also,
    Answer::{Nothing, One, PageOf},
    Method::{Delete, Get, Patch, Post, Put},
    PAGE, RouteSpec, route,
};
use crate::permissions::Permission as P;

pub(super) const ROUTES: &[RouteSpec] = &[
    route(
        Get,
        "/api/1/devices",
        "devices.list",
        P::DevicesRead,
        PageOf("Device"),
        "List devices, the oldest enrolment first.",
    )
    .query(&[
        ("state", "In this state (new, managed, retired, overdue); without it, all but the retired ones."),
        ("group", "A member of this group, directly or through nested groups; id or name."),
        ("owner", "Owned by exactly this owner."),
        ("q", "DevId or name contains this text."),
        ("seen_before", "Not seen since this time, or never."),
        ("pending", "With (true) or without (false) pending commands."),
        PAGE[0],
        PAGE[1],
    ]),
    route(
        Post,
        "/api/1/devices",
        "devices.enrol",
        P::DevicesEnrol,
        One("Enrolled"),
        "Enrol a device by hand; the answer shows its credentials once.",
    )
    .takes("EnrolDevice")
    .answers(201),
    route(Get, "/api/1/devices/{device}", "devices.show", P::DevicesRead, One("Device"), "Show a device."),
    route(
        Patch,
        "/api/1/devices/{device}",
        "devices.update",
        P::DevicesUpdate,
        One("Device"),
        "Change a device's name or owner.",
    )
    .takes("UpdateDevice")
    .needs_if_match(),
    route(
        Delete,
        "/api/1/devices/{device}",
        "devices.retire",
        P::DevicesRetire,
        One("Device"),
        "Retire a device: revoke its credentials and certificate, leave its route as a tombstone.",
    )
    .query(&[("reason", "Why; stands in the audit log.")]),
    route(
        Get,
        "/api/1/devices/{device}/why",
        "devices.why",
        P::DevicesRead,
        One("Why"),
        "Explain why a device is as it is.",
    ),
    route(
        Get,
        "/api/1/devices/{device}/notifications",
        "notifications.list",
        P::DevicesRead,
        One("DeviceNotifications"),
        "Show where a device is reached, and its last notifications, the newest first.",
    ),
    route(
        Post,
        "/api/1/devices/{device}/notify",
        "notifications.send",
        P::DevicesNotify,
        One("Notification"),
        "Ask a device to open a session, now.",
    )
    .takes("NotifyDevice")
    .answers(202),
    route(
        Put,
        "/api/1/devices/{device}/address",
        "devices.put_address",
        P::DevicesUpdate,
        One("PushAddress"),
        "Say where a device is reached when it holds no connection.",
    )
    .takes("PushAddress"),
    route(
        Delete,
        "/api/1/devices/{device}/address",
        "devices.clear_address",
        P::DevicesUpdate,
        Nothing,
        "Forget where a device is reached.",
    ),
    route(
        Post,
        "/api/1/devices/{device}/bootstrap",
        "bootstrap.make",
        P::DevicesBootstrap,
        One("Bootstrap"),
        "Make a device's bootstrap document, and push it or show it.",
    )
    .takes("MakeBootstrap"),
    route(
        Get,
        "/api/1/devices/{device}/commands",
        "commands.list",
        P::DevicesRead,
        PageOf("CommandSummary"),
        "List a device's commands, the newest first.",
    )
    .query(&[("state", "In this state."), PAGE[0], PAGE[1]]),
    route(
        Post,
        "/api/1/devices/{device}/commands",
        "commands.queue",
        P::CommandsQueue,
        One("Operation"),
        "Queue DM commands for a device.",
    )
    .takes("QueueCommands")
    .answers(202)
    .also(&[
        Also { permission: P::CommandsExec, when: "a command is Exec, or holds one" },
        Also { permission: P::CommandsForce, when: "`force` is set" },
    ]),
];
