//! `posternctl device tree …`: what is known of a device's management tree, read anew, compared.

use std::time::Duration;

use clap::Args;
use postern_api::trees::{
    ReadTree, ReadingQuery, Tree, TreeDiff, TreeDiffQuery, TreeNode, TreeQuery, TreeReading, TreeSnapshot,
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    time,
};

/// Seconds that one request waits for the end of a reading.
const POLL_SECONDS: u32 = 30;

/// Arguments of `device tree`.
#[derive(Debug, Args)]
pub struct Show {
    /// An enrolment's id, a DevId or a name.
    pub device: String,
    /// The node; the root when absent.
    pub uri: Option<String>,
    /// Read the node and the names below it from the device; without this or the next two, what is known is shown.
    #[arg(long)]
    pub read: bool,
    /// Read everything below the node: by TNDS where the device can, else StructData, else node by node.
    #[arg(long, conflicts_with = "depth")]
    pub whole: bool,
    /// Read so many levels, 1 to 64.
    #[arg(long, value_name = "N")]
    pub depth: Option<u32>,
    /// Wait until the device has told, then show it; exit code 1 unless it did.
    #[arg(long)]
    pub wait: bool,
    /// Show what is different: between the newest snapshot and the one before, or as --from and --to say.
    #[arg(long)]
    pub diff: bool,
    /// With --diff: the older snapshot.
    #[arg(long, value_name = "ID", requires = "diff")]
    pub from: Option<Uuid>,
    /// With --diff: the newer snapshot.
    #[arg(long, value_name = "ID", requires = "diff")]
    pub to: Option<Uuid>,
    /// List the snapshots that are kept.
    #[arg(long, conflicts_with_all = ["read", "whole", "depth", "diff", "wait"])]
    pub snapshots: bool,
    /// Show this snapshot alone.
    #[arg(long, value_name = "ID", conflicts_with_all = ["read", "whole", "depth", "diff", "snapshots"])]
    pub snapshot: Option<Uuid>,
    /// Show how far this reading is; with --wait, when it has ended.
    #[arg(long, value_name = "ID", conflicts_with_all = ["read", "whole", "depth", "diff", "snapshots", "snapshot"])]
    pub reading: Option<Uuid>,
    /// Show properties beside the values: ACL, Title, Size, TStamp, VerNo.
    #[arg(long)]
    pub properties: bool,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

/// What JSON tells of a reading that was not waited for.
#[derive(Serialize)]
struct Begun {
    reading: TreeReading,
}

impl Show {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        if self.snapshots {
            let snapshots: Vec<TreeSnapshot> =
                client.list(&["devices", &self.device, "tree", "snapshots"], &(), None).await?;
            output.answer(&snapshots, |snapshots| listed(snapshots))?;
            return Ok(Exit::Done);
        }
        if let Some(id) = self.reading {
            let path = ["devices", &self.device, "tree", "readings", &id.to_string()];
            let mut reading: TreeReading = client.get(&path, &ReadingQuery::default()).await?;
            if self.wait {
                reading = self.ended(client, reading).await?;
            }
            output.answer(&reading, said)?;
            return Ok(if reading.state == "failed" { Exit::Refused } else { Exit::Done });
        }
        let reads = self.read || self.whole || self.depth.is_some();
        if reads {
            let reading = self.begin(client).await?;
            if !self.wait {
                output.answer(&Begun { reading }, |begun| said(&begun.reading))?;
                return Ok(Exit::Done);
            }
            output.remark(&said(&reading));
            let ended = self.ended(client, reading).await?;
            if ended.snapshot.is_none() {
                let sentence = format!("the tree could not be read: {}", ended.cause);
                return Err(Failure::new(Exit::Refused, "tree-not-read", sentence));
            }
            output.remark(&said(&ended));
        } else if self.wait {
            return Err(Failure::usage("--wait goes with --read, --whole or --depth"));
        }
        if self.diff {
            let query = TreeDiffQuery { uri: self.uri.clone(), from: self.from, to: self.to };
            let diff: TreeDiff = client.get(&["devices", &self.device, "tree", "diff"], &query).await?;
            output.answer(&diff, compared)?;
            return Ok(Exit::Done);
        }
        let query = TreeQuery { uri: self.uri.clone(), snapshot: self.snapshot };
        let tree: Tree = client.get(&["devices", &self.device, "tree"], &query).await?;
        output.answer(&tree, |tree| shown(tree, self.properties))?;
        if tree.nodes.is_empty() {
            output.remark("nothing is known of it yet: read it with --read, --whole or --depth");
        }
        Ok(Exit::Done)
    }

