//! `posternctl command …`: show, watch and cancel queued commands.

use std::time::Duration;

use clap::Subcommand;
use postern_api::{
    commands::{Command, CommandEvent, CommandResult, CommandSummary, WatchQuery},
    devices::ReasonQuery,
};
use postern_wire::terms::{CommandId, CommandState};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash, or_empty},
    text, time,
};

/// How long one long poll waits, in seconds: less than what proxies cut.
const POLL_SECONDS: u32 = 30;
/// Pause before a poll is tried again that failed while the core was away.
const RETRY: Duration = Duration::from_secs(2);
/// How often a poll is tried again before the watch gives up: about a minute without the core.
const RETRIES: u32 = 30;

/// What can be done with commands.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show a command with its results and everything that happened to it.
    Show {
        /// The command's id.
        id: CommandId,
    },
    /// Follow a command until it is finished; exit code 1 unless it succeeded.
    Watch {
        /// The command's id.
        id: CommandId,
    },
    /// Cancel a command that has not been sent.
    Cancel {
        /// The command's id.
        id: CommandId,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Show { id } => {
                let command: Command = client.get(&["commands", &id.to_string()], &()).await?;
                output.answer(&command, shown)?;
                Ok(Exit::Done)
            }
            Self::Watch { id } => watch(client, id, output).await,
            Self::Cancel { id, reason } => {
                let command: Command =
                    client.delete_to(&["commands", &id.to_string()], &ReasonQuery { reason }).await?;
                output.answer(&command, |command| {
                    format!("cancelled {} {}", command.summary.id, what(&command.summary))
                })?;
                Ok(Exit::Done)
            }
        }
    }
}

/// Follows one command, telling each thing that happens to it as it happens.
async fn watch(client: &Client, id: CommandId, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let (mut told, mut revision) = (0, None);
    loop {
        let command = next(client, id, revision).await?;
        for event in command.timeline.iter().skip(told) {
            output.event(event, happened)?;
        }
        told = told.max(command.timeline.len());
        revision = Some(command.summary.revision);
        if !is_pending(command.summary.state) {
            return finish(&command, output);
        }
    }
}

/// Follows several commands until all are finished; tells each as it finishes.
pub(crate) async fn wait_for(
    client: &Client,
    commands: Vec<CommandSummary>,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for summary in commands {
        let mut revision = None;
        let command = loop {
            let command = next(client, summary.id, revision).await?;
            if !is_pending(command.summary.state) {
                break command;
            }
            revision = Some(command.summary.revision);
        };
        if finish(&command, output)? != Exit::Done {
            exit = Exit::Refused;
        }
    }
    Ok(exit)
}

/// The command as soon as it is newer than `revision`; a core that is away for a moment (a standby takes
/// over) is waited for.
async fn next(client: &Client, id: CommandId, revision: Option<u64>) -> Result<Command, Failure> {
    let query = WatchQuery { wait: revision.map(|_| POLL_SECONDS), revision };
    let mut tries = 0;
    loop {
        let wait = Duration::from_secs(u64::from(POLL_SECONDS));
        match client.poll(&["commands", &id.to_string()], &query, wait).await {
            Err(failure) if failure.exit == Exit::Unreachable && revision.is_some() && tries < RETRIES => {
                tries += 1;
                tokio::time::sleep(RETRY).await;
            }
            answer => return answer,
        }
    }
}

fn finish(command: &Command, output: &mut Output<'_>) -> Result<Exit, Failure> {
    output.event(command, ended)?;
    Ok(if command.summary.state == CommandState::Succeeded { Exit::Done } else { Exit::Refused })
}

fn is_pending(state: CommandState) -> bool {
    matches!(state, CommandState::Queued | CommandState::Sent)
}

fn happened(event: &CommandEvent) -> String {
    format!("{}  {}: {}", time::short(event.at), event.state, text::terminal(&event.cause))
}

fn ended(command: &Command) -> String {
    let summary = &command.summary;
    let status = summary.status.map(|status| format!(" (status {status})")).unwrap_or_default();
    let cause =
        summary.cause.as_deref().map(|cause| format!(": {}", text::terminal(cause))).unwrap_or_default();
    let mut text = format!("{} {}{status}{cause}", what(summary), summary.state);
    if !command.results.is_empty() {
        text = format!("{text}\n{}", results(&command.results));
    }
    text
}

/// The verb and the node, escaped.
pub(crate) fn what(command: &CommandSummary) -> String {
    format!("{} {}", command.verb, text::terminal(&command.uri))
}

/// A list of commands.
pub(crate) fn listed(commands: &[CommandSummary]) -> String {
    output::table(
        ["ID", "VERB", "URI", "STATE", "STATUS", "QUEUED", "CAUSE"],
        commands.iter().map(|command| {
            [
                command.id.to_string(),
                command.verb.to_string(),
                command.uri.clone(),
                command.state.to_string(),
                or_dash(command.status),
                time::short(command.created_at),
                or_dash(command.cause.as_ref()),
            ]
        }),
    )
}

/// All of one command.
fn shown(command: &Command) -> String {
    let summary = &command.summary;
    let mut text = output::fields([
        ("id", summary.id.to_string()),
        ("operation", summary.operation.to_string()),
        ("device", summary.device.to_string()),
        ("what", format!("{} {}", summary.verb, summary.uri)),
        ("state", summary.state.to_string()),
        ("status", or_empty(summary.status)),
        ("cause", or_empty(summary.cause.as_ref())),
        ("lane", summary.lane.to_string()),
        ("redelivery", command.redelivery.to_string()),
        ("proved by", or_empty(command.proof_class)),
        ("queued", time::short(summary.created_at)),
        ("deadline", or_empty(command.deadline.map(time::short))),
        ("finished", or_empty(summary.finished_at.map(time::short))),
    ]);
    if !command.results.is_empty() {
        text = format!("{text}\n\n{}", results(&command.results));
    }
    if !command.timeline.is_empty() {
        let rows = command.timeline.iter().map(|event| {
            [time::short(event.at), event.state.to_string(), or_empty(event.session), event.cause.clone()]
        });
        text = format!("{text}\n\n{}", output::table(["WHEN", "STATE", "SESSION", "CAUSE"], rows));
    }
    text
}

fn results(results: &[CommandResult]) -> String {
    output::table(
        ["RESULT OF", "FORMAT", "DATA"],
        results.iter().map(|result| {
            let octets = result.data_base64.as_ref().map(|data| format!("base64 {data}"));
            let data = result.data.clone().or(octets);
            [result.uri.clone(), or_dash(result.format.as_ref()), or_dash(data)]
        }),
    )
}
