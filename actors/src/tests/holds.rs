//! Wide changes of policy: what waits, and what comes into force in the end; who decides ([`who`]).

mod who;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use postern_engine::policy::desired::Removal;
use postern_store::{alarms, approvals, policies};
use postern_wire::terms::{Role, UtcMillis};

use super::{
    kit::{Core, Device, quick},
    policy::{Broken, CAMERA, Paper, Tree, look, managed, start, with},
};
use crate::{
    AuditActor,
    approvals::{Approvals, DecideError},
    policy::{self, Policies},
};

const ON: (&str, Option<&str>, Removal) = (CAMERA, Some("false"), Removal::Delete);

pub(super) async fn fleet(core: &Core, count: usize) -> Vec<Device> {
    let mut all = Vec::new();
    for number in 0..count {
        all.push(managed(core, &format!("d{number}")).await);
    }
    all
}

pub(super) async fn alarmed(core: &Core) -> bool {
    let open = core.store.read(|r| alarms::open(r, policy::HELD, "fleet")).await.unwrap();
    open.is_some()
}

fn approvals_of(core: &Core, policies: &Policies) -> Approvals {
    let enrolments = super::enrolment::enrolments(core);
    Approvals::new(core.devices.clone(), &enrolments, policies.handlers())
}

async fn approver(core: &Core) -> AuditActor {
    super::safety::person(core, "second", Role::SecurityAdmin, UtcMillis(0)).await;
    AuditActor::admin("second", None)
}

#[actix::test]
async fn a_change_that_takes_from_too_many_waits_until_somebody_agrees() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    let mut devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let approvals = approvals_of(&core, &policies);
    paper.say(&[(CAMERA, Some("false"), Removal::Delete)]);
    assert_eq!(look(&policies).await.changed, 12, "what comes on top goes out at once");
    let mut trees = vec![Tree::default(); 12];
    for (tree, device) in trees.iter_mut().zip(&mut devices) {
        tree.session(&core, device).await;
    }

    // The OU is emptied.
    paper.say(&[]);
    let looked = look(&policies).await;

    assert_eq!((looked.held, looked.changed), (12, 0));
    assert!(alarmed(&core).await);
    assert_eq!(trees[0].session(&core, &mut devices[0]).await, 0, "nothing is taken from anybody");
    assert_eq!(trees[0].value(CAMERA), Some("false"));
    look(&policies).await;
    let open = core.store.read(|r| approvals::open(r, 10)).await.unwrap();
    assert_eq!(open.len(), 1, "it is asked for once");

    let (id, hash) = (open[0].id, open[0].hash);
    approvals.approve(id, hash, second, "it is meant".to_owned()).await.unwrap();
    policies.look_now().await.unwrap();

    assert!(!alarmed(&core).await);
    for (tree, device) in trees.iter_mut().zip(&mut devices) {
        tree.session(&core, device).await;
        assert_eq!(tree.value(CAMERA), None);
    }
    core.stop().await;
}

#[actix::test]
async fn a_wide_change_that_is_refused_or_taken_back_never_happens() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    let devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let approvals = approvals_of(&core, &policies);
    let one = [(CAMERA, Some("false"), Removal::Delete)];
    paper.say(&one);
    look(&policies).await;
    paper.say(&[]);
    look(&policies).await;
    let open = core.store.read(|r| approvals::open(r, 10)).await.unwrap();
    // It is put right in the directory: the request goes away by itself.
    paper.say(&one);
    look(&policies).await;
    assert!(core.store.read(|r| approvals::open(r, 10)).await.unwrap().is_empty());
    assert!(!alarmed(&core).await);
    let gone = approvals.approve(open[0].id, open[0].hash, second.clone(), "late".to_owned()).await;
    assert!(gone.is_err(), "{gone:?}");

    paper.say(&[]);
    look(&policies).await;
    let open = core.store.read(|r| approvals::open(r, 10)).await.unwrap();
    approvals.reject(open[0].id, second, "no".to_owned()).await.unwrap();
    look(&policies).await;

    assert!(core.store.read(|r| approvals::open(r, 10)).await.unwrap().is_empty(), "it is not asked again");
    let id = devices[0].enrolled.enrolment;
    let row = core.store.read(move |r| policies::find(r, id)).await.unwrap().unwrap();
    assert_eq!(row.waiting, None);
    let status = policies.status(id).await.unwrap().unwrap();
    assert_eq!(status.desired.settings.len(), 1, "the last one stays in force");
    core.stop().await;
}

