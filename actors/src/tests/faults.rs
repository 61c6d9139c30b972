//! What goes wrong stays small.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use postern_store::{
    audit,
    commands::{self, Finish},
    enrolments,
};
use postern_wire::terms::{AuthType, CommandState};

use super::{
    POISON,
    kit::{Core, get, quick, until, uris},
};
use crate::{CheckIn, RefusalCause, Settings};

#[actix::test]
async fn a_panicking_actor_costs_its_peer_a_503_and_nothing_acknowledged() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let id = core.queue(&device, vec![get("./A")]).await.commands[0].1;
    device.open(&core).await;
    let poisoned = CheckIn { body: Bytes::from_static(POISON), ..device.request(Vec::new(), true) };

    let refused = core.devices.check_in(poisoned).await.unwrap_err();

    assert_eq!((refused.status(), refused.cause), (503, RefusalCause::Failed));
    assert_eq!(core.command(id).await.state, CommandState::Sent);
    device.session(&core).await;
    assert_eq!(core.command(id).await.state, CommandState::Succeeded);
    assert_eq!(core.devices.stats().panics, 1);
    assert!(core.devices.stats().sessions <= 1);
    core.stop().await;
}

#[actix::test]
async fn requests_behind_a_poisoned_one_are_answered_by_the_next_actor() {
    let core = Core::start(quick()).await;
    let device = core.enrol("d", AuthType::Basic).await;
    let poisoned = CheckIn { body: Bytes::from_static(POISON), ..device.request(Vec::new(), true) };
    let mut others: Vec<_> = (0..5).map(|_| device.clone()).collect();
    let behind = others.iter_mut().map(|device| device.begin(&core));

    let (refused, answered) = tokio::join!(core.devices.check_in(poisoned), join_all(behind));

    assert_eq!(refused.unwrap_err().cause, RefusalCause::Failed);
    for answer in answered {
        assert!(answer.is_ok(), "{answer:?}");
    }
    core.stop().await;
}

#[actix::test]
async fn a_request_that_meets_a_leaving_actor_is_answered() {
    let settings = Settings { linger: Duration::ZERO, tick: Duration::from_millis(1), ..quick() };
    let core = Core::start(settings).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    for _ in 0..100 {
        let mut other = device.clone();
        let (one, two) = tokio::join!(other.begin(&core), device.begin(&core));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    }
    until("passivation", async || core.devices.stats().active == 0).await;
    assert_eq!(core.devices.stats().in_flight, 0);
    core.stop().await;
}

#[actix::test]
async fn a_shard_takes_no_more_than_its_permits_and_refuses_the_rest_at_once() {
    let core = Core::start(Settings { shards_per_arbiter: 1, shard_permits: 8, ..quick() }).await;
    let device = core.enrol("d", AuthType::Basic).await;
    let mut crowd: Vec<_> = (0..200).map(|_| device.clone()).collect();

    let answers = join_all(crowd.iter_mut().map(|device| device.begin(&core))).await;

    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(answered, 8);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!((refused.status(), refused.retry_after_s), (503, Some(30)));
        assert_eq!(refused.cause, RefusalCause::Overloaded);
    }
    assert!(device.clone().begin(&core).await.is_ok());
    core.stop().await;
}

#[actix::test]
async fn a_message_sent_twice_gets_the_same_octets_and_is_carried_out_once() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let id = core.queue(&device, vec![get("./A")]).await.commands[0].1;
    let first = device.open(&core).await;
    assert_eq!(device.repeat(&core).await.unwrap().body, first.octets);
    let second = device.answer(&core, &first, 200).await.unwrap();
    assert_eq!(device.repeat(&core).await.unwrap().body, second.octets);
    let row = core.command(id).await;
    assert_eq!((row.state, row.attempts), (CommandState::Succeeded, 1));
    core.stop().await;
}

