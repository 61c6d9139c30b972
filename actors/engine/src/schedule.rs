//! The schedule: how often a device is to connect, whether it can be told so, and when it is late.
//!
//! Promise: pure. [`step`] says what a session has to do about a device's interval, [`standing`] where the device
//! stands at a moment. A device whose model knows no node for its interval is held to it all the same, without
//! being told; it is then only expected. Two things must not happen because of a clock that jumped: nobody becomes
//! overdue, and nobody is told anything. The original's first session is `new`, schedule and configuration read, then
//! `managed`: what it reads is in [`CONFIGURATION`].

use postern_wire::terms::{Dialect, UtcMillis, Verb};

use crate::queue::{Body, BodyItem};

/// The node of our own device that holds its schedule.
pub const NODE: &str = "./Vendor/Postern/Schedule";

/// What a new device's first session reads, one Get for each object: the leaves that DevInfo and DevDetail must have,
/// and the URI limits (OMA-TS-DM_StdObj 5.3).
pub const CONFIGURATION: &[&[&str]] = &[
    &["./DevInfo/DevId", "./DevInfo/Man", "./DevInfo/Mod", "./DevInfo/DmV", "./DevInfo/Lang"],
    &[
        "./DevDetail/DevTyp",
        "./DevDetail/OEM",
        "./DevDetail/FwV",
        "./DevDetail/SwV",
        "./DevDetail/HwV",
        "./DevDetail/LrgObj",
        "./DevDetail/URI/MaxDepth",
        "./DevDetail/URI/MaxTotLen",
        "./DevDetail/URI/MaxSegLen",
    ],
];

/// An interval with its jitter, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Seconds between two connections.
    pub every_s: i64,
    /// Seconds that the device may be late on purpose.
    pub jitter_s: i64,
}

impl Interval {
    /// An interval whose jitter is so many percent of it.
    #[must_use]
    pub const fn new(every_s: i64, jitter_percent: i64) -> Self {
        Self { every_s, jitter_s: every_s.saturating_mul(jitter_percent) / 100 }
    }

    /// The longest that a device keeps silent by this interval, in milliseconds.
    #[must_use]
    pub const fn longest_ms(self) -> i64 {
        self.every_s.saturating_add(self.jitter_s).saturating_mul(1000)
    }
}

/// What a device was told of its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: its model knows no node for it.
    Expected,
    /// It is on its way.
    Ordered,
    /// It took it.
    Acknowledged,
    /// It refused it, or never answered.
    Refused,
}

impl Told {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Ordered => "ordered",
            Self::Acknowledged => "acknowledged",
            Self::Refused => "refused",
        }
    }

    /// The word read back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Expected, Self::Ordered, Self::Acknowledged, Self::Refused]
            .into_iter()
            .find(|told| told.as_str() == text)
    }
}

/// What is known of a device's schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The generation of the enrolment that it belongs to.
    pub generation: i64,
    /// What the device is held to.
    pub held: Interval,
    /// What it was to be told last.
    pub wanted: Interval,
    /// Whether it was.
    pub told: Told,
}

/// What a session has to do about the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it was told, or refused just this.
    Keep,
    /// Hold the device to the interval; it cannot be told.
    Expect,
    /// Tell it, holding it to `held` until it acknowledges.
    Order {
        /// What it goes by until then.
        held: Interval,
    },
}

/// Compares what is wanted of a device with what is known of it. `can` is whether its model has a node for it.
#[must_use]
pub fn step(known: Option<Known>, generation: i64, wanted: Interval, can: bool) -> Step {
    match known.filter(|known| known.generation == generation) {
        // What a device that was never told does is not known: the new interval is as good as any.
        None if can => Step::Order { held: wanted },
        None => Step::Expect,
        Some(known) if known.wanted == wanted => match (known.told, can) {
            (Told::Expected, true) => Step::Order { held: wanted },
            (Told::Expected, false) | (Told::Ordered | Told::Acknowledged | Told::Refused, _) => Step::Keep,
        },
        Some(known) if can => Step::Order { held: known.held },
        Some(_) => Step::Expect,
    }
}

/// Whether a model has a node for its interval. Our own device says that Postern made it.
#[must_use]
pub fn can(dialect: Dialect, manufacturer: Option<&str>) -> bool {
    dialect == Dialect::Classic && manufacturer.is_some_and(|man| man.eq_ignore_ascii_case("postern"))
}

/// The commands that tell our own device its interval: seconds, as int.
#[must_use]
pub fn commands(interval: Interval) -> Vec<Body> {
    [("Interval", interval.every_s), ("Jitter", interval.jitter_s)]
        .into_iter()
        .map(|(leaf, value)| {
            let item = BodyItem {
                format: Some("int".to_owned()),
                data: Some(value.to_string().as_str().into()),
                ..BodyItem::node(format!("{NODE}/{leaf}"))
            };
            Body::plain(Verb::Replace, vec![item])
        })
        .collect()
}

/// Whether a command tells a device its interval.
#[must_use]
pub fn tells_interval(body: &Body) -> bool {
    body.first_uri().and_then(|uri| uri.strip_prefix(NODE)) == Some("/Interval")
}

