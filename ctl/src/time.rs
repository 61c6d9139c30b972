//! Times as people read them: to the second, in UTC.

use postern_api::Time;

/// This machine's time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place of this program that asks the machine's clock")]
pub fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(postern_wire::terms::UtcMillis(
        since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
    ))
}

/// `2026-11-21 21:05:00Z`.
#[must_use]
pub fn short(time: Time) -> String {
    let full = time.to_string();
    match full.split_once('T') {
        Some((date, clock)) => format!("{date} {}Z", clock.split('.').next().unwrap_or(clock)),
        None => full,
    }
}

/// `3 h 12 min`, from seconds; the two largest units.
#[must_use]
pub fn duration(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_second_in_utc() {
        assert_eq!(short("2026-11-21T23:05:00.5+02:00".parse().unwrap()), "2026-11-21 21:05:00Z");
    }

    #[test]
    fn a_duration_is_shown_in_its_two_largest_units() {
        for (seconds, shown) in [(5, "5 s"), (65, "1 min 5 s"), (3_660, "1 h 1 min"), (90_000, "1 d 1 h")] {
            assert_eq!(duration(seconds), shown);
        }
    }
}
