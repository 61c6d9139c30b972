//! The load: bounded, closed-loop sessions, each a new TCP connection, a full TLS handshake and two or three POSTs.
//!
//! The client is written for speed, not for truth: prepared text, string search. What it checks is that each answer
//! is the one that a working server gives; anything else ends the run.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use postern_wire::{auth, route::LISTEN};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::clock;

/// One enrolled device as the load plays it.
#[derive(Clone)]
pub(crate) struct Player {
    /// Path of its device URL.
    pub path: String,
    /// DevId.
    pub device_id: String,
    /// User name of its credentials.
    pub user: String,
    /// B64(H(user:password)).
    pub password_hash: String,
    /// TLS with its own client certificate; no resumption.
    pub tls: Arc<rustls::ClientConfig>,
}

/// What one session is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Challenge, then an empty package: 2 POSTs.
    Idle,
    /// Challenge, four commands, their Status and Results: 3 POSTs.
    FourCommands,
}

/// The figures of a run.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    /// Sessions that ended well.
    pub sessions: usize,
    /// Wall time.
    pub wall: Duration,
    /// Latencies of whole sessions, sorted.
    pub latencies: Vec<Duration>,
    /// Octets of (request, reply) bodies of one session, for the baseline to repeat.
    pub bodies: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Plays `sessions` sessions with `clients` at a time, device after device.
///
/// # Errors
/// The first session that does not go as it should.
pub(crate) async fn run(
    address: SocketAddr,
    host: &str,
    players: Arc<Vec<Player>>,
    kind: Kind,
    sessions: usize,
    clients: usize,
) -> anyhow::Result<Figures> {
    let next = Arc::new(AtomicUsize::new(0));
    let start = clock::now();
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let (players, next, host) = (players.clone(), next.clone(), host.to_owned());
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut sample = Vec::new();
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                if turn >= sessions {
                    return anyhow::Ok((latencies, sample));
                }
                let player = &players[turn % players.len()];
                let begin = clock::now();
                sample = session(address, &host, player, kind, turn)
                    .await
                    .with_context(|| format!("session {turn} of {}", player.device_id))?;
                latencies.push(begin.elapsed());
            }
        }));
    }
    let mut latencies = Vec::new();
    let mut bodies = Vec::new();
    for task in tasks {
        let (some, sample) = task.await??;
        latencies.extend(some);
        if !sample.is_empty() {
            bodies = sample;
        }
    }
    latencies.sort();
    Ok(Figures { sessions: latencies.len(), wall: start.elapsed(), latencies, bodies })
}

/// How fast a crowd comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many sessions a second in all; what is late is left out.
    PerSecond(f64),
    /// The next as soon as one is over.
    FlatOut,
}

/// Devices that check in beside what is measured, until they are told to stop.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    start: std::time::Instant,
    clients: Vec<tokio::task::JoinHandle<anyhow::Result<usize>>>,
}

/// What a crowd did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// Sessions that ended well.
    pub sessions: usize,
    /// In this time.
    pub wall: Duration,
}

impl Crowd {
    /// Idle check-ins, device after device, with `clients` at a time.
    pub(crate) fn begin(
        address: SocketAddr,
        host: &str,
        players: Arc<Vec<Player>>,
        clients: usize,
        pace: Pace,
    ) -> Self {
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..clients)
            .map(|_| {
                let (stop, next, players, host) =
                    (stop.clone(), next.clone(), players.clone(), host.to_owned());
                tokio::spawn(async move {
                    let mut tick = match pace {
                        Pace::PerSecond(all) => {
                            let mut tick =
                                tokio::time::interval(Duration::from_secs_f64(clients as f64 / all));
                            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
                            Some(tick)
                        }
                        Pace::FlatOut => None,
                    };
                    let mut sessions = 0;
                    while !stop.load(Ordering::Relaxed) {
                        if let Some(tick) = &mut tick {
                            tick.tick().await;
                        }
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        let player = &players[turn % players.len()];
                        session(address, &host, player, Kind::Idle, turn)
                            .await
                            .with_context(|| format!("session {turn} of {}", player.device_id))?;
                        sessions += 1;
                    }
                    Ok(sessions)
                })
            })
            .collect();
        Self { stop, start: clock::now(), clients }
    }

    /// Lets the sessions that are open end, and no more begin.
    ///
    /// # Errors
    /// The first session that did not go as it should.
    pub(crate) async fn end(self) -> anyhow::Result<Served> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sessions = 0;
        for client in self.clients {
            sessions += client.await??;
        }
        Ok(Served { sessions, wall: self.start.elapsed() })
    }
}

