//! `posternctl policy …` over the admin API: documents applied from files, compared, listed, brought back
//! (docs/POLICY.md, "Policy documents").

mod answers;
mod apply;
pub(crate) mod files;
mod held;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_api::policy::{PolicyDocument, PolicyDocumentDetail, PolicyVersion};

use self::apply::Apply;
use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with policy on a server.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Apply policy documents: all or none; what says the same as before makes no version.
    Apply(Apply),
    /// Say what applying documents would change. Exit code 0 nothing, 1 something, 2 a document that cannot be.
    Diff(Files),
    /// Say why a device is to be as it is: GPOs and documents on the way, who wins, who loses, how each setting stands.
    Explain {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// Only this one: a node, a setting's name, or the end of a registry setting.
        setting: Option<String>,
    },
    /// Say what would be another on a device. Touches nothing.
    WhatIf(answers::WhatIf),
    /// Say what policy sets otherwise on two devices, and who says so.
    Compare {
        /// A device.
        one: String,
        /// Another.
        other: String,
    },
    /// Show the change that waits until somebody agrees, setting by setting.
    Held {
        /// Only this one: its id, or that of its request.
        id: Option<uuid::Uuid>,
    },
    /// List policy documents.
    List {
        /// Also those that were taken away.
        #[arg(long)]
        removed: bool,
    },
    /// Show a policy document as YAML, ready to be applied again.
    #[command(disable_version_flag = true)]
    Show {
        /// Its name.
        document: String,
        /// One of its versions; without it the newest.
        #[arg(long = "version", value_name = "NUMBER")]
        number: Option<u64>,
    },
    /// List the versions of a policy document, the newest first.
    History {
        /// Its name.
        document: String,
    },
    /// Bring back an earlier version of a policy document, as a new version.
    Rollback {
        /// Its name.
        document: String,
        /// Which version; without it the one before the newest.
        #[arg(long, value_name = "NUMBER")]
        to: Option<u64>,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Files of documents.
#[derive(Debug, Args)]
pub struct Files {
    /// A file of documents in YAML or JSON, or a folder of them with all below it; `-` is stdin. May be given several times.
    #[arg(short = 'f', long = "file", required = true, value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
    /// Also take away every document that is in none of the files.
    #[arg(long)]
    pub prune: bool,
    /// Refuse documents that name a node which no description and no table knows. Without it: a warning.
    #[arg(long)]
    pub refuse_unknown: bool,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Apply(apply) => return apply.run(client, output).await,
            Self::Diff(files) => return apply::diff(&files, client, output).await,
            Self::Explain { device, setting } => {
                return answers::explain(&device, setting.as_deref(), client, output).await;
            }
            Self::WhatIf(what_if) => return what_if.run(client, output).await,
            Self::Compare { one, other } => return answers::compare(&one, &other, client, output).await,
            Self::Held { id } => return held::held(id, client, output).await,
            Self::List { removed } => {
                let query = serde_json::json!({ "removed": removed.then_some(true) });
                let documents: Vec<PolicyDocument> =
                    client.list(&["policy", "documents"], &query, None).await?;
                output.answer(&documents, |documents| listed(documents))?;
            }
            Self::Show { document, number: None } => {
                let detail: PolicyDocumentDetail =
                    client.get(&["policy", "documents", &document], &()).await?;
                output.answer(&detail, |detail| {
                    let state = if detail.document.removed { ", taken away" } else { "" };
                    let head = &detail.document;
                    yaml(head.version, state, &head.changed_by, time::short(head.changed_at), &detail.text)
                })?;
            }
            Self::Show { document, number: Some(number) } => {
                let path = ["policy", "documents", &document, "versions", &number.to_string()];
                let version: PolicyVersion = client.get(&path, &()).await?;
                output.answer(&version, |version| {
                    let state = if version.removed { ", taken away" } else { "" };
                    let text = version.text.as_deref().unwrap_or_default();
                    yaml(version.version, state, &version.set_by, time::short(version.at), text)
                })?;
            }
            Self::History { document } => {
                let path = ["policy", "documents", &document, "versions"];
                let versions: Vec<PolicyVersion> = client.list(&path, &(), None).await?;
                output.answer(&versions, |versions| history(versions))?;
            }
            Self::Rollback { document, to, reason } => {
                return apply::roll_back(&document, to, reason, client, output).await;
            }
        }
        Ok(Exit::Done)
    }
}

/// The document with what is beside it as a remark: what is printed can be applied.
fn yaml(version: u64, state: &str, by: &str, at: String, document: &str) -> String {
    let lines: Vec<_> = document.lines().map(text::terminal).collect();
    format!("# version {version}{state}, {} at {at}\n{}", text::terminal(by), lines.join("\n"))
}

fn listed(documents: &[PolicyDocument]) -> String {
    output::table(
        ["DOCUMENT", "VERSION", "SETTINGS", "GROUPS", "CHANGED", "BY", "DESCRIPTION"],
        documents.iter().map(|document| {
            let groups = document.assignments.iter().map(|assignment| {
                let enforced = if assignment.enforced { " enforced" } else { "" };
                format!("{} ({}{enforced})", assignment.group, assignment.order)
            });
            let groups = groups.collect::<Vec<_>>().join(", ");
            [
                document.name.clone(),
                document.version.to_string(),
                if document.removed { "taken away".to_owned() } else { document.settings.to_string() },
                if groups.is_empty() { "-".to_owned() } else { groups },
                time::short(document.changed_at),
                document.changed_by.clone(),
                document.description.clone(),
            ]
        }),
    )
}

fn history(versions: &[PolicyVersion]) -> String {
    output::table(
        ["VERSION", "AT", "BY", "WHAT", "SHA-256", "REASON"],
        versions.iter().map(|version| {
            let what = match (version.removed, version.of_version) {
                (true, _) => "taken away".to_owned(),
                (false, Some(of)) => format!("version {of} brought back"),
                (false, None) => "applied".to_owned(),
            };
            [
                version.version.to_string(),
                time::short(version.at),
                version.set_by.clone(),
                what,
                version.sha256.chars().take(12).collect(),
                or_dash(version.reason.as_ref()),
            ]
        }),
    )
}
