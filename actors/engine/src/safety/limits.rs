//! How many devices destructive operations may hit in an hour.
//!
//! Promise: up to [`Limits::per_person`] devices one person needs nobody; above that somebody else has to agree; above
//! [`Limits::fleet`] of all persons together everything stops. What was approved and what goes by break-glass is not
//! counted to the stop: two persons, or a person with the code from the safe, looked at it. A service is never frozen
//! and freezes nobody: it waits for the next hour.

use super::HOUR_MS;

/// The limits. Devices are counted, each once an hour, whatever was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Devices that one person may hit in an hour without another's approval.
    pub per_person: u64,
    /// Devices that all persons together may hit in an hour, at most.
    pub per_hour: u64,
    /// The same as a share of the fleet, in per cent; the smaller of the two counts.
    pub fleet_percent: u64,
    /// The share of a small fleet is never less than this.
    pub at_least: u64,
    /// How long an approved operation on more than `per_person` devices waits before it begins, in minutes.
    pub cooling_off_minutes: u64,
    /// How long a request waits for approval, in hours.
    pub approval_hours: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_person: 5,
            per_hour: 25,
            fleet_percent: 1,
            at_least: 6,
            cooling_off_minutes: 30,
            approval_hours: 24,
        }
    }
}

/// One limit: its name, and between what it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The name.
    pub name: &'static str,
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// What it is, in one sentence.
    pub what: &'static str,
}

/// Every limit.
pub const BOUNDS: [Bound; 6] = [
    Bound {
        name: "per-person",
        least: 1,
        most: 1_000,
        what: "devices that one person may hit in an hour without another's approval",
    },
    Bound {
        name: "per-hour",
        least: 1,
        most: 10_000,
        what: "devices that all persons together may hit in an hour before everything is frozen",
    },
    Bound {
        name: "fleet-percent",
        least: 1,
        most: 100,
        what: "the same as a share of the fleet, in per cent; the smaller of the two counts",
    },
    Bound { name: "at-least", least: 1, most: 1_000, what: "the share of a small fleet is never less" },
    Bound {
        name: "cooling-off-minutes",
        least: 0,
        most: 10_080,
        what: "how long an approved operation on more than per-person devices waits before it begins",
    },
    Bound {
        name: "approval-hours",
        least: 1,
        most: 168,
        what: "how long a request waits for its approval before it expires",
    },
];

/// Why a limit is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLimit {
    /// No limit has this name.
    #[error("there is no limit {0:?}")]
    Unknown(String),
    /// It lies outside its bounds.
    #[error("{name} lies between {least} and {most}")]
    OutOfBounds {
        /// Which.
        name: &'static str,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
}

impl Limits {
    /// The value of the limit with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        Some(match name {
            "per-person" => self.per_person,
            "per-hour" => self.per_hour,
            "fleet-percent" => self.fleet_percent,
            "at-least" => self.at_least,
            "cooling-off-minutes" => self.cooling_off_minutes,
            "approval-hours" => self.approval_hours,
            _ => return None,
        })
    }

    /// These limits with one of them set.
    ///
    /// # Errors
    /// [`BadLimit`].
    pub fn with(mut self, name: &str, value: u64) -> Result<Self, BadLimit> {
        let bound = BOUNDS.into_iter().find(|bound| bound.name == name);
        let Some(Bound { name, least, most, .. }) = bound else {
            return Err(BadLimit::Unknown(name.to_owned()));
        };
        if !(least..=most).contains(&value) {
            return Err(BadLimit::OutOfBounds { name, least, most });
        }
        let place = match name {
            "per-person" => &mut self.per_person,
            "per-hour" => &mut self.per_hour,
            "fleet-percent" => &mut self.fleet_percent,
            "at-least" => &mut self.at_least,
            "cooling-off-minutes" => &mut self.cooling_off_minutes,
            _ => &mut self.approval_hours,
        };
        *place = value;
        Ok(self)
    }

    /// Devices that all persons together may hit in an hour, in a fleet of so many.
    #[must_use]
    pub fn fleet(&self, devices: u64) -> u64 {
        let share = devices.saturating_mul(self.fleet_percent) / 100;
        self.per_hour.min(share.max(self.at_least))
    }

    /// Whether `next` allows nothing that these limits do not: such a change needs nobody's approval.
    #[must_use]
    pub fn is_tightened_by(&self, next: &Self) -> bool {
        next.per_person <= self.per_person
            && next.per_hour <= self.per_hour
            && next.fleet_percent <= self.fleet_percent
            && next.at_least <= self.at_least
            && next.cooling_off_minutes >= self.cooling_off_minutes
            && next.approval_hours <= self.approval_hours
    }

    /// How long an approved operation on so many devices waits, in milliseconds.
    #[must_use]
    pub fn cooling_off_ms(&self, targets: u64) -> i64 {
        if targets <= self.per_person {
            return 0;
        }
        i64::try_from(self.cooling_off_minutes).unwrap_or(i64::MAX).saturating_mul(60_000)
    }

    /// How long a request waits for its approval, in milliseconds.
    #[must_use]
    pub fn approval_ms(&self) -> i64 {
        i64::try_from(self.approval_hours).unwrap_or(i64::MAX).saturating_mul(HOUR_MS)
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person, by whatever token. `second` says whether somebody else may approve.
    Person {
        /// Whether somebody else may approve now.
        second: bool,
    },
    /// A supervisor, by a rule.
    Service,
}

