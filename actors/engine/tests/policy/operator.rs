//! An operator's own tables: what is refused, what takes a setting before the built-in tables, what no table reaches.

use std::sync::LazyLock;

use postern_engine::policy::{
    desired::{
        Desired,
        fold::{fold, planned},
    },
    mapping::{
        Dialect,
        operator::{self, File},
        table::{ErrorKind, Table},
    },
    registry_pol::Record,
};

use crate::common::Hand;

const HEAD: &str = "half\tkey\tvalue\ttype\turi\tformat\thow\n";
const LOCKDOWN: &str = r"Software\Policies\Postern\Lockdown";

fn file(name: &str, text: &str) -> File {
    File { path: format!("/etc/{name}.tsv"), name: name.to_owned(), octets: text.as_bytes().to_vec() }
}

fn row(value: &str, uri: &str) -> String {
    format!("{HEAD}computer\t{LOCKDOWN}\t{value}\tDWORD\t{uri}\tint\tplain\n")
}

fn desired(own: &[Table], records: &[Record]) -> Desired {
    static BUILT_IN: LazyLock<Table> = LazyLock::new(|| Table::classic("postern"));
    let mut hand = Hand::new(&["U"]);
    let gpo = hand.gpo("Phones", "OU=U,DC=t", 0);
    hand.records(&gpo, records);
    let tables: Vec<&Table> = own.iter().chain([&*BUILT_IN]).collect();
    fold(planned(&hand.resultant(), &tables, None), &[])
}

fn values(desired: &Desired) -> Vec<(&str, Option<&str>)> {
    desired.settings.iter().map(|setting| (setting.uri.as_str(), setting.data.as_deref())).collect()
}

#[test]
fn the_first_table_takes_a_setting_before_the_built_in_one_and_what_none_can_take_goes_on_to_the_next() {
    let own = operator::tables(&[
        file("a", &row("Camera", "./Settings/Own/Camera")),
        file(
            "b",
            &format!(
                "{}computer\t{LOCKDOWN}\tWlan\tSZ\t./Settings/Own/Wlan\tchr\tplain\n",
                row("Camera", "./Settings/Other/Camera")
            ),
        ),
    ])
    .unwrap();
    let records = [Record::dword(LOCKDOWN, "Camera", 0), Record::dword(LOCKDOWN, "Wlan", 1)];

    let desired = desired(&own, &records);

    let expected = [("./Settings/Own/Camera", Some("0")), ("./Settings/Policy/Lockdown/Wlan", Some("true"))];
    assert_eq!(
        values(&desired),
        expected,
        "a's camera; b's wlan is of another type, so the built-in one counts"
    );
    assert!(desired.unmapped.is_empty());
}

#[test]
fn what_cannot_be_is_refused_with_file_line_and_cause() {
    let line = |rest: &str| format!("{HEAD}# ours\n{rest}\n");
    let good = "computer\tk\tv\tDWORD\t./A/B\tint\tplain";
    for (text, at, what) in [
        (line("device\tk\tv\tDWORD\t./A/B\tint\tplain"), 3, "half cannot be that"),
        (line("computer\t\tv\tDWORD\t./A/B\tint\tplain"), 3, "key cannot be that"),
        (line("computer\tk\tv\tDWORD\tA/B\tint\tplain"), 3, "uri cannot be that"),
        (line("computer\tk\tv\tDWORD\t./A/{name}\tint\tplain"), 3, "uri cannot be that"),
        (line("computer\tk\t*\tSZ\t./A/x{name}\tchr\tplain"), 3, "uri cannot be that"),
        (line("computer\tk\tv\tDWORD\t./A/B\tnode\tplain"), 3, "format cannot be that"),
        (line(&format!("{good}\tmore")), 3, "more cells than there are columns"),
        (line(&format!("{good}\n{good}")), 4, "stands there already"),
        (line("computer\tk\u{1b}[2J\tv\tDWORD\t./A/B\tint\tplain"), 3, "control characters"),
        (line(&format!("computer\t{}\tv\tDWORD\t./A/B\tint\tplain", "k".repeat(20_000))), 3, "too large"),
        (format!("half\tkeys\tkey\n{good}\n"), 1, "no column \"keys\""),
        (format!("dialect\t{HEAD}windows\t{good}\n\t{good}\n"), 3, "of one dialect"),
        (format!("dialect\t{HEAD}palm\t{good}\n"), 2, "dialect cannot be that"),
        (HEAD.to_owned(), 1, "holds no row"),
        (String::new(), 1, "no column"),
    ] {
        let refused = operator::tables(&[file("own", &text)]).unwrap_err();
        assert_eq!((refused.path.as_str(), refused.error.line), ("/etc/own.tsv", at), "{text:?}: {refused}");
        assert!(refused.to_string().contains(what), "{refused} does not say {what}");
    }
    let text = row("Camera", "./Own/Camera");
    for names in [&["windows"][..], &["own", "own"], &[""], &["a b"]] {
        let files: Vec<File> = names.iter().map(|name| file(name, &text)).collect();
        assert_eq!(operator::tables(&files).unwrap_err().error.kind, ErrorKind::Name, "{names:?}");
    }
    let latin = File { octets: b"half\tkey\nuser\t\xe4\n".to_vec(), ..file("own", "") };
    assert_eq!(operator::tables(&[latin]).unwrap_err().error.line, 2);
    let files: Vec<File> = (0..=operator::FILES).map(|number| file(&format!("t{number}"), &text)).collect();
    assert_eq!(operator::tables(&files).unwrap_err().error.kind, ErrorKind::TooLarge);
    let table = operator::read("own", format!("dialect\t{HEAD}windows\t{good}\n").as_bytes()).unwrap();
    assert_eq!(table.dialect, Dialect::Windows);
}

#[test]
fn no_table_reaches_what_is_protected_neither_by_itself_nor_by_an_entrys_name() {
    for uri in [
        "./Vendor/Postern/Wipe/Run",
        "./Vendor/Postern",
        "./vendor/postern/%57ipe",
        "./Device/Vendor/MSFT/RemoteWipe/doWipe",
        "./SyncML/DMAcc/x/Addr",
        "./DevInfo/DevId",
        "./Com/LAWMO/Operations/Wipe",
    ] {
        let refused = operator::read("own", row("Camera", uri).as_bytes()).unwrap_err();
        assert!(matches!(refused.kind, ErrorKind::Protected(..)), "{uri}: {refused}");
    }
    let list = |uri: &str| {
        let text = format!("{HEAD}computer\tSoftware\\L\t*\tDWORD\t{uri}\tint\tplain\n");
        operator::read("own", text.as_bytes())
    };
    for uri in [
        "./Vendor/Postern/{name}",
        "./Vendor/Postern/{name}/Run",
        "./Vendor/{name}/Wipe",
        "./{name}/Vendor/MSFT/CleanPC/x",
    ] {
        assert!(matches!(list(uri).unwrap_err().kind, ErrorKind::Protected(..)), "{uri}");
    }
    // What a table may say, an entry's name does not turn into something else.
    let table = list("./Settings/Own/{name}").unwrap();
    let records = ["../../Vendor/Postern/Wipe", "Wipe", "..", "DMAcc"]
        .map(|name| Record::dword("Software\\L", name, 1));
    let desired = desired(&[table], &records);
    for setting in &desired.settings {
        let below = setting.uri.strip_prefix("./Settings/Own/").unwrap();
        assert!(!below.contains('/'), "{}", setting.uri);
        assert_eq!(setting.withheld.is_some(), ["..", "DMAcc"].contains(&below), "{}", setting.uri);
    }
}
