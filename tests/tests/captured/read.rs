//! Read: everything that crosses is plain to the gateway; which secrets cross depends on the class.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postern_wire::auth;
use serde_json::Value;

use crate::kit::{Class, DEVICE, Scene};

#[test]
fn basic_lets_the_gateway_read_all_and_the_password() {
    let (scene, secrets) = everything_is_read(Class::Basic);
    assert!(secrets.iter().any(|secret| crossed(&scene, secret)), "the password crosses");
}

#[test]
fn md5_lets_the_gateway_read_all_but_no_secret() {
    no_secret_crosses(Class::Md5);
}

#[test]
fn certificate_lets_the_gateway_read_all_but_no_secret() {
    no_secret_crosses(Class::Certificate);
}

#[test]
fn mac_lets_the_gateway_read_all_but_no_secret() {
    no_secret_crosses(Class::Mac);
}

#[test]
fn signed_lets_the_gateway_read_all_but_no_secret() {
    no_secret_crosses(Class::Signed);
}

fn no_secret_crosses(class: Class) {
    let (scene, secrets) = everything_is_read(class);
    for secret in secrets {
        assert!(!crossed(&scene, &secret), "{class:?}: a secret has crossed");
    }
}

/// Shows that the gateway reads commands and results; gives all forms that a secret of the device might cross in.
fn everything_is_read(class: Class) -> (Scene, Vec<String>) {
    let scene = Scene::of(class);
    let secret_plan = "the plan for the new factory";
    scene.set("add", "./Settings/Plan", secret_plan);
    assert_eq!(scene.honestly_read("./Settings/Plan").as_deref(), Some(secret_plan));
    assert!(crossed(&scene, secret_plan) && crossed(&scene, DEVICE));

    let text = std::fs::read_to_string(&scene.device.enrolment).expect("an enrolment file");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let user = file["user"].as_str().unwrap_or_default();
    let server_id = file["server_id"].as_str().unwrap_or_default();
    let mut secrets = Vec::new();
    for (name, field) in [(user, "password"), (server_id, "server_password")] {
        let Some(password) = file[field].as_str() else { continue };
        let pair = format!("{name}:{password}");
        secrets.extend([password.to_owned(), BASE64.encode(pair), auth::user_password_hash(name, password)]);
    }
    for key in ["device.key", "key.pem"] {
        secrets.extend(std::fs::read_to_string(scene.device.state.join(key)));
    }
    (scene, secrets)
}

/// Whether a text has crossed in either direction, in a body or a field.
fn crossed(scene: &Scene, text: &str) -> bool {
    let holds = |headers: &[(String, String)], body: &[u8]| {
        String::from_utf8_lossy(body).contains(text) || headers.iter().any(|(_, value)| value.contains(text))
    };
    scene.captured.seen().iter().any(|exchange| {
        holds(&exchange.up.headers, &exchange.up.body)
            || exchange.down.as_ref().is_some_and(|down| holds(&down.headers, &down.body))
    })
}
