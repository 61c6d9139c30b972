//! Generates trees that a device could have, with the texts that break encoders.
#![allow(dead_code, reason = "each test file uses its own part")]

use postern_wire::{
    syncml::Data,
    tnds::{Format, MgmtTree, Node, NodeType, RtProperties},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// A tree with text, octets and markup as values.
pub(crate) fn tree() -> BoxedStrategy<MgmtTree> {
    let value = prop_oneof![
        6 => text().prop_map(Data::Text),
        1 => "[a-z]{1,8}".prop_map(|name| Data::Markup(format!("<{name}><b>x &amp; y</b></{name}>"))),
        1 => vec(any::<u8>(), 1..20).prop_map(|octets| Data::Binary([&[0][..], &octets].concat())),
    ];
    tree_of(value.boxed(), text())
}

/// A tree that libwbxml carries unchanged: no line ends, no end of a CDATA section, nothing that is not text.
pub(crate) fn plain_tree() -> BoxedStrategy<MgmtTree> {
    let text = prop_oneof![3 => "[./A-Za-z0-9:_-]{1,24}", 1 => "[a-c<>&\"'é\u{1F600}]{1,12}"].boxed();
    tree_of(text.clone().prop_map(Data::Text).boxed(), text)
}

fn tree_of(value: BoxedStrategy<Data>, text: BoxedStrategy<String>) -> BoxedStrategy<MgmtTree> {
    let leaf = (name(), option::of(name()), properties(text.clone()), option::of(value)).prop_map(
        |(name, path, properties, value)| Node { name, path, properties, value, children: Vec::new() },
    );
    let node =
        leaf.prop_recursive(5, 40, 5, move |inner| {
            (name(), properties(text.clone()), vec(inner, 1..5)).prop_map(|(name, properties, children)| {
                Node { name, path: None, properties, value: None, children }
            })
        });
    (option::of(name()), option::of(name()), vec(node, 1..4))
        .prop_map(|(man, model, nodes)| MgmtTree { man, model, ..MgmtTree::new(nodes) })
        .boxed()
}

fn properties(text: BoxedStrategy<String>) -> BoxedStrategy<RtProperties> {
    let word = text.prop_map(|text| text.trim().to_owned());
    let type_ = prop_oneof![
        word.clone().prop_map(NodeType::Mime),
        Just(NodeType::DdfName(String::new())),
        Just(NodeType::DdfName("urn:oma:mo:oma-dm-dmacc:1.0".to_owned())),
    ];
    let format = select(&Format::ALL[..]);
    (
        option::of(word.clone()),
        option::of(format),
        option::of(0..u32::MAX),
        option::of(word),
        option::of(type_),
    )
        .prop_map(|(acl, format, size, title, type_)| RtProperties {
            acl,
            format,
            size: size.map(|size| size.to_string()),
            title,
            type_,
            ..RtProperties::default()
        })
        .boxed()
}

fn name() -> BoxedStrategy<String> {
    prop_oneof![4 => "[A-Za-z0-9_-]{1,12}", 1 => "[a-c%&<é ]{1,6}"]
        .prop_map(|name: String| if name.trim().is_empty() { "x".to_owned() } else { name.trim().to_owned() })
        .boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[./A-Za-z0-9:_-]{0,24}",
        2 => "[ \\t\\n\\ra-c<>&\"'\\]é\u{1F600}\u{FFFD}]{0,12}",
        1 => "\\PC{0,20}",
    ]
    .boxed()
}
