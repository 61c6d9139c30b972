//! Replay up: what a device said once, sent again octet for octet with all its fields.

use postern_tests::wait;

use crate::kit::{BATCHED, Class, DEVICE, Scene, header_status, opens_a_session};

#[test]
fn basic_session_is_opened_again_by_a_replay() {
    a_replay_opens_a_session(Class::Basic);
}

#[test]
fn md5_replay_is_refused() {
    a_replay_is_refused(Class::Md5);
}

#[test]
fn certificate_session_is_opened_again_by_a_replay() {
    a_replay_opens_a_session(Class::Certificate);
}

#[test]
fn mac_replay_is_refused() {
    a_replay_is_refused(Class::Mac);
}

#[test]
fn signed_replay_is_refused() {
    a_replay_is_refused(Class::Signed);
}

fn a_replay_opens_a_session(class: Class) {
    let scene = Scene::of(class);
    let (before, sessions) = (scene.settled(), scene.sessions());

    let down = scene.captured.send(&scene.seen_last(opens_a_session));

    assert_eq!(header_status(&down), Some(212), "{down:?}\n{}", scene.logs());
    let seen_again = || (scene.enrolment(DEVICE)["last_seen"] != before["last_seen"]).then_some(());
    wait::until("a device that sleeps to be held to have been there", BATCHED, seen_again, || scene.logs());
    let held = || (scene.sessions().len() == sessions.len() + 1).then_some(());
    wait::until("its session to stand in the list", BATCHED, held, || scene.logs());
    scene.assert_session_tells_class_and_gateway();
}

fn a_replay_is_refused(class: Class) {
    let scene = Scene::of(class);
    let read = scene.queue(&["get", "./DevInfo/DevId"]);
    let before = (scene.settled(), scene.sessions());
    let seen = scene.captured.seen();

    // The whole first session again, in its order, and then its messages the other way round.
    for exchange in seen.iter().chain(seen.iter().rev()) {
        let down = scene.captured.send(&exchange.up);
        let stored = exchange.down.as_ref().is_some_and(|first| first.body == down.body);
        let status = header_status(&down);
        assert!(stored || !matches!(status, Some(200 | 212)), "{down:?}\n{}", scene.logs());
    }

    scene.wait_refused(DEVICE, class.refusal());
    scene.assert_not_done(&read);
    assert_eq!((scene.settled(), scene.sessions()), before, "nothing has changed");
    assert_eq!(scene.check_in().exit, 0, "the device itself gets in: {}", scene.logs());
}
