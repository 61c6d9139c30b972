//! An enrolment's rules: how a device comes in, stays, and goes out (docs/ENROLMENT.md).
//!
//! Promise: pure. Each machine is a match on (state, event); what it refuses, it refuses by name. Nothing ends because
//! of a time while the clock is in doubt.
//!
//! - [`request`]: a request with its one-time password, from open to used, cancelled, expired or locked.
//! - [`proposal`]: what a device proposes, by whichever [`Door`] it came, held against its request: a new enrolment, a
//!   new generation of one, or one in quarantine.
//! - [`quarantine`]: the person's decision on it.
//! - [`silence`]: managed, quiet, stale, un-enrolled.
//! - [`leaving`]: un-enrolment by a person and by the device.
//! - [`renewal`]: the device's certificate before it ends.

pub mod leaving;
pub mod proposal;
pub mod quarantine;
pub mod renewal;
pub mod request;
pub mod silence;

/// A front end by which devices come in. Each hands in the same [`proposal::Proposal`], after it has had the device prove
/// that it was asked to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// A person registered it.
    Hand,
    /// Postern's own protocol over the air.
    Air,
    /// The enrolment documents of Windows (MS-MDE2); no front end hands these in yet.
    Windows,
}

impl Door {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Air => "air",
            Self::Windows => "windows",
        }
    }
}
