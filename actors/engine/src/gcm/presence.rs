//! When a gateway counts as lost, and what its clock says.

/// A gateway that is not connected for so long is lost, milliseconds: a restart is shorter.
pub const LOST_AFTER_MS: u64 = 10_000;
/// A clock that is off by more than this is told, milliseconds: certificates and expiry are judged by it.
pub const SKEW_MS: i64 = 60_000;

/// What is known of a gateway's connection, monotonic milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Since when it is away; `None` while it is connected.
    pub away_since_ms: Option<u64>,
    /// It was told that it is lost.
    pub lost: bool,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// It is lost.
    Lost,
    /// It is back.
    Back,
}

/// Looks at a gateway.
#[must_use]
pub fn look(before: Presence, connected: bool, now_ms: u64) -> (Presence, News) {
    if connected {
        let news = if before.lost { News::Back } else { News::None };
        return (Presence::default(), news);
    }
    let since = before.away_since_ms.unwrap_or(now_ms);
    let lost = before.lost || now_ms.saturating_sub(since) >= LOST_AFTER_MS;
    let news = if lost && !before.lost { News::Lost } else { News::None };
    (Presence { away_since_ms: Some(since), lost }, news)
}

/// A gateway's clock less the core's, and by how much that may be wrong: half of the way there and back. `heard` is the
/// gateway's clock in its report, `now` the core's when that came, `beat` what the core's last beat had said and `age` how
/// long before its report the gateway got it.
#[must_use]
pub fn skew(heard: i64, now: i64, beat: i64, age: u64) -> (i64, i64) {
    let age = i64::try_from(age).unwrap_or(i64::MAX);
    let round_trip = now.saturating_sub(beat).saturating_sub(age).max(0);
    (heard.saturating_sub(now.saturating_sub(round_trip / 2)), round_trip / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_lost_once_and_back_once() {
        let (away, news) = look(Presence::default(), false, 1_000);
        assert_eq!(news, News::None);
        let (still, news) = look(away, false, 1_000 + LOST_AFTER_MS - 1);
        assert_eq!(news, News::None);
        let (lost, news) = look(still, false, 1_000 + LOST_AFTER_MS);
        assert_eq!(news, News::Lost);
        assert_eq!(look(lost, false, 99_000).1, News::None);
        let (back, news) = look(lost, true, 99_001);
        assert_eq!((back, news), (Presence::default(), News::Back));
        assert_eq!(look(still, true, 2_000).1, News::None, "a short absence is not told");
    }

    #[test]
    fn the_way_there_and_back_is_taken_out_of_the_skew() {
        // The beat said 1,000; the gateway waited 300 ms; its report came at 1,500: 200 ms of way in all.
        assert_eq!(skew(1_400, 1_500, 1_000, 300), (0, 100));
        assert_eq!(skew(5_400, 1_500, 1_000, 300), (4_000, 100));
        assert_eq!(
            skew(1_500, 1_500, 1_500, 9_000),
            (0, 0),
            "a beat from the future says nothing of the way"
        );
    }
}
