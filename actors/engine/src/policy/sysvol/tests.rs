//! A GPO's folder by the rules: names, versions and what is refused.

use std::collections::BTreeMap;

use super::*;

/// A folder in memory: paths of files, each with its octets, and of what is no file.
#[derive(Default)]
struct Held {
    files: BTreeMap<Vec<String>, Vec<u8>>,
    strange: Vec<Vec<String>>,
}

impl Held {
    fn with(mut self, path: &str, octets: &[u8]) -> Self {
        self.files.insert(split(path), octets.to_vec());
        self
    }

    fn with_link(mut self, path: &str) -> Self {
        self.strange.push(split(path));
        self
    }
}

fn split(path: &str) -> Vec<String> {
    path.split('\\').map(str::to_owned).collect()
}

impl Tree for Held {
    fn entries(&self, at: &[&str], most: usize) -> Result<Vec<Entry>, String> {
        let mut entries = BTreeMap::new();
        for (path, is_file) in
            self.files.keys().map(|path| (path, true)).chain(self.strange.iter().map(|path| (path, false)))
        {
            let below = path.len() > at.len() && path.iter().zip(at).all(|(name, at)| name == at);
            if below {
                let kind = match (path.len() - at.len(), is_file) {
                    (1, true) => Kind::File,
                    (1, false) => Kind::Other,
                    _ => Kind::Folder,
                };
                entries.insert(path[at.len()].clone(), kind);
            }
        }
        Ok(entries.into_iter().map(|(name, kind)| Entry { name, kind }).take(most + 1).collect())
    }

    fn octets(&self, at: &[&str], most: usize) -> Result<Vec<u8>, String> {
        let octets = self.files.iter().find(|(path, _)| path.iter().eq(at.iter()));
        let (_, octets) = octets.ok_or("never asked for what was not listed")?;
        Ok(octets.iter().copied().take(most + 1).collect())
    }
}

const GPT: &[u8] = b"[General]\r\nVersion=65537\r\n";
const EMPTY: &[u8] = b"PReg\x01\0\0\0";

fn gpo() -> Held {
    Held::default().with("GPT.INI", GPT).with("Machine\\Registry.pol", EMPTY)
}

#[test]
fn names_are_matched_without_case_and_what_stands_beside_is_named() {
    let template =
        "\u{feff}[Unicode]\r\nUnicode=yes\r\n[System Access]\r\nMinimumPasswordLength = 8\r\n; a remark\r\n";
    let template: Vec<u8> = template.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let held = Held::default()
        .with("gpt.ini", GPT)
        .with("MACHINE\\REGISTRY.POL", EMPTY)
        .with("MACHINE\\comment.cmtx", b"")
        .with("MACHINE\\Microsoft\\Windows NT\\SecEdit\\GptTmpl.inf", &template)
        .with("user\\Preferences\\Drives\\Drives.xml", b"<Drives><Drive name=\"H:\" status=\"H:\"/></Drives>")
        .with("user\\Scripts\\Logon\\a.cmd", b"");

    let contents = Contents::read(&held, &Limits::default()).unwrap();
    let folder = contents.folder(&registry_pol::Limits::default());

    assert_eq!((folder.version, folder.computer.is_ok()), (Ok(65537), true));
    assert_eq!(folder.user.unwrap_err().as_ref(), "User\\Registry.pol is not there");
    let others: Vec<(&str, &str, Vec<&str>)> = folder
        .others
        .iter()
        .map(|other| (other.path.as_str(), other.reason, other.items.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        others,
        [
            (
                "Machine\\Microsoft\\Windows NT\\SecEdit\\GptTmpl.inf",
                "unsupported: security-template",
                vec!["[System Access] MinimumPasswordLength"]
            ),
            ("User\\Preferences\\Drives\\Drives.xml", "unsupported: preferences", vec!["H:"]),
            ("User\\Scripts\\Logon\\a.cmd", "unsupported: scripts", vec![]),
        ]
    );
}

#[test]
fn a_hostile_folder_is_refused_with_its_reason() {
    let deep = vec!["d"; 20].join("\\");
    let small = Limits { entries: 4, ..Limits::default() };
    for (held, limits, refused) in [
        (gpo().with_link("Machine\\a"), Limits::default(), Refused::NotPlain("Machine\\a".to_owned())),
        (Held::default().with_link("Machine"), Limits::default(), Refused::NotPlain("Machine".to_owned())),
        (gpo().with("..\\x", b""), Limits::default(), Refused::Name("..".to_owned())),
        (gpo().with("Machine\\a/b", b""), Limits::default(), Refused::Name("a/b".to_owned())),
        (gpo().with("Machine\\a:b", b""), Limits::default(), Refused::Name("a:b".to_owned())),
        (gpo().with("Machine\\a\u{1b}", b""), Limits::default(), Refused::Name("a\u{1b}".to_owned())),
        (gpo().with("machine\\x", b"").with("User\\1", b""), small, Refused::TooMany(4)),
    ] {
        let read = Contents::read(&held, &limits);
        assert_eq!(read, Err(refused));
    }
    let held = gpo().with(&format!("Machine\\{deep}\\x"), b"");
    assert!(matches!(Contents::read(&held, &Limits::default()), Err(Refused::TooDeep(_))));
    let held = gpo().with("MACHINE\\x", b"");
    assert!(Contents::read(&held, &Limits::default()).is_ok(), "the one that is spelled so is meant");
    let held = Held::default().with("MACHINE\\x", b"").with("machine\\x", b"");
    assert_eq!(Contents::read(&held, &Limits::default()), Err(Refused::Ambiguous("Machine".to_owned())));
}

#[test]
fn a_file_too_large_or_twice_there_does_not_count_and_the_others_do() {
    let limits = Limits {
        gpt_ini: GPT.len(),
        registry_pol: registry_pol::Limits { file_octets: 4, ..registry_pol::Limits::default() },
        ..Limits::default()
    };
    let held = gpo().with("User\\REGISTRY.POL", b"").with("User\\registry.POL", b"");

    let contents = Contents::read(&held, &limits).unwrap();

    assert_eq!(contents.gpt_ini, Ok(GPT.to_vec()));
    assert_eq!(contents.computer, Err(Refused::TooLarge("Machine\\Registry.pol".to_owned(), 4)));
    assert_eq!(contents.user, Err(Refused::Ambiguous("Registry.pol".to_owned())));
    assert_eq!(contents.others, []);
}

#[test]
fn a_gpo_lies_where_its_own_name_says_and_nowhere_else() {
    for (dn, expected) in [
        (
            "CN={31B2F340-016D-11D2-945F-00C04FB984F9},CN=Policies,CN=System,DC=corp,DC=example",
            Some("corp.example"),
        ),
        ("CN={31B2F340-016D-11D2-945F-00C04FB984F9},DC=..,DC=example", None),
        ("CN={31B2F340-016D-11D2-945F-00C04FB984F9},DC=a\\\\b", None),
        ("CN={31B2F340-016D-11D2-945F-00C04FB984F9},O=x", None),
    ] {
        assert_eq!(domain(&Dn::new(dn).unwrap()).as_deref(), expected, "{dn}");
    }
}
