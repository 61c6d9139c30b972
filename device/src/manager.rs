//! The configuration manager: every command of a server on the tree passes here.
//!
//! Promise: the node must be there (404), take the command by its AccessType (405), and its effective ACL must let
//! this server give it (425), in this order; only then is the tree changed or a provider asked. A failed
//! command leaves the tree as it was. Codes follow OMA-TS-DM_RepPro 6.6 and OMA-TS-DM_TND 7.

mod dialogue;
mod execute;
mod property;
mod subtree;
mod value;

use postern_wire::{
    syncml::{Data, Encoding, Item, Location, Meta},
    terms::{UtcMillis, Verb},
};

use crate::{
    codes::Code,
    csp::{Change, Exec, Executed, Providers},
    enrolment::Account,
    event::Event,
    interaction::UserInterface,
    state::State,
    tree::{
        acl::Acl,
        node::{Format, Node},
        path::{Aspect, Path},
    },
};
pub use execute::{Answer, Run};
pub(crate) use subtree::nodes_of;
pub(crate) use value::Carried;

/// The manager for one server's commands.
pub struct Manager<'a> {
    /// The device's memory, its tree in it.
    pub state: &'a mut State,
    /// The providers of this device.
    pub csp: &'a Providers,
    /// Whose device this is; its ServerID is who the ACLs are asked about.
    pub account: &'a Account,
    /// How octets travel in Results.
    pub encoding: Encoding,
    /// The device's time.
    pub now: UtcMillis,
    /// What happened.
    pub events: &'a mut Vec<Event>,
    /// The person at the device.
    pub ui: &'a mut dyn UserInterface,
    /// The user gave up: nothing more of this message is executed.
    pub cancelled: bool,
    /// Octets that the answers to one Atomic may have.
    pub atomic_octets: usize,
}

