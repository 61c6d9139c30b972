//! Policy, from documents to what stands on a device in the end: through the supervisor, the store and whole sessions.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_engine::policy::{
    desired::{
        Removal,
        layer::{Layer, LayerSetting},
        status::State,
    },
    mapping::table::Table,
};
use postern_store::{
    Reader, StoreError,
    enrolments::{self, Enrolment},
    policies,
};
use postern_wire::{
    syncml::{Command, Data, Item, Location, Results, Status},
    terms::{AuthType, EnrolmentId},
};

use super::kit::{Core, Device, Reply, quick};
use crate::policy::{
    Looked, Policies,
    inputs::{Change, PolicyDocuments, PolicyInputs, PolicyWorld, WorldNow},
};

pub(super) const CAMERA: &str = "./Settings/Policy/Lockdown/Camera";
pub(super) const WLAN: &str = "./Settings/Policy/Lockdown/Wlan";
const DAY: Duration = Duration::from_secs(86_400);

// --- what is desired

/// Node, value, removal.
type Said = (String, Option<String>, Removal);

/// One document for everybody.
#[derive(Default)]
pub(super) struct Paper {
    said: Mutex<Vec<Said>>,
    /// Devices for which it says what it said before.
    spared: Mutex<BTreeMap<EnrolmentId, Vec<Said>>>,
    /// What happens while it is read.
    pub(super) read: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Paper {
    /// This device keeps what is said now.
    pub(super) fn spare(&self, id: EnrolmentId) {
        let said = self.said.lock().unwrap().clone();
        self.spared.lock().unwrap().insert(id, said);
    }

    pub(super) fn say(&self, settings: &[(&str, Option<&str>, Removal)]) {
        let own = |(uri, data, removal): &(&str, Option<&str>, Removal)| {
            ((*uri).to_owned(), data.map(str::to_owned), *removal)
        };
        *self.said.lock().unwrap() = settings.iter().map(own).collect();
    }
}

impl PolicyDocuments for Paper {
    fn layers(
        &self,
        _: &mut Reader,
        device: &Enrolment,
        _: &[Arc<Table>],
        _: Option<&str>,
    ) -> Result<Result<Vec<Layer>, String>, StoreError> {
        let spared = self.spared.lock().unwrap().get(&device.id).cloned();
        let said = spared.unwrap_or_else(|| self.said.lock().unwrap().clone());
        if let Some(happens) = self.read.lock().unwrap().take() {
            happens();
        }
        let settings = said.into_iter().map(|(uri, data, removal)| LayerSetting {
            uri,
            format: "chr".to_owned(),
            data,
            removal,
        });
        Ok(Ok(vec![Layer {
            document: "paper".to_owned(),
            version: 1,
            group: "all".to_owned(),
            depth: 0,
            order: 1,
            enforced: false,
            settings: settings.collect(),
        }]))
    }
}

/// A directory that cannot be read.
pub(super) struct Broken(pub(super) Mutex<bool>);

impl PolicyWorld for Broken {
    fn now(&self) -> WorldNow {
        match *self.0.lock().unwrap() {
            true => WorldNow::Unread("the directory is away".to_owned()),
            false => WorldNow::Absent,
        }
    }
}

pub(super) fn start(core: &Core) -> (Policies, Arc<Paper>) {
    let paper = Arc::new(Paper::default());
    (with(core, &paper, None), paper)
}

pub(super) fn with(core: &Core, paper: &Arc<Paper>, world: Option<Arc<dyn PolicyWorld>>) -> Policies {
    let documents = Some(Arc::clone(paper) as Arc<dyn PolicyDocuments>);
    Policies::new(core.devices.clone(), PolicyInputs { documents, world, ..PolicyInputs::default() })
}

/// A device after its first session.
pub(super) async fn managed(core: &Core, name: &str) -> Device {
    let mut device = core.enrol(name, AuthType::Basic).await;
    device.session(core).await;
    device
}

pub(super) async fn look(policies: &Policies) -> Looked {
    policies.changed(Change::Documents);
    policies.look_now().await.unwrap()
}

pub(super) async fn stands(policies: &Policies, device: &Device, uri: &str) -> (State, Option<u32>) {
    let status = policies.status(device.enrolled.enrolment).await.unwrap().unwrap();
    let standing = status.standings.iter().find(|one| one.uri == uri).unwrap();
    (standing.state, standing.code)
}

// --- a device with a tree

#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    leaves: BTreeMap<String, String>,
    refuses: BTreeMap<String, u32>,
    /// It gives one code, the worst, for a command of several items.
    curt: bool,
    /// Verb and node of all that came.
    log: Vec<(&'static str, String)>,
}

impl Tree {
    pub(super) fn of(leaves: &[(&str, &str)]) -> Self {
        let leaves = leaves.iter().map(|(uri, value)| ((*uri).to_owned(), (*value).to_owned())).collect();
        Self { leaves, ..Self::default() }
    }

