//! The registry of management objects: what is known of the nodes of a tree before a device is asked.
//!
//! Promises
//! - The built-in descriptions ([`builtin`]) are data files of our own writing; any DDF can be added ([`Object::of_ddf`]).
//!   Where one that was added covers a node, the built-in ones are silent about it.
//! - An object may be mounted anywhere: where a device's tree is known ([`Mounts`]) its identifiers say where; else the
//!   places that its DDF names, and for ours the usual ones.
//! - [`Registry::check`] refuses only what a description forbids, with the rule; what no description covers passes.
//!
//! A description says what holds for every device; one device may differ. So a refusal here is advice that a person
//! with the permission for it may set aside.

pub mod builtin;
pub mod check;
pub mod complete;
pub mod mounts;
pub mod object;

pub use check::{Asked, Forbidden, Rule};
pub use complete::Completion;
pub use mounts::Mounts;
pub use object::{Object, ObjectError, Origin};

use std::sync::{Arc, OnceLock};

use crate::{
    ddf::{CaseSense, Node},
    uri::TreeUri,
};

/// Objects that can be looked up.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    objects: Vec<Arc<Object>>,
}

/// What is known of one address.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The object that covers it.
    pub object: &'a Object,
    /// How it covers it.
    pub found: Found<'a>,
}

/// How a description covers an address.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// It describes this node.
    Node(&'a Node),
    /// It describes a node above without saying what stands below.
    Open,
    /// It describes what stands beside it, and not this.
    Unknown,
}

impl Registry {
    /// The built-in objects.
    #[must_use]
    pub fn built_in() -> Self {
        static OBJECTS: OnceLock<Vec<Arc<Object>>> = OnceLock::new();
        Self { objects: OBJECTS.get_or_init(builtin::objects).clone() }
    }

    /// The same with these objects added.
    #[must_use]
    pub fn with(mut self, added: impl IntoIterator<Item = Object>) -> Self {
        self.objects.extend(added.into_iter().map(Arc::new));
        self
    }

    /// The objects, the built-in ones first.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().map(AsRef::as_ref)
    }

    /// The object of this name.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects().find(|object| object.name == name)
    }

    /// What is known of this address, the query aside. Several objects may cover one place.
    #[must_use]
    pub fn known(&self, uri: &TreeUri, mounts: &Mounts) -> Vec<Known<'_>> {
        let segments: Vec<&str> = uri.segments().collect();
        let alias = other_scope(&segments);
        let mut all = Vec::new();
        for object in self.objects() {
            for mount in object.mounts(mounts) {
                let below = mount.covers(&segments).or_else(|| mount.covers(alias.as_deref()?));
                let Some(below) = below else { continue };
                all.push(Known { object, found: descend(&object.root, below) });
            }
        }
        if all.iter().any(|known| known.object.origin == Origin::Imported) {
            all.retain(|known| known.object.origin == Origin::Imported);
        }
        all
    }

    /// The description of a node, where there is just one, or several that are the same in what counts here.
    #[must_use]
    pub fn node(&self, uri: &TreeUri, mounts: &Mounts) -> Option<&Node> {
        let mut nodes = self.known(uri, mounts).into_iter().filter_map(|known| match known.found {
            Found::Node(node) => Some(node),
            Found::Open | Found::Unknown => None,
        });
        let first = nodes.next()?;
        nodes
            .all(|other| other.df.format == first.df.format && other.df.access == first.df.access)
            .then_some(first)
    }

    /// Whether a description says that the node's value is never read: a leaf that takes values but no Get.
    #[must_use]
    pub fn is_secret(&self, uri: &TreeUri, mounts: &Mounts) -> bool {
        use crate::ddf::Verb;
        self.known(uri, mounts).iter().any(|known| match known.found {
            Found::Node(node) => {
                let access = node.df.access;
                node.children.is_empty()
                    && !access.has(Verb::Get)
                    && (access.has(Verb::Add) || access.has(Verb::Replace))
                    && node.df.format != Some(crate::tnds::Format::Node)
            }
            Found::Open | Found::Unknown => false,
        })
    }
}

/// Descriptions for Windows say `./Vendor` or `./Device/Vendor` for the scope of the device (DDF files of Microsoft's CSPs): what
/// one of them says is taken to hold under the other name too.
fn other_scope<'n>(segments: &[&'n str]) -> Option<Vec<&'n str>> {
    match segments {
        ["Device", "Vendor", ..] => Some(segments[1..].to_vec()),
        ["Vendor", ..] => Some([&["Device"], segments].concat()),
        _ => None,
    }
}

fn descend<'a>(root: &'a Node, below: &[&str]) -> Found<'a> {
    let (mut node, mut ignore_case) = (root, false);
    for name in below {
        if node.children.is_empty() {
            return if node.is_leaf() { Found::Unknown } else { Found::Open };
        }
        ignore_case |= node.df.case_sense == Some(CaseSense::Cis);
        let same = |child: &&Node| {
            child.name == **name
                || ignore_case && child.name.eq_ignore_ascii_case(name) && !child.name.is_empty()
        };
        let named = node.children.iter().find(same);
        let Some(child) = named.or_else(|| node.children.iter().find(|child| child.name.is_empty())) else {
            return Found::Unknown;
        };
        node = child;
    }
    Found::Node(node)
}
