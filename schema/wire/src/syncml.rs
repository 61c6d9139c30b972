//! SyncML as OMA DM 1.1.2 and 1.2 use it: one message model, two encodings.
//!
//! Follows OMA-TS-SyncML-RepPro 1.2.2, OMA-TS-DM_RepPro 1.2.1 and WBXML 1.1 to 1.3.

pub mod model;

pub use model::*;
