//! What a tree reads as after it has been written; shared with the fuzz targets.
#![allow(dead_code, reason = "each user takes its own part")]

use postern_wire::{
    syncml::{Data, Encoding},
    tnds::{self, Format, Limits, MgmtTree, Node},
};

/// XML carries octets as base64, and so text that it cannot hold.
pub(crate) fn in_xml(tree: &MgmtTree) -> MgmtTree {
    each(tree, &|node| {
        let octets = match &node.value {
            Some(Data::Binary(octets)) => octets.clone(),
            Some(Data::Text(text)) if text.chars().any(forbidden) => text.as_bytes().to_vec(),
            _ => return,
        };
        node.value = Some(Data::Text(data_encoding::BASE64.encode(&octets)));
        node.properties.format = Some(Format::B64);
    })
}

/// WBXML carries markup as text, and octets that are text are text.
pub(crate) fn in_wbxml(tree: &MgmtTree) -> MgmtTree {
    each(tree, &|node| match &node.value {
        Some(Data::Markup(markup)) => node.value = Some(Data::Text(markup.clone())),
        Some(Data::Binary(octets)) if !octets.contains(&0) && std::str::from_utf8(octets).is_ok() => {
            node.value = Some(Data::Text(String::from_utf8_lossy(octets).into_owned()));
        }
        _ => {}
    })
}

/// What was accepted is written and read again, in both encodings, to the same tree.
pub(crate) fn check(document: &[u8], encoding: Encoding) {
    let limits = Limits::default();
    let Ok(tree) = tnds::read(document, encoding, &limits) else { return };
    // A value may become longer than the bounds when it is written.
    let wide = Limits { octets: 1 << 26, value_octets: 1 << 26, ..limits };
    if let Ok(written) = tnds::write(&tree, Encoding::Wbxml) {
        let again = tnds::read(&written, Encoding::Wbxml, &wide).expect("what we wrote");
        assert_eq!(again, in_wbxml(&tree));
    }
    if let Ok(written) = tnds::write(&tree, Encoding::Xml) {
        let again = tnds::read(&written, Encoding::Xml, &wide).expect("what we wrote");
        assert_eq!(again, in_xml(&tree));
    }
    let _ = tree.placed(&postern_wire::uri::TreeUri::parse("./A/B").expect("an address"));
}

fn forbidden(character: char) -> bool {
    matches!(character, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}')
}

fn each(tree: &MgmtTree, change: &impl Fn(&mut Node)) -> MgmtTree {
    fn walk(node: &mut Node, change: &impl Fn(&mut Node)) {
        change(node);
        for child in &mut node.children {
            walk(child, change);
        }
    }
    let mut tree = tree.clone();
    for node in &mut tree.nodes {
        walk(node, change);
    }
    tree
}