/// The request that is open.
async fn open(core: &Core) -> approvals::Approval {
    let mut open = core.store.read(|r| approvals::open(r, 10)).await.unwrap();
    assert_eq!(open.len(), 1, "one request is open");
    open.remove(0)
}

async fn agree(approvals: &Approvals, row: &approvals::Approval, by: &AuditActor) -> Result<(), DecideError> {
    approvals.approve(row.id, row.hash, by.clone(), "it is meant".to_owned()).await.map(drop)
}

// --- what comes into force

/// Looks; while it computes, somebody agrees to this request.
async fn look_while_agreed(
    policies: &Policies,
    paper: &Arc<Paper>,
    approvals: &Approvals,
    request: &approvals::Approval,
    by: &AuditActor,
) {
    let (entered, is_in) = tokio::sync::oneshot::channel();
    let (go, may_go) = std::sync::mpsc::channel();
    *paper.read.lock().unwrap() = Some(Box::new(move || {
        entered.send(()).unwrap();
        may_go.recv().unwrap();
    }));
    let agreed = async {
        is_in.await.unwrap();
        agree(approvals, request, by).await.unwrap();
        go.send(()).unwrap();
    };
    tokio::join!(look(policies), agreed);
}

async fn camera(policies: &Policies, device: &Device) -> Option<String> {
    let status = policies.status(device.enrolled.enrolment).await.unwrap().unwrap();
    status.desired.get(CAMERA).and_then(|setting| setting.data.clone())
}

#[actix::test]
async fn a_change_that_was_refused_never_goes_out_in_the_place_of_one_that_was_agreed_to_before() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    let devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let approvals = approvals_of(&core, &policies);
    paper.say(&[ON]);
    look(&policies).await;
    paper.say(&[(CAMERA, Some("first"), Removal::Delete)]);
    look(&policies).await;
    let first = open(&core).await;

    // While the second is computed, the first is agreed to.
    paper.say(&[(CAMERA, Some("second"), Removal::Delete)]);
    look_while_agreed(&policies, &paper, &approvals, &first, &second).await;
    policies.look_now().await.unwrap();

    assert_eq!(camera(&policies, &devices[0]).await.as_deref(), Some("first"), "what was agreed to");
    let other = open(&core).await;
    assert_ne!(other.id, first.id);
    approvals.reject(other.id, second, "no".to_owned()).await.unwrap();
    for _ in 0..3 {
        policies.look_now().await.unwrap();
    }
    for device in &devices {
        assert_eq!(camera(&policies, device).await.as_deref(), Some("first"), "what was refused");
    }
    core.stop().await;
}

#[actix::test]
async fn what_was_agreed_to_while_the_same_was_computed_is_not_asked_for_again() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    let devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let approvals = approvals_of(&core, &policies);
    paper.say(&[ON]);
    look(&policies).await;
    paper.say(&[(CAMERA, Some("first"), Removal::Delete)]);
    look(&policies).await;
    let first = open(&core).await;

    look_while_agreed(&policies, &paper, &approvals, &first, &second).await;
    policies.look_now().await.unwrap();

    assert_eq!(camera(&policies, &devices[0]).await.as_deref(), Some("first"));
    assert!(core.store.read(|r| approvals::open(r, 10)).await.unwrap().is_empty());
    assert!(!alarmed(&core).await);
    core.stop().await;
}

#[actix::test]
async fn an_agreed_change_goes_on_after_a_core_that_died_and_nothing_else_does() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    let devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    let approvals = approvals_of(&core, &policies);
    paper.say(&[ON]);
    look(&policies).await;
    paper.say(&[(CAMERA, Some("first"), Removal::Delete)]);
    look(&policies).await;
    let request = open(&core).await;
    agree(&approvals, &request, &second).await.unwrap();
    // What waits is another thing than what was agreed to: one row is not as it was.
    let id = devices[0].enrolled.enrolment;
    core.store
        .write(move |tx| {
            let row = policies::find(tx, id)?.unwrap();
            policies::put(tx, policies::Device { waiting: None, ..row })
        })
        .await
        .unwrap();
    policies.look_now().await.unwrap();
    assert_eq!(camera(&policies, &devices[1]).await.as_deref(), Some("false"));
    let again = open(&core).await;
    assert_ne!(again.id, request.id);

    // It died between two parts of it.
    agree(&approvals, &again, &second).await.unwrap();
    core.store
        .write(move |tx| {
            let hold = policies::agreed(tx)?.unwrap();
            policies::put_hold(tx, policies::Hold { state: "going".to_owned(), ..hold })?;
            let row = policies::find(tx, id)?.unwrap();
            let desired = row.waiting.unwrap();
            policies::put(tx, policies::Device { waiting: None, desired, ..row })
        })
        .await
        .unwrap();
    let core = core.restart().await;
    let policies = with(&core, &paper, None);
    policies.look_now().await.unwrap();
    for device in &devices {
        assert_eq!(camera(&policies, device).await.as_deref(), Some("first"));
    }
    core.stop().await;
}

