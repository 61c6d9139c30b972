//! `posternctl status`: the system on one screen. Exit code 0 healthy, 1 degraded, 3 unreachable.

use postern_api::status::Status;

use crate::{
    client::Client,
    commands::gateway,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// Shows it.
pub async fn run(client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let status: Status = client.get(&["status"], &()).await?;
    output.answer(&status, screen)?;
    // A standby that waits as it should is well; whether it is the core that was meant, its state says.
    Ok(if status.state == "degraded" || !status.problems.is_empty() { Exit::Refused } else { Exit::Done })
}

fn screen(status: &Status) -> String {
    let database = &status.database;
    let queue = &status.queue;
    let mut devices: Vec<_> =
        status.devices.iter().map(|count| format!("{} {}", count.count, count.state)).collect();
    if status.overdue > 0 {
        devices.push(format!("{} overdue", status.overdue));
    }
    let uptime = time::duration(status.now.0.since(status.started_at.0) / 1000);
    let role = if database.active { "active" } else { "standby" };
    let oldest = queue
        .oldest_pending
        .map(|at| format!(", the oldest for {}", time::duration(status.now.0.since(at.0) / 1000)));

    let mut parts = vec![format!(
        "{} (version {}, up {uptime})",
        text::terminal(&status.state),
        text::terminal(&status.version)
    )];
    parts.extend(status.problems.iter().map(|problem| format!("  ! {}", text::terminal(problem))));
    parts.push(String::new());
    parts.push(output::fields([
        (
            "database",
            format!(
                "{}, {}, {role}, {} writes waiting ({} ms)",
                database.kind,
                if database.up { "up" } else { "DOWN" },
                database.write_queue,
                database.write_queue_oldest_ms
            ),
        ),
        ("last commit", or_dash(database.last_commit.map(time::short))),
        ("devices", if devices.is_empty() { "none".to_owned() } else { devices.join(", ") }),
        (
            "commands",
            format!(
                "{} queued, {} sent, {} in doubt{}",
                queue.queued,
                queue.sent,
                queue.in_doubt,
                oldest.unwrap_or_default()
            ),
        ),
        (
            "alarms",
            format!(
                "{} open, {} critical, {} not acknowledged",
                status.alarms.open, status.alarms.critical, status.alarms.unacknowledged
            ),
        ),
        ("audit signed", or_dash(status.audit_signed_at.map(time::short))),
    ]));
    parts.push(String::new());
    parts.push(gateway::listed(&status.gateways));
    parts.push(String::new());
    parts.push(output::table(
        ["CERTIFICATE", "STATE", "UNTIL"],
        status.certificates.iter().map(|certificate| {
            [
                certificate.name.clone(),
                certificate.state.clone(),
                or_dash(certificate.not_after.map(time::short)),
            ]
        }),
    ));
    parts.join("\n")
}
