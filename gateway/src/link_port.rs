//! The link port: where cores come to. TLS 1.3, both sides prove themselves, and then the gateway asks.
//!
//! Promise: only a certificate of the link CA with a SAN URI `postern:core:…` is accepted, only the link protocol is
//! spoken, and nothing is sent to a core that has not shown both.
//!
//! - [`tls`]: the port's TLS.
//! - [`cores`]: which cores are there, and which of them is used.
//! - [`link`]: one accepted link: hello, then its role.
//! - [`watch`] and [`report`]: what the two control links do.
//! - [`keep`]: pings, surplus links, and how many are wanted.

pub(crate) mod cores;
pub(crate) mod keep;
pub(crate) mod link;
pub(crate) mod report;
pub(crate) mod tls;
pub(crate) mod watch;
