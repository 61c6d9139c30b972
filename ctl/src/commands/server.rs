//! `posternctl server …` and `posternctl doctor`: the system's own parts, and what is wrong with them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use postern_api::{
    Page, Time,
    server::{
        Check, Doctor, LogLevel, ReleaseServer, Released, Server, SetLogLevel, SupportPart, SupportQuery,
        Verdict,
    },
};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash},
    text, time,
};

/// Clocks that part by so much are worth a word, in milliseconds.
const SKEW_WARN_MS: i64 = 30_000;

/// What can be done with the system's parts.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List every core (active and standby), gateway and supervisor. Exit code 1 when one is down.
    List,
    /// Change what is logged, for a time; without --level: end it. Without a level and a module: list what is changed.
    LogLevel {
        /// Lines of this module and those below; without it all of Postern's.
        #[arg(long)]
        module: Option<String>,
        /// error, warn, info, debug or trace.
        #[arg(long)]
        level: Option<String>,
        /// For how long: `30m`, `2h`.
        #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
        for_s: Option<u32>,
        /// End the change.
        #[arg(long, conflicts_with = "level")]
        end: bool,
    },
    /// Let destructive orders out again after a restore, when you have looked at what is to go out.
    Release {
        /// What you looked at and why it is right; stands in the audit log.
        #[arg(long)]
        reason: String,
    },
}

/// Arguments of `device log`.
#[derive(Debug, Args)]
pub struct DeviceLog {
    /// An enrolment's id, a DevId or a name.
    device: String,
    /// error, warn, info, debug or trace; without it the change is ended.
    #[arg(long)]
    level: Option<String>,
    /// For how long: `30m`, `2h`. Default 30 minutes.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    for_s: Option<u32>,
}

impl DeviceLog {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let Self { device, level, for_s } = self;
        set_level(client, SetLogLevel { device: Some(device), module: None, level, for_s }, output).await
    }
}

/// What can be done for who helps from outside.
#[derive(Debug, Subcommand)]
pub enum SupportAction {
    /// Write state, configuration, figures and the last log lines into a file, without secrets: one JSON object a line.
    Bundle {
        /// The file to make.
        #[arg(short = 'o', long = "file", value_name = "FILE")]
        file: PathBuf,
        /// Leave names, addresses and ids as they are; without it they are replaced, the same one by the same word.
        #[arg(long)]
        names: bool,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let servers: Vec<Server> = client.list(&["servers"], &(), None).await?;
                output.answer(&servers, |servers| listed(servers))?;
                let down = servers.iter().any(|server| server.health == "down");
                Ok(if down { Exit::Refused } else { Exit::Done })
            }
            Self::LogLevel { module, level, for_s, end } => {
                if level.is_none() && !end {
                    let levels: Vec<LogLevel> = client.list(&["server", "log-levels"], &(), None).await?;
                    output.answer(&levels, |levels| changed(levels))?;
                    return Ok(Exit::Done);
                }
                set_level(client, SetLogLevel { device: None, module, level, for_s }, output).await
            }
            Self::Release { reason } => {
                let body = ReleaseServer { reason };
                let released: Released = client.post(&["server", "release"], &body).await?;
                output.answer(&released, |released| {
                    format!(
                        "released: {} orders that waited since the restore of {} go out",
                        released.orders,
                        time::short(released.restored_at)
                    )
                })?;
                Ok(Exit::Done)
            }
        }
    }
}

/// Changes a log level, and shows what is changed now.
pub async fn set_level(
    client: &Client,
    change: SetLogLevel,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let levels: Page<LogLevel> = client.post(&["server", "log-levels"], &change).await?;
    output.answer(&levels.items, |levels| changed(levels))?;
    Ok(Exit::Done)
}

fn changed(levels: &[LogLevel]) -> String {
    output::table(
        ["WHOSE", "LEVEL", "UNTIL"],
        levels.iter().map(|one| [one.subject.clone(), one.level.clone(), time::short(one.until)]),
    )
}

