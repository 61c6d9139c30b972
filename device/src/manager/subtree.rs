//! Subtrees in one command: `?list=TNDS` on Get, TNDS as the Type of Add and Replace, and ./Inbox
//! (OMA-TS-DM_TND 8, OMA-TS-DM_TNDS 1.2, OMA-TS-DM_StdObj 5.3.4).
//!
//! Promise: a subtree stands whole or not at all; only what the server may read is written, and a secret's value never.

use postern_wire::{
    syncml::{Data, Encoding, Item, Location, Meta},
    terms::Verb,
    tnds::{self, MgmtTree, NodeType, RtProperties},
    uri::TreeUri,
};

use super::{Manager, property};
use crate::{
    codes::Code,
    tree::{
        acl::Acl,
        node::{Format, Node},
        path::Path,
    },
};

/// Where management objects are sent whose place the device knows.
pub(super) const INBOX: &str = "Inbox";

impl Manager<'_> {
    /// `?list=TNDS`, with `+` or `-` and the properties that are wanted or not.
    pub(super) fn list_tnds(&self, uri: &str, path: &Path, what: &str) -> Result<Vec<Item>, Code> {
        self.require(Verb::Get, path)?;
        let wanted = Wanted::parse(what)?;
        let node = self.state.tree.get(path).ok_or(Code::NOT_FOUND)?;
        let mut top = self.exported(path, node, &wanted);
        top.path = path.parent().map(|parent| parent.to_string());
        let mut tree = MgmtTree::new(vec![top]);
        let leaf = |name: &str| {
            let (path, _) = Path::parse(&format!("./DevInfo/{name}")).ok()?;
            self.state.tree.get(&path)?.text().map(ToOwned::to_owned)
        };
        (tree.man, tree.model) = (leaf("Man"), leaf("Mod"));
        let data = tnds::to_data(&tree, self.encoding).map_err(|_| Code::FAILED)?;
        let (format, type_) = match self.encoding {
            Encoding::Xml => ("xml", tnds::XML_TYPE),
            Encoding::Wbxml => ("bin", tnds::WBXML_TYPE),
        };
        let meta = Meta { format: Some(format.into()), type_: Some(type_.into()), ..Meta::default() };
        Ok(vec![Item { source: Some(Location::uri(uri)), meta, data: Some(data), ..Item::default() }])
    }

    fn exported(&self, path: &Path, node: &Node, wanted: &Wanted) -> tnds::Node {
        let get = |name: &str| {
            let text = property::get(node, path.name(), name).ok()?;
            (wanted.has(name) && !text.is_empty()).then_some(text)
        };
        let type_ = node.media_type.clone().unwrap_or_default();
        let properties = RtProperties {
            acl: get("ACL"),
            // what the value has to be read by is never left out
            format: (wanted.has("Format") || node.format != Format::Chr).then(|| node.format.in_tnds()),
            name: get("Name"),
            size: get("Size"),
            title: get("Title"),
            t_stamp: get("TStamp"),
            type_: Some(if node.is_interior() {
                NodeType::DdfName(type_)
            } else {
                NodeType::Mime(if type_.is_empty() { "text/plain".into() } else { type_ })
            }),
            ver_no: get("VerNo"),
        };
        let shown = wanted.has("Value") && !node.is_interior() && node.access.allows(Verb::Get);
        let value = shown.then(|| match node.text().filter(|_| node.format != Format::Bin) {
            Some(text) => Data::Text(text.to_owned()),
            None if self.encoding == Encoding::Xml => {
                Data::Text(postern_wire::auth::encode_base64(&node.value))
            }
            None => Data::Binary(node.value.clone()),
        });
        let mut exported = tnds::Node {
            name: path.name().unwrap_or(".").to_owned(),
            properties,
            value: value.filter(|_| node.format != Format::Null),
            ..tnds::Node::default()
        };
        if self.encoding == Encoding::Xml && node.format == Format::Bin {
            exported.properties.format = Some(tnds::Format::B64);
        }
        for name in node.child_names() {
            let below = path.child(name);
            if let Some(child) =
                self.state.tree.get(&below).filter(|_| self.require(Verb::Get, &below).is_ok())
            {
                exported.children.push(self.exported(&below, child, wanted));
            }
        }
        exported
    }

    /// Add of a TNDS document: the target and all below must be new.
    pub(super) fn add_tnds(&mut self, path: &Path, meta: &Meta, data: Option<&Data>) -> Result<(), Code> {
        let tree = document(meta, data)?;
        if path.names().first().is_some_and(|name| name == INBOX) {
            return self.add_to_inbox(path, &tree);
        }
        let nodes = nodes_of(&tree, path)?;
        self.plant(nodes)
    }

    /// Replace of a TNDS document: what stands at the target goes, the document's subtree comes. The node keeps its own
    /// list where the document gives none.
    pub(super) fn replace_tnds(&mut self, path: &Path, meta: &Meta, data: Option<&Data>) -> Result<(), Code> {
        let tree = document(meta, data)?;
        let old = self.state.tree.get(path).ok_or(Code::NOT_FOUND)?;
        if *path == Path::root() || old.holds_permanent() {
            return Err(Code::NOT_ALLOWED);
        }
        self.permit(Verb::Replace, path, old)?;
        let kept = old.acl.clone();
        let mut nodes = nodes_of(&tree, path)?;
        let (top_path, top) = nodes.first_mut().ok_or(Code::INCOMPLETE)?;
        if top_path != path {
            return Err(Code::BAD_FORMAT);
        }
        if top.acl.is_empty() {
            top.acl = kept;
        } else if top.acl != kept {
            self.require_acl_rights(path)?;
        }
        self.all_or_nothing(|manager| {
            manager.state.tree.remove(path)?;
            manager.changed(Verb::Delete, path)?;
            manager.insert_all(nodes)
        })
    }

    /// ./Inbox: each object goes where its identifier says, under a name that is free there.
    fn add_to_inbox(&mut self, path: &Path, tree: &MgmtTree) -> Result<(), Code> {
        let inbox = Path::root().child(INBOX);
        let there = self.state.tree.get(&inbox).ok_or(Code::NOT_FOUND)?;
        self.permit(Verb::Add, &inbox, there)?;
        if path.names().len() > 2 {
            return Err(Code::NOT_ALLOWED);
        }
        let mut nodes = Vec::new();
        for object in &tree.nodes {
            let id = object.properties.type_.as_ref().map(NodeType::as_str).filter(|id| !id.is_empty());
            let place = self.place_of(id.ok_or(Code::BAD_FORMAT)?).ok_or(Code::BAD_FORMAT)?;
            let name = self.free_name(&place, &object.name);
            let alone = MgmtTree { nodes: vec![tnds::Node { path: None, ..object.clone() }], ..tree.clone() };
            nodes.extend(nodes_of(&alone, &place.child(&name))?);
        }
        self.all_or_nothing(|manager| manager.insert_all(nodes))
    }

    /// Where objects of this identifier stand: beside one that is there, or at the place that the standard gives.
    fn place_of(&self, id: &str) -> Option<Path> {
        if id.starts_with("urn:oma:mo:oma-dm-dmacc:") {
            return Some(Path::root().child("DMAcc"));
        }
        let mut place = None;
        self.state.tree.walk(&Path::root(), &mut |path, node| {
            if place.is_none() && node.is_interior() && node.media_type.as_deref() == Some(id) {
                place = path.parent().filter(|_| !node.permanent);
            }
        });
        place
    }

    fn free_name(&self, place: &Path, wanted: &str) -> String {
        let free = |name: &str| self.state.tree.get(&place.child(name)).is_none();
        if property::node_name(wanted).is_ok() && free(wanted) {
            return wanted.to_owned();
        }
        let mut numbers = (1u32..).map(|number| number.to_string());
        numbers.find(|name| free(name)).unwrap_or_default()
    }

    /// Adds nodes where nothing may stand yet, with the parents that are missing.
    fn plant(&mut self, mut nodes: Vec<(Path, Node)>) -> Result<(), Code> {
        let (top, node) = nodes.first_mut().ok_or(Code::INCOMPLETE)?;
        let missing = self.may_add(top)?;
        let parent = top.parent().ok_or(Code::EXISTS)?;
        if node.is_interior() && node.acl.is_empty() {
            node.acl = self.acl_of_new(&parent);
        }
        self.all_or_nothing(|manager| {
            manager.make_parents(&missing)?;
            manager.insert_all(nodes)
        })
    }

    /// Inserts nodes, parents first. What a provider planted beside one of them is filled in.
    fn insert_all(&mut self, nodes: Vec<(Path, Node)>) -> Result<(), Code> {
        for (path, node) in nodes {
            match self.state.tree.get(&path) {
                None => {
                    self.state.tree.insert(&path, node)?;
                    self.changed(Verb::Add, &path)?;
                }
                Some(there) if there.is_interior() && node.is_interior() && there.permanent => {}
                Some(there) if there.permanent && there.format == node.format => {
                    let value = node.value;
                    self.state.tree.update(&path, |there| there.value = value)?;
                    self.changed(Verb::Replace, &path)?;
                }
                Some(_) => return Err(Code::EXISTS),
            }
        }
        Ok(())
    }
}

