//! The admin API's types: what the core answers and what posternctl (or anything else) sends.
//!
//! Promise: every route of the API stands in [`routes::ALL`] with the permission that it needs, every body that
//! crosses it is a type here, and `docs/openapi.json` is made from both ([`openapi::document`]). JSON in snake_case,
//! times as RFC 3339 in UTC, refusals as RFC 9457 problems (`urn:postern:problem:<slug>`).
#![forbid(unsafe_code)]

pub mod admins;
pub mod alarms;
pub mod approvals;
pub mod audit;
pub mod ca;
pub mod captures;
pub mod commands;
pub mod device_policy;
pub mod devices;
pub mod directory;
pub mod enrolment;
pub mod gateways;
pub mod groups;
pub mod locks;
pub mod mail;
pub mod notifications;
pub mod objects;
pub mod openapi;
pub mod page;
pub mod permissions;
pub mod policy;
pub mod policy_answers;
pub mod policy_held;
pub mod problem;
pub mod quirks;
pub mod recovery;
pub mod routes;
pub mod safety;
pub mod schema;
pub mod server;
pub mod sessions;
pub mod settings;
pub mod status;
pub mod time;
pub mod tokens;
pub mod trees;
pub mod why;
pub mod wipes;

pub use page::Page;
pub use permissions::Permission;
pub use problem::Problem;
pub use time::Time;
