//! Sessions through gateway, link and core, against a bare echo of the same octets and handshakes.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use crate::{
    admin::Admin,
    clock,
    load::{self, Figures, Kind, Player},
    site::{self, Database, Site},
    table::Row,
};
use anyhow::Context as _;

const CLIENTS: usize = 32;
const PLAYERS: usize = 1000;
/// How often each way of relaying is measured.
const TURNS: usize = 4;

/// All rows for one database.
///
/// # Errors
/// A session did not go as it should.
pub(crate) fn run(database: Database, quick: bool) -> anyhow::Result<Vec<Row>> {
    let sessions = if quick { 500 } else { 4000 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut site = Site::prepare(database)?;
    let players = Arc::new(site.enrol(PLAYERS, PLAYERS)?);
    site.start()?;
    let mut rows = Vec::new();
    // Warm up: links grown, statements prepared.
    runtime.block_on(load::run(site.device, "localhost", players.clone(), Kind::Idle, PLAYERS, CLIENTS))?;

    let (figures, cpu) = measured(&site, || {
        runtime.block_on(load::run(site.device, "localhost", players.clone(), Kind::Idle, sessions, CLIENTS))
    })?;
    let baseline = echo(&site, &players, &figures, sessions, &runtime)?;
    rows.push(row(database, "idle check-in (2 POSTs)", &figures, cpu, &baseline, 0.5));

    if database == Database::Sqlite {
        rows.push(decoding(&site, &players, sessions, &runtime)?);
    }

    queue_four(&site, PLAYERS, &runtime)?;
    let (figures, cpu) = measured(&site, || {
        runtime.block_on(load::run(
            site.device,
            "localhost",
            players.clone(),
            Kind::FourCommands,
            PLAYERS,
            CLIENTS,
        ))
    })?;
    let baseline = echo(&site, &players, &figures, sessions, &runtime)?;
    rows.push(row(database, "four commands, results durable (3 POSTs)", &figures, cpu, &baseline, 0.35));
    Ok(rows)
}

/// What it costs the gateway to read each message as SyncML before it is passed on (`decode_before_relay`).
fn decoding(
    site: &Site,
    players: &Arc<Vec<Player>>,
    sessions: usize,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Row> {
    let admin = site.admin()?;
    // In turns, so that what else the machine does falls on both.
    let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
    for turn in 0..2 * TURNS {
        let decode = turn % 2 == 1; // the last leaves it on
        runtime.block_on(set_decoding(&admin, decode))?;
        let part = sessions / TURNS;
        let (figures, cpu) = measured(site, || {
            runtime.block_on(load::run(site.device, "localhost", players.clone(), Kind::Idle, part, CLIENTS))
        })?;
        let each = cpu.gateway / u32::try_from(figures.sessions)?;
        *(if decode { &mut with } else { &mut without }) += each;
    }
    let us = |time: Duration| time.as_secs_f64() * 1e6 / TURNS as f64;
    Ok(Row {
        subject: "the same with `decode_before_relay`, the gateway's part".to_owned(),
        figure: format!("{:.0} µs CPU a session", us(with)),
        baseline: "without it".to_owned(),
        baseline_figure: format!("{:.0} µs CPU a session", us(without)),
        ratio: format!("{:.2}", us(without) / us(with)),
        aim: String::new(),
    })
}

async fn set_decoding(admin: &Admin, decode: bool) -> anyhow::Result<()> {
    const SETTINGS: &str = "/api/1/gateways/bench/settings";
    let newest = admin.get(SETTINGS).await?["newest"].as_u64().context("a version")?;
    let document = serde_json::json!({ "decode_before_relay": decode, "trial_s": 1 });
    admin.put(SETTINGS, newest, &serde_json::json!({ "document": document })).await?;
    for _ in 0..300 {
        let shown = admin.get(SETTINGS).await?;
        if shown["state"] == "in-force" && shown["document"]["decode_before_relay"] == decode {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the gateway did not take its settings")
}

/// Four commands for each of the first `players` devices, through the admin API.
fn queue_four(site: &Site, players: usize, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let command = |verb: &str, uri: &str, data: Option<&str>| {
        let mut value = serde_json::json!({ "verb": verb, "uri": uri });
        if let Some(data) = data {
            value["data"] = data.into();
        }
        value
    };
    let order = serde_json::json!({ "commands": [
        command("replace", "./Vendor/Poll", Some("480")),
        command("replace", "./Vendor/Name", Some("a name of some length")),
        command("get", "./DevDetail/SwV", None),
        command("get", "./DevDetail/FwV", None),
    ]});
    let admin = site.admin()?;
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for first in 0..8 {
            let (admin, order) = (admin.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                for number in (first..players).step_by(8) {
                    admin
                        .post(&format!("/api/1/devices/{}/commands", site::device_id(number)), &order)
                        .await?;
                }
                anyhow::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}

struct Cpu {
    core: Duration,
    gateway: Duration,
    database: Duration,
}

fn measured(site: &Site, work: impl FnOnce() -> anyhow::Result<Figures>) -> anyhow::Result<(Figures, Cpu)> {
    let before = site.cpu()?;
    let figures = work()?;
    let after = site.cpu()?;
    Ok((
        figures,
        Cpu {
            core: after.0 - before.0,
            gateway: after.1 - before.1,
            database: after.2.saturating_sub(before.2),
        },
    ))
}

struct Baseline {
    figures: Figures,
    cpu: Duration,
}

fn echo(
    site: &Site,
    players: &[Player],
    figures: &Figures,
    sessions: usize,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Baseline> {
    let folder = tempfile::tempdir()?;
    for (turn, (_, reply)) in figures.bodies.iter().enumerate() {
        std::fs::write(folder.path().join(turn.to_string()), reply)?;
    }
    let address = site::free()?;
    let (certificate, key, ca) = site.device_tls();
    let mut server = Command::new(std::env::current_exe()?)
        .args(["echo", "--port", &address.port().to_string()])
        .arg("--certificate")
        .arg(certificate)
        .arg("--key")
        .arg(key)
        .arg("--client-ca")
        .arg(ca)
        .arg("--replies")
        .arg(folder.path())
        .stdin(Stdio::null())
        .spawn()?;
    let result = (|| {
        for _ in 0..100 {
            if std::net::TcpStream::connect(address).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let tls = players.first().context("a player")?.tls.clone();
        let bodies = Arc::new(figures.bodies.clone());
        runtime.block_on(load::run_echo(address, "localhost", tls.clone(), bodies.clone(), 200, CLIENTS))?;
        let before = clock::cpu_of(server.id())?;
        let figures =
            runtime.block_on(load::run_echo(address, "localhost", tls, bodies, sessions, CLIENTS))?;
        Ok(Baseline { figures, cpu: clock::cpu_of(server.id())? - before })
    })();
    // Ours by handle.
    let _ = server.kill();
    let _ = server.wait();
    result
}

fn row(database: Database, what: &str, figures: &Figures, cpu: Cpu, baseline: &Baseline, aim: f64) -> Row {
    let per = |sessions: usize, time: Duration| sessions as f64 / time.as_secs_f64().max(0.001);
    let ours = per(figures.sessions, cpu.core + cpu.gateway);
    let base = per(baseline.figures.sessions, baseline.cpu);
    let each = |time: Duration| time.as_micros() as f64 / figures.sessions as f64;
    let p = |q: usize| {
        figures.latencies.get(figures.latencies.len() * q / 100).map_or(0, |latency| latency.as_millis())
    };
    let with_database = if database == Database::Postgres {
        format!(", PostgreSQL's own processes {:.0}", each(cpu.database))
    } else {
        String::new()
    };
    Row {
        subject: what.to_owned(),
        baseline: "rustls + actix-web echo".into(),
        figure: format!(
            "{ours:.0} sessions/CPU s ({:.0}/s wall; µs CPU a session: gateway {:.0}, core {:.0}{with_database}; p50 {} ms, p99 {} ms)",
            per(figures.sessions, figures.wall),
            each(cpu.gateway),
            each(cpu.core),
            p(50),
            p(99)
        ),
        baseline_figure: format!(
            "{base:.0} sessions/CPU s ({:.0}/s wall)",
            per(baseline.figures.sessions, baseline.figures.wall)
        ),
        ratio: format!("{:.2}", ours / base),
        aim: format!("≥ {aim}"),
    }
}
