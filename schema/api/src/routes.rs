//! Every route of the admin API, with the permission that it needs: the one table that the core registers and
//! enforces from, that the permission matrix is tested against, and that `docs/openapi.json` is made from. One file
//! for each resource.

mod admins;
mod alarms;
mod audit;
mod ca;
mod commands;
mod device_policy;
mod devices;
mod directory;
mod enrolment;
mod gateways;
mod groups;
mod mail;
mod objects;
mod policy;
mod quirks;
mod recovery;
mod safety;
mod server;
mod sessions;
mod settings;
mod system;
mod trees;
mod wipes;

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

const TABLES: &[&[RouteSpec]] = &[
    system::ROUTES,
    alarms::ROUTES,
    mail::ROUTES,
    safety::ROUTES,
    server::ROUTES,
    devices::ROUTES,
    directory::ROUTES,
    device_policy::ROUTES,
    enrolment::ROUTES,
    wipes::ROUTES,
    trees::ROUTES,
    objects::ROUTES,
    quirks::ROUTES,
    policy::ROUTES,
    commands::ROUTES,
    groups::ROUTES,
    recovery::ROUTES,
    sessions::ROUTES,
    settings::ROUTES,
    gateways::ROUTES,
    ca::ROUTES,
    admins::ROUTES,
    audit::ROUTES,
];

const COUNT: usize = {
    let (mut count, mut table) = (0, 0);
    while table < TABLES.len() {
        count += TABLES[table].len();
        table += 1;
    }
    count
};

/// Every route of the admin API.
pub const ALL: &[RouteSpec] = &{
    let mut all = [TABLES[0][0]; COUNT];
    let (mut at, mut table) = (0, 0);
    while table < TABLES.len() {
        let mut row = 0;
        while row < TABLES[table].len() {
            all[at] = TABLES[table][row];
            at += 1;
            row += 1;
        }
        table += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use Method::{Get, Post};

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