impl Manager<'_> {
    /// Get: the Items of the Results.
    pub fn get(&mut self, uri: &str) -> Result<Vec<Item>, Code> {
        let (path, aspect) = Path::parse(uri)?;
        self.look(&path)?;
        let node = self.state.tree.get(&path).ok_or(Code::NOT_FOUND)?;
        match aspect {
            Aspect::Property(name) => {
                self.require(Verb::Get, &path)?;
                let value = property::get(node, path.name(), &name)?;
                let data = Some(Data::Text(value));
                Ok(vec![Item { source: Some(Location::uri(uri)), data, ..Item::default() }])
            }
            Aspect::Listing(what) if what.starts_with("TNDS") => self.list_tnds(uri, &path, &what),
            Aspect::Listing(what) => self.list(&path, &what),
            Aspect::Node => {
                self.permit(Verb::Get, &path, node)?;
                Ok(vec![value::item(uri, node, self.encoding, true)])
            }
        }
    }

    /// Lets the providers bring what may be read up to date, if this server may read there at all.
    fn look(&mut self, path: &Path) -> Result<(), Code> {
        if self.require(Verb::Get, path).is_ok() {
            self.csp.refresh(self.state, path, self.now)?;
        }
        Ok(())
    }

    /// Get with `?list=`: Struct and StructData; of the nodes below, those that this server may read.
    fn list(&self, path: &Path, what: &str) -> Result<Vec<Item>, Code> {
        let with_data = match what {
            "Struct" => false,
            "StructData" => true,
            _ => return Err(Code::UNSUPPORTED),
        };
        self.require(Verb::Get, path)?;
        let mut items = Vec::new();
        self.state.tree.walk(path, &mut |below, node| {
            if self.require(Verb::Get, below).is_ok() {
                let with_data = with_data && !node.is_interior() && node.access.allows(Verb::Get);
                items.push(value::listed(&below.to_string(), node, self.encoding, with_data));
            }
        });
        Ok(items)
    }

    /// Add: a leaf or an interior node; missing parents come with it.
    pub fn add(&mut self, uri: &str, meta: &Meta, data: Option<&Data>) -> Result<(), Code> {
        let (path, aspect) = Path::parse(uri)?;
        if aspect != Aspect::Node {
            return Err(Code::NOT_ALLOWED);
        }
        if subtree::is_tnds(meta) {
            return self.add_tnds(&path, meta, data);
        }
        if path.names().first().is_some_and(|name| name == subtree::INBOX) {
            return Err(if path.names().len() == 1 { Code::EXISTS } else { Code::BAD_FORMAT });
        }
        let missing = self.may_add(&path)?;
        let parent = path.parent().ok_or(Code::EXISTS)?;
        let new = self.new_node(&parent, Carried::of(meta, data)?)?;
        self.all_or_nothing(|manager| {
            manager.make_parents(&missing)?;
            manager.state.tree.insert(&path, new)?;
            manager.changed(Verb::Add, &path)
        })
    }

    /// Whether this server may add a node there; the parents that have to come with it, the nearest first.
    fn may_add(&self, path: &Path) -> Result<Vec<Path>, Code> {
        if self.state.tree.get(path).is_some() {
            return Err(Code::EXISTS);
        }
        let mut missing = Vec::new();
        let mut above = path.parent().ok_or(Code::EXISTS)?;
        let ancestor = loop {
            match self.state.tree.get(&above) {
                Some(node) => break node,
                None => {
                    let next = above.parent().ok_or(Code::NOT_FOUND)?;
                    missing.push(std::mem::replace(&mut above, next));
                }
            }
        };
        if !ancestor.is_interior() {
            return Err(Code::NOT_ALLOWED);
        }
        self.permit(Verb::Add, &above, ancestor)?;
        Ok(missing)
    }

    fn make_parents(&mut self, missing: &[Path]) -> Result<(), Code> {
        for parent in missing.iter().rev() {
            if self.state.tree.get(parent).is_some() {
                continue; // the provider planted it beside the one before
            }
            self.state.tree.insert(parent, Node::interior())?;
            self.changed(Verb::Add, parent)?;
        }
        Ok(())
    }

    /// Does a change, or leaves tree and memories as they were.
    fn all_or_nothing(&mut self, change: impl FnOnce(&mut Self) -> Result<(), Code>) -> Result<(), Code> {
        let before = self.state.snapshot();
        let done = change(self);
        if done.is_err() {
            self.state.go_back(before);
        }
        done
    }

    /// Tells a node's provider that the tree has taken a change.
    fn changed(&mut self, verb: Verb, path: &Path) -> Result<(), Code> {
        self.stamp(path)?;
        let change = Change { verb, path, account: self.account, now: self.now };
        self.csp.of(path).changed(self.state, &change)
    }

    /// TStamp and VerNo of a node that has changed.
    fn stamp(&mut self, path: &Path) -> Result<(), Code> {
        let now = self.now;
        match self.state.tree.update(path, |node| node.stamp(now)) {
            Err(Code::NOT_FOUND) => Ok(()), // it was deleted
            done => done,
        }
    }

    /// TND 7.7.1.3: on an interior node that a server could not replace it gets a list of its own.
    fn acl_of_new(&self, parent: &Path) -> Acl {
        let server = &self.account.server_id;
        if self.state.tree.effective_acl(parent).allows(Verb::Replace, server) {
            return Acl::default();
        }
        Acl::default().granting(server, &[Verb::Add, Verb::Delete, Verb::Replace])
    }

    /// The node that Add makes.
    fn new_node(&self, parent: &Path, carried: Carried) -> Result<Node, Code> {
        let media_type = carried.media_type;
        if carried.format.unwrap_or(Format::Chr) != Format::Node {
            let format = carried.format.unwrap_or(Format::Chr);
            let value = match format {
                Format::Null => Vec::new(),
                _ => carried.value.ok_or(Code::INCOMPLETE)?,
            };
            format.check(&value)?;
            return Ok(Node::leaf(format, value).of_type(media_type));
        }
        if carried.value.is_some_and(|value| !value.is_empty()) {
            return Err(Code::BAD_FORMAT);
        }
        let acl = self.acl_of_new(parent);
        Ok(Node::interior().guarded_by(acl).of_type(media_type))
    }

    /// Replace: a leaf's value, or a property.
    pub fn replace(&mut self, uri: &str, meta: &Meta, data: Option<&Data>) -> Result<(), Code> {
        let (path, aspect) = Path::parse(uri)?;
        if let Some(parent) = path.parent().and_then(|parent| self.state.tree.get(&parent))
            && !parent.is_interior()
        {
            return Err(Code::NOT_ALLOWED);
        }
        let node = self.state.tree.get(&path).ok_or(Code::NOT_FOUND)?;
        match aspect {
            Aspect::Listing(_) => return Err(Code::NOT_ALLOWED),
            Aspect::Property(name) => return self.replace_property(&path, &name, data),
            Aspect::Node => {}
        }
        if subtree::is_tnds(meta) {
            return self.replace_tnds(&path, meta, data);
        }
        if node.is_interior() {
            return Err(Code::NOT_ALLOWED);
        }
        self.permit(Verb::Replace, &path, node)?;
        let carried = Carried::of(meta, data)?;
        let format = match carried.format {
            None => node.format,
            Some(Format::Node) => return Err(Code::NOT_ALLOWED),
            Some(format) if node.permanent && format != node.format => return Err(Code::BAD_FORMAT),
            Some(format) => format,
        };
        let value = match format {
            Format::Null => Vec::new(),
            _ => carried.value.ok_or(Code::INCOMPLETE)?,
        };
        format.check(&value)?;
        self.all_or_nothing(|manager| {
            manager.state.tree.update(&path, |node| {
                node.format = format;
                node.value = value;
                node.media_type = carried.media_type.or(node.media_type.take());
            })?;
            manager.changed(Verb::Replace, &path)
        })
    }

    /// Delete: a node and what is below it, unless one of them is permanent.
    pub fn delete(&mut self, uri: &str) -> Result<(), Code> {
        let (path, aspect) = Path::parse(uri)?;
        let node = self.state.tree.get(&path).ok_or(Code::NOT_FOUND)?;
        if aspect != Aspect::Node || path == Path::root() || node.holds_permanent() {
            return Err(Code::NOT_ALLOWED);
        }
        self.permit(Verb::Delete, &path, node)?;
        self.all_or_nothing(|manager| {
            manager.state.tree.remove(&path)?;
            manager.changed(Verb::Delete, &path)
        })
    }

    /// Copy: a leaf to a leaf.
    pub fn copy(&mut self, from: &str, to: &str) -> Result<(), Code> {
        let ((source, Aspect::Node), (target, Aspect::Node)) = (Path::parse(from)?, Path::parse(to)?) else {
            return Err(Code::NOT_ALLOWED);
        };
        self.look(&source)?;
        let node = self.state.tree.get(&source).ok_or(Code::NOT_FOUND)?;
        if node.is_interior() {
            return Err(Code::FORBIDDEN);
        }
        self.permit(Verb::Get, &source, node)?;
        let meta = Meta {
            format: Some(node.format.as_str().to_owned()),
            type_: node.media_type.clone(),
            ..Meta::default()
        };
        let data = match node.text() {
            Some(text) => Data::Text(text.to_owned()),
            None => Data::Binary(node.value.clone()),
        };
        match self.state.tree.get(&target) {
            Some(there) if there.is_interior() => Err(Code::FORBIDDEN),
            Some(_) => self.replace(to, &meta, Some(&data)),
            None => self.add(to, &meta, Some(&data)),
        }
    }

    /// Exec: the provider's to obey.
    pub fn exec(&mut self, uri: &str, data: Option<&Data>, correlator: Option<&str>) -> Result<Code, Code> {
        let (path, aspect) = Path::parse(uri)?;
        let node = self.state.tree.get(&path).ok_or(Code::NOT_FOUND)?;
        if aspect != Aspect::Node {
            return Err(Code::NOT_ALLOWED);
        }
        self.permit(Verb::Exec, &path, node)?;
        let data = data.map(value::octets).unwrap_or_default();
        let exec = Exec { path: &path, data: &data, correlator, account: self.account, now: self.now };
        match self.csp.of(&path).exec(self.state, &exec, self.events)? {
            Executed::Done(code) => Ok(code),
            Executed::Accepted => Ok(Code::ACCEPTED),
        }
    }

    fn replace_property(&mut self, path: &Path, name: &str, data: Option<&Data>) -> Result<(), Code> {
        let value = data.map(value::octets).unwrap_or_default();
        let value = String::from_utf8(value).map_err(|_| Code::BAD_FORMAT)?;
        match property::writable(name)? {
            property::Writable::Acl => {
                if self.state.tree.acl_is_fixed(path) {
                    return Err(Code::NOT_ALLOWED);
                }
                let acl = Acl::parse(&value)?;
                self.require_acl_rights(path)?;
                if *path == Path::root() && acl.is_empty() {
                    return Err(Code::NOT_ALLOWED);
                }
                self.state.tree.update(path, |node| node.acl = acl)?;
                self.stamp(path)
            }
            property::Writable::Title => {
                self.require(Verb::Replace, path)?;
                if value.len() > property::TITLE_OCTETS {
                    return Err(Code::TOO_LARGE);
                }
                let title = Some(value).filter(|title| !title.is_empty());
                self.state.tree.update(path, |node| node.title = title)?;
                self.stamp(path)
            }
            property::Writable::Name => {
                let node = self.state.tree.get(path).ok_or(Code::NOT_FOUND)?;
                if node.holds_permanent() {
                    return Err(Code::NOT_ALLOWED);
                }
                self.require(Verb::Replace, path)?;
                let to = property::node_name(&value)?;
                let renamed = path.parent().ok_or(Code::NOT_ALLOWED)?.child(to);
                self.all_or_nothing(|manager| {
                    manager.state.tree.rename(path, to)?;
                    manager.changed(Verb::Delete, path)?;
                    manager.changed(Verb::Add, &renamed)
                })
            }
        }
    }

    /// TND 7.7.1: to change a list takes Replace on the parent, or, on an interior node, on the node itself.
    fn require_acl_rights(&self, path: &Path) -> Result<(), Code> {
        let node = self.state.tree.get(path).ok_or(Code::NOT_FOUND)?;
        let own = node.is_interior() && self.require(Verb::Replace, path).is_ok();
        let above = path.parent().is_some_and(|parent| self.require(Verb::Replace, &parent).is_ok());
        if own || above { Ok(()) } else { Err(Code::DENIED) }
    }

    fn permit(&self, verb: Verb, path: &Path, node: &Node) -> Result<(), Code> {
        if !node.access.allows(verb) {
            return Err(Code::NOT_ALLOWED);
        }
        self.require(verb, path)
    }

    fn require(&self, verb: Verb, path: &Path) -> Result<(), Code> {
        if self.state.tree.effective_acl(path).allows(verb, &self.account.server_id) {
            Ok(())
        } else {
            Err(Code::DENIED)
        }
    }
}

#[cfg(test)]
mod tests;