    async fn begin(&self, client: &Client) -> Result<TreeReading, Failure> {
        let body = ReadTree {
            uri: self.uri.clone(),
            whole: self.whole,
            levels: self.depth,
            reason: self.reason.clone(),
        };
        client.post(&["devices", &self.device, "tree"], &body).await
    }

    async fn ended(&self, client: &Client, begun: TreeReading) -> Result<TreeReading, Failure> {
        let (mut reading, id) = (begun.clone(), begun.id.to_string());
        while reading.state == "open" {
            let query = ReadingQuery { wait: Some(POLL_SECONDS) };
            let wait = Duration::from_secs(u64::from(POLL_SECONDS));
            let path = ["devices", &self.device, "tree", "readings", &id];
            reading = client.poll(&path, &query, wait).await?;
        }
        Ok(reading)
    }
}

fn said(reading: &TreeReading) -> String {
    format!("reading {} of {}: {}, {}", reading.id, reading.uri, reading.state, reading.cause)
}

fn listed(snapshots: &[TreeSnapshot]) -> String {
    output::table(
        ["ID", "NODE", "WHOLE", "NODES", "OCTETS", "TAKEN"],
        snapshots.iter().map(|snapshot| {
            [
                snapshot.id.to_string(),
                snapshot.uri.clone(),
                if snapshot.whole { "yes" } else { "no" }.to_owned(),
                snapshot.nodes.to_string(),
                snapshot.octets.to_string(),
                time::short(snapshot.at),
            ]
        }),
    )
}

fn shown(tree: &Tree, properties: bool) -> String {
    let base = depth(&tree.uri);
    let rows = tree.nodes.iter().map(|node| {
        let name = node.uri.rsplit('/').next().unwrap_or_default();
        let indent = "  ".repeat(depth(&node.uri).saturating_sub(base));
        [
            format!("{indent}{name}"),
            or_dash(node.format.as_ref()),
            value(node, properties),
            node.at.map_or_else(|| "-".to_owned(), time::short),
        ]
    });
    output::table(["NODE", "FORMAT", "VALUE", "TOLD"], rows)
}

fn depth(uri: &str) -> usize {
    uri.matches('/').count()
}

fn value(node: &TreeNode, properties: bool) -> String {
    let mut text = match (&node.value, &node.value_base64) {
        _ if node.secret => "(secret)".to_owned(),
        _ if node.too_long => "(too long to be kept)".to_owned(),
        (Some(text), _) => text.clone(),
        (None, Some(base64)) => format!("base64 {base64}"),
        (None, None) => match (node.refused, node.format.as_deref(), &node.type_) {
            (Some(status), ..) => format!("(refused: {status})"),
            (None, Some("node"), Some(id)) => id.clone(),
            _ => String::new(),
        },
    };
    if properties {
        let all = [
            ("ACL", &node.acl),
            ("Title", &node.title),
            ("Size", &node.size),
            ("TStamp", &node.t_stamp),
            ("VerNo", &node.ver_no),
        ];
        for (name, property) in all {
            if let Some(property) = property {
                text = format!("{text} [{name} {property}]");
            }
        }
    }
    text
}

fn compared(diff: &TreeDiff) -> String {
    let rows = diff.changes.iter().map(|change| {
        [
            change.kind.clone(),
            change.uri.clone(),
            or_dash(change.what.as_ref()),
            or_dash(change.before.as_ref()),
            or_dash(change.after.as_ref()),
        ]
    });
    let when = |snapshot: &TreeSnapshot| format!("{} of {}", time::short(snapshot.at), snapshot.uri);
    let head = format!("from {} to {}", when(&diff.from), when(&diff.to));
    format!("{head}\n{}", output::table(["CHANGE", "NODE", "WHAT", "BEFORE", "AFTER"], rows))
}
