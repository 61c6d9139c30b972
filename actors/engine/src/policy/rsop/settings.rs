//! What the GPOs set: for each setting everybody who had a say, in their order.
//!
//! Promise: records apply strictly in their order; keys and names are compared without case; a deletion is kept as a
//! state, because "disabled" is not "not configured". The last who counts wins; a `**soft.` value that found one set
//! does not count.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use crate::policy::{
    fold::fold,
    gpo::{Half, gpt_ini_version},
    registry_pol::{File, Limits, directive::Directive},
    sysvol::Other,
};

/// A GPO's folder in SYSVOL, as last read. An `Err` says why it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The version of its GPT.INI.
    pub version: Result<u32, Arc<str>>,
    /// The computer half's Registry.pol.
    pub computer: Result<Arc<Policy>, Arc<str>>,
    /// The user half's.
    pub user: Result<Arc<Policy>, Arc<str>>,
    /// What stands beside the two, and reaches no device.
    pub others: Arc<[Other]>,
}

impl Folder {
    /// Of the three files' octets; an `Err` says why a file could not be had.
    #[must_use]
    pub fn read(
        gpt_ini: Result<&[u8], &str>,
        computer: Result<&[u8], &str>,
        user: Result<&[u8], &str>,
        limits: &Limits,
    ) -> Self {
        let half = |octets: Result<&[u8], &str>| -> Result<Arc<Policy>, Arc<str>> {
            let file = File::read(octets?, limits).map_err(|error| format!("Registry.pol {error}"))?;
            Ok(Arc::new(Policy::of(&file)))
        };
        let version = gpt_ini.map_err(Arc::from);
        let version =
            version.and_then(|octets| gpt_ini_version(octets).map_err(|error| Arc::from(error.to_string())));
        Self { version, computer: half(computer), user: half(user), others: Arc::from([]) }
    }

    /// A folder of which nothing can be used.
    #[must_use]
    pub fn unusable(why: &str) -> Self {
        let why: Arc<str> = why.into();
        Self { version: Err(why.clone()), computer: Err(why.clone()), user: Err(why), others: Arc::from([]) }
    }

    /// One half.
    pub fn half(&self, half: Half) -> Result<&Arc<Policy>, &Arc<str>> {
        match half {
            Half::Computer => self.computer.as_ref(),
            Half::User => self.user.as_ref(),
        }
    }
}

/// A setting's name within its half: key and value name, equal and ordered without case.
#[derive(Clone, Debug)]
pub struct Name {
    /// The key, without its hive.
    pub key: String,
    /// The value's name.
    pub value: String,
    folded: (String, String),
}

impl Name {
    /// Of key and value name.
    #[must_use]
    pub fn new(key: &str, value: &str) -> Self {
        let key = key.trim_end_matches('\\');
        Self { key: key.to_owned(), value: value.to_owned(), folded: (fold(key), fold(value)) }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded.cmp(&other.folded)
    }
}

/// A value's type and octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The registry type.
    pub kind: u32,
    /// The octets.
    pub octets: Vec<u8>,
}

/// A Registry.pol, ready to be applied many times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Set(Arc<Name>, Arc<Data>),
    Soft(Arc<Name>, Arc<Data>),
    Delete(Arc<Name>),
    DeleteAll(Arc<Name>),
    DeleteKey(Arc<Name>),
    Key(Arc<Name>, KeyOperation),
}

/// What is done to a key as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOperation {
    /// It is made.
    Create,
    /// All values are deleted.
    DeleteValues,
    /// It is deleted, with all below.
    DeleteKey,
    /// It is locked, or unlocked.
    Secure(bool),
    /// A directive that is not known, passed over.
    Unknown,
}

impl KeyOperation {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create-key",
            Self::DeleteValues => "delete-values",
            Self::DeleteKey => "delete-key",
            Self::Secure(true) => "lock-key",
            Self::Secure(false) => "unlock-key",
            Self::Unknown => "unknown-directive",
        }
    }
}

