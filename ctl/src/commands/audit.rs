//! `posternctl audit …`: the audit log, and whether it still is what was signed.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use postern_api::audit::{AuditHead, AuditQuery, AuditRow, AuditVerified, VerifyAudit};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output},
    text, time,
};

/// Signed heads in one request: far below the core's limit of a request's octets.
const HEADS: usize = 1_000;

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
    /// By exactly this actor: `admin:NAME`, `service:NAME`, `device:ID`.
    #[arg(long)]
    pub actor: Option<String>,
    /// Exactly this action, or all that begin with it when it ends in a dot: `devices.`.
    #[arg(long)]
    pub action: Option<String>,
    /// Not before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub since: Option<postern_api::Time>,
    /// Before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub until: Option<postern_api::Time>,
    /// Most rows wanted.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List(List { object, actor, action, since, until, limit }) => {
                let query = AuditQuery { object, actor, action, since, until, limit: None, cursor: None };
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
                let key = public_key.map(|path| files::text(&path)).transpose()?;
                let mut verified: AuditVerified =
                    client.post(&["audit", "verify"], &VerifyAudit::default()).await?;
                if let Some(path) = anchor {
                    check_anchor(client, &path, &mut verified).await?;
                }
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

/// Has the heads of an anchor file checked, some at a time: the file may be of any length.
async fn check_anchor(client: &Client, path: &Path, verified: &mut AuditVerified) -> Result<(), Failure> {
    let mut lines = files::lines(path)?;
    let (mut at, mut any) = (0, false);
    loop {
        let some = heads(&mut lines, &mut at)?;
        if some.is_empty() {
            break;
        }
        any = true;
        let body = VerifyAudit { heads: some, heads_only: true };
        let checked: AuditVerified = client.post(&["audit", "verify"], &body).await?;
        verified.heads += checked.heads;
        verified.faults.extend(checked.faults);
    }
    if !any {
        return Err(Failure::invalid("anchor", "the anchor file holds no signed head"));
    }
    verified.ok = verified.faults.is_empty();
    Ok(())
}

/// The next heads of an anchor file, [`HEADS`] at most; empty lines are passed over.
fn heads(
    lines: &mut dyn Iterator<Item = Result<String, Failure>>,
    at: &mut usize,
) -> Result<Vec<AuditHead>, Failure> {
    let mut heads = Vec::new();
    for line in lines {
        let line = line?;
        *at += 1;
        if line.trim().is_empty() {
            continue;
        }
        let head = serde_json::from_str(&line)
            .map_err(|error| Failure::invalid("anchor", format!("line {at} is no signed head: {error}")))?;
        heads.push(head);
        if heads.len() == HEADS {
            break;
        }
    }
    Ok(heads)
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
        let read = |text: &str| {
            let lines: Vec<_> = text.lines().map(|line| Ok(line.to_owned())).collect();
            heads(&mut lines.into_iter(), &mut 0)
        };
        assert_eq!(read(&format!("{HEAD}\n\n{HEAD}\n")).unwrap().len(), 2);
        assert!(read(&format!("{HEAD}\nnonsense\n")).unwrap_err().sentence.starts_with("line 2 "));
        assert!(read("\n").unwrap().is_empty());
        let many = format!("{HEAD}\n").repeat(HEADS + 1);
        assert_eq!(read(&many).unwrap().len(), HEADS);
    }
}
