//! The rules as pure code: sessions, operations, command life, planners.
//!
//! State, message, time and random octets in; reply and effects out. No socket, clock, random source, store or
//! log line is reachable from here, so every rule can be replayed from a transcript and property-tested.
#![forbid(unsafe_code)]

pub mod account;
pub mod command;
pub mod destructive;
pub mod effect;
pub mod enrolment;
pub mod gcm;
pub mod hiding;
pub mod mail;
pub mod mask;
pub mod nonce;
pub mod notification;
pub mod operations;
pub mod policy;
pub mod probe;
pub mod profiles;
pub mod queue;
pub mod recovery;
pub mod safety;
pub mod schedule;
pub mod session;
pub mod spool;
pub mod transcript;
pub mod user;
pub mod wipe;
