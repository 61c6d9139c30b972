//! The outside world behind small traits: so far, where the audit log's signed heads are kept outside the database.
#![forbid(unsafe_code)]

pub mod anchor;
