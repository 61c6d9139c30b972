//! The device against scripted servers: in the same process, and over TLS.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

mod alerts;
mod bearers;
mod dialogue;
mod hostile;
mod https;
mod kill;
mod large;
mod mac;
mod notification;
mod proof;
mod session;
mod support;
