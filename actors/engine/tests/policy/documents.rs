//! Policy documents: reading, checking, order.

use std::sync::LazyLock;

use postern_engine::policy::{
    documents::{
        Checker, Document, ErrorKind, Held, InGroup, Layered, Limits, Rule, Unknown, check, effective, read,
        resolve, schema,
    },
    mapping::{Unmapped, table::Table},
};
use postern_wire::{
    mo::{Object, Origin, Registry},
    terms::Dialect,
    uri::TreeUri,
};
use proptest::prelude::*;

const FIELD: &str = include_str!("../data/policy/documents/field-phones.yaml");

fn postern() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::classic("postern"));
    &TABLE
}

fn one(text: &str) -> Document {
    read::documents(text.as_bytes(), &Limits::default()).unwrap().remove(0)
}

fn refused(text: &str) -> (Option<usize>, String, ErrorKind) {
    let error = read::documents(text.as_bytes(), &Limits::default()).unwrap_err();
    (error.line, error.path, error.kind)
}

fn document(name: &str, camera: bool, assign: &str) -> Document {
    one(&format!(
        "postern: policy/1\nname: {name}\nassign: {assign}\nsettings:\n  - setting: camera\n    value: {camera}\n"
    ))
}

fn groups(names: &[(&str, usize)]) -> Vec<InGroup> {
    names.iter().map(|(name, depth)| InGroup { name: (*name).to_owned(), depth: *depth }).collect()
}

