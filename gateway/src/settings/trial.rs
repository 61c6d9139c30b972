//! When settings on trial have passed, and when they have not.

/// What becomes of settings on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is too early to say.
    Wait,
    /// The core was heard of all along.
    Pass,
    /// The core was not heard of for the whole trial time.
    FallBack,
}

/// Judges. `since_ms` is when the trial began, `heard_ms` when the core was last heard of, `limit_ms` how long a trial
/// lasts; all of one monotonic clock.
pub(super) fn judge(since_ms: u64, heard_ms: Option<u64>, now_ms: u64, limit_ms: u64) -> Verdict {
    let heard = heard_ms.unwrap_or(since_ms).max(since_ms);
    if now_ms.saturating_sub(heard) >= limit_ms {
        Verdict::FallBack
    } else if heard.saturating_sub(since_ms) >= limit_ms {
        Verdict::Pass
    } else {
        Verdict::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict::*, judge};

    #[test]
    fn a_trial_passes_by_hearing_of_the_core_after_its_time_and_falls_by_its_silence() {
        // (heard, now) → verdict, for a trial of 100 that began at 1,000.
        let cases = [
            (None, 1_050, Wait),
            (None, 1_100, FallBack),
            (Some(900), 1_099, Wait),
            (Some(900), 1_100, FallBack),
            (Some(1_090), 1_150, Wait),
            (Some(1_090), 1_190, FallBack),
            (Some(1_100), 1_101, Pass),
            (Some(1_160), 1_200, Pass),
        ];
        for (heard, now, verdict) in cases {
            assert_eq!(judge(1_000, heard, now, 100), verdict, "{heard:?} {now}");
        }
    }
}
