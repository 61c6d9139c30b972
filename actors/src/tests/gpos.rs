//! From an edit of a GPO to a confirmed setting, and what an emptied directory does not do.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use postern_engine::policy::{
    directory::{Account, AccountKind, Directory, Som, SomKind, SomLink},
    dn::Dn,
    gpo::{Gpo, GpoId},
    registry_pol::{File, Limits, Record},
    rsop::{World, settings::Folder},
    security_descriptor::{Ace, AceKind, DACL_PRESENT, SecurityDescriptor},
    sid::Sid,
};
use postern_store::{Reader, StoreError, enrolments::Enrolment, facts, policies};
use uuid::Uuid;

use super::{
    holds::alarmed,
    kit::{Core, Device, quick, until},
    policy::{Tree, look, managed},
};
use crate::policy::{
    Policies,
    inputs::{PolicyBindings, PolicyInputs, PolicyWorld, Who, WorldNow},
};

const LOCKDOWN: &str = r"Software\Policies\Postern\Lockdown";
const CAMERA: &str = "./Settings/Policy/Lockdown/Camera";
const UNIT: &str = "OU=U,DC=t";

/// A domain with one OU, whose one GPO says what a test says; and whether it is from before the start.
#[derive(Default)]
struct Domain(Mutex<World>, AtomicBool);

fn dn(text: &str) -> Dn {
    Dn::new(text).unwrap()
}

fn gpo() -> Dn {
    dn("CN={00000000-0000-0000-0000-000000000001},CN=Policies,CN=System,DC=t")
}

impl Domain {
    fn new(computers: usize) -> Arc<Self> {
        let mut directory = Directory::default();
        let som = |name: &str, kind| Som { dn: dn(name), kind, links: Ok(Vec::new()), blocks: false };
        directory.set_som(som("DC=t", SomKind::Domain));
        directory.set_som(som(UNIT, SomKind::Unit));
        for number in 0..computers {
            directory.set_account(Account {
                dn: dn(&format!("CN=d{number},{UNIT}")),
                kind: AccountKind::Computer,
                logon_name: None,
                principal_name: None,
                sid: Some(Sid::new(5, &[21, 1, 2, 3, 1_000 + u32::try_from(number).unwrap()])),
                token_groups: None,
                primary_group: None,
            });
        }
        let all = AceKind::Allowed { object: false, conditional: false };
        let everyone = Ace {
            kind: all,
            flags: 0,
            mask: 0x1000_0000,
            sid: Sid::everyone(),
            object: None,
            inherited_object: None,
        };
        directory.set_gpo(Gpo {
            dn: gpo(),
            id: Some(GpoId(Uuid::from_u128(1))),
            name: "Phones".to_owned(),
            flags: 0,
            version: 1,
            functionality: Some(2),
            computer_extensions: Some(
                "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]".to_owned(),
            ),
            user_extensions: None,
            filter: None,
            security: Ok(SecurityDescriptor {
                control: DACL_PRESENT,
                owner: None,
                group: None,
                dacl: Some(vec![everyone]),
            }),
        });
        let domain = Self(Mutex::new(World { directory, ..World::default() }), AtomicBool::new(false));
        domain.linked(true);
        Arc::new(domain)
    }

    fn linked(&self, on: bool) {
        let mut world = self.0.lock().unwrap();
        let mut som = (*world.directory.soms()[&dn(UNIT)]).clone();
        let link = SomLink { gpo: Ok(gpo()), disabled: false, enforced: false };
        som.links = Ok(on.then_some(link).into_iter().collect());
        world.directory.set_som(som);
    }

    fn says(&self, camera: u32) {
        let file = File { records: vec![Record::dword(LOCKDOWN, "Camera", camera)], trailing_octets: 0 };
        let octets = file.write();
        let ini = b"[General]\r\nVersion=1\r\n";
        let folder = Folder::read(Ok(ini), Ok(&octets), Err("none"), &Limits::default());
        self.0.lock().unwrap().folders.insert(gpo(), Arc::new(folder));
    }

    fn unreadable(&self) {
        let folder = Folder::read(Err("gone"), Err("gone"), Err("gone"), &Limits::default());
        self.0.lock().unwrap().folders.insert(gpo(), Arc::new(folder));
    }

    fn emptied(&self) {
        self.0.lock().unwrap().directory = Directory::default();
    }
}

struct Shared(Arc<Domain>);

impl PolicyWorld for Shared {
    fn now(&self) -> WorldNow {
        WorldNow::Good(Arc::new(self.0.0.lock().unwrap().clone()))
    }

    fn is_old(&self) -> Option<String> {
        self.0.1.load(Ordering::SeqCst).then(|| "it is from before the start".to_owned())
    }
}

impl PolicyBindings for Shared {
    fn who(&self, _: &mut Reader, device: &Enrolment) -> Result<Who, StoreError> {
        let name = dn(&format!("CN={},{UNIT}", device.device_id));
        let known = self.0.0.lock().unwrap().directory.accounts().contains_key(&name);
        Ok(match known {
            true => {
                Who::Accounts { computer: Some(name), user: None, site: None, site_because: String::new() }
            }
            false => Who::Nobody,
        })
    }
}

