//! The inside: links, device endpoint, admin API.
//!
//! Promise: what reaches a device went through a permission, an audit row and a commit; what a device sends reaches
//! the actors over links that this core dialed, and nothing else does.
//!
//! - [`config`], [`init`], [`keys`], [`ca`]: the configuration and the state folder.
//! - [`run`]: wiring, start and stop; `active` is what only the active core does.
//! - [`links`]: the links to the gateways; [`device`]: what devices reach over them.
//! - [`admin`]: the admin API.
//! - `gateways`: what gateways are told and tell; `signer`: the audit log's heads; `upkeep`: what goes on beside.
//! - `observe`: health, readiness, metrics.
#![forbid(unsafe_code)]

mod active;
pub mod admin;
mod bearers;
pub mod ca;
pub mod config;
pub mod device;
mod enrol;
pub mod files;
mod gateways;
mod hiding;
pub mod init;
pub mod inside;
pub mod keys;
pub mod links;
mod observe;
pub mod run;
mod schedule;
mod settings;
mod signer;
mod tls;
mod upkeep;

pub use config::Config;
pub use init::{InitOptions, NewGateway, init};
pub use run::{Addresses, Core, Edge, StartError, run};
