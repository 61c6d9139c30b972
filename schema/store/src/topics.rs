//! One module for each topic: its rows, and the queries that the other rooms use.

pub mod admins;
pub mod alarms;
pub mod audit;
pub mod commands;
pub mod credentials;
pub mod ddfs;
pub mod enrolments;
pub mod facts;
pub mod gateways;
pub mod groups;
pub mod idempotency;
pub mod lists;
pub mod meta;
pub mod notifications;
pub mod operations;
pub mod quirks;
pub mod recordings;
pub mod refusals;
pub mod results;
pub mod roles;
pub mod schedules;
pub mod sessions;
pub mod settings;
pub mod timeline;
pub mod tokens;
pub mod trees;
