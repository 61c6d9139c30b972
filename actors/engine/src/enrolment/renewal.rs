//! The renewal of a device's certificate, driven by the server before a third of its life is left.
//!
//! Promise: the old certificate holds until the device has shown the new one; from then on only the new one does. A try that
//! comes to nothing is begun again. Less than a tenth of the life left is an alarm. A device whose model has no node
//! for it is shown as due.

use postern_wire::{
    syncml::Data,
    terms::{UtcMillis, Verb},
};

use crate::queue::{Body, BodyItem};

/// The interior node of our own device that renews its certificate.
pub const NODE: &str = "./Vendor/Postern/Certificate";
/// A certificate is renewed when less than one such part of its life is left.
pub const RENEW_PART: i64 = 3;
/// An alarm is raised when less than one such part is.
pub const ALARM_PART: i64 = 10;

/// How much of a certificate's life is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// A third or more.
    Enough,
    /// Less than a third.
    Due,
    /// Less than a tenth, or nothing.
    Alarm,
}

/// How much is left at `now` of a life from `from` until `until`.
#[must_use]
pub const fn left(from: UtcMillis, until: UtcMillis, now: UtcMillis) -> Left {
    let life = until.0.saturating_sub(from.0);
    let left = until.0.saturating_sub(now.0);
    if left.saturating_mul(ALARM_PART) < life {
        Left::Alarm
    } else if left.saturating_mul(RENEW_PART) < life {
        Left::Due
    } else {
        Left::Enough
    }
}

/// How far a renewal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing is to be done.
    None,
    /// It is due, and the device cannot be told.
    Due,
    /// The device is asked for a new key and its request.
    Asked,
    /// A new certificate was issued and is on its way; the device may show it from now on.
    Issued,
    /// The device has taken it and has not shown it yet.
    Taken,
}

impl Renewal {
    const ALL: [Self; 5] = [Self::None, Self::Due, Self::Asked, Self::Issued, Self::Taken];

    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Due => "due",
            Self::Asked => "asked",
            Self::Issued => "issued",
            Self::Taken => "taken",
        }
    }

    /// The word read back; an unknown one counts as none.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|one| one.as_str() == text).unwrap_or(Self::None)
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody looks at the certificate.
    Look {
        /// What is left of it.
        left: Left,
        /// Whether the device's model has a node for it.
        can: bool,
    },
    /// The device gave its request.
    Csr,
    /// The device took the certificate.
    Installed,
    /// What it was told ended in another way.
    Failed,
    /// The device proved itself with the new certificate.
    Shown,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Note where it stands.
    Become(Renewal),
    /// Tell the device to make a key, and ask for its request.
    Ask,
    /// Issue a certificate and send it.
    Issue,
    /// The new certificate takes the place of the old one, which is revoked.
    Promote,
}

/// The event does not fit where the renewal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the renewal is {}, which {event:?} does not fit", state.as_str())]
pub struct Refused {
    /// Where it stands.
    pub state: Renewal,
    /// What happened.
    pub event: Event,
}

/// What `event` does.
///
/// # Errors
/// [`Refused`].
pub fn step(state: Renewal, event: Event) -> Result<Step, Refused> {
    use Renewal as R;
    match (state, event) {
        (R::None | R::Due, Event::Look { left: Left::Due | Left::Alarm, can: true }) => Ok(Step::Ask),
        (R::None, Event::Look { left: Left::Due | Left::Alarm, can: false }) => Ok(Step::Become(R::Due)),
        // A person renewed it, such as by enrolling the device anew.
        (R::Due, Event::Look { left: Left::Enough, .. }) => Ok(Step::Become(R::None)),
        (_, Event::Look { .. }) => Ok(Step::Keep),
        (R::Asked, Event::Csr) => Ok(Step::Issue),
        (R::Issued, Event::Installed) => Ok(Step::Become(R::Taken)),
        // From the beginning: the device makes another key, which is as good.
        (R::Asked | R::Issued, Event::Failed) => Ok(Step::Become(R::None)),
        // The device may have taken it and its answer was lost; it may also have said so first.
        (R::Issued | R::Taken, Event::Shown) => Ok(Step::Promote),
        (R::None | R::Due | R::Issued | R::Taken, Event::Csr)
        | (R::None | R::Due | R::Asked | R::Taken, Event::Installed)
        | (R::None | R::Due | R::Taken, Event::Failed)
        | (R::None | R::Due | R::Asked, Event::Shown) => Err(Refused { state, event }),
    }
}

