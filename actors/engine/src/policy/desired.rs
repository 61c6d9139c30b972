//! What is to stand on a device in the end, and the way there.
//!
//! Promise: pure. [`fold`](fold::fold) puts the resultant set of a directory and the documents of groups together, in one order,
//! and keeps for every node who wins and who loses; [`Book`](book::Book) is what is known of the device; [`Book::next`](book::Book::next)
//! gives the smallest set of commands from the one to the other, and none where both are equal. What a device had before
//! the first change is read before that change, where it is to be put back one day.

pub mod book;
pub mod change;
pub mod fold;
pub mod layer;
pub mod learn;
pub mod lifeline;
pub mod status;
pub mod step;
pub mod value;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::mapping::Dialect;

/// Nodes that may be desired of one device. A Registry.pol may hold 100,000 values of one list, each a node of its own: that is a
/// mistake or worse, and no device takes it.
pub const NODES: usize = 2_000;
/// Settings that go nowhere on a device and are named one by one; the others are counted.
const NAMED: usize = 500;

/// What is to stand on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// SHA-256 over what concerns the device: addresses, formats, values and removal; who said so is not in it.
    pub hash: Hash,
    /// The nodes, by address.
    pub settings: Vec<DesiredSetting>,
    /// Settings that go nowhere on this device, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmapped: Vec<Homeless>,
    /// How many more of them there are than are named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unnamed: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredSetting {
    /// Its address.
    pub uri: String,
    /// Its format.
    pub format: String,
    /// Its value; none where it is not to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Who says so.
    pub source: Source,
    /// Who said something, too, and lost: the nearest to winning first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losers: Vec<Source>,
    /// What becomes of it when nobody wants it any longer.
    pub removal: Removal,
    /// The first loser stands at the same place of the order and says something else: only its name decided.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tied: bool,
    /// Why it is never sent: it goes through an operation of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

/// A setting that goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Homeless {
    /// The setting.
    pub setting: String,
    /// Why, as a word: [`super::mapping::Unmapped::word`].
    pub reason: String,
    /// What the word does not say.
    pub detail: String,
    /// Who says it.
    pub source: Source,
}

/// Who says something of a setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// A group policy object.
    Gpo {
        /// Its name in the directory.
        dn: String,
        /// What people call it.
        name: String,
        /// The container that it is linked to.
        som: String,
        /// Whether the link is enforced.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        enforced: bool,
        /// The registry setting: half, key and value.
        setting: String,
    },
    /// A policy document.
    Document {
        /// Its name.
        name: String,
        /// Its version.
        version: i64,
        /// The group that it is assigned to.
        group: String,
        /// Whether the assignment is enforced.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        enforced: bool,
    },
}

impl Source {
    /// What a line shows of it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Gpo { name, .. } | Self::Document { name, .. } => name,
        }
    }
}

/// What becomes of a node when nobody wants it any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// It stays as it is: the tattoo.
    Leave,
    /// It is deleted.
    Delete,
    /// What stood there before the first change is put back; a node that was not there is deleted.
    Restore,
}

impl Removal {
    /// The rule of a dialect where nobody says otherwise: a node of the Policy CSP is deleted, which is what "not
    /// configured" means there; of another device what stood before is put back, because a delete may not be allowed.
    #[must_use]
    pub const fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Windows => Self::Delete,
            Dialect::Classic => Self::Restore,
        }
    }

    /// The word in tables and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Delete => "delete",
            Self::Restore => "restore",
        }
    }

    /// Of its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Leave, Self::Delete, Self::Restore].into_iter().find(|one| one.word() == word)
    }
}

/// SHA-256, as text in hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

impl Hash {
    /// Of its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let digits = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let octets: Option<Vec<u8>> =
            digits.then(|| text.as_bytes().chunks(2).map(octet).collect()).flatten();
        Some(Self(octets?.try_into().ok()?))
    }
}

impl Desired {
    /// Of nodes in any order; the last of one address counts.
    #[must_use]
    pub fn new(settings: Vec<DesiredSetting>, mut unmapped: Vec<Homeless>) -> Self {
        let by_uri: std::collections::BTreeMap<String, DesiredSetting> =
            settings.into_iter().map(|setting| (setting.uri.clone(), setting)).collect();
        let settings: Vec<DesiredSetting> = by_uri.into_values().collect();
        unmapped.sort();
        unmapped.dedup();
        let unnamed = u32::try_from(unmapped.len().saturating_sub(NAMED)).unwrap_or(u32::MAX);
        unmapped.truncate(NAMED);
        let mut hash = Sha256::new();
        hash.update(b"postern-desired-1");
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        for setting in settings.iter().filter(|setting| setting.withheld.is_none()) {
            part(&setting.uri);
            part(&setting.format);
            part(if setting.data.is_some() { "is" } else { "is-not" });
            part(setting.data.as_deref().unwrap_or_default());
            part(setting.removal.word());
        }
        Self { hash: Hash(hash.finalize().into()), settings, unmapped, unnamed }
    }

    /// SHA-256 over everything, those who say so, too: what a stored document is found by.
    #[must_use]
    pub fn document_hash(&self) -> Hash {
        let text = serde_json::to_vec(self).unwrap_or_default();
        Hash(Sha256::digest(text).into())
    }

    /// Itself, where one device can have so much.
    ///
    /// # Errors
    /// Why not, for a person.
    pub fn bounded(self) -> Result<Self, String> {
        match self.settings.len() {
            0..=NODES => Ok(self),
            count => {
                // Who says most of it is who is to be asked.
                let mut says: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
                for setting in &self.settings {
                    *says.entry(setting.source.name()).or_default() += 1;
                }
                let most = says.into_iter().max_by_key(|(_, count)| *count).map_or("", |(name, _)| name);
                Err(format!(
                    "{count} nodes are desired of it, most of them by {most:?}: {NODES} is the limit"
                ))
            }
        }
    }

    /// The node of this address.
    #[must_use]
    pub fn get(&self, uri: &str) -> Option<&DesiredSetting> {
        let place = self.settings.binary_search_by(|setting| setting.uri.as_str().cmp(uri)).ok()?;
        self.settings.get(place)
    }
}
