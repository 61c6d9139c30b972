//! Urgent delivery: from the 202 of a wipe to its Exec in a reply to the device, while 10,000 others check in.
//!
//! For each channel: a device that listens at the gateway and is woken there, and one that comes by itself the moment after
//! the 202, which is all of the way but the waiting. A device that only polls comes within its interval: that is its bound
//! and stands beside the figure. What a carrier or a push proxy takes is not in this machine's hands and not measured.
//!
//! The others check in twice over: once a minute each, which is the shortest interval that can be set, and as fast as
//! eight at a time are served. More devices are wiped in an hour than the limits of safety let anybody wipe, so they are
//! wiped as an operator would do it: break-glass, opened with a code for every 25 devices.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;

use crate::{
    admin::Admin,
    clock,
    load::{self, Crowd, Kind, Listener, Pace, Player},
    site::{self, Database, Site},
    table::Row,
};

/// Devices that check in meanwhile: what is aimed at.
const OTHERS: usize = 10_000;
/// Sessions of theirs at a time.
const CLIENTS: usize = 8;
/// Devices that one code of break-glass is good for.
const GLASS: usize = 25;
/// No more wipes are begun under one load after so long: what was measured by then is the figure.
const BUDGET: Duration = Duration::from_secs(45);
/// A device that was not woken by then will not be.
const LOST: Duration = Duration::from_secs(65);

/// What the others do meanwhile.
#[derive(Clone, Copy)]
enum Load {
    /// Each once a minute.
    EachMinute,
    /// As fast as they are served.
    FlatOut,
}

/// All rows.
///
/// # Errors
/// A wipe was refused, or did not arrive.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Row>> {
    // Wipes of each channel under each load: a 99th percentile wants a hundred.
    let (each, others) = if quick { (10, OTHERS / 10) } else { (100, OTHERS) };
    let loads = [Load::EachMinute, Load::FlatOut];
    let wiped = 2 * each * loads.len();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut site = Site::prepare(Database::Sqlite)?;
    let players = site.enrol_with(others + wiped, others + wiped, Some("server password"))?;
    let mut glass = Glass { codes: site.break_glass_codes(wiped.div_ceil(GLASS))?, left: 0 };
    site.start()?;
    let (targets, crowd) = players.split_at(wiped);
    let crowd = Arc::new(crowd.to_vec());
    let admin = site.admin()?;
    let warm = others.min(1_000);
    runtime.block_on(load::run(site.device, "localhost", crowd.clone(), Kind::Idle, warm, CLIENTS))?;

    let mut rows = Vec::new();
    for (turn, (load, devices)) in loads.into_iter().zip(targets.chunks(2 * each)).enumerate() {
        let first = turn * 2 * each;
        rows.extend(runtime.block_on(under(
            &site,
            &admin,
            &mut glass,
            load,
            crowd.clone(),
            first,
            devices,
        ))?);
    }
    rows.push(Row::plain(
        "202 of a wipe to its Exec, device reached by SMS or a push proxy",
        "not measured: the core hands it over at the moment of the 202, and the rest is the carrier's time",
        "",
    ));
    if others < OTHERS {
        rows.push(Row::plain(
            format!("the figures above are with {others} others instead of {OTHERS}"),
            "they show that it runs and are not to be quoted",
            "",
        ));
    }
    Ok(rows)
}

/// The rows of both channels under one load; `first` is the number of the first of these devices.
async fn under(
    site: &Site,
    admin: &Admin,
    glass: &mut Glass,
    load: Load,
    crowd: Arc<Vec<Player>>,
    first: usize,
    devices: &[Player],
) -> anyhow::Result<Vec<Row>> {
    let others = crowd.len();
    let pace = match load {
        Load::EachMinute => Pace::PerSecond(others as f64 / 60.0),
        Load::FlatOut => Pace::FlatOut,
    };
    let busy = Crowd::begin(site.device, "localhost", crowd, CLIENTS, pace);
    let begun = clock::now();
    let (mut woken, mut by_itself) = (Vec::new(), Vec::new());
    for (number, player) in devices.iter().enumerate() {
        if begun.elapsed() > BUDGET {
            break;
        }
        let listens = number % 2 == 0;
        glass.open_for_one(admin).await?;
        let took = wipe(site, admin, player, &site::device_id(first + number), listens).await?;
        if listens { woken.push(took) } else { by_itself.push(took) }
    }
    let served = busy.end().await?;
    let rate = served.sessions as f64 / served.wall.as_secs_f64();
    let meanwhile = match load {
        Load::EachMinute => format!("{others} others check in once a minute each ({rate:.0} sessions/s)"),
        Load::FlatOut => {
            format!(
                "{others} others check in as fast as {CLIENTS} at a time are served ({rate:.0} sessions/s)"
            )
        }
    };
    Ok(vec![
        row(format!("202 of a wipe to its Exec, device listens at the gateway; {meanwhile}"), woken, ""),
        row(
            format!("202 of a wipe to its Exec, device comes by itself right after; {meanwhile}"),
            by_itself,
            ", and before that the wait of one that only polls: its ConnectInterval, 8 h unless set, 1 min at least",
        ),
    ])
}

/// One wipe, from the moment of its 202 to that of its Exec.
async fn wipe(
    site: &Site,
    admin: &Admin,
    player: &Player,
    device_id: &str,
    listens: bool,
) -> anyhow::Result<Duration> {
    let listener = match listens {
        true => Some(Listener::begin(site.device, "localhost", player).await?),
        false => None,
    };
    if listens {
        site.wait_listeners(1)?;
    }
    let order = serde_json::json!({
        "devices": [device_id], "kind": "full", "reason": "a benchmark", "break_glass": true,
    });
    admin.post("/api/1/wipes", &order).await?;
    let accepted = clock::now();
    if let Some(listener) = listener {
        let woken = tokio::time::timeout(LOST, listener.woken()).await;
        woken.with_context(|| format!("{device_id} was not woken"))??;
    }
    let sent = load::until_exec(site.device, "localhost", player).await?;
    Ok(sent.saturating_duration_since(accepted))
}

/// Codes from the safe, and how many devices the one that is open is good for.
struct Glass {
    codes: Vec<String>,
    left: usize,
}

impl Glass {
    async fn open_for_one(&mut self, admin: &Admin) -> anyhow::Result<()> {
        if self.left == 0 {
            let code = self.codes.pop().context("no code is left")?;
            let body = serde_json::json!({ "code": code, "devices": GLASS, "reason": "a benchmark" });
            admin.post("/api/1/safety/break-glass", &body).await?;
            self.left = GLASS;
        }
        self.left -= 1;
        Ok(())
    }
}

fn row(subject: String, mut times: Vec<Duration>, bound: &str) -> Row {
    times.sort();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let ms = |percent| at(percent).map_or(0.0, |took| took.as_secs_f64() * 1000.0);
    let worst = if times.len() < 100 { "slowest" } else { "p99" };
    Row {
        subject,
        baseline: "-".to_owned(),
        figure: format!("p50 {:.0} ms, {worst} {:.0} ms of {} wipes{bound}", ms(50), ms(99), times.len()),
        baseline_figure: "-".to_owned(),
        ratio: "-".to_owned(),
        aim: "p99 < 1 s".to_owned(),
    }
}
