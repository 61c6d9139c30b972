//! Forge down: the gateway acts as the core.

use postern_tests::captured::{Evil, Planted};

use crate::kit::{Class, Scene};

const PLANTED: &str = "./Settings/Planted";
/// What a wipe of our own device executes.
const WIPE: &str = "./Vendor/Postern/Wipe/Run";

#[test]
fn basic_device_obeys_a_planted_command() {
    a_planted_command_is_obeyed(Class::Basic);
}

#[test]
fn md5_device_obeys_a_planted_command_though_it_checks_the_servers_credential() {
    a_planted_command_is_obeyed(Class::Md5);
}

#[test]
fn certificate_device_obeys_a_planted_command() {
    a_planted_command_is_obeyed(Class::Certificate);
}

#[test]
fn mac_device_refuses_a_planted_command() {
    a_planted_command_is_refused(Class::Mac);
}

#[test]
fn signed_device_refuses_a_planted_command() {
    a_planted_command_is_refused(Class::Signed);
}

#[test]
fn basic_device_is_not_wiped_by_a_gateway() {
    no_gateway_wipes(Class::Basic);
}

#[test]
fn md5_device_is_not_wiped_by_a_gateway() {
    no_gateway_wipes(Class::Md5);
}

#[test]
fn certificate_device_is_not_wiped_by_a_gateway() {
    no_gateway_wipes(Class::Certificate);
}

#[test]
fn mac_device_is_not_wiped_by_a_gateway() {
    no_gateway_wipes(Class::Mac);
}

#[test]
fn signed_device_is_not_wiped_by_a_gateway() {
    no_gateway_wipes(Class::Signed);
}

fn planted(verb: &str, uri: &str, data: &str) -> Evil {
    let planted = Planted { verb: verb.to_owned(), uri: uri.to_owned(), data: Some(data.to_owned()) };
    Evil { planted: Some(planted), ..Evil::default() }
}

fn a_planted_command_is_obeyed(class: Class) {
    let scene = Scene::of(class);
    let read = scene.queue(&["get", "./DevInfo/DevId"]);

    scene.be(&planted("add", PLANTED, "evil"));
    let _ = scene.check_in();

    assert_eq!(scene.honestly_read(PLANTED).as_deref(), Some("evil"), "{}", scene.logs());
    assert_eq!(scene.finished(&read)["proof_class"], class.name());
    scene.assert_session_tells_class_and_gateway();
}

fn a_planted_command_is_refused(class: Class) {
    let scene = Scene::of(class);
    let read = scene.queue(&["get", "./DevInfo/DevId"]);

    scene.be(&planted("add", PLANTED, "evil"));
    let ran = scene.check_in();

    assert_ne!(ran.exit, 0, "the device takes nothing that the core has not proved: {ran:?}");
    scene.assert_not_done(&read);
    assert_eq!(scene.honestly_read(PLANTED), None, "{}", scene.logs());
    assert_eq!(scene.finished(&read)["state"], "succeeded", "what was meant comes all the same");
}

fn no_gateway_wipes(class: Class) {
    let scene = Scene::of(class);
    scene.set("add", "./Settings/Kept", "kept");
    let _ = scene.queue(&["get", "./DevInfo/DevId"]);

    scene.be(&planted("exec", WIPE, "wipe"));
    let ran = scene.check_in();

    let wiped = ran.events.iter().any(|event| event["event"] == "wiped");
    assert!(!wiped, "{ran:?}");
    assert_eq!(scene.honestly_read("./Settings/Kept").as_deref(), Some("kept"), "{}", scene.logs());
    assert_eq!(scene.honestly_read("./Vendor/Postern/Wipe/LastOrder").unwrap_or_default(), "");
}
