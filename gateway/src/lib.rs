//! The perimeter: ends device TLS, admits, limits, relays.
//!
//! Promise (docs/THREATS.md, "The perimeter"): the gateway opens no connection; it stores nothing of a device but
//! truncated hashes of live routes and the blocked list; what it refuses has a reason that the core is told; with no
//! core, or not at the core's versions, devices hear 503 and come again.
//!
//! - [`config`]: the configuration file. What changes while it runs is `postern_wire::link::Settings`.
//! - [`run`]: start, drain, stop.
//! - [`join`]: how a gateway becomes one; `keys`, `identity`: its keys and the renewal of its certificates.
//! - `ports`: the device port's sockets.
//! - `device_port`, `admission`, `relay`: a message's way from TLS to the link and back.
//! - `listeners`: devices that wait for a notification.
//! - `link_port`: where cores come to, and which of them is used.
//! - `settings`, `lists`, `report`: what a core gives and what it is told.
//! - `observe`, `observe_port`: health, readiness, metrics.
#![forbid(unsafe_code)]

mod admission;
pub mod config;
mod device_port;
mod disk;
mod identity;
pub mod join;
mod keys;
mod link_port;
mod listeners;
mod lists;
mod observe;
mod observe_port;
mod pem;
mod ports;
mod relay;
mod report;
pub mod run;
mod settings;
mod shared;
mod tls;
mod trust;

pub use config::Config;
pub use pem::PemError;
pub use run::{Addresses, Extra, Gateway, StartError, run};
pub use shared::{Clock, SetLog};
