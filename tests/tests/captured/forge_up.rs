//! Forge up: the gateway acts as the device, in a session of the device or in one of its own.

use postern_tests::captured::Evil;
use postern_wire::syncml::{Command, Data, Item, Location, Results, Status};

use crate::kit::{Class, DEVICE, Scene, changed, header_status, opens_a_session, reply};

const FORGED: &str = "forged";

#[test]
fn basic_results_are_forged() {
    results_are_forged(Class::Basic);
}

#[test]
fn md5_results_are_forged() {
    results_are_forged(Class::Md5);
}

#[test]
fn certificate_results_are_forged() {
    results_are_forged(Class::Certificate);
}

#[test]
fn mac_results_cannot_be_forged() {
    results_cannot_be_forged(Class::Mac);
}

#[test]
fn signed_results_cannot_be_forged() {
    results_cannot_be_forged(Class::Signed);
}

#[test]
fn basic_lets_the_gateway_open_a_session_as_the_device() {
    the_gateway_is_taken_for_the_device(Class::Basic);
}

#[test]
fn md5_keeps_the_gateway_from_opening_a_session_as_the_device() {
    the_gateway_is_not_taken_for_the_device(Class::Md5);
}

#[test]
fn certificate_lets_the_gateway_open_a_session_as_the_device() {
    the_gateway_is_taken_for_the_device(Class::Certificate);
}

#[test]
fn mac_keeps_the_gateway_from_opening_a_session_as_the_device() {
    the_gateway_is_not_taken_for_the_device(Class::Mac);
}

#[test]
fn signed_keeps_the_gateway_from_opening_a_session_as_the_device() {
    the_gateway_is_not_taken_for_the_device(Class::Signed);
}

fn results_are_forged(class: Class) {
    let scene = Scene::of(class);
    let read = scene.queue(&["get", "./DevInfo/DevId"]);

    scene.be(&Evil { results: Some(FORGED.to_owned()), ..Evil::default() });
    let ran = scene.check_in();

    assert_eq!(ran.exit, 0, "the device does not notice: {ran:?}\n{}", scene.logs());
    let shown = scene.finished(&read);
    assert_eq!((&shown["state"], &shown["results"][0]["data"]), (&"succeeded".into(), &FORGED.into()));
    assert_eq!(shown["proof_class"], class.name(), "how little it is worth stands on it");
    scene.assert_session_tells_class_and_gateway();
}

fn results_cannot_be_forged(class: Class) {
    let scene = Scene::of(class);
    let before = scene.enrolment(DEVICE);
    let read = scene.queue(&["get", "./DevInfo/DevId"]);

    scene.be(&Evil { results: Some(FORGED.to_owned()), ..Evil::default() });
    let ran = scene.check_in();

    assert_ne!(ran.exit, 0, "{ran:?}");
    scene.assert_not_done(&read);
    scene.wait_refused(DEVICE, class.refusal());
    for kept in ["proof_class", "generation", "state", "certificate"] {
        assert_eq!(scene.enrolment(DEVICE)[kept], before[kept], "{kept}");
    }

    scene.be_honest();
    assert_eq!(scene.check_in().exit, 0, "the device itself gets in: {}", scene.logs());
    let shown = scene.finished(&read);
    assert_eq!((&shown["results"][0]["data"], &shown["proof_class"]), (&DEVICE.into(), &class.name().into()));
}

fn the_gateway_is_taken_for_the_device(class: Class) {
    let scene = Scene::of(class);
    let read = scene.queue(&["get", "./DevInfo/DevId"]);
    let opening = scene.seen_last(opens_a_session);

    // The device is asleep: what it showed once is shown again in a session that it knows nothing of.
    let first = changed(&opening, |message| message.header.session_id = "F00D".to_owned());
    let down = scene.captured.send(&first);
    assert_eq!(header_status(&down), Some(212), "{down:?}\n{}", scene.logs());
    let told = reply(&down).expect("a message");
    let asked = told.body.iter().find_map(|command| match command {
        Command::Get(request) => Some(request.cmd_id),
        _ => None,
    });
    let second = changed(&first, |message| {
        let msg_ref = Some(told.header.msg_id);
        let status = |cmd_id, cmd_ref, cmd: &str| {
            Command::Status(Status {
                cmd_id,
                msg_ref,
                cmd_ref,
                cmd: cmd.to_owned(),
                code: 200,
                ..Status::default()
            })
        };
        let cmd_ref = asked.expect("the waiting command is told to the gateway");
        let item = Item {
            source: Some(Location::uri("./DevInfo/DevId")),
            data: Some(Data::from(FORGED)),
            ..Item::default()
        };
        let results = Results { cmd_id: 3, msg_ref, cmd_ref, items: vec![item], ..Results::default() };
        message.header.msg_id = 2;
        message.body = vec![status(1, 0, "SyncHdr"), status(2, cmd_ref, "Get"), Command::Results(results)];
    });
    let _ = scene.captured.send(&second);

    let shown = scene.finished(&read);
    assert_eq!(shown["results"][0]["data"], FORGED, "{shown:#}\n{}", scene.logs());
    assert_eq!(shown["proof_class"], class.name());
    scene.assert_session_tells_class_and_gateway();
}

fn the_gateway_is_not_taken_for_the_device(class: Class) {
    let scene = Scene::of(class);
    let read = scene.queue(&["get", "./DevInfo/DevId"]);
    let before = (scene.settled(), scene.sessions());
    // The best that was seen: a message with the device's proof.
    let opening = scene.seen_last_as(|up, message| {
        message.header.cred.is_some()
            || up.headers.iter().any(|(name, _)| matches!(name.as_str(), "x-syncml-hmac" | "signature"))
    });

    let forged = changed(&opening, |message| {
        message.header.session_id = "F00D".to_owned();
        message.header.msg_id = 1;
    });
    let down = scene.captured.send(&forged);

    assert_ne!(header_status(&down), Some(212), "{down:?}");
    assert_ne!(header_status(&down), Some(200), "{down:?}");
    scene.wait_refused(DEVICE, class.refusal());
    scene.assert_not_done(&read);
    assert_eq!((scene.settled(), scene.sessions()), before, "nothing has changed");
    assert_eq!(scene.check_in().exit, 0, "the device itself gets in: {}", scene.logs());
}
