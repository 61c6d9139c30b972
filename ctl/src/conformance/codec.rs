//! Cases on octets: this project's own codec, notification and bootstrap writers against the standard's rules.

pub mod bench;
pub mod messages;
pub(crate) mod proof;
pub(crate) mod push;
pub mod wbxml;
pub mod xml;

pub use bench::Bench;
