//! What a description reads as after it has been written; shared with the fuzz targets.
#![allow(dead_code, reason = "each user takes its own part")]

use postern_wire::{
    ddf::{self, Limits, Node},
    mo::{Mounts, Object, Origin, Registry},
    syncml::{Data, Encoding},
};

/// What was accepted is written and read again, in both encodings, to the same description, and can be looked up.
pub(crate) fn check(document: &[u8], encoding: Encoding) {
    let limits = Limits::default();
    let Ok(read) = ddf::read(document, encoding, &limits) else { return };
    let wide = Limits { octets: 1 << 26, value_octets: 1 << 26, property_octets: 1 << 20, ..limits };
    for encoding in [Encoding::Xml, Encoding::Wbxml] {
        let Ok(written) = ddf::write(&read.ddf, encoding) else { continue };
        let mut again = ddf::read(&written, encoding, &wide).expect("what we wrote").ddf;
        let mut first = read.ddf.clone();
        // Values take other forms: octets are base64 in XML, markup is text in WBXML.
        again.nodes.iter_mut().chain(&mut first.nodes).for_each(without_values);
        assert_eq!(again, first);
    }
    let Ok(objects) = Object::of_ddf("x", read.ddf, Origin::Imported) else { return };
    let registry = Registry::default().with(objects);
    let mut begun = vec![String::new()];
    for _ in 0..4 {
        let Some(at) = begun.pop() else { break };
        for found in registry.complete(&at, &Mounts::default()).into_iter().take(4) {
            begun.push(format!("{}/", found.uri));
        }
    }
}

fn without_values(node: &mut Node) {
    node.value = node.value.as_ref().map(|_| Data::default());
    // An empty RTProperties is not written.
    if node.rt.as_ref().is_some_and(|rt| *rt == Default::default()) {
        node.rt = None;
    }
    node.children.iter_mut().for_each(without_values);
}
