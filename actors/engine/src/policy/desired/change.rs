//! Changes of what is desired of many devices: what a wide one may take away, another person has to agree to.
//!
//! An emptied OU, a link that was lost, or a directory account in other hands must not strip a fleet. What only comes on top is not
//! counted: it takes nothing away.

use super::Desired;

/// What the way from one desired state to the next does to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Nodes that get another value.
    pub altered: usize,
    /// Nodes that nobody wants any longer.
    pub removed: usize,
    /// Nodes that come on top.
    pub added: usize,
}

impl Change {
    /// Between two desired states.
    #[must_use]
    pub fn between(before: &Desired, after: &Desired) -> Self {
        let mut change = Self::default();
        for old in before.settings.iter().filter(|setting| setting.withheld.is_none()) {
            match after.get(&old.uri).filter(|setting| setting.withheld.is_none()) {
                None => change.removed += 1,
                Some(new) if (&new.data, &new.format) != (&old.data, &old.format) => change.altered += 1,
                Some(_) => {}
            }
        }
        let news = after.settings.iter().filter(|setting| setting.withheld.is_none());
        change.added = news.filter(|setting| before.get(&setting.uri).is_none()).count();
        change
    }

    /// Whether it takes something away that stood.
    #[must_use]
    pub const fn takes(&self) -> bool {
        self.altered + self.removed > 0
    }
}

/// Devices that a change may always concern. Below it a share says nothing: of ten devices a group of three is already more
/// than 20 %, and whoever can change a policy can change so few devices one by one. It is what one person may wipe in an hour
/// without a second one, twice over.
pub const FLOOR: usize = 10;

/// Whether a change that takes something from `taken` of `managed` devices waits for somebody else. `share` is in percent;
/// 100 never holds one.
#[must_use]
pub const fn is_held(taken: usize, managed: usize, share: u32) -> bool {
    taken > FLOOR && share < 100 && taken.saturating_mul(100) > managed.saturating_mul(share as usize)
}
