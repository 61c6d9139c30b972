//! The built-in descriptions: data files of our own writing, and where their objects usually stand.

use std::sync::Arc;

use super::{Object, Origin};
use crate::{
    ddf::{self, Limits},
    syncml::Encoding,
};

/// Name, document, and usual places beside the one in the document.
const DOCUMENTS: &[(&str, &str, &[&str])] = &[
    ("DevInfo", include_str!("data/devinfo.xml"), &[]),
    ("DevDetail", include_str!("data/devdetail.xml"), &[]),
    ("DMAcc", include_str!("data/dmacc.xml"), &["./SyncML/DMAcc"]),
    ("DMAcc-1.1", include_str!("data/dmacc-1.1.xml"), &[]),
    ("LAWMO", include_str!("data/lawmo.xml"), &[]),
    ("SCOMO", include_str!("data/scomo.xml"), &[]),
    ("FUMO", include_str!("data/fumo.xml"), &[]),
    ("Inbox", include_str!("data/inbox.xml"), &[]),
    ("Postern-Certificate", include_str!("data/postern-certificate.xml"), &[]),
    ("Postern-Trust", include_str!("data/postern-trust.xml"), &[]),
    ("Postern-Unenrol", include_str!("data/postern-unenrol.xml"), &[]),
];

/// The text of a built-in description.
#[must_use]
pub fn document(name: &str) -> Option<&'static str> {
    DOCUMENTS.iter().find(|(known, ..)| *known == name).map(|(_, document, _)| *document)
}

pub(super) fn objects() -> Vec<Arc<Object>> {
    let mut objects = Vec::new();
    for (name, document, places) in DOCUMENTS {
        let read = ddf::read(document.as_bytes(), Encoding::Xml, &Limits::default());
        let read = read.expect("the files are ours, and a test reads each");
        for root in read.ddf.nodes {
            let object = Object::new(name, root, Origin::BuiltIn, places);
            objects.push(Arc::new(object.expect("the places are ours, and a test reads each")));
        }
    }
    objects
}