    pub(super) fn value(&self, uri: &str) -> Option<&str> {
        self.leaves.get(uri).map(String::as_str)
    }

    fn execute(&mut self, verb: &'static str, item: &Item) -> (u32, Option<String>) {
        let uri = item.target.as_ref().unwrap().uri.clone();
        self.log.push((verb, uri.clone()));
        if let Some(code) = self.refuses.get(&uri).filter(|_| verb != "Get") {
            return (*code, None);
        }
        let data = || match &item.data {
            Some(Data::Text(text) | Data::Markup(text)) => text.clone(),
            _ => String::new(),
        };
        match (verb, self.leaves.get(&uri).cloned()) {
            ("Get", Some(value)) => (200, Some(value)),
            ("Add", Some(_)) => (418, None),
            ("Get" | "Replace" | "Delete", None) => (404, None),
            ("Delete", Some(_)) => {
                self.leaves.remove(&uri);
                (200, None)
            }
            _ => {
                self.leaves.insert(uri, data());
                (200, None)
            }
        }
    }

    /// What it answers to the commands of a reply.
    fn answer(&mut self, reply: &Reply) -> Vec<Command> {
        let msg_ref = Some(reply.message.header.msg_id);
        let mut body = vec![super::kit::status(1, msg_ref, 0, "SyncHdr", 212)];
        for command in reply.commands() {
            let (verb, request) = match &command {
                Command::Get(request) => ("Get", request),
                Command::Replace(request) => ("Replace", request),
                Command::Add(request) => ("Add", request),
                Command::Delete(request) => ("Delete", request),
                other => panic!("unexpected {other:?}"),
            };
            let mut codes = Vec::new();
            for item in &request.items {
                let (code, value) = self.execute(verb, item);
                let uri = item.target.as_ref().unwrap().uri.clone();
                codes.push((code, uri.clone()));
                if let Some(value) = value {
                    let source = Some(Location::uri(uri));
                    body.push(Command::Results(Results {
                        cmd_id: u32::try_from(body.len()).unwrap() + 1,
                        msg_ref,
                        cmd_ref: request.cmd_id,
                        items: vec![Item { source, data: Some(Data::from(value)), ..Item::default() }],
                        ..Results::default()
                    }));
                }
            }
            if self.curt {
                let worst = codes.iter().map(|(code, _)| *code).max().unwrap();
                codes = vec![(worst, String::new())];
            }
            for (code, uri) in codes {
                body.push(Command::Status(Status {
                    cmd_id: u32::try_from(body.len()).unwrap() + 1,
                    msg_ref,
                    cmd_ref: request.cmd_id,
                    cmd: verb.to_owned(),
                    target_refs: Some(uri).filter(|uri| !uri.is_empty()).into_iter().collect(),
                    code,
                    ..Status::default()
                }));
            }
        }
        body
    }

    /// A whole session; gives how many replies had commands.
    pub(super) async fn session(&mut self, core: &Core, device: &mut Device) -> usize {
        let mut reply = device.open(core).await;
        let mut rounds = 0;
        while reply.has_commands() {
            rounds += 1;
            let body = self.answer(&reply);
            reply = device.say(core, body, true).await.unwrap();
        }
        rounds
    }

    fn verbs(&self) -> Vec<&'static str> {
        self.log.iter().map(|(verb, _)| *verb).collect()
    }
}

