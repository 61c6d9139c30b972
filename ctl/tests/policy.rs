//! Group Policy in files: the names and fields that scripts go by, and the exit codes.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use std::{ffi::OsString, fs, path::Path};

use postern_engine::policy::registry_pol::{File, Record};
use posternctl::failure::Exit;
use serde_json::Value;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../actors/engine/tests/data/policy");

struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

fn posternctl(args: &[&str]) -> Ran {
    let args = ["posternctl"].iter().chain(args).map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = posternctl::run(args, &mut out, &mut err);
    Ran { exit, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

fn rsop(args: &[&str]) -> Ran {
    let (ldif, sysvol) = (format!("{DATA}/rsop/directory.ldif"), format!("{DATA}/rsop/sysvol"));
    let fixed = ["policy", "rsop", "--output", "json", "--ldif", &ldif, "--sysvol", &sysvol];
    posternctl(&[&fixed[..], args].concat())
}

fn corp(args: &[&str]) -> Ran {
    let files = ["00-domain", "10-ou-mdm", "20-gpos", "30-wmi", "40-tokengroups"];
    let files: Vec<_> = files.iter().map(|file| format!("--ldif={DATA}/ad/{file}.ldif")).collect();
    let sysvol = format!("--sysvol={DATA}/ad");
    let mut all = vec!["policy", "rsop", "--output", "json", &sysvol];
    all.extend(files.iter().map(String::as_str));
    posternctl(&[&all[..], args].concat())
}

#[test]
fn a_registry_pol_is_printed_with_the_fields_of_its_records() {
    let expected: Value =
        serde_json::from_slice(&fs::read(format!("{DATA}/registry_pol/expected.json")).unwrap()).unwrap();
    for (name, expected) in expected.as_object().unwrap() {
        let ran = posternctl(&[
            "policy",
            "registry-pol",
            "--output=json",
            &format!("{DATA}/registry_pol/{name}.pol"),
        ]);
        let json = ran.json();
        assert_eq!(json["ok"], expected["ok"], "{name}");
        if expected["ok"] == true {
            assert_eq!(ran.exit, Exit::Done, "{name}");
            if expected.get("entries").is_some() {
                assert_eq!(json["entries"], expected["entries"], "{name}");
            }
        } else {
            assert_eq!(ran.exit, Exit::Invalid, "{name}");
            assert!(json["offset"].is_u64() && json["reason"].is_string(), "{name}: {json}");
            assert!(ran.err.contains(&format!("offset {}", json["offset"])), "{name}: {}", ran.err);
        }
    }
}

#[test]
fn a_registry_pol_is_shown_to_people_with_its_values() {
    let ran = posternctl(&["policy", "registry-pol", &format!("{DATA}/registry_pol/all_types.pol")]);

    assert_eq!(ran.exit, Exit::Done);
    for shown in ["REG_MULTI_SZ", "a | b c | é", "3735928559", "(default)"] {
        assert!(ran.out.contains(shown), "{shown} in {}", ran.out);
    }
    let refused = posternctl(&["policy", "registry-pol", &format!("{DATA}/registry_pol/mal_size_huge.pol")]);
    assert_eq!((refused.exit, refused.out.as_str()), (Exit::Invalid, ""));
    assert!(
        refused.err.contains("[registry-pol-data-too-long]") && refused.err.contains("offset 88"),
        "{}",
        refused.err
    );
}

#[test]
fn a_resultant_set_is_printed_with_the_fields_of_the_fixture() {
    let expected: Value =
        serde_json::from_slice(&fs::read(format!("{DATA}/rsop/expected.json")).unwrap()).unwrap();
    for (name, expected) in expected.as_object().unwrap() {
        let ran = match name.split_once('@') {
            None => rsop(&["--device", name, "--compat"]),
            Some(_) => rsop(&["--user", "alice", "--device", "PHONE01", "--loopback", "replace", "--compat"]),
        };
        let json = ran.json();
        assert_eq!(ran.exit, Exit::Done, "{name}");
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(json[field], *value, "{name} {field}");
        }
        let settings = json["settings"].as_array().unwrap();
        let winner = settings.iter().find(|setting| setting["value"] == "Winner").unwrap();
        assert_eq!(winner["winner"], "Site3E");
        assert_eq!((&winner["scope"], &winner["type"]), (&expected["mode"], &1.into()));
        assert_eq!(winner["losers"][0], "Site4E");
        assert_eq!(winner["data_b64"], "UwBpAHQAZQAzAEUAAAA=");
        let losers = winner["losers"].as_array().unwrap().len();
        assert_eq!(losers + 1, json["applicationOrder"].as_array().unwrap().len());
    }
    assert!(rsop(&["--device", "PHONE01"]).json().get("registry").is_none());
}

#[test]
fn a_device_is_named_by_its_distinguished_name_or_any_of_its_names() {
    let by_name = rsop(&["--device", "PHONE01"]).json();
    for name in [
        "phone01$",
        "CN=PHONE01,OU=Exec,OU=Phones,OU=MDM,OU=Corp,DC=example,DC=test",
        "cn=phone01, ou=exec,OU=Phones,OU=MDM,OU=Corp,DC=example,DC=test",
    ] {
        assert_eq!(rsop(&["--device", name]).json(), by_name, "{name}");
    }
    let none = rsop(&["--device", "PHONE99"]);
    assert_eq!(none.exit, Exit::Refused);
    assert!(none.err.contains("\"slug\":\"not-found\""), "{}", none.err);
    assert_eq!(rsop(&["--device", "alice"]).exit, Exit::Refused, "a user is no device");
    assert_eq!(rsop(&["--device", "PHONE01", "--site", "Nowhere"]).exit, Exit::Refused);
}

#[test]
fn neither_a_device_nor_a_user_is_a_wrong_command_line() {
    assert_eq!(rsop(&[]).exit, Exit::Usage);
    assert_eq!(rsop(&["--user", "alice", "--loopback", "merge"]).exit, Exit::Usage);
    assert_eq!(posternctl(&["policy", "registry-pol"]).exit, Exit::Usage);
    assert_eq!(rsop(&["--user", "alice"]).json()["mode"], "user");
}

#[test]
fn loopback_comes_from_the_computers_policy_unless_it_is_given() {
    let own = corp(&["--device", "PHONE1", "--user", "alice"]).json();
    assert_eq!((&own["loopback"], &own["mode"]), (&"merge".into(), &"user".into()));

    let replace = corp(&["--device", "PHONE1", "--user", "alice", "--loopback", "replace"]).json();
    assert_eq!(replace["loopback"], "replace");
    assert!(replace["links"].as_array().unwrap().len() < own["links"].as_array().unwrap().len());
}

#[test]
fn wmi_filters_are_decided_on_a_file_of_facts() {
    let folder = tempfile::tempdir().unwrap();
    let facts = |content: &str| {
        let path = folder.path().join("facts.json");
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let reason = |args: &[&str]| {
        let json = corp(&[&["--device", "PHONE1"], args].concat()).json();
        let links = json["links"].as_array().unwrap().clone();
        links.iter().find(|link| link["gpo"] == "Wmi Filtered").unwrap()["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    };

    assert_eq!(reason(&[]), "wmi-filter-unevaluated");
    assert_eq!(reason(&["--facts", &facts(r#"{"Win32_OperatingSystem":{"Version":"10.0.1"}}"#)]), "applied");
    assert_eq!(
        reason(&["--facts", &facts(r#"{"Win32_OperatingSystem.Version":"6.1"}"#)]),
        "wmi-filter-false"
    );
    let allowed = corp(&["--device", "PHONE1", "--wmi-unknown", "allow"]).json();
    assert!(allowed["applicationOrder"].as_array().unwrap().contains(&"Wmi Filtered".into()));
    let wrong = corp(&["--device", "PHONE1", "--facts", &facts("[1]")]);
    assert_eq!(wrong.exit, Exit::Invalid);
}

#[test]
fn a_directory_that_cannot_be_read_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let ldif = folder.path().join("x.ldif");
    fs::write(&ldif, "dn: DC=x\nchangetype: delete\n").unwrap();
    let (ldif, sysvol) = (ldif.to_str().unwrap(), folder.path().to_str().unwrap());

    let ran =
        posternctl(&["policy", "rsop", "--ldif", ldif, "--sysvol", sysvol, "--device", "x", "--output=json"]);

    assert_eq!(ran.exit, Exit::Invalid);
    assert!(ran.err.contains("invalid-ldif") && ran.err.contains("line 2"), "{}", ran.err);
    let missing = posternctl(&["policy", "rsop", "--ldif", "/none", "--sysvol", sysvol, "--device", "x"]);
    assert_eq!(missing.exit, Exit::Invalid);
}

#[test]
fn sysvol_is_read_without_case_and_never_beyond_its_plain_files() {
    let folder = tempfile::tempdir().unwrap();
    let sysvol = folder.path().join("policies");
    copy(Path::new(&format!("{DATA}/rsop/sysvol/example.test/Policies")), &sysvol);
    let reason = |of: &str| {
        let ldif = format!("{DATA}/rsop/directory.ldif");
        let sysvol = folder.path().to_str().unwrap();
        let ran = posternctl(&[
            "policy",
            "rsop",
            "--output=json",
            "--ldif",
            &ldif,
            "--sysvol",
            sysvol,
            "--device",
            "PHONE01",
        ]);
        let json = ran.json();
        let links = json["links"].as_array().unwrap().clone();
        let unread = json["unread"].as_array().unwrap().len();
        (links.iter().find(|link| link["gpo"] == of).unwrap()["reason"].as_str().unwrap().to_owned(), unread)
    };
    let pol = sysvol.join("{00000000-0000-4000-8000-000000000012}/MACHINE/REGISTRY.POL");
    assert_eq!(reason("Ex2"), ("applied".to_owned(), 0));

    fs::remove_file(&pol).unwrap();
    std::os::unix::fs::symlink(format!("{DATA}/registry_pol/one_dword.pol"), &pol).unwrap();
    assert_eq!(reason("Ex2"), ("sysvol-unreadable".to_owned(), 1));

    fs::remove_file(&pol).unwrap();
    fs::write(&pol, b"PReg\x02\0\0\0").unwrap();
    assert_eq!(reason("Ex2"), ("sysvol-unreadable".to_owned(), 1));
}

/// With every name in another case.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_str().unwrap().to_uppercase();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

#[test]
fn a_check_says_what_of_a_gpo_reaches_a_device_and_what_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let gpo = folder.path().join("{11111111-2222-3333-4444-555555555555}/DomainSysvol/GPO");
    let pol = |records: Vec<Record>| File { records, trailing_octets: 0 }.write();
    let record = Record::dword;
    let write = |path: &str, octets: &[u8]| {
        let path = gpo.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, octets).unwrap();
    };
    let password = "Software\\Policies\\Postern\\Password";
    let camera = "Software\\Policies\\Microsoft\\Camera";
    write(
        "Machine/Registry.pol",
        &pol(vec![
            record(password, "Require", 1),
            record(camera, "AllowCamera", 0),
            record("Software\\Policies\\X", "Y", 1),
            record(password, "**SecureKey", 1),
        ]),
    );
    write("User/Registry.pol", b"PReg");
    let inf = "[Unicode]\r\nUnicode=yes\r\n[System Access]\r\nMinimumPasswordLength = 7\r\n";
    let inf: Vec<u8> = [0xfeff].into_iter().chain(inf.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    write("Machine/Microsoft/Windows NT/SecEdit/GptTmpl.inf", &inf);
    write("User/Preferences/Drives/Drives.xml", b"<Drives><Drive name=\"S:\"/></Drives>");
    write("Machine/comment.cmtx", b"<x/>");

    let path = folder.path().to_str().unwrap();
    let ran = posternctl(&["policy", "import-check", "--output=json", path]);
    let json = ran.json();

    assert_eq!(ran.exit, Exit::Done);
    let totals = &json["totals"];
    assert_eq!(
        (&totals["settings"], &totals["unmapped"], &totals["others"], &totals["refused"]),
        (&4.into(), &2.into(), &2.into(), &1.into())
    );
    assert_eq!((&totals["mapped"]["windows"], &totals["mapped"]["classic-postern"]), (&1.into(), &1.into()));
    let settings = json["gpos"][0]["settings"].as_array().unwrap();
    assert_eq!(settings[0]["nodes"]["classic-postern"][0]["data"], "true");
    assert_eq!(
        settings[1]["nodes"]["windows"][0]["uri"],
        "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"
    );
    assert_eq!(settings[2]["reasons"]["windows"]["reason"], "no-mapping");
    assert_eq!(settings[3]["reasons"]["all"]["reason"], "directive");
    let others = json["gpos"][0]["others"].as_array().unwrap();
    assert_eq!(others[0]["items"][0], "[System Access] MinimumPasswordLength");
    assert_eq!(
        (&others[1]["reason"], &others[1]["items"][0]),
        (&"unsupported: preferences".into(), &"S:".into())
    );

    let shown = posternctl(&["policy", "import-check", path]).out;
    assert!(shown.contains("unsupported: security-template") && !shown.contains("AllowCamera"), "{shown}");
    assert!(posternctl(&["policy", "import-check", "--all", path]).out.contains("AllowCamera"));
}

#[test]
fn a_check_takes_a_file_a_sysvol_and_an_operators_table() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("own.tsv");
    fs::write(&table, "half\tkey\tvalue\ttype\turi\tformat\thow\ncomputer\tSoftware\\Policies\\Example\tEnabled\tDWORD\t./Own/Enabled\tint\tplain\n").unwrap();
    let one = format!("{DATA}/registry_pol/one_dword.pol");
    let ran =
        posternctl(&["policy", "import-check", "--output=json", "--table", table.to_str().unwrap(), &one]);
    assert_eq!(ran.json()["gpos"][0]["settings"][0]["nodes"]["own"][0]["uri"], "./Own/Enabled");

    let sysvol = posternctl(&["policy", "import-check", "--output=json", &format!("{DATA}/rsop/sysvol")]);
    assert_eq!(sysvol.json()["totals"]["gpos"], 30);

    assert_eq!(posternctl(&["policy", "import-check", folder.path().to_str().unwrap()]).exit, Exit::Invalid);
    fs::write(&table, "half\tkey\n").unwrap();
    fs::write(&table, "half\tkey\nuser\tx\n").unwrap();
    let refused = posternctl(&["policy", "import-check", "--table", table.to_str().unwrap(), &one]);
    assert!(refused.exit == Exit::Invalid && refused.err.contains("line 2"), "{}", refused.err);
}

#[test]
fn a_check_says_which_table_takes_a_setting_and_refuses_one_that_reaches_a_wipe() {
    let folder = tempfile::tempdir().unwrap();
    let pol = folder.path().join("Registry.pol");
    let camera = Record::dword("Software\\Policies\\Postern\\Lockdown", "Camera", 0);
    fs::write(&pol, File { records: vec![camera], trailing_octets: 0 }.write()).unwrap();
    let own = folder.path().join("own.tsv");
    let (own, pol) = (own.to_str().unwrap(), pol.to_str().unwrap());
    let row = |uri: &str| {
        let text = "half\tkey\tvalue\ttype\turi\tformat\thow\ncomputer\tSoftware\\Policies\\Postern\\Lockdown\tCamera\tDWORD\t";
        fs::write(own, format!("{text}{uri}\tint\tplain\n")).unwrap();
    };
    row("./Own/Camera");
    let report = posternctl(&["policy", "import-check", "--output=json", "--table", own, pol]).json();
    let setting = &report["gpos"][0]["settings"][0];
    assert_eq!(setting["nodes"]["own"][0]["uri"], "./Own/Camera");
    assert_eq!(setting["reasons"]["classic-postern"]["reason"], "taken");
    let mapped = &report["totals"]["mapped"];
    assert_eq!((&mapped["own"], &mapped["classic-postern"]), (&1.into(), &0.into()));

    row("./Vendor/Postern/Wipe/Run");
    let refused = posternctl(&["policy", "import-check", "--table", own, pol]);
    assert_eq!(refused.exit, Exit::Invalid);
    assert!(
        refused.err.contains("own.tsv")
            && refused.err.contains("line 2")
            && refused.err.contains("reaches a wipe"),
        "{}",
        refused.err
    );
}

// --- policy tests

const FIELD: &str =
    "postern: policy/1\nname: field\nassign: [Field]\nsettings:\n  - {setting: camera, value: false}\n";
const HOUSE: &str = "postern: policy/1\nname: house\nassign: [{group: Everybody, order: 1}]\nsettings:\n  - {setting: camera, value: true}\n  - {setting: bluetooth, value: 2}\n";
const TABLE: &str = "half\tkey\tvalue\ttype\turi\tformat\thow\treg_map\ncomputer\tSoftware\\Policies\\Example\\Mdm\tCameraAllowed\tDWORD\t./Settings/Policy/Lockdown/Camera\tbool\tplain\t1=true;0=false\n";

/// A folder of documents, a table and tests.
fn tried(tests: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    write("policies/field.yaml", FIELD);
    write("policies/house.yml", HOUSE);
    write("policies/README.md", "not a document");
    write("policies/own-test.yaml", "postern: policy-test/1\ntests: []\n");
    write("own.tsv", TABLE);
    write("tests.yaml", tests);
    let path = folder.path().join("tests.yaml");
    posternctl(&["policy", "test", path.to_str().unwrap()])
}

const DOCUMENTS_ONLY: &str = "
postern: policy-test/1
documents: policies
tests:
  - name: field phones have no camera
    groups: [Everybody, Field]
    expect:
      - {setting: camera, value: false, from: field}
      - {setting: bluetooth, value: 2, from: house}
      - {uri: ./Settings/Policy/Lockdown/Camera, value: false}
      - {setting: wlan, unset: true}
  - name: the house keeps it
    groups: [Everybody]
    expect:
      - {setting: camera, value: true}
";

#[test]
fn policy_tests_run_on_documents_alone() {
    let ran = tried(DOCUMENTS_ONLY);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Done, "2 passed, 0 failed\n"), "{}", ran.err);
}

#[test]
fn a_policy_test_that_fails_says_who_won_and_who_lost() {
    let ran = tried(&DOCUMENTS_ONLY.replace("camera, value: false, from: field", "camera, value: true"));
    assert_eq!(ran.exit, Exit::Refused);
    for part in [
        "FAILED field phones have no camera",
        "tests.yaml:5)",
        "camera (./Settings/Policy/Lockdown/Camera): true is wanted, it is false from field",
        "won:  document field by group Field",
        "lost: document house by group Everybody",
        "1 passed, 1 failed",
    ] {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
}

#[test]
fn a_policy_test_that_asks_for_another_winner_fails() {
    let ran = tried(&DOCUMENTS_ONLY.replace("from: field", "from: house"));
    assert_eq!(ran.exit, Exit::Refused);
    assert!(ran.out.contains("false from house is wanted, it is false from field"), "{}", ran.out);
}

#[test]
fn a_file_of_policy_tests_that_cannot_be_is_refused_with_its_line() {
    for (from, to, says) in [
        ("setting: wlan, unset: true", "setting: wlan", "line 11: /tests/0/expect/3"),
        ("setting: wlan", "setting: wlna", "wlna"),
        ("documents: policies", "documents: nowhere", "nowhere"),
        ("groups: [Everybody]", "device: PHONE1", "a directory at the head"),
        ("policy-test/1", "policy-test/9", "line 2: /postern"),
    ] {
        let ran = tried(&DOCUMENTS_ONLY.replace(from, to));
        assert_eq!(ran.exit, Exit::Invalid, "{to}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(says), "{says} in {}", ran.err);
    }
}

#[test]
fn policy_tests_run_over_a_directory_with_documents_behind_its_gpos() {
    let ldif: Vec<_> = ["00-domain", "10-ou-mdm", "20-gpos", "30-wmi", "40-tokengroups"]
        .iter()
        .map(|file| format!("{DATA}/ad/{file}.ldif"))
        .collect();
    let tests = format!(
        "
postern: policy-test/1
directory:
  ldif: [{}]
  sysvol: {DATA}/ad
documents: [policies/house.yml]
tables: [own.tsv]
tests:
  - name: the nearest GPO turns the camera of PHONE1 off
    device: PHONE1
    expect:
      - {{uri: ./Settings/Policy/Lockdown/Camera, value: false, from: Field Phones Only}}
  - name: PHONE3 may not apply it
    device: PHONE3
    expect:
      - {{uri: ./Settings/Policy/Lockdown/Camera, value: true, from: MDM Baseline}}
  - name: a document comes behind the GPOs that are not enforced
    device: PHONE1
    groups: [Everybody]
    expect:
      - {{setting: camera, value: true, from: house}}
  - name: a phone that is not there yet
    in: OU=Field,OU=Sales,OU=Devices,OU=MDM,DC=corp,DC=example
    expect:
      - {{uri: ./Settings/Policy/Lockdown/Camera, value: true, from: MDM Baseline}}
",
        ldif.join(", ")
    );
    let ran = tried(&tests);
    assert_eq!(ran.exit, Exit::Done, "{}{}", ran.out, ran.err);

    let ran = tried(&tests.replace("device: PHONE3", "device: PHONE1"));
    assert_eq!(ran.exit, Exit::Refused);
    assert!(ran.out.contains("won:  GPO Field Phones Only at OU=Field"), "{}", ran.out);
    assert!(ran.out.contains("lost: GPO MDM Baseline at OU=MDM"), "{}", ran.out);
    assert!(ran.out.contains("out:  Disabled Link at OU=Devices"), "{}", ran.out);
}
