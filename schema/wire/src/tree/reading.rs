//! What to ask a device next, to know a part of its tree.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Snapshot, Told, snapshot::Mask};
use crate::uri::TreeUri;

/// Commands that one reading may take.
pub const ASKS: u32 = 2_000;

/// How much of the tree is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// So many levels: 1 is the node with the names of what is below it.
    Levels(u32),
    /// Everything below the node.
    Whole,
}

/// A way of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Get of `?list=TNDS`.
    Tnds,
    /// Get of `?list=StructData`.
    StructData,
    /// Get of the node.
    Get,
}

/// One question: a Get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The node.
    pub at: TreeUri,
    /// How it is asked about.
    pub way: Way,
    /// Levels that are wanted; `None` is all.
    pub levels: Option<u32>,
}

impl Ask {
    /// The Target of the Get.
    #[must_use]
    pub fn target(&self) -> String {
        match self.way {
            Way::Tnds => format!("{}?list=TNDS", self.at.path()),
            Way::StructData => format!("{}?list=StructData", self.at.path()),
            Way::Get => self.at.path().to_owned(),
        }
    }
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The device told, with a good status.
    Told(Vec<Told>),
    /// The device refused with this status.
    Refused(u32),
    /// It was never answered: cancelled, expired or in doubt.
    Lost,
}

/// A part of a tree that is being read. It can be put away between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What is known so far.
    pub snapshot: Snapshot,
    how: How,
    waiting: VecDeque<Ask>,
    open: Vec<Ask>,
    asked: u32,
    no_tnds: bool,
    no_struct: bool,
    lost: u32,
}

/// What a reading has to know beside the answers.
pub struct Rules<'a> {
    /// Whether a Get of this address, query included, is never sent: it would bring out a secret.
    pub is_protected: &'a dyn Fn(&TreeUri) -> bool,
    /// What is not kept.
    pub mask: Mask<'a>,
}

impl Reading {
    /// A reading of this node.
    #[must_use]
    pub fn new(root: &TreeUri, how: How, rules: &Rules<'_>) -> Self {
        let mut reading = Self {
            snapshot: Snapshot::new(root),
            how,
            waiting: VecDeque::new(),
            open: Vec::new(),
            asked: 0,
            no_tnds: false,
            no_struct: false,
            lost: 0,
        };
        let levels = match how {
            How::Levels(levels) => Some(levels.max(1)),
            How::Whole => None,
        };
        reading.want(root.node(), levels, rules);
        reading
    }

    /// The same, for a device of which an earlier reading found out which listings it has not; begun anew.
    #[must_use]
    pub fn knowing(self, earlier: &Self, rules: &Rules<'_>) -> Self {
        let mut reading = Self { no_tnds: earlier.no_tnds, no_struct: earlier.no_struct, ..self };
        if reading.asked == 0 {
            for ask in std::mem::take(&mut reading.waiting) {
                reading.want(ask.at, ask.levels, rules);
            }
        }
        reading
    }

    /// What is worth keeping of a reading that has ended: how the device was asked, without what it told.
    #[must_use]
    pub fn spent(&self) -> Self {
        Self {
            snapshot: Snapshot::new(&self.snapshot.root),
            waiting: VecDeque::new(),
            open: Vec::new(),
            ..*self
        }
    }

    /// How much is wanted.
    #[must_use]
    pub const fn how(&self) -> How {
        self.how
    }

    /// How many questions there were.
    #[must_use]
    pub const fn asked(&self) -> u32 {
        self.asked
    }

    /// How many were never answered.
    #[must_use]
    pub const fn lost(&self) -> u32 {
        self.lost
    }

    /// The questions that are out.
    #[must_use]
    pub fn open(&self) -> &[Ask] {
        &self.open
    }

    /// Whether nothing is left to be asked and nothing is out.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    /// The status with which the device refused to tell of the root itself, when nothing is known of it.
    #[must_use]
    pub fn refused(&self) -> Option<u32> {
        self.snapshot.nodes.get(&self.snapshot.root).and_then(|kept| kept.refused)
    }

