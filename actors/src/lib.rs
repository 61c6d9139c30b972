//! The actors: devices and their shards. They move messages, keep timers, call the engine and commit its
//! effects; the rules are in postern-engine, the truth in postern-store.
//!
//! Promise: one device actor per device at most; what a reply rests on is durable before its octets leave;
//! every queue is bounded; an actor that panics costs its own session and nothing else.
#![forbid(unsafe_code)]

mod abilities;
mod devices;
mod messages;
mod settings;
mod watch;

pub use abilities::{Clock, Randomness, SystemClock, SystemRandom};
pub use devices::{Devices, Parts};
pub use messages::*;
pub use postern_engine::queue::{Body, BodyItem};
pub use settings::Settings;
pub use watch::CommandWatch;