impl Policy {
    /// Of a file that was read.
    #[must_use]
    pub fn of(file: &File) -> Self {
        let mut steps = Vec::with_capacity(file.records.len());
        for record in &file.records {
            let name = |value: &str| Arc::new(Name::new(&record.key, value));
            let below = |key: &String| Arc::new(Name::new(&format!("{}\\{key}", record.key), ""));
            let data = || Arc::new(Data { kind: record.kind, octets: record.data.clone() });
            match record.directive() {
                Directive::Set { name: value } => steps.push(Step::Set(name(&value), data())),
                Directive::Soft { name: value } => steps.push(Step::Soft(name(&value), data())),
                Directive::DeleteValue { name: value } => steps.push(Step::Delete(name(&value))),
                Directive::DeleteValues { names } => {
                    steps.extend(names.iter().map(|value| Step::Delete(name(value))));
                }
                Directive::DeleteAllValues => steps.push(Step::DeleteAll(name(""))),
                Directive::DeleteKeys { names } => {
                    steps.extend(names.iter().map(|key| Step::DeleteKey(below(key))));
                }
                Directive::CreateKey => steps.push(Step::Key(name(""), KeyOperation::Create)),
                Directive::SecureKey { locked } => {
                    steps.push(Step::Key(name(""), KeyOperation::Secure(locked)));
                }
                Directive::Unknown => {
                    steps.push(Step::Key(name(&record.value), KeyOperation::Unknown));
                }
            }
        }
        Self { steps }
    }
}

/// All settings of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    by_name: BTreeMap<Arc<Name>, Vec<Say>>,
    /// What is done to keys as a whole, in its order: the link, the key, the operation.
    pub keys: Vec<(usize, Arc<Name>, KeyOperation)>,
}

/// What one link says of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    /// The link's place in the pass.
    pub link: usize,
    /// The value; `None` deletes it.
    pub data: Option<Arc<Data>>,
    /// The name as this GPO spells it.
    pub name: Arc<Name>,
    /// False of a `**soft.` value that found one set.
    pub counts: bool,
}

impl Settings {
    /// Each setting in order of its name, with everybody's say in the order of application.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &[Say])> {
        self.by_name.iter().map(|(name, says)| (&**name, says.as_slice()))
    }

    /// How many settings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What everybody says of one setting.
    #[must_use]
    pub fn says(&self, key: &str, value: &str) -> &[Say] {
        self.by_name.get(&Name::new(key, value)).map_or(&[], Vec::as_slice)
    }

    /// A setting's value; nothing where nobody sets it or the winner deletes it.
    #[must_use]
    pub fn value(&self, key: &str, value: &str) -> Option<&Data> {
        winner(self.says(key, value)).and_then(|say| say.data.as_deref())
    }

    /// Applies a link's policy behind what is there.
    pub(super) fn apply(&mut self, link: usize, policy: &Policy) {
        for step in &policy.steps {
            match step {
                Step::Set(name, data) => self.say(link, name, Some(data.clone())),
                Step::Soft(name, data) => {
                    let says = self.by_name.entry(name.clone()).or_default();
                    if winner(says).is_none_or(|say| say.data.is_none()) {
                        self.say(link, name, Some(data.clone()));
                    } else if says.last().is_none_or(|last| last.link != link) {
                        says.push(Say { link, data: Some(data.clone()), name: name.clone(), counts: false });
                    }
                }
                Step::Delete(name) => self.say(link, name, None),
                Step::DeleteAll(key) => {
                    let same = |name: &Name| name.folded.0 == key.folded.0;
                    self.delete_where(link, key, &same);
                    self.keys.push((link, key.clone(), KeyOperation::DeleteValues));
                }
                Step::DeleteKey(key) => {
                    let below = |name: &Name| {
                        let rest = name.folded.0.strip_prefix(&key.folded.0);
                        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
                    };
                    self.delete_where(link, key, &below);
                    self.keys.push((link, key.clone(), KeyOperation::DeleteKey));
                }
                Step::Key(key, operation) => self.keys.push((link, key.clone(), *operation)),
            }
        }
    }

    fn delete_where(&mut self, link: usize, key: &Arc<Name>, chosen: &dyn Fn(&Name) -> bool) {
        let from = self.by_name.range(key.clone()..);
        let near = from.map(|(name, _)| name).take_while(|name| name.folded.0.starts_with(&key.folded.0));
        let names: Vec<Arc<Name>> = near.filter(|name| chosen(name)).cloned().collect();
        names.iter().for_each(|name| self.say(link, name, None));
    }

    /// The last word of a link is its only one.
    fn say(&mut self, link: usize, name: &Arc<Name>, data: Option<Arc<Data>>) {
        let says = self.by_name.entry(name.clone()).or_default();
        says.retain(|say| say.link != link);
        says.push(Say { link, data, name: name.clone(), counts: true });
    }
}

/// Who wins.
#[must_use]
pub fn winner(says: &[Say]) -> Option<&Say> {
    says.iter().rev().find(|say| say.counts)
}

/// Who loses, the nearest to winning first.
pub fn losers(says: &[Say]) -> impl Iterator<Item = &Say> {
    let winner = says.iter().rposition(|say| say.counts);
    let places = (0..says.len()).rev().filter(move |place| Some(*place) != winner);
    places.map(|place| &says[place])
}
