//! SyncML as WBXML 1.1 to 1.3 (WAP-192-WBXML; tokens in [`super::tag`]). Reader and writer of our own.
//!
//! The code page is running state, not nesting: an encoder may switch at any tag, and END does not switch back.

pub(super) mod header;
pub(super) mod reader;
pub(super) mod writer;