/// Whether this Type says that Data is a subtree.
pub(super) fn is_tnds(meta: &Meta) -> bool {
    meta.type_.as_deref().is_some_and(|text| text.trim().starts_with("application/vnd.syncml.dmtnds+"))
}

fn document(meta: &Meta, data: Option<&Data>) -> Result<MgmtTree, Code> {
    let data = data.ok_or(Code::INCOMPLETE)?;
    tnds::of_data(data, meta.type_.as_deref(), &tnds::Limits::default()).map_err(|_| Code::BAD_FORMAT)
}

/// The nodes of a document on `target`, parents first.
pub(crate) fn nodes_of(tree: &MgmtTree, target: &Path) -> Result<Vec<(Path, Node)>, Code> {
    let target = TreeUri::parse(&target.to_string()).map_err(|_| Code::NOT_FOUND)?;
    // a document of one object is the target, whatever the object is called there
    let renamed = match tree.nodes.as_slice() {
        [one] if one.path.as_deref().is_none_or(|path| matches!(path, "" | "." | "./")) => {
            let top = tnds::Node { name: String::new(), path: None, ..one.clone() };
            Some(MgmtTree { nodes: vec![top], ..tree.clone() })
        }
        _ => None,
    };
    let placed = renamed.as_ref().unwrap_or(tree).placed(&target).map_err(|_| Code::BAD_FORMAT)?;
    let nodes = placed.into_iter().map(|placed| {
        let (path, _) = Path::parse(placed.uri.as_str())?;
        Ok((path, node_of(placed.node)?))
    });
    nodes.collect()
}