// --- the rules

#[actix::test]
async fn one_session_reads_what_stands_makes_what_is_missing_and_confirms() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let (policies, paper) = start(&core);
    paper.say(&[(CAMERA, Some("false"), Removal::Restore), (WLAN, Some("true"), Removal::Delete)]);
    look(&policies).await;
    let mut tree = Tree::of(&[(CAMERA, "true")]);

    let rounds = tree.session(&core, &mut device).await;

    assert_eq!((tree.value(CAMERA), tree.value(WLAN)), (Some("false"), Some("true")));
    assert!(rounds <= 3, "read and tried, made and set: {:?}", tree.log);
    for uri in [CAMERA, WLAN] {
        assert_eq!(stands(&policies, &device, uri).await, (State::Compliant, None));
    }
    let figures = core.store.read(policies::figures).await.unwrap();
    assert_eq!((figures.devices, figures.settled), (1, 1));

    // And then there is nothing left to say.
    assert_eq!(tree.session(&core, &mut device).await, 0);
    let id = device.enrolled.enrolment;
    let before = core.store.read(move |r| policies::find(r, id)).await.unwrap();
    tree.session(&core, &mut device).await;
    assert_eq!(
        core.store.read(move |r| policies::find(r, id)).await.unwrap(),
        before,
        "and nothing to write"
    );

    // What stood before is put back, what did not is deleted.
    paper.say(&[]);
    assert_eq!(look(&policies).await.changed, 1);
    tree.session(&core, &mut device).await;
    assert_eq!((tree.value(CAMERA), tree.value(WLAN)), (Some("true"), None));
    core.stop().await;
}

#[actix::test]
async fn codes_stand_beside_the_settings_and_a_curt_device_is_asked_one_by_one() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let (policies, paper) = start(&core);
    let two = [(CAMERA, Some("0"), Removal::Leave), (WLAN, Some("0"), Removal::Leave)];
    paper.say(&two);
    look(&policies).await;
    let mut tree = Tree { curt: true, ..Tree::of(&[(CAMERA, "1"), (WLAN, "1")]) };
    tree.refuses.insert(WLAN.to_owned(), 405);

    tree.session(&core, &mut device).await;

    assert_eq!(stands(&policies, &device, CAMERA).await, (State::Compliant, None));
    assert_eq!(stands(&policies, &device, WLAN).await, (State::NotSupported, Some(405)));
    let row = policies.status(device.enrolled.enrolment).await.unwrap().unwrap().row;
    assert_eq!((row.compliant, row.unsupported, row.pending), (1, 1, 0));
    assert_eq!(tree.session(&core, &mut device).await, 0, "what is refused for good is not tried again");
    core.stop().await;
}

#[actix::test]
async fn a_core_that_dies_between_a_command_and_its_answer_goes_on_where_it_was() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let (policies, paper) = start(&core);
    paper.say(&[(CAMERA, Some("false"), Removal::Restore), (WLAN, Some("true"), Removal::Restore)]);
    look(&policies).await;
    let mut tree = Tree::of(&[(CAMERA, "true")]);
    // It dies after each message in turn, with the device's answer on its way.
    let (mut core, mut rounds) = (core, 0);
    loop {
        let reply = device.open(&core).await;
        if !reply.has_commands() {
            break;
        }
        rounds += 1;
        assert!(rounds < 10, "{:?}", tree.log);
        let body = tree.answer(&reply);
        let told = device.say(&core, body, true).await.unwrap();
        if told.has_commands() {
            tree.answer(&told);
        }
        core = core.restart().await;
        let again = with(&core, &paper, None);
        again.look_now().await.unwrap();
    }
    let policies = with(&core, &paper, None);
    assert_eq!((tree.value(CAMERA), tree.value(WLAN)), (Some("false"), Some("true")));
    for uri in [CAMERA, WLAN] {
        assert_eq!(stands(&policies, &device, uri).await, (State::Compliant, None));
    }
    paper.say(&[]);
    look(&policies).await;
    tree.session(&core, &mut device).await;
    assert_eq!(
        (tree.value(CAMERA), tree.value(WLAN)),
        (Some("true"), None),
        "what stood before was not lost"
    );
    core.stop().await;
}

