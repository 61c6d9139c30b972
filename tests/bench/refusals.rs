//! What it costs to refuse: a flood of connections at one gateway, and what the devices that are served lose by it.
//!
//! The flood comes from addresses of its own (127.0.0.2 to 127.0.0.9), whose tokens are soon used up: a connection is then
//! closed before TLS. The baseline is the same load without a flood, in the same run, on the same two cores; the flood's
//! own work is on them too.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};
use tokio_rustls::TlsConnector;

use crate::{
    clock,
    load::{self, Figures, Kind, Player},
    site::{Database, Site},
    table::Row,
};

/// Connections a second that are aimed at.
const AIM: u64 = 20_000;
/// Connections of the flood that are open at a time.
const AT_ONCE: usize = 256;
/// Devices that take turns: none uses its route's tokens up.
const PLAYERS: usize = 512;
/// Devices that are served at a time meanwhile.
const CLIENTS: usize = 4;

/// All rows.
///
/// # Errors
/// The system did not come up.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (sessions, time) =
        if quick { (200, Duration::from_secs(2)) } else { (4_000, Duration::from_secs(10)) };
    let mut rows = linked(&runtime, sessions)?;
    rows.extend(unlinked(&runtime, time)?);
    Ok(rows)
}

/// A gateway that serves some devices and refuses the flood.
fn linked(runtime: &tokio::runtime::Runtime, sessions: usize) -> anyhow::Result<Vec<Row>> {
    let mut site = Site::prepare(Database::Sqlite)?;
    let players = Arc::new(site.enrol(PLAYERS, PLAYERS)?);
    site.start()?;
    let serve =
        |sessions| load::run(site.device, "localhost", Arc::clone(&players), Kind::Idle, sessions, CLIENTS);
    runtime.block_on(serve(sessions / 4))?; // warm
    let (_, gateway) = site.pids()?;
    let before = clock::cpu_of(gateway)?;
    let alone = runtime.block_on(serve(sessions))?;
    let serving = clock::cpu_of(gateway)? - before;

    let flood = Flood::start(runtime, site.device);
    let (cpu, began) = (clock::cpu_of(gateway)?, clock::now());
    let beside = runtime.block_on(serve(sessions))?;
    let (used, wall) = (clock::cpu_of(gateway)? - cpu, began.elapsed());
    let refused = flood.stop();
    let rate = refused as f64 / wall.as_secs_f64();
    // As many sessions cost it this much without the flood.
    let each = used.saturating_sub(serving).as_secs_f64() * 1e6 / (refused.max(1)) as f64;
    Ok(vec![
        Row {
            subject: format!("devices served while one gateway refuses {rate:.0} connections/s"),
            figure: shown(&beside),
            baseline: "the same gateway without the flood".to_owned(),
            baseline_figure: shown(&alone),
            ratio: format!("{:.2}", per_second(&beside) / per_second(&alone)),
            aim: String::new(),
        },
        Row::plain(
            "connections refused by address, before TLS",
            format!("{rate:.0}/s, {each:.1} µs of the gateway's CPU each"),
            format!("{AIM}/s"),
        ),
    ])
}

/// A gateway that no core has dialed: every device hears 503, or nothing once its address has used its tokens up.
fn unlinked(runtime: &tokio::runtime::Runtime, time: Duration) -> anyhow::Result<Vec<Row>> {
    let mut site = Site::prepare(Database::Sqlite)?;
    let players = site.enrol(1, 1)?;
    site.start_gateway()?;
    let pid = site.gateway_pid()?;

    let (cpu, began) = (clock::cpu_of(pid)?, clock::now());
    let told = runtime.block_on(told_503(site.device, &players[0], time))?;
    let (used, wall) = (clock::cpu_of(pid)? - cpu, began.elapsed());
    let told_rate = told as f64 / wall.as_secs_f64();
    let told_each = used.as_secs_f64() * 1e6 / told.max(1) as f64;

    let (cpu, began) = (clock::cpu_of(pid)?, clock::now());
    let flood = Flood::start(runtime, site.device);
    std::thread::sleep(time);
    let refused = flood.stop();
    let (used, wall) = (clock::cpu_of(pid)? - cpu, began.elapsed());
    let rate = refused as f64 / wall.as_secs_f64();
    let each = used.as_secs_f64() * 1e6 / refused.max(1) as f64;
    Ok(vec![
        Row {
            subject: "an unlinked gateway closes connections of addresses without tokens".to_owned(),
            figure: format!("{rate:.0}/s, {each:.1} µs CPU each"),
            baseline: "the same gateway: TLS 1.3 handshake, one POST, 503".to_owned(),
            baseline_figure: format!("{told_rate:.0}/s, {told_each:.0} µs CPU each"),
            ratio: format!("{:.0}", told_each / each.max(0.001)),
            aim: format!("{AIM}/s"),
        },
        Row::plain(
            "resident memory of that gateway after the flood",
            format!("{} MiB", clock::resident_of(pid)? >> 20),
            String::new(),
        ),
    ])
}

