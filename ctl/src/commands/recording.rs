//! `posternctl session save` and `session replay`: recorded sessions as files, and those through the engine.

use std::path::PathBuf;

use clap::Args;
use postern_api::sessions::RecordedSession;
use postern_engine::transcript::Transcript;
use serde::Serialize;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output},
    text, time,
};

/// Which recording, and where to.
#[derive(Debug, Args)]
pub struct Save {
    /// An enrolment's id, a DevId or a name.
    device: String,
    /// The session's id; the newest recording when absent.
    #[arg(long, default_value = "latest")]
    session: String,
    /// The file to write; `-` is stdout.
    #[arg(short, long)]
    out: PathBuf,
}

impl Save {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let Self { device, session, out } = self;
        let transcript: Transcript = client.get(&["devices", &device, "recordings", &session], &()).await?;
        let octets = transcript
            .to_json()
            .map_err(|error| Failure::new(Exit::Refused, "internal", error.to_string()))?;
        if out.as_os_str() == "-" {
            return output.octets(&octets);
        }
        files::write_secret(&out, &octets)?;
        if let Some(unfaithful) = &transcript.unfaithful {
            output.remark(&format!("not as it had happened: {}", text::terminal(unfaithful)));
        }
        output.remark(&format!("{} messages are in {}", transcript.steps.len(), out.display()));
        Ok(())
    }
}

/// A table of recordings.
pub(super) fn listed(recorded: &[RecordedSession]) -> String {
    output::table(
        ["SESSION", "ENDED", "MESSAGES", "OCTETS"],
        recorded.iter().map(|session| {
            [
                session.session.to_string(),
                time::short(session.at),
                session.messages.to_string(),
                session.octets.to_string(),
            ]
        }),
    )
}

/// What came of one transcript.
#[derive(Debug, Serialize)]
struct Replayed {
    file: String,
    messages: usize,
    /// The first difference; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
}

/// Runs transcripts through the engine.
///
/// # Errors
/// A file that cannot be read, or is no transcript.
pub fn replay(paths: &[PathBuf], output: &mut Output<'_>) -> Result<Exit, Failure> {
    let mut all = Vec::new();
    for path in paths {
        let octets = files::octets(path)?;
        let transcript = Transcript::parse(&octets).map_err(|error| {
            Failure::new(Exit::Refused, "invalid-transcript", format!("{}: {error}", path.display()))
        })?;
        let difference = transcript.replay().err().map(|difference| difference.to_string());
        all.push(Replayed { file: path.display().to_string(), messages: transcript.steps.len(), difference });
    }
    let same = all.iter().all(|replayed| replayed.difference.is_none());
    output.answer(&all, |all| all.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    Ok(if same { Exit::Done } else { Exit::Refused })
}

fn line(replayed: &Replayed) -> String {
    let Replayed { file, messages, difference } = replayed;
    match difference {
        None => format!("{}: {messages} messages, no difference", text::terminal(file)),
        Some(difference) => {
            let lines: Vec<_> = difference.lines().map(text::terminal).collect();
            format!("{}: {}", text::terminal(file), lines.join("\n"))
        }
    }
}
