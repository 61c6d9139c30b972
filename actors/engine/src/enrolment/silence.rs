//! Silence: a device that does not come is quiet, then stale, and in the end loses its enrolment, if it is so set.
//!
//! Promise: nobody loses an enrolment without having been stale, shown as that, for the whole time of the warning; so
//! neither switching it on nor a core that was off for a year takes a fleet away. A pending wipe holds it for
//! ever, a clock in doubt for as long as the doubt lasts. One message brings a device back.

use postern_wire::terms::UtcMillis;

/// What is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether silent devices lose their enrolment (`EnableDisenroll`).
    pub enabled: bool,
    /// After how long (`DisenrollInterval`), in milliseconds.
    pub interval_ms: i64,
    /// How long before that a device is stale (`DisenrollWarning`), in milliseconds.
    pub warning_ms: i64,
}

impl Rules {
    /// From when on a silent device is stale, in milliseconds of silence.
    #[must_use]
    pub const fn stale_ms(self) -> i64 {
        let left = self.interval_ms.saturating_sub(self.warning_ms);
        if left > 0 { left } else { 0 }
    }
}

/// Where a device stands with its silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It comes.
    Managed,
    /// It is overdue.
    Quiet,
    /// It is about to lose its enrolment.
    Stale,
}

impl Standing {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Quiet => "quiet",
            Self::Stale => "stale",
        }
    }

    /// The word read back; an unknown one counts as managed, the mildest.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        [Self::Quiet, Self::Stale].into_iter().find(|one| one.as_str() == text).unwrap_or(Self::Managed)
    }
}

/// What the rules see of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Where it stood when it was last looked at.
    pub standing: Standing,
    /// Since when.
    pub since: UtcMillis,
    /// When it was last seen, or enrolled where it never was.
    pub seen: UtcMillis,
    /// Whether it is overdue by its schedule.
    pub overdue: bool,
    /// Whether a wipe is pending for it.
    pub wipe_pending: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// It stands elsewhere now.
    Become(Standing),
    /// It loses its enrolment.
    Unenrol,
    /// It would, but a wipe is pending: it has to reach that.
    Held,
}

/// Looks at a device.
#[must_use]
pub fn look(device: Silent, rules: Rules, now: UtcMillis, steady: bool) -> Step {
    use Standing::{Managed, Quiet, Stale};
    let silent_ms = now.since(device.seen);
    let goes = rules.enabled && silent_ms >= rules.interval_ms;
    let warned = now.since(device.since) >= rules.warning_ms.min(rules.interval_ms);
    let warn = rules.enabled && device.overdue && silent_ms >= rules.stale_ms();
    match device.standing {
        Quiet | Stale if !device.overdue && device.seen > device.since => Step::Become(Managed),
        _ if !steady => Step::Keep,
        Quiet | Stale if !device.overdue => Step::Become(Managed),
        Managed | Quiet if warn => Step::Become(Stale),
        Managed if device.overdue => Step::Become(Quiet),
        Stale if !warn => Step::Become(Quiet),
        Stale if goes && warned && device.wipe_pending => Step::Held,
        Stale if goes && warned => Step::Unenrol,
        Managed | Quiet | Stale => Step::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Managed, Quiet, Stale};

    const DAY: i64 = 86_400_000;
    const RULES: Rules = Rules { enabled: true, interval_ms: 100 * DAY, warning_ms: 30 * DAY };
    const OFF: Rules = Rules { enabled: false, ..RULES };

    fn day(day: i64) -> UtcMillis {
        UtcMillis(day * DAY)
    }

    fn device(standing: Standing, since: i64, seen: i64, overdue: bool) -> Silent {
        Silent { standing, since: day(since), seen: day(seen), overdue, wipe_pending: false }
    }

    #[test]
    fn a_silent_device_is_quiet_then_stale_then_un_enrolled() {
        for (name, device, now, expected) in [
            ("it comes", device(Managed, 0, 0, false), 1, Step::Keep),
            ("overdue", device(Managed, 0, 0, true), 2, Step::Become(Quiet)),
            ("quiet", device(Quiet, 2, 0, true), 69, Step::Keep),
            ("the warning begins", device(Quiet, 2, 0, true), 70, Step::Become(Stale)),
            ("stale", device(Stale, 70, 0, true), 99, Step::Keep),
            ("the interval has passed", device(Stale, 70, 0, true), 100, Step::Unenrol),
            ("warned too late", device(Stale, 90, 0, true), 119, Step::Keep),
            ("warned for long enough", device(Stale, 90, 0, true), 120, Step::Unenrol),
            ("switched on late: warned first", device(Quiet, 2, 0, true), 4_000, Step::Become(Stale)),
            ("never looked at for years", device(Managed, 0, 0, true), 4_000, Step::Become(Stale)),
            ("it came back", device(Stale, 70, 75, false), 76, Step::Become(Managed)),
            ("it came back when quiet", device(Quiet, 2, 3, false), 3, Step::Become(Managed)),
            ("its interval became longer", device(Quiet, 2, 0, false), 3, Step::Become(Managed)),
        ] {
            assert_eq!(look(device, RULES, day(now), true), expected, "{name}");
        }
    }

    #[test]
    fn switched_off_nobody_is_stale_or_loses_anything() {
        assert_eq!(look(device(Quiet, 2, 0, true), OFF, day(4_000), true), Step::Keep);
        assert_eq!(look(device(Stale, 70, 0, true), OFF, day(4_000), true), Step::Become(Quiet));
        assert_eq!(look(device(Managed, 0, 0, true), OFF, day(4_000), true), Step::Become(Quiet));
    }

    #[test]
    fn a_clock_in_doubt_takes_nothing_and_still_sees_who_comes_back() {
        for standing in [Managed, Quiet, Stale] {
            assert_eq!(look(device(standing, 2, 0, true), RULES, day(4_000), false), Step::Keep);
        }
        assert_eq!(look(device(Stale, 70, 75, false), RULES, day(76), false), Step::Become(Managed));
    }

    #[test]
    fn a_pending_wipe_holds_the_enrolment() {
        let wiped = Silent { wipe_pending: true, ..device(Stale, 70, 0, true) };
        assert_eq!(look(wiped, RULES, day(4_000), true), Step::Held);
    }

    #[test]
    fn a_warning_longer_than_the_interval_is_the_interval() {
        let rules = Rules { interval_ms: 10 * DAY, ..RULES };
        assert_eq!(rules.stale_ms(), 0);
        assert_eq!(look(device(Quiet, 1, 0, true), rules, day(2), true), Step::Become(Stale));
        assert_eq!(look(device(Stale, 2, 0, true), rules, day(11), true), Step::Keep);
        assert_eq!(look(device(Stale, 2, 0, true), rules, day(12), true), Step::Unenrol);
    }

    #[test]
    fn every_standing_is_read_back_from_its_word() {
        for standing in [Managed, Quiet, Stale] {
            assert_eq!(Standing::parse(standing.as_str()), standing);
        }
        assert_eq!(Standing::parse("something"), Managed);
    }
}
