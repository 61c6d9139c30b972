//! `posternctl session …`: sessions that were held, and the live dialogue of a device, secrets masked by the core.

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;
use postern_api::{
    sessions::{
        RecordSessions, RecordedSession, SessionExchange, SessionMessage, SessionWatchQuery, WatchedSessions,
    },
    why::SessionSummary,
};
use postern_wire::syncml::{self, Command, Data, Encoding, Item, Limits, Message};

use crate::{
    client::Client,
    commands::recording,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// How long one long poll waits, in seconds: less than what proxies cut.
const POLL_SECONDS: u32 = 30;
/// Characters of a value that are shown.
const VALUE: usize = 160;

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List a device's sessions, the newest first.
    List {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// Most items wanted.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Follow what a device and the core say to each other, with what the core decided and why.
    Watch {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// Stop after so many exchanges.
        #[arg(long)]
        count: Option<u64>,
    },
    /// End the open session of a device with the core's next answer; its commands wait for the next session.
    Abort {
        /// An enrolment's id, a DevId or a name.
        device: String,
    },
    /// Have the next sessions of a device recorded: `session save` writes them, `session watch` shows them.
    Record {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// How many sessions; 0 takes it back.
        #[arg(long)]
        next: u32,
    },
    /// List the recorded sessions of a device, the newest first.
    Recordings {
        /// An enrolment's id, a DevId or a name.
        device: String,
    },
    /// Write the transcript of a recorded session to a file; the enrolment's secrets are not in it.
    Save(recording::Save),
    /// Delete the transcript of a recorded session.
    Forget {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// The session's id, or `latest`.
        session: String,
    },
    /// Run transcripts through the engine, offline, and show the first difference of each. Exit code 1 when there is one.
    Replay {
        /// Files that `session save` wrote; `-` is stdin.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List { device, limit } => {
                let sessions: Vec<SessionSummary> =
                    client.list(&["devices", &device, "sessions"], &(), limit).await?;
                output.answer(&sessions, |sessions| listed(sessions))?;
            }
            Self::Watch { device, count } => watch(client, &device, count, output).await?,
            Self::Abort { device } => {
                client.delete(&["devices", &device, "sessions", "open"], &()).await?;
                output.remark(&format!("an open session of {device} ends with the next answer"));
            }
            Self::Record { device, next } => {
                let body = RecordSessions { sessions: next };
                client.post_nothing(&["devices", &device, "sessions", "record"], &body).await?;
                output.remark(&format!("the next {next} sessions of {device} are recorded"));
            }
            Self::Recordings { device } => {
                let recorded: Vec<RecordedSession> =
                    client.list(&["devices", &device, "recordings"], &(), None).await?;
                output.answer(&recorded, |recorded| recording::listed(recorded))?;
            }
            Self::Save(save) => save.run(client, output).await?,
            Self::Forget { device, session } => {
                client.delete(&["devices", &device, "recordings", &session], &()).await?;
                output.remark(&format!("deleted the recording of {session}"));
            }
            Self::Replay { files } => return recording::replay(&files, output),
        }
        Ok(Exit::Done)
    }
}

async fn watch(
    client: &Client,
    device: &str,
    count: Option<u64>,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let mut query = SessionWatchQuery { after: None, wait: Some(0) };
    let mut told = 0;
    loop {
        let wait = Duration::from_secs(u64::from(POLL_SECONDS));
        let watched: WatchedSessions =
            client.poll(&["devices", device, "sessions", "watch"], &query, wait).await?;
        if watched.missed > 0 && query.after.is_some() {
            output.remark(&format!("{} exchanges were missed", watched.missed));
        }
        for exchange in &watched.exchanges {
            output.event(exchange, shown)?;
            told += 1;
            if count.is_some_and(|count| told >= count) {
                return Ok(());
            }
        }
        query = SessionWatchQuery { after: Some(watched.next), wait: Some(POLL_SECONDS) };
    }
}

fn listed(sessions: &[SessionSummary]) -> String {
    output::table(
        ["SESSION", "BEGAN", "ENDED", "OUTCOME", "PROOF", "MESSAGES", "GATEWAY", "FROM"],
        sessions.iter().map(|session| {
            [
                session.id.to_string(),
                time::short(session.started_at),
                or_dash(session.ended_at.map(time::short)),
                session.outcome.clone(),
                session.proof_class.to_string(),
                session.messages.to_string(),
                or_dash(session.gateway.as_ref()),
                or_dash(session.source.as_ref()),
            ]
        }),
    )
}

