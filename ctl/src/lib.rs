//! The command line for admins, and offline tools on messages.
#![forbid(unsafe_code)]
