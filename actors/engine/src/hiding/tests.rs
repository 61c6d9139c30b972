//! The rule against a simulated fleet: real outages are no hiding, hiding is found, and false alarms are few.

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const RULE: Rule = Rule { window_ms: DAY, least: 3, grace_ms: HOUR };
/// Devices come every eight hours, give or take.
const INTERVAL: i64 = 8 * HOUR;

/// A generator of its own (xorshift64*): a simulation must run the same way every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, most: i64) -> i64 {
        (self.next() % most as u64) as i64
    }

    fn chance(&mut self, of_a_million: i64) -> bool {
        self.below(1_000_000) < of_a_million
    }
}

struct Device {
    home: usize,
    last: i64,
    next: i64,
    /// Switched off until then.
    off_until: i64,
}

/// Which devices a gateway hides.
type Hidden = fn(usize) -> bool;

/// Gateways and devices, minute by minute.
struct Fleet {
    dice: Dice,
    devices: Vec<Device>,
    gateways: usize,
    now: i64,
    watch: Watch,
    /// Gateways that the core does not reach.
    lost: Vec<usize>,
    /// A gateway that drops what these devices say.
    hides: Option<(usize, Hidden)>,
    /// Nobody reaches any gateway from outside.
    line_cut: bool,
    raised: Vec<(i64, String)>,
    cleared: Vec<(i64, String)>,
}

impl Fleet {
    fn new(seed: u64, gateways: usize, devices: usize) -> Self {
        let mut dice = Dice(seed | 1);
        let devices = (0..devices)
            .map(|n| Device { home: n % gateways, last: 0, next: dice.below(INTERVAL), off_until: 0 })
            .collect();
        Self {
            dice,
            devices,
            gateways,
            now: 0,
            watch: Watch::default(),
            lost: Vec::new(),
            hides: None,
            line_cut: false,
            raised: Vec::new(),
            cleared: Vec::new(),
        }
    }

    /// Lets so many hours pass, looking every ten minutes.
    fn run(&mut self, hours: i64) -> &mut Self {
        let end = self.now + hours * HOUR;
        while self.now < end {
            self.now += 10 * MINUTE;
            self.come();
            self.look();
        }
        self
    }

    fn come(&mut self) {
        for (number, device) in self.devices.iter_mut().enumerate() {
            if device.next > self.now {
                continue;
            }
            // One of a few hundred is switched off for some days, as people do.
            if device.off_until < self.now && self.dice.chance(3_000) {
                device.off_until = self.now + DAY + self.dice.below(5 * DAY);
            }
            let hidden = self.hides.is_some_and(|(gateway, whom)| gateway == device.home && whom(number));
            let cut = self.line_cut || self.lost.contains(&device.home);
            device.next = self.now + INTERVAL + self.dice.below(INTERVAL / 10);
            if device.off_until >= self.now || hidden || cut {
                continue;
            }
            device.last = self.now;
        }
    }

