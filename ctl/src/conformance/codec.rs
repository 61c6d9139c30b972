//! Cases on octets: this project's own codec, notification and bootstrap writers against the standard's rules.

pub mod bench;
pub mod messages;
pub mod wbxml;
pub mod xml;

pub use bench::Bench;
