//! The admin API: TLS on an inside port, tokens, one table of routes and permissions
//! ([`postern_api::routes::ALL`]), thin handlers.
//!
//! Promise: a request reaches a handler only by a row of that table, with a token whose admin holds the row's
//! permission; a handler whose operation has no row cannot be registered. Every write is audited in its own
//! transaction. Refusals are RFC 9457 problems.
//!
//! - `guard` is the middleware; `auth` knows tokens; `write` is the transaction of a change.
//! - `alarms`, `captures`, `devices`, `enrolment`, `commands`, `groups`, `gateways`, `mail`, `admins`, `tokens`, `audit`, `settings`, `status`, `why`, `wipes`: one resource each.

mod admins;
mod alarms;
mod answer;
mod approvals;
mod audit;
pub(crate) mod auth;
mod bootstrap;
mod ca;
mod captures;
mod certificates;
mod commands;
mod cut_off;
mod device_policy;
mod devices;
mod directory;
mod enrolment;
mod gateways;
mod groups;
mod guard;
mod locks;
mod mail;
mod notifications;
mod objects;
mod passwords;
mod policy;
pub mod problem;
mod quirks;
pub(crate) mod recordings;
mod recovery;
mod register;
mod safety;
mod server;
mod sessions;
pub(crate) mod settings;
pub(crate) mod sign_in;
mod status;
mod support;
mod syncml;
mod tokens;
mod trees;
mod why;
mod wipes;
mod write;

pub(crate) use devices::known_to_gateways;
pub(crate) use register::configure;
pub use register::registered;
pub(crate) use status::{certificates, problems};
