//! Settings and signatures; the posts themselves are tried on real sockets in the system tests.

use super::*;

const SECRET_TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn open(config: &WebhookConfig, secret: &str) -> Result<WebhookCarrier, OpenError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), secret).unwrap();
    WebhookCarrier::open(config, folder.path())
}

fn at(url: &str) -> WebhookConfig {
    WebhookConfig::at("siem", url, "secret")
}

#[test]
fn the_signature_is_that_of_standard_webhooks() {
    // The example of the specification's reference libraries.
    let carrier = open(&at("https://siem.example/"), SECRET_TEXT).unwrap();
    let body = r#"{"test": 2432232314}"#;
    let signature = carrier.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn only_https_to_an_ordinary_place_is_taken() {
    for url in [
        "http://siem.example/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest",
        "https://user:pw@siem.example/",
        "https://siem.example/#x",
        "file:///etc/passwd",
        "nothing",
    ] {
        let error = open(&at(url), SECRET_TEXT).err().map(|error| error.to_string());
        assert!(error.as_deref().is_some_and(|error| error.starts_with("webhook.url")), "{url}: {error:?}");
        assert!(!error.unwrap_or_default().contains("pw"), "{url}");
    }
    assert!(open(&at("https://siem.example:8443/events"), SECRET_TEXT).is_ok());
    assert!(open(&at("https://10.0.0.5/"), SECRET_TEXT).is_ok(), "an organisation's own network");
    let local = WebhookConfig { allow_local: true, ..at("http://127.0.0.1:1/") };
    assert!(open(&local, SECRET_TEXT).is_ok(), "a test says that it may");
}

#[test]
fn a_secret_is_long_enough_or_refused() {
    let open = |secret: &str| open(&at("https://siem.example/"), secret).err().map(|error| error.to_string());
    assert!(open("short").unwrap().starts_with("webhook.secret_file"));
    assert!(open("whsec_!!!").unwrap().starts_with("webhook.secret_file"));
    assert_eq!(open(&"x".repeat(24)), None);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
    use std::str::FromStr as _;
    let resolve = |allow_local| async move {
        let name = Name::from_str("localhost").unwrap();
        Guarded { allow_local }.resolve(name).await.map(Iterator::count).map_err(|error| error.to_string())
    };
    assert!(resolve(false).await.unwrap_err().contains("loopback"));
    assert!(resolve(true).await.unwrap() > 0);
}
