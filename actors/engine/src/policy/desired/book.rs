//! What is known of one device: what it confirmed, what it has, what it refused, and what stood there before us.
//!
//! Promise: [`Book::next`] gives nothing where the device is as it is to be, and never touches a node that nobody wants and that
//! was never touched from here. What is not known is tried: a Replace first, an Add where the device says 404; what it
//! has is not tried again. Nodes that are to be put back one day are read before their first change. A step that cannot be sent
//! at all is left out, shown with its cause, and keeps no other back.

use std::collections::{BTreeMap, BTreeSet};

use postern_wire::terms::UtcMillis;
use serde::{Deserialize, Serialize};

use super::{
    Desired, DesiredSetting, Removal,
    step::{Step, above},
    value::{self, Mark},
};

/// How often a device may say once that a node is there and once that it is not, before it is believed neither.
const FLIPS: u8 = 2;
/// Steps of one round, interior nodes among them: an order takes so many commands. The others come with the next round.
pub const ROUND: usize = 150;

/// What is known of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// The nodes, by address.
    #[serde(default)]
    pub nodes: BTreeMap<String, Entry>,
    /// It gave one code for a command of several items, so each goes alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
}

/// What is known of one node. Everything that is not is left out of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The format that it was wanted in.
    #[serde(rename = "f")]
    pub format: String,
    /// What becomes of it when nobody wants it any longer.
    #[serde(rename = "r")]
    pub removal: Removal,
    /// A command that changes it did, or may have.
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    pub touched: bool,
    /// Whether the device has the node, as far as it said.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub there: Option<bool>,
    /// What stood there before the first change.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// What the device last confirmed.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// What the device did not take.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// It is to be read again.
    #[serde(rename = "v", default, skip_serializing_if = "std::ops::Not::not")]
    pub check: bool,
    /// How often the device was found with another value than it had confirmed.
    #[serde(rename = "d", default, skip_serializing_if = "is_zero")]
    pub drift: u32,
    /// When last.
    #[serde(rename = "da", default, skip_serializing_if = "Option::is_none")]
    pub drifted_at: Option<UtcMillis>,
    /// Its interior nodes are to be made first.
    #[serde(rename = "p", default, skip_serializing_if = "std::ops::Not::not")]
    pub parents: bool,
    /// How often `there` changed its mind.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero_small")]
    pub flips: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero_small(number: &u8) -> bool {
    *number == 0
}

/// What stood at a node before the first change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Nothing.
    Absent,
    /// A value.
    Value {
        /// Its format as the device gave it.
        format: String,
        /// Itself; octets as base64.
        data: String,
        /// It is octets that are no text.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        binary: bool,
    },
    /// The device did not let it be read: it cannot be put back.
    Unreadable(u32),
}

/// What a device confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The value.
    #[serde(rename = "m")]
    pub mark: Mark,
    /// When.
    #[serde(rename = "a")]
    pub at: UtcMillis,
}

/// What a device did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its code; 0 where no answer ever came.
    pub code: u32,
    /// The value that it did not take; none where it was to be removed.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// When.
    #[serde(rename = "a")]
    pub at: UtcMillis,
}

impl Entry {
    pub(super) fn new(setting: &DesiredSetting) -> Self {
        Self {
            format: setting.format.clone(),
            removal: setting.removal,
            touched: false,
            there: None,
            before: None,
            confirmed: None,
            refused: None,
            check: false,
            drift: 0,
            drifted_at: None,
            parents: false,
            flips: 0,
        }
    }

    /// Whether the device confirmed this.
    #[must_use]
    pub fn confirms(&self, mark: Mark) -> bool {
        self.confirmed.is_some_and(|confirmed| confirmed.mark == mark)
    }

    /// The code with which the device refused this.
    #[must_use]
    pub fn refuses(&self, mark: Option<Mark>) -> Option<Refused> {
        self.refused.filter(|refused| refused.mark == mark)
    }

    /// The device said whether it has the node; false where it said so and otherwise too often.
    pub(super) fn found(&mut self, there: bool) -> bool {
        if self.there == Some(!there) {
            self.flips = self.flips.saturating_add(1);
        }
        self.there = Some(there);
        self.flips <= FLIPS
    }

    /// The step that puts a value there.
    fn put(&self, uri: &str, format: &str, data: &str, binary: bool) -> Step {
        let (uri, format, data) = (uri.to_owned(), format.to_owned(), data.to_owned());
        match self.there {
            Some(false) => Step::Add { uri, format, data, binary },
            Some(true) | None => Step::Replace { uri, format, data, binary },
        }
    }

    /// Why what is to be done with it cannot be sent at all, if so. `setting` is what is desired of it, if anything is.
    pub(super) fn blocked(&self, uri: &str, setting: Option<&DesiredSetting>) -> Option<String> {
        let step = setting.map_or_else(|| unwanted(uri, self), |setting| wanted(uri, self, setting));
        step.and_then(|step| step.misfit())
    }
}

