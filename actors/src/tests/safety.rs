//! The limits of destructive operations, through the actors: who is let through, who waits, and what is not sent.

use std::time::Duration;

use postern_store::{
    admins::{self, Admin},
    alarms, approvals, audit,
    commands::{self, Command},
    destructive, freezes,
    roles::{self, Grant},
};
use postern_wire::terms::{
    AuthType, CommandId, CommandState, EnrolmentId, Lane, OperationId, OperationKind, Redelivery, Role,
    UtcMillis, Verb,
};

use super::kit::{Core, Device, admin, get, order, quick, uris};
use crate::{
    AuditActor, Body, BodyItem, Devices, RetireError,
    payload::Content,
    safety::{self, Admitted, Ask, Class, Held},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Makes an admin who may approve from `from` on.
pub(super) async fn person(core: &Core, name: &'static str, role: Role, from: UtcMillis) {
    core.store
        .write(move |tx| {
            let id = tx.fresh_id();
            let row = Admin {
                id,
                name: name.to_owned(),
                password: None,
                created_at: from,
                created_by: "test".to_owned(),
                may_approve_from: from,
                disabled_at: None,
                revision: 1,
            };
            admins::insert(tx, row)?;
            let granted_by = "service:init".to_owned();
            roles::grant(tx, Grant { admin: id, role, scope: None, granted_by, at: from })
        })
        .await
        .unwrap();
}

async fn fleet(core: &Core, count: usize) -> Vec<Device> {
    let mut all = Vec::new();
    for number in 0..count {
        all.push(core.enrol(&format!("d{number}"), AuthType::Basic).await);
    }
    all
}

async fn retire(devices: &Devices, device: &Device, by: &str) -> Result<(), RetireError> {
    let by = AuditActor::admin(by, None);
    devices.retire(device.enrolled.enrolment, by, "lost".into()).await.map(|_| ())
}

async fn alarm_kinds(core: &Core) -> Vec<String> {
    let counts = core.store.read(alarms::counts).await.unwrap();
    counts.into_iter().map(|count| count.kind).collect()
}

async fn actions(core: &Core) -> Vec<String> {
    let rows = core.store.read(|r| audit::list(r, None, None, 500)).await.unwrap();
    rows.into_iter().map(|row| row.action).collect()
}

#[actix::test]
async fn who_is_alone_goes_on_loudly_until_the_fleets_limit_freezes_everything() {
    let core = Core::start(quick()).await;
    person(&core, "test", Role::DeviceAdmin, UtcMillis(0)).await;
    let fleet = fleet(&core, 9).await;
    for device in &fleet[..6] {
        retire(&core.devices, device, "test").await.unwrap();
    }
    assert!(alarm_kinds(&core).await.contains(&safety::ALONE.to_owned()));
    let seventh = retire(&core.devices, &fleet[6], "test").await;
    assert!(matches!(seventh, Err(RetireError::Held(Held::Frozen { .. }))), "{seventh:?}");
    // It stands although the request was refused, for everybody, and survives the hour.
    core.clock.advance(2 * HOUR);
    let other = retire(&core.devices, &fleet[7], "other").await;
    assert!(matches!(other, Err(RetireError::Held(Held::Frozen { .. }))), "{other:?}");
    assert!(alarm_kinds(&core).await.contains(&safety::FROZEN.to_owned()));
    let actions = actions(&core).await;
    assert!(actions.iter().any(|action| action == "safety.alone"));
    assert!(actions.iter().any(|action| action == "safety.freeze"));
    core.stop().await;
}

#[actix::test]
async fn above_the_limit_of_a_person_somebody_else_has_to_agree_and_the_same_request_waits_once() {
    let core = Core::start(quick()).await;
    person(&core, "test", Role::DeviceAdmin, UtcMillis(0)).await;
    person(&core, "second", Role::SecurityAdmin, UtcMillis(0)).await;
    let fleet = fleet(&core, 9).await;
    for device in &fleet[..5] {
        retire(&core.devices, device, "test").await.unwrap();
    }
    let asked = retire(&core.devices, &fleet[5], "test").await;
    let Err(RetireError::NeedsApproval(request)) = asked else { panic!("{asked:?}") };
    let again = retire(&core.devices, &fleet[5], "test").await;
    assert_eq!(again, Err(RetireError::NeedsApproval(request)));
    let row = core.store.read(move |r| approvals::find(r, request)).await.unwrap().unwrap();
    assert_eq!((row.requester.as_str(), row.targets, row.cooling_ms), ("test", 1, 0));
    assert!(alarm_kinds(&core).await.contains(&safety::WAITING.to_owned()));
    // Another person has a count of its own, and the hour passes.
    retire(&core.devices, &fleet[6], "second").await.unwrap();
    core.clock.advance(HOUR + Duration::from_secs(1));
    retire(&core.devices, &fleet[7], "test").await.unwrap();
    core.stop().await;
}

#[actix::test]
async fn a_new_admin_is_no_second_person() {
    let core = Core::start(quick()).await;
    person(&core, "test", Role::DeviceAdmin, UtcMillis(0)).await;
    let tomorrow = crate::Clock::wall(&core.clock).plus(86_400_000);
    person(&core, "new", Role::SecurityAdmin, tomorrow).await;
    person(&core, "reads", Role::Auditor, UtcMillis(0)).await;
    let fleet = fleet(&core, 6).await;
    for device in &fleet {
        retire(&core.devices, device, "test").await.unwrap();
    }
    core.stop().await;
}

/// Puts a lock into a device's queue past every planner.
async fn smuggle(core: &Core, device: EnrolmentId, operation: OperationId) -> CommandId {
    let body = Body::plain(Verb::Exec, vec![BodyItem::node("./LAWMO/Operations/FullyLock")]);
    let content = Content { body, ordered: false };
    core.store
        .write(move |tx| {
            let id = CommandId(tx.fresh_id());
            let (kind, lane) = (OperationKind::Lock, Lane::Urgent);
            let row = Command {
                id,
                operation,
                enrolment: device,
                generation: 1,
                kind,
                lane,
                rank: commands::rank(kind, lane),
                position: 0,
                verb: Verb::Exec,
                uri: "./LAWMO/Operations/FullyLock".to_owned(),
                payload: content.to_payload(),
                sealed: false,
                redelivery: Redelivery::Repeat,
                probe: None,
                mac: None,
                state: CommandState::Queued,
                attempts: 0,
                created_at: tx.now(),
                not_before: None,
                deadline: None,
                sent_at: None,
                session: None,
                reference: None,
                accepted_at: None,
                finished_at: None,
                status: None,
                cause: "queued".to_owned(),
                proof: None,
                revision: 1,
            };
            commands::insert(tx, vec![row])?;
            Ok(id)
        })
        .await
        .unwrap()
}

async fn admitted(core: &Core, device: EnrolmentId, operation: OperationId, by: &'static str) -> Admitted {
    core.store
        .write(move |tx| {
            let by = AuditActor::admin(by, None);
            let ask = Ask {
                kind: "lock",
                class: Class::Lock,
                by: &by,
                targets: &[device],
                reason: "lost",
                settings: serde_json::Value::Null,
            };
            let admitted = safety::admit(tx, &ask)?;
            if let Admitted::Go(admission) = &admitted {
                admission.bind(tx, Some(device), operation)?;
            }
            Ok(admitted)
        })
        .await
        .unwrap()
}

fn operation(core: &Core) -> OperationId {
    OperationId(core.devices.next_enrolment_id().0)
}

#[actix::test]
async fn what_nobody_admitted_is_not_sent_and_the_rest_is() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let id = device.enrolled.enrolment;
    let smuggled = smuggle(&core, id, operation(&core)).await;
    core.devices.submit(order(&device, vec![get("./A")])).await.unwrap();
    assert_eq!(uris(&device.open(&core).await.commands()), ["./A"]);
    assert_eq!(core.command(smuggled).await.state, CommandState::Queued);
    core.stop().await;
}

