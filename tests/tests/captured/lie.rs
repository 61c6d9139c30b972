//! Lies that belong to no class: about versions, about the blocked list, about a device's address and standing.

use postern_tests::{captured::Evil, site::GATEWAY, wait};
use serde_json::Value;

use crate::kit::{BATCHED, Class, DEVICE, Scene, header_status, opens_a_session};

#[test]
fn a_version_that_a_gateway_does_not_acknowledge_is_seen_to_be_missing() {
    let scene = Scene::of(Class::Md5);
    scene.be(&Evil { no_acks: true, withhold_blocked: true, ..Evil::default() });

    let _ = scene.site.device("urn:uuid:2", "basic");
    let _ = scene.site.ctl().ok(&["device", "retire", "urn:uuid:2", "--reason", "lost"]);

    let pending = || document(&scene, "blocked").filter(|document| document["state"] == "pending");
    let document = wait::until("the blocked list to be behind", BATCHED, pending, || scene.logs());
    assert_ne!(document["wanted"], document["in_force"], "{document:#}");
}

#[test]
fn a_lie_about_the_blocked_list_lets_nobody_in() {
    let scene = Scene::of(Class::Certificate);
    scene.be(&Evil { withhold_blocked: true, lying_beat: true, ..Evil::default() });
    let opening = scene.seen_last(opens_a_session);

    let _ = scene.site.ctl().ok(&["device", "retire", DEVICE, "--reason", "stolen"]);
    // What the gateway claims cannot be told from the truth: the core counts it as having the list.
    let in_sync = || document(&scene, "blocked").filter(|document| document["state"] == "in-sync");
    wait::until("the lie to be believed", BATCHED, in_sync, || scene.logs());

    let ran = scene.check_in();
    let down = scene.captured.send(&opening);

    assert_ne!(ran.exit, 0, "the core judges for itself: {ran:?}");
    assert!(matches!(down.status, 403 | 410), "{down:?}");
    assert_eq!(scene.enrolment(DEVICE)["state"], "retired");
}

#[test]
fn a_lie_about_the_address_changes_what_is_shown_of_it_and_nothing_else() {
    let scene = Scene::of(Class::Mac);
    let before = scene.settled();

    scene.be(&Evil { source: Some("192.0.2.99".to_owned()), ..Evil::default() });
    assert_eq!(scene.check_in().exit, 0, "{}", scene.logs());

    let newest = || scene.sessions().first().filter(|session| session["source"] == "192.0.2.99").cloned();
    wait::until("the session", BATCHED, newest, || scene.logs());
    let after = scene.settled();
    for kept in ["id", "generation", "state", "proof_class", "certificate"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
}

#[test]
fn a_lie_about_the_standing_withholds_and_gives_nothing() {
    let scene = Scene::of(Class::Signed);
    let before = scene.settled();
    let read = scene.queue(&["get", "./DevInfo/DevId"]);

    // Stricter than the truth is a way to hide; the core says why it serves nothing.
    scene.be(&Evil { admission: Some("wipe-only".to_owned()), ..Evil::default() });
    assert_ne!(scene.check_in().exit, 0);
    scene.assert_not_done(&read);
    assert_eq!(scene.settled(), before);

    // What the core does not know is the strictest.
    scene.be(&Evil { admission: Some("super-admit".to_owned()), ..Evil::default() });
    assert_ne!(scene.check_in().exit, 0);
    scene.assert_not_done(&read);
    assert_eq!(scene.settled(), before);
}

#[test]
fn a_certificate_that_a_gateway_made_raises_nothing() {
    for class in [Class::Basic, Class::Md5, Class::Mac] {
        let scene = Scene::of(class);
        let before = scene.settled();
        let id = before["id"].as_str().expect("an id").to_owned();

        scene.be(&Evil { certificate: Some(naming(&id)), ..Evil::default() });
        let _ = scene.check_in();

        let after = scene.settled();
        assert_eq!(after["proof_class"], before["proof_class"], "{class:?}");
        scene.wait_refused(DEVICE, "certificate-mismatch");
        scene.be_honest();
        assert_eq!(scene.check_in().exit, 0, "the device still gets in: {}", scene.logs());
    }
}

#[test]
fn a_replayed_message_under_another_address_is_still_a_replay() {
    let scene = Scene::of(Class::Md5);
    let before = (scene.settled(), scene.sessions());
    let mut opening = scene.seen_last(|message| message.header.cred.is_some());
    for (name, value) in &mut opening.headers {
        if name == "postern-source" {
            *value = "192.0.2.77".to_owned();
        }
    }

    let down = scene.captured.send(&opening);

    assert!(!matches!(header_status(&down), Some(200 | 212)), "{down:?}");
    assert_eq!((scene.settled(), scene.sessions()), before);
}

/// A self-made certificate whose SAN URI names an enrolment.
fn naming(enrolment: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::default();
    let uri = format!("postern:device:{enrolment}").try_into().expect("ASCII");
    parameters.subject_alt_names = vec![rcgen::SanType::URI(uri)];
    parameters.self_signed(&key).expect("a certificate").der().to_vec()
}

fn document(scene: &Scene, kind: &str) -> Option<Value> {
    let gateway = scene.site.ctl().ok(&["gateway", "show", GATEWAY]);
    let documents = gateway["documents"].as_array()?;
    documents.iter().find(|document| document["kind"] == kind).cloned()
}
