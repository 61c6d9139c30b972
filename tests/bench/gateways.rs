//! Eight gateways on this machine: how long a change of the blocked list takes to the last acknowledgement, and what a
//! gateway that dies costs.

use std::time::Duration;

use crate::{admin::Admin, clock, table::Row};
use anyhow::{Context as _, bail};
use postern_tests::{
    dm_client::DmClient,
    fleet::Joiner,
    site::{Plan, Site},
};

/// Gateways beside the site's own.
const JOINED: usize = 7;
/// What is waited for at most.
const LIMIT: Duration = Duration::from_secs(60);

/// All rows.
///
/// # Errors
/// The system did not come up, or the API refused.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Row>> {
    // As many as one person may retire in an hour without another's approval.
    let changes = if quick { 2 } else { 5 };
    let site = Site::start(&Plan::default());
    let mut joined: Vec<Joiner> = (1..=JOINED)
        .map(|number| {
            let mut gateway = Joiner::add(&site, &format!("bench-{number}"), &["--names", "localhost"]);
            gateway.join();
            gateway
        })
        .collect();
    for gateway in &joined {
        gateway.wait_ready(&site);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ctl = site.ctl();
    let api = Admin::new(ctl.url, &ctl.ca_file, &ctl.token_file)?;

    let mut times = Vec::new();
    for number in 0..changes {
        let id = format!("BENCH:{number:06}");
        let _ = site.enrol(&id, "basic", &[]);
        let before = runtime.block_on(api.get("/api/1/gateway-lists"))?["blocked"].as_u64();
        let start = clock::now();
        runtime.block_on(api.delete(&format!("/api/1/devices/{id}?reason=bench")))?;
        let answered = start.elapsed();
        let lists = runtime.block_on(api.get("/api/1/gateway-lists?wait_ms=30000"))?;
        let all = start.elapsed();
        if lists["acknowledged_by_all"] != true || lists["blocked"].as_u64() <= before {
            bail!("not every gateway has acknowledged: {lists:#}");
        }
        times.push((answered, all));
    }

    let (enrolment, _) = site.enrol("BENCH:last", "basic", &[]);
    let client = DmClient::new(enrolment, site.device_address());
    let lost = joined.pop().context("a gateway")?;
    let name = lost.name.clone();
    let start = clock::now();
    drop(lost);
    let mut through_another = 0;
    let noticed = loop {
        let shown = runtime.block_on(api.get(&format!("/api/1/gateways/{name}")))?;
        if shown["state"] != "connected" {
            break start.elapsed();
        }
        if start.elapsed() > LIMIT {
            bail!("nobody noticed that {name} is gone");
        }
    };
    let began = clock::now();
    if client.check_in("1").is_ok_and(|check_in| check_in.authenticated) {
        through_another += 1;
    }
    let served = began.elapsed();
    if through_another == 0 {
        bail!("the other gateway did not serve");
    }
    let ms = |pick: fn(&(Duration, Duration)) -> Duration| {
        let mut sorted: Vec<f64> = times.iter().map(|pair| pick(pair).as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        format!(
            "median {:.1} ms, slowest {:.1} ms of {}",
            sorted[sorted.len() / 2],
            sorted.last().copied().unwrap_or_default(),
            sorted.len()
        )
    };
    Ok(vec![
        Row::plain(
            "retire of a device, request to answer (its blocked entry is committed)",
            ms(|pair| pair.0),
            "",
        ),
        Row::plain(
            "the same, request to the last of 8 gateways' acknowledgements known by API",
            ms(|pair| pair.1),
            "",
        ),
        Row::plain(
            "kill -9 of a gateway to its loss shown by the API",
            format!("{:.1} ms", noticed.as_secs_f64() * 1e3),
            "",
        ),
        Row::plain(
            "a check-in through another gateway right after",
            format!("{:.1} ms", served.as_secs_f64() * 1e3),
            "",
        ),
    ])
}
