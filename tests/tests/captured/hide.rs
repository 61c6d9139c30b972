//! Hide: whoever carries the messages can drop them. Nothing is held to be done that was not, and it can be seen.

use postern_tests::captured::{Evil, Hide};

use crate::kit::{Class, DEVICE, Scene};

#[test]
fn basic_device_is_hidden_and_nothing_is_held_to_be_done() {
    what_is_hidden_is_not_held_to_be_done(Class::Basic);
}

#[test]
fn md5_device_is_hidden_and_nothing_is_held_to_be_done() {
    what_is_hidden_is_not_held_to_be_done(Class::Md5);
}

#[test]
fn certificate_device_is_hidden_and_nothing_is_held_to_be_done() {
    what_is_hidden_is_not_held_to_be_done(Class::Certificate);
}

#[test]
fn mac_device_is_hidden_and_nothing_is_held_to_be_done() {
    what_is_hidden_is_not_held_to_be_done(Class::Mac);
}

#[test]
fn signed_device_is_hidden_and_nothing_is_held_to_be_done() {
    what_is_hidden_is_not_held_to_be_done(Class::Signed);
}

fn what_is_hidden_is_not_held_to_be_done(class: Class) {
    let scene = Scene::of(class);
    let before = scene.settled();
    let read = scene.queue(&["get", "./DevInfo/DevId"]);

    // All of it: last-seen stands still, and what waits shows its age.
    scene.be(&Evil { hide: Hide::All, ..Evil::default() });
    assert_ne!(scene.check_in().exit, 0);
    scene.assert_not_done(&read);
    assert_eq!(scene.settled(), before);
    let why = scene.site.ctl().ok(&["why", DEVICE]);
    assert_eq!(why["pending"][0]["command"]["id"], read.as_str(), "{why:#}");

    // The device's answers: the command is sent and stays so.
    scene.be(&Evil { hide: Hide::Results, ..Evil::default() });
    let _ = scene.check_in();
    scene.assert_not_done(&read);

    // One command of several: the core knows that nobody answered it.
    let other = scene.queue(&["get", "./DevInfo/Man"]);
    scene.be(&Evil { hide: Hide::Command("./DevInfo/DevId".to_owned()), ..Evil::default() });
    let _ = scene.check_in();
    scene.assert_not_done(&read);

    // With an honest gateway everything comes, once.
    scene.be_honest();
    assert_eq!(scene.check_in().exit, 0, "{}", scene.logs());
    assert_eq!(scene.finished(&read)["state"], "succeeded", "{}", scene.logs());
    assert_eq!(scene.finished(&other)["state"], "succeeded", "{}", scene.logs());
}
