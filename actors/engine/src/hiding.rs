//! Hiding is noticed: does one gateway keep devices from the core while it serves others?
//!
//! Promise: pure; figures in, a finding out. A captured gateway can drop what it likes, but not make the devices that it
//! drops look as if they had come (docs/THREATS.md). What gives it away is that devices whose last session was its own
//! fall silent more often than devices of the other gateways, or than its own used to: dead batteries and holidays
//! strike all gateways alike.
//!
//! The rule is a one-sided binomial test. Of a gateway's `n` devices that were to come within the window, `k` did not. The
//! rate that is held to be in order is the largest of: that of the other gateways together, that of this gateway in
//! the past, and [`FLOOR`]. An alarm is raised when `k` or more silent ones had a chance of at most [`CHANCE`] under that
//! rate; it is cleared when the chance is above [`CLEAR`]. So one gateway has a false alarm in ten thousand windows, and a
//! single dead device is never one ([`Rule::least`]).
//!
//! A gateway that the core did not reach for longer than a device's grace is *lost*, which is another alarm: its devices are
//! silent because nobody could hear them. It is excused for a window after it has come back; so is every gateway after the
//! core itself was away. When nobody comes through any gateway, it is the line outside, and no gateway is suspected.

use std::collections::BTreeMap;

use postern_wire::terms::UtcMillis;
use serde::{Deserialize, Serialize};

/// The rate of silent devices that is in order everywhere: two in a hundred.
pub const FLOOR: f64 = 0.02;
/// An alarm is raised when what is seen has at most this chance where nobody hides anything.
pub const CHANCE: f64 = 1e-4;
/// An alarm is cleared when what is seen has more than this chance.
pub const CLEAR: f64 = 1e-2;
/// The weight of the newest look in what is remembered of a gateway's rate.
const WEIGHT: f64 = 0.02;

/// When hiding is looked for, and how closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How far back is looked, milliseconds; 0: not at all.
    pub window_ms: i64,
    /// So many devices at least must be silent; one alone is never enough.
    pub least: u64,
    /// How long a device may be late, milliseconds: a gateway that was lost for less excuses nothing.
    pub grace_ms: i64,
}

/// What the rows say of one gateway's devices: those whose last session it carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Devices that came within the window.
    pub seen: u64,
    /// Devices that became overdue within the window and have not come since.
    pub silent: u64,
}

impl Figures {
    /// Devices that were to come.
    #[must_use]
    pub const fn expected(self) -> u64 {
        self.seen.saturating_add(self.silent)
    }

    const fn plus(self, other: Self) -> Self {
        Self { seen: self.seen.saturating_add(other.seen), silent: self.silent.saturating_add(other.silent) }
    }
}

/// One gateway at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Its figures.
    pub figures: Figures,
    /// Whether the core reaches it.
    pub reached: bool,
}

/// What became of a suspicion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    /// To be raised: more devices are silent than chance explains.
    Hiding(Suspicion),
    /// To be cleared.
    Honest,
}

/// Why an alarm is raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspicion {
    /// The gateway's devices that came and that did not.
    pub figures: Figures,
    /// The rate of silent devices that would be in order, 0 to 1.
    pub usual: f64,
    /// The chance of what is seen under that rate.
    pub chance: f64,
}

/// What is remembered between two looks; to be kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    looked: Option<UtcMillis>,
    gateways: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Known {
    /// Its rate in the past.
    past: Option<f64>,
    /// An alarm stands against it.
    raised: bool,
    lost_since: Option<UtcMillis>,
    excused_until: UtcMillis,
}

impl Watch {
    /// Looks at all gateways at `now`. Gives what has changed, by name. While the clock is in doubt (`steady` is false)
    /// nothing is found and nothing learned: nobody is overdue then.
    pub fn look(
        &mut self,
        now: UtcMillis,
        rule: Rule,
        gateways: &BTreeMap<String, Gateway>,
        steady: bool,
    ) -> Vec<(String, Finding)> {
        if rule.window_ms <= 0 || !steady {
            return Vec::new();
        }
        self.excuse(now, rule, gateways);
        self.gateways.retain(|name, _| gateways.contains_key(name));
        let judged: BTreeMap<&String, Figures> = gateways
            .iter()
            .filter(|(name, gateway)| {
                gateway.reached && self.gateways.get(*name).is_some_and(|known| known.excused_until <= now)
            })
            .map(|(name, gateway)| (name, gateway.figures))
            .collect();
        let all = judged.values().fold(Figures::default(), |sum, one| sum.plus(*one));
        let mut found = Vec::new();
        for (name, figures) in judged {
            let Some(known) = self.gateways.get_mut(name) else { continue };
            let others = Figures { seen: all.seen - figures.seen, silent: all.silent - figures.silent };
            let usual = known.usual(others);
            let chance = at_least(figures.silent, figures.expected(), usual);
            let many = figures.silent >= rule.least.max(2) && all.seen > 0;
            if !known.raised && many && chance <= CHANCE {
                known.raised = true;
                found.push((name.clone(), Finding::Hiding(Suspicion { figures, usual, chance })));
            } else if known.raised && chance > CLEAR {
                known.raised = false;
                found.push((name.clone(), Finding::Honest));
            }
            known.learn(figures, chance);
        }
        found
    }

    /// Keeps who was lost, and excuses who has come back.
    fn excuse(&mut self, now: UtcMillis, rule: Rule, gateways: &BTreeMap<String, Gateway>) {
        let away = self.looked.replace(now).is_some_and(|looked| now.since(looked) > rule.grace_ms);
        for (name, gateway) in gateways {
            let known = self.gateways.entry(name.clone()).or_default();
            let lost = match (gateway.reached, known.lost_since) {
                (true, Some(since)) => {
                    known.lost_since = None;
                    now.since(since) > rule.grace_ms
                }
                (true, None) => false,
                (false, since) => {
                    known.lost_since = since.or(Some(now));
                    false
                }
            };
            if away || lost {
                known.excused_until = now.plus(rule.window_ms);
            }
        }
    }
}

impl Known {
    /// The rate of silent devices that is in order for this gateway now.
    fn usual(&self, others: Figures) -> f64 {
        let others = ratio(others.silent, others.expected()).unwrap_or(0.0);
        FLOOR.max(others).max(self.past.unwrap_or(0.0))
    }

    /// What is suspicious is not learned as usual.
    fn learn(&mut self, figures: Figures, chance: f64) {
        if let Some(rate) = ratio(figures.silent, figures.expected()).filter(|_| chance > CLEAR) {
            let past = self.past.unwrap_or(rate);
            self.past = Some(past * (1.0 - WEIGHT) + rate * WEIGHT);
        }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

/// The chance that `k` or more of `n` are silent where each is with the chance `p`: the upper tail of the binomial
/// distribution. 1 wherever `k` is not above what is expected.
fn at_least(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 || float(k) <= float(n) * p || p >= 1.0 {
        return 1.0;
    }
    let (n, ratio) = (n.max(k), p / (1.0 - p));
    // The logarithm of the first term; the others follow from it by their quotients, each smaller than the one before.
    let choose: f64 = (1..=k).map(|i| (float(n - k + i) / float(i)).ln()).sum();
    let first = choose + float(k) * p.ln() + float(n - k) * (1.0 - p).ln();
    let (mut sum, mut term) = (1.0, 1.0);
    for i in k..n {
        term *= float(n - i) / float(i + 1) * ratio;
        sum += term;
        if term < sum * 1e-12 {
            break;
        }
    }
    (first.exp() * sum).min(1.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of devices, far below 2^52")]
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
