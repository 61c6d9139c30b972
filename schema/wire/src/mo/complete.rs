//! Completes an address that a person has begun.

use std::collections::BTreeMap;

use super::{Found, Mounts, Origin, Registry};
use crate::{ddf::Node, uri::TreeUri};

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The address; a name that the person chooses stands as `<Title>`.
    pub uri: String,
    /// Whether the last name is such a placeholder.
    pub placeholder: bool,
    /// Whether something stands below it.
    pub more: bool,
    /// The object that it belongs to; `None` for a node above the objects.
    pub object: Option<String>,
    /// The description, where there is one.
    pub node: Option<Node>,
}

impl Registry {
    /// The nodes that `begun` may become: those below the last `/` whose names begin with what follows it. An
    /// address of a whole node gives what is below that, when nothing else fits. What is no address gives nothing.
    #[must_use]
    pub fn complete(&self, begun: &str, mounts: &Mounts) -> Vec<Completion> {
        let begun = begun.trim();
        let (base, partial) = begun.rsplit_once('/').unwrap_or((".", begun));
        let partial = if base == "." && partial == "." { "" } else { partial };
        let Ok(at) = TreeUri::parse(base) else { return Vec::new() };
        let mut found = BTreeMap::new();
        self.children(&at.node(), partial, mounts, &mut found);
        let whole = found.len() == 1 && found.keys().next().map(String::as_str) == Some(partial);
        if whole && let Ok(node) = at.join(partial) {
            let mut below = BTreeMap::new();
            self.children(&node, "", mounts, &mut below);
            if !below.is_empty() {
                found = below;
            }
        }
        found.into_values().collect()
    }

    fn children(
        &self,
        at: &TreeUri,
        partial: &str,
        mounts: &Mounts,
        found: &mut BTreeMap<String, Completion>,
    ) {
        for object in self.objects() {
            for mount in object.mounts(mounts) {
                let (above, mut path): (Vec<&str>, _) = (at.segments().collect(), mount.at.segments());
                if !above.iter().all(|name| path.next() == Some(name)) {
                    continue;
                }
                // The mount lies below: its next name, or the root's.
                let (name, is_root) = match path.next() {
                    Some(name) => (name, !mount.any_name && path.next().is_none()),
                    None if mount.any_name => ("", true),
                    None => continue,
                };
                if name.starts_with(partial) {
                    let node = is_root.then_some(&object.root);
                    note(found, at, name, node, object.name.as_str(), object.origin);
                }
            }
        }
        for known in self.known(at, mounts) {
            let Found::Node(node) = known.found else { continue };
            for child in node.children.iter().filter(|child| child.name.starts_with(partial)) {
                note(found, at, &child.name, Some(child), &known.object.name, known.object.origin);
            }
        }
    }
}

fn note(
    found: &mut BTreeMap<String, Completion>,
    at: &TreeUri,
    name: &str,
    node: Option<&Node>,
    object: &str,
    origin: Origin,
) {
    let placeholder = name.is_empty();
    let title = node.and_then(|node| node.df.title.as_deref()).filter(|title| !title.is_empty());
    let shown = if placeholder { format!("<{}>", title.unwrap_or("name")) } else { name.to_owned() };
    let known = found.contains_key(&shown);
    if known && (node.is_none() || origin == Origin::BuiltIn) {
        return;
    }
    let completion = Completion {
        uri: format!("{}/{shown}", at.path()),
        placeholder,
        more: node.is_none_or(|node| !node.is_leaf()),
        object: node.is_some().then(|| object.to_owned()),
        node: node.map(|node| Node { children: Vec::new(), ..node.clone() }),
    };
    found.insert(shown, completion);
}
