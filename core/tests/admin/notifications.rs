//! Where devices are reached, asking them to come, and their bootstrap documents, over the admin API.

use postern_api::{
    devices::{Device, Enrolled},
    notifications::{Bootstrap, DeviceNotifications, Notification, PushAddress},
};
use postern_wire::{
    bootstrap::{
        cp::{Account, Document, Level},
        mac::{self, NetworkSecret, Secrets, Unproven},
        profile,
    },
    push::{Mac, Push, PushMedia, Security, SecurityMethod},
    syncml::Encoding,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::kit::{Kit, until_async};

async fn enrol(kit: &Kit) -> Enrolled {
    let body = json!({"device_id": "IMEI:1", "auth": "md5", "name": "phone"});
    kit.admin.post("/api/1/devices", body).await.read(201)
}

#[tokio::test]
async fn a_push_address_is_set_shown_and_forgotten_and_a_bad_one_refused() {
    let kit = Kit::start().await;
    enrol(&kit).await;
    let path = "/api/1/devices/phone/address";
    for bad in [
        json!({}),
        json!({"number": "12"}),
        json!({"number": "+1555010000112345"}),
        json!({"number": "call me"}),
        json!({"bearer": "smpp"}),
        json!({"number": "+15550100001", "no_such": 1}),
    ] {
        assert_eq!(kit.admin.put_body(path, bad.clone()).await.status, 400, "{bad}");
    }
    let body = json!({"number": "+1 555-010-0001", "bearer": "pap"});
    let set: PushAddress = kit.admin.put_body(path, body).await.read(200);
    assert_eq!((set.number.as_deref(), set.bearer.as_deref()), (Some("+15550100001"), Some("pap")));
    let shown: DeviceNotifications = kit.admin.get("/api/1/devices/phone/notifications").await.read(200);
    assert_eq!(shown.address, Some(set));
    let audit = kit.audit().await;
    assert!(audit.contains("devices.put_address") && !audit.contains("5550100"), "{audit}");
    assert_eq!(kit.admin.delete(path).await.status, 204);
    assert_eq!(kit.admin.delete(path).await.status, 404);
    let nobody = kit.admin.put_body("/api/1/devices/nobody/address", json!({"bearer": "listen"})).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn a_device_is_asked_to_come_and_why_says_how_it_stands() {
    let kit = Kit::start().await;
    let device: Device = enrol(&kit).await.device;
    let path = "/api/1/devices/phone/notify";
    assert_eq!(kit.admin.post(path, json!({"bearer": "pigeon"})).await.status, 400);
    let body = json!({"bearer": "listen", "reason": "now"});
    let asked: Notification = kit.admin.post(path, body).await.read(202);
    assert_eq!((asked.state.is_open(), asked.asked_by.as_deref()), (true, Some("admin")));
    let list = format!("/api/1/devices/{}/notifications", device.id);
    let shown = async || -> Notification {
        let mut all: DeviceNotifications = kit.admin.get(&list).await.read(200);
        all.notifications.swap_remove(0)
    };
    until_async("the wake-up", async || shown().await.attempts > 0).await;
    let causes: Vec<_> = shown().await.steps.into_iter().map(|step| step.cause).collect();
    assert_eq!(causes, ["wanted", "handed-to-bearer"]);
    let why: Value = kit.admin.get("/api/1/devices/phone/why").await.read(200);
    assert!(why.to_string().contains("notification-open"), "{why}");
}

#[tokio::test]
async fn what_brings_a_device_here_stands_on_its_commands_timeline() {
    let kit = Kit::with(|config| config.notifications.gather_s = 0).await;
    enrol(&kit).await;
    let address = kit.admin.put_body("/api/1/devices/phone/address", json!({"bearer": "listen"})).await;
    assert_eq!(address.status, 200);
    let body = json!({"commands": [{"verb": "get", "uri": "./DevInfo/Mod"}]});
    let operation: Value = kit.admin.post("/api/1/devices/phone/commands", body).await.read(202);
    let command = format!("/api/1/commands/{}", operation["commands"][0]["id"].as_str().unwrap());
    let shown = async || -> Value { kit.admin.get(&command).await.read(200) };
    until_async("the wake-up on the timeline", async || {
        shown().await["timeline"].to_string().contains("notification sent: handed-to-bearer (listen)")
    })
    .await;
    let shown = shown().await;
    assert_eq!((&shown["state"], &shown["timeline"][0]["cause"]), (&json!("queued"), &json!("queued")));
    assert_eq!(shown["timeline"][0]["revision"], shown["timeline"][1]["revision"]);
}

fn pin(text: &str) -> Secrets {
    let network = Some(NetworkSecret::Imsi(SecretString::from("244121234567890")));
    Secrets { network, pin: Some(SecretString::from(text)) }
}

/// The push that a device would get.
fn push_of(made: &Bootstrap, media: PushMedia, method: SecurityMethod) -> Push {
    let document = made.document_base64.as_ref().expect("the document is in the answer");
    let body = data_encoding::BASE64.decode(document.as_bytes()).unwrap();
    let hex = made.content_type.rsplit_once("MAC=").map(|(_, hex)| hex.trim_matches('"')).unwrap();
    let mac = data_encoding::HEXUPPER_PERMISSIVE.decode(hex.as_bytes()).unwrap().try_into().unwrap();
    Push::bootstrap(media, Some(Security { method, mac: Some(Mac(mac)) }), body)
}

fn judge(account: &Account, enrolled: &Enrolled) {
    let of = |level| account.credentials.iter().find(|credential| credential.level == level).unwrap();
    let (client, server) = (of(Level::ClientToServer), of(Level::ServerToClient));
    let secret = |secret: &Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
    let file = &enrolled.enrolment;
    assert_eq!(account.server_id, file.server_id);
    assert_eq!(
        (account.addresses[0].address.as_str(), &account.addresses[0].ports[..]),
        (&*file.server_uri, &[8843][..])
    );
    assert_eq!((client.name.as_ref(), secret(&client.secret)), (file.user.as_ref(), file.password.clone()));
    assert_eq!(
        (server.name.as_ref(), secret(&server.secret)),
        (Some(&file.server_id), file.server_password.clone())
    );
    let nonce = secret(&server.data).expect("the first nonce");
    assert_eq!(data_encoding::BASE64.decode(nonce.as_bytes()).unwrap().len(), 16);
}

#[tokio::test]
async fn both_profiles_hold_the_account_and_only_the_right_pin_proves_them() {
    let kit = Kit::start().await;
    let enrolled = enrol(&kit).await;
    let cases = [
        ("userpin", SecurityMethod::UserPin),
        ("netwpin", SecurityMethod::NetworkPin),
        ("usernetwpin", SecurityMethod::UserNetworkPin),
    ];
    for (security, method) in cases {
        for profile in ["cp", "dm"] {
            let body = json!({
                "profile": profile, "security": security, "pin": "1234", "imsi": "244121234567890", "to": "file",
            });
            let made: Bootstrap = kit.admin.post("/api/1/devices/phone/bootstrap", body).await.read(200);
            let media = if profile == "cp" { PushMedia::ConnectivityWbxml } else { PushMedia::DmWbxml };
            let push = push_of(&made, media, method);
            assert_eq!(mac::verify(&push, &pin("1234")), Ok(()), "{profile} {security}");
            if method != SecurityMethod::NetworkPin {
                assert_eq!(mac::verify(&push, &pin("4321")), Err(Unproven::Wrong), "{profile} {security}");
            }
            let accounts = if profile == "cp" {
                Account::all_of(&Document::from_wbxml(&push.body).unwrap()).unwrap()
            } else {
                profile::accounts(&profile::read(&push.body, Encoding::Wbxml).unwrap()[0]).unwrap()
            };
            judge(&accounts[0], &enrolled);
        }
    }
}

#[tokio::test]
async fn reading_credentials_for_a_bootstrap_is_audited_and_shows_neither_pin_nor_credentials() {
    let kit = Kit::start().await;
    let enrolled = enrol(&kit).await;
    let body = json!({"profile": "cp", "security": "userpin", "pin": "73519", "to": "file"});
    kit.admin.post("/api/1/devices/phone/bootstrap", body).await.read::<Bootstrap>(200);
    let audit = kit.audit().await;
    assert!(audit.contains("bootstrap.make") && audit.contains("credentials"), "{audit}");
    let file = enrolled.enrolment;
    for secret in [Some("73519".to_owned()), file.password, file.server_password] {
        assert!(!audit.contains(&secret.unwrap()));
    }
}

#[tokio::test]
async fn a_bootstrap_that_nothing_proves_or_carries_is_refused() {
    let kit = Kit::start().await;
    enrol(&kit).await;
    for body in [
        json!({"profile": "cp", "security": "none", "to": "sms"}),
        json!({"profile": "cp", "security": "userpin", "to": "file"}),
        json!({"profile": "cp", "security": "userpin", "pin": "12a4", "to": "file"}),
        json!({"profile": "cp", "security": "netwpin", "imsi": "12", "to": "file"}),
        json!({"profile": "cp", "security": "userpin", "pin": "1234", "to": "pap"}),
    ] {
        let answer = kit.admin.post("/api/1/devices/phone/bootstrap", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(!answer.text.contains("12a4"), "a PIN is never shown");
    }
}
