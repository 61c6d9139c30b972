//! The actors with a real SQLite store in a temporary folder, and a scripted device.

mod check_ins;
mod enrolment;
mod faults;
mod gpos;
mod holds;
mod idle_cost;
mod kit;
mod notifications;
mod orders;
mod policy;
mod policy_faults;
mod restarts;
mod safety;
mod schedule;
mod trees;
mod wakes;
mod wipes;

/// A body that begins so makes its device's actor panic.
pub(crate) const POISON: &[u8] = b"!poison";
