//! What a device proposes when it comes, held against the request that it proved, and against who is enrolled already.
//!
//! Promise: the same hardware or the same DevId twice is never merged silently: unless the request says that this very
//! enrolment is to be renewed, the newcomer stands in quarantine until a person decides. Owners have quotas.

use postern_wire::terms::{EnrolmentId, EnrolmentState};

use super::Door;

/// Octets that a name of any kind may have.
pub const NAME_OCTETS: usize = 256;

/// What a device proposes, whichever door it came by. It has proved its one-time password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The door.
    pub door: Door,
    /// DevInfo/DevId, as it will say it.
    pub device_id: String,
    /// Serial number, IMEI or the like.
    pub hardware_id: Option<String>,
    /// Its maker and model, as it says.
    pub model: Option<String>,
    /// Its platform, as it says.
    pub platform: Option<String>,
    /// The e-mail address of the person who enrols it.
    pub email: Option<String>,
    /// PKCS#10, DER.
    pub csr: Vec<u8>,
}

/// What the request, and the enrolments that there are, say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The domain that the e-mail address has to have.
    pub email_domain: Option<String>,
    /// The mark of the hardware that has to come.
    pub hardware_id: Option<String>,
    /// The enrolment that is to be renewed, and where it stands; the state is none when it is gone.
    pub renews: Option<(EnrolmentId, Option<EnrolmentState>)>,
    /// An enrolment that is not retired and has the same DevId or the same hardware.
    pub twin: Option<EnrolmentId>,
    /// Devices that the owner has.
    pub owned: i64,
    /// Devices that an owner may have; 0 is any number.
    pub quota: i64,
}

/// What becomes of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A new enrolment.
    Enrol,
    /// A new generation of this one.
    Renew(EnrolmentId),
    /// A new enrolment, held back: this one has the same hardware.
    Quarantine(EnrolmentId),
}

/// Why a proposal is refused. The request stays open: the right device may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A name is missing, too long, or has control characters.
    #[error("DevId and names are 1 to {NAME_OCTETS} octets without control characters")]
    Names,
    /// The e-mail address is missing or of another domain.
    #[error("the request is for an e-mail address of another domain")]
    EmailDomain,
    /// It is other hardware.
    #[error("the request is for other hardware")]
    Hardware,
    /// The enrolment that was to be renewed is retired or gone.
    #[error("the enrolment that was to be renewed is no more")]
    RenewedGone,
    /// The owner has as many devices as an owner may have.
    #[error("the owner has as many devices as an owner may have")]
    Quota,
}

impl Refused {
    /// The stable spelling.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Names => "enrolment-names",
            Self::EmailDomain => "enrolment-other-domain",
            Self::Hardware => "enrolment-other-hardware",
            Self::RenewedGone => "enrolment-renewed-gone",
            Self::Quota => "enrolment-quota",
        }
    }
}

/// Holds a proposal against what is expected.
///
/// # Errors
/// [`Refused`].
pub fn judge(proposal: &Proposal, expected: &Expected) -> Result<Verdict, Refused> {
    let texts = [proposal.hardware_id.as_ref(), proposal.model.as_ref(), proposal.platform.as_ref()];
    if !names(&proposal.device_id) || !texts.into_iter().flatten().all(|text| names(text)) {
        return Err(Refused::Names);
    }
    if let Some(domain) = &expected.email_domain
        && !of_domain(proposal.email.as_deref(), domain)
    {
        return Err(Refused::EmailDomain);
    }
    if expected.hardware_id.is_some() && proposal.hardware_id != expected.hardware_id {
        return Err(Refused::Hardware);
    }
    match (expected.renews, expected.twin) {
        (Some((_, None | Some(EnrolmentState::Retired | EnrolmentState::Quarantined))), _) => {
            Err(Refused::RenewedGone)
        }
        (Some((renews, Some(_))), None) => Ok(Verdict::Renew(renews)),
        (Some((renews, Some(_))), Some(twin)) if twin == renews => Ok(Verdict::Renew(renews)),
        // The device that came is a third one: its request does not speak of it.
        (Some(_), Some(_)) => Err(Refused::Hardware),
        (None, _) if over(expected.owned, expected.quota) => Err(Refused::Quota),
        (None, Some(twin)) => Ok(Verdict::Quarantine(twin)),
        (None, None) => Ok(Verdict::Enrol),
    }
}

/// Whether one more would be over the quota; 0 is no quota.
#[must_use]
pub const fn over(has: i64, quota: i64) -> bool {
    quota > 0 && has >= quota
}