    /// The next questions, at most so many, when none is out; they count as out until [`Self::answer`].
    pub fn next(&mut self, most: usize) -> &[Ask] {
        if self.open.is_empty() {
            let left = usize::try_from(ASKS.saturating_sub(self.asked)).unwrap_or(usize::MAX);
            if left == 0 {
                self.snapshot.left_out += u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
                self.waiting.clear();
            }
            let count = most.min(left).min(self.waiting.len());
            self.open = self.waiting.drain(..count).collect();
            self.asked += u32::try_from(count).unwrap_or(u32::MAX);
        }
        &self.open
    }

    /// Takes what came of all the questions that are out, in their order; a missing answer counts as lost.
    pub fn answer(&mut self, answers: impl IntoIterator<Item = Answer>, rules: &Rules<'_>) {
        let mut answers = answers.into_iter();
        for ask in std::mem::take(&mut self.open) {
            match answers.next().unwrap_or(Answer::Lost) {
                Answer::Told(told) => self.told(&ask, &told, rules),
                Answer::Refused(status) => self.refused_with(ask, status, rules),
                Answer::Lost => self.lost += 1,
            }
        }
    }

    fn told(&mut self, ask: &Ask, told: &[Told], rules: &Rules<'_>) {
        let taken = match ask.way {
            Way::Tnds => told
                .first()
                .and_then(|told| self.snapshot.take_tnds(&ask.at, told, &rules.mask).ok())
                .is_some_and(|nodes| nodes > 0),
            Way::StructData => !told.is_empty() && self.snapshot.take_items(&ask.at, told, &rules.mask) > 0,
            Way::Get => {
                let Some(told) = told.first() else {
                    // A good status without Results tells nothing.
                    self.snapshot.refuse(&ask.at, 204, &rules.mask);
                    return;
                };
                let below = self.snapshot.take_get(&ask.at, told, &rules.mask);
                self.descend(below, ask.levels, rules);
                return;
            }
        };
        if !taken {
            self.fall_back(ask, rules);
        }
    }

    fn descend(&mut self, below: Vec<TreeUri>, levels: Option<u32>, rules: &Rules<'_>) {
        let levels = match levels {
            Some(0 | 1) => return,
            Some(levels) => Some(levels - 1),
            None => None,
        };
        for uri in below {
            self.want(uri, levels, rules);
        }
    }

    fn refused_with(&mut self, ask: Ask, status: u32, rules: &Rules<'_>) {
        // 406 is what the standard wants of a device that has no such listing; it will not have it elsewhere.
        let never = matches!(status, 406 | 501);
        match ask.way {
            Way::Tnds => self.no_tnds |= never,
            Way::StructData => self.no_struct |= never,
            Way::Get => {
                self.snapshot.refuse(&ask.at, status, &rules.mask);
                return;
            }
        }
        self.fall_back(&ask, rules);
    }

    /// TNDS, StructData, Get (SRV-55).
    fn fall_back(&mut self, ask: &Ask, rules: &Rules<'_>) {
        let after = |way| Ask { at: ask.at.clone(), way, levels: ask.levels };
        let listing = after(Way::StructData);
        if ask.way == Way::Tnds && !self.no_struct && self.may(&listing, rules) {
            self.waiting.push_front(listing);
        } else {
            self.waiting.push_front(after(Way::Get));
        }
    }

    fn want(&mut self, at: TreeUri, levels: Option<u32>, rules: &Rules<'_>) {
        if (rules.is_protected)(&at) {
            if let Some(kept) = self.snapshot.kept(&at, &rules.mask) {
                kept.secret = true;
            }
            return;
        }
        let ways: &[Way] = match levels {
            Some(_) => &[Way::Get],
            None => &[Way::Tnds, Way::StructData, Way::Get],
        };
        for way in ways {
            let ask = Ask { at: at.clone(), way: *way, levels };
            let known_bad = *way == Way::Tnds && self.no_tnds || *way == Way::StructData && self.no_struct;
            if !known_bad && self.may(&ask, rules) {
                self.waiting.push_back(ask);
                return;
            }
        }
    }

    fn may(&self, ask: &Ask, rules: &Rules<'_>) -> bool {
        TreeUri::parse(&ask.target()).is_ok_and(|target| !(rules.is_protected)(&target))
    }
}
