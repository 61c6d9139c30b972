//! Orders of people: what is acknowledged stands, what is refused leaves nothing.

use std::time::Duration;

use postern_store::{
    alarms, audit, enrolments,
    lists::{self, List},
};
use postern_wire::terms::{AuthType, CommandState, EnrolmentState, Lane, OperationKind};

use super::kit::{Core, add, admin, exec, get, order, quick, replace, until, uris};
use crate::{Body, CancelError, EnrolError, RetireError, Settings, SubmitError};

#[actix::test]
async fn an_order_is_taken_once_under_its_idempotency_key() {
    let core = Core::start(quick()).await;
    let device = core.enrol("d", AuthType::Basic).await;
    let keyed = |commands| crate::Order { idempotency: Some("k".into()), ..order(&device, commands) };
    let first = core.devices.submit(keyed(vec![get("./A")])).await.unwrap();
    let second = core.devices.submit(keyed(vec![get("./A")])).await.unwrap();
    assert!(second.repeated);
    assert_eq!(second.commands, first.commands);
    assert_eq!(core.devices.submit(keyed(vec![get("./B")])).await, Err(SubmitError::KeyReused));
    core.stop().await;
}

#[actix::test]
async fn a_refused_order_leaves_nothing() {
    let core = Core::start(quick()).await;
    let device = core.enrol("d", AuthType::Basic).await;
    let nobody = crate::Order {
        targets: vec![device.enrolled.enrolment, core.devices.next_enrolment_id()],
        ..order(&device, vec![get("./A")])
    };
    assert!(matches!(core.devices.submit(nobody).await, Err(SubmitError::UnknownDevice(_))));
    assert!(matches!(core.devices.submit(order(&device, vec![])).await, Err(SubmitError::Invalid(_))));
    let software = crate::Order { kind: OperationKind::Software, ..order(&device, vec![]) };
    assert!(matches!(core.devices.submit(software).await, Err(SubmitError::NotServed(_))));
    let id = device.enrolled.enrolment;
    let row = core.store.read(move |reader| enrolments::get(reader, id)).await.unwrap();
    assert_eq!(row.pending, 0);
    core.stop().await;
}

#[actix::test]
async fn a_device_has_no_more_pending_commands_than_the_cap() {
    let core = Core::start(Settings { pending_cap: 3, ..quick() }).await;
    let device = core.enrol("d", AuthType::Basic).await;
    core.queue(&device, vec![get("./A"), get("./B")]).await;
    let two = core.devices.submit(order(&device, vec![get("./C"), get("./D")])).await;
    assert!(matches!(two, Err(SubmitError::TooMany { cap: 3, .. })), "{two:?}");
    core.queue(&device, vec![get("./C")]).await;
    core.stop().await;
}

#[actix::test]
async fn a_queued_command_can_be_cancelled_and_a_sent_one_cannot() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let submitted = core.queue(&device, vec![get("./A")]).await;
    let id = submitted.commands[0].1;
    core.devices.cancel(id, admin(), "changed my mind".into()).await.unwrap();
    assert_eq!(core.command(id).await.state, CommandState::Cancelled);
    let again = core.devices.cancel(id, admin(), String::new()).await;
    assert_eq!(again, Err(CancelError::Ended(CommandState::Cancelled)));

    let sent = core.queue(&device, vec![exec("./B")]).await.commands[0].1;
    assert_eq!(uris(&device.open(&core).await.commands()), ["./B"]);
    assert_eq!(core.devices.cancel(sent, admin(), String::new()).await, Err(CancelError::Sent));
    core.stop().await;
}

#[actix::test]
async fn a_command_cancelled_during_a_session_is_not_sent_in_it() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    core.queue(&device, vec![get("./A")]).await;
    let first = device.open(&core).await;
    let late = core.queue(&device, vec![get("./B")]).await.commands[0].1;
    core.devices.cancel(late, admin(), String::new()).await.unwrap();
    assert!(!device.answer(&core, &first, 200).await.unwrap().has_commands());
    core.stop().await;
}

#[actix::test]
async fn a_command_past_its_deadline_expires_without_a_session() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let deadline = Some(crate::Clock::wall(&core.clock).plus(60_000));
    let late = crate::Order { deadline, ..order(&device, vec![get("./A")]) };
    let id = core.devices.submit(late).await.unwrap().commands[0].1;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(core.command(id).await.state, CommandState::Queued);
    core.clock.advance(Duration::from_secs(61));
    until("expiry", async || core.command(id).await.state == CommandState::Expired).await;
    assert!(device.session(&core).await.is_empty());
    core.stop().await;
}

