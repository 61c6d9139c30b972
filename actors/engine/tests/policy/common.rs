//! The fixture's directories read from files, and small worlds built by hand.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use postern_engine::policy::{
    directory::{Account, AccountKind, Directory, Som, SomKind, SomLink},
    dn::Dn,
    gpo::{Gpo, GpoId},
    ldif,
    registry_pol::{File, Limits, Record},
    rsop::{Pass, Rsop, Target, World, resultant, settings::Folder, settings::Policy},
    security_descriptor::{Ace, AceKind, DACL_PRESENT, SecurityDescriptor},
    sid::Sid,
};
use uuid::Uuid;

pub(crate) fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/policy").join(path)
}

pub(crate) fn json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(data(path)).unwrap()).unwrap()
}

/// A world of LDIF files and a SYSVOL folder.
pub(crate) fn world(files: &[&str], policies: &str) -> World {
    let entries = files
        .iter()
        .flat_map(|file| ldif::read(&fs::read(data(file)).unwrap(), &ldif::Limits::default()).unwrap());
    let (directory, remarks) = Directory::from_entries(entries);
    assert!(remarks.is_empty(), "{remarks:?}");
    World { folders: folders(&data(policies), &directory), directory, ..World::default() }
}

fn folders(policies: &Path, directory: &Directory) -> BTreeMap<Dn, Arc<Folder>> {
    let mut folders = BTreeMap::new();
    for folder in fs::read_dir(policies).unwrap() {
        let folder = folder.unwrap();
        let id = GpoId::read(folder.file_name().to_str().unwrap());
        let gpo = directory.gpos().values().find(|gpo| gpo.id == id).unwrap();
        let read = |name: &str| fs::read(folder.path().join(name)).map_err(|_| "no such file");
        let (gpt, computer, user) =
            (read("GPT.INI"), read("Machine/Registry.pol"), read("User/Registry.pol"));
        let read = Folder::read(
            gpt.as_deref().map_err(|e| *e),
            computer.as_deref().map_err(|e| *e),
            user.as_deref().map_err(|e| *e),
            &Limits::default(),
        );
        folders.insert(gpo.dn.clone(), Arc::new(read));
    }
    folders
}

/// The fixture of the domain example.test.
pub(crate) fn example() -> World {
    world(&["rsop/directory.ldif"], "rsop/sysvol/example.test/Policies")
}

pub(crate) fn dn(text: &str) -> Dn {
    Dn::new(text).unwrap()
}

pub(crate) fn device(world: &World, name: &str) -> Target {
    let account = world.directory.account(AccountKind::Computer, name).unwrap();
    let mut sites = world.directory.sites();
    let site = sites.next().filter(|_| sites.next().is_none()).map(|site| site.dn.clone());
    Target { computer: Some(account.dn.clone()), site, ..Target::default() }
}

/// The names of the GPOs that apply, first applied first.
pub(crate) fn order(pass: &Pass) -> Vec<String> {
    pass.order.iter().map(|place| pass.links[*place].gpo_name()).collect()
}

/// A domain built by hand: `DC=t`, OUs below each other, one computer, GPOs that set their own name.
pub(crate) struct Hand {
    pub(crate) world: World,
    pub(crate) target: Target,
    next: u128,
}

pub(crate) const KEY: &str = "Software\\Policies\\T";

impl Hand {
    /// With OUs from the outermost to the innermost.
    pub(crate) fn new(units: &[&str]) -> Self {
        let mut hand = Self { world: World::default(), target: Target::default(), next: 1 };
        hand.som("DC=t", SomKind::Domain);
        let mut path = "DC=t".to_owned();
        for unit in units {
            path = format!("OU={unit},{path}");
            hand.som(&path, SomKind::Unit);
        }
        let computer = dn(&format!("CN=D,{path}"));
        hand.account(&computer, AccountKind::Computer, 1000);
        hand.target.computer = Some(computer);
        hand
    }

    pub(crate) fn som(&mut self, name: &str, kind: SomKind) {
        self.world.directory.set_som(Som { dn: dn(name), kind, links: Ok(Vec::new()), blocks: false });
    }

