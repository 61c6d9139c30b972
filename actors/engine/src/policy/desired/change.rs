//! Changes of what is desired of many devices: what a wide one may take away, another person has to agree to.
//!
//! An emptied OU, a link that was lost, or a directory account in other hands must not strip a fleet. What only comes on top is not
//! counted: it takes nothing away. Two kinds of it do: that a node is not to be there, which deletes what the device has, and the
//! first value of a node by which the device finds its way back to us ([`lifeline`](super::lifeline)).

use super::{Desired, DesiredSetting, lifeline::is_lifeline};

/// What the way from one desired state to the next does to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Nodes that get another value.
    pub altered: usize,
    /// Nodes that nobody wants any longer.
    pub removed: usize,
    /// Nodes that come on top and may take something all the same: they are not to be there, or lead back to us.
    pub grave: usize,
    /// Other nodes that come on top.
    pub added: usize,
}

/// What becomes of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nobody wants it any longer.
    Removed,
    /// It comes on top and may take something all the same.
    Grave,
    /// It gets another value.
    Altered,
    /// It comes on top.
    Added,
}

impl Kind {
    /// A stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Grave => "grave",
            Self::Altered => "altered",
            Self::Added => "added",
        }
    }
}

/// One node that is another.
#[derive(Clone, Copy, Debug)]
pub struct Moved<'d> {
    /// What becomes of it.
    pub kind: Kind,
    /// What is desired of it before; none where nothing is.
    pub before: Option<&'d DesiredSetting>,
    /// And after.
    pub after: Option<&'d DesiredSetting>,
}

/// The nodes that are others, by address.
#[must_use]
pub fn moved<'d>(before: &'d Desired, after: &'d Desired) -> Vec<Moved<'d>> {
    let sent = |setting: &&DesiredSetting| setting.withheld.is_none();
    let mut all = Vec::new();
    for old in before.settings.iter().filter(sent) {
        match after.get(&old.uri).filter(sent) {
            None => all.push(Moved { kind: Kind::Removed, before: Some(old), after: None }),
            Some(new) if (&new.data, &new.format) != (&old.data, &old.format) => {
                all.push(Moved { kind: Kind::Altered, before: Some(old), after: Some(new) });
            }
            Some(_) => {}
        }
    }
    // One that was withheld was never sent: it is as new as one that was not there.
    for new in after.settings.iter().filter(sent).filter(|new| before.get(&new.uri).filter(sent).is_none()) {
        let is_grave = new.data.is_none() || is_lifeline(&new.uri);
        let kind = if is_grave { Kind::Grave } else { Kind::Added };
        all.push(Moved { kind, before: None, after: Some(new) });
    }
    all.sort_by(|one, other| one.uri().cmp(other.uri()));
    all
}

impl<'d> Moved<'d> {
    /// The node's address.
    #[must_use]
    pub fn uri(&self) -> &'d str {
        self.after.or(self.before).map_or("", |setting| setting.uri.as_str())
    }
}

impl Change {
    /// Between two desired states.
    #[must_use]
    pub fn between(before: &Desired, after: &Desired) -> Self {
        let mut change = Self::default();
        for one in moved(before, after) {
            match one.kind {
                Kind::Removed => change.removed += 1,
                Kind::Grave => change.grave += 1,
                Kind::Altered => change.altered += 1,
                Kind::Added => change.added += 1,
            }
        }
        change
    }

    /// Nodes that it takes away, changes or may take away.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.altered + self.removed + self.grave
    }

    /// Whether it takes something away that stood.
    #[must_use]
    pub const fn takes(&self) -> bool {
        self.taken() > 0
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
