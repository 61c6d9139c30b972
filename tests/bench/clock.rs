//! The one place of the benchmarks that asks clocks: wall time for pacing, CPU time of processes for figures.

use std::time::{Duration, Instant};

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time; this is its only clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, for certificates and enrolment rows.
#[expect(clippy::disallowed_methods, reason = "a benchmark's edge")]
pub(crate) fn utc_millis() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// User and system CPU time that the process `pid` and its threads have used so far.
///
/// # Errors
/// The process is gone, or its stat line is not as proc(5) says.
pub(crate) fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // Fields 14 and 15 of proc(5), counted behind the name, which may hold blanks.
    let ticks: u64 =
        fields.get(11).unwrap_or(&"0").parse::<u64>()? + fields.get(12).unwrap_or(&"0").parse::<u64>()?;
    // USER_HZ is 100 on every Linux architecture that the project runs on.
    Ok(Duration::from_millis(ticks * 10))
}

/// CPU time of `pid` and of all its live and reaped children (PostgreSQL's backends).
///
/// # Errors
/// The process is gone.
pub(crate) fn cpu_of_tree(pid: u32) -> anyhow::Result<Duration> {
    let mut total = cpu_of(pid)?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{child}/stat")) else { continue };
        let parent =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if parent == Some(pid) {
            total += cpu_of(child).unwrap_or_default();
        }
    }
    Ok(total)
}

/// Resident memory of `pid` in octets (VmRSS).
///
/// # Errors
/// The process is gone.
pub(crate) fn resident_of(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    Ok(kib * 1024)
}

/// The postmaster that was started with this argument.
///
/// # Errors
/// There is none.
pub(crate) fn pid_with(argument: &str) -> anyhow::Result<u32> {
    let mut found: Vec<u32> = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let program = line.split(|octet| *octet == 0).next().unwrap_or_default();
        if program.ends_with(b"/postgres")
            && line.windows(argument.len()).any(|part| part == argument.as_bytes())
        {
            found.push(pid);
        }
    }
    found.sort_unstable();
    found.first().copied().ok_or_else(|| anyhow::anyhow!("no postgres with {argument} runs"))
}
