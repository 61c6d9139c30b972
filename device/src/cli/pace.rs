//! When `postern-device run` opens its next session.

use std::time::Duration;

use postern_wire::terms::UtcMillis;

use crate::{device::DeviceError, edge};

/// The first wait after a failed session; doubled up to the regular one.
const FIRST_WAIT_MS: i64 = 5_000;
/// What a server asks for with Retry-After counts up to a day.
const RETRY_AFTER_S: u64 = 86_400;
/// Sessions opened at once in a row because there is something to tell; a server that does not answer it waits.
const FOLLOWING: u32 = 3;
/// Between two looks at the clock, which may be set while we sleep.
const LOOK: Duration = Duration::from_secs(60);

/// What the next moment depends on beside the schedule.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
    following: u32,
}

impl Pace {
    /// The moment of the next session, after one that ended at `now`. `regular` is when it would be due; `untold` that something
    /// ended in it or after it that the server does not know; `random` makes a fleet's retries fall apart.
    pub(super) fn next(
        &mut self,
        now: UtcMillis,
        regular: UtcMillis,
        error: Option<&DeviceError>,
        untold: bool,
        random: u8,
    ) -> UtcMillis {
        let Some(error) = error else {
            self.failures = 0;
            self.following = if untold { self.following + 1 } else { 0 };
            return if (1..=FOLLOWING).contains(&self.following) { now } else { regular };
        };
        let doubled = FIRST_WAIT_MS << self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        let backoff = doubled.min(regular.since(now).max(FIRST_WAIT_MS));
        // three to five quarters of it
        let backoff = backoff * 3 / 4 + backoff * i64::from(random) / 512;
        let asked = error.retry_after().unwrap_or_default().min(RETRY_AFTER_S).saturating_mul(1_000);
        now.plus(backoff.max(i64::try_from(asked).unwrap_or_default()))
    }
}

/// Sleeps until then; `false` when the program is to end. A clock that is set back does not make it longer.
pub(super) async fn sleep_until(mut moment: UtcMillis) -> bool {
    let longest = moment.since(edge::now());
    loop {
        let now = edge::now();
        let left = moment.since(now);
        if left <= 0 {
            return true;
        }
        if left > longest {
            moment = now.plus(longest);
            continue;
        }
        let slice = Duration::from_millis(u64::try_from(left).unwrap_or_default()).min(LOOK);
        tokio::select! {
            () = tokio::time::sleep(slice) => {}
            _ = tokio::signal::ctrl_c() => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_000_000);
    const HOUR: UtcMillis = UtcMillis(1_000_000 + 3_600_000);

    fn busy(retry_after: Option<u64>) -> DeviceError {
        DeviceError::Http { status: 503, slug: None, retry_after }
    }

    #[test]
    fn after_a_good_session_the_schedule_counts() {
        assert_eq!(Pace::default().next(NOW, HOUR, None, false, 0), HOUR);
    }

    #[test]
    fn what_ended_is_told_at_once_but_not_for_ever() {
        let mut pace = Pace::default();
        let told: Vec<_> = (0..5).map(|_| pace.next(NOW, HOUR, None, true, 0)).collect();
        assert_eq!(told, [NOW, NOW, NOW, HOUR, HOUR]);
        assert_eq!(pace.next(NOW, HOUR, None, false, 0), HOUR);
        assert_eq!(pace.next(NOW, HOUR, None, true, 0), NOW, "the next thing is told at once again");
    }

    #[test]
    fn after_failures_it_comes_sooner_and_doubles_up_to_the_schedule() {
        let mut pace = Pace::default();
        let waits: Vec<_> =
            (0..12).map(|_| pace.next(NOW, HOUR, Some(&busy(None)), false, 128).since(NOW)).collect();
        assert_eq!(waits[..4], [5_000, 10_000, 20_000, 40_000]);
        assert_eq!(waits[11], 3_600_000);
        pace.next(NOW, HOUR, None, false, 0);
        assert_eq!(pace.next(NOW, HOUR, Some(&busy(None)), false, 0).since(NOW), 3_750);
    }

    #[test]
    fn never_before_the_server_wants_to_be_asked_within_a_day() {
        for (asked, waited) in [(Some(60), 60_000), (Some(u64::MAX), 86_400_000), (Some(0), 3_750)] {
            let next = Pace::default().next(NOW, HOUR, Some(&busy(asked)), false, 0);
            assert_eq!(next.since(NOW), waited, "{asked:?}");
        }
    }
}
