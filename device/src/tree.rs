//! The management tree as a data structure: nodes, their properties, and what the tree itself forbids.
//!
//! Promise: a failed change leaves the tree as it was; a copy costs one reference count (an Atomic keeps one to
//! roll back to); the tree never holds more than [`MAX_NODES`] nodes and [`MAX_OCTETS`] of values. Who may do
//! what is not decided here but in [`crate::manager`].

pub mod acl;
pub mod node;
pub mod path;
mod saved;

use std::sync::Arc;

use acl::Acl;
use node::Node;
use path::Path;
pub use saved::{SavedNode, SavedTreeError};

use crate::codes::Code;

/// Nodes a tree holds at most.
pub const MAX_NODES: usize = 10_000;
/// Octets of values and names a tree holds at most.
pub const MAX_OCTETS: usize = 8 << 20;

/// A management tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: Arc<Node>,
    nodes: usize,
    octets: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new(Acl::of_root())
    }
}

impl Tree {
    /// A tree of the root alone. An empty list becomes the root's default: the root always has one.
    #[must_use]
    pub fn new(acl: Acl) -> Self {
        use postern_wire::terms::Verb::{Add, Get, Replace};
        let acl = if acl.is_empty() { Acl::of_root() } else { acl };
        let root = Node { acl, ..Node::interior().permanent(&[Add, Get, Replace]) };
        Self { root: Arc::new(root), nodes: 1, octets: 0 }
    }

