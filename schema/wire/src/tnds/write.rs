//! Writes trees in DTD order, whatever the encoding.

use super::{Format, MgmtTree, Node, NodeType, RtProperties};
use crate::syncml::{
    Data,
    tree::{Sink, TreeTag, WriteTree},
};

impl WriteTree for MgmtTree {
    fn write(&self, sink: &mut impl Sink) {
        sink.text(TreeTag::VerDtd, &self.ver_dtd);
        optional(sink, TreeTag::Man, self.man.as_deref());
        optional(sink, TreeTag::Mod, self.model.as_deref());
        for given in &self.nodes {
            node(sink, given);
        }
    }
}

fn node(sink: &mut impl Sink, node: &Node) {
    sink.open(TreeTag::Node);
    sink.text(TreeTag::NodeName, &node.name);
    optional(sink, TreeTag::Path, node.path.as_deref());
    let as_base64 = node.value.as_ref().is_some_and(|value| sink.needs_base64(value));
    if as_base64 && node.properties.format != Some(Format::B64) {
        rt_properties(sink, &RtProperties { format: Some(Format::B64), ..node.properties.clone() });
    } else {
        rt_properties(sink, &node.properties);
    }
    for child in &node.children {
        self::node(sink, child);
    }
    if let Some(value) = &node.value {
        match value {
            Data::Text(text) if !as_base64 => sink.text(TreeTag::Value, text),
            _ => sink.data(TreeTag::Value, value),
        }
    }
    sink.close(TreeTag::Node);
}

pub(crate) fn rt_properties(sink: &mut impl Sink, properties: &RtProperties) {
    if *properties == RtProperties::default() {
        return;
    }
    sink.open(TreeTag::RtProperties);
    optional(sink, TreeTag::Acl, properties.acl.as_deref());
    format(sink, TreeTag::Format, properties.format);
    optional(sink, TreeTag::Name, properties.name.as_deref());
    optional(sink, TreeTag::Size, properties.size.as_deref());
    optional(sink, TreeTag::Title, properties.title.as_deref());
    optional(sink, TreeTag::TStamp, properties.t_stamp.as_deref());
    node_type(sink, TreeTag::Type, properties.type_.as_ref());
    optional(sink, TreeTag::VerNo, properties.ver_no.as_deref());
    sink.close(TreeTag::RtProperties);
}

pub(crate) fn format(sink: &mut impl Sink, tag: TreeTag, format: Option<Format>) {
    if let Some(format) = format {
        sink.open(tag);
        sink.empty(format.tag());
        sink.close(tag);
    }
}

pub(crate) fn node_type(sink: &mut impl Sink, tag: TreeTag, given: Option<&NodeType>) {
    if let Some(given) = given {
        sink.open(tag);
        match given {
            NodeType::Mime(text) => sink.text(TreeTag::Mime, text),
            NodeType::DdfName(text) => sink.text(TreeTag::DdfName, text),
        }
        sink.close(tag);
    }
}

pub(crate) fn optional(sink: &mut impl Sink, tag: TreeTag, text: Option<&str>) {
    if let Some(text) = text {
        sink.text(tag, text);
    }
}
