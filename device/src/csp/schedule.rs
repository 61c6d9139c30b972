//! ./Vendor/Postern/Schedule: when this device opens its next session. An object of our own.
//!
//! Promise: Interval and Jitter are seconds that a server sets within bounds; the next session comes Interval after the last,
//! and up to Jitter (no more than an Interval) later. The moment is kept, so that a restart neither skips nor repeats it; a
//! clock that jumped back delays it by one Interval and its Jitter at most.

use postern_wire::terms::{UtcMillis, Verb};
use serde::{Deserialize, Serialize};

use super::{Change, Ground, Provider, path};
use crate::{
    codes::Code,
    state::State,
    tree::{
        node::{Format, Node},
        path::Path,
    },
};

const NAME: &str = "schedule";
/// Until a server says otherwise: 8 hours.
const INTERVAL_S: i64 = 8 * 3_600;
/// From 1 minute to 1 year.
const INTERVALS_S: std::ops::RangeInclusive<i64> = 60..=31_536_000;

/// The provider, and the schedule itself.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Until a server says otherwise, in seconds.
    interval_s: i64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { interval_s: INTERVAL_S }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    #[serde(default)]
    next: Option<UtcMillis>,
}

impl Schedule {
    /// Seconds between sessions.
    #[must_use]
    pub fn interval_s(state: &State) -> i64 {
        number(state, "Interval").unwrap_or(INTERVAL_S)
    }

    /// Plans the next session after one at `now`, and gives its moment. `random` says how much of the jitter.
    pub fn plan(state: &mut State, now: UtcMillis, random: u32) -> UtcMillis {
        let jitter_ms = Self::jitter_ms(state);
        let later = i128::from(jitter_ms) * i128::from(random) / i128::from(u32::MAX);
        let later = i64::try_from(later).unwrap_or(jitter_ms);
        let next = now.plus(Self::interval_s(state).saturating_mul(1_000)).plus(later);
        state.remember(NAME, &Memory { next: Some(next) });
        next
    }

    /// When the next session is due: at once when none was planned.
    #[must_use]
    pub fn due(state: &State, now: UtcMillis) -> UtcMillis {
        let longest = now.plus(Self::interval_s(state).saturating_mul(1_000)).plus(Self::jitter_ms(state));
        state.memory::<Memory>(NAME).next.map_or(now, |next| next.min(longest))
    }

    fn jitter_ms(state: &State) -> i64 {
        let jitter_s = number(state, "Jitter").unwrap_or_default();
        jitter_s.min(Self::interval_s(state)).saturating_mul(1_000)
    }
}

fn root() -> Path {
    path(&["Vendor", "Postern", "Schedule"])
}

fn number(state: &State, leaf: &str) -> Option<i64> {
    state.tree.get(&root().child(leaf))?.text()?.parse().ok()
}

impl Provider for Schedule {
    fn root(&self) -> Path {
        root()
    }

    fn plant(&self, ground: &mut Ground<'_>) -> Result<(), Code> {
        let root = self.root();
        ground.interior(&root, Some("urn:postern:mo:schedule:1.0"))?;
        for (leaf, value) in [("Interval", self.interval_s), ("Jitter", 0)] {
            let node = Node::leaf(Format::Int, value.to_string()).permanent(&[Verb::Get, Verb::Replace]);
            ground.tree.insert(&root.child(leaf), node)?;
        }
        ground.fact(&root.child("Next"), "")
    }

    fn changed(&self, state: &mut State, change: &Change<'_>) -> Result<(), Code> {
        let leaf = change.path.name().unwrap_or_default();
        let value = number(state, leaf).ok_or(Code::BAD_FORMAT)?;
        let good = match leaf {
            "Interval" => INTERVALS_S.contains(&value),
            _ => (0..=*INTERVALS_S.end()).contains(&value),
        };
        if good { Ok(()) } else { Err(Code::RANGE) }
    }

