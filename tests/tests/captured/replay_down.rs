//! Replay down: what the core said once, given to the device again.

use postern_tests::captured::{Evil, OtherReply};

use crate::kit::{COLOUR, Class, Scene};

#[test]
fn basic_device_obeys_an_old_reply() {
    an_old_reply_is_obeyed(Class::Basic);
}

#[test]
fn md5_device_obeys_an_old_reply() {
    an_old_reply_is_obeyed(Class::Md5);
}

#[test]
fn certificate_device_obeys_an_old_reply() {
    an_old_reply_is_obeyed(Class::Certificate);
}

#[test]
fn mac_device_refuses_an_old_reply() {
    an_old_reply_is_refused(Class::Mac);
}

#[test]
fn signed_device_refuses_an_old_reply() {
    an_old_reply_is_refused(Class::Signed);
}

/// Values that stand nowhere else in a message.
const RED: &str = "a red one";
const BLUE: &str = "a blue one";

/// A device whose colour was red once and is blue now, and the exchange that brought red.
fn repainted(class: Class) -> (Scene, usize) {
    let scene = Scene::of(class);
    scene.set("add", COLOUR, "a green one");
    let red = scene.set("replace", COLOUR, RED);
    scene.set("replace", COLOUR, BLUE);
    (scene, red)
}

fn an_old_reply_is_obeyed(class: Class) {
    let (scene, red) = repainted(class);
    let read = scene.queue(&["get", "./DevInfo/DevId"]);

    scene.be(&Evil { reply: Some(OtherReply { of: red, adapted: true }), ..Evil::default() });
    let _ = scene.check_in();

    assert_eq!(scene.honestly_read(COLOUR).as_deref(), Some(RED), "{}", scene.logs());
    assert_eq!(scene.finished(&read)["proof_class"], class.name());
    scene.assert_session_tells_class_and_gateway();
}

fn an_old_reply_is_refused(class: Class) {
    let (scene, red) = repainted(class);
    for adapted in [false, true] {
        let read = scene.queue(&["get", "./DevInfo/DevId"]);

        scene.be(&Evil { reply: Some(OtherReply { of: red, adapted }), ..Evil::default() });
        let ran = scene.check_in();

        assert_ne!(ran.exit, 0, "{adapted}: {ran:?}");
        scene.assert_not_done(&read);
        assert_eq!(scene.honestly_read(COLOUR).as_deref(), Some(BLUE), "{}", scene.logs());
        assert_eq!(scene.finished(&read)["state"], "succeeded", "what was meant comes all the same");
    }
}
