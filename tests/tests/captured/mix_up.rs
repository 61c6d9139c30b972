//! Mix up: one device's messages, replies or certificate under another's name.

use postern_tests::captured::{Evil, OtherReply};

use crate::kit::{COLOUR, Class, DEVICE, Scene, path_of, reply};

const OTHER: &str = "urn:uuid:2";

#[test]
fn basic_messages_of_another_device_are_refused() {
    messages_under_anothers_name_are_refused(Class::Basic);
}

#[test]
fn md5_messages_of_another_device_are_refused() {
    messages_under_anothers_name_are_refused(Class::Md5);
}

#[test]
fn certificate_messages_of_another_device_are_refused() {
    messages_under_anothers_name_are_refused(Class::Certificate);
}

#[test]
fn mac_messages_of_another_device_are_refused() {
    messages_under_anothers_name_are_refused(Class::Mac);
}

#[test]
fn signed_messages_of_another_device_are_refused() {
    messages_under_anothers_name_are_refused(Class::Signed);
}

#[test]
fn basic_reply_to_another_device_is_refused() {
    a_reply_to_another_device_is_refused(Class::Basic);
}

#[test]
fn md5_reply_to_another_device_is_refused() {
    a_reply_to_another_device_is_refused(Class::Md5);
}

#[test]
fn certificate_reply_to_another_device_is_refused() {
    a_reply_to_another_device_is_refused(Class::Certificate);
}

#[test]
fn mac_reply_to_another_device_is_refused() {
    a_reply_to_another_device_is_refused(Class::Mac);
}

#[test]
fn signed_reply_to_another_device_is_refused() {
    a_reply_to_another_device_is_refused(Class::Signed);
}

#[test]
fn basic_message_with_anothers_certificate_is_refused() {
    anothers_certificate_is_refused(Class::Basic);
}

#[test]
fn md5_message_with_anothers_certificate_is_refused() {
    anothers_certificate_is_refused(Class::Md5);
}

#[test]
fn certificate_message_with_anothers_certificate_is_refused() {
    anothers_certificate_is_refused(Class::Certificate);
}

#[test]
fn mac_message_with_anothers_certificate_is_refused() {
    anothers_certificate_is_refused(Class::Mac);
}

#[test]
fn signed_message_with_anothers_certificate_is_refused() {
    anothers_certificate_is_refused(Class::Signed);
}

fn messages_under_anothers_name_are_refused(class: Class) {
    let scene = Scene::of(class);
    let other = scene.another(OTHER, class);
    let before = (scene.settled(), scene.sessions());
    let read = scene.queue(&["get", "./DevInfo/DevId"]);

    // The other device's messages go to this device's route.
    scene.be(&Evil { path: Some(path_of(&scene.device)), ..Evil::default() });
    let ran = other.check_in(&["--encoding", "xml"]);

    assert_ne!(ran.exit, 0, "{ran:?}");
    scene.assert_not_done(&read);
    let reason = match class {
        Class::Basic | Class::Md5 | Class::Mac => "credentials-wrong",
        Class::Certificate => "certificate-mismatch",
        Class::Signed => "signature-invalid",
    };
    scene.wait_refused(DEVICE, reason);
    assert_eq!((scene.settled(), scene.sessions()), before, "nothing has changed");
    scene.be_honest();
    assert_eq!(scene.check_in().exit, 0, "{}", scene.logs());
}

fn a_reply_to_another_device_is_refused(class: Class) {
    let scene = Scene::of(class);
    scene.set("add", COLOUR, "green");
    let other = scene.another(OTHER, class);
    let operation = scene
        .site
        .ctl()
        .ok(&["device", "command", OTHER, "add", COLOUR, "--data", "purple", "--format", "chr"]);
    assert!(operation["commands"][0]["id"].is_string());
    assert_eq!(other.check_in(&["--encoding", "xml"]).exit, 0, "{}", scene.logs());
    let seen = scene.captured.seen();
    let for_the_other = seen.iter().rposition(|exchange| {
        let told = exchange.down.as_ref().and_then(reply);
        told.is_some_and(|message| format!("{message:?}").contains("purple"))
    });
    let of = for_the_other.expect("the other device was told to be purple");

    scene.be(&Evil { reply: Some(OtherReply { of, adapted: false }), ..Evil::default() });
    let ran = scene.check_in();

    assert_ne!(ran.exit, 0, "{ran:?}");
    assert_eq!(scene.honestly_read(COLOUR).as_deref(), Some("green"), "{}", scene.logs());
}

fn anothers_certificate_is_refused(class: Class) {
    let scene = Scene::of(class);
    let other = scene.another(OTHER, Class::Certificate);
    let before = (scene.settled(), scene.sessions());
    let text = std::fs::read_to_string(&other.enrolment).expect("an enrolment file");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let pem = file["certificate_pem"].as_str().expect("a certificate");
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");

    scene.be(&Evil { certificate: Some(pem.contents), ..Evil::default() });
    let ran = scene.check_in();

    assert_ne!(ran.exit, 0, "{ran:?}");
    let reason = if class == Class::Signed { "signature-invalid" } else { "certificate-mismatch" };
    scene.wait_refused(DEVICE, reason);
    assert_eq!((scene.settled(), scene.sessions()), before, "nothing has changed");
    scene.be_honest();
    assert_eq!(scene.check_in().exit, 0, "{}", scene.logs());
}
