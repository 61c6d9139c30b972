//! A part of a device's tree as it was told.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    mo::Mounts,
    syncml::{Data, DecodeError},
    tnds::{self, Format, MgmtTree, Node, NodeType, PlaceError},
    uri::{Query, TreeUri},
};

/// What a snapshot holds at most; what is beyond is left out and said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Nodes. Default 20,000.
    pub nodes: usize,
    /// Octets of one value. Default 64 KiB.
    pub value_octets: usize,
    /// Octets of all values. Default 4 MiB.
    pub octets: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { nodes: 20_000, value_octets: 64 << 10, octets: 4 << 20 }
    }
}

/// One item of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// LocURI of its Source.
    pub uri: Option<String>,
    /// Meta Format.
    pub format: Option<String>,
    /// Meta Type.
    pub type_: Option<String>,
    /// The octets of its Data; markup as text.
    pub data: Vec<u8>,
}

/// A value as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptValue {
    /// Text or markup.
    Text(String),
    /// Octets, as base64.
    Base64(String),
}

/// What is known of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Type: of a leaf's value, or the identifier of the management object.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<KeptValue>,
    /// ACL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// TStamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_stamp: Option<String>,
    /// VerNo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ver_no: Option<String>,
    /// Whether the names of all nodes below it are known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub explored: bool,
    /// Whether it holds a secret, whose value is neither asked for nor kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// Whether its value was too long to be kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub too_long: bool,
    /// The status with which the device refused to tell of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u32>,
}

/// A part of a device's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The node that was asked about.
    pub root: TreeUri,
    /// What is known, by address.
    pub nodes: BTreeMap<TreeUri, Kept>,
    /// Items that had no place below the root, or for which there was none left.
    pub left_out: u32,
    /// Octets of all values.
    #[serde(default)]
    octets: usize,
}

impl Snapshot {
    /// A snapshot in which nothing is known yet.
    #[must_use]
    pub fn new(root: &TreeUri) -> Self {
        Self { root: root.node(), nodes: BTreeMap::new(), left_out: 0, octets: 0 }
    }

    /// The nodes as a person reads a tree: each before what is below it, siblings by name.
    #[must_use]
    pub fn ordered(&self) -> Vec<(&TreeUri, &Kept)> {
        let mut all: Vec<_> = self.nodes.iter().collect();
        all.sort_by(|(left, _), (right, _)| left.segments().cmp(right.segments()));
        all
    }

    /// The names of what is known directly below a node.
    pub fn children<'a>(&'a self, at: &'a TreeUri) -> impl Iterator<Item = &'a TreeUri> {
        let depth = at.segments().count() + 1;
        self.nodes.keys().filter(move |uri| uri.segments().count() == depth && at.is_prefix_of(uri))
    }

    /// Where management objects stand, as far as it says.
    #[must_use]
    pub fn mounts(&self) -> Mounts {
        let mut mounts = Mounts::default();
        for (uri, kept) in &self.nodes {
            if let (Some(Format::Node), Some(id)) = (kept.format, &kept.type_) {
                mounts.add(id, uri);
            }
        }
        mounts
    }

    /// Takes the answer to a Get of one node; gives the addresses below it when it is an interior node.
    pub fn take_get(&mut self, at: &TreeUri, told: &Told, mask: &Mask<'_>) -> Vec<TreeUri> {
        let at = at.node();
        let format = format_of(told);
        let Some(kept) = self.kept(&at, mask) else { return Vec::new() };
        kept.refused = None;
        kept.format = Some(format);
        note_type(kept, told.type_.as_deref());
        if format != Format::Node {
            self.value(&at, format, &told.data, mask);
            return Vec::new();
        }
        kept.explored = true;
        let names = String::from_utf8_lossy(&told.data).into_owned();
        let mut below = Vec::new();
        for name in names.split('/').map(str::trim).filter(|name| !name.is_empty() && *name != ".") {
            match at.join(name) {
                Ok(uri) if uri.query().is_none() && self.kept(&uri, mask).is_some() => below.push(uri),
                _ => self.left_out += 1,
            }
        }
        below
    }

