//! Which documents count for a device, in their order, and what they come to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use postern_wire::terms::Dialect;
use serde::Serialize;

use super::{
    claims::Claim,
    model::{Assignment, Document},
};
use crate::policy::{desired::Removal, mapping::table::Table};

/// A document in force, with its assignments as they stand: a group may have been renamed since it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The document.
    pub document: Arc<Document>,
    /// Which of its versions; 0 for one that is not applied.
    pub version: u64,
    /// Where it is assigned.
    pub assignments: Vec<Assignment>,
}

impl Held {
    /// One that is not applied yet.
    #[must_use]
    pub fn draft(document: Document) -> Self {
        let assignments = document.assignments().collect();
        Self { document: Arc::new(document), version: 0, assignments }
    }
}

/// A group that a device is in, directly or by nesting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct InGroup {
    /// Its name.
    pub name: String,
    /// How deep it is nested: 0 where no group holds it. Groups of one depth count as one container.
    pub depth: usize,
}

/// A document that counts for a device, and by which assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layered {
    /// The document.
    pub document: Arc<Document>,
    /// Which of its versions.
    pub version: u64,
    /// The group that it came by.
    pub group: InGroup,
    /// Its place there: 1 wins.
    pub order: u32,
    /// Whether it is enforced.
    pub enforced: bool,
}

/// The documents that count for a device of a dialect, **in the order of application: the last wins**. First those that are not
/// enforced, groups from the outermost to the innermost; then the enforced ones, from the innermost to the
/// outermost. Among those of one depth 1 comes last, and of two at the same place the one whose name comes first.
/// A document that reaches a device by several groups counts once, where it is strongest.
#[must_use]
pub fn resolve<'h>(
    documents: impl IntoIterator<Item = &'h Held>,
    groups: &[InGroup],
    dialect: Dialect,
) -> Vec<Layered> {
    let mut all: Vec<Layered> = Vec::new();
    for held in documents.into_iter().filter(|held| held.document.is_for(dialect)) {
        for assignment in &held.assignments {
            all.extend(groups.iter().filter(|group| group.name == assignment.group).map(|group| Layered {
                document: Arc::clone(&held.document),
                version: held.version,
                group: group.clone(),
                order: assignment.order,
                enforced: assignment.enforced,
            }));
        }
    }
    all.sort_by(|one, other| {
        let depth = if one.enforced {
            other.group.depth.cmp(&one.group.depth)
        } else {
            one.group.depth.cmp(&other.group.depth)
        };
        (one.enforced.cmp(&other.enforced))
            .then(depth)
            .then(other.order.cmp(&one.order))
            .then_with(|| other.document.name.cmp(&one.document.name))
            .then_with(|| other.group.name.cmp(&one.group.name))
    });
    let mut seen = BTreeSet::new();
    let mut kept: Vec<Layered> =
        all.into_iter().rev().filter(|layer| seen.insert(layer.document.name.clone())).collect();
    kept.reverse();
    kept
}

/// What documents alone come to at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The node.
    pub uri: String,
    /// Its format.
    pub format: String,
    /// Its value; `None` for one that is not to be there.
    pub data: Option<String>,
    /// What becomes of it later.
    pub removal: Option<Removal>,
    /// The place in the layers of the document that won.
    pub winner: usize,
    /// Those of the documents that lost, the nearest to winning first.
    pub losers: Vec<usize>,
}

/// What documents come to on a device of this table and version, by address: no GPO takes part.
#[must_use]
pub fn effective(layers: &[Layered], table: &Table, version: Option<&str>) -> Vec<Effective> {
    let mut nodes: BTreeMap<String, Effective> = BTreeMap::new();
    for (place, layer) in layers.iter().enumerate() {
        for Claim { uri, format, data, removal, .. } in layer.document.claims(table, version).nodes {
            let node = nodes.entry(uri.clone()).or_insert_with(|| Effective {
                uri,
                format: String::new(),
                data: None,
                removal: None,
                winner: place,
                losers: Vec::new(),
            });
            if node.winner != place {
                node.losers.insert(0, node.winner);
            }
            (node.format, node.data, node.removal, node.winner) = (format, data, removal, place);
        }
    }
    nodes.into_values().collect()
}
