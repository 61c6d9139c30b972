//! Our OMA DM client and the simulated fleet.
//!
//! A [`device::Device`] checks in over a [`transport::Transport`]; the [`unit`] speaks the session, the [`manager`]
//! guards the tree, the providers of [`csp`] own its parts, and [`state`] keeps it all. [`recovery`] is the device's own password, and
//! the recovery password that opens it without a network.
#![forbid(unsafe_code)]

pub mod bearer;
pub mod bootstrap;
pub mod cli;
pub mod codes;
pub mod csp;
pub mod device;
pub mod edge;
pub mod enrolment;
pub mod event;
pub mod fleet;
pub mod interaction;
pub mod keys;
pub mod manager;
pub mod origin;
pub mod recovery;
pub mod router;
pub mod state;
pub mod transport;
pub mod tree;
pub mod unit;

pub use device::{Device, DeviceError, SessionReport, Settings};
pub use enrolment::{Account, Enrolment};
pub use fleet::{Fleet, FleetOptions, Summary};
pub use postern_wire::syncml::Encoding;
