//! Inputs that once broke a reader or a round trip: each file of tests/data/crashes, by its ending.

mod common;
mod normal;

use postern_wire::syncml::Encoding;

#[test]
fn what_once_broke_a_reader_no_longer_does() {
    let mut count = 0;
    for entry in std::fs::read_dir(common::own_data().join("crashes")).unwrap() {
        let path = entry.unwrap().path();
        let encoding = match path.extension().and_then(|extension| extension.to_str()) {
            Some("xml") => Encoding::Xml,
            Some("wbxml") => Encoding::Wbxml,
            other => panic!("{}: {other:?} is no encoding", path.display()),
        };
        println!("{}", path.display());
        normal::check(&std::fs::read(&path).unwrap(), encoding);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn every_vector_survives_a_round_trip() {
    let mut count = 0;
    for row in common::manifest(&common::own_data()).iter().filter(|row| row.kind == "syncml-message") {
        let encoding = if row.encoding == "xml" { Encoding::Xml } else { Encoding::Wbxml };
        normal::check(&common::octets(&common::own_data(), row), encoding);
        count += 1;
    }
    assert!(count > 0);
}
