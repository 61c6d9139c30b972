//! The link port of a captured gateway: the core dials, the gateway asks.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use postern_wire::link::{
    ALPN, HELLO_PATH, Hello, LinkRole, REPORT_PATH, ReportBatch, WATCH_PATH, WatchLine, WatchQuery, Welcome,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde::Serialize;
use uuid::Uuid;

use super::{Down, Up, held::Held};
use crate::raw::{Response, read_response};

/// Octets of one link, decrypted.
pub(super) type LinkStream = StreamOwned<ServerConnection, TcpStream>;

/// How often it is looked for something to report.
const REPORT: Duration = Duration::from_millis(100);
/// Request links that it wants.
const WANT: u32 = 4;

/// Accepts links until the program ends.
pub(super) fn accept(held: &Arc<Held>, listener: &TcpListener, config: &Arc<ServerConfig>) {
    for tcp in listener.incoming().flatten() {
        let (held, config) = (Arc::clone(held), Arc::clone(config));
        std::thread::spawn(move || {
            if let Err(error) = link(&held, tcp, config) {
                eprintln!("link closed: {error}");
            }
        });
    }
}

fn link(held: &Held, tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tcp = tcp;
    connection.complete_io(&mut tcp)?;
    if connection.alpn_protocol() != Some(ALPN) {
        return Err(io::Error::other("not the link protocol"));
    }
    let mut stream = StreamOwned::new(connection, tcp);
    let hello = Hello {
        gateway: held.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: Uuid::from_u128(u128::from(std::process::id())),
    };
    let answer = post(&mut stream, HELLO_PATH, &hello)?;
    let welcome: Welcome = serde_json::from_slice(&answer.body)?;
    match welcome.role {
        LinkRole::Watch => watch(held, stream),
        LinkRole::Report => report(held, stream),
        LinkRole::Request => {
            held.put_link(stream);
            Ok(())
        }
    }
}

fn post(stream: &mut LinkStream, path: &str, body: &impl Serialize) -> io::Result<Response> {
    let body = serde_json::to_vec(body)?;
    send(stream, "POST", path, &[("content-type".to_owned(), "application/json".to_owned())], &body)?;
    let answer = read_response(stream)?;
    if answer.status == 200 { Ok(answer) } else { Err(io::Error::other(answer.status.to_string())) }
}

fn send(
    stream: &mut LinkStream,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<()> {
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: core\r\n{fields}content-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())?;
    stream.flush()
}

/// Sends a message over a link and waits for the core's reply. A link that is broken is thrown away.
pub(super) fn relay(held: &Held, up: &Up) -> io::Result<Down> {
    loop {
        let mut stream = held.take_link().ok_or_else(|| io::Error::other("no link"))?;
        let sent = send(&mut stream, "POST", &up.path, &up.headers, &up.body);
        let Ok(answer) = sent.and_then(|()| read_response(&mut stream)) else { continue };
        held.put_link(stream);
        return Ok(Down { status: answer.status, headers: answer.headers, body: answer.body });
    }
}

fn watch(held: &Held, mut stream: LinkStream) -> io::Result<()> {
    let path = format!("{WATCH_PATH}?{}", WatchQuery::default().to_query());
    send(&mut stream, "GET", &path, &[], &[])?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the watch ended in its head"));
        }
    }
    for line in BufReader::new(Chunks { reader, left: 0 }).lines() {
        // What a newer core says beside is of no concern here.
        let Ok(line) = serde_json::from_str(&line?) else { continue };
        match line {
            WatchLine::Versions { settings, blocked, routes, .. } => {
                held.versions_told(settings, blocked, routes);
            }
            WatchLine::Settings { version, .. } => held.settings_told(version),
            WatchLine::Blocked(delta) => held.blocked_told(delta),
            WatchLine::Routes(delta) => held.routes_told(delta),
            _ => {}
        }
    }
    Ok(())
}

/// The octets inside a chunked body.
struct Chunks<R> {
    reader: BufReader<R>,
    left: usize,
}

impl<R: Read> Read for Chunks<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let mut size = String::new();
            while size.trim().is_empty() {
                size.clear();
                if self.reader.read_line(&mut size)? == 0 {
                    return Ok(0);
                }
            }
            self.left = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        }
        let most = self.left.min(into.len());
        let read = self.reader.read(&mut into[..most])?;
        self.left -= read;
        Ok(read)
    }
}

fn report(held: &Held, mut stream: LinkStream) -> io::Result<()> {
    loop {
        let batch = ReportBatch {
            acks: held.take_acks(),
            heartbeat: Some(held.heartbeat()),
            want_links: WANT,
            ..ReportBatch::default()
        };
        post(&mut stream, REPORT_PATH, &batch)?;
        std::thread::sleep(REPORT);
    }
}