#[actix::test]
async fn small_steps_count_together_over_a_restart() {
    let core = Core::start(quick()).await;
    let devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    paper.say(&[ON]);
    look(&policies).await;
    // Ten lost something a moment ago.
    let now = core.devices.shared().now();
    let ten: Vec<_> = devices[..10].iter().map(|device| device.enrolled.enrolment).collect();
    core.store
        .write(move |tx| {
            ten.iter().try_for_each(|id| {
                let row = policies::find(tx, *id)?.unwrap();
                policies::put(tx, policies::Device { lost_at: Some(now), ..row })
            })
        })
        .await
        .unwrap();
    let core = core.restart().await;
    let policies = with(&core, &paper, None);
    // Two more of the twelve.
    for device in &devices[..10] {
        paper.spare(device.enrolled.enrolment);
    }
    paper.say(&[]);
    assert_eq!(look(&policies).await.held, 2);
    core.clock.advance(Duration::from_secs(3_601));
    assert_eq!(look(&policies).await.held, 0);
    for device in &devices[10..] {
        let id = device.enrolled.enrolment;
        let row = core.store.read(move |r| policies::find(r, id)).await.unwrap().unwrap();
        assert!(row.lost_at > Some(now) && row.waiting.is_none());
    }
    core.stop().await;
}

#[actix::test]
async fn a_device_that_cannot_be_computed_does_not_wait_and_the_request_is_for_what_does() {
    let core = Core::start(quick()).await;
    let second = approver(&core).await;
    let devices = fleet(&core, 13).await;
    let paper = Arc::new(Paper::default());
    let world = Arc::new(Broken(Mutex::new(false)));
    let policies = with(&core, &paper, Some(world.clone()));
    let approvals = approvals_of(&core, &policies);
    paper.say(&[ON]);
    look(&policies).await;
    paper.say(&[]);
    assert_eq!(look(&policies).await.held, 13);
    let before = open(&core).await;
    // The first cannot be computed for a while; nothing else is looked at.
    *world.0.lock().unwrap() = true;
    let id = devices[0].enrolled.enrolment;
    policies.changed(policy::inputs::Change::Devices(vec![id]));
    policies.look_now().await.unwrap();
    let row = core.store.read(move |r| policies::find(r, id)).await.unwrap().unwrap();
    assert!(row.stale.is_some() && row.waiting.is_none());
    let request = open(&core).await;
    assert_ne!(request.id, before.id, "it is for twelve");
    agree(&approvals, &request, &second).await.unwrap();
    policies.look_now().await.unwrap();
    assert_eq!(camera(&policies, &devices[1]).await, None);
    assert_eq!(camera(&policies, &devices[0]).await.as_deref(), Some("false"), "the last good one stays");
    core.stop().await;
}

// --- what counts as taken

#[actix::test]
async fn what_comes_on_top_waits_where_it_deletes_or_cuts_a_device_off() {
    const INTERVAL: &str = "./Vendor/Postern/Schedule/Interval";
    let core = Core::start(quick()).await;
    let _devices = fleet(&core, 12).await;
    let (policies, paper) = start(&core);
    paper.say(&[ON]);
    assert_eq!(look(&policies).await.changed, 12);
    for first in [
        (INTERVAL, Some("31536000"), Removal::Leave),
        ("./Settings/Policy/Certificates/Root/1", Some("x"), Removal::Leave),
        ("./Vendor/Example/Banner", None, Removal::Leave),
    ] {
        paper.say(&[ON, first]);
        let looked = look(&policies).await;
        assert_eq!((looked.held, looked.changed), (12, 0), "{first:?}");
    }
    paper.say(&[ON, ("./Vendor/Example/Banner", Some("no"), Removal::Leave)]);
    let looked = look(&policies).await;
    assert_eq!((looked.held, looked.changed), (0, 12), "what else comes on top goes out at once");
    core.stop().await;
}
