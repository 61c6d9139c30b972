//! `posternctl why DEVICE`: why a device is as it is.

use postern_api::why::Why;

use crate::{
    client::Client,
    commands::{command, device},
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// Shows it.
pub async fn run(device: &str, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let why: Why = client.get(&["devices", device, "why"], &()).await?;
    output.answer(&why, shown)?;
    Ok(Exit::Done)
}

fn shown(why: &Why) -> String {
    let device = &why.device;
    let seen = device
        .last_seen
        .map_or_else(|| "never seen".to_owned(), |at| format!("last seen {}", time::short(at)));
    let mut parts = vec![format!("{} ({}), {}, {seen}", device::named(device), device.id, device.state)];
    for finding in &why.findings {
        let mark = match finding.level.as_str() {
            "problem" => "!",
            "note" => "-",
            _ => "+",
        };
        parts.push(format!("  {mark} {} [{}]", text::terminal(&finding.text), text::terminal(&finding.slug)));
    }
    for waiting in &why.pending {
        let what = command::what(&waiting.command);
        parts.push(format!(
            "  - {what} ({}) waits: {}",
            waiting.command.state,
            text::terminal(&waiting.reason)
        ));
    }
    if !why.blocked.is_empty() {
        parts.push(format!("\nBlocked\n{}", blocked(why)));
    }
    if !why.refusals.is_empty() {
        parts.push(format!("\nRefused\n{}", refusals(why)));
    }
    if !why.sessions.is_empty() {
        parts.push(format!("\nSessions\n{}", sessions(why)));
    }
    parts.join("\n")
}

fn blocked(why: &Why) -> String {
    output::table(
        ["WHAT", "KEY", "VERDICT", "SINCE"],
        why.blocked.iter().map(|entry| {
            [entry.kind.clone(), entry.key.clone(), entry.verdict.clone(), time::short(entry.since)]
        }),
    )
}

fn refusals(why: &Why) -> String {
    output::table(
        ["LAST", "BY", "REASON", "TIMES", "FROM", "CERTIFICATE"],
        why.refusals.iter().map(|refusal| {
            [
                time::short(refusal.at),
                refusal.by.clone(),
                refusal.reason.clone(),
                refusal.count.to_string(),
                or_dash(refusal.source.as_ref()),
                or_dash(refusal.serial.as_ref()),
            ]
        }),
    )
}

fn sessions(why: &Why) -> String {
    output::table(
        ["STARTED", "ENDED", "OUTCOME", "PROOF", "MESSAGES", "THROUGH", "FROM"],
        why.sessions.iter().map(|session| {
            [
                time::short(session.started_at),
                session.ended_at.map_or_else(|| "open".to_owned(), time::short),
                session.outcome.clone(),
                session.proof_class.to_string(),
                session.messages.to_string(),
                or_dash(session.gateway.as_ref()),
                or_dash(session.source.as_ref()),
            ]
        }),
    )
}
