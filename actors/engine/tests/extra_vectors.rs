//! The second suite: Registry.pol files that may not be copied into the project, below the folder that
//! `POSTERN_EXTRA_VECTORS` names. `tests/run` runs this file only
//! when the variable is set; run without it, it fails and says so.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use std::{fs, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_engine::policy::registry_pol::{File, Limits, Record, value::Value};

fn folder() -> PathBuf {
    let Some(folder) = std::env::var_os("POSTERN_EXTRA_VECTORS").map(PathBuf::from) else {
        panic!("POSTERN_EXTRA_VECTORS is not set: this suite needs the folder of the extra vectors");
    };
    folder.join("registry_pol")
}

fn read(name: &str) -> (File, Vec<u8>) {
    let octets = fs::read(folder().join(name)).unwrap();
    (File::read(&octets, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}")), octets)
}

#[test]
fn every_registry_pol_reads_as_its_xml_form_says() {
    let mut records = 0;
    for (name, xml) in [
        ("samba_Machine_Registry.pol", "samba_Machine_Registry.pol.xml"),
        ("samba_User_Registry.pol", "samba_User_Registry.pol.xml"),
        ("samba_test_firefox.pol", "samba_test_firefox.xml"),
    ] {
        let (file, octets) = read(name);
        let text = fs::read_to_string(folder().join(xml)).unwrap();
        let entries: Vec<Entry> = text.split("<Entry ").skip(1).map(Entry::of).collect();
        assert_eq!(file.records.len(), entries.len(), "{name}");
        for (record, entry) in file.records.iter().zip(&entries) {
            assert_eq!(Entry::shown(record), *entry, "{name}");
        }
        assert_eq!(file.write(), octets, "{name} is written as it was read");
        records += entries.len();
    }
    println!("{records} records");
    assert_eq!(records, 76 + 36 + 241);
}

#[test]
fn the_example_of_the_specification_reads_as_it_says() {
    let (file, octets) = read("msgpreg_4_1.pol");
    let expected = fs::read(folder().join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
    let entries = expected["msgpreg_4_1"]["entries"].as_array().unwrap();

    assert_eq!(file.records.len(), entries.len());
    for (record, entry) in file.records.iter().zip(entries) {
        assert_eq!(
            (&*record.key, &*record.value),
            (entry["key"].as_str().unwrap(), entry["value"].as_str().unwrap())
        );
        assert_eq!(entry["data_b64"], BASE64_STANDARD.encode(&record.data));
        assert_eq!(entry["type"], record.kind);
    }
    assert_eq!(file.write(), octets);
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: u32,
    key: String,
    value: String,
    shown: Vec<String>,
}

impl Entry {
    fn of(xml: &str) -> Self {
        let kind = xml.split("type=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        let mut shown = all(xml, "Value");
        // The XML form writes an absence as a word.
        shown.retain(|text| !(kind == 0 && text == "None"));
        Self {
            kind,
            key: all(xml, "Key").remove(0),
            value: all(xml, "ValueName").into_iter().next().unwrap_or_default(),
            shown,
        }
    }

    fn shown(record: &Record) -> Self {
        let shown = match record.typed().unwrap() {
            Value::Number(number) => vec![number.to_string()],
            Value::Text(text) => vec![text],
            Value::List(texts) => texts,
            Value::Octets(octets) if octets.is_empty() => Vec::new(),
            Value::Octets(octets) => vec![BASE64_STANDARD.encode(octets)],
        };
        let shown = if shown == [""] { Vec::new() } else { shown };
        Self { kind: record.kind, key: record.key.clone(), value: record.value.clone(), shown }
    }
}

/// The texts of all elements of a name.
fn all(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap());
    texts.map(unescaped).filter(|text| !text.is_empty()).collect()
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}