    pub(crate) fn account(&mut self, name: &Dn, kind: AccountKind, rid: u32) {
        self.world.directory.set_account(Account {
            dn: name.clone(),
            kind,
            logon_name: None,
            principal_name: None,
            sid: Some(Sid::new(5, &[21, 1, 2, 3, rid])),
            token_groups: None,
            primary_group: None,
        });
    }

    /// A GPO that everybody may read and apply, linked to a container with the next lower precedence number.
    pub(crate) fn gpo(&mut self, name: &str, som: &str, options: u32) -> Dn {
        let gpo = self.unlinked(name);
        self.link(&gpo, som, options);
        gpo
    }

    pub(crate) fn unlinked(&mut self, name: &str) -> Dn {
        let id = GpoId(Uuid::from_u128(self.next));
        self.next += 1;
        let gpo = Gpo {
            dn: dn(&format!("CN={id},CN=Policies,CN=System,DC=t")),
            id: Some(id),
            name: name.to_owned(),
            flags: 0,
            version: 0x0001_0001,
            functionality: Some(2),
            computer_extensions: Some(
                "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]".to_owned(),
            ),
            user_extensions: Some(
                "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F73-3407-48AE-BA88-E8213C6761F1}]".to_owned(),
            ),
            filter: None,
            security: Ok(everyone()),
        };
        let name_of = gpo.dn.clone();
        self.world.directory.set_gpo(gpo);
        self.records(&name_of, &[Record::sz(KEY, "Winner", name)]);
        name_of
    }

    pub(crate) fn link(&mut self, gpo: &Dn, som: &str, options: u32) {
        self.change_som(som, |som| {
            let link =
                SomLink { gpo: Ok(gpo.clone()), disabled: options & 1 != 0, enforced: options & 2 != 0 };
            som.links.as_mut().unwrap().push(link);
        });
    }

    pub(crate) fn block(&mut self, som: &str) {
        self.change_som(som, |som| som.blocks = true);
    }

    pub(crate) fn change_som(&mut self, name: &str, change: impl FnOnce(&mut Som)) {
        let mut som = (*self.world.directory.soms()[&dn(name)]).clone();
        change(&mut som);
        self.world.directory.set_som(som);
    }

    pub(crate) fn change_gpo(&mut self, name: &Dn, change: impl FnOnce(&mut Gpo)) {
        let mut gpo = (*self.world.directory.gpos()[name]).clone();
        change(&mut gpo);
        self.world.directory.set_gpo(gpo);
    }

    /// What both halves of a GPO say.
    pub(crate) fn records(&mut self, gpo: &Dn, records: &[Record]) {
        let file = File { records: records.to_vec(), trailing_octets: 0 };
        let policy = Arc::new(Policy::of(&file));
        let folder = Folder {
            version: Ok(0x0001_0001),
            computer: Ok(policy.clone()),
            user: Ok(policy),
            others: Arc::from([]),
        };
        self.world.folders.insert(gpo.clone(), Arc::new(folder));
    }

    pub(crate) fn change_folder(&mut self, gpo: &Dn, change: impl FnOnce(&mut Folder)) {
        let mut folder = (*self.world.folders[gpo]).clone();
        change(&mut folder);
        self.world.folders.insert(gpo.clone(), Arc::new(folder));
    }

    pub(crate) fn resultant(&self) -> Rsop {
        resultant(&self.world, &self.target).unwrap()
    }

    pub(crate) fn computer(&self) -> Pass {
        self.resultant().computer.unwrap()
    }

    /// The word of the first link of a GPO.
    pub(crate) fn reason(&self, gpo: &Dn) -> &'static str {
        let pass = self.computer();
        pass.links.iter().find(|link| dn(&link.gpo_dn) == *gpo).unwrap().reason.word()
    }
}

pub(crate) fn everyone() -> SecurityDescriptor {
    descriptor(vec![ace(
        AceKind::Allowed { object: false, conditional: false },
        0x1000_0000,
        Sid::everyone(),
    )])
}

pub(crate) fn descriptor(entries: Vec<Ace>) -> SecurityDescriptor {
    SecurityDescriptor { control: DACL_PRESENT, owner: None, group: None, dacl: Some(entries) }
}

pub(crate) fn ace(kind: AceKind, mask: u32, sid: Sid) -> Ace {
    Ace { kind, flags: 0, mask, sid, object: None, inherited_object: None }
}
