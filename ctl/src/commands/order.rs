//! `posternctl device command`: DM commands for a device, from the command line or a file.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, ValueEnum};
use postern_api::commands::{CommandSpec, Operation, QueueCommands};
use postern_wire::terms::{Lane, Verb};

use super::command;
use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::Output,
};

/// Arguments of `device command`.
#[derive(Debug, Args)]
pub struct Queue {
    /// An enrolment's id, a DevId or a name.
    pub device: String,
    /// What to do.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub verb: Option<VerbName>,
    /// The node: a management tree URI such as ./DevDetail/SwV. With copy: where to.
    #[arg(required_unless_present = "file")]
    pub uri: Option<String>,
    /// With copy: where from.
    #[arg(long, value_name = "URI", required_if_eq("verb", "copy"))]
    pub source: Option<String>,
    /// The value, as text (in base64 with `--format b64`).
    #[arg(long)]
    pub data: Option<String>,
    /// A file that holds the value: text as it is, other octets in base64 with format b64.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub data_file: Option<PathBuf>,
    /// The value's format: chr, int, bool, bin, b64, xml, node, null, date, time, float. Without it, what the node's
    /// description says, else chr.
    #[arg(long)]
    pub format: Option<String>,
    /// The value's media type.
    #[arg(long = "type", value_name = "TYPE")]
    pub type_: Option<String>,
    /// SyncML commands in XML instead of VERB and URI: a SyncBody, a whole message, or the commands alone. `-` is stdin.
    #[arg(long, value_name = "XML", conflicts_with_all = ["uri", "source", "data", "data_file", "format", "type_"])]
    pub file: Option<PathBuf>,
    /// Queue it even if the description of its node forbids it; a permission of its own.
    #[arg(long)]
    pub force: bool,
    /// How soon: urgent, normal or background.
    #[arg(long)]
    pub lane: Option<Lane>,
    /// Not sent after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<postern_api::Time>,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
    /// Wait until every command is finished; exit code 1 unless all succeeded.
    #[arg(long)]
    pub wait: bool,
}

/// The verbs, as clap lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the verbs of wire's terms, which documents them")]
pub enum VerbName {
    Get,
    Add,
    Replace,
    Delete,
    Exec,
    Copy,
}

impl From<VerbName> for Verb {
    fn from(verb: VerbName) -> Self {
        match verb {
            VerbName::Get => Self::Get,
            VerbName::Add => Self::Add,
            VerbName::Replace => Self::Replace,
            VerbName::Delete => Self::Delete,
            VerbName::Exec => Self::Exec,
            VerbName::Copy => Self::Copy,
        }
    }
}

impl Queue {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let (device, wait) = (self.device.clone(), self.wait);
        let operation: Operation = client.post(&["devices", &device, "commands"], &self.body()?).await?;
        if !wait {
            output.answer(&operation, queued)?;
            return Ok(Exit::Done);
        }
        output.remark(&queued(&operation));
        command::wait_for(client, operation.commands, output).await
    }

    fn body(self) -> Result<QueueCommands, Failure> {
        let mut body = QueueCommands {
            force: self.force,
            lane: self.lane,
            deadline: self.deadline,
            reason: self.reason,
            ..Default::default()
        };
        if let Some(path) = self.file {
            body.syncml = Some(files::text(&path)?);
            return Ok(body);
        }
        let (Some(verb), Some(uri)) = (self.verb, self.uri) else {
            return Err(Failure::usage("give VERB and URI, or --file XML"));
        };
        let (data, format) = match self.data_file {
            Some(path) => of_file(files::octets(&path)?, self.format),
            None => (self.data, self.format),
        };
        body.commands.push(CommandSpec {
            verb: verb.into(),
            uri,
            source: self.source,
            data,
            format,
            type_: self.type_,
        });
        Ok(body)
    }
}

/// A file's value: text as it is; octets that no message can carry as text go as base64 of format b64.
fn of_file(octets: Vec<u8>, format: Option<String>) -> (Option<String>, Option<String>) {
    let carried = |text: &str| !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'));
    match String::from_utf8(octets) {
        Ok(text) if carried(&text) => (Some(text), format),
        Ok(text) => (Some(STANDARD.encode(text)), Some("b64".to_owned())),
        Err(error) => (Some(STANDARD.encode(error.as_bytes())), Some("b64".to_owned())),
    }
}

fn queued(operation: &Operation) -> String {
    let mut text = format!("queued as operation {}", operation.id);
    for command in &operation.commands {
        text = format!("{text}\n  {} {}", command.id, command::what(command));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_text_goes_as_it_is_and_any_other_in_base64() {
        assert_eq!(of_file(b"one\n".to_vec(), None), (Some("one\n".to_owned()), None));
        for octets in [&b"\xff\x00"[..], b"a\0b"] {
            let (data, format) = of_file(octets.to_vec(), Some("bin".to_owned()));
            assert_eq!(format.as_deref(), Some("b64"));
            assert_eq!(STANDARD.decode(data.unwrap()).unwrap(), octets);
        }
    }
}
