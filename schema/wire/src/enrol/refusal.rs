//! How the core refuses an enrolment: an HTTP status and a problem document (RFC 9457), in clear.
//!
//! Promise: before the password is proved there is one refusal, always the same. A refusal is not authenticated, as
//! whoever carries the messages can drop them as well: a device tells it to the person, and forgets nothing because of it.

use crate::problem::ProblemDetails;

/// Why a device is not enrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Before the proof: no such request, another password, or not a body of the protocol at all.
    NotProved,
    /// The finish names no handshake that is kept: it came too late, or the core was restarted. Begin again.
    HandshakeUnknown,
    /// The password was used with another key or on other hardware.
    Used,
    /// Hardware of this id is enrolled already: a person has to decide.
    DuplicateHardware,
    /// The request is for other hardware, or for a person of another e-mail domain.
    OtherDevice,
    /// The password's life is over.
    Expired,
    /// The request was taken back.
    Cancelled,
    /// The owner has as many devices as may be.
    Quota,
    /// Too many at once; try again a little later.
    Busy,
    /// The request for a certificate cannot be used.
    BadRequest,
}

impl Refusal {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::NotProved,
        Self::HandshakeUnknown,
        Self::Used,
        Self::DuplicateHardware,
        Self::OtherDevice,
        Self::Expired,
        Self::Cancelled,
        Self::Quota,
        Self::Busy,
        Self::BadRequest,
    ];

    /// Its slug.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::NotProved => "enrolment-not-proved",
            Self::HandshakeUnknown => "enrolment-handshake-unknown",
            Self::Used => "enrolment-used",
            Self::DuplicateHardware => "enrolment-duplicate-hardware",
            Self::OtherDevice => "enrolment-other-device",
            Self::Expired => "enrolment-expired",
            Self::Cancelled => "enrolment-cancelled",
            Self::Quota => "enrolment-quota",
            Self::Busy => "enrolment-busy",
            Self::BadRequest => "enrolment-bad-request",
        }
    }

    /// Its HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotProved => 403,
            Self::HandshakeUnknown => 404,
            Self::Used | Self::DuplicateHardware | Self::OtherDevice => 409,
            Self::Expired | Self::Cancelled => 410,
            Self::Quota | Self::Busy => 429,
        }
    }

    /// Its sentence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::NotProved => "The one-time password is not accepted",
            Self::HandshakeUnknown => "This handshake is not known any more; begin again",
            Self::Used => "The one-time password was used by another key or device",
            Self::DuplicateHardware => "This hardware is enrolled already; an administrator has to decide",
            Self::OtherDevice => "The request is for another device or person",
            Self::Expired => "The one-time password has expired",
            Self::Cancelled => "The request for this enrolment was taken back",
            Self::Quota => "The owner has as many devices as may be",
            Self::Busy => "Too many devices enrol at this moment; try again later",
            Self::BadRequest => "The request for a certificate cannot be used",
        }
    }

    /// The document that goes out.
    #[must_use]
    pub fn problem(self) -> ProblemDetails {
        ProblemDetails::new(self.slug(), self.title(), self.status())
    }

    /// Reads a document that came with a status other than 200; `None` for one that is not ours.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        if body.len() > super::DISCOVERY_LIMIT {
            return None;
        }
        let problem: ProblemDetails = serde_json::from_slice(body).ok()?;
        let slug = problem.slug()?;
        Self::ALL.into_iter().find(|known| known.slug() == slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_read_back_from_its_document() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::read(refusal.problem().to_json().as_bytes()), Some(refusal));
        }
        for other in ["", "{}", r#"{"type":"urn:postern:problem:new","title":"x","status":400}"#] {
            assert_eq!(Refusal::read(other.as_bytes()), None);
        }
    }
}
