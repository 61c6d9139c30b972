//! Group Policy in files: the names and fields that scripts go by, and the exit codes.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

use std::{ffi::OsString, fs, path::Path};

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
    let pol = |records: Vec<postern_engine::policy::registry_pol::Record>| {
        postern_engine::policy::registry_pol::File { records, trailing_octets: 0 }.write()
    };
    let record = postern_engine::policy::registry_pol::Record::dword;
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
