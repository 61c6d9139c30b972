//! The rules as pure code: sessions, operations, command life, planners.
#![forbid(unsafe_code)]
