//! What crosses a network, and nothing else: no socket, no clock, no database is reachable from here.
#![forbid(unsafe_code)]

pub mod order;
pub mod signature;
pub mod syncml;
pub mod terms;