async fn ground(count: usize) -> (Core, Arc<Domain>, Policies, Vec<Device>) {
    let core = Core::start(quick()).await;
    let domain = Domain::new(count);
    let mut devices = Vec::new();
    for number in 0..count {
        let device = managed(&core, &format!("d{number}")).await;
        let id = device.enrolled.enrolment;
        until("what it says of its maker", async || {
            let known = core.store.read(move |r| facts::of(r, id)).await.unwrap();
            known.iter().any(|fact| fact.key == "./DevInfo/Man")
        })
        .await;
        devices.push(device);
    }
    let inputs = PolicyInputs {
        world: Some(Arc::new(Shared(domain.clone()))),
        bindings: Some(Arc::new(Shared(domain.clone()))),
        ..PolicyInputs::default()
    };
    let policies = Policies::new(core.devices.clone(), inputs);
    (core, domain, policies, devices)
}

#[actix::test]
async fn an_edit_of_a_gpo_ends_as_a_confirmed_setting_and_its_unlinking_puts_back_what_stood() {
    let (core, domain, policies, mut devices) = ground(1).await;
    let id = devices[0].enrolled.enrolment;
    let mut tree = Tree::of(&[(CAMERA, "true")]);
    domain.says(0);
    look(&policies).await;
    tree.session(&core, &mut devices[0]).await;
    assert_eq!(tree.value(CAMERA), Some("false"));
    let status = policies.status(id).await.unwrap().unwrap();
    assert_eq!(status.desired.settings[0].source.name(), "Phones");
    assert!(status.standings[0].confirmed_at.is_some());

    domain.says(1);
    assert_eq!(look(&policies).await.changed, 1);
    tree.session(&core, &mut devices[0]).await;
    assert_eq!(tree.value(CAMERA), Some("true"));
    assert_eq!(look(&policies).await.changed, 0, "nothing changed");

    domain.says(0);
    look(&policies).await;
    tree.session(&core, &mut devices[0]).await;
    domain.unreadable();
    let looked = look(&policies).await;
    assert_eq!((looked.stale, tree.session(&core, &mut devices[0]).await), (1, 0), "the last good one stays");

    domain.says(0);
    domain.linked(false);
    look(&policies).await;
    tree.session(&core, &mut devices[0]).await;
    assert_eq!(tree.value(CAMERA), Some("true"), "what stood before is back");
    let explained = policies.explain(id).await.unwrap();
    assert!(explained.computed.unwrap().settings.is_empty());
    core.stop().await;
}

#[actix::test]
async fn a_directory_from_before_the_start_takes_nothing_away_until_it_was_read_again() {
    let (core, domain, policies, mut devices) = ground(1).await;
    let id = devices[0].enrolled.enrolment;
    let mut tree = Tree::of(&[(CAMERA, "true")]);
    domain.says(0);
    look(&policies).await;
    tree.session(&core, &mut devices[0]).await;

    // What was kept is older than what was told: the link was not there yet.
    domain.1.store(true, Ordering::SeqCst);
    domain.linked(false);
    let looked = look(&policies).await;
    assert_eq!((looked.stale, looked.changed), (1, 0));
    let explained = policies.explain(id).await.unwrap();
    assert_eq!(explained.computed, Err("it is from before the start".to_owned()));
    assert_eq!((tree.session(&core, &mut devices[0]).await, tree.value(CAMERA)), (0, Some("false")));

    // It was read again, and says the same as what was told: nothing needs to be told of it.
    domain.linked(true);
    domain.1.store(false, Ordering::SeqCst);
    let looked = policies.look_now().await.unwrap();
    assert_eq!((looked.computed, looked.changed, looked.stale), (1, 0, 0));
    assert!(policies.explain(id).await.unwrap().computed.is_ok());
    core.stop().await;
}

#[actix::test]
async fn an_emptied_directory_strips_nobody_and_an_unlinked_gpo_of_many_waits() {
    let (core, domain, policies, mut devices) = ground(12).await;
    domain.says(0);
    look(&policies).await;
    let mut tree = Tree::of(&[(CAMERA, "true")]);
    tree.session(&core, &mut devices[0]).await;

    domain.linked(false);
    let looked = look(&policies).await;
    assert_eq!(looked.held, 12);
    assert!(alarmed(&core).await);
    domain.linked(true);
    look(&policies).await;
    assert!(!alarmed(&core).await, "it was put right");

    domain.emptied();
    let looked = look(&policies).await;
    assert_eq!((looked.stale, looked.changed), (12, 0));
    let figures = core.store.read(policies::figures).await.unwrap();
    assert_eq!((figures.devices, figures.stale), (12, 12));
    assert_eq!((tree.session(&core, &mut devices[0]).await, tree.value(CAMERA)), (0, Some("false")));
    core.stop().await;
}