fn names(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= NAME_OCTETS && !text.chars().any(char::is_control)
}

fn of_domain(email: Option<&str>, domain: &str) -> bool {
    email
        .and_then(|email| email.rsplit_once('@'))
        .is_some_and(|(user, of)| !user.is_empty() && of.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ONE: EnrolmentId = EnrolmentId(Uuid::from_u128(1));
    const TWO: EnrolmentId = EnrolmentId(Uuid::from_u128(2));

    fn proposal() -> Proposal {
        Proposal {
            door: Door::Air,
            device_id: "IMEI:490154203237518".to_owned(),
            hardware_id: Some("SN-1".to_owned()),
            model: None,
            platform: None,
            email: Some("ann@Example.com".to_owned()),
            csr: Vec::new(),
        }
    }

    #[test]
    fn the_same_hardware_twice_is_quarantined_unless_its_own_renewal_was_asked_for() {
        use EnrolmentState::{Managed, New, Quarantined, Retired};
        for (renews, twin, expected) in [
            (None, None, Ok(Verdict::Enrol)),
            (None, Some(ONE), Ok(Verdict::Quarantine(ONE))),
            (Some((ONE, Some(Managed))), Some(ONE), Ok(Verdict::Renew(ONE))),
            (Some((ONE, Some(New))), None, Ok(Verdict::Renew(ONE))),
            (Some((ONE, Some(Managed))), Some(TWO), Err(Refused::Hardware)),
            (Some((ONE, Some(Retired))), None, Err(Refused::RenewedGone)),
            (Some((ONE, Some(Quarantined))), None, Err(Refused::RenewedGone)),
            (Some((ONE, None)), Some(ONE), Err(Refused::RenewedGone)),
        ] {
            let expected_ = Expected { renews, twin, ..Expected::default() };
            assert_eq!(judge(&proposal(), &expected_), expected, "{renews:?} {twin:?}");
        }
    }

    #[test]
    fn what_the_request_names_has_to_come() {
        let domain = |text: &str| Expected { email_domain: Some(text.to_owned()), ..Expected::default() };
        let hardware = |text: &str| Expected { hardware_id: Some(text.to_owned()), ..Expected::default() };
        for (expected, verdict) in [
            (domain("example.com"), Ok(Verdict::Enrol)),
            (domain("example.org"), Err(Refused::EmailDomain)),
            (domain("ple.com"), Err(Refused::EmailDomain)),
            (hardware("SN-1"), Ok(Verdict::Enrol)),
            (hardware("SN-2"), Err(Refused::Hardware)),
        ] {
            assert_eq!(judge(&proposal(), &expected), verdict, "{expected:?}");
        }
        let nobody = Proposal { email: None, hardware_id: None, ..proposal() };
        assert_eq!(judge(&nobody, &domain("example.com")), Err(Refused::EmailDomain));
        assert_eq!(judge(&nobody, &hardware("SN-1")), Err(Refused::Hardware));
    }

    #[test]
    fn an_owner_has_a_quota_that_a_renewal_does_not_use() {
        let owned = |owned, quota| Expected { owned, quota, ..Expected::default() };
        assert_eq!(judge(&proposal(), &owned(2, 3)), Ok(Verdict::Enrol));
        assert_eq!(judge(&proposal(), &owned(3, 3)), Err(Refused::Quota));
        assert_eq!(judge(&proposal(), &owned(1_000, 0)), Ok(Verdict::Enrol), "0 is no quota");
        let renewal = Expected { renews: Some((ONE, Some(EnrolmentState::Managed))), ..owned(3, 3) };
        assert_eq!(judge(&proposal(), &renewal), Ok(Verdict::Renew(ONE)));
        let twin = Expected { twin: Some(ONE), ..owned(3, 3) };
        assert_eq!(judge(&proposal(), &twin), Err(Refused::Quota));
    }

    #[test]
    fn names_from_outside_have_limits() {
        let long = "x".repeat(NAME_OCTETS + 1);
        for bad in ["", "  ", "a\nb", "\u{1b}[2J", long.as_str()] {
            let device = Proposal { device_id: bad.to_owned(), ..proposal() };
            assert_eq!(judge(&device, &Expected::default()), Err(Refused::Names), "{bad:?}");
            let hardware = Proposal { hardware_id: Some(bad.to_owned()), ..proposal() };
            assert_eq!(judge(&hardware, &Expected::default()), Err(Refused::Names), "{bad:?}");
        }
    }
}
