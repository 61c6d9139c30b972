//! Every route of the admin API, with the permission that it needs: the one table that the core registers and
//! enforces from, that the permission matrix is tested against, and that `docs/openapi.json` is made from.

use std::fmt;

use crate::permissions::Permission;

/// What every path starts with.
pub const BASE: &str = "/api/1";

/// An HTTP method of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads; changes nothing.
    Get,
    /// Makes something; takes an Idempotency-Key.
    Post,
    /// Puts something in place of what was there.
    Put,
    /// Changes named fields.
    Patch,
    /// Takes something away.
    Delete,
}

impl Method {
    /// As it stands in a request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A further permission that a request may need, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Also {
    /// The permission.
    pub permission: Permission,
    /// When it is needed.
    pub when: &'static str,
}

/// What a route answers when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One of this schema.
    One(&'static str),
    /// A [`crate::Page`] of this schema.
    PageOf(&'static str),
    /// A JSON document of another kind.
    Document,
    /// Nothing (204).
    Nothing,
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// The method.
    pub method: Method,
    /// The path, with `{names}` for its variable segments.
    pub path: &'static str,
    /// The name of what it does: the OpenAPI operationId, the audit action and the handler's key.
    pub operation: &'static str,
    /// What the caller needs.
    pub permission: Permission,
    /// What some requests need beside.
    pub also: &'static [Also],
    /// One sentence.
    pub summary: &'static str,
    /// Query parameters.
    pub query: &'static [(&'static str, &'static str)],
    /// The schema of the request's body.
    pub body: Option<&'static str>,
    /// The status of a good answer.
    pub status: u16,
    /// Its body.
    pub answer: Answer,
    /// Whether `If-Match` is demanded.
    pub if_match: bool,
}

impl RouteSpec {
    /// Whether the path fits, variable segments matching anything that is not empty.
    #[must_use]
    pub fn matches(&self, method: &str, path: &str) -> bool {
        let mut given = path.split('/');
        self.method.as_str() == method
            && self.path.split('/').all(|segment| {
                given.next().is_some_and(|other| {
                    if segment.starts_with('{') { !other.is_empty() } else { segment == other }
                })
            })
            && given.next().is_none()
    }
}

/// The row of this operation.
#[must_use]
pub fn find(operation: &str) -> Option<&'static RouteSpec> {
    ALL.iter().find(|route| route.operation == operation)
}

const PAGE: [(&str, &str); 2] = [
    ("limit", "Most items wanted, 1 to 500; 50 when absent."),
    ("cursor", "`next_cursor` of the page before."),
];

const fn route(
    method: Method,
    path: &'static str,
    operation: &'static str,
    permission: Permission,
    answer: Answer,
    summary: &'static str,
) -> RouteSpec {
    let status = match answer {
        Answer::Nothing => 204,
        _ => 200,
    };
    RouteSpec {
        method,
        path,
        operation,
        permission,
        also: &[],
        summary,
        query: &[],
        body: None,
        status,
        answer,
        if_match: false,
    }
}

impl RouteSpec {
    const fn takes(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }
    const fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }
    const fn answers(self, status: u16) -> Self {
        Self { status, ..self }
    }
    const fn needs_if_match(self) -> Self {
        Self { if_match: true, ..self }
    }
    const fn also(self, also: &'static [Also]) -> Self {
        Self { also, ..self }
    }
}

use Answer::{Document, Nothing, One, PageOf};
use Method::{Delete, Get, Patch, Post, Put};
use Permission as P;

