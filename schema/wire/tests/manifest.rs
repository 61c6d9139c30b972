//! The vectors of the project come out as their manifest says.

mod common;

use common::{check_all, decode_row, manifest, own_data};

#[test]
fn every_vector_comes_out_as_its_manifest_says() {
    let count = check_all(&own_data(), |_| true).unwrap_or_else(|failures| panic!("{failures}"));
    println!("{count} vectors");
    assert_eq!(
        count,
        manifest(&own_data()).iter().filter(|row| row.encoding != "json" && row.encoding != "tsv").count()
    );
}

#[test]
fn every_vector_of_the_folder_is_in_the_manifest() {
    fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let known: Vec<_> = manifest(&own_data()).into_iter().map(|row| own_data().join(row.path)).collect();
    let mut found = Vec::new();
    for folder in ["clients", "omadm", "windows"] {
        walk(&own_data().join(folder), &mut found);
    }
    let missing: Vec<_> = found.iter().filter(|path| !known.contains(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn cod_15_every_wbxml_vector_says_the_same_as_its_xml_twin() {
    let (rows, mut twins) = (manifest(&own_data()), 0);
    for row in rows.iter().filter(|row| row.kind == "syncml-message" && row.encoding != "xml") {
        let Some(twin) = rows.iter().find(|other| is_twin(&row.path, &other.path)) else { continue };
        let (wbxml, xml) = (decode_row(&own_data(), row).unwrap(), decode_row(&own_data(), twin).unwrap());
        assert_eq!(wbxml.message, xml.message, "{} and {}", row.path, twin.path);
        twins += 1;
    }
    assert!(twins > 60, "only {twins} twins found");
}

/// `omadm/wbxml/NAME[_variant].{wbxml,hex}` and `omadm/xml/NAME.xml`; `clients/…/NN-c2s.wbxml` and
/// `NN-c2s.decoded.xml`; `NN-s2c.wbxml` and `NN-s2c.source.xml`.
fn is_twin(path: &str, other: &str) -> bool {
    if let Some(name) = path.strip_prefix("omadm/wbxml/") {
        let name = name.trim_end_matches(".wbxml").trim_end_matches(".hex");
        let base =
            ["_fpinul", "_fpi", "_strtbl", "_v11", "_v13"].iter().find_map(|end| name.strip_suffix(end));
        return other == format!("omadm/xml/{}.xml", base.unwrap_or(name));
    }
    let stem = path.trim_end_matches(".wbxml");
    other == format!("{stem}.decoded.xml") || other == format!("{stem}.source.xml")
}
