//! What goes wrong stays small.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use postern_wire::terms::{AuthType, CommandState};

use super::{
    POISON,
    kit::{Core, get, quick, until},
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