fn node_of(node: &tnds::Node) -> Result<Node, Code> {
    let properties = &node.properties;
    let type_ = properties.type_.as_ref().map(|type_| type_.as_str().trim()).filter(|text| !text.is_empty());
    let acl = properties.acl.as_deref().map(Acl::parse).transpose()?.unwrap_or_default();
    let mut made = if node.is_interior() {
        Node::interior().of_type(type_.map(ToOwned::to_owned))
    } else {
        let format = properties.format.map_or(Format::Chr, Format::of_tnds);
        let value = match &node.value {
            None => Vec::new(),
            Some(Data::Markup(markup)) => markup.clone().into_bytes(),
            Some(_) => node.octets().ok_or(Code::BAD_FORMAT)?,
        };
        format.check(&value)?;
        Node::leaf(format, value).of_type(type_.filter(|text| *text != "text/plain").map(ToOwned::to_owned))
    };
    let title = properties.title.clone().filter(|title| !title.is_empty());
    if title.as_ref().is_some_and(|title| title.len() > property::TITLE_OCTETS) {
        return Err(Code::TOO_LARGE);
    }
    (made.title, made.acl) = (title, acl);
    Ok(made)
}

/// Which properties a TNDS listing shows.
struct Wanted(Vec<&'static str>);

impl Wanted {
    const ALL: [&'static str; 9] =
        ["ACL", "Format", "Name", "Size", "Title", "TStamp", "Type", "VerNo", "Value"];

    /// `TNDS`, `TNDS+Value+ACL`, `TNDS-Size`; `+` and `-` do not mix. 406 for what is none of these.
    fn parse(what: &str) -> Result<Self, Code> {
        let list = what.strip_prefix("TNDS").ok_or(Code::UNSUPPORTED)?;
        let named = |sign: char| -> Result<Vec<&'static str>, Code> {
            let names = list[1..].split(sign);
            let known = |name: &str| Self::ALL.into_iter().find(|known| *known == name);
            names.map(|name| known(name).ok_or(Code::UNSUPPORTED)).collect()
        };
        Ok(Self(match list.chars().next() {
            None => Self::ALL.to_vec(),
            Some('+') => named('+')?,
            Some('-') => {
                let unwanted = named('-')?;
                Self::ALL.into_iter().filter(|name| !unwanted.contains(name)).collect()
            }
            Some(_) => return Err(Code::UNSUPPORTED),
        }))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }
}
