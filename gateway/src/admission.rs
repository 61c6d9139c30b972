//! Admission: what is asked of a request before it may cross to the core.
//!
//! Promise (docs/THREATS.md, "The perimeter"): each request is judged anew, whatever its
//! connection has passed before; the verdict is admit, wipe-only or refuse, and a refusal has a reason. Nothing here
//! opens a socket.
//!
//! - [`enrolment`]: a request of a device that is not enrolled yet.
//! - [`head`]: the request's line and headers, its route and its certificate.
//! - [`body`]: the body, against slowness, size and nonsense.
//! - [`certificate`]: what a certificate says.
//! - [`rates`]: token buckets.

pub(crate) mod body;
pub(crate) mod certificate;
pub(crate) mod enrolment;
pub(crate) mod head;
pub(crate) mod rates;

use postern_wire::link::RefusalReason;

/// A request that does not cross.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: RefusalReason,
    pub(crate) detail: Option<String>,
}

impl Refusal {
    pub(crate) fn new(reason: RefusalReason) -> Self {
        Self { reason, detail: None }
    }

    pub(crate) fn with(reason: RefusalReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: Some(detail.into()) }
    }
}

impl From<RefusalReason> for Refusal {
    fn from(reason: RefusalReason) -> Self {
        Self::new(reason)
    }
}
