//! The perimeter: ends device TLS, admits, limits, relays.
#![forbid(unsafe_code)]

pub mod config;