    /// Takes the answer to a Get of `?list=Struct` or `StructData`: an item for each node. Gives how many were taken.
    pub fn take_items(&mut self, at: &TreeUri, items: &[Told], mask: &Mask<'_>) -> usize {
        let at = at.node();
        let mut taken = 0;
        for told in items {
            let uri = told.uri.as_deref().unwrap_or_default();
            let Some(uri) = place_of_item(&at, uri) else {
                self.left_out += 1;
                continue;
            };
            let format = format_of(told);
            let Some(kept) = self.kept(&uri, mask) else { continue };
            taken += 1;
            kept.format = Some(format);
            note_type(kept, told.type_.as_deref());
            if format == Format::Node {
                kept.explored = true;
            } else if !told.data.is_empty() {
                self.value(&uri, format, &told.data, mask);
            }
        }
        self.join_up(&at, mask);
        taken
    }

    /// Takes the answer to a Get of `?list=TNDS`: one document.
    ///
    /// # Errors
    /// [`NotTaken`] when it cannot be read or does not fit below the node; nothing of it is taken then.
    pub fn take_tnds(&mut self, at: &TreeUri, told: &Told, mask: &Mask<'_>) -> Result<usize, NotTaken> {
        let data = match std::str::from_utf8(&told.data) {
            Ok(text) => Data::Text(text.to_owned()),
            Err(_) => Data::Binary(told.data.clone()),
        };
        let tree = tnds::of_data(&data, told.type_.as_deref(), &tnds::Limits::default())?;
        Ok(self.take_tree(at, &tree, mask)?)
    }

    /// Takes a document that was read already.
    ///
    /// # Errors
    /// As [`Self::take_tnds`].
    pub fn take_tree(&mut self, at: &TreeUri, tree: &MgmtTree, mask: &Mask<'_>) -> Result<usize, PlaceError> {
        let at = at.node();
        let placed = tree.placed(&at)?;
        let mut taken = 0;
        for placed in &placed {
            let Some(kept) = self.kept(&placed.uri, mask) else { continue };
            taken += 1;
            note_properties(kept, placed.node);
            let format =
                kept.format.unwrap_or(if placed.node.is_interior() { Format::Node } else { Format::Chr });
            kept.format = Some(format);
            if format == Format::Node {
                kept.explored = true;
            } else if let Some(octets) = placed.node.octets() {
                let format = if octets.is_empty() { format } else { raw(format) };
                self.value(&placed.uri, format, &octets, mask);
            } else if let Some(Data::Markup(markup) | Data::Text(markup)) = &placed.node.value {
                self.value(&placed.uri, Format::Chr, markup.as_bytes(), mask);
            }
        }
        self.join_up(&at, mask);
        Ok(taken)
    }

    /// Takes the answer to a Get of one property. A name that the standard does not know is left out.
    pub fn take_property(&mut self, at: &TreeUri, told: &Told, mask: &Mask<'_>) {
        let Some(Query::Prop(name)) = at.query() else { return };
        let text = String::from_utf8_lossy(&told.data).trim().to_owned();
        let node = at.node();
        let Some(kept) = self.kept(&node, mask) else { return };
        match name {
            "ACL" => kept.acl = Some(text),
            "Format" => kept.format = text.parse().ok().or(kept.format),
            "Name" => kept.name = Some(text),
            "Size" => kept.size = Some(text),
            "Title" => kept.title = Some(text),
            "TStamp" => kept.t_stamp = Some(text),
            "Type" => kept.type_ = Some(text),
            "VerNo" => kept.ver_no = Some(text),
            _ => self.left_out += 1,
        }
    }

    /// Notes that the device refused to tell of a node.
    pub fn refuse(&mut self, at: &TreeUri, status: u32, mask: &Mask<'_>) {
        if let Some(kept) = self.kept(&at.node(), mask) {
            kept.refused = Some(status);
        }
    }