/// One exchange as a text tree: what came, what was decided, what went.
fn shown(exchange: &SessionExchange) -> String {
    let mut lines = vec![format!("{}  #{}", time::short(exchange.at), exchange.seq)];
    lines.extend(message("device →", &exchange.request));
    for decision in &exchange.decisions {
        lines.push(format!("    {}: {}", text::terminal(&decision.rule), text::terminal(&decision.text)));
    }
    match &exchange.answer {
        Some(answer) => lines.extend(message("core →", answer)),
        None => lines.push(format!("  core → HTTP {}", exchange.status)),
    }
    lines.join("\n")
}

fn message(who: &str, message: &SessionMessage) -> Vec<String> {
    let head = format!("  {who} {} octets, {}", message.octets, text::terminal(&message.content_type));
    let decoded = message.syncml.as_ref().and_then(|xml| {
        syncml::decode(xml.as_bytes(), Encoding::Xml, &Limits::default()).ok().map(|decoded| decoded.message)
    });
    let mut lines = vec![head];
    match (decoded, &message.error) {
        (Some(decoded), _) => lines.extend(tree(&decoded)),
        (None, Some(error)) => lines.push(format!("      cannot be shown: {}", text::terminal(error))),
        (None, None) => lines.push("      cannot be shown".to_owned()),
    }
    lines
}

fn tree(message: &Message) -> Vec<String> {
    let header = &message.header;
    let cred =
        header.cred.as_ref().and_then(|cred| cred.meta.type_.clone()).map(|type_| format!(", Cred {type_}"));
    let mut lines = vec![format!(
        "      SyncHdr {} session {} message {}, {} to {}{}",
        text::terminal(&header.ver_proto),
        text::terminal(&header.session_id),
        header.msg_id,
        text::terminal(&header.source.uri),
        text::terminal(&header.target.uri),
        text::terminal(&cred.unwrap_or_default()),
    )];
    message.body.iter().for_each(|one| command(one, 8, &mut lines));
    if message.is_final {
        lines.push("        Final".to_owned());
    }
    lines
}

fn command(command: &Command, indent: usize, lines: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    let mut say = |line: String| lines.push(format!("{pad}{}", text::terminal(&line)));
    let (name, request) = match command {
        Command::Add(request) => ("Add", request),
        Command::Replace(request) => ("Replace", request),
        Command::Get(request) => ("Get", request),
        Command::Delete(request) => ("Delete", request),
        Command::Copy(request) => ("Copy", request),
        Command::Exec(request) => ("Exec", request),
        Command::Atomic(group) | Command::Sequence(group) => {
            let name = if matches!(command, Command::Atomic(_)) { "Atomic" } else { "Sequence" };
            say(format!("{name} {}", group.cmd_id));
            group.commands.iter().for_each(|inner| self::command(inner, indent + 2, lines));
            return;
        }
        Command::Alert(alert) => {
            say(format!("Alert {} code {}", alert.cmd_id, alert.code));
            alert.items.iter().for_each(|one| lines.push(item(one, indent + 2)));
            return;
        }
        Command::Results(results) => {
            say(format!("Results {} for command {}", results.cmd_id, results.cmd_ref));
            results.items.iter().for_each(|one| lines.push(item(one, indent + 2)));
            return;
        }
        Command::Status(status) => {
            let about = status.target_refs.iter().chain(&status.source_refs).cloned().collect::<Vec<_>>();
            say(format!("Status {} for {} {} {}", status.code, status.cmd, status.cmd_ref, about.join(", ")));
            return;
        }
        Command::Unknown { name, .. } => return say(format!("{name} (unknown)")),
    };
    say(format!("{name} {}", request.cmd_id));
    request.items.iter().for_each(|one| lines.push(item(one, indent + 2)));
}

fn item(item: &Item, indent: usize) -> String {
    let places = [("", &item.target), ("from ", &item.source)];
    let named: Vec<_> = places
        .into_iter()
        .filter_map(|(word, place)| place.as_ref().map(|place| format!("{word}{}", place.uri)))
        .collect();
    let value = item.data.as_ref().map(|data| match data {
        Data::Text(text) | Data::Markup(text) => format!(" = {:?}", short(text)),
        Data::Binary(octets) => format!(" = {} octets", octets.len()),
    });
    let line = format!("{}{}", named.join(" "), value.unwrap_or_default());
    format!("{}{}", " ".repeat(indent), text::terminal(&line))
}

fn short(text: &str) -> String {
    if text.chars().count() <= VALUE {
        return text.to_owned();
    }
    let cut: String = text.chars().take(VALUE).collect();
    format!("{cut}… ({} characters)", text.chars().count())
}
