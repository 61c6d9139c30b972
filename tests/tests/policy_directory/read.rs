//! From a domain controller to the resultant set: the reader of the directory, SYSVOL and the engine together, without a server.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use postern_actors::{
    DirectoryKeeper, DirectoryPace, Dn, SystemClock,
    sysvol::{SysvolCache, SysvolState},
};
use postern_adapters::{
    ldap::{LdapConfig, LdapReader},
    sysvol::{self, SysvolConfig},
};
use postern_engine::policy::{
    registry_pol::value::{Value, typed},
    rsop::{Loopback, Options, Pass, Target, World, resultant, settings::winner},
};
use tokio::runtime::Runtime;

use crate::{
    domain::{ACCOUNT, Domain, FIELD, PASSWORD, PHONE},
    steps::STEPS,
};

const PREFIX: &str = "Software\\Policies\\Postern\\";

/// What reads, and what was read last.
struct Readers {
    keeper: DirectoryKeeper,
    sysvol: SysvolCache,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Readers {
    fn of(domain: &Domain, sysvol: &SysvolConfig) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(domain.samba.ca(), folder.path().join("ca.pem")).expect("the authority");
        std::fs::write(folder.path().join("password"), PASSWORD).expect("the password");
        let config: LdapConfig = toml::from_str(&format!(
            "servers = [\"ldaps://{}\"]\nca = \"ca.pem\"\naccount = \"{ACCOUNT}@corp.example\"\npassword_file = \"password\"",
            domain.samba.ldaps()
        ))
        .expect("settings");
        let clock = Arc::new(SystemClock::new());
        let reader = Arc::new(LdapReader::open(&config, folder.path()).expect("settings that can work"));
        let runtime = Runtime::new().expect("a runtime");
        Self {
            keeper: DirectoryKeeper::new(reader, clock.clone(), DirectoryPace::default()),
            sysvol: SysvolCache::new(
                sysvol::open(sysvol, folder.path()).expect("settings that can work"),
                clock,
            ),
            runtime,
            _folder: folder,
        }
    }

    /// Looks at what changed and computes anew.
    fn look(&self) -> Pass {
        self.runtime.block_on(self.keeper.refresh(false)).expect("the controller answers");
        let (directory, remarks) = self.keeper.snapshot().expect("it was read").directory();
        assert_eq!(remarks, Vec::new());
        self.runtime.block_on(self.sysvol.refresh(&directory, false));
        self.pass(directory)
    }

    fn pass(&self, directory: postern_engine::policy::directory::Directory) -> Pass {
        let folders = BTreeMap::clone(&self.sysvol.folders());
        let world = World { directory, folders, options: Options::default() };
        let computer = Some(Dn::new(&format!("CN={PHONE},{FIELD}")).expect("a name"));
        let target = Target { computer, loopback: Some(Loopback::Normal), ..Target::default() };
        resultant(&world, &target).expect("the account is there").computer.expect("its part")
    }
}

/// Each setting with its number and the GPO that wins.
fn settings(pass: &Pass) -> BTreeMap<String, (u32, String)> {
    let mut found = BTreeMap::new();
    for (_, says) in pass.settings.iter() {
        let Some(say) = winner(says) else { continue };
        let Some(data) = &say.data else { continue };
        let Some(area) = say.name.key.strip_prefix(PREFIX) else { continue };
        if let Ok(Value::Number(number)) = typed(data.kind, &data.octets) {
            let number = u32::try_from(number).expect("32 bits");
            found.insert(format!("{area}\\{}", say.name.value), (number, pass.links[say.link].gpo_name()));
        }
    }
    found
}

fn expected(of: &[(&str, u32, &str)]) -> BTreeMap<String, (u32, String)> {
    of.iter().map(|(name, number, gpo)| ((*name).to_owned(), (*number, (*gpo).to_owned()))).collect()
}

#[test]
fn every_step_of_an_administrator_comes_to_exactly_the_expected_settings() {
    let mut domain = Domain::start();
    let readers = Readers::of(&domain, &folder(&domain));
    for step in STEPS {
        (step.act)(&mut domain);

        let pass = readers.look();

        assert!(!pass.is_incomplete(), "{}: {:?}", step.name, pass.unread);
        assert_eq!(settings(&pass), expected(step.expected), "{}", step.name);
        assert_eq!(
            readers.sysvol.status().troubles().count(),
            0,
            "{}: {:?}",
            step.name,
            readers.sysvol.status()
        );
    }
    a_sysvol_older_than_the_directory_leaves_what_was_good(&mut domain, &readers);
    hostile_content_leaves_what_was_good(&mut domain, &readers);
    what_stands_beside_is_named(&mut domain, &readers);
    #[cfg(feature = "smb")]
    smb::the_share_itself_says_the_same(&domain, &readers);
    a_controller_that_stops_leaves_what_was_good(&mut domain, &readers);
}

