//! Every vector of a Registry.pol, and the rules that they show.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_engine::policy::registry_pol::{
    Delimiter, Error, ErrorKind, File, Limits, Part, Record,
    directive::Directive,
    value::{Value, ValueError},
};
use proptest::prelude::*;

use crate::common::{data, json};

fn vector(name: &str) -> Vec<u8> {
    fs::read(data(&format!("registry_pol/{name}.pol"))).unwrap()
}

fn read(octets: &[u8]) -> Result<File, Error> {
    File::read(octets, &Limits::default())
}

#[test]
fn every_vector_comes_out_as_expected() {
    let expected = json("registry_pol/expected.json");
    let mut files = 0;
    for (name, expected) in expected.as_object().unwrap() {
        let octets = vector(name);
        let read = read(&octets);
        files += 1;
        assert_eq!(read.is_ok(), expected["ok"].as_bool().unwrap(), "{name}: {read:?}");
        let (Ok(file), Some(entries)) = (read, expected["entries"].as_array()) else { continue };
        let got: Vec<_> = file.records.iter().map(entry).collect();
        assert_eq!(got, *entries, "{name}");
        assert_eq!(file.write(), octets, "{name} is written as it was read");
    }
    let on_disk = fs::read_dir(data("registry_pol")).unwrap();
    let on_disk =
        on_disk.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "pol"));
    assert_eq!(files, on_disk.count(), "vectors without an expectation");
}

fn entry(record: &Record) -> serde_json::Value {
    serde_json::json!({
        "key": record.key, "value": record.value, "type": record.kind,
        "size": record.data.len(), "data_b64": BASE64_STANDARD.encode(&record.data),
    })
}

#[test]
fn a_refused_file_says_why_and_where() {
    for (name, offset, kind) in [
        ("mal_bad_signature", 0, ErrorKind::Signature),
        ("mal_too_short", 7, ErrorKind::Truncated(Part::Header)),
        ("mal_trunc_mid_key", 20, ErrorKind::Truncated(Part::Key)),
        ("mal_size_over", 100, ErrorKind::Truncated(Part::Data)),
        ("mal_size_huge", 88, ErrorKind::DataTooLong(u32::MAX, 65_535)),
        ("mal_missing_close", 98, ErrorKind::Expected(Delimiter::Close)),
        ("mal_unterminated_key", 16, ErrorKind::Truncated(Part::Key)),
        ("mal_utf16_lone_surrogate", 10, ErrorKind::NotText(Part::Key)),
    ] {
        assert_eq!(read(&vector(name)), Err(Error { offset, kind }), "{name}");
    }
}

#[test]
fn what_real_files_do_against_the_grammar_is_taken() {
    let trailing = read(&vector("mal_trailing_garbage")).unwrap();
    assert_eq!((trailing.records.len(), trailing.trailing_octets), (1, 1));

    let no_nul = read(&vector("mal_sz_no_nul")).unwrap();
    assert_eq!(no_nul.records[0].typed(), Ok(Value::Text("abc".to_owned())));

    let short = read(&vector("mal_dword_size_2")).unwrap();
    assert_eq!(short.records[0].data.len(), 2);
    assert_eq!(short.records[0].typed(), Err(ValueError::Size { wanted: 4, got: 2 }));
}

#[test]
fn every_type_is_read_by_its_rules() {
    let file = read(&vector("all_types")).unwrap();
    let typed = |name: &str| file.records.iter().find(|r| r.value == name).unwrap().typed().unwrap();
    let list = |texts: &[&str]| Value::List(texts.iter().map(|text| (*text).to_owned()).collect());

    assert_eq!(typed("Sz"), Value::Text("hello".to_owned()));
    assert_eq!(typed("EmptySz"), Value::Text(String::new()));
    assert_eq!(typed("Exp"), Value::Text("%SystemRoot%\\x".to_owned()));
    assert!(matches!(typed("Bin"), Value::Octets(octets) if octets.len() == 23));
    assert_eq!(typed("Dw"), Value::Number(0xdead_beef));
    assert_eq!(typed("DwBe"), Value::Number(0x0102_0304));
    assert_eq!(typed("Multi"), list(&["a", "b c", "é"]));
    assert_eq!(typed("MultiEmpty"), list(&[]));
    assert_eq!(typed("Qw"), Value::Number(0x1122_3344_5566_7788));
    assert_eq!(file.records.last().unwrap().directive(), Directive::CreateKey);
}

