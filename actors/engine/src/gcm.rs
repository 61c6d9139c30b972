//! Gateway central management, as rules: settings in layers, what becomes of a version, roll-outs, joins, and when a gateway
//! counts as lost.
//!
//! Promise: pure. Each machine is a function of state and event; what it does not allow it refuses by name.
//!
//! - [`layers`]: a gateway's settings out of defaults, what is set for all, and what is set for it alone.
//! - [`versions`]: wanted, in force and last good, and what an answer of the gateway makes of them.
//! - [`rollout`]: one gateway first, then the rest, stopping on error.
//! - [`join`]: the life of a one-time secret.
//! - [`presence`]: seen and lost.

pub mod join;
pub mod layers;
pub mod presence;
pub mod rollout;
pub mod versions;
