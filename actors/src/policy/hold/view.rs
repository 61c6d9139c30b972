//! What waits, for whoever decides: setting by setting, on how many devices, with some of them.
//!
//! Promise: bounded, however many devices wait and however different they are; what was left out is said.

use std::collections::{BTreeMap, BTreeSet};

use postern_engine::policy::desired::{
    Source,
    change::{Kind, moved},
};
use postern_store::{
    Reader, StoreError, approvals,
    policies::{self, Hold},
};
use postern_wire::terms::EnrolmentId;
use uuid::Uuid;

use super::super::apply;

/// Pairs of desired states that are compared.
const PAIRS: usize = 2_000;
/// Settings with their values that are told apart.
const SETTINGS: usize = 20_000;
/// Devices that are named with a setting.
const EXAMPLES: usize = 5;

/// A change that waits.
#[derive(Clone, Debug)]
pub struct HeldChange {
    /// Its row.
    pub hold: Hold,
    /// Who had a part in it, by name: none of them agrees to it.
    pub askers: BTreeSet<String>,
    /// What is another: removals, what is grave, other values, what comes on top; of each what concerns most devices first.
    pub settings: Vec<HeldSetting>,
    /// Devices that wait and are not in `settings`, because the fleet is too different.
    pub left_out: usize,
}

/// One node that gets another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSetting {
    /// What becomes of it.
    pub kind: Kind,
    /// The node.
    pub uri: String,
    /// What is desired now; none where nothing is, or where it is not to be there.
    pub before: Option<String>,
    /// What would be.
    pub after: Option<String>,
    /// Who says so, or said so where nobody does any longer.
    pub source: Source,
    /// On how many devices.
    pub devices: usize,
    /// The first of them.
    pub examples: Vec<EnrolmentId>,
}

/// A desired state, and the one that waits.
type Pair = ([u8; 32], [u8; 32]);

/// Devices that change from one desired state to one other.
#[derive(Default)]
struct Alike {
    count: usize,
    first: Vec<EnrolmentId>,
}

impl Alike {
    fn add(&mut self, id: EnrolmentId) {
        self.count += 1;
        if self.first.len() < EXAMPLES {
            self.first.push(id);
        }
    }
}

impl HeldChange {
    /// Reads what waits; none where nothing does. `which` is its id or that of its request.
    ///
    /// # Errors
    /// Where the rows cannot be read.
    pub fn read(r: &mut Reader, which: Option<Uuid>) -> Result<Option<Self>, StoreError> {
        let Some(hold) = policies::hold(r)? else { return Ok(None) };
        if which.is_some_and(|which| which != hold.id && Some(which) != hold.approval) {
            return Ok(None);
        }
        let (pairs, mut left_out) = pairs(r)?;
        let mut settings: BTreeMap<(Kind, String, Option<String>, Option<String>), HeldSetting> =
            BTreeMap::new();
        for ((before, after), alike) in pairs {
            let (Some(before), Some(after)) = (apply::document(r, before)?, apply::document(r, after)?)
            else {
                left_out += alike.count;
                continue;
            };
            let all = moved(&before, &after);
            if settings.len() + all.len() > SETTINGS {
                left_out += alike.count;
                continue;
            }
            for one in all {
                let Some(said) = one.after.or(one.before) else { continue };
                let data = |setting: Option<&postern_engine::policy::desired::DesiredSetting>| {
                    setting.and_then(|setting| setting.data.clone())
                };
                let (before, after) = (data(one.before), data(one.after));
                let key = (one.kind, said.uri.clone(), before.clone(), after.clone());
                let held = settings.entry(key).or_insert_with(|| HeldSetting {
                    kind: one.kind,
                    uri: said.uri.clone(),
                    before,
                    after,
                    source: said.source.clone(),
                    devices: 0,
                    examples: Vec::new(),
                });
                held.devices += alike.count;
                let room = EXAMPLES.saturating_sub(held.examples.len());
                held.examples.extend(alike.first.iter().take(room));
            }
        }
        let mut settings: Vec<HeldSetting> = settings.into_values().collect();
        settings.sort_by_key(|one| (one.kind, std::cmp::Reverse(one.devices)));
        Ok(Some(Self { askers: askers(r, &hold)?, hold, settings, left_out }))
    }
}

/// The ways from one desired state to another, with their devices; and how many devices go another way than these.
fn pairs(r: &mut Reader) -> Result<(BTreeMap<Pair, Alike>, usize), StoreError> {
    let (mut pairs, mut left_out, mut after) = (BTreeMap::<_, Alike>::new(), 0, None);
    loop {
        let page = policies::held(r, after, 500)?;
        let Some(last) = page.last() else { return Ok((pairs, left_out)) };
        after = Some(last.enrolment);
        for row in &page {
            let Some(waiting) = row.waiting else { continue };
            let pair = (row.desired, waiting);
            if pairs.len() < PAIRS || pairs.contains_key(&pair) {
                pairs.entry(pair).or_default().add(row.enrolment);
            } else {
                left_out += 1;
            }
        }
    }
}

/// Who had a part in it, as its request says.
fn askers(r: &mut Reader, hold: &Hold) -> Result<BTreeSet<String>, StoreError> {
    let request = match hold.approval {
        Some(id) => approvals::find(r, id)?,
        None => None,
    };
    let content = request.and_then(|request| serde_json::from_str(&request.content).ok());
    let told = content.and_then(|content| super::ask::told(&content)).unwrap_or_default();
    Ok(told.known.into_iter().map(|asker| asker.name).collect())
}