#[actix::test]
async fn a_reply_that_rests_on_what_was_not_committed_does_not_leave() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let first = core.queue(&device, vec![get("./A")]).await.commands[0].1;
    let reply = device.open(&core).await;
    let store = core.store.clone();
    tokio::task::spawn_blocking(move || store.shutdown()).await.unwrap();

    let refused = device.answer(&core, &reply, 200).await.unwrap_err();

    assert_eq!((refused.status(), refused.cause), (503, RefusalCause::Unavailable));
    let core = core.restart().await;
    assert_eq!(core.command(first).await.state, CommandState::Sent);
    device.answer(&core, &reply, 200).await.unwrap();
    core.stop().await;
}

#[actix::test]
async fn a_command_that_ended_behind_the_actors_back_is_not_sent() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    core.queue(&device, vec![get("./A")]).await;
    let first = device.open(&core).await;
    let late = core.queue(&device, vec![get("./B"), get("./C")]).await.commands;
    device.answer(&core, &first, 200).await.unwrap();
    core.queue(&device, vec![get("./D")]).await;
    let gone = late[0].1;
    let end = Finish {
        id: gone,
        state: CommandState::Cancelled,
        status: None,
        cause: "test".into(),
        proof: None,
        session: None,
    };
    core.store.write(move |tx| commands::finish(tx, std::slice::from_ref(&end))).await.unwrap();

    let came = uris(&device.session(&core).await);

    assert!(!came.contains(&"./B".to_owned()), "{came:?}");
    assert!(came.contains(&"./C".to_owned()) && came.contains(&"./D".to_owned()), "{came:?}");
    core.stop().await;
}

#[actix::test]
async fn an_idle_check_in_writes_nothing_before_it_is_answered() {
    let hour = Duration::from_secs(3600);
    let core = Core::start(Settings { flush_every: hour, sweep_every: hour, ..quick() }).await;
    let mut device = core.enrol("d", AuthType::Certificate).await;
    device.session(&core).await;
    let enrolled = core.store.read(audit::last).await.unwrap();
    core.store.write(|_| Ok(())).await.unwrap();
    let id = device.enrolled.enrolment;
    let before = core.store.read(move |reader| enrolments::get(reader, id)).await.unwrap();

    device.session(&core).await;

    let after = core.store.read(move |reader| enrolments::get(reader, id)).await.unwrap();
    assert_eq!(before, after);
    assert_eq!(core.store.read(audit::last).await.unwrap(), enrolled);
    assert_eq!(core.devices.stats().unflushed, 1);
    core.stop().await;
    let after = core.devices.stats();
    assert_eq!((after.unflushed, after.sessions, after.active), (0, 0, 0));
}

#[actix::test]
async fn garbage_is_refused_and_holds_nothing() {
    let core = Core::start(quick()).await;
    let device = core.enrol("d", AuthType::Basic).await;
    for body in [&b""[..], b"\0\0\0", b"<SyncML>", &[0xff; 100]] {
        let garbage = CheckIn { body: Bytes::copy_from_slice(body), ..device.request(Vec::new(), true) };
        assert_eq!(core.devices.check_in(garbage).await.unwrap_err().status(), 400);
    }
    until("passivation", async || core.devices.stats().active == 0).await;
    core.stop().await;
}

#[actix::test]
async fn after_a_stop_everything_is_refused() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    device.open(&core).await;
    core.devices.stop().await;
    assert_eq!(device.begin(&core).await.unwrap_err().status(), 503);
}

#[actix::test]
async fn an_actor_is_not_told_to_leave_while_it_works() {
    let core = Core::start(Settings { linger: Duration::from_millis(20), ..quick() }).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    core.queue(&device, vec![get("./A")]).await;
    let (held, release) = std::sync::mpsc::channel::<()>();
    let writer = core.store.clone();
    // The writer stands still, so the check-in waits for its commit far longer than an actor lingers.
    let mut release = Some(release);
    let stalled = actix::spawn(async move {
        writer
            .write(move |_| {
                if let Some(release) = release.take() {
                    let _ = release.recv_timeout(Duration::from_millis(300));
                }
                Ok(())
            })
            .await
    });
    tokio::time::sleep(Duration::from_millis(20)).await;

    let first = device.open(&core).await;

    assert_eq!(uris(&first.commands()), ["./A"]);
    assert!(!device.answer(&core, &first, 200).await.unwrap().has_commands());
    drop(held);
    stalled.await.unwrap().unwrap();
    core.stop().await;
}
