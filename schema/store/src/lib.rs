//! What rests on disk: tables, migrations, queries by topic, the group-committing writer, sealed columns.
//!
//! One binary serves both backends: SQLite (bundled) for one core and small sites, PostgreSQL (in pure Rust, no
//! libpq) for the rest. Promise: a write that was answered with `Ok` is committed; a write that was not may be
//! tried again; a core that lost its epoch writes nothing more.
//!
//! Every topic is a module of free functions: those that read take [`Reader`], those that write take [`Tx`]
//! (which is also a `Reader`). See docs/ARCHITECTURE.md, "The writer".
#![forbid(unsafe_code)]

mod ambient;
mod column;
mod conn;
pub mod dump;
mod epoch;
mod errors;
pub mod examine;
mod migrate;
mod options;
mod queue;
mod readers;
mod reserve;
mod seal;
mod store;
mod tables;
#[cfg(feature = "testkit")]
pub mod testkit;
mod topics;
mod tx;
mod writer;

pub use ambient::Ambient;
pub use errors::{ReadError, StoreError, WriteError};
pub use options::{Options, Place, PostgresPlace};
pub use seal::{KeyId, MasterKey, Sealed, Sealer};
pub use store::{Activity, Health, Kind, Store};
pub use topics::*;
pub use tx::{Reader, Tx};
