//! (skeleton)
pub(super) mod reader;
pub(super) mod writer;
