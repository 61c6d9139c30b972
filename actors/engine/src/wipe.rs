//! The life of a wipe: one table of states × events, the ways in which devices are wiped, and what counts as done.
//!
//! Promise: what [`EDGES`] does not name is refused and changes nothing; a wipe counts as done on the evidence that its
//! way demands ([`Way::evidence`]) and never on less; one that could not be proved done stays armed, unless it is set
//! otherwise. States and defaults follow the original's (Set-WipeConfig), extended by `armed`.
//!
//! - `machine`: the table. - `kinds`: what a kind means on a device. - `rules`: settings, waits, who may take it back.

mod kinds;
mod machine;
mod rules;

pub use kinds::{CannotWipe, FACTORY_RESET, LAWMO, ListedItem, Model, REMOTE_WIPE, RUN, Way, way};
pub use machine::{EDGES, Edge, Event, Ground, Refused, When, edges_json, transition};
pub use rules::{
    Allowed, CancelRefused, Clocked, Settings, Unsuccessful, may_cancel, may_disarm, retry_wait_ms,
};
