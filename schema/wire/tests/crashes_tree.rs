//! Inputs that the fuzz targets of trees begin with, and those that once broke a reader or a round trip: each file of
//! tests/data/crashes_tree, by its ending; and every document of the project.

mod common;
mod normal_ddf;
mod normal_tree;

use postern_wire::{mo::builtin, syncml::Encoding};

#[test]
fn what_once_broke_a_reader_of_trees_no_longer_does() {
    let mut count = 0;
    for entry in std::fs::read_dir(common::own_data().join("crashes_tree")).unwrap() {
        let path = entry.unwrap().path();
        let octets = std::fs::read(&path).unwrap();
        let (first, document) = octets.split_first().unwrap();
        let encoding = if first & 1 == 0 { Encoding::Xml } else { Encoding::Wbxml };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tnds") => normal_tree::check(document, encoding),
            Some("ddf") => normal_ddf::check(document, encoding),
            other => panic!("{}: {other:?} is no target", path.display()),
        }
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn every_document_of_the_project_survives_a_round_trip() {
    let data = |name: &str| std::fs::read(common::own_data().join("omadm/bootstrap").join(name)).unwrap();
    normal_tree::check(&data("dm_tnds.xml"), Encoding::Xml);
    normal_tree::check(&data("dm_tnds.wbxml"), Encoding::Wbxml);
    for name in [
        "DevInfo",
        "DevDetail",
        "DMAcc",
        "DMAcc-1.1",
        "LAWMO",
        "SCOMO",
        "FUMO",
        "Inbox",
        "Postern-Certificate",
        "Postern-Trust",
        "Postern-Unenrol",
    ] {
        normal_ddf::check(builtin::document(name).unwrap().as_bytes(), Encoding::Xml);
    }
}
