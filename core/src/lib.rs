//! The inside: links, device endpoint, admin API.
//!
//! Promise: what reaches a device went through a permission, an audit row and a commit; what a device sends reaches
//! the actors over links that this core dialed, and nothing else does.
//!
//! - [`config`], [`init`], [`keys`], [`ca`]: the configuration and the state folder.
//! - [`run`]: wiring, start and stop; `active` is what only the active core does.
//! - [`links`]: the links to the gateways; [`device`]: what devices reach over them.
//! - [`admin`]: the admin API.
//! - `directory`: the reading of the directory, and signing in by it; `sysvol`: the folders of its GPOs.
//! - `gateways`: what gateways are told and tell; `signer`: the audit log's heads; `upkeep`: what goes on beside.
//! - [`backup`]: backup and restore; [`doctor`]: what to look at when something is wrong.
//! - `register`, [`supervisors`]: who runs, and how its parts are.
//! - [`logs`]: what is logged, and how that changes at run time; [`redact`]: what a support bundle does not tell.
//! - `observe`: health, readiness, metrics.
#![forbid(unsafe_code)]

mod active;
pub mod admin;
pub mod backup;
mod bearers;
pub mod ca;
pub mod config;
pub mod device;
mod directory;
pub mod doctor;
mod enrol;
pub mod escrow;
pub mod files;
mod gateways;
pub mod glass;
mod hiding;
pub mod init;
pub mod inside;
pub mod keys;
pub mod links;
pub mod logs;
mod mail;
mod observe;
mod pap_results;
mod policy;
mod quirks;
pub mod redact;
mod register;
pub mod run;
mod schedule;
mod settings;
mod signer;
pub mod supervisors;
mod sysvol;
mod tls;
mod upkeep;

pub use config::Config;
pub use init::{InitOptions, NewGateway, init};
pub use policy::check_tables;
pub use run::{Addresses, Core, Edge, StartError, run};
