//! A large fleet: memory of an idle enrolled device, the first session after a start, and a standby's take-over.

use std::{sync::Arc, time::Duration};

use crate::{
    clock,
    load::{self, Kind, Player},
    site::{Database, Site},
    table::Row,
};

/// All rows.
///
/// # Errors
/// The system did not come up.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Row>> {
    let count = if quick { 10_000 } else { 100_000 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    // The same core with one device: what it takes without a fleet.
    let mut small = Site::prepare(Database::Sqlite)?;
    let one = Arc::new(small.enrol(1, 1)?);
    small.start_gateway()?;
    small.start_core()?;
    first_session(&small, &one, &runtime)?;
    let empty = at_rest(small.pids()?.0)?;
    drop(small);

    let mut site = Site::prepare(Database::Sqlite)?;
    let players = Arc::new(site.enrol(count, 1)?);
    site.start_gateway()?;
    let start = clock::now();
    site.start_core()?;
    first_session(&site, &players, &runtime)?;
    let first = start.elapsed();
    let full = at_rest(site.pids()?.0)?;

    let standby = site.start_standby()?;
    // The standby has to have seen the epoch renewed at least once.
    std::thread::sleep(Duration::from_secs(5));
    let killed = clock::now();
    site.kill_core();
    site.adopt(standby);
    first_session(&site, &players, &runtime)?;
    let taken = killed.elapsed();

    Ok(vec![
        Row::plain(
            format!("memory an idle enrolled device, {count} enrolled"),
            format!(
                "{:.0} octets (core: {} MiB, with one device {} MiB)",
                (full.saturating_sub(empty)) as f64 / count as f64,
                full >> 20,
                empty >> 20
            ),
            "≤ 128 octets",
        ),
        Row::plain(
            format!("start of a core to the first session, {count} enrolled"),
            format!("{:.2} s", first.as_secs_f64()),
            "< 2 s",
        ),
        Row::plain(
            "kill -9 of the active core to the first session on the standby",
            format!("{:.2} s", taken.as_secs_f64()),
            "< 10 s",
        ),
    ])
}

/// The resident memory of a process that has come to rest: the same to a hundredth for five seconds, for a minute at most.
fn at_rest(pid: u32) -> anyhow::Result<u64> {
    let mut before = clock::resident_of(pid)?;
    let mut same = 0;
    for _ in 0..60 {
        std::thread::sleep(Duration::from_secs(1));
        let now = clock::resident_of(pid)?;
        same = if now.abs_diff(before) * 100 <= before { same + 1 } else { 0 };
        before = now;
        if same == 5 {
            break;
        }
    }
    Ok(before)
}

/// Tries until a session succeeds, each 10 milliseconds, for a minute at most.
fn first_session(
    site: &Site,
    players: &Arc<Vec<Player>>,
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<()> {
    let mut last = None;
    for _ in 0..6000 {
        match runtime.block_on(load::run(site.device, "localhost", players.clone(), Kind::Idle, 1, 1)) {
            Ok(_) => return Ok(()),
            Err(error) => last = Some(error),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("never tried")))
}