fn per_second(figures: &Figures) -> f64 {
    figures.sessions as f64 / figures.wall.as_secs_f64()
}

fn shown(figures: &Figures) -> String {
    let at = |percent: usize| figures.latencies[(figures.latencies.len() - 1) * percent / 100].as_millis();
    format!("{:.0} sessions/s (p50 {} ms, p99 {} ms)", per_second(figures), at(50), at(99))
}

/// Connections from addresses of their own, paced, until it is stopped.
struct Flood {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
}

impl Flood {
    fn start(runtime: &tokio::runtime::Runtime, at: SocketAddr) -> Self {
        let flood = Self { stop: Arc::default(), refused: Arc::default() };
        let began = clock::now();
        let sent = Arc::new(AtomicU64::new(0));
        for number in 0..AT_ONCE {
            let (stop, refused, sent) =
                (Arc::clone(&flood.stop), Arc::clone(&flood.refused), Arc::clone(&sent));
            let source = Ipv4Addr::new(127, 0, 0, 2 + (number % 8) as u8);
            runtime.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // Not faster than what is aimed at, however fast the machine is.
                    let due = Duration::from_micros(sent.load(Ordering::Relaxed) * 1_000_000 / AIM);
                    if let Some(early) = due.checked_sub(began.elapsed()) {
                        tokio::time::sleep(early).await;
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                    if knock(source, at).await.is_ok() {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        flood
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.refused.load(Ordering::Relaxed)
    }
}

/// One connection that says nothing and waits to be closed; those that are let in to TLS go by themselves.
async fn knock(source: Ipv4Addr, at: SocketAddr) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((source, 0).into())?;
    let mut stream = socket.connect(at).await?;
    stream.set_zero_linger()?;
    let mut octet = [0];
    let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut octet)).await?;
    // A reset is a refusal as well as an end.
    anyhow::ensure!(read.unwrap_or(0) == 0, "something was said");
    Ok(())
}

/// Closed loop, each connection from another address, so that none runs out of tokens; gives how many heard 503.
async fn told_503(at: SocketAddr, player: &Player, time: Duration) -> anyhow::Result<u64> {
    let told = Arc::new(AtomicU64::new(0));
    let began = clock::now();
    let mut tasks = Vec::new();
    for task in 0..16_u32 {
        let (told, tls, path) = (Arc::clone(&told), Arc::clone(&player.tls), player.path.clone());
        tasks.push(tokio::spawn(async move {
            let mut turn = 0_u32;
            while began.elapsed() < time {
                turn += 1;
                let host = (task << 16 | (turn & 0xFFFF)) + 1;
                let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 64, 0, 0)) + host);
                let socket = TcpSocket::new_v4()?;
                socket.bind((source, 0).into())?;
                let tcp = socket.connect(at).await?;
                tcp.set_nodelay(true)?;
                let name = ServerName::try_from("localhost")?;
                let mut stream = TlsConnector::from(Arc::clone(&tls)).connect(name, tcp).await?;
                let head = format!(
                    "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.syncml.dm+xml\r\nContent-Length: 0\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                let mut answer = [0; 64];
                let read = stream.read(&mut answer).await?;
                let text = String::from_utf8_lossy(&answer[..read]).into_owned();
                let status = text.split(' ').nth(1).context("no status")?.to_owned();
                // Without a core it knows no route either: both are refusals, and both are counted.
                anyhow::ensure!(status == "503" || status == "404", "answer: {text}");
                told.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(told.load(Ordering::Relaxed))
}
