//! Webhooks on real sockets: signed, tried again with the same id, replayed, never led elsewhere.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_actors::Carrier;
use postern_adapters::webhook::{WebhookCarrier, WebhookConfig};
use postern_wire::terms::DeliveryState;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::rig::Rig;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A post as it arrived.
#[derive(Clone, Debug)]
struct Post {
    head: String,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim()).unwrap_or_default()
    }
}

/// Answers posts one after the other with these, the last one for ever.
struct Receiver {
    port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let posts: Arc<Mutex<Vec<Post>>> = Arc::default();
        let seen = posts.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = String::new();
                let whole = |text: &str| {
                    let (head, body) = text.split_once("\r\n\r\n")?;
                    let length = head.lines().find_map(|line| {
                        line.to_ascii_lowercase()
                            .strip_prefix("content-length:")?
                            .trim()
                            .parse::<usize>()
                            .ok()
                    });
                    (body.len() >= length.unwrap_or(0)).then(|| (head.to_owned(), body.to_owned()))
                };
                let found = loop {
                    let mut octets = [0_u8; 4096];
                    let read = stream.read(&mut octets).await.unwrap_or(0);
                    text.push_str(std::str::from_utf8(&octets[..read]).unwrap());
                    match whole(&text) {
                        Some(found) => break Some(found),
                        None if read == 0 => break None,
                        None => {}
                    }
                };
                let Some((head, body)) = found else { continue };
                let count = {
                    let mut posts = seen.lock().unwrap();
                    posts.push(Post { head, body });
                    posts.len()
                };
                let answer = answers[(count - 1).min(answers.len() - 1)];
                let head = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
            }
        });
        Self { port, posts }
    }

    fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }
}

fn carrier(change: impl FnOnce(&mut WebhookConfig)) -> Arc<dyn Carrier> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), SECRET).unwrap();
    let mut config = WebhookConfig::at("siem", "https://siem.example/", "secret");
    change(&mut config);
    Arc::new(WebhookCarrier::open(&config, folder.path()).unwrap())
}

fn local(receiver: &Receiver) -> Arc<dyn Carrier> {
    carrier(|config| {
        config.url = format!("http://127.0.0.1:{}/events", receiver.port);
        config.allow_local = true;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_signed_tried_again_and_replayed_under_one_id() {
    let receiver = Receiver::start(&["500 No", "429 Slow\r\nRetry-After: 600", "200 OK"]).await;
    let rig = Rig::with(vec![local(&receiver)]).await;
    rig.put("1", json!({"reason": "lost"})).await;
    for wait in [0, 60, 600] {
        rig.advance(wait);
        assert_eq!(rig.step().await, 1, "after {wait} s");
        assert_eq!(rig.step().await, 0);
    }
    let row = rig.only().await;
    assert_eq!((row.state, row.attempts, row.cause.as_str()), (DeliveryState::Delivered, 3, "HTTP 200"));
    rig.advance(30);
    rig.retry(&row, true).await;
    assert_eq!(rig.step().await, 1);

    let posts = receiver.posts();
    assert_eq!(posts.len(), 4);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut times: Vec<i64> = Vec::new();
    for post in &posts {
        let (id, time) = (post.header("webhook-id"), post.header("webhook-timestamp"));
        assert_eq!((id, &post.body), (posts[0].header("webhook-id"), &posts[0].body));
        let signed = format!("{id}.{time}.{}", post.body);
        let tag =
            BASE64_STANDARD.decode(post.header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
        times.push(time.parse().unwrap());
    }
    assert!(times.is_sorted() && times[0] < times[3], "each try bears its own time: {times:?}");
    let document: Value = serde_json::from_str(&posts[0].body).unwrap();
    assert_eq!(document["id"], posts[0].header("webhook-id"));
    assert_eq!((&document["type"], &document["subject"]), (&json!("wipe-requested"), &json!("wipe:1")));
    assert_eq!(document["data"]["reason"], "lost");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(&["200 OK"]).await;
    let location: &'static str =
        Box::leak(format!("307 There\r\nLocation: http://127.0.0.1:{}/", elsewhere.port).into_boxed_str());
    let receiver = Receiver::start(Box::leak(vec![location].into_boxed_slice())).await;
    let rig = Rig::with(vec![local(&receiver)]).await;
    rig.put("1", json!({})).await;
    rig.step().await;
    let row = rig.only().await;
    assert_eq!(row.state, DeliveryState::Parked);
    assert!(row.cause.contains("redirects are not followed"), "{}", row.cause);
    assert_eq!((receiver.posts().len(), elsewhere.posts().len()), (1, 0));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_this_machine_gets_no_connection() {
    let receiver = Receiver::start(&["200 OK"]).await;
    let carrier = carrier(|config| config.url = format!("https://localhost:{}/", receiver.port));
    let error = carrier.probe().await.unwrap_err().to_string();
    assert!(error.contains("loopback"), "{error}");
    let rig = Rig::with(vec![carrier]).await;
    rig.put("1", json!({})).await;
    rig.step().await;
    assert_eq!(rig.only().await.state, DeliveryState::Waiting);
    assert!(receiver.posts().is_empty());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_end_that_is_named_no_more_has_its_events_parked() {
    let receiver = Receiver::start(&["500 No"]).await;
    let rig = Rig::with(vec![local(&receiver)]).await;
    rig.put("1", json!({})).await;
    rig.step().await;
    rig.advance(60);
    rig.after_a_crash(Vec::new()).step().await.unwrap();
    let row = rig.only().await;
    assert_eq!(row.state, DeliveryState::Parked);
    assert!(row.cause.contains("no webhook of this name"), "{}", row.cause);
    rig.end().await;
}
