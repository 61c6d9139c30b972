//! SyncML as XML: reader on quick-xml's events, writer of our own.
//!
//! An element is known by its local name; prefixes and namespaces do not decide (clients leave them out, COD-06),
//! apart from the root's, which has to be a SyncML namespace or none.

pub(super) mod markup;
pub(super) mod reader;
pub(super) mod text;
pub(super) mod writer;