/// Repeats the bodies of a recorded session against the echo server.
///
/// # Errors
/// The first answer that is not the recorded one.
pub(crate) async fn run_echo(
    address: SocketAddr,
    host: &str,
    tls: Arc<rustls::ClientConfig>,
    bodies: Arc<Vec<(Vec<u8>, Vec<u8>)>>,
    sessions: usize,
    clients: usize,
) -> anyhow::Result<Figures> {
    let next = Arc::new(AtomicUsize::new(0));
    let start = clock::now();
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let (tls, next, bodies, host) = (tls.clone(), next.clone(), bodies.clone(), host.to_owned());
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < sessions {
                let begin = clock::now();
                let mut connection = Connection::open(address, &host, tls.clone()).await?;
                for (turn, (request, reply)) in bodies.iter().enumerate() {
                    let answer = connection.post(&format!("/echo/{turn}"), request).await?;
                    if &answer != reply {
                        bail!("the echo answered {} octets instead of {}", answer.len(), reply.len());
                    }
                }
                connection.close().await;
                latencies.push(begin.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    latencies.sort();
    Ok(Figures { sessions: latencies.len(), wall: start.elapsed(), latencies, bodies: Vec::new() })
}

async fn session(
    address: SocketAddr,
    host: &str,
    player: &Player,
    kind: Kind,
    turn: usize,
) -> anyhow::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut connection = Connection::open(address, host, player.tls.clone()).await?;
    let session = format!("{:X}", turn % 0xFFFF + 1);
    let first = package_one(player, host, &session, 1, "", "");
    let challenge = connection.post(&player.path, first.as_bytes()).await?;
    let text = std::str::from_utf8(&challenge)?;
    let nonce = between(text, "<NextNonce xmlns=\"syncml:metinf\">", "</NextNonce>")
        .with_context(|| format!("no challenge in {text}"))?;
    let digest = auth::md5_digest(&player.password_hash, &decode_base64(nonce)?);
    let cred = format!(
        "<Cred><Meta><Format xmlns=\"syncml:metinf\">b64</Format><Type xmlns=\"syncml:metinf\">syncml:auth-md5</Type></Meta><Data>{digest}</Data></Cred>"
    );
    let status = format!(
        "<Status><CmdID>9</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><TargetRef>{}</TargetRef><SourceRef>https://{host}{}</SourceRef><Data>212</Data></Status>",
        player.device_id, player.path
    );
    let second = package_one(player, host, &session, 2, &cred, &status);
    let welcome = connection.post(&player.path, second.as_bytes()).await?;
    let text = std::str::from_utf8(&welcome)?.to_owned();
    if !text.contains("<Data>212</Data>") {
        bail!("not welcome: {text}");
    }
    let mut bodies = vec![(first.into_bytes(), challenge), (second.into_bytes(), welcome)];
    if kind == Kind::FourCommands {
        let third = package_three(player, host, &session, &text)?;
        let end = connection.post(&player.path, third.as_bytes()).await?;
        if !std::str::from_utf8(&end)?.contains("<Final/>") {
            bail!("no Final in {}", String::from_utf8_lossy(&end));
        }
        bodies.push((third.into_bytes(), end));
    }
    connection.close().await;
    Ok(bodies)
}

/// A device that listens at the gateway: ready when this returns, woken when [`Listener::woken`] does.
pub(crate) struct Listener {
    connection: Connection,
}

impl Listener {
    /// Connects and asks to be told.
    ///
    /// # Errors
    /// The gateway does not take it.
    pub(crate) async fn begin(address: SocketAddr, host: &str, player: &Player) -> anyhow::Result<Self> {
        let mut connection = Connection::open(address, host, player.tls.clone()).await?;
        let head = format!("GET {}{LISTEN} HTTP/1.1\r\nHost: {host}\r\n\r\n", player.path);
        connection.stream.write_all(head.as_bytes()).await?;
        connection.stream.flush().await?;
        Ok(Self { connection })
    }

    /// Waits until package 0 has come.
    ///
    /// # Errors
    /// The gateway answered something else.
    pub(crate) async fn woken(mut self) -> anyhow::Result<()> {
        let answer = self.connection.answer().await?;
        if answer.is_empty() {
            bail!("the gateway answered nothing to a listener");
        }
        self.connection.close().await;
        Ok(())
    }
}

/// One session that has to bring an Exec; the moment at which it stood in a reply.
///
/// # Errors
/// It brought none.
pub(crate) async fn until_exec(
    address: SocketAddr,
    host: &str,
    player: &Player,
) -> anyhow::Result<std::time::Instant> {
    let bodies = session(address, host, player, Kind::Idle, 0).await?;
    let at = clock::now();
    let last = bodies.last().map(|(_, reply)| String::from_utf8_lossy(reply).into_owned());
    match last {
        Some(text) if text.contains("<Exec>") => Ok(at),
        other => bail!("no Exec in {other:?}"),
    }
}

fn header(player: &Player, host: &str, session: &str, message: u32, cred: &str) -> String {
    format!(
        "<SyncML xmlns=\"SYNCML:SYNCML1.2\"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>{session}</SessionID><MsgID>{message}</MsgID><Target><LocURI>https://{host}{}</LocURI></Target><Source><LocURI>{}</LocURI><LocName>{}</LocName></Source>{cred}<Meta><MaxMsgSize xmlns=\"syncml:metinf\">65536</MaxMsgSize></Meta></SyncHdr>",
        player.path, player.device_id, player.user
    )
}

fn package_one(player: &Player, host: &str, session: &str, message: u32, cred: &str, status: &str) -> String {
    let item = |node: &str, value: &str| {
        format!(
            "<Item><Source><LocURI>./DevInfo/{node}</LocURI></Source><Meta><Format xmlns=\"syncml:metinf\">chr</Format><Type xmlns=\"syncml:metinf\">text/plain</Type></Meta><Data>{value}</Data></Item>"
        )
    };
    format!(
        "{}<SyncBody>{status}<Alert><CmdID>1</CmdID><Data>1201</Data></Alert><Replace><CmdID>2</CmdID>{}{}{}{}{}</Replace><Final/></SyncBody></SyncML>",
        header(player, host, session, message, cred),
        item("DevId", &player.device_id),
        item("Man", "Example"),
        item("Mod", "Handheld 7"),
        item("DmV", "1.2"),
        item("Lang", "en")
    )
}

fn package_three(player: &Player, host: &str, session: &str, reply: &str) -> anyhow::Result<String> {
    let mut body = format!(
        "<Status><CmdID>1</CmdID><MsgRef>2</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><TargetRef>{}</TargetRef><SourceRef>https://{host}{}</SourceRef><Data>212</Data></Status>",
        player.device_id, player.path
    );
    let mut own = 2;
    let mut found = 0;
    for verb in ["Replace", "Get"] {
        let mut rest = reply;
        while let Some(at) = rest.find(&format!("<{verb}><CmdID>")) {
            rest = &rest[at..];
            let reference = between(rest, "<CmdID>", "</CmdID>").context("CmdID")?;
            body.push_str(&format!("<Status><CmdID>{own}</CmdID><MsgRef>2</MsgRef><CmdRef>{reference}</CmdRef><Cmd>{verb}</Cmd><Data>200</Data></Status>"));
            own += 1;
            if verb == "Get" {
                let uri = between(rest, "<LocURI>", "</LocURI>").context("LocURI")?;
                body.push_str(&format!("<Results><CmdID>{own}</CmdID><MsgRef>2</MsgRef><CmdRef>{reference}</CmdRef><Item><Source><LocURI>{uri}</LocURI></Source><Data>a value of some length</Data></Item></Results>"));
                own += 1;
            }
            found += 1;
            rest = &rest[verb.len()..];
        }
    }
    if found != 4 {
        bail!("{found} commands instead of 4 in {reply}");
    }
    Ok(format!("{}<SyncBody>{body}<Final/></SyncBody></SyncML>", header(player, host, session, 3, "")))
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let start = text.find(open)? + open.len();
    let end = text[start..].find(close)? + start;
    Some(&text[start..end])
}

fn decode_base64(text: &str) -> anyhow::Result<Vec<u8>> {
    use base64::Engine as _;
    Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
}

struct Connection {
    stream: tokio_rustls::client::TlsStream<TcpStream>,
    host: String,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr, host: &str, tls: Arc<rustls::ClientConfig>) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let stream = TlsConnector::from(tls).connect(ServerName::try_from(host.to_owned())?, tcp).await?;
        Ok(Self { stream, host: host.to_owned(), buffer: Vec::with_capacity(8192) })
    }

    async fn post(&mut self, path: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.buffer.clear();
        self.buffer.extend_from_slice(
            format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/vnd.syncml.dm+xml\r\nAccept: application/vnd.syncml.dm+xml\r\nContent-Length: {}\r\n\r\n", self.host, body.len()).as_bytes(),
        );
        self.buffer.extend_from_slice(body);
        self.stream.write_all(&self.buffer).await?;
        self.stream.flush().await?;
        self.answer().await
    }

    /// Reads one answer of 200 and gives its body.
    async fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        self.buffer.clear();
        let head = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended in the head");
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?.to_ascii_lowercase();
        if !text.starts_with("http/1.1 200") {
            bail!("answer: {}", text.lines().next().unwrap_or_default());
        }
        let length: usize =
            between(&text, "content-length:", "\r\n").context("Content-Length")?.trim().parse()?;
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended in the body");
            }
        }
        Ok(self.buffer[head..head + length].to_vec())
    }

    async fn close(mut self) {
        // The session is over; whether the peer saw close_notify does not matter to the figures.
        let _ = self.stream.shutdown().await;
    }
}
