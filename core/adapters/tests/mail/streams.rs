//! Syslog over TLS, TCP and UDP, and the stream: each event whole, each once.

use std::sync::Arc;

use postern_actors::Carrier;
use postern_adapters::{
    stream::{StreamCarrier, StreamConfig},
    syslog::{SyslogCarrier, SyslogConfig, SyslogTransport},
};
use postern_wire::terms::{Channel, DeliveryState};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, UdpSocket},
    sync::mpsc,
};

use crate::{rig::Rig, scripted::acceptor};

fn syslog(port: u16, transport: SyslogTransport, folder: &std::path::Path) -> Arc<dyn Carrier> {
    let config = SyslogConfig {
        server: format!("127.0.0.1:{port}"),
        transport,
        ca: Some("ca.pem".into()),
        host: "core-1".to_owned(),
    };
    Arc::new(SyslogCarrier::open(&config, folder).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_a_syslog_server_as_one_framed_message() {
    let folder = tempfile::tempdir().unwrap();
    crate::rig::certificates(folder.path());
    for tls in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, mut got) = mpsc::unbounded_channel();
        let acceptor = acceptor(folder.path());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = String::new();
                let read = match tls {
                    false => stream.read_to_string(&mut text).await,
                    true => acceptor.accept(stream).await.unwrap().read_to_string(&mut text).await,
                };
                read.unwrap();
                sender.send(text).unwrap();
            }
        });
        let transport = if tls { SyslogTransport::Tls } else { SyslogTransport::Tcp };
        let rig = Rig::with(vec![syslog(port, transport, folder.path())]).await;
        rig.put("1", json!({"device": "x\"]\nforged"})).await;
        assert_eq!((rig.step().await, rig.step().await), (1, 0));
        let frame = got.recv().await.unwrap();
        let (length, message) = frame.split_once(' ').unwrap();
        assert_eq!(length.parse(), Ok(message.len()), "{frame}");
        assert!(
            message.starts_with("<109>1 2027-01-15T08:00:00.000Z core-1 postern - wipe-requested ["),
            "{message}"
        );
        assert!(message.contains("device=\"x\\\"\\]\u{FFFD}forged\""), "{message}");
        assert_eq!(rig.only().await.state, DeliveryState::Delivered);
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_a_syslog_server_by_udp_and_one_that_is_down_waits() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let rig = Rig::with(vec![syslog(port, SyslogTransport::Udp, folder.path())]).await;
    rig.put("1", json!({})).await;
    rig.step().await;
    let mut octets = [0_u8; 2048];
    let read = socket.recv(&mut octets).await.unwrap();
    assert!(octets[..read].starts_with(b"<109>1 "));
    rig.end().await;

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let rig = Rig::with(vec![syslog(free, SyslogTransport::Tcp, folder.path())]).await;
    rig.put("1", json!({})).await;
    rig.step().await;
    assert_eq!(rig.only().await.state, DeliveryState::Waiting);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_has_each_event_on_a_line_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let carrier = StreamCarrier::open(&StreamConfig { file: "events.jsonl".into() }, folder.path());
    assert_eq!((carrier.channel(), carrier.probe().await.is_ok()), (Channel::Stream, true));
    let rig = Rig::with(vec![Arc::new(carrier)]).await;
    for n in 0..30 {
        rig.put(&n.to_string(), json!({"text": "two\nlines"})).await;
    }
    while rig.step().await > 0 {}
    let text = std::fs::read_to_string(folder.path().join("events.jsonl")).unwrap();
    let mut ids: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), text.lines().count()), (30, 30));
    rig.end().await;
}
