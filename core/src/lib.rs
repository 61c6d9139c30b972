//! The inside: links, device endpoint, admin API.
#![forbid(unsafe_code)]

pub mod device;
pub mod links;
