//! `policy apply`, `diff` and `rollback`.

use postern_api::policy::{ApplyPolicies, PolicyDocumentDetail, PolicyPlan, RollBackPolicy, UnknownNodes};

use super::{Files, files};
use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::Output,
    text,
};

/// What is applied, and how.
#[derive(Debug, clap::Args)]
pub struct Apply {
    #[command(flatten)]
    files: Files,
    /// Only say what would change, and on how many devices.
    #[arg(long)]
    dry_run: bool,
    /// Why; stands with each version and in the audit log.
    #[arg(long)]
    reason: Option<String>,
}

impl Apply {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let body = body(&self.files, self.reason)?;
        let plan: PolicyPlan = client.post(&["policy", "plan"], &body).await?;
        if self.dry_run || !changes(&plan) {
            output.answer(&plan, told)?;
            return Ok(Exit::Done);
        }
        // What was planned is what is done: the server refuses when a document changed in between.
        let etag = format!("\"{}\"", plan.revision);
        let done: PolicyPlan = client.post_at(&["policy", "apply"], &etag, &body).await?;
        output.answer(&done, told)?;
        Ok(Exit::Done)
    }
}

pub(super) async fn diff(files: &Files, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let plan: PolicyPlan = client.post(&["policy", "plan"], &body(files, None)?).await?;
    output.answer(&plan, told)?;
    Ok(if changes(&plan) { Exit::Refused } else { Exit::Done })
}

pub(super) async fn roll_back(
    document: &str,
    version: Option<u64>,
    reason: Option<String>,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let path = ["policy", "documents", document];
    let read = client.get_versioned::<PolicyDocumentDetail>(&path).await?;
    let body = RollBackPolicy { version, reason };
    let path = ["policy", "documents", document, "rollback"];
    let done: PolicyPlan = client.post_at(&path, &read.etag, &body).await?;
    output.answer(&done, told)?;
    Ok(Exit::Done)
}

fn body(files: &Files, reason: Option<String>) -> Result<ApplyPolicies, Failure> {
    Ok(ApplyPolicies {
        files: files::gather(&files.files)?,
        prune: files.prune,
        unknown_nodes: if files.refuse_unknown { UnknownNodes::Refuse } else { UnknownNodes::Warn },
        reason,
    })
}

fn changes(plan: &PolicyPlan) -> bool {
    plan.changes.iter().any(|change| change.action != "unchanged")
}

/// For people: a line for each document and each difference, as a diff has them.
fn told(plan: &PolicyPlan) -> String {
    let mut lines = Vec::new();
    for change in &plan.changes {
        let verb = match (plan.applied, change.action.as_str()) {
            (_, "unchanged") => "is unchanged",
            (true, "create") => "was created",
            (true, "change") => "was changed",
            (true, _) => "was taken away",
            (false, "create") => "would be created",
            (false, "change") => "would be changed",
            (false, _) => "would be taken away",
        };
        let devices = match (change.action.as_str(), change.devices) {
            ("unchanged", _) => String::new(),
            (_, 1) => ": 1 device".to_owned(),
            (_, devices) => format!(": {devices} devices"),
        };
        lines.push(format!("{} {verb} (version {}){devices}", change.name, change.version));
        for difference in &change.differences {
            lines.push(match difference.kind.as_str() {
                "add" => format!("  + {}: {}", difference.what, difference.after),
                "remove" => format!("  - {}: {}", difference.what, difference.before),
                _ => format!("  ~ {}: {} -> {}", difference.what, difference.before, difference.after),
            });
        }
    }
    for warning in &plan.warnings {
        lines.push(format!("warning: {}: {}", warning.at, warning.detail));
    }
    lines.push(match (plan.applied, changes(plan)) {
        (_, false) => "nothing to change".to_owned(),
        (true, true) => format!("{} devices get other values than before", plan.devices),
        (false, true) => {
            format!("{} devices would get other values than before; nothing was changed", plan.devices)
        }
    });
    lines.iter().map(|line| text::terminal(line).into_owned()).collect::<Vec<_>>().join("\n")
}