/// The commands that have our own device make a key and give its request, one after the other.
#[must_use]
pub fn ask() -> Vec<Body> {
    vec![
        Body::plain(Verb::Exec, vec![BodyItem::node(format!("{NODE}/Renew"))]),
        Body::plain(Verb::Get, vec![BodyItem::node(format!("{NODE}/Csr"))]),
    ]
}

/// The command that gives it its new certificate with the chain: base64 of the certificates in PEM.
#[must_use]
pub fn deliver(chain_pem: &str) -> Vec<Body> {
    let item = BodyItem {
        format: Some("chr".to_owned()),
        data: Some(Data::Text(chain_pem.to_owned())),
        ..BodyItem::node(format!("{NODE}/Chain"))
    };
    vec![Body::plain(Verb::Replace, vec![item])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use Renewal::{Asked, Due, Issued, None as Not, Taken};

    const FROM: UtcMillis = UtcMillis(1_000);

    #[test]
    fn a_third_left_is_enough_and_a_tenth_is_no_alarm_yet() {
        let until = FROM.plus(300);
        for (gone, expected) in [
            (0, Left::Enough),
            (200, Left::Enough),
            (201, Left::Due),
            (270, Left::Due),
            (271, Left::Alarm),
            (300, Left::Alarm),
            (10_000, Left::Alarm),
        ] {
            assert_eq!(left(FROM, until, FROM.plus(gone)), expected, "{gone}");
        }
        assert_eq!(left(UtcMillis(i64::MIN), UtcMillis(i64::MAX), UtcMillis(0)), Left::Enough);
    }

    #[test]
    fn a_renewal_goes_from_the_key_to_the_first_session_with_the_new_certificate() {
        let look = |left, can| Event::Look { left, can };
        for (state, event, expected) in [
            (Not, look(Left::Enough, true), Step::Keep),
            (Not, look(Left::Due, true), Step::Ask),
            (Not, look(Left::Alarm, true), Step::Ask),
            (Not, look(Left::Due, false), Step::Become(Due)),
            (Due, look(Left::Due, false), Step::Keep),
            (Due, look(Left::Due, true), Step::Ask),
            (Due, look(Left::Enough, false), Step::Become(Not)),
            (Asked, look(Left::Alarm, true), Step::Keep),
            (Asked, Event::Csr, Step::Issue),
            (Asked, Event::Failed, Step::Become(Not)),
            (Issued, Event::Installed, Step::Become(Taken)),
            (Issued, Event::Failed, Step::Become(Not)),
            (Issued, Event::Shown, Step::Promote),
            (Taken, Event::Shown, Step::Promote),
        ] {
            assert_eq!(step(state, event), Ok(expected), "{state:?} {event:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (states, event) in [
            (&[Not, Due, Issued, Taken][..], Event::Csr),
            (&[Not, Due, Asked, Taken], Event::Installed),
            (&[Not, Due, Taken], Event::Failed),
            (&[Not, Due, Asked], Event::Shown),
        ] {
            for &state in states {
                assert_eq!(step(state, event), Err(Refused { state, event }));
            }
        }
    }

    #[test]
    fn every_word_is_read_back() {
        for state in Renewal::ALL {
            assert_eq!(Renewal::parse(state.as_str()), state);
        }
        assert_eq!(Renewal::parse("something"), Not);
    }
}
