//! Cases against a client: a scripted server over HTTPS, and a driver that makes the client open sessions.

pub mod bench;
pub mod driver;
pub mod listener;
pub mod session;
pub mod xml;

pub(crate) mod cli_acl;
pub(crate) mod cli_commands;
pub(crate) mod cli_large;
pub(crate) mod cli_packages;
pub(crate) mod cli_tree;
pub(crate) mod notices;
pub(crate) mod sec_client;

pub use bench::{Bench, Setup, Target};
pub use driver::{Driver, DriverError};
pub use listener::Listener;
pub use session::{Done, Session};