    fn look(&mut self) {
        let mut figures = vec![Figures::default(); self.gateways];
        for device in &self.devices {
            let overdue = device.last + INTERVAL + INTERVAL / 10 + HOUR;
            let of = &mut figures[device.home];
            if device.last > self.now - DAY && self.now <= overdue {
                of.seen += 1;
            } else if overdue < self.now && overdue > self.now - DAY {
                of.silent += 1;
            }
        }
        let gateways = figures
            .into_iter()
            .enumerate()
            .map(|(n, figures)| (format!("g{n}"), Gateway { figures, reached: !self.lost.contains(&n) }))
            .collect();
        for (name, finding) in self.watch.look(UtcMillis(self.now), RULE, &gateways, true) {
            match finding {
                Finding::Hiding(_) => self.raised.push((self.now, name)),
                Finding::Honest => self.cleared.push((self.now, name)),
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.raised.iter().map(|(_, name)| name.as_str()).collect()
    }
}

#[test]
fn an_honest_fleet_raises_next_to_no_alarm_in_twenty_gateway_years() {
    let mut alarms = 0;
    for seed in 0..25 {
        alarms += Fleet::new(0xA5A5 + seed * 7919, 4, 120).run(24 * 73).raised.len();
    }
    // 25 fleets of 4 gateways for 73 days: 20 gateway-years. One in ten thousand windows would be 0.7.
    assert!(alarms <= 2, "{alarms} false alarms");
}

#[test]
fn a_few_devices_of_one_gateway_that_fall_silent_while_their_fellows_serve_are_an_alarm() {
    let mut fleet = Fleet::new(7, 3, 300);
    fleet.run(24 * 7);
    assert!(fleet.raised.is_empty(), "{:?}", fleet.raised);

    // Gateway 1 hides 12 of its 100 devices.
    fleet.hides = Some((1, |number| number < 36));
    let began = fleet.now;
    fleet.run(24);

    assert_eq!(fleet.names(), ["g1"]);
    assert!(fleet.raised[0].0 - began < 18 * HOUR, "noticed within interval, jitter, grace and half a day");

    fleet.hides = None;
    fleet.run(48);
    assert_eq!(fleet.cleared.len(), 1, "and cleared when they come again");
}

#[test]
fn a_gateway_that_drops_everything_while_others_serve_is_an_alarm() {
    let mut fleet = Fleet::new(11, 2, 60);
    fleet.run(24 * 3);
    fleet.hides = Some((0, |_| true));
    assert_eq!(fleet.run(24).names(), ["g0"]);
}

#[test]
fn the_only_gateway_that_hides_is_found_by_its_own_past() {
    let mut fleet = Fleet::new(13, 1, 200);
    fleet.run(24 * 14);
    assert!(fleet.raised.is_empty(), "{:?}", fleet.raised);
    fleet.hides = Some((0, |number| number % 8 == 0));
    assert_eq!(fleet.run(30).names(), ["g0"]);
}

#[test]
fn a_gateway_that_is_down_is_lost_and_hides_nothing_not_even_when_it_is_back() {
    let mut fleet = Fleet::new(17, 3, 300);
    fleet.run(24 * 3);
    fleet.lost = vec![2];
    fleet.run(20);
    fleet.lost.clear();
    fleet.run(24 * 3);
    assert!(fleet.raised.is_empty(), "{:?}", fleet.raised);
}

#[test]
fn a_core_that_was_away_suspects_nobody() {
    let mut fleet = Fleet::new(19, 2, 200);
    fleet.run(24 * 3);
    // Nobody looks and nobody is heard for a day; then all come again.
    fleet.line_cut = true;
    let end = fleet.now + DAY;
    while fleet.now < end {
        fleet.now += 10 * MINUTE;
        fleet.come();
    }
    fleet.line_cut = false;
    fleet.run(24 * 3);
    assert!(fleet.raised.is_empty(), "{:?}", fleet.raised);
}

#[test]
fn a_line_that_is_cut_for_all_suspects_no_gateway() {
    let mut fleet = Fleet::new(23, 3, 300);
    fleet.run(24 * 3);
    fleet.line_cut = true;
    fleet.run(30);
    fleet.line_cut = false;
    fleet.run(48);
    assert!(fleet.raised.is_empty(), "{:?}", fleet.raised);
}

#[test]
fn a_single_dead_device_is_overdue_and_no_alarm() {
    let mut fleet = Fleet::new(29, 2, 10);
    fleet.run(24 * 2);
    fleet.devices[3].off_until = i64::MAX;
    fleet.run(24 * 10);
    assert!(fleet.raised.is_empty(), "{:?}", fleet.raised);
}

#[test]
fn a_clock_in_doubt_and_a_window_of_none_find_nothing() {
    let silent = Gateway { figures: Figures { seen: 50, silent: 50 }, reached: true };
    let fine = Gateway { figures: Figures { seen: 100, silent: 0 }, reached: true };
    let gateways = BTreeMap::from([("a".to_owned(), silent), ("b".to_owned(), fine)]);
    let mut watch = Watch::default();
    assert!(watch.look(UtcMillis(DAY), RULE, &gateways, false).is_empty());
    assert!(watch.look(UtcMillis(DAY), Rule { window_ms: 0, ..RULE }, &gateways, true).is_empty());
    assert_eq!(watch.look(UtcMillis(DAY), RULE, &gateways, true).len(), 1);
    assert!(watch.look(UtcMillis(DAY), RULE, &gateways, true).is_empty(), "raised once");
}

#[test]
fn the_tail_of_the_binomial_distribution_is_as_tables_have_it() {
    for (k, n, p, expected) in [
        (0, 10, 0.5, 1.0),
        (3, 10, 0.02, 8.6e-4),
        (5, 20, 0.02, 3.86e-5),
        (10, 10, 0.5, 9.765_625e-4),
        (30, 100, 0.2, 1.124_898e-2),
    ] {
        let found = at_least(k, n, p);
        assert!((found - expected).abs() <= expected * 0.02, "{k} of {n} at {p}: {found}, not {expected}");
    }
    assert!(at_least(3_000, 100_000, 0.02) < 1e-9);
    assert!((at_least(1_900, 100_000, 0.02) - 1.0).abs() < f64::EPSILON, "not above what is expected");
}