/// The figures that a request is judged by. Devices that were hit in the last hour are not counted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Who asks.
    pub by: By,
    /// Whether everything is frozen.
    pub frozen: bool,
    /// With break-glass: how many devices it is still good for.
    pub glass: Option<u64>,
    /// Devices of the fleet, the retired ones left out.
    pub fleet: u64,
    /// Devices that this person (or, for a service, the services) hit in the last hour.
    pub mine: u64,
    /// Devices that all persons hit in the last hour.
    pub all: u64,
    /// Devices of the request that are not among `mine`.
    pub new_mine: u64,
    /// Devices of the request that are not among `all`.
    pub new_all: u64,
    /// Devices of the request.
    pub targets: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done. `alone`: somebody else should have agreed, and there is nobody.
    Go {
        /// Above the limit of a person, and no second approver exists: audited and loud.
        alone: bool,
    },
    /// It is done by break-glass: audited and loud.
    Glass,
    /// Somebody else has to agree; once that happened it waits so long, in milliseconds.
    Approve {
        /// The cooling-off.
        cooling_ms: i64,
    },
    /// It is refused, and from now on everything is frozen.
    Freeze,
    /// It is refused: everything is frozen.
    Frozen,
    /// A service has done enough in this hour.
    Later,
    /// Break-glass is good for fewer devices than these.
    GlassSpent,
}

/// Judges a request before it is committed.
#[must_use]
pub fn judge(limits: &Limits, of: &Figures) -> Verdict {
    if let Some(left) = of.glass {
        return if of.targets <= left { Verdict::Glass } else { Verdict::GlassSpent };
    }
    if of.frozen {
        return Verdict::Frozen;
    }
    let fleet = limits.fleet(of.fleet);
    let By::Person { second } = of.by else {
        let much = of.mine.saturating_add(of.new_mine) > fleet;
        return if much { Verdict::Later } else { Verdict::Go { alone: false } };
    };
    let much_of_one = of.mine.saturating_add(of.new_mine) > limits.per_person;
    if much_of_one && second {
        return Verdict::Approve { cooling_ms: limits.cooling_off_ms(of.targets) };
    }
    if of.all.saturating_add(of.new_all) > fleet {
        return Verdict::Freeze;
    }
    Verdict::Go { alone: much_of_one }
}

/// What is known of a destructive command that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Whether it was admitted at all.
    pub admitted: bool,
    /// Whether it was admitted by break-glass.
    pub glass: bool,
    /// Whether it was approved, or belongs to a service: not counted.
    pub uncounted: bool,
    /// Whether it was sent before: not counted again.
    pub again: bool,
    /// Whether everything is frozen.
    pub frozen: bool,
    /// Devices of the fleet.
    pub fleet: u64,
    /// Other devices to which something destructive was sent in the last hour.
    pub sent: u64,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sendable {
    /// It may go.
    Yes,
    /// It stays: nobody admitted it.
    Never,
    /// It stays while everything is frozen.
    Frozen,
    /// It stays, and from now on everything is frozen.
    Freeze,
}

