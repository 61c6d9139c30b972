//! Un-enrolment: a person lets a device go, or a device leaves by itself (alert 1226 of type [`ALERT`]).
//!
//! Promise: a device that can be told is told, by an order that it checks, and is retired when it has acknowledged it; a
//! person can have it retired at once. A device that asks gets its answer before its route closes.

/// The type of the generic alert by which our own device says that it leaves.
pub const ALERT: &str = "com.postern:unenrol";
/// The type of that alert from a Windows PC whose person takes it out (MS-MDM).
pub const WINDOWS_ALERT: &str = "com.microsoft:mdm.unenrollment.userrequest";
/// The node of our own device that lets go of its enrolment, by a signed order.
pub const NODE: &str = "./Vendor/Postern/Unenrol";

/// How far an enrolment is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It stays.
    No,
    /// The device is told.
    Ordered,
    /// The device was told and refused, or never answered.
    Refused,
    /// The device said that it leaves.
    Asked,
}

impl Leaving {
    /// The stable spelling; none for one that stays.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Ordered => Some("ordered"),
            Self::Refused => Some("refused"),
            Self::Asked => Some("asked"),
        }
    }

    /// The word read back.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        [Self::Ordered, Self::Refused, Self::Asked]
            .into_iter()
            .find(|one| one.as_str() == text)
            .unwrap_or(Self::No)
    }
}

/// Whether a generic alert of this type says that the device leaves.
#[must_use]
pub fn leaves(type_: &str) -> bool {
    [ALERT, WINDOWS_ALERT].iter().any(|known| type_.trim().eq_ignore_ascii_case(known))
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person wants it to go.
    Order {
        /// At once, told or not.
        now: bool,
        /// Whether its model has a node for it.
        can: bool,
    },
    /// The device said that it leaves.
    DeviceAsks,
    /// The device acknowledged the order.
    Acknowledged,
    /// The order ended in another way.
    OrderFailed,
    /// The session in which the device asked has ended, or should long have.
    SessionOver,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Tell the device.
    Tell,
    /// Note where it stands.
    Become(Leaving),
    /// Retire it.
    Retire,
}

/// Why an event is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its model has no node for it.
    #[error("this model cannot be told to leave; let it go at once (--now)")]
    CannotBeTold,
    /// It is on its way out.
    #[error("the device is told already; let it go at once (--now), or wait for its session")]
    Already,
    /// Nothing was ordered.
    #[error("the device was not told to leave")]
    NotOrdered,
}

/// What `event` does.
///
/// # Errors
/// [`Refused`].
pub const fn step(leaving: Leaving, event: Event) -> Result<Step, Refused> {
    use Leaving as L;
    match (leaving, event) {
        (_, Event::Order { now: true, .. }) => Ok(Step::Retire),
        (L::No | L::Refused, Event::Order { can: true, .. }) => Ok(Step::Tell),
        (L::No | L::Refused, Event::Order { can: false, .. }) => Err(Refused::CannotBeTold),
        (L::Ordered | L::Asked, Event::Order { .. }) => Err(Refused::Already),
        (L::No | L::Ordered | L::Refused, Event::DeviceAsks) => Ok(Step::Become(L::Asked)),
        (L::Asked, Event::DeviceAsks) => Ok(Step::Keep),
        (L::Ordered | L::Asked, Event::Acknowledged) => Ok(Step::Retire),
        (L::No | L::Refused, Event::Acknowledged) => Err(Refused::NotOrdered),
        (L::Ordered, Event::OrderFailed) => Ok(Step::Become(L::Refused)),
        (L::Asked, Event::OrderFailed) => Ok(Step::Keep),
        (L::No | L::Refused, Event::OrderFailed) => Err(Refused::NotOrdered),
        (L::Asked, Event::SessionOver) => Ok(Step::Retire),
        (L::No | L::Ordered | L::Refused, Event::SessionOver) => Ok(Step::Keep),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Leaving::{Asked, No, Ordered, Refused as RefusedIt};

    const ALL: [Leaving; 4] = [No, Ordered, RefusedIt, Asked];

    #[test]
    fn a_device_is_told_acknowledges_and_is_retired() {
        let order = Event::Order { now: false, can: true };
        for (leaving, event, expected) in [
            (No, order, Ok(Step::Tell)),
            (RefusedIt, order, Ok(Step::Tell)),
            (Ordered, order, Err(Refused::Already)),
            (Asked, order, Err(Refused::Already)),
            (Ordered, Event::Acknowledged, Ok(Step::Retire)),
            (Asked, Event::Acknowledged, Ok(Step::Retire)),
            (No, Event::Acknowledged, Err(Refused::NotOrdered)),
            (RefusedIt, Event::Acknowledged, Err(Refused::NotOrdered)),
            (Ordered, Event::OrderFailed, Ok(Step::Become(RefusedIt))),
            (Asked, Event::OrderFailed, Ok(Step::Keep)),
            (No, Event::OrderFailed, Err(Refused::NotOrdered)),
            (RefusedIt, Event::OrderFailed, Err(Refused::NotOrdered)),
        ] {
            assert_eq!(step(leaving, event), expected, "{leaving:?} {event:?}");
        }
    }

    #[test]
    fn a_model_that_cannot_be_told_is_let_go_at_once_or_not_at_all() {
        for leaving in [No, RefusedIt] {
            let order = Event::Order { now: false, can: false };
            assert_eq!(step(leaving, order), Err(Refused::CannotBeTold));
        }
        for leaving in ALL {
            for can in [true, false] {
                assert_eq!(step(leaving, Event::Order { now: true, can }), Ok(Step::Retire), "{leaving:?}");
            }
        }
    }

    #[test]
    fn a_device_that_asks_is_answered_first_and_retired_when_its_session_is_over() {
        for leaving in [No, Ordered, RefusedIt] {
            assert_eq!(step(leaving, Event::DeviceAsks), Ok(Step::Become(Asked)), "{leaving:?}");
            assert_eq!(step(leaving, Event::SessionOver), Ok(Step::Keep), "{leaving:?}");
        }
        assert_eq!(step(Asked, Event::DeviceAsks), Ok(Step::Keep));
        assert_eq!(step(Asked, Event::SessionOver), Ok(Step::Retire));
    }

    #[test]
    fn only_the_alerts_that_say_so_let_a_device_leave() {
        for type_ in [ALERT, WINDOWS_ALERT, " COM.postern:Unenrol"] {
            assert!(leaves(type_), "{type_}");
        }
        for type_ in ["", "com.postern", "com.postern:unenrolled"] {
            assert!(!leaves(type_), "{type_}");
        }
    }

    #[test]
    fn every_word_is_read_back() {
        for leaving in ALL {
            assert_eq!(Leaving::parse(leaving.as_str()), leaving);
        }
        assert_eq!(Leaving::parse(Some("something")), No);
    }
}