#[actix::test]
async fn urgent_commands_go_before_normal_ones() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    core.queue(&device, vec![get("./normal")]).await;
    let urgent = crate::Order { lane: Lane::Urgent, ..order(&device, vec![get("./urgent")]) };
    core.devices.submit(urgent).await.unwrap();
    assert_eq!(uris(&device.session(&core).await), ["./urgent", "./normal"]);
    core.stop().await;
}

#[actix::test]
async fn a_retired_device_gets_410_and_its_commands_end() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let id = device.enrolled.enrolment;
    let queued = core.queue(&device, vec![replace("./A", "1")]).await.commands[0].1;
    let first = device.open(&core).await;
    let waiting = core.queue(&device, vec![get("./B")]).await.commands[0].1;
    let versions = |reader: &mut postern_store::Reader| {
        Ok((lists::version(reader, List::Routes)?, lists::version(reader, List::Blocked)?))
    };
    let before = core.store.read(versions).await.unwrap();

    let retired = core.devices.retire(id, admin(), "sold".into()).await.unwrap();

    assert_eq!(retired.cancelled, 2);
    assert_eq!(core.command(queued).await.state, CommandState::InDoubt);
    assert_eq!(core.command(waiting).await.state, CommandState::Cancelled);
    let row = core.store.read(move |reader| enrolments::get(reader, id)).await.unwrap();
    assert_eq!((row.state, row.credentials, row.pending), (EnrolmentState::Retired, None, 0));
    let after = core.store.read(versions).await.unwrap();
    assert_eq!(after, (before.0 + 1, before.1 + 1));
    assert_eq!(device.answer(&core, &first, 200).await.unwrap_err().status(), 410);
    assert_eq!(core.devices.retire(id, admin(), String::new()).await, Err(RetireError::Already(id)));
    let refused = core.devices.submit(order(&device, vec![get("./A")])).await;
    assert_eq!(refused, Err(SubmitError::Retired(id)));
    core.stop().await;
}

#[actix::test]
async fn a_device_is_enrolled_once_and_again_only_as_a_new_generation() {
    let core = Core::start(quick()).await;
    let mut old = core.enrol("d", AuthType::Basic).await;
    let id = old.enrolled.enrolment;
    let twin = core.devices.enrol(core.enrolment("d", AuthType::Basic)).await;
    assert_eq!(twin, Err(EnrolError::Duplicate(id)));
    let pending = core.queue(&old, vec![get("./A")]).await.commands[0].1;

    let again = crate::NewEnrolment { id, replace: true, ..core.enrolment("d", AuthType::Md5) };
    let enrolled = core.devices.enrol(again).await.unwrap();

    assert_eq!((enrolled.enrolment, enrolled.generation), (id, 2));
    assert_ne!(enrolled.route, old.route());
    assert_eq!(core.command(pending).await.state, CommandState::Cancelled);
    assert_eq!(old.begin(&core).await.unwrap_err().status(), 404);
    core.stop().await;
}

#[actix::test]
async fn every_order_has_its_row_in_the_audit() {
    let core = Core::start(quick()).await;
    let device = core.enrol("d", AuthType::Basic).await;
    let id = core.queue(&device, vec![get("./A")]).await.commands[0].1;
    core.devices.cancel(id, admin(), String::new()).await.unwrap();
    core.devices.retire(device.enrolled.enrolment, admin(), String::new()).await.unwrap();
    let rows = core.store.read(|reader| audit::list(reader, None, None, 10)).await.unwrap();
    let mut actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    actions.reverse();
    assert_eq!(actions, ["device.enrol", "operation.submit", "command.cancel", "device.retire"]);
    assert!(rows.iter().all(|row| row.actor == "admin:test"));
    core.stop().await;
}

#[actix::test]
async fn an_atomic_that_was_half_done_and_not_taken_back_raises_an_alarm() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let queued = core.queue(&device, vec![Body::Atomic(vec![add("./A"), replace("./B", "1")])]).await;
    let first = device.open(&core).await;

    device.answer(&core, &first, 516).await.unwrap();

    let row = core.command(queued.commands[0].1).await;
    assert_eq!((row.state, row.cause.as_str()), (CommandState::Failed, "rollback-failed"));
    let subject = format!("device:{}", device.enrolled.enrolment);
    let alarm = core.store.read(move |r| alarms::open(r, "rollback-failed", &subject)).await.unwrap();
    assert!(alarm.expect("an alarm").text.contains(&queued.commands[0].1.to_string()));
    core.stop().await;
}
