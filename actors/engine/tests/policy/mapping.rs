//! Settings put into nodes, by the built-in tables and by an operator's.

use std::{collections::BTreeSet, fs, path::Path};

use postern_engine::policy::{
    gpo::Half,
    mapping::{
        Dialect, Setting, Unmapped, admx, classic,
        plan::Plan,
        table::{ErrorKind, Table, knows},
    },
    registry_pol::Record,
    rsop::settings::Data,
};

fn plan(table: &Table, half: Half, records: &[Record], version: Option<&str>) -> Plan {
    let data: Vec<Option<Data>> = records
        .iter()
        .map(|r| (r.kind != 0).then(|| Data { kind: r.kind, octets: r.data.clone() }))
        .collect();
    let settings: Vec<Setting<'_>> = records
        .iter()
        .zip(&data)
        .map(|(record, data)| Setting { half, key: &record.key, value: &record.value, data: data.as_ref() })
        .collect();
    table.plan(&settings, version)
}

fn deleted(key: &str, value: &str) -> Record {
    Record { key: key.to_owned(), value: value.to_owned(), kind: 0, data: Vec::new() }
}

/// Address and value of each node.
fn nodes(plan: &Plan) -> Vec<(&str, Option<&str>)> {
    plan.nodes.iter().map(|node| (node.uri.as_str(), node.data.as_deref())).collect()
}

const PASSWORD: &str = "Software\\Policies\\Postern\\Password";

#[test]
fn every_setting_that_can_be_authored_reaches_our_own_device() {
    let table = Table::classic(classic::POSTERN);
    let settings = classic::settings().unwrap();
    assert!(settings.len() >= 50);
    for setting in &settings {
        let value = if setting.value == "*" { "1" } else { &setting.value };
        assert!(table.rows_of(setting.half, &setting.key, value).count() == 1, "{}", setting.id);
    }
    let ids: BTreeSet<_> = settings.iter().map(|setting| &setting.id).collect();
    let names: BTreeSet<_> =
        settings.iter().map(|setting| (setting.half, &setting.key, &setting.value)).collect();
    assert_eq!((ids.len(), names.len()), (settings.len(), settings.len()), "each once");
    assert!(!Table::classic("windows-mobile").is_empty());
    assert!(Table::classic("nobody").is_empty());
}

#[test]
fn a_value_goes_to_its_node_as_the_node_has_it() {
    let table = Table::classic(classic::POSTERN);
    let records = [
        Record::dword(PASSWORD, "Require", 1),
        Record::dword(&PASSWORD.to_uppercase(), "minlength", 6),
        Record::dword("Software\\Policies\\Postern\\Management", "ConnectInterval", 600),
        Record::sz("Software\\Policies\\Postern\\Applications\\Blocked", "a/b", "calc.exe"),
        deleted(PASSWORD, "Timeout"),
    ];

    let plan = plan(&table, Half::Computer, &records, None);

    assert_eq!(
        nodes(&plan),
        [
            ("./Settings/Policy/Applications/Blocked/a%2Fb", Some("calc.exe")),
            ("./Settings/Policy/Password/MinLength", Some("6")),
            ("./Settings/Policy/Password/Require", Some("true")),
            ("./Settings/Policy/Password/Timeout", None),
            ("./Vendor/Postern/Schedule/Interval", Some("600")),
        ]
    );
    assert!(plan.fates.iter().all(Result::is_ok));
}

#[test]
fn what_goes_nowhere_says_why() {
    let table = Table::classic(classic::POSTERN);
    let records = [
        Record::dword(PASSWORD, "Nonsense", 1),
        Record::sz(PASSWORD, "Require", "1"),
        Record::dword(PASSWORD, "MinLength", 41),
        Record::dword(PASSWORD, "Type", 3),
        Record::dword(PASSWORD, "Require", 2),
    ];

    let words = |half| -> Vec<_> {
        plan(&table, half, &records, None)
            .fates
            .iter()
            .map(|fate| fate.as_ref().unwrap_err().word())
            .collect()
    };

    assert_eq!(
        words(Half::Computer)[..4],
        ["no-mapping", "wrong-type", "value-not-allowed", "value-not-allowed"]
    );
    assert_eq!(words(Half::User), ["no-mapping"; 5]);
}

