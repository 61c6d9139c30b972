//! What several snapshots together say of a device's tree.

use std::collections::BTreeMap;

use super::{Kept, Snapshot};
use crate::{terms::UtcMillis, uri::TreeUri};

/// What is known of a node, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What is known.
    pub kept: Kept,
    /// When the device told of it last.
    pub at: UtcMillis,
}

/// Lays snapshots over each other, the oldest first: a newer one says what has gone, and what is another; what it was
/// not told of stands.
#[must_use]
pub fn overlay(snapshots: &[(Snapshot, UtcMillis)]) -> BTreeMap<TreeUri, Known> {
    let mut all: BTreeMap<TreeUri, Known> = BTreeMap::new();
    for (snapshot, at) in snapshots {
        all.retain(|uri, _| snapshot.nodes.contains_key(uri) || !snapshot.would_have(uri));
        for (uri, kept) in &snapshot.nodes {
            match all.get_mut(uri) {
                Some(known) => merge(known, kept, *at),
                None => {
                    all.insert(uri.clone(), Known { kept: kept.clone(), at: *at });
                }
            }
        }
    }
    all
}

impl Snapshot {
    /// Whether it would have the node if there were one: all names beside it are known.
    pub(super) fn would_have(&self, uri: &TreeUri) -> bool {
        let mut above = uri.parent();
        while let Some(at) = above {
            if let Some(kept) = self.nodes.get(&at) {
                return kept.explored;
            }
            above = at.parent();
        }
        false
    }
}

fn merge(known: &mut Known, newer: &Kept, at: UtcMillis) {
    // A name alone, from the list of the node above, says only that it is still there.
    if *newer == Kept::default() {
        return;
    }
    let older = std::mem::replace(&mut known.kept, newer.clone());
    known.at = at;
    let kept = &mut known.kept;
    let told = newer.format.is_some();
    let keep = |slot: &mut Option<String>, old: Option<String>| {
        if slot.is_none() {
            *slot = old;
        }
    };
    kept.format = kept.format.or(older.format);
    keep(&mut kept.type_, older.type_);
    keep(&mut kept.acl, older.acl);
    keep(&mut kept.name, older.name);
    keep(&mut kept.size, older.size);
    keep(&mut kept.title, older.title);
    keep(&mut kept.t_stamp, older.t_stamp);
    keep(&mut kept.ver_no, older.ver_no);
    kept.secret |= older.secret;
    kept.explored |= older.explored;
    if !told && kept.value.is_none() && !kept.secret {
        kept.value = older.value;
        kept.too_long = older.too_long;
    }
}