/// `90s`, `30m`, `2h`: seconds.
pub fn seconds(text: &str) -> Result<u32, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(format!("{text:?} is none of 90s, 30m, 2h")),
    };
    let number: u32 = number.parse().map_err(|_| format!("{text:?} is none of 90s, 30m, 2h"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text:?} is too long"))
}

/// `posternctl support bundle`: one JSON object a line, each with its part's name.
pub async fn bundle(
    client: &Client,
    file: &Path,
    names: bool,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let query = SupportQuery { names: names.then_some(true) };
    let Page { items: parts, .. } = client.get::<Page<SupportPart>>(&["support"], &query).await?;
    let mut text = String::new();
    for part in &parts {
        text.push_str(&serde_json::to_string(part).expect("a part of a bundle serialises"));
        text.push('\n');
    }
    files::write_secret(file, text.as_bytes())?;
    output.remark(&format!(
        "{} holds {} parts; look at it before you give it away",
        file.display(),
        parts.len()
    ));
    Ok(Exit::Done)
}

fn listed(servers: &[Server]) -> String {
    output::table(
        ["KIND", "NAME", "ROLE", "HEALTH", "VERSION", "WHERE", "SINCE", "SEEN", "QUEUE", "LAST ERROR"],
        servers.iter().map(|server| {
            [
                server.kind.clone(),
                server.name.clone(),
                server.role.clone(),
                server.health.clone(),
                server.version.clone(),
                server.place.clone(),
                or_dash(server.started_at.map(time::short)),
                or_dash(server.seen_at.map(time::short)),
                or_dash(server.queue),
                server.error.clone(),
            ]
        }),
    )
}

/// `posternctl doctor`. Exit code 0 all well, 1 something is not, 3 the core cannot be reached.
pub async fn doctor(client: &Client, now: Time, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let mut found: Doctor = match client.get(&["doctor"], &()).await {
        Err(failure) if failure.exit == Exit::Unreachable => {
            output.remark(
                "the core cannot be reached; on its machine `postern-core doctor --config FILE` looks without it",
            );
            return Err(failure);
        }
        other => other?,
    };
    found.checks.extend(of_here(&found, now));
    found.verdict = Doctor::worst(&found.checks);
    output.answer(&found, screen)?;
    Ok(if found.verdict == Verdict::Ok { Exit::Done } else { Exit::Refused })
}

/// What this machine can tell: its own clock and version.
fn of_here(found: &Doctor, now: Time) -> Vec<Check> {
    let skew = now.0.since(found.now.0);
    let version = env!("CARGO_PKG_VERSION");
    let check = |name: &str, good: bool, finding: String, remedy: &str| Check {
        name: name.to_owned(),
        subject: "this machine".to_owned(),
        verdict: if good { Verdict::Ok } else { Verdict::Warn },
        finding,
        remedy: if good { String::new() } else { remedy.to_owned() },
    };
    vec![
        check(
            "clock.here",
            skew.saturating_abs() < SKEW_WARN_MS,
            format!("this machine's clock is {skew} ms from the core's (the way there and back included)"),
            "let it take its time from the same NTP servers; what you read here as \"ago\" is wrong by so much",
        ),
        check(
            "version.here",
            version == found.version,
            format!("posternctl is {version}, the core {}", found.version),
            "update posternctl to the core's version",
        ),
    ]
}

fn screen(found: &Doctor) -> String {
    let mut lines = Vec::new();
    for check in &found.checks {
        let subject = if check.subject.is_empty() { String::new() } else { format!(" {}", check.subject) };
        lines.push(
            text::terminal(&format!(
                "{:4}  {}{subject}: {}",
                check.verdict.as_str(),
                check.name,
                check.finding
            ))
            .into_owned(),
        );
        if !check.remedy.is_empty() {
            lines.push(text::terminal(&format!("      -> {}", check.remedy)).into_owned());
        }
    }
    let bad = found.checks.iter().filter(|check| check.verdict != Verdict::Ok).count();
    lines.push(format!(
        "{} checks, {bad} not well; docs/OPERATIONS.md has a paragraph on each",
        found.checks.len()
    ));
    lines.join("\n")
}
