//! What is known of one device's tree: put together from what it answered, kept, and compared.
//!
//! Promises
//! - [`Snapshot`] takes every shape of answer: Results of a Get of a leaf or an interior node, of `?list=Struct`,
//!   `StructData` and `TNDS`, and of `?prop=` (OMA-TS-DM_TND 1.2.1, sections 6 to 8).
//! - [`Reading`] says what to ask next: one level, some levels, or the whole, by TNDS where the device can, else
//!   StructData, else one Get after the other; it never asks for what may not be read.
//! - [`diff`] compares only what both snapshots know.
//! - A secret's value is not in a snapshot; sizes and counts are bounded.

pub mod diff;
pub mod known;
pub mod reading;
pub mod snapshot;

pub use diff::{Change, ChangeKind, diff};
pub use known::{Known, overlay};
pub use reading::{Answer, Ask, How, Reading, Rules, Way};
pub use snapshot::{Bounds, Kept, KeptValue, Mask, NotTaken, Snapshot, Told};
