//! What is different between two snapshots of one device's tree.

use serde::{Deserialize, Serialize};

use super::{Kept, KeptValue, Snapshot};
use crate::uri::TreeUri;

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The node.
    pub uri: TreeUri,
    /// What kind.
    pub kind: ChangeKind,
    /// For a change: of what (`value`, `acl` …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Kinds of differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The node is new.
    Added,
    /// The node is gone.
    Removed,
    /// Something of it is another.
    Changed,
}

/// The differences from `old` to `new`, in the order of a tree. Only what both know is compared: a node is new or
/// gone only where the other snapshot knows all names beside it.
#[must_use]
pub fn diff(old: &Snapshot, new: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    for (uri, kept) in &old.nodes {
        match new.nodes.get(uri) {
            Some(other) => compare(uri, kept, other, &mut changes),
            None if new.would_have(uri) => changes.push(change(uri, ChangeKind::Removed, shown(kept), None)),
            None => {}
        }
    }
    for (uri, kept) in &new.nodes {
        if !old.nodes.contains_key(uri) && old.would_have(uri) {
            changes.push(change(uri, ChangeKind::Added, None, shown(kept)));
        }
    }
    changes.sort_by(|left, right| left.uri.segments().cmp(right.uri.segments()));
    changes
}

fn compare(uri: &TreeUri, old: &Kept, new: &Kept, changes: &mut Vec<Change>) {
    if old.secret || new.secret {
        return;
    }
    let format = |kept: &Kept| kept.format.map(|format| format.as_str().to_owned());
    for (what, before, after) in [
        ("value", shown(old), shown(new)),
        ("format", format(old), format(new)),
        ("type", old.type_.clone(), new.type_.clone()),
        ("acl", old.acl.clone(), new.acl.clone()),
        ("title", old.title.clone(), new.title.clone()),
        ("verno", old.ver_no.clone(), new.ver_no.clone()),
    ] {
        if let (Some(before), Some(after)) = (before, after)
            && before != after
        {
            let what = Some(what.to_owned());
            changes.push(Change { what, ..change(uri, ChangeKind::Changed, Some(before), Some(after)) });
        }
    }
}

fn change(uri: &TreeUri, kind: ChangeKind, before: Option<String>, after: Option<String>) -> Change {
    Change { uri: uri.clone(), kind, what: None, before, after }
}

fn shown(kept: &Kept) -> Option<String> {
    kept.value.as_ref().map(|value| match value {
        KeptValue::Text(text) | KeptValue::Base64(text) => text.clone(),
    })
}
