//! The device port: TLS 1.2 and 1.3 with ECDSA, HTTP/1.0 and 1.1, nothing else.
//!
//! Promise: a client certificate is asked for where a device CA is configured, and proves chain and key; everything
//! else is judged with each request ([`crate::admission`]). A connection that is slow, silent or one too many is closed
//! with a reason. HTTP/2 is not offered: no device speaks it here, and its server has fewer limits.
//!
//! - [`tls`]: the port's TLS.
//! - [`proxy`]: PROXY protocol v2 from named balancers.
//! - [`serve`]: from the accepted socket to the handler.
//! - [`handle`]: one request.
//! - [`enrol`]: one request of a device that is not enrolled yet.
//! - [`listen`]: a device that waits for a notification.
//! - [`crl`]: a CRL for whoever asks.
//! - [`answer`]: what a refused device gets.

pub(crate) mod answer;
mod crl;
mod enrol;
pub(crate) mod handle;
mod listen;
pub(crate) mod proxy;
pub(crate) mod serve;
pub(crate) mod tls;