    /// The node's place, made when there is none.
    pub(super) fn kept(&mut self, at: &TreeUri, mask: &Mask<'_>) -> Option<&mut Kept> {
        if !self.root.is_prefix_of(at)
            || !self.nodes.contains_key(at) && self.nodes.len() >= mask.bounds.nodes
        {
            self.left_out += 1;
            return None;
        }
        let secret = (mask.is_secret)(at);
        let kept = self.nodes.entry(at.clone()).or_default();
        kept.secret |= secret;
        Some(kept)
    }

    fn value(&mut self, at: &TreeUri, format: Format, octets: &[u8], mask: &Mask<'_>) {
        let Some(kept) = self.nodes.get_mut(at) else { return };
        if kept.secret || format == Format::Null {
            return;
        }
        self.octets -= kept.octets();
        kept.too_long = octets.len() > mask.bounds.value_octets
            || self.octets.saturating_add(octets.len()) > mask.bounds.octets;
        kept.value = (!kept.too_long).then(|| match std::str::from_utf8(octets) {
            Ok(text) if format == Format::B64 => KeptValue::Base64(text.split_ascii_whitespace().collect()),
            Ok(text) if format != Format::Bin && !text.contains('\0') => KeptValue::Text(text.to_owned()),
            _ => KeptValue::Base64(STANDARD.encode(octets)),
        });
        self.octets += kept.octets();
    }

    /// An answer for several nodes may leave out those between them.
    fn join_up(&mut self, at: &TreeUri, mask: &Mask<'_>) {
        let all: Vec<TreeUri> = self.nodes.keys().filter(|uri| at.is_prefix_of(uri)).cloned().collect();
        for uri in all {
            let mut above = uri.parent();
            while let Some(uri) = above.filter(|uri| at.is_prefix_of(uri)) {
                let known = self.nodes.get(&uri).is_some_and(|kept| kept.format == Some(Format::Node));
                if !known && let Some(kept) = self.kept(&uri, mask) {
                    kept.format = Some(Format::Node);
                    kept.explored = true;
                }
                above = uri.parent();
            }
        }
    }
}

/// What may not be kept.
pub struct Mask<'a> {
    /// Whether the node at this address holds a secret.
    pub is_secret: &'a dyn Fn(&TreeUri) -> bool,
    /// The bounds.
    pub bounds: Bounds,
}

/// Why a document was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] DecodeError),
    /// It does not fit below the node.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

impl Kept {
    fn octets(&self) -> usize {
        match &self.value {
            Some(KeptValue::Text(text) | KeptValue::Base64(text)) => text.len(),
            None => 0,
        }
    }
}

/// Octets of a TNDS value are bare: base64 is undone already.
fn raw(format: Format) -> Format {
    if format == Format::B64 { Format::Bin } else { format }
}

fn format_of(told: &Told) -> Format {
    told.format.as_deref().and_then(|text| text.parse().ok()).unwrap_or(Format::Chr)
}

fn note_type(kept: &mut Kept, type_: Option<&str>) {
    if let Some(type_) = type_.map(str::trim).filter(|type_| !type_.is_empty()) {
        kept.type_ = Some(type_.to_owned());
    }
}

fn note_properties(kept: &mut Kept, node: &Node) {
    let given = &node.properties;
    let set = |slot: &mut Option<String>, text: &Option<String>| {
        if text.is_some() {
            slot.clone_from(text);
        }
    };
    kept.format = given.format.or(kept.format);
    set(&mut kept.acl, &given.acl);
    set(&mut kept.name, &given.name);
    set(&mut kept.size, &given.size);
    set(&mut kept.title, &given.title);
    set(&mut kept.t_stamp, &given.t_stamp);
    set(&mut kept.ver_no, &given.ver_no);
    note_type(kept, given.type_.as_ref().map(NodeType::as_str));
}

/// The address of an item: its own, which some clients give relative to the node that was asked about.
fn place_of_item(at: &TreeUri, uri: &str) -> Option<TreeUri> {
    let own = TreeUri::parse(uri).ok()?.node();
    if at.is_prefix_of(&own) {
        return Some(own);
    }
    TreeUri::parse(&format!("{}/{}", at.path(), own.path().strip_prefix("./")?)).ok()
}