    /// The node at `path`.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&Node> {
        let mut node = &*self.root;
        for name in path.names() {
            node = node.children.get(name)?;
        }
        Some(node)
    }

    /// The list that counts for `path`: its own, or the nearest ancestor's that is not empty. For a node that
    /// does not exist, what it would inherit.
    #[must_use]
    pub fn effective_acl(&self, path: &Path) -> &Acl {
        let mut node = &*self.root;
        let mut acl = &node.acl;
        for name in path.names() {
            let Some(child) = node.children.get(name) else { break };
            node = child;
            if !node.acl.is_empty() {
                acl = &node.acl;
            }
        }
        acl
    }

    /// Whether the list that counts for `path` is one that no server changes. A node that has a list of its own under
    /// such a one, as an account has that was bootstrapped, is its servers' to guard.
    #[must_use]
    pub fn acl_is_fixed(&self, path: &Path) -> bool {
        let mut node = &*self.root;
        let mut fixed = node.acl_is_fixed;
        for name in path.names() {
            let Some(child) = node.children.get(name) else { break };
            node = child;
            if !node.acl.is_empty() || node.acl_is_fixed {
                fixed = node.acl_is_fixed;
            }
        }
        fixed
    }

    /// Adds a node without children under a parent that exists. 404 no parent, 405 under a leaf, 418 there
    /// already, 420 no room.
    pub fn insert(&mut self, path: &Path, node: Node) -> Result<(), Code> {
        let Some((name, up)) = path.names().split_last() else { return Err(Code::EXISTS) };
        let octets = name.len() + weight(&node);
        let parent = find(&self.root, up).ok_or(Code::NOT_FOUND)?;
        if !parent.is_interior() {
            return Err(Code::NOT_ALLOWED);
        }
        if parent.children.contains_key(name) {
            return Err(Code::EXISTS);
        }
        self.make_room(1, octets)?;
        let parent = find_mut(&mut self.root, up).ok_or(Code::NOT_FOUND)?;
        parent.children.insert(name.clone(), Arc::new(node));
        self.nodes += 1;
        self.octets += octets;
        Ok(())
    }

    /// Changes a node's own fields through `change`. 404 not there, 420 no room for what it became.
    pub fn update(&mut self, path: &Path, change: impl FnOnce(&mut Node)) -> Result<(), Code> {
        let before = self.get(path).ok_or(Code::NOT_FOUND)?;
        let mut changed = before.clone();
        let was = weight(before);
        change(&mut changed);
        let is = weight(&changed);
        self.make_room(0, is.saturating_sub(was))?;
        let node = find_mut(&mut self.root, path.names()).ok_or(Code::NOT_FOUND)?;
        *node = changed;
        self.octets = self.octets + is - was;
        Ok(())
    }

    /// Takes a node and what is below it away. 404 not there, 405 the root.
    pub fn remove(&mut self, path: &Path) -> Result<(), Code> {
        let Some((name, up)) = path.names().split_last() else { return Err(Code::NOT_ALLOWED) };
        self.get(path).ok_or(Code::NOT_FOUND)?;
        let parent = find_mut(&mut self.root, up).ok_or(Code::NOT_FOUND)?;
        let removed = parent.children.remove(name).ok_or(Code::NOT_FOUND)?;
        let (nodes, octets) = count(&removed);
        self.nodes -= nodes;
        self.octets -= octets + name.len();
        Ok(())
    }

    /// Gives a node another name. 404 not there, 405 the root, 418 the name is taken.
    pub fn rename(&mut self, path: &Path, to: &str) -> Result<(), Code> {
        let Some((name, up)) = path.names().split_last() else { return Err(Code::NOT_ALLOWED) };
        self.get(path).ok_or(Code::NOT_FOUND)?;
        if name == to {
            return Ok(());
        }
        if find(&self.root, up).is_some_and(|parent| parent.children.contains_key(to)) {
            return Err(Code::EXISTS);
        }
        self.make_room(0, to.len().saturating_sub(name.len()))?;
        let parent = find_mut(&mut self.root, up).ok_or(Code::NOT_FOUND)?;
        let node = parent.children.remove(name).ok_or(Code::NOT_FOUND)?;
        parent.children.insert(to.to_owned(), node);
        self.octets = self.octets + to.len() - name.len();
        Ok(())
    }

    /// Visits the node at `path` and all below it, parents first, names sorted.
    pub fn walk(&self, path: &Path, visit: &mut dyn FnMut(&Path, &Node)) {
        if let Some(node) = self.get(path) {
            walk(path, node, visit);
        }
    }

    /// Whether a value of so many octets may find room beside what there is.
    #[must_use]
    pub fn has_room(&self, octets: u64) -> bool {
        usize::try_from(octets).is_ok_and(|octets| self.octets.saturating_add(octets) <= MAX_OCTETS)
    }

    /// Octets of values, titles and names.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.octets
    }

    fn make_room(&self, nodes: usize, octets: usize) -> Result<(), Code> {
        if self.nodes + nodes > MAX_NODES || self.octets + octets > MAX_OCTETS {
            return Err(Code::DEVICE_FULL);
        }
        Ok(())
    }
}

fn find<'a>(root: &'a Arc<Node>, names: &[String]) -> Option<&'a Node> {
    names.iter().try_fold(&**root, |node, name| node.children.get(name).map(|child| &**child))
}

fn find_mut<'a>(root: &'a mut Arc<Node>, names: &[String]) -> Option<&'a mut Node> {
    names.iter().try_fold(Arc::make_mut(root), |node, name| node.children.get_mut(name).map(Arc::make_mut))
}

fn walk(path: &Path, node: &Node, visit: &mut dyn FnMut(&Path, &Node)) {
    visit(path, node);
    for (name, child) in &node.children {
        walk(&path.child(name), child, visit);
    }
}

fn weight(node: &Node) -> usize {
    node.value.len()
        + node.title.as_ref().map_or(0, String::len)
        + node.media_type.as_ref().map_or(0, String::len)
}

/// Nodes and octets of a subtree, without the top's own name.
fn count(node: &Node) -> (usize, usize) {
    node.children.iter().fold((1, weight(node)), |(nodes, octets), (name, child)| {
        let (more, heavier) = count(child);
        (nodes + more, octets + heavier + name.len())
    })
}

#[cfg(test)]
mod tests;
