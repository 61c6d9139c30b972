//! Where the nodes of a document stand in the tree.

use super::{MgmtTree, Node};
use crate::uri::{TreeUri, UriError};

/// A node with its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Its address, without a query.
    pub uri: TreeUri,
    /// The node.
    pub node: &'a Node,
}

/// Why a document does not fit into a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A Path or NodeName makes no address.
    #[error("the node {name:?} has no address: {reason}")]
    Uri {
        /// NodeName.
        name: String,
        /// What is wrong with it.
        reason: UriError,
    },
    /// A node would stand outside of what was asked for or written to.
    #[error("{uri} does not lie below {target}")]
    Outside {
        /// The node's address.
        uri: TreeUri,
        /// The command's target.
        target: TreeUri,
    },
    /// Two nodes with one address.
    #[error("{0} stands twice")]
    Twice(TreeUri),
}

impl MgmtTree {
    /// Every node with its address, parents before their children, when the document is the content of a command on
    /// `target` or the answer to a Get of it.
    ///
    /// A Path is relative to the target; one that begins with the target's own address is taken as it stands, because
    /// peers write that too. Without a Path, or with `.`, a top node of the target's last name, or of none, is the
    /// target itself; one of another name stands below it.
    ///
    /// # Errors
    /// [`PlaceError`]: nothing outside the target is let through, and nothing twice.
    pub fn placed(&self, target: &TreeUri) -> Result<Vec<Placed<'_>>, PlaceError> {
        let target = target.node();
        let mut found = Vec::new();
        for node in &self.nodes {
            let uri = top(node, &target)?;
            if !target.is_prefix_of(&uri) {
                return Err(PlaceError::Outside { uri, target });
            }
            below(node, uri, &mut found)?;
        }
        let mut seen: Vec<&TreeUri> = found.iter().map(|placed| &placed.uri).collect();
        seen.sort_unstable();
        if let Some(pair) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PlaceError::Twice(pair[0].clone()));
        }
        Ok(found)
    }
}

fn top(node: &Node, target: &TreeUri) -> Result<TreeUri, PlaceError> {
    let path = node.path.as_deref().unwrap_or_default();
    let is_target = matches!(&*node.name, "" | ".") || target.name() == Some(&*node.name);
    if matches!(path, "" | "." | "./") {
        return if is_target { Ok(target.clone()) } else { joined(target, node) };
    }
    let refused = |reason| PlaceError::Uri { name: node.name.clone(), reason };
    let path = path.strip_suffix('/').unwrap_or(path);
    let whole = TreeUri::parse(path).map_err(refused)?;
    let placed = if node.name.is_empty() { whole.clone() } else { joined(&whole, node)? };
    if target.is_prefix_of(&placed) {
        return Ok(placed);
    }
    let relative = path.strip_prefix("./").unwrap_or(path);
    let base = TreeUri::parse(&format!("{}/{relative}", target.path())).map_err(refused)?;
    if node.name.is_empty() { Ok(base) } else { joined(&base, node) }
}

fn below<'a>(node: &'a Node, uri: TreeUri, found: &mut Vec<Placed<'a>>) -> Result<(), PlaceError> {
    found.push(Placed { uri: uri.clone(), node });
    for child in &node.children {
        below(child, joined(&uri, child)?, found)?;
    }
    Ok(())
}

fn joined(above: &TreeUri, node: &Node) -> Result<TreeUri, PlaceError> {
    let refused = |reason| PlaceError::Uri { name: node.name.clone(), reason };
    if matches!(&*node.name, "" | ".") {
        return Err(refused(UriError::EmptySegment));
    }
    above.join(&node.name).map_err(refused)
}