    fn refresh(&self, state: &mut State, _scope: &Path, _now: UtcMillis) -> Result<(), Code> {
        let next = state.memory::<Memory>(NAME).next.map(|next| next.to_string()).unwrap_or_default();
        state.tree.update(&self.root().child("Next"), |node| node.value = next.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Hardware, Providers, bench::Bench},
        *,
    };
    use crate::state::Storage;

    const INTERVAL: &str = "./Vendor/Postern/Schedule/Interval";
    const JITTER: &str = "./Vendor/Postern/Schedule/Jitter";
    const NEXT: &str = "./Vendor/Postern/Schedule/Next";

    #[test]
    fn a_server_sets_interval_and_jitter_within_their_bounds() {
        let mut bench = Bench::new(Providers::default());
        assert_eq!(bench.read(INTERVAL), Ok("28800".into()));
        for (uri, value, code) in [
            (INTERVAL, "60", Ok(())),
            (INTERVAL, "31536000", Ok(())),
            (INTERVAL, "59", Err(Code::RANGE)),
            (INTERVAL, "31536001", Err(Code::RANGE)),
            (INTERVAL, "-60", Err(Code::RANGE)),
            (INTERVAL, "8h", Err(Code::BAD_FORMAT)),
            (INTERVAL, "99999999999", Err(Code::BAD_FORMAT)),
            (JITTER, "0", Ok(())),
            (JITTER, "31536001", Err(Code::RANGE)),
            (JITTER, "-1", Err(Code::RANGE)),
            (NEXT, "1", Err(Code::NOT_ALLOWED)),
        ] {
            let before = bench.read(uri);
            assert_eq!(bench.replace(uri, value), code, "{uri} {value}");
            let after = if code.is_ok() { Ok(value.to_owned()) } else { before };
            assert_eq!(bench.read(uri), after, "{uri} {value}");
        }
        assert_eq!(bench.by("other").replace(INTERVAL, "60"), Err(Code::DENIED));
    }

    #[test]
    fn the_next_session_comes_an_interval_and_a_part_of_the_jitter_later() {
        let mut bench = Bench::new(Providers::default());
        bench.replace(INTERVAL, "600").unwrap();
        for (jitter, random, seconds) in [
            ("0", u32::MAX, 600),
            ("100", 0, 600),
            ("100", u32::MAX / 2 + 1, 650),
            ("100", u32::MAX, 700),
            ("3600", u32::MAX, 1_200), // no more than an interval
        ] {
            bench.replace(JITTER, jitter).unwrap();
            let next = Schedule::plan(&mut bench.state, UtcMillis(5_000), random);
            assert_eq!(next, UtcMillis(5_000 + seconds * 1_000), "{jitter} {random}");
        }
    }

    #[test]
    fn a_restart_neither_skips_nor_repeats_the_next_session() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::folder(folder.path()).unwrap();
        let mut bench = Bench::new(Providers::default());
        assert_eq!(Schedule::due(&bench.state, UtcMillis(7)), UtcMillis(7), "none was planned");
        bench.replace(INTERVAL, "60").unwrap();
        Schedule::plan(&mut bench.state, UtcMillis(0), 0);
        storage.save(&bench.state).unwrap();
        bench.state = storage.load(bench.csp.plant(&bench.account, &Hardware::default()).unwrap()).unwrap();
        assert_eq!(Schedule::due(&bench.state, UtcMillis(1_000)), UtcMillis(60_000));
        assert_eq!(bench.read(NEXT), Ok("1970-01-01T00:01:00.000Z".into()));
        assert_eq!(bench.read(INTERVAL), Ok("60".into()));
    }

    #[test]
    fn a_clock_that_jumped_back_delays_by_one_interval_at_most() {
        let mut bench = Bench::new(Providers::default());
        bench.replace(INTERVAL, "60").unwrap();
        Schedule::plan(&mut bench.state, UtcMillis(1_000_000_000), 0);
        assert_eq!(Schedule::due(&bench.state, UtcMillis(0)), UtcMillis(60_000));
    }
}
