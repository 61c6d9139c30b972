//! Our OMA DM client and the simulated fleet.
#![forbid(unsafe_code)]
