//! Builds trees from elements, whatever the encoding; what DDF shares with TNDS stands here too.

use super::{Format, Limits, MgmtTree, Node, NodeType, RtProperties};
use crate::syncml::{
    Data, DecodeError, DecodeErrorKind,
    tree::{Content, Elements, TreeTag},
};

pub(crate) type Result<T> = std::result::Result<T, DecodeError>;

/// The content of the open MgmtTree.
pub(super) fn tree(source: &mut Elements<'_, '_>, limits: &Limits) -> Result<MgmtTree> {
    let mut tree = MgmtTree::new(Vec::new());
    let mut count = 0;
    while let Some(tag) = source.child()? {
        match tag {
            TreeTag::VerDtd => tree.ver_dtd = ver_dtd(source)?,
            TreeTag::Man => tree.man = Some(property(source, "Man", limits)?),
            TreeTag::Mod => tree.model = Some(property(source, "Mod", limits)?),
            TreeTag::Node => {
                let node = node(source, limits, 1, &mut count)?;
                tree.nodes.push(node);
            }
            _ => unknown(source)?,
        }
    }
    if tree.nodes.is_empty() {
        return Err(source.error(DecodeErrorKind::Missing("Node")));
    }
    Ok(tree)
}

fn node(source: &mut Elements<'_, '_>, limits: &Limits, depth: usize, count: &mut usize) -> Result<Node> {
    *count += 1;
    bound(source, "nodes", *count, limits.nodes)?;
    bound(source, "levels of nodes", depth, limits.depth)?;
    let (mut node, mut name) = (Node::default(), None);
    while let Some(tag) = source.child()? {
        match tag {
            TreeTag::NodeName if name.is_some() => return Err(repeated(source, "NodeName")),
            TreeTag::Value if node.value.is_some() => return Err(repeated(source, "Value")),
            TreeTag::NodeName => name = Some(node_name(source, limits)?),
            TreeTag::Path => node.path = Some(path(source, limits)?),
            TreeTag::RtProperties => node.properties = rt_properties(source, limits)?,
            TreeTag::Value => node.value = Some(value(source, limits)?),
            TreeTag::Node => {
                let child = self::node(source, limits, depth + 1, count)?;
                node.children.push(child);
            }
            _ => unknown(source)?,
        }
    }
    if node.value.is_some() && !node.children.is_empty() {
        return Err(source.error(DecodeErrorKind::Misplaced("Value beside a Node")));
    }
    node.name = name.ok_or_else(|| source.error(DecodeErrorKind::Missing("NodeName")))?;
    Ok(node)
}

/// Only documents of 1.x are read; one that does not say is taken for 1.2.
pub(crate) fn ver_dtd(source: &mut Elements<'_, '_>) -> Result<String> {
    let text = word(source)?;
    if !text.is_empty() && !text.starts_with("1.") {
        let text: String = text.chars().take(40).collect();
        return Err(source.error(DecodeErrorKind::NotTree(format!("its VerDTD is {text:?}"))));
    }
    Ok(if text.is_empty() { "1.2".to_owned() } else { text })
}

/// NodeName: one segment, or nothing.
pub(crate) fn node_name(source: &mut Elements<'_, '_>, limits: &Limits) -> Result<String> {
    let name = word(source)?;
    bound(source, "octets of NodeName", name.len(), limits.name_octets)?;
    // The root may be written as a node of its own, so `.` is let through.
    if name.contains('/') || name == ".." || name.chars().any(char::is_control) {
        return Err(bad_word(source, "NodeName", &name));
    }
    Ok(name)
}

pub(crate) fn path(source: &mut Elements<'_, '_>, limits: &Limits) -> Result<String> {
    let path = word(source)?;
    bound(source, "octets of Path", path.len(), limits.name_octets)?;
    Ok(path)
}