/// Every route of the admin API.
pub const ALL: &[RouteSpec] = &[
    // --- the caller and the system
    route(Get, "/api/1/me", "me.show", P::SignedIn, One("Me"), "Show who the caller is and what it may do."),
    route(Get, "/api/1/openapi.json", "openapi.show", P::SignedIn, Document, "Show this document."),
    route(
        Get,
        "/api/1/status",
        "status.show",
        P::StatusRead,
        One("Status"),
        "Show links, database, certificates and queue on one screen.",
    ),
    // --- devices
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
    // --- trees
    route(
        Get,
        "/api/1/devices/{device}/tree",
        "trees.show",
        P::DevicesRead,
        One("Tree"),
        "Show what is known of a device's management tree, and since when.",
    )
    .query(&[("uri", "The node; the root when absent."), ("snapshot", "This snapshot alone.")]),
    route(
        Post,
        "/api/1/devices/{device}/tree",
        "trees.read",
        P::CommandsQueue,
        One("TreeReading"),
        "Read a part of a device's management tree: one level, some, or the whole.",
    )
    .takes("ReadTree")
    .answers(202),
    route(
        Get,
        "/api/1/devices/{device}/tree/readings/{reading}",
        "trees.reading",
        P::DevicesRead,
        One("TreeReading"),
        "Show a reading; waits for its end with `wait`.",
    )
    .query(&[("wait", "Answer when it has ended, or after this many seconds (most 60).")]),
    route(
        Get,
        "/api/1/devices/{device}/tree/snapshots",
        "trees.snapshots",
        P::DevicesRead,
        PageOf("TreeSnapshot"),
        "List the snapshots of a device's tree, the newest first.",
    ),
    route(
        Delete,
        "/api/1/devices/{device}/tree/snapshots/{snapshot}",
        "trees.forget",
        P::CommandsQueue,
        Nothing,
        "Forget a snapshot.",
    ),
    route(
        Get,
        "/api/1/devices/{device}/tree/diff",
        "trees.diff",
        P::DevicesRead,
        One("TreeDiff"),
        "Compare two snapshots of a device's tree.",
    )
    .query(&[
        ("uri", "Snapshots of this node; of any when absent."),
        ("from", "The older snapshot; the one before `to` of the same node when absent."),
        ("to", "The newer snapshot; the newest when absent."),
    ]),
    // --- management objects
    route(
        Get,
        "/api/1/objects",
        "objects.list",
        P::DevicesRead,
        PageOf("ManagementObject"),
        "List the management objects that are known: built in and imported.",
    ),
    route(
        Post,
        "/api/1/objects",
        "objects.import",
        P::ObjectsWrite,
        One("ManagementObject"),
        "Import the description (DDF 1.2) of a management object.",
    )
    .takes("ImportObject")
    .answers(201),
    route(
        Get,
        "/api/1/objects/{object}",
        "objects.show",
        P::DevicesRead,
        One("ManagementObjectDetail"),
        "Show a management object and its nodes.",
    ),
    route(
        Delete,
        "/api/1/objects/{object}",
        "objects.delete",
        P::ObjectsWrite,
        Nothing,
        "Delete an imported description.",
    ),
    route(
        Get,
        "/api/1/completions",
        "objects.complete",
        P::DevicesRead,
        One("Completions"),
        "Complete an address that was begun.",
    )
    .query(&[("prefix", "What was begun."), ("device", "Use what is known of this device.")]),
    // --- operations and commands
    route(
        Get,
        "/api/1/operations/{operation}",
        "operations.show",
        P::DevicesRead,
        One("Operation"),
        "Show an operation and its commands.",
    ),
    route(
        Get,
        "/api/1/commands/{command}",
        "commands.show",
        P::DevicesRead,
        One("Command"),
        "Show a command with its results and timeline; waits for a change with `wait` and `revision`.",
    )
    .query(&[
        ("wait", "Answer when the revision is above `revision`, or after this many seconds (most 60)."),
        ("revision", "The revision that the caller has seen."),
    ]),
    route(
        Delete,
        "/api/1/commands/{command}",
        "commands.cancel",
        P::CommandsQueue,
        One("Command"),
        "Cancel a command that has not been sent.",
    )
    .query(&[("reason", "Why; stands in the audit log.")]),
    // --- groups
    route(Get, "/api/1/groups", "groups.list", P::GroupsRead, PageOf("Group"), "List groups by name.")
        .query(&[PAGE[0], PAGE[1]]),
    route(Post, "/api/1/groups", "groups.create", P::GroupsWrite, One("Group"), "Make a group.")
        .takes("CreateGroup")
        .answers(201),
    route(
        Get,
        "/api/1/groups/{group}",
        "groups.show",
        P::GroupsRead,
        One("GroupDetail"),
        "Show a group and its members.",
    ),
    route(
        Patch,
        "/api/1/groups/{group}",
        "groups.update",
        P::GroupsWrite,
        One("Group"),
        "Change a group's name or description.",
    )
    .takes("UpdateGroup")
    .needs_if_match(),
    route(
        Delete,
        "/api/1/groups/{group}",
        "groups.delete",
        P::GroupsWrite,
        Nothing,
        "Delete a group; its members stay.",
    )
    .query(&[("reason", "Why; stands in the audit log.")]),
    route(
        Put,
        "/api/1/groups/{group}/devices/{device}",
        "groups.add_device",
        P::GroupsWrite,
        Nothing,
        "Put a device into a group.",
    ),
    route(
        Delete,
        "/api/1/groups/{group}/devices/{device}",
        "groups.remove_device",
        P::GroupsWrite,
        Nothing,
        "Take a device out of a group.",
    ),
    route(
        Put,
        "/api/1/groups/{group}/groups/{member}",
        "groups.add_group",
        P::GroupsWrite,
        Nothing,
        "Put a group into a group; a cycle is refused.",
    ),
    route(
        Delete,
        "/api/1/groups/{group}/groups/{member}",
        "groups.remove_group",
        P::GroupsWrite,
        Nothing,
        "Take a group out of a group.",
    ),
    // --- sessions
    route(
        Get,
        "/api/1/devices/{device}/sessions",
        "sessions.list",
        P::DevicesRead,
        PageOf("SessionSummary"),
        "List a device's sessions, the newest first.",
    )
    .query(&[PAGE[0], PAGE[1]]),
    route(
        Get,
        "/api/1/devices/{device}/sessions/watch",
        "sessions.watch",
        P::SessionsWatch,
        One("WatchedSessions"),
        "Read the live dialogue of a device, secrets masked, with what the core decided and why.",
    )
    .query(&[
        ("after", "`next` of the answer before; without it the watch begins, which is audited."),
        ("wait", "Answer when something was said, or after this many seconds (most 60)."),
    ]),
    route(
        Post,
        "/api/1/devices/{device}/sessions/record",
        "sessions.record",
        P::SessionsWatch,
        Nothing,
        "Keep the next sessions of a device in view, also while nobody watches.",
    )
    .takes("RecordSessions"),
    route(
        Delete,
        "/api/1/devices/{device}/sessions/open",
        "sessions.abort",
        P::CommandsQueue,
        Nothing,
        "End the open session of a device with the next answer (Alert 1223); its commands wait for the next session.",
    ),
    // --- settings
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
    // --- gateways
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
    // --- admins, roles, tokens
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
    // --- audit
    route(
        Get,
        "/api/1/audit",
        "audit.list",
        P::AuditRead,
        PageOf("AuditRow"),
        "List the audit log, the newest first.",
    )
    .query(&[("object", "On exactly this object: `device:ID`, `group:ID` …"), PAGE[0], PAGE[1]]),
    route(
        Get,
        "/api/1/audit/head",
        "audit.head",
        P::AuditRead,
        One("AuditHead"),
        "Show the last signed head.",
    ),
    route(
        Post,
        "/api/1/audit/verify",
        "audit.verify",
        P::AuditRead,
        One("AuditVerified"),
        "Recompute the chain and check it against signed heads that were kept elsewhere.",
    )
    .takes("VerifyAudit"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_and_every_operation_stands_once() {
        let mut routes = HashSet::new();
        let mut operations = HashSet::new();
        for route in ALL {
            assert!(routes.insert((route.method, route.path)), "{} {}", route.method, route.path);
            assert!(operations.insert(route.operation), "{}", route.operation);
            assert!(route.path.starts_with(BASE));
        }
    }

    #[test]
    fn every_route_with_a_body_says_which_and_a_get_has_none() {
        for route in ALL {
            assert!(route.method != Get || route.body.is_none(), "{}", route.operation);
            assert!(route.method != Post || route.body.is_some(), "{}", route.operation);
        }
    }

    #[test]
    fn a_path_matches_segment_by_segment() {
        let show = find("devices.show").unwrap();
        assert!(show.matches("GET", "/api/1/devices/x"));
        assert!(!show.matches("GET", "/api/1/devices/"));
        assert!(!show.matches("GET", "/api/1/devices/x/why"));
        assert!(!show.matches("POST", "/api/1/devices/x"));
    }
}