#[actix::test]
async fn what_was_queued_before_a_freeze_stays_until_the_thaw() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let (id, lock) = (device.enrolled.enrolment, operation(&core));
    assert!(matches!(admitted(&core, id, lock, "test").await, Admitted::Go(_)));
    let command = smuggle(&core, id, lock).await;
    core.store.write(|tx| safety::freeze(tx, &admin(), "a drill", false)).await.unwrap();
    assert!(device.open(&core).await.commands().is_empty());
    assert_eq!(core.command(command).await.state, CommandState::Queued);
    core.store.write(|tx| freezes::thaw(tx, "admin:a, admin:b", "it was a drill")).await.unwrap();
    core.devices.changed(device.route());
    assert_eq!(uris(&device.open(&core).await.commands()), ["./LAWMO/Operations/FullyLock"]);
    let sent = core.store.read(move |r| destructive::of_operation(r, lock, id)).await.unwrap().unwrap();
    assert!(sent.sent_at.is_some());
    core.stop().await;
}

#[actix::test]
async fn what_came_together_over_days_is_counted_again_when_it_is_sent() {
    let core = Core::start(quick()).await;
    let mut fleet = fleet(&core, 8).await;
    // Admitted one an hour, so that no limit is met; all of them come within one hour.
    for device in &fleet {
        let (id, lock) = (device.enrolled.enrolment, operation(&core));
        assert!(matches!(admitted(&core, id, lock, "test").await, Admitted::Go(_)));
        smuggle(&core, id, lock).await;
        core.clock.advance(HOUR + Duration::from_secs(1));
    }
    let mut sent = 0;
    for device in &mut fleet {
        sent += device.open(&core).await.commands().len();
    }
    assert_eq!(sent, 6, "the limit of a small fleet");
    assert!(core.store.read(freezes::current).await.unwrap().is_some_and(|freeze| freeze.automatic));
    core.stop().await;
}
