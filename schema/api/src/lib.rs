//! The admin API's types, shared by the core and posternctl.
#![forbid(unsafe_code)]
