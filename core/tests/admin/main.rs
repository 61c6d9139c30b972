//! The admin API over real TLS, with a core in this process on a temporary SQLite file.
#![expect(clippy::unwrap_used, reason = "the kit's helpers are test code outside #[test] functions")]

mod alarms;
mod audit;
mod ca;
mod degraded;
mod devices;
mod enrolment;
mod gets;
mod kit;
mod mail;
mod matrix;
mod notifications;
mod policy;
mod protocol;
mod safety;
mod settings;
mod start;
mod trees;
