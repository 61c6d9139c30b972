//! Every edge of the machine, killed three ways: before the commit, after it, and after everybody was told. Whatever is
//! killed, nothing is lost and nothing happens twice.

use postern_engine::wipe::{EDGES, Edge, Event, Settings as Set, Unsuccessful, Way, When};
use postern_store::{StoreError, WriteError, commands, enrolments, outbox, wipes};
use postern_wire::terms::{EnrolmentState, UtcMillis, WipeEvidence, WipeState};
use uuid::Uuid;

use super::{audit_is_whole, ours, row, usual, wanted, wipes_of};
use crate::{
    AuditActor,
    tests::kit::{Core, quick},
    wipe::{
        Wipe, WipeSettings,
        moves::{After, Said, apply},
        seal,
    },
};

/// When the core dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    BeforeCommit,
    AfterCommit,
    AfterSend,
}

const WAY: [(When, Way); 3] = [
    (When::StatusCounts, Way::Run),
    (When::SilenceCounts, Way::FactoryReset),
    (When::LeavingCounts, Way::Leave),
];

/// A wipe that stands where this edge begins, and for which its guard holds and none before it.
fn standing(number: usize, edge: &Edge, device: &super::Device, now: UtcMillis) -> Wipe {
    let unsuccessful = match edge.when {
        When::Keeps => Unsuccessful::Keep,
        _ => Unsuccessful::Arm,
    };
    let default_way = match edge.event {
        Event::Acknowledge | Event::Leave | Event::Silence | Event::ComeBack => Way::WipeListed,
        _ => Way::Run,
    };
    let way = WAY.iter().find(|(when, _)| *when == edge.when).map_or(default_way, |(_, way)| *way);
    let armed = edge.when == When::IsArmed || edge.from == WipeState::Armed;
    let set = Set { unsuccessful, ..usual().settings };
    // The last try, unless the edge wants another one to be left.
    let tries = if edge.when == When::TriesLeft { 1 } else { i64::from(set.retries) + 1 };
    let over = matches!(edge.from, WipeState::Failed | WipeState::Expired | WipeState::InDoubt);
    Wipe {
        id: Uuid::from_u128(1_000 + number as u128),
        enrolment: device.enrolled.enrolment,
        generation: device.enrolled.generation,
        device_id: device.name.clone(),
        route: *device.route().as_bytes(),
        state: edge.from,
        kind: postern_wire::terms::WipeKind::Full,
        way: way.as_str().to_owned(),
        asked_for: device.name.clone(),
        reason: "a test".to_owned(),
        lost: false,
        requested_by: "admin:test".to_owned(),
        requester: None,
        requested_at: now,
        settings: serde_json::to_string(&set).unwrap(),
        approval: None,
        armed_at: armed.then_some(now),
        expires_at: Some(now.plus(86_400_000)),
        next_at: (!over).then_some(now.plus(3_600_000)),
        operation: None,
        command: None,
        tries,
        accepted_at: (edge.from == WipeState::Accepted).then_some(now),
        finished_at: over.then_some(now),
        status: None,
        evidence: None,
        proof: None,
        cause: "a test".to_owned(),
        perimeter: None,
        disarm_by: None,
        mark: Vec::new(),
        revision: 1,
    }
}

async fn place(core: &Core, wipe: Wipe) -> Wipe {
    let wipe = Wipe { mark: seal::of_wipe(&core.sealer, &wipe).unwrap(), ..wipe };
    let kept = wipe.clone();
    core.store
        .write(move |tx| {
            let step = crate::wipe::moves::entry(
                tx,
                &kept,
                "placed",
                &AuditActor::service("test"),
                &Said::because("a test"),
            )?;
            wipes::insert(tx, kept.clone(), step)
        })
        .await
        .unwrap();
    wipe
}

/// Takes the edge, and dies.
async fn die(core: &Core, wipe: &Wipe, edge: &Edge, kill: Kill) -> Option<After> {
    let (read, event, to) = (wipe.clone(), edge.event, edge.to);
    let written = core
        .store
        .write(move |tx| {
            let evidence = (to == WipeState::Succeeded).then_some(WipeEvidence::Acknowledged);
            let said = Said { evidence, ..Said::because("a test") };
            let taken = apply(tx, &read, event, &AuditActor::service("test"), said)?;
            let (_, after) = taken.map_err(|refused| StoreError::Refused(refused.to_string()))?;
            match kill {
                Kill::BeforeCommit => Err(StoreError::Refused("killed".to_owned())),
                Kill::AfterCommit | Kill::AfterSend => Ok(after),
            }
        })
        .await;
    match (kill, written) {
        (Kill::BeforeCommit, Err(WriteError::Rejected(StoreError::Refused(why)))) => {
            assert_eq!(why, "killed", "{edge:?}");
            None
        }
        (_, Ok(after)) => Some(after),
        (_, Err(error)) => panic!("{edge:?}: {error}"),
    }
}

