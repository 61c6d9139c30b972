//! Sessions of devices that do what they should.

use postern_store::{enrolments, facts, results, sessions, timeline};
use postern_wire::terms::{AuthType, CommandState, EnrolmentState, ProofClass};

use super::kit::{Core, get, quick, replace, until, uris};

#[actix::test]
async fn an_idle_check_in_is_answered_for_every_way_of_proof() {
    let core = Core::start(quick()).await;
    for auth in [AuthType::Basic, AuthType::Md5, AuthType::Certificate] {
        let mut device = core.enrol(auth.as_str(), auth).await;
        let reply = device.open(&core).await;
        assert!(!reply.has_commands(), "{auth}");
    }
    core.stop().await;
}

#[actix::test]
async fn a_second_md5_session_is_not_challenged_even_after_the_actor_left() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Md5).await;
    device.session(&core).await;
    until("passivation", async || core.devices.stats().active == 0).await;
    assert!(!device.begin(&core).await.unwrap().is_challenge());
    core.stop().await;
}

#[actix::test]
async fn commands_are_carried_out_and_their_results_stand() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let submitted = core.queue(&device, vec![get("./DevInfo/Man"), replace("./Vendor/X", "1")]).await;

    let came = device.session(&core).await;

    assert_eq!(uris(&came), ["./DevInfo/Man", "./Vendor/X"]);
    for (_, id) in &submitted.commands {
        let row = core.command(*id).await;
        assert_eq!((row.state, row.status), (CommandState::Succeeded, Some(200)));
        assert_eq!(row.proof, Some(ProofClass::Basic));
    }
    let id = submitted.commands[0].1;
    let found = core.store.read(move |reader| results::of(reader, id)).await.unwrap();
    assert_eq!(found[0].data, b"./DevInfo/Man");
    let steps = core.store.read(move |reader| timeline::of(reader, id)).await.unwrap();
    let states: Vec<_> = steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [CommandState::Queued, CommandState::Sent, CommandState::Succeeded]);
    core.stop().await;
}

#[actix::test]
async fn a_command_queued_during_a_session_joins_it() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    core.queue(&device, vec![get("./A")]).await;
    let first = device.open(&core).await;
    let during = core.queue(&device, vec![get("./B")]).await;

    let second = device.answer(&core, &first, 200).await.unwrap();

    assert_eq!(uris(&second.commands()), ["./B"]);
    device.answer(&core, &second, 200).await.unwrap();
    assert_eq!(core.command(during.commands[0].1).await.state, CommandState::Succeeded);
    core.stop().await;
}

#[actix::test]
async fn a_command_queued_after_a_session_goes_out_in_the_next() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    assert!(device.session(&core).await.is_empty());
    core.queue(&device, vec![get("./A")]).await;
    assert_eq!(uris(&device.session(&core).await), ["./A"]);
    core.stop().await;
}

#[actix::test]
async fn a_watch_tells_each_change() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    let id = core.queue(&device, vec![get("./A")]).await.commands[0].1;
    let mut watch = core.devices.watch(id).unwrap();
    let first = device.open(&core).await;
    watch.changed().await;
    assert_eq!(core.command(id).await.state, CommandState::Sent);
    device.answer(&core, &first, 200).await.unwrap();
    watch.changed().await;
    assert_eq!(core.command(id).await.state, CommandState::Succeeded);
    core.stop().await;
}

#[actix::test]
async fn last_seen_state_device_information_and_the_session_are_written_later() {
    let core = Core::start(quick()).await;
    let mut device = core.enrol("d", AuthType::Basic).await;
    device.session(&core).await;
    let id = device.enrolled.enrolment;
    until("last-seen", async || {
        let row = core.store.read(move |reader| enrolments::get(reader, id)).await.unwrap();
        row.last_seen_at.is_some() && row.state == EnrolmentState::Managed
    })
    .await;
    until("what DevInfo said", async || {
        let known = core.store.read(move |reader| facts::of(reader, id)).await.unwrap();
        known.iter().any(|fact| fact.key == "./DevInfo/Man" && fact.value == "Postern")
    })
    .await;
    until("the session's record", async || {
        let held = core.store.read(move |reader| sessions::of(reader, id, 10)).await.unwrap();
        held.len() == 1 && held[0].closed_at.is_some()
    })
    .await;
    core.stop().await;
    assert_eq!(core.devices.stats().sessions, 0);
}

#[actix::test]
async fn a_wrong_password_route_certificate_or_device_id_gets_no_session() {
    let core = Core::start(quick()).await;
    let mut wrong = core.enrol("basic", AuthType::Basic).await;
    wrong.password = "another".to_owned();
    let refused = wrong.begin(&core).await;
    assert!(refused.is_err() || refused.is_ok_and(|reply| reply.is_challenge()));

    let mut stranger = core.enrol("certificate", AuthType::Certificate).await;
    let other = core.enrol("other", AuthType::Certificate).await;
    stranger.peer = other.peer.clone();
    let refused = stranger.begin(&core).await;
    assert!(refused.is_err() || refused.is_ok_and(|reply| reply.header_status() >= 400));

    let mut renamed = core.enrol("renamed", AuthType::Basic).await;
    renamed.name = "someone-else".to_owned();
    let refused = renamed.begin(&core).await;
    assert!(refused.is_err() || refused.is_ok_and(|reply| reply.header_status() >= 400));

    let mut lost = core.enrol("lost", AuthType::Basic).await;
    lost.enrolled.route = postern_wire::route::RouteId::from_bytes([9; 16]);
    assert_eq!(lost.begin(&core).await.unwrap_err().status(), 404);
    core.stop().await;
    for device in [&wrong, &stranger, &renamed] {
        let id = device.enrolled.enrolment;
        assert_eq!(core.devices.stats().sessions, 0, "{id}");
    }
}