/// Judges a destructive command at the moment that it is recorded as sent.
#[must_use]
pub fn judge_send(limits: &Limits, of: &Outgoing) -> Sendable {
    match () {
        () if !of.admitted => Sendable::Never,
        () if of.glass => Sendable::Yes,
        () if of.frozen => Sendable::Frozen,
        () if of.uncounted || of.again => Sendable::Yes,
        () if of.sent.saturating_add(1) > limits.fleet(of.fleet) => Sendable::Freeze,
        () => Sendable::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(mine: u64, all: u64, new: u64, second: bool, fleet: u64) -> Figures {
        Figures {
            by: By::Person { second },
            frozen: false,
            glass: None,
            fleet,
            mine,
            all,
            new_mine: new,
            new_all: new,
            targets: new,
        }
    }

    #[test]
    fn one_lost_device_one_person_no_delay_above_five_an_approval_above_the_fleets_limit_a_freeze() {
        let limits = Limits::default();
        let cooling_ms = 30 * 60_000;
        for (figures, verdict) in [
            (person(0, 0, 1, true, 1_000), Verdict::Go { alone: false }),
            (person(4, 4, 1, true, 1_000), Verdict::Go { alone: false }),
            (person(5, 5, 1, true, 1_000), Verdict::Approve { cooling_ms: 0 }),
            (person(0, 0, 6, true, 1_000), Verdict::Approve { cooling_ms }),
            (person(5, 5, 1, false, 1_000), Verdict::Go { alone: true }),
            (person(0, 0, 200, true, 1_000), Verdict::Approve { cooling_ms }),
            (person(0, 0, 200, false, 1_000), Verdict::Freeze),
            // 1 % of 1000 is 10: the eleventh freezes, whoever asks.
            (person(0, 9, 1, true, 1_000), Verdict::Go { alone: false }),
            (person(0, 10, 1, true, 1_000), Verdict::Freeze),
            // A small fleet has 6, a large one never more than 25.
            (person(0, 5, 1, true, 20), Verdict::Go { alone: false }),
            (person(0, 6, 1, true, 20), Verdict::Freeze),
            (person(0, 24, 1, true, 100_000), Verdict::Go { alone: false }),
            (person(0, 25, 1, true, 100_000), Verdict::Freeze),
            // The same device once more is nothing new.
            (person(5, 25, 0, true, 100_000), Verdict::Go { alone: false }),
        ] {
            assert_eq!(judge(&limits, &figures), verdict, "{figures:?}");
        }
    }

    #[test]
    fn while_frozen_only_break_glass_goes_and_no_further_than_it_is_good_for() {
        let limits = Limits::default();
        let frozen = Figures { frozen: true, ..person(0, 0, 1, true, 100) };
        assert_eq!(judge(&limits, &frozen), Verdict::Frozen);
        assert_eq!(judge(&limits, &Figures { by: By::Service, ..frozen }), Verdict::Frozen);
        assert_eq!(judge(&limits, &Figures { glass: Some(1), ..frozen }), Verdict::Glass);
        assert_eq!(judge(&limits, &Figures { glass: Some(0), ..frozen }), Verdict::GlassSpent);
        let many = person(5, 25, 40, true, 100);
        assert_eq!(judge(&limits, &Figures { glass: Some(40), ..many }), Verdict::Glass);
        assert_eq!(judge(&limits, &Figures { glass: Some(39), ..many }), Verdict::GlassSpent);
    }

    #[test]
    fn a_service_waits_for_the_next_hour_and_freezes_nobody() {
        let limits = Limits::default();
        let of = |mine, all| Figures { by: By::Service, ..person(mine, all, 1, true, 20) };
        assert_eq!(judge(&limits, &of(5, 100)), Verdict::Go { alone: false });
        assert_eq!(judge(&limits, &of(6, 0)), Verdict::Later);
    }

    #[test]
    fn what_is_sent_is_counted_again() {
        let limits = Limits::default();
        let one = Outgoing {
            admitted: true,
            glass: false,
            uncounted: false,
            again: false,
            frozen: false,
            fleet: 20,
            sent: 5,
        };
        for (of, sendable) in [
            (one, Sendable::Yes),
            (Outgoing { sent: 6, ..one }, Sendable::Freeze),
            (Outgoing { sent: 6, again: true, ..one }, Sendable::Yes),
            (Outgoing { sent: 6, uncounted: true, ..one }, Sendable::Yes),
            (Outgoing { frozen: true, ..one }, Sendable::Frozen),
            (Outgoing { frozen: true, uncounted: true, ..one }, Sendable::Frozen),
            (Outgoing { frozen: true, glass: true, ..one }, Sendable::Yes),
            (Outgoing { admitted: false, glass: true, ..one }, Sendable::Never),
        ] {
            assert_eq!(judge_send(&limits, &of), sendable, "{of:?}");
        }
    }

    #[test]
    fn every_limit_has_a_name_bounds_and_a_default_within_them() {
        let limits = Limits::default();
        for Bound { name, least, most, .. } in BOUNDS {
            let value = limits.get(name).unwrap();
            assert!((least..=most).contains(&value), "{name}");
            assert_eq!(limits.with(name, most).unwrap().get(name), Some(most));
            assert!(matches!(limits.with(name, most + 1), Err(BadLimit::OutOfBounds { .. })));
        }
        assert!(matches!(limits.with("more", 1), Err(BadLimit::Unknown(_))));
    }

    #[test]
    fn only_a_change_that_allows_nothing_more_tightens() {
        let limits = Limits::default();
        assert!(limits.is_tightened_by(&limits));
        for (name, value, tighter) in [
            ("per-person", 4, true),
            ("per-person", 6, false),
            ("per-hour", 24, true),
            ("fleet-percent", 2, false),
            ("at-least", 5, true),
            ("cooling-off-minutes", 29, false),
            ("cooling-off-minutes", 31, true),
            ("approval-hours", 25, false),
        ] {
            assert_eq!(limits.is_tightened_by(&limits.with(name, value).unwrap()), tighter, "{name} {value}");
        }
    }
}