pub(crate) fn rt_properties(source: &mut Elements<'_, '_>, limits: &Limits) -> Result<RtProperties> {
    let mut properties = RtProperties::default();
    while let Some(tag) = source.child()? {
        let (slot, name) = match tag {
            TreeTag::Format => {
                let given = format(source)?;
                put(source, &mut properties.format, given);
                continue;
            }
            TreeTag::Type => {
                let given = node_type(source, limits)?;
                put(source, &mut properties.type_, given);
                continue;
            }
            TreeTag::Acl => (&mut properties.acl, "ACL"),
            TreeTag::Name => (&mut properties.name, "Name"),
            TreeTag::Size => (&mut properties.size, "Size"),
            TreeTag::Title => (&mut properties.title, "Title"),
            TreeTag::TStamp => (&mut properties.t_stamp, "TStamp"),
            TreeTag::VerNo => (&mut properties.ver_no, "VerNo"),
            _ => {
                unknown(source)?;
                continue;
            }
        };
        let text = property(source, name, limits)?;
        put(source, slot, Some(text));
    }
    Ok(properties)
}

/// Format or DFFormat: an empty element named as the format. An empty Format says nothing.
pub(crate) fn format(source: &mut Elements<'_, '_>) -> Result<Option<Format>> {
    let mut found = None;
    while let Some(tag) = source.child()? {
        match Format::of_tag(tag) {
            Some(format) => {
                source.skip()?;
                put(source, &mut found, Some(format));
            }
            None => unknown(source)?,
        }
    }
    Ok(found)
}

/// Type or DFType: MIME or DDFName.
pub(crate) fn node_type(source: &mut Elements<'_, '_>, limits: &Limits) -> Result<Option<NodeType>> {
    let mut found = None;
    while let Some(tag) = source.child()? {
        let given = match tag {
            TreeTag::Mime => NodeType::Mime(property(source, "MIME", limits)?),
            TreeTag::DdfName => NodeType::DdfName(property(source, "DDFName", limits)?),
            _ => {
                unknown(source)?;
                continue;
            }
        };
        put(source, &mut found, Some(given));
    }
    Ok(found)
}

pub(crate) fn value(source: &mut Elements<'_, '_>, limits: &Limits) -> Result<Data> {
    let data = match source.data()? {
        Content::Text(text) => Data::Text(text.into_owned()),
        Content::Octets(octets) => Data::Binary(octets),
        Content::Markup(markup) => Data::Markup(markup),
    };
    let length = match &data {
        Data::Text(text) | Data::Markup(text) => text.len(),
        Data::Binary(octets) => octets.len(),
    };
    bound(source, "octets of Value", length, limits.value_octets)?;
    Ok(data)
}

/// A property as text without white space at its ends.
pub(crate) fn property(
    source: &mut Elements<'_, '_>,
    element: &'static str,
    limits: &Limits,
) -> Result<String> {
    let text = word(source)?;
    if text.len() > limits.property_octets {
        let limit = limits.property_octets;
        return Err(source.error(DecodeErrorKind::Limit { what: element, limit }));
    }
    Ok(text)
}

pub(crate) fn word(source: &mut Elements<'_, '_>) -> Result<String> {
    let text = source.text()?;
    Ok(trim(&text).to_owned())
}

/// Reads over an element that is not known here.
pub(crate) fn unknown(source: &mut Elements<'_, '_>) -> Result<()> {
    source.repairs().unknown_elements += 1;
    source.skip()
}

/// The last one counts.
pub(crate) fn put<T>(source: &mut Elements<'_, '_>, slot: &mut Option<T>, given: Option<T>) {
    if slot.is_some() {
        source.repairs().repeated_elements += 1;
    }
    if given.is_some() {
        *slot = given;
    }
}

pub(crate) fn bound(source: &Elements<'_, '_>, what: &'static str, count: usize, limit: usize) -> Result<()> {
    if count > limit {
        return Err(source.error(DecodeErrorKind::Limit { what, limit }));
    }
    Ok(())
}

pub(crate) fn repeated(source: &Elements<'_, '_>, element: &'static str) -> DecodeError {
    source.error(DecodeErrorKind::Repeated(element))
}

pub(crate) fn bad_word(source: &Elements<'_, '_>, element: &'static str, text: &str) -> DecodeError {
    source.error(DecodeErrorKind::Word { element, text: text.chars().take(40).collect() })
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}