#[test]
fn a_policy_of_a_template_is_enabled_or_disabled_with_its_elements() {
    let table = Table::windows();
    assert!(table.len() > 5_000);
    let bits = "Software\\Policies\\Microsoft\\Windows\\BITS";
    let uri = "./Device/Vendor/MSFT/Policy/Config/ADMX_Bits/BITS_MaxBandwidthServedForPeers";
    let ask = |record: Record| plan(&table, Half::Computer, &[record], None);

    let enabled = ask(Record::dword(bits, "MaxBandwidthServed", 2_000_000));
    assert_eq!(
        nodes(&enabled),
        [(uri, Some("<enabled/><data id=\"BITS_MaxBandwidthServedForPeersList\" value=\"2000000\"/>"))]
    );
    assert_eq!(nodes(&ask(deleted(bits, "MaxBandwidthServed"))), [(uri, Some("<disabled/>"))]);
    let small = ask(Record::dword(bits, "MaxBandwidthServed", 1));
    assert!(matches!(small.fates[0], Err(Unmapped::ValueNotAllowed(_))), "{:?}", small.fates);

    let lock = "Software\\Policies\\Microsoft\\Windows\\Personalization";
    let camera = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/PreventEnablingLockScreenCamera";
    for (record, data) in [
        (Record::dword(lock, "NoLockScreenCamera", 1), "<enabled/>"),
        (deleted(lock, "NoLockScreenCamera"), "<disabled/>"),
    ] {
        let plan = ask(record);
        assert!(nodes(&plan).contains(&(camera, Some(data))), "{:?}", nodes(&plan));
    }
}

#[test]
fn a_node_of_the_settings_own_meaning_comes_before_a_template() {
    let table = Table::windows();
    let camera = [Record::dword("software\\policies\\microsoft\\camera", "ALLOWCAMERA", 0)];

    let plan = plan(&table, Half::Computer, &camera, Some("10.0.19045.1"));

    assert_eq!(nodes(&plan), [("./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera", Some("0"))]);
    assert_eq!(plan.nodes[0].format, "int");
    let wrong = [Record::dword("software\\policies\\microsoft\\camera", "AllowCamera", 2)];
    let wrong = self::plan(&table, Half::Computer, &wrong, None);
    assert_eq!(wrong.fates[0], Err(Unmapped::ValueNotAllowed("0|1".to_owned())));
}

#[test]
fn every_row_of_a_list_goes_into_one_value() {
    let table = Table::windows();
    let key = "Software\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\Kerberos";
    let servers = format!("{key}\\KdcProxy\\ProxyServers");
    let records = [
        Record::dword(key, "KdcProxyServer_Enabled", 1),
        Record::sz(&servers, "corp.example", "<https a=\"1\">"),
        Record::sz(&servers, "other.example", "b"),
    ];

    let plan = plan(&table, Half::Computer, &records, None);

    let (uri, data) = nodes(&plan)[0];
    assert_eq!(uri, "./Device/Vendor/MSFT/Policy/Config/ADMX_Kerberos/KdcProxyServer");
    assert_eq!(
        data.unwrap(),
        "<enabled/><data id=\"KdcProxyServer\" value=\"corp.example\u{f000}&lt;https a=&quot;1&quot;&gt;\u{f000}other.example\u{f000}b\"/>"
    );
    assert_eq!(plan.fates, [Ok(vec![0]), Ok(vec![0]), Ok(vec![0])]);
}

