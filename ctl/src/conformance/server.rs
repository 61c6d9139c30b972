//! Cases against a server: a scripted client over HTTPS, and an operator where one is there.

pub mod bench;
pub mod reply;
pub(crate) mod sec_mac;
pub(crate) mod sec_peer;
pub(crate) mod sec_proof;
pub mod session;
pub(crate) mod srv_alerts;
pub(crate) mod srv_breaks;
pub(crate) mod srv_commands;
pub(crate) mod srv_large;
pub(crate) mod srv_session;

pub use bench::{Bench, Target};
pub use reply::Reply;
pub use session::{Answer, Session};
