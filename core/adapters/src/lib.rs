//! The outside world behind small traits.
//!
//! - [`anchor`]: where the audit log's signed heads are kept outside the database.
//! - [`pap`]: pushes through a push proxy gateway.
//! - [`smpp`]: pushes through a short-message centre.
#![forbid(unsafe_code)]

pub mod anchor;
mod files;
pub mod pap;
pub mod smpp;

pub use files::OpenError;
