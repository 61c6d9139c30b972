//! Enrolments over the air, all at once: from the first connection to the last device that holds its certificate.
//!
//! Every enrolment is two exchanges over new TLS connections: the password is proved in both directions, the core
//! signs the device's key and commits enrolment, certificate, route and audit. Baseline: the same number one after the other.

use std::time::Duration;

use anyhow::{Context as _, bail};
use postern_tests::{
    air::Crowd,
    site::{Plan, READY, Site},
    wait,
};

use crate::{clock, table::Row};

/// Enrolments at a time; the original did 25.
const AT_ONCE: usize = 500;

/// All rows.
///
/// # Errors
/// The system did not come up, or an enrolment failed.
pub(crate) fn run(quick: bool) -> anyhow::Result<Vec<Row>> {
    let (count, alone) = if quick { (50, 5) } else { (AT_ONCE, 50) };
    let site = Site::start(&Plan::default());
    // As for a room where many devices are set up behind one address (docs/ENROLMENT.md).
    let wide =
        ["gateway", "settings", "set", "--all", "--value", "address.burst=2000", "--value", "trial_s=1"];
    let _ = site.ctl().ok(&wide);
    let widened =
        || (site.ctl().ok(&["gateway", "settings", "get", "--all"])["state"] == "in-force").then_some(());
    wait::until("the gateway to have its limit", READY, widened, || site.logs());
    let (core, gateway) = site.pids();
    let enrol = |prefix: &str, count: usize, in_flight: usize| {
        let crowd = Crowd::ask(&site, prefix, count);
        let before = (clock::cpu_of(core)?, clock::cpu_of(gateway)?);
        let ran = crowd.enrol(in_flight);
        let each = |now: Duration, then: Duration| (now - then).as_secs_f64() * 1e6 / count as f64;
        anyhow::Ok((ran, each(clock::cpu_of(core)?, before.0), each(clock::cpu_of(gateway)?, before.1)))
    };
    let (one_by_one, ..) = enrol("alone", alone, 1)?;
    let (at_once, core_us, gateway_us) = enrol("crowd", count, count)?;
    if at_once["enrolled"].as_u64() != Some(count as u64) {
        bail!("not every device enrolled: {at_once:#}");
    }
    let rate = |ran: &serde_json::Value| ran["per_second"].as_f64().context("a rate");
    let latency = |name: &str| at_once["latency_us"][name].as_f64().unwrap_or_default() / 1e3;
    Ok(vec![Row {
        subject: format!("{count} enrolments over the air at once (SQLite, synchronous=FULL)"),
        figure: format!(
            "{:.0}/s; µs CPU each: gateway {gateway_us:.0}, core {core_us:.0}; p50 {:.0} ms, p99 {:.0} ms",
            rate(&at_once)?,
            latency("p50"),
            latency("p99"),
        ),
        baseline: "one after the other".to_owned(),
        baseline_figure: format!("{:.0}/s", rate(&one_by_one)?),
        ratio: format!("{:.2}", rate(&at_once)? / rate(&one_by_one)?),
        aim: String::new(),
    }])
}
