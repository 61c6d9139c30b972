//! `posternctl audit …`: the audit log, and whether it still is what was signed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_api::audit::{AuditHead, AuditQuery, AuditRow, AuditVerified, VerifyAudit};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output},
    text, time,
};

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the log, the newest first.
    List(List),
    /// Show the last signed head: what to keep elsewhere.
    Head,
    /// Recompute the chain and check it against signed heads that were kept elsewhere. Exit code 1 when it does not hold.
    Verify {
        /// Signed heads, one JSON object a line, as the core writes them to its anchor file. `-` is stdin.
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
        /// The audit key's public part in PEM, kept aside: the core must still name the same one.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
}

/// Arguments of `audit list`.
#[derive(Debug, Args)]
pub struct List {
    /// On exactly this object: `device:ID`, `group:ID`, `gateway:NAME` …
    #[arg(long)]
    pub object: Option<String>,
    /// Most rows wanted.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List(List { object, limit }) => {
                let query = AuditQuery { object, limit: None, cursor: None };
                let rows: Vec<AuditRow> = client.list(&["audit"], &query, Some(limit)).await?;
                output.answer(&rows, |rows| listed(rows))?;
                Ok(Exit::Done)
            }
            Self::Head => {
                let head: AuditHead = client.get(&["audit", "head"], &()).await?;
                output.answer(&head, |head| {
                    text::json(&serde_json::to_string(head).expect("a head serialises"))
                })?;
                Ok(Exit::Done)
            }
            Self::Verify { anchor, public_key } => {
                let heads = anchor.map(|path| heads(&files::text(&path)?)).transpose()?.unwrap_or_default();
                let key = public_key.map(|path| files::text(&path)).transpose()?;
                let verified: AuditVerified =
                    client.post(&["audit", "verify"], &VerifyAudit { heads }).await?;
                output.answer(&verified, shown)?;
                if key.is_some_and(|key| !same_pem(&key, &verified.public_key_pem)) {
                    let sentence = "the core's audit key is not the one that was kept aside";
                    return Err(Failure::new(Exit::Refused, "audit-key", sentence));
                }
                Ok(if verified.ok { Exit::Done } else { Exit::Refused })
            }
        }
    }
}

/// The heads of an anchor file; empty lines are passed over.
fn heads(text: &str) -> Result<Vec<AuditHead>, Failure> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let heads: Result<Vec<_>, _> = lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| {
                Failure::invalid("anchor", format!("line {} is no signed head: {error}", at + 1))
            })
        })
        .collect();
    match heads {
        Ok(heads) if heads.is_empty() => {
            Err(Failure::invalid("anchor", "the anchor file holds no signed head"))
        }
        heads => heads,
    }
}

fn same_pem(one: &str, other: &str) -> bool {
    let words = |pem: &str| pem.split_whitespace().collect::<String>();
    words(one) == words(other)
}

fn listed(rows: &[AuditRow]) -> String {
    output::table(
        ["SEQ", "WHEN", "ACTOR", "ACTION", "OBJECT", "DETAIL"],
        rows.iter().map(|row| {
            [
                row.seq.to_string(),
                time::short(row.at),
                row.actor.clone(),
                row.action.clone(),
                row.object.clone(),
                row.detail.clone(),
            ]
        }),
    )
}

fn shown(verified: &AuditVerified) -> String {
    let verdict = if verified.ok { "the audit log holds" } else { "THE AUDIT LOG DOES NOT HOLD" };
    let mut lines =
        format!("{verdict}: rows {} to {}, {} signed heads", verified.first, verified.last, verified.heads);
    for fault in &verified.faults {
        lines = format!(
            "{lines}\n  row {}: {}: {}",
            fault.seq,
            text::terminal(&fault.kind),
            text::terminal(&fault.detail)
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        r#"{"seq":7,"hash":"ab","at":"2026-11-21T21:05:00.000Z","signature":"c2ln","key":"0123"}"#;

    #[test]
    fn an_anchor_file_is_read_line_by_line_and_a_broken_line_is_named() {
        assert_eq!(heads(&format!("{HEAD}\n\n{HEAD}\n")).unwrap().len(), 2);
        assert!(heads(&format!("{HEAD}\nnonsense\n")).unwrap_err().sentence.starts_with("line 2 "));
        assert_eq!(heads("\n").unwrap_err().exit, Exit::Invalid);
    }
}