#[test]
fn a_device_of_an_older_version_does_not_get_what_it_does_not_know() {
    for (from, version, knows_it) in [
        ("10.0.22000 10.0.19041.1202", "10.0.22000", true),
        ("10.0.22000 10.0.19041.1202", "10.0.22631.1", true),
        ("10.0.22000 10.0.19041.1202", "10.0.19041.1202", true),
        ("10.0.22000 10.0.19041.1202", "10.0.19041.1", false),
        ("10.0.22000 10.0.19041.1202", "10.0.19045.9999", false),
        ("99.9.99999", "10.0.99999.1", false),
        ("99.9.99999 10.0.26100.3613", "10.0.26100.4000", true),
        ("", "10.0.1", true),
    ] {
        assert_eq!(knows(from, version), knows_it, "{version} of {from}");
    }
    let table = Table::windows();
    let bits =
        [Record::dword("Software\\Policies\\Microsoft\\Windows\\BITS", "MaxBandwidthServed", 2_000_000)];
    let old = plan(&table, Half::Computer, &bits, Some("10.0.10240.1"));
    assert!(matches!(old.fates[0], Err(Unmapped::NotYet(_))), "{:?}", old.fates);
}

#[test]
fn an_operators_table_is_read_and_a_wrong_one_refused_with_its_line() {
    let head = "half\tkey\tvalue\ttype\turi\tformat\thow\treg_map\n";
    let table =
        Table::read("own", Dialect::Classic, &format!("# ours\n{head}computer\tSoftware\\X\tA\tDWORD\t./Own/A\tint\tplain\t\n^\t^\tB\t^\t./Own/B\tbool\tplain\t1=true;0=false\n")).unwrap();
    let records = [Record::dword("Software\\X", "A", 5), Record::dword("Software\\X", "B", 0)];
    assert_eq!(
        nodes(&plan(&table, Half::Computer, &records, None)),
        [("./Own/A", Some("5")), ("./Own/B", Some("false"))]
    );

    let refused = |text: &str| Table::read("own", Dialect::Classic, text).unwrap_err();
    assert_eq!(
        refused(&format!("{head}device\tk\tv\tDWORD\t./A\tint\tplain\t")).kind,
        ErrorKind::Cell("half")
    );
    assert_eq!(refused(&format!("{head}\nuser\tk\tv\tWORD\t./A\tint\tplain\t")).line, 3);
    assert_eq!(refused(&format!("{head}user\tk\tv\tSZ\tA\tint\tplain\t")).kind, ErrorKind::Cell("uri"));
    assert_eq!(refused("half\tkey\nuser\tk").kind, ErrorKind::Column("uri"));
}

#[test]
fn the_administrative_templates_are_those_of_the_table() {
    let settings = classic::settings().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/policy");
    for (file, made) in
        [("Postern.admx", admx::admx(&settings)), ("en-US/Postern.adml", admx::adml(&settings))]
    {
        let path = folder.join(file);
        if std::env::var_os("POSTERN_WRITE_ADMX").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &made).unwrap();
        }
        let stands = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(stands, made, "{file}: write it anew with POSTERN_WRITE_ADMX=1");
    }
    let written = std::env::var_os("POSTERN_WRITE_ADMX");
    assert_eq!(written, None, "written; now run it without POSTERN_WRITE_ADMX");
}

#[test]
fn every_reference_of_the_template_has_its_text() {
    let settings = classic::settings().unwrap();
    let (admx, adml) = (admx::admx(&settings), admx::adml(&settings));
    let all = |text: &str, before: &str, after: &str| -> BTreeSet<String> {
        text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap().to_owned()).collect()
    };

    assert_eq!(all(&admx, "$(string.", ")"), all(&adml, "<string id=\"", "\""));
    assert_eq!(all(&admx, "$(presentation.", ")"), all(&adml, "<presentation id=\"", "\""));
    let elements: BTreeSet<_> = ["decimal", "text", "list", "enum"]
        .iter()
        .flat_map(|kind| all(&admx, &format!("<{kind} id=\""), "\""))
        .collect();
    assert_eq!(elements, all(&adml, "refId=\"", "\""));
    assert_eq!(admx.matches("<policy ").count(), settings.len());
    for (open, close) in
        [("<policy ", "</policy>"), ("<elements>", "</elements>"), ("<category ", "<category ")]
    {
        assert_eq!(admx.matches(open).count(), admx.matches(close).count());
    }
}