#[actix::test]
async fn a_newer_wish_takes_the_place_of_one_that_was_not_sent() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let (policies, paper) = start(&core);
    paper.say(&[(CAMERA, Some("1"), Removal::Leave)]);
    look(&policies).await;
    let mut tree = Tree::of(&[(CAMERA, "0")]);
    // It was told the first, and its session broke off before it answered.
    let reply = device.open(&core).await;
    assert!(reply.has_commands());
    paper.say(&[(CAMERA, Some("2"), Removal::Leave)]);
    look(&policies).await;

    tree.session(&core, &mut device).await;
    tree.session(&core, &mut device).await;

    assert_eq!(tree.value(CAMERA), Some("2"));
    assert_eq!(stands(&policies, &device, CAMERA).await, (State::Compliant, None));
    core.stop().await;
}

#[actix::test]
async fn drift_is_found_at_the_interval_put_right_and_counted() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let (policies, paper) = start(&core);
    paper.say(&[(CAMERA, Some("false"), Removal::Delete)]);
    look(&policies).await;
    let mut tree = Tree::of(&[(CAMERA, "true")]);
    tree.session(&core, &mut device).await;
    tree.leaves.insert(CAMERA.to_owned(), "true".to_owned());
    tree.session(&core, &mut device).await;
    assert_eq!(tree.value(CAMERA), Some("true"), "nobody looks before its time");

    core.clock.advance(2 * DAY);
    // A clock that jumps is in doubt for ten minutes.
    core.clock.advance(Duration::from_secs(1_200));
    super::kit::until("the look", async || {
        core.clock.advance(Duration::from_secs(700));
        policies.look_now().await.unwrap();
        tree.session(&core, &mut device).await > 0
    })
    .await;

    assert_eq!(tree.value(CAMERA), Some("false"));
    let status = policies.status(device.enrolled.enrolment).await.unwrap().unwrap();
    assert_eq!((status.standings[0].state, status.standings[0].drift), (State::Compliant, 1));
    assert_eq!(tree.verbs()[tree.log.len() - 2..], ["Get", "Replace"]);
    core.stop().await;
}

#[actix::test]
async fn what_cannot_be_read_takes_nothing_away() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let paper = Arc::new(Paper::default());
    paper.say(&[(CAMERA, Some("false"), Removal::Delete)]);
    let world = Arc::new(Broken(Mutex::new(false)));
    let policies = with(&core, &paper, Some(world.clone()));
    look(&policies).await;
    let mut tree = Tree::default();
    tree.session(&core, &mut device).await;

    *world.0.lock().unwrap() = true;
    paper.say(&[]);
    let looked = look(&policies).await;

    assert_eq!((looked.stale, tree.session(&core, &mut device).await), (1, 0));
    assert_eq!(tree.value(CAMERA), Some("false"));
    let status = policies.status(device.enrolled.enrolment).await.unwrap().unwrap();
    assert_eq!(status.row.stale.as_deref(), Some("the directory is away"));
    core.stop().await;
}

#[actix::test]
async fn a_device_that_enrols_anew_gets_everything_again_and_one_that_nobody_asked_costs_nothing() {
    let core = Core::start(quick()).await;
    let mut device = managed(&core, "d").await;
    let (policies, paper) = start(&core);
    paper.say(&[(CAMERA, Some("false"), Removal::Delete)]);
    look(&policies).await;
    Tree::default().session(&core, &mut device).await;
    let id = device.enrolled.enrolment;
    let again = crate::NewEnrolment { id, replace: true, ..core.enrolment("d", AuthType::Basic) };
    let mut device = core.enrol_as(again).await;
    let mut tree = Tree::default();

    tree.session(&core, &mut device).await;

    assert_eq!(tree.value(CAMERA), Some("false"), "it was reset, so it has nothing");
    let row = core.store.read(move |r| enrolments::get(r, id)).await.unwrap();
    assert!(row.policy_epoch > 0);
    core.stop().await;
}
