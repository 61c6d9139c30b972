//! Urgent delivery: from the 202 of a wipe to its Exec in a reply to the device, while 10,000 others check in.
//!
//! Measured for the listening channel, and for a device that comes by itself the moment after the 202 (what is left of
//! the way when nothing has to wake it). A device that only polls comes within its interval: that is its bound.

use std::{sync::Arc, time::Duration};

use crate::{
    clock,
    load::{self, Kind, Listener},
    site::{self, Database, Site},
    table::Row,
};

/// Devices that check in meanwhile.
const OTHERS: usize = 10_000;
/// Sessions of theirs at a time.
const CLIENTS: usize = 8;
/// A listener is known to the gateway after so long.
const SETTLED: Duration = Duration::from_millis(50);

/// All rows.
///
/// # Errors
/// A wipe did not arrive.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Row>> {
    let wiped = if quick { 40 } else { 400 };
    let others = if quick { OTHERS / 10 } else { OTHERS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut site = Site::prepare(Database::Sqlite)?;
    let players = site.enrol_with(others + wiped, others + wiped, Some("server password"))?;
    site.start()?;
    let (targets, crowd) = players.split_at(wiped);
    let crowd = Arc::new(crowd.to_vec());
    let (device, admin) = (site.device, site.admin()?);
    runtime.block_on(load::run(
        device,
        "localhost",
        crowd.clone(),
        Kind::Idle,
        others.min(1_000),
        CLIENTS,
    ))?;
    // The limits are for people: a bench asks for more in an hour than anybody may.
    runtime.block_on(async {
        let busy = tokio::spawn(load::run(device, "localhost", crowd, Kind::Idle, usize::MAX, CLIENTS));
        let (mut woken, mut by_itself) = (Vec::new(), Vec::new());
        for (number, player) in targets.iter().enumerate() {
            let listens = number % 2 == 0;
            let listener = match listens {
                true => Some(Listener::begin(device, "localhost", player).await?),
                false => None,
            };
            tokio::time::sleep(SETTLED).await;
            let order = serde_json::json!({
                "devices": [site::device_id(number)], "kind": "full", "reason": "a benchmark", "break_glass": true,
            });
            admin.post("/api/1/wipes", &order).await?;
            let accepted = clock::now();
            if let Some(listener) = listener {
                listener.woken().await?;
            }
            let sent = load::until_exec(device, "localhost", player).await?;
            let took = sent.duration_since(accepted);
            if listens { woken.push(took) } else { by_itself.push(took) }
        }
        busy.abort();
        let name = |what: &str| format!("202 of a wipe to its Exec, {what}, {others} others checking in");
        Ok(vec![
            row(name("device listens at the gateway"), woken),
            row(name("device comes by itself at once"), by_itself),
        ])
    })
}

fn row(subject: String, mut times: Vec<Duration>) -> Row {
    times.sort();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let ms = |percent| at(percent).map_or(0.0, |took| took.as_secs_f64() * 1000.0);
    Row {
        subject,
        baseline: "-".to_owned(),
        figure: format!("p50 {:.0} ms, p99 {:.0} ms, {} wipes", ms(50), ms(99), times.len()),
        baseline_figure: "-".to_owned(),
        ratio: "-".to_owned(),
        aim: "p99 < 1 s".to_owned(),
    }
}
