//! Where management objects were found in a device's tree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::uri::TreeUri;

/// Identifiers of management objects with the addresses of their roots, as a device's tree has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mounts(BTreeMap<String, Vec<TreeUri>>);

/// Addresses that are kept for one identifier.
const KEPT: usize = 64;

impl Mounts {
    /// Notes that the object with this identifier stands here. An empty identifier says nothing.
    pub fn add(&mut self, id: &str, at: &TreeUri) {
        if id.is_empty() {
            return;
        }
        let places = self.0.entry(id.to_owned()).or_default();
        let at = at.node();
        if places.len() < KEPT && !places.contains(&at) {
            places.push(at);
        }
    }

    /// Where the object with this identifier stands; case does not count.
    #[must_use]
    pub fn of(&self, id: &str) -> Vec<&TreeUri> {
        self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(id)).flat_map(|(_, at)| at).collect()
    }

    /// Every identifier with its addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TreeUri)> {
        self.0.iter().flat_map(|(id, places)| places.iter().map(move |at| (id.as_str(), at)))
    }

    /// Takes over what `other` knows.
    pub fn merge(&mut self, other: &Self) {
        for (id, at) in other.iter() {
            self.add(id, at);
        }
    }
}