#[test]
fn a_document_reads_and_its_yaml_and_json_read_back_as_the_same() {
    let documents = read::documents(FIELD.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(documents.len(), 2);
    for document in documents {
        let canonical = document.canonical();
        assert_eq!(one(&canonical), document, "{canonical}");
        assert_eq!(one(&document.to_yaml()), document, "{}", document.to_yaml());
        assert_eq!(one(&document.to_yaml()).hash(), document.hash());
    }
}

#[test]
fn what_says_the_same_has_the_same_hash_and_what_does_not_has_another() {
    let field = one(FIELD);
    let reordered = FIELD
        .replace("  - Field\n", "")
        .replace("enforced: true\n", "enforced: true\n  - { group: Field }\n");
    assert_ne!(FIELD, reordered);
    assert_eq!(one(&reordered).hash(), field.hash());
    assert_ne!(one(&FIELD.replace("value: false", "value: true")).hash(), field.hash());
    assert_ne!(one(&FIELD.replace("removal: restore", "removal: leave")).hash(), field.hash());
}

#[test]
fn a_refusal_says_the_line_and_the_path() {
    let text = "postern: policy/1\nname: a\nsettings:\n  - setting: camera\n    valeu: true\n";
    let (line, path, kind) = refused(text);
    assert_eq!((line, path.as_str()), (Some(5), "/settings/0/valeu"));
    assert!(matches!(kind, ErrorKind::Unknown { name, .. } if name == "valeu"));

    for (text, path, line) in [
        ("name: a\nsettings: []\n", "", 1),
        ("postern: policy/2\nname: a\nsettings: []\n", "/postern", 1),
        ("postern: policy/1\nname: -a\nsettings: []\n", "/name", 2),
        ("postern: policy/1\nname: a/b\nsettings: []\n", "/name", 2),
        ("postern: policy/1\nname: a\n", "", 1),
        ("postern: policy/1\nname: a\norder: 0\nsettings: []\n", "/order", 3),
        ("postern: policy/1\nname: a\nenforced: yes\nsettings: []\n", "/enforced", 3),
        ("postern: policy/1\nname: a\ndialects: []\nsettings: []\n", "/dialects", 3),
        ("postern: policy/1\nname: a\nassign: [g, g]\nsettings: []\n", "/assign/1", 3),
        ("postern: policy/1\nname: a\nassign: [\"g\\u202e\"]\nsettings: []\n", "/assign/0", 3),
        ("postern: policy/1\nname: a\nsettings:\n- uri: ./A\n", "/settings/0", 4),
        (
            "postern: policy/1\nname: a\nsettings:\n- uri: ./A\n  setting: camera\n  value: 1\n",
            "/settings/0",
            4,
        ),
        ("postern: policy/1\nname: a\nsettings:\n- uri: ./A\n  value: 1\n  absent: true\n", "/settings/0", 4),
        ("postern: policy/1\nname: a\nsettings:\n- uri: A\n  value: 1\n", "/settings/0/uri", 4),
        ("postern: policy/1\nname: a\nsettings:\n- uri: ./A?prop=ACL\n  value: 1\n", "/settings/0/uri", 4),
        ("postern: policy/1\nname: a\nsettings:\n- uri: ./A\n  value: ~\n", "/settings/0/value", 5),
        ("postern: policy/1\nname: a\nsettings:\n- uri: ./A\n  value: [x]\n", "/settings/0/value", 5),
        ("postern: policy/1\nname: a\nsettings:\n- uri: ./A\n  value: \"\\x01\"\n", "/settings/0/value", 5),
        (
            "postern: policy/1\nname: a\nsettings:\n- uri: ./A\n  value: 1\n- uri: ./A\n  value: 2\n",
            "/settings/1",
            6,
        ),
        (
            "postern: policy/1\nname: a\nsettings:\n- setting: camera\n  format: bool\n  value: true\n",
            "/settings/0/format",
            5,
        ),
    ] {
        let (found_line, found_path, kind) = refused(text);
        assert_eq!((found_path.as_str(), found_line), (path, Some(line)), "{kind} in\n{text}");
    }
}

#[test]
fn anchors_aliases_and_tags_are_refused() {
    let head = "postern: policy/1\nname: a\n";
    for (text, alias) in [
        ("settings: &x []\n", true),
        ("description: &x b\nassign: [*x]\nsettings: []\n", true),
        ("settings: !!seq []\n", false),
        ("description: !include /etc/passwd\nsettings: []\n", false),
    ] {
        let (line, _, kind) = refused(&format!("{head}{text}"));
        assert_eq!(kind, if alias { ErrorKind::Alias } else { ErrorKind::Tag }, "{text}");
        assert_eq!(line, Some(3));
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_in_yaml_and_in_json() {
    assert!(matches!(refused("name: a\nname: b\n").2, ErrorKind::Twice(name) if name == "name"));
    assert!(matches!(refused(r#"{"name": "a", "name": "b"}"#).2, ErrorKind::Twice(name) if name == "name"));
}

#[test]
fn what_is_over_a_limit_is_refused_before_it_is_built() {
    let deep = |open: &str| open.repeat(40);
    assert!(matches!(refused(&format!("a: {}", deep("["))).2, ErrorKind::TooLarge { what: "levels", .. }));
    assert!(matches!(refused(&deep("[")).2, ErrorKind::TooLarge { what: "levels", .. }));
    assert!(matches!(refused(&deep("- ")).2, ErrorKind::TooLarge { what: "levels", .. }));
    let many = format!("a: [{}]", "1,".repeat(60_000));
    assert!(matches!(refused(&many).2, ErrorKind::TooLarge { what: "values", .. }));
    let many = format!("[{}1]", "1,".repeat(60_000));
    assert!(matches!(refused(&many).2, ErrorKind::TooLarge { what: "values", .. }));
    let keys: String = (0..3000).map(|n| format!("k{n}: 1\n")).collect();
    assert!(matches!(refused(&keys).2, ErrorKind::TooLarge { what: "keys", .. }));
    assert!(matches!(refused(&"# x\n".repeat(300_000)).2, ErrorKind::TooLarge { what: "octets", .. }));
    assert!(matches!(
        refused("--- 1\n".repeat(300).as_str()).2,
        ErrorKind::TooLarge { what: "documents", .. }
    ));
    let error = read::documents(b"\xff", &Limits::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotText);
}

#[test]
fn yes_and_telephone_numbers_are_texts_and_true_is_truth() {
    let text = "postern: policy/1\nname: a\nsettings:\n- {uri: ./A, value: no}\n- {uri: ./B, value: 0049}\n- {uri: ./C, value: True}\n- {uri: ./D, value: -7}\n- {uri: ./E, value: 1.5}\n";
    let claims = one(text).claims(postern(), None).nodes;
    let told: Vec<_> =
        claims.iter().map(|claim| (claim.format.as_str(), claim.data.as_deref().unwrap())).collect();
    assert_eq!(told, [("chr", "no"), ("chr", "0049"), ("bool", "true"), ("int", "-7"), ("chr", "1.5")]);
}

#[test]
fn settings_by_name_go_where_a_gpo_would_put_them() {
    let field = one(FIELD);
    let claims = field.claims(postern(), None);
    let told: Vec<_> =
        claims.nodes.iter().map(|c| (c.uri.as_str(), c.format.as_str(), c.data.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("./Settings/Policy/Applications/Blocked/1", "chr", Some("solitaire.exe")),
            ("./Settings/Policy/Applications/Blocked/2", "chr", Some("poker.exe")),
            ("./Settings/Policy/Lockdown/Bluetooth", "int", Some("1")),
            ("./Settings/Policy/Lockdown/Camera", "bool", Some("false")),
            ("./Vendor/Example/Banner", "chr", Some("no")),
            ("./Vendor/Example/Old", "chr", None),
        ]
    );
    assert_eq!(claims.unmapped, []);
    let mobile = field.claims(&Table::classic("windows-mobile"), None);
    assert_eq!(mobile.nodes.len(), 2);
    assert_eq!(mobile.unmapped[0], (0, Unmapped::NoMapping));
}

fn check(text: &str, unknown: Unknown) -> Vec<(bool, String, String)> {
    let registry = Registry::built_in();
    static TABLES: LazyLock<[Table; 3]> =
        LazyLock::new(|| [Table::classic("postern"), Table::classic("windows-mobile"), Table::windows()]);
    let checker = Checker { registry: &registry, tables: &*TABLES, unknown };
    let findings = checker.check(&one(text));
    findings.into_iter().map(|f| (f.refused, f.rule.word().to_owned(), f.rule.to_string())).collect()
}

fn setting(setting: &str) -> String {
    format!("postern: policy/1\nname: a\nsettings:\n  - {{{setting}}}\n")
}

#[test]
fn a_protected_address_is_refused_by_each_way_to_it() {
    for uri in [
        "./DMAcc/x/AppAuth/1/AAuthSecret",
        "./LAWMO/Operations/FactoryReset",
        "./Vendor/Postern/Wipe/Run",
        "./Vendor/Postern/Trust/x",
        "./Vendor/Postern", // deleting it would take the protected ones along
        "./Device/Vendor/MSFT/RemoteWipe/doWipe",
        "./%44MAcc/x",
    ] {
        for value in ["value: x", "absent: true"] {
            let findings = check(&setting(&format!("uri: {uri}, {value}")), Unknown::Warn);
            assert_eq!(findings[0].1, "protected", "{uri} {findings:?}");
            assert!(findings[0].0);
        }
        assert!(check::protected(&TreeUri::parse(uri).unwrap()).is_some());
    }
}

#[test]
fn descriptions_and_tables_refuse_what_their_nodes_do_not_take() {
    for (given, word) in [
        ("uri: ./DevInfo/Man, value: x", "ddf"),     // read only
        ("uri: ./DevInfo/Nothing, value: x", "ddf"), // the object has no such node
        ("uri: ./Settings/Policy/Lockdown/Camera, value: perhaps", "not-taken"),
        ("uri: ./Settings/Policy/Lockdown/Camera, format: int, value: 1", "not-taken"),
        ("uri: ./Settings/Policy/Password/MinLength, value: 1000", "not-taken"),
        ("setting: password-min-length, value: 1000", "value"),
        ("setting: camera, value: 0", "value"),
        ("setting: bluetooth, value: 7", "value"),
        ("setting: camrea, value: true", "no-such-setting"),
        ("setting: applications-blocked, absent: true", "value"),
        // No command carries them, on whatever node.
        ("uri: ./Vendor/Example/Leaf, value: 4294967295", "value"),
        ("uri: ./Vendor/Example/Leaf, format: bool, value: '1'", "value"),
        ("uri: ./Vendor/Example/Leaf, format: b64, value: '?'", "value"),
    ] {
        let findings = check(&setting(given), Unknown::Warn);
        assert!(
            findings.iter().any(|(refused, found, _)| *refused && found == word),
            "{given}: {findings:?}"
        );
    }
    for good in [
        "uri: ./Settings/Policy/Lockdown/Camera, value: false",
        "uri: ./Settings/Policy/Applications/Blocked/7, value: x.exe",
        "setting: bluetooth, value: 2",
        "setting: proxy-exceptions, value: []",
    ] {
        assert_eq!(check(&setting(good), Unknown::Refuse), [], "{good}");
    }
}

#[test]
fn an_undescribed_node_is_a_warning_or_a_refusal_by_choice() {
    let text = setting("uri: ./Vendor/Example/Leaf, value: x");
    assert!(!check(&text, Unknown::Warn)[0].0);
    assert!(check(&text, Unknown::Refuse)[0].0);
    let ddf = r#"<?xml version="1.0"?><MgmtTree><VerDTD>1.2</VerDTD><Node><NodeName>Example</NodeName><Path>./Vendor</Path>
        <DFProperties><AccessType><Get/></AccessType><DFFormat><node/></DFFormat><DFType><DDFName/></DFType></DFProperties>
        <Node><NodeName>Leaf</NodeName><DFProperties><AccessType><Get/><Replace/></AccessType><DFFormat><int/></DFFormat>
        <DFType><MIME>text/plain</MIME></DFType></DFProperties></Node></Node></MgmtTree>"#;
    let read =
        postern_wire::ddf::read(ddf.as_bytes(), postern_wire::syncml::Encoding::Xml, &Default::default())
            .unwrap();
    let registry = Registry::built_in().with(Object::of_ddf("Example", read.ddf, Origin::Imported).unwrap());
    let tables = [Table::classic("postern")];
    let checker = Checker { registry: &registry, tables: &tables, unknown: Unknown::Refuse };
    assert_eq!(checker.check(&one(&setting("uri: ./Vendor/Example/Leaf, value: 5"))), []);
    let findings = checker.check(&one(&setting("uri: ./Vendor/Example/Leaf, value: x")));
    assert!(
        matches!(&findings[0].rule, Rule::Ddf(rule) if rule.contains("its format is int")),
        "{findings:?}"
    );
}

#[test]
fn a_document_for_a_dialect_that_has_no_node_is_warned_of() {
    let text =
        "postern: policy/1\nname: a\ndialects: [windows]\nsettings:\n- {setting: camera, value: false}\n";
    assert_eq!(check(text, Unknown::Refuse)[0].1, "no-node");
}

fn order(layers: &[Layered]) -> Vec<String> {
    layers.iter().map(|layer| format!("{}@{}", layer.document.name, layer.group.name)).collect()
}

#[test]
fn inner_groups_come_behind_outer_ones_and_enforced_ones_the_other_way_round() {
    let held: Vec<Held> = [
        document("outer", true, "[A]"),
        document("inner", false, "[C]"),
        document("outer-enforced", true, "[{group: A, enforced: true}]"),
        document("inner-enforced", false, "[{group: C, enforced: true}]"),
        document("elsewhere", true, "[Z]"),
    ]
    .map(Held::draft)
    .to_vec();
    let layers = resolve(&held, &groups(&[("A", 0), ("B", 1), ("C", 2)]), Dialect::Classic);
    assert_eq!(order(&layers), ["outer@A", "inner@C", "inner-enforced@C", "outer-enforced@A"]);
    let node = effective(&layers, postern(), None).remove(0);
    assert_eq!((node.data.as_deref(), node.winner), (Some("true"), 3));
    assert_eq!(node.losers, [2, 1, 0]);
}

#[test]
fn at_one_depth_order_1_wins_then_the_name_that_comes_first() {
    let held: Vec<Held> = [
        document("b", true, "[{group: A, order: 5}]"),
        document("c", true, "[{group: B, order: 1}]"),
        document("a", true, "[{group: B, order: 5}]"),
        document("z", true, "[{group: A, order: 1}]"),
    ]
    .map(Held::draft)
    .to_vec();
    let layers = resolve(&held, &groups(&[("A", 1), ("B", 1)]), Dialect::Classic);
    assert_eq!(order(&layers), ["b@A", "a@B", "z@A", "c@B"]);
}

#[test]
fn a_document_that_comes_by_several_groups_counts_once_where_it_is_strongest() {
    let held = [Held::draft(document("a", true, "[A, B, {group: C, enforced: true}]"))];
    let at = |names: &[(&str, usize)]| order(&resolve(&held, &groups(names), Dialect::Classic));
    assert_eq!(at(&[("A", 0), ("B", 1)]), ["a@B"]);
    assert_eq!(at(&[("A", 0), ("B", 1), ("C", 2)]), ["a@C"]);
    assert_eq!(at(&[]), [""; 0]);
}

#[test]
fn a_document_of_another_dialect_does_not_count() {
    let text = "postern: policy/1\nname: a\ndialects: [windows]\nassign: [A]\nsettings: []\n";
    let held = [Held::draft(one(text))];
    assert_eq!(resolve(&held, &groups(&[("A", 0)]), Dialect::Classic).len(), 0);
    assert_eq!(resolve(&held, &groups(&[("A", 0)]), Dialect::Windows).len(), 1);
}

#[test]
fn the_published_schema_is_the_readers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/policy/policy-document.schema.json");
    let made = format!("{}\n", serde_json::to_string_pretty(&schema::schema()).unwrap());
    if std::env::var_os("POSTERN_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &made).unwrap();
        panic!("written; now run it without POSTERN_WRITE_SCHEMA");
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made, "run the test with POSTERN_WRITE_SCHEMA=1");
    // What the schema names and what the reader takes are the same names.
    let members =
        |at: &serde_json::Value| at["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let known = |text: &str| match refused(text).2 {
        ErrorKind::Unknown { known, .. } => {
            let mut known: Vec<_> = known.split(", ").map(str::to_owned).collect();
            known.sort();
            known
        }
        other => panic!("{other}"),
    };
    let schema = schema::schema();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(members(&schema)), known("x: 1"));
    let settings = &schema["properties"]["settings"]["items"];
    assert_eq!(sorted(members(settings)), known("postern: policy/1\nname: a\nsettings: [{x: 1}]"));
    let assign = &schema["properties"]["assign"]["items"]["anyOf"][1];
    assert_eq!(sorted(members(assign)), known("postern: policy/1\nname: a\nassign: [{x: 1}]\nsettings: []"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z:\\-\\[\\]{}#&*!|>'\"%@\n ,0-9?]{0,200}") {
        let _ = read::documents(text.as_bytes(), &Limits::default());
    }

    #[test]
    fn any_text_comes_back_from_the_yaml_that_was_written(value in any::<String>(), group in "[ -~éß]{1,40}") {
        let mut document = one("postern: policy/1\nname: a\nsettings:\n- {uri: ./A, value: x}\n");
        use postern_engine::policy::documents::{Assign, Value, model::Scalar};
        let carried = value.chars().all(|c| matches!(c, '\t' | '\n' | '\r') || c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
        prop_assume!(carried && !group.trim().is_empty());
        document.settings[0].value = Value::Value(Scalar::Text(value));
        document.assign = vec![Assign { group: group.trim().to_owned(), order: None, enforced: None }];
        prop_assert_eq!(&one(&document.to_yaml()), &document);
        prop_assert_eq!(&one(&document.canonical()), &document);
    }

    #[test]
    fn an_enforced_outer_group_is_never_beaten(
        made in proptest::collection::vec((0usize..3, 1u32..4, any::<bool>(), any::<bool>()), 1..8)
    ) {
        let names = ["A", "B", "C"];
        let held: Vec<Held> = made.iter().enumerate().map(|(n, (group, order, enforced, camera))| {
            Held::draft(document(&format!("d{n}"), *camera, &format!("[{{group: {}, order: {order}, enforced: {enforced}}}]", names[*group])))
        }).collect();
        let layers = resolve(&held, &groups(&[("A", 0), ("B", 1), ("C", 2)]), Dialect::Classic);
        let node = effective(&layers, postern(), None).remove(0);
        let winner = &layers[node.winner];
        let best = if made.iter().any(|one| one.2) {
            made.iter().filter(|one| one.2).map(|one| (one.0, one.1)).min()
        } else {
            made.iter().map(|one| (2 - one.0, one.1)).min().map(|(back, order)| (2 - back, order))
        };
        prop_assert_eq!(Some((winner.group.depth, winner.order)), best);
        prop_assert_eq!(node.losers.len(), made.len() - 1);
        // The order in which documents are given means nothing.
        let mut turned = held.clone();
        turned.reverse();
        prop_assert_eq!(order(&resolve(&turned, &groups(&[("C", 2), ("A", 0), ("B", 1)]), Dialect::Classic)), order(&layers));
    }
}
