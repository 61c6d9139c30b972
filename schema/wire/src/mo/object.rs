//! One management object: a described node, its identifier, and where it stands.

use super::Mounts;
use crate::{
    ddf::{Ddf, Node},
    tnds::{Format, NodeType},
    uri::{TreeUri, UriError},
};

/// Where a description comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// One of ours.
    BuiltIn,
    /// An operator's file.
    Imported,
}

/// A management object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What it is called here: `DMAcc`, or the name that it was imported under.
    pub name: String,
    /// The identifier of the management object: `urn:oma:mo:oma-dm-dmacc:1.0`.
    pub id: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// The described node; without a name where each instance has its own.
    pub root: Node,
    /// Where it stands by default.
    places: Vec<TreeUri>,
}

/// Why a description makes no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Its Path and NodeName make no address.
    #[error("the node {name:?} has no address: {reason}")]
    Place {
        /// NodeName.
        name: String,
        /// What is wrong.
        reason: UriError,
    },
}

/// A place where an object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The address of its root; of the node above where the root has no name.
    pub at: TreeUri,
    /// Whether the root has whatever name.
    pub any_name: bool,
}

impl Mount {
    /// The names below the root, when the address lies in the object.
    pub(super) fn covers<'s, 'n>(&self, segments: &'s [&'n str]) -> Option<&'s [&'n str]> {
        let mut rest = segments;
        for name in self.at.segments() {
            let (first, after) = rest.split_first()?;
            if *first != name {
                return None;
            }
            rest = after;
        }
        if self.any_name { rest.split_first().map(|(_, after)| after) } else { Some(rest) }
    }
}

impl Object {
    /// The objects of a description: one for each node at its top, all under one name.
    ///
    /// # Errors
    /// [`ObjectError`] where a Path makes no address.
    pub fn of_ddf(name: &str, ddf: Ddf, origin: Origin) -> Result<Vec<Self>, ObjectError> {
        ddf.nodes.into_iter().map(|root| Self::new(name, root, origin, &[])).collect()
    }

    /// One object; `places` stand beside what its Path says, as the addresses of roots or of the nodes above them.
    pub(super) fn new(name: &str, root: Node, origin: Origin, places: &[&str]) -> Result<Self, ObjectError> {
        let refused = |reason| ObjectError::Place { name: root.name.clone(), reason };
        let above =
            TreeUri::parse(root.path.as_deref().unwrap_or(".").trim_end_matches('/')).map_err(refused)?;
        let at = if root.name.is_empty() { above } else { above.join(&root.name).map_err(refused)? };
        let mut all = vec![at.node()];
        for place in places {
            all.push(TreeUri::parse(place).map_err(refused)?);
        }
        let id = match &root.df.type_ {
            Some(NodeType::DdfName(id)) if !id.is_empty() => Some(id.clone()),
            _ => None,
        };
        Ok(Self { name: name.to_owned(), id, origin, root, places: all })
    }

    /// Where it stands by default: addresses, with `/*` behind those whose root has whatever name.
    pub fn places(&self) -> impl Iterator<Item = String> {
        let any = if self.root.name.is_empty() { "/*" } else { "" };
        self.places.iter().map(move |place| format!("{place}{any}"))
    }

    /// Where it stands on a device whose tree is known as far as `mounts` says.
    #[must_use]
    pub fn mounts(&self, mounts: &Mounts) -> Vec<Mount> {
        let any_name = self.root.name.is_empty();
        let known = self.id.as_deref().map(|id| mounts.of(id)).unwrap_or_default();
        let known = known.iter().filter_map(|at| if any_name { at.parent() } else { Some((*at).clone()) });
        let mut all: Vec<Mount> = known.map(|at| Mount { at, any_name }).collect();
        // New accounts may still be made in the usual place; an object with a name stands where it was found.
        if all.is_empty() || any_name {
            all.extend(self.places.iter().map(|at| Mount { at: at.clone(), any_name }));
        }
        let mut seen = Vec::new();
        all.retain(|mount| {
            !seen.contains(&mount.at) && {
                seen.push(mount.at.clone());
                true
            }
        });
        all
    }
}

impl Node {
    /// Whether it has a value: by its DFFormat; without one, whether anything is described below it.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        match self.df.format {
            Some(format) => format != Format::Node,
            None => self.children.is_empty(),
        }
    }
}