impl Book {
    /// The steps from here to what is desired, and takes down that they are given. Every round of them brings the device nearer,
    /// or ends in a refusal that is kept; with none left it is there, or cannot be.
    pub fn next(&mut self, desired: &Desired) -> Vec<Step> {
        for setting in desired.settings.iter().filter(|setting| setting.withheld.is_none()) {
            let entry = self.nodes.entry(setting.uri.clone()).or_insert_with(|| Entry::new(setting));
            entry.removal = setting.removal;
            entry.format.clone_from(&setting.format);
        }
        let (mut steps, mut done) = (Vec::new(), Vec::new());
        for (uri, entry) in &self.nodes {
            match desired.get(uri).filter(|setting| setting.withheld.is_none()) {
                Some(setting) => steps.extend(wanted(uri, entry, setting)),
                None => match unwanted(uri, entry) {
                    Some(step) => steps.push(step),
                    // What the device does not let go stays to be seen.
                    None if entry.refuses(None).is_some() => {}
                    None => done.push(uri.clone()),
                },
            }
        }
        for uri in done {
            self.nodes.remove(&uri);
        }
        steps.sort();
        self.round(steps)
    }

    /// The first of the steps with the interior nodes that are missing, each once and before what is below it, readings first: no
    /// more than a round of both together. What cannot be sent is passed over.
    fn round(&self, steps: Vec<Step>) -> Vec<Step> {
        let mut missing: BTreeSet<String> = BTreeSet::new();
        let mut round = Vec::new();
        for step in steps.into_iter().filter(|step| step.refusal().is_none()) {
            let needs = matches!(step, Step::Add { .. })
                && self.nodes.get(step.uri()).is_some_and(|entry| entry.parents);
            let above = if needs { above(step.uri()) } else { Vec::new() };
            let more = above.iter().filter(|uri| !missing.contains(*uri)).count();
            // One that is too large for a round by itself goes alone.
            if !round.is_empty() && round.len() + missing.len() + more + 1 > ROUND {
                break;
            }
            missing.extend(above);
            round.push(step);
        }
        round.extend(missing.into_iter().map(|uri| Step::Interior { uri }));
        // Get, Interior, Add, Replace, Delete; in each by address, so a node comes before what is below it.
        round.sort();
        round
    }

    /// Everything that the device confirmed is to be read again, and what it refused for a reason that may pass is tried again.
    pub fn verify(&mut self) {
        for entry in self.nodes.values_mut() {
            entry.check = entry.confirmed.is_some();
            entry.flips = 0;
            if entry.refused.is_some_and(|refused| !super::status::is_for_good(refused.code)) {
                entry.refused = None;
            }
        }
    }

    /// The device was enrolled anew: it may have been reset, so nothing that it said still counts. What stood there before
    /// is read again, too.
    pub fn forget(&mut self) {
        self.nodes.clear();
        self.alone = false;
    }

    /// Whether no step is left.
    #[must_use]
    pub fn is_settled(&self, desired: &Desired) -> bool {
        self.clone().next(desired).is_empty()
    }
}

/// The steps from what is known to what is desired, which change nothing of either.
#[must_use]
pub fn diff(desired: &Desired, known: &Book) -> Vec<Step> {
    known.clone().next(desired)
}

fn wanted(uri: &str, entry: &Entry, setting: &DesiredSetting) -> Option<Step> {
    let mark = Mark::of(&setting.format, setting.data.as_deref());
    let read = || Some(Step::Get { uri: uri.to_owned() });
    if entry.confirms(mark) {
        return if entry.check { read() } else { None };
    }
    if entry.refuses(Some(mark)).is_some() {
        return None;
    }
    let change = match &setting.data {
        Some(data) => entry.put(uri, &setting.format, data, false),
        None => Step::Delete { uri: uri.to_owned() },
    };
    // What can never be sent is not worth a reading.
    if entry.removal == Removal::Restore
        && entry.before.is_none()
        && !entry.touched
        && change.misfit().is_none()
    {
        return read();
    }
    Some(change)
}

/// Nobody wants it any longer; nothing where it may be forgotten.
fn unwanted(uri: &str, entry: &Entry) -> Option<Step> {
    if !entry.touched || entry.refuses(None).is_some() {
        return None;
    }
    let delete = || (entry.there != Some(false)).then(|| Step::Delete { uri: uri.to_owned() });
    match (entry.removal, &entry.before) {
        (Removal::Leave, _) | (Removal::Restore, Some(Before::Unreadable(_)) | None) => None,
        (Removal::Delete, _) | (Removal::Restore, Some(Before::Absent)) => delete(),
        // An interior node has no value: where one that was deleted is there again, it is back.
        (Removal::Restore, Some(Before::Value { format, .. }))
            if format.eq_ignore_ascii_case("node")
                && entry.there == Some(true)
                && entry.confirms(Mark::of("", None)) =>
        {
            None
        }
        (Removal::Restore, Some(Before::Value { format, data, binary })) => {
            // Both sides in our format: in the device's own the same value may have another mark.
            let back = Mark::of(&entry.format, Some(data));
            let data = value::spelt(format, data);
            (!entry.confirms(back)).then(|| entry.put(uri, format, &data, *binary))
        }
    }
}