/// Where Samba keeps its SYSVOL: what a mounted share shows.
fn folder(domain: &Domain) -> SysvolConfig {
    let path: PathBuf = domain.samba.sysvol();
    toml::from_str(&format!("path = {path:?}")).expect("settings")
}

fn a_sysvol_older_than_the_directory_leaves_what_was_good(domain: &mut Domain, readers: &Readers) {
    let before = settings(&readers.look());
    domain.announce_next("Baseline");

    let pass = readers.look();

    assert_eq!(settings(&pass), before);
    let dn = Dn::new(&domain.dn("Baseline")).expect("a name");
    let gpo = readers.sysvol.status().gpos[&dn].clone();
    assert_eq!((gpo.state, gpo.directory, gpo.sysvol), (SysvolState::Older, 3, Some(2)));
    domain.put("Baseline", &[("Password\\Timeout", 30)]);
    let pass = readers.look();
    assert_eq!(settings(&pass), expected(&[("Password\\Timeout", 30, "Baseline")]));
    assert_eq!(readers.sysvol.status().troubles().count(), 0);
}

fn hostile_content_leaves_what_was_good(domain: &mut Domain, readers: &Readers) {
    let before = settings(&readers.look());
    domain.put_file("Baseline", "Machine/Registry.pol", b"PReg\x01\0\0\0[\0");
    domain.put_file("Baseline", "GPT.INI", b"[General]\r\nVersion=4\r\n");
    domain.announce_next("Baseline");

    let pass = readers.look();

    assert_eq!(settings(&pass), before);
    assert!(!pass.is_incomplete(), "what was good is in force");
    let dn = Dn::new(&domain.dn("Baseline")).expect("a name");
    assert_eq!(readers.sysvol.status().gpos[&dn].state.word(), "damaged");
    domain.set("Baseline", &[("Password\\Timeout", 40)]);
    assert_eq!(settings(&readers.look()), expected(&[("Password\\Timeout", 40, "Baseline")]));
}

fn what_stands_beside_is_named(domain: &mut Domain, readers: &Readers) {
    let gpo = domain.dn("Baseline").split([',', '=']).nth(1).expect("its GUID").to_owned();
    let folder = format!("corp.example/Policies/{gpo}/Machine");
    domain.share(&format!("mkdir {folder}/Microsoft; mkdir {folder}/Microsoft/SecEdit"));
    let template = b"[Unicode]\r\nUnicode=yes\r\n[System Access]\r\nMinimumPasswordLength = 8\r\n";
    domain.put_file("Baseline", "Machine/Microsoft/SecEdit/GptTmpl.inf", template);
    domain.set("Baseline", &[("Password\\Timeout", 50)]);

    let pass = readers.look();

    let others: Vec<_> = pass.others().map(|(link, other)| (link.gpo_name(), other.items.clone())).collect();
    let item = vec!["[System Access] MinimumPasswordLength".to_owned()];
    assert!(others.contains(&("Baseline".to_owned(), item)), "{others:?}");
}

fn a_controller_that_stops_leaves_what_was_good(domain: &mut Domain, readers: &Readers) {
    let before = settings(&readers.look());
    let (directory, _) = readers.keeper.snapshot().expect("it was read").directory();
    domain.samba.stop();

    assert!(readers.runtime.block_on(readers.keeper.refresh(false)).is_err());

    let after = readers.keeper.snapshot().expect("what was good").directory().0;
    assert_eq!(after, directory);
    assert_eq!(settings(&readers.pass(after)), before);
}

#[cfg(feature = "smb")]
mod smb {
    use super::*;

    /// The share of the controller by our own client, against the folder that it is made of.
    pub(super) fn the_share_itself_says_the_same(domain: &Domain, readers: &Readers) {
        let secrets = tempfile::tempdir().expect("a folder");
        let (directory, _) = readers.keeper.snapshot().expect("it was read").directory();
        let read = |password: &str, more: &str| {
            let file = secrets.path().join("password");
            std::fs::write(&file, password).expect("the password");
            let config: SysvolConfig = toml::from_str(&format!(
                "kind = \"smb\"\nservers = [\"{}\"]\naccount = \"{ACCOUNT}@corp.example\"\npassword_file = {file:?}\nntlm = true\n{more}",
                domain.samba.address()
            ))
            .expect("settings");
            let cache = SysvolCache::new(
                sysvol::open(&config, secrets.path()).expect("settings that can work"),
                Arc::new(SystemClock::new()),
            );
            readers.runtime.block_on(cache.refresh(&directory, false));
            cache
        };
        for more in ["", "encrypt = true"] {
            let cache = read(PASSWORD, more);
            assert_eq!(cache.status().troubles().count(), 0, "{more}: {:?}", cache.status());
            assert_eq!(cache.folders(), readers.sysvol.folders(), "{more}");
        }
        let refused = read("not the password", "").status();
        assert!(refused.troubles().all(|(_, gpo)| gpo.state.word() == "account"), "{refused:?}");
        assert_eq!(refused.troubles().count(), directory.gpos().len());
    }
}