/// The commands that read a new device's configuration.
#[must_use]
pub fn configuration() -> Vec<Body> {
    let get =
        |leaves: &&[&str]| Body::plain(Verb::Get, leaves.iter().map(|uri| BodyItem::node(*uri)).collect());
    CONFIGURATION.iter().map(get).collect()
}

/// Where a device stands with its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is expected within these moments.
    Expected {
        /// The earliest.
        from: UtcMillis,
        /// The latest that is in order.
        until: UtcMillis,
    },
    /// It is late, and its grace has passed.
    Overdue {
        /// Since when.
        since: UtcMillis,
    },
}

/// Where a device stands at `now`. `seen` is its last session, or its enrolment where it had none. With a clock that
/// is in doubt (`steady` is false) nobody is overdue.
#[must_use]
pub fn standing(now: UtcMillis, seen: UtcMillis, held: Interval, grace_ms: i64, steady: bool) -> Standing {
    let until = seen.plus(held.longest_ms());
    let late = until.plus(grace_ms);
    if steady && late < now {
        return Standing::Overdue { since: late };
    }
    Standing::Expected { from: seen.plus(held.every_s.saturating_mul(1000)), until }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Interval = Interval { every_s: 3600, jitter_s: 360 };
    const DAY: Interval = Interval { every_s: 86_400, jitter_s: 0 };

    fn known(told: Told) -> Known {
        Known { generation: 1, held: DAY, wanted: HOUR, told }
    }

    #[test]
    fn a_device_is_told_its_interval_once_and_again_when_it_changes_or_is_enrolled_anew() {
        use Told::{Acknowledged, Expected, Ordered, Refused};
        let order = |held| Step::Order { held };
        for (name, before, generation, wanted, can, expected) in [
            ("new, with a node", None, 1, HOUR, true, order(HOUR)),
            ("new, without", None, 1, HOUR, false, Step::Expect),
            ("told", Some(known(Acknowledged)), 1, HOUR, true, Step::Keep),
            ("on its way", Some(known(Ordered)), 1, HOUR, true, Step::Keep),
            ("refused is not asked again", Some(known(Refused)), 1, HOUR, true, Step::Keep),
            ("expected stays", Some(known(Expected)), 1, HOUR, false, Step::Keep),
            ("its model has learned a node", Some(known(Expected)), 1, HOUR, true, order(HOUR)),
            ("changed", Some(known(Acknowledged)), 1, DAY, true, order(DAY)),
            ("changed on its way", Some(known(Ordered)), 1, DAY, true, order(DAY)),
            ("changed after a refusal", Some(known(Refused)), 1, DAY, true, order(DAY)),
            ("changed, without a node", Some(known(Expected)), 1, DAY, false, Step::Expect),
            ("enrolled anew", Some(known(Acknowledged)), 2, HOUR, true, order(HOUR)),
            ("enrolled anew, without", Some(known(Acknowledged)), 2, HOUR, false, Step::Expect),
        ] {
            assert_eq!(step(before, generation, wanted, can), expected, "{name}");
        }
    }

    #[test]
    fn only_our_own_device_is_known_to_have_a_node() {
        assert!(can(Dialect::Classic, Some("Postern")));
        assert!(!can(Dialect::Classic, Some("Other")));
        assert!(!can(Dialect::Classic, None));
        assert!(!can(Dialect::Windows, Some("Postern")));
    }

    #[test]
    fn a_device_is_overdue_after_interval_jitter_and_grace_and_never_by_a_clock_in_doubt() {
        let (seen, grace) = (UtcMillis(1_000_000), 60_000);
        let late = seen.plus(3_960_000 + grace);
        let expected = Standing::Expected { from: seen.plus(3_600_000), until: seen.plus(3_960_000) };
        for (now, steady, standing_) in [
            (seen, true, expected),
            (late, true, expected),
            (late.plus(1), true, Standing::Overdue { since: late }),
            (late.plus(1), false, expected),
            (UtcMillis(0), true, expected),
            (UtcMillis(i64::MAX), true, Standing::Overdue { since: late }),
        ] {
            assert_eq!(standing(now, seen, HOUR, grace, steady), standing_, "{now} {steady}");
        }
    }

    #[test]
    fn an_interval_has_its_jitter_in_percent_and_is_told_in_seconds() {
        assert_eq!(Interval::new(3600, 10), HOUR);
        let told: Vec<_> = commands(HOUR)
            .iter()
            .map(|body| {
                let item = &body.items()[0];
                (item.target.clone(), item.data.as_ref().and_then(|data| data.as_text()).map(str::to_owned))
            })
            .collect();
        let leaf = |name: &str, value: &str| (format!("{NODE}/{name}"), Some(value.to_owned()));
        assert_eq!(told, [leaf("Interval", "3600"), leaf("Jitter", "360")]);
        let telling: Vec<_> = commands(HOUR).iter().map(tells_interval).collect();
        assert_eq!(telling, [true, false]);
    }

    #[test]
    fn every_uri_of_the_configuration_is_one_and_is_no_secret() {
        for uri in CONFIGURATION.iter().copied().flatten() {
            let parsed = postern_wire::uri::TreeUri::parse(uri).unwrap();
            assert!(crate::destructive::protected(Verb::Get, &parsed, false).is_none(), "{uri}");
        }
    }
}