/// What holds whatever was killed.
async fn whole(core: &Core, wipe: &Wipe, edge: &Edge, kill: Kill) {
    let now = row(core, wipe.id).await;
    let (id, enrolment) = (wipe.id, wipe.enrolment);
    let (steps, device, pending, told) = core
        .store
        .read(move |r| {
            Ok((
                wipes::steps(r, id)?,
                enrolments::get(r, enrolment)?,
                commands::pending_of(r, enrolment, 50)?,
                outbox::about(r, &format!("wipe:{id}"), 50)?,
            ))
        })
        .await
        .unwrap();
    let taken = steps.iter().filter(|step| step.event == edge.event.as_str()).count();
    let what = format!("{edge:?} {kill:?}: {:?}", steps.iter().map(|step| &step.event).collect::<Vec<_>>());
    match kill {
        Kill::BeforeCommit => {
            assert_eq!((taken, now.state), (0, wipe.state), "nothing of it stays; {what}");
        }
        Kill::AfterCommit | Kill::AfterSend => assert_eq!(taken, 1, "{what}"),
    }
    // The revisions are without gaps, and each is a step of its own.
    assert!(steps.iter().zip(1..).all(|(step, number)| step.revision == number), "{what}");
    assert_eq!(now.revision, i64::try_from(steps.len()).unwrap(), "{what}");
    // One command that wipes at most, and none for a device whose wipe is over.
    assert!(pending.len() <= 1, "{what}");
    assert!(now.state.is_outstanding() || pending.is_empty(), "{what}");
    let mut kinds: Vec<_> = told.iter().map(|entry| entry.dedupe.clone()).collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), told.len(), "no event twice; {what}");
    if now.state == WipeState::Succeeded && edge.event != Event::Leave {
        assert_eq!(device.state, EnrolmentState::Retired, "{what}");
    }
    audit_is_whole(core).await;
}

/// Edge × kill, on one core that is started again after each death.
async fn walk(kill: Kill) {
    let mut core = Core::start(quick()).await;
    for (number, edge) in EDGES.iter().enumerate().filter(|(_, edge)| edge.from != WipeState::Requested) {
        let device = ours(&core, &format!("device-{number}")).await;
        let now = core.store_now();
        let wipe = place(&core, standing(number, edge, &device, now)).await;

        let after = die(&core, &wipe, edge, kill).await;
        if kill == Kill::AfterSend {
            after.unwrap().tell(core.devices.shared());
        }
        whole(&core, &wipe, edge, kill).await;
        core = core.restart().await;
        let wipes = wipes_of(&core, usual());
        wipes.look_now().await.unwrap();
        wipes.look_now().await.unwrap();
        whole(&core, &wipe, edge, kill).await;
        if kill != Kill::BeforeCommit {
            let state = row(&core, wipe.id).await.state;
            let on = match edge.to {
                // Not proved done is armed in the same transaction.
                WipeState::Failed | WipeState::Expired | WipeState::InDoubt => {
                    state == edge.to || state == WipeState::Armed
                }
                to => state == to,
            };
            assert!(on, "{edge:?} {kill:?} stands at {state}");
        }
    }
    core.stop().await;
}

#[actix::test]
async fn each_edge_killed_before_its_commit_leaves_nothing() {
    walk(Kill::BeforeCommit).await;
}

#[actix::test]
async fn each_edge_killed_after_its_commit_goes_on_where_it_was() {
    walk(Kill::AfterCommit).await;
}

#[actix::test]
async fn each_edge_killed_after_everybody_was_told_tells_nobody_twice() {
    walk(Kill::AfterSend).await;
}

#[actix::test]
async fn a_request_killed_before_its_commit_leaves_nothing_and_after_it_everything() {
    let core = Core::start(quick()).await;
    let device = ours(&core, "one").await;
    let dry = crate::wipe::NewWipe { dry_run: true, ..wanted(&device, postern_wire::terms::WipeKind::Full) };
    let wipes = wipes_of(&core, WipeSettings { ..usual() });
    wipes.request(dry).await.unwrap();
    let core = core.restart().await;
    let id = device.enrolled.enrolment;
    assert_eq!(core.store.read(move |r| wipes::outstanding(r, id)).await.unwrap(), None);

    let asked =
        wipes_of(&core, usual()).request(wanted(&device, postern_wire::terms::WipeKind::Full)).await.unwrap();
    let core = core.restart().await;
    let kept = row(&core, asked.wipes[0].id).await;
    assert_eq!((kept.state, kept.tries), (WipeState::Pending, 1));
    let command = core.command(kept.command.unwrap()).await;
    assert!(command.mac.is_some());
    core.stop().await;
}