#[test]
fn every_directive_is_told_by_the_name_without_case() {
    let file = read(&vector("directives")).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();

    let got: Vec<_> = file.records.iter().map(Record::directive).collect();

    assert_eq!(
        got,
        [
            Directive::DeleteValue { name: "Old".to_owned() },
            Directive::DeleteAllValues,
            Directive::DeleteValues { names: names(&["EnableURL", "TabURL"]) },
            Directive::DeleteKeys { names: names(&["NoRun", "NoFind"]) },
            Directive::SecureKey { locked: true },
            Directive::Soft { name: "Apply".to_owned() },
            Directive::Soft { name: "RootPath".to_owned() },
            Directive::DeleteValue { name: "MiXeD".to_owned() },
        ]
    );
    for (name, directive) in [
        ("**SecureKey=1", Directive::SecureKey { locked: true }),
        ("**securekey=0", Directive::SecureKey { locked: false }),
        ("**DelVals", Directive::DeleteAllValues),
        ("**other", Directive::Unknown),
        ("**de€", Directive::Unknown),
        ("*one", Directive::Set { name: "*one".to_owned() }),
        ("", Directive::Set { name: String::new() }),
    ] {
        assert_eq!(Record::dword("k", name, 7).directive(), directive, "{name}");
    }
}

#[test]
fn a_limit_is_held_before_anything_is_kept() {
    let octets = File { records: vec![Record::dword("key", "name", 1); 3], trailing_octets: 0 }.write();
    let refused = |limits: Limits| File::read(&octets, &limits).unwrap_err().kind;
    let limits = Limits::default();

    assert_eq!(refused(Limits { file_octets: 100, ..limits }), ErrorKind::FileTooLarge(100));
    assert_eq!(refused(Limits { records: 2, ..limits }), ErrorKind::TooManyRecords(2));
    assert_eq!(refused(Limits { name_units: 3, ..limits }), ErrorKind::NameTooLong(Part::ValueName, 3));
    assert_eq!(refused(Limits { data_octets: 3, ..limits }), ErrorKind::DataTooLong(4, 3));
}

#[test]
fn damage_between_two_records_refuses_the_whole_file() {
    let mut octets = File { records: vec![Record::dword("key", "name", 1); 2], trailing_octets: 0 }.write();
    let second = 8 + (octets.len() - 8) / 2;
    octets[second] = b'?';

    let refused = read(&octets);

    assert_eq!(refused, Err(Error { offset: second, kind: ErrorKind::Expected(Delimiter::Open) }));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(records in prop::collection::vec(("[^\0]{1,20}", "[^\0]{0,20}", any::<u32>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8)) {
        let records = records.into_iter().map(|(key, value, kind, data)| Record { key, value, kind, data }).collect();
        let file = File { records, trailing_octets: 0 };

        prop_assert_eq!(read(&file.write()), Ok(file));
    }

    #[test]
    fn arbitrary_octets_are_read_or_refused_within_their_bounds(body in prop::collection::vec(any::<u8>(), 0..200), signed in any::<bool>()) {
        let octets = if signed { [b"PReg\x01\0\0\0".to_vec(), body].concat() } else { body };

        match read(&octets) {
            Ok(file) => prop_assert!(file.records.len() * 24 <= octets.len()),
            Err(error) => prop_assert!(error.offset <= octets.len()),
        }
    }
}
