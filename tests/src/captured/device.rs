//! The device port of a captured gateway, and the port that the test turns its switches on.

use std::{
    io::{self, Read, Write as _},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use postern_wire::{
    link::{
        ADMISSION, Admission, BlockedSubject, CLIENT_CERT, REPLY_HEADERS, REQUEST_HEADERS, REQUEST_ID,
        SOURCE, TLS,
    },
    route::{LISTEN, RouteId},
    syncml::MediaType,
};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection, StreamOwned};
use uuid::Uuid;

use super::{Down, Exchange, Up, held::Held, link, tamper};

/// Serves devices until the program ends.
pub(super) fn accept(held: &Arc<Held>, listener: &TcpListener, config: &Arc<ServerConfig>) {
    for tcp in listener.incoming().flatten() {
        let (held, config) = (Arc::clone(held), Arc::clone(config));
        std::thread::spawn(move || serve(&held, tcp, config));
    }
}

/// Serves the test until the program ends.
pub(super) fn control(held: &Arc<Held>, listener: &TcpListener) {
    for mut tcp in listener.incoming().flatten() {
        let held = Arc::clone(held);
        std::thread::spawn(move || {
            let Ok(asked) = request(&mut tcp) else { return };
            let (status, body) = told(&held, &asked);
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = tcp.write_all(&[head.into_bytes(), body].concat());
        });
    }
}

fn told(held: &Held, asked: &Asked) -> (u16, Vec<u8>) {
    match asked.path.as_str() {
        "/readyz" => (if held.is_ready() { 200 } else { 503 }, b"null".to_vec()),
        "/evil" => match serde_json::from_slice(&asked.body) {
            Ok(evil) => {
                held.be(evil);
                (200, b"null".to_vec())
            }
            Err(error) => (400, error.to_string().into_bytes()),
        },
        "/seen" => (200, serde_json::to_vec(&held.seen()).unwrap_or_default()),
        "/send" => {
            let sent = serde_json::from_slice::<Up>(&asked.body)
                .map_err(io::Error::other)
                .and_then(|up| link::relay(held, &up));
            match sent {
                Ok(down) => (200, serde_json::to_vec(&down).unwrap_or_default()),
                Err(error) => (502, error.to_string().into_bytes()),
            }
        }
        _ => (404, b"null".to_vec()),
    }
}

fn serve(held: &Held, tcp: TcpStream, config: Arc<ServerConfig>) {
    let source = tcp.peer_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
    let Ok(connection) = ServerConnection::new(config) else { return };
    let mut stream = StreamOwned::new(connection, tcp);
    while let Ok(asked) = request(&mut stream) {
        let certificate = stream.conn.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.map(|leaf| leaf.as_ref().to_vec());
        let tls =
            if stream.conn.protocol_version() == Some(ProtocolVersion::TLSv1_2) { "1.2" } else { "1.3" };
        let down = handle(held, asked, certificate, source, tls);
        let fields: String = down
            .headers
            .iter()
            .filter(|(name, _)| REPLY_HEADERS.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let head =
            format!("HTTP/1.1 {} X\r\n{fields}Content-Length: {}\r\n\r\n", down.status, down.body.len());
        if stream.write_all(&[head.as_bytes(), &down.body].concat()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn handle(held: &Held, asked: Asked, certificate: Option<Vec<u8>>, source: IpAddr, tls: &str) -> Down {
    let refuse = |status| Down { status, ..Down::default() };
    if asked.path.ends_with(LISTEN) {
        return refuse(204);
    }
    let Ok(route) = RouteId::from_path(&asked.path) else { return refuse(404) };
    if !held.knows(&route.hash()) {
        return refuse(404);
    }
    if held.verdict(&BlockedSubject::Route(route.hash())) == Admission::Refuse {
        return refuse(403);
    }
    let content_type = asked.headers.iter().find(|(name, _)| name == "content-type");
    if content_type.and_then(|(_, value)| MediaType::parse(value)).is_none() {
        return refuse(415);
    }
    let evil = held.evil();
    let mut headers = asked.headers;
    headers.retain(|(name, _)| REQUEST_HEADERS.contains(&name.as_str()));
    let mut tell = |name: &str, value: String| headers.push((name.to_owned(), value));
    tell(REQUEST_ID, request_id().to_string());
    tell(SOURCE, evil.source.clone().unwrap_or_else(|| source.to_string()));
    tell(TLS, tls.to_owned());
    tell(ADMISSION, evil.admission.clone().unwrap_or_else(|| Admission::Admit.as_str().to_owned()));
    if let Some(der) = evil.certificate.as_ref().or(certificate.as_ref()) {
        tell(CLIENT_CERT, format!(":{}:", BASE64.encode(der)));
    }
    let came = Up { path: asked.path, headers, body: asked.body };
    let mut exchange = Exchange { up: came.clone(), down: None };
    let reply = tamper::up(&evil, came).map(|up| link::relay(held, &up));
    let Some(Ok(down)) = reply else {
        held.see(exchange);
        return refuse(503);
    };
    exchange.down = Some(down.clone());
    held.see(exchange);
    tamper::down(&evil, held, down)
}

fn request_id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A request as it came.
struct Asked {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn request(stream: &mut impl Read) -> io::Result<Asked> {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet)?;
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Asked { path, headers, body })
}
