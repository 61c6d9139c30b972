//! `posternctl wipe …`: from an order to its proof; and `posternctl engine edges wipe`, the machine behind it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_api::wipes::{
    DecideWipe, RequestWipe, RequestedWipes, Wipe, WipeExplanation, WipeProof, WipeQuery,
};
use postern_engine::wipe::EDGES;
use postern_wire::terms::{WipeKind, WipeState};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash, or_empty},
    text, time,
};

/// What can be done with wipes.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Ask for the wipe of one device, or of many: all or none.
    Request(Request),
    /// Agree to a wipe that somebody else asked for.
    Approve(Decide),
    /// Take a wipe back that no device got.
    Cancel(Decide),
    /// Let a device off whose wipe is armed: two persons have to say so.
    Disarm(Decide),
    /// Show a wipe with its stamps.
    Show {
        /// The wipe's id, or a device: its newest one.
        wipe: String,
    },
    /// Tell where a wipe is, why, and what can be done.
    Explain {
        /// The wipe's id, or a device: its newest one.
        wipe: String,
    },
    /// Signed JSON: steps, raw status, the hash of what was said, its rows of the audit log up to a signed head.
    Proof(Proof),
    /// List wipes, the newest first; armed ones with their age.
    List {
        /// In this state: pending, armed, succeeded …
        #[arg(long)]
        state: Option<WipeState>,
        /// Of this device.
        #[arg(long)]
        device: Option<String>,
        /// Those that are not over.
        #[arg(long)]
        outstanding: bool,
        /// Most items wanted.
        #[arg(long)]
        limit: Option<usize>,
    },
}

/// Arguments of `wipe request`.
#[derive(Debug, Args)]
pub struct Request {
    /// Devices, each by an enrolment's id, DevId, name, hardware id, certificate's serial number, or owner.
    #[arg(required = true)]
    pub devices: Vec<String>,
    /// full, keep-user-data, keep-provisioning, protected or selective. There is no default.
    #[arg(long)]
    pub kind: WipeKind,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: String,
    /// Lost or stolen: mail to the owner waits until it is done.
    #[arg(long)]
    pub lost: bool,
    /// Only say what would be hit, and how.
    #[arg(long)]
    pub dry_run: bool,
    /// In spite of a freeze. Told loudly.
    #[arg(long)]
    pub break_glass: bool,
}

/// Arguments of `wipe approve`, `wipe cancel` and `wipe disarm`.
#[derive(Debug, Args)]
pub struct Decide {
    /// The wipe's id, or a device: its newest one.
    pub wipe: String,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

/// Arguments of `wipe proof`.
#[derive(Debug, Args)]
pub struct Proof {
    /// The wipe's id, or a device: its newest one.
    pub wipe: String,
    /// Write it to this new file instead of stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Check it by the audit key's public part that was kept aside (PEM). Exit code 1 when it does not hold.
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Request(request) => request.run(client, output).await?,
            Self::Approve(decide) => decide.run("approve", client, output).await?,
            Self::Cancel(decide) => decide.run("cancel", client, output).await?,
            Self::Disarm(decide) => decide.run("disarm", client, output).await?,
            Self::Show { wipe } => {
                let wipe: Wipe = client.get(&["wipes", &wipe], &()).await?;
                output.answer(&wipe, shown)?;
            }
            Self::Explain { wipe } => {
                let explained: WipeExplanation = client.get(&["wipes", &wipe, "explanation"], &()).await?;
                output.answer(&explained, explanation)?;
            }
            Self::Proof(proof) => return proof.run(client, output).await,
            Self::List { state, device, outstanding, limit } => {
                let outstanding = outstanding.then_some(true);
                let query = WipeQuery { state, device, outstanding, ..Default::default() };
                let wipes: Vec<Wipe> = client.list(&["wipes"], &query, limit).await?;
                output.answer(&wipes, |wipes| listed(wipes))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Request {
    async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let body = RequestWipe {
            devices: self.devices,
            kind: self.kind,
            reason: self.reason,
            lost: self.lost,
            dry_run: self.dry_run,
            break_glass: self.break_glass,
        };
        let asked: RequestedWipes = client.post(&["wipes"], &body).await?;
        output.answer(&asked, |asked| {
            let head = match (asked.dry_run, asked.approval) {
                (true, _) => "This would be asked for; nothing was done.".to_owned(),
                (false, Some(approval)) => {
                    format!(
                        "A second person has to agree: posternctl wipe approve WIPE (approval {approval})"
                    )
                }
                (false, None) => "Asked for; `posternctl wipe explain WIPE` tells where it is.".to_owned(),
            };
            format!("{head}\n\n{}", listed(&asked.wipes))
        })
    }
}

impl Decide {
    async fn run(self, word: &str, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let body = DecideWipe { reason: self.reason };
        let wipe: Wipe = client.post(&["wipes", &self.wipe, word], &body).await?;
        output.answer(&wipe, |wipe| match (word, wipe.state) {
            ("disarm", WipeState::Armed | WipeState::InDoubt) => {
                format!("Noted; another person has to say so too.\n\n{}", shown(wipe))
            }
            _ => shown(wipe),
        })
    }
}

impl Proof {
    async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let proof: WipeProof = client.get(&["wipes", &self.wipe, "proof"], &()).await?;
        let faults = match &self.public_key {
            Some(path) => proof.faults(&files::text(path)?),
            None => Vec::new(),
        };
        let json = serde_json::to_string_pretty(&proof)
            .map_err(|error| Failure::new(Exit::Refused, "internal", error.to_string()))?;
        match &self.out {
            Some(path) => {
                files::write_secret(path, format!("{json}\n").as_bytes())?;
                output.remark(&format!("the proof is in {}", path.display()));
            }
            None => output.octets(format!("{}\n", text::json(&json)).as_bytes())?,
        }
        output.remark(&proof.document.claim);
        for fault in &faults {
            output.remark(&format!("does not hold: {fault}"));
        }
        match (self.public_key.is_some(), faults.is_empty()) {
            (_, false) => Ok(Exit::Refused),
            (true, true) => {
                output.remark("it holds by this key");
                Ok(Exit::Done)
            }
            (false, true) => Ok(Exit::Done),
        }
    }
}

/// What is asked of the engine, offline.
#[derive(Debug, Subcommand)]
pub enum Engine {
    /// Every transition of a machine.
    Edges {
        /// The machine: wipe.
        machine: Machine,
    },
}

/// A machine that prints its transitions.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Machine {
    /// The life of a wipe.
    Wipe,
}

impl Engine {
    /// Does it; needs no core.
    pub fn run(&self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let Self::Edges { machine: Machine::Wipe } = self;
        let edges = postern_engine::wipe::edges_json();
        output.answer(&edges, |_| {
            output::table(
                ["FROM", "EVENT", "WHEN", "TO"],
                EDGES.iter().map(|edge| {
                    [
                        edge.from.to_string(),
                        edge.event.as_str().to_owned(),
                        edge.when.as_str().to_owned(),
                        edge.to.to_string(),
                    ]
                }),
            )
        })?;
        Ok(Exit::Done)
    }
}

fn listed(wipes: &[Wipe]) -> String {
    output::table(
        ["ID", "DEVICE", "KIND", "STATE", "TRIES", "STATUS", "ARMED FOR", "BY", "REQUESTED", "CAUSE"],
        wipes.iter().map(|wipe| {
            [
                wipe.id.to_string(),
                wipe.device_id.clone(),
                wipe.kind.to_string(),
                wipe.state.to_string(),
                wipe.tries.to_string(),
                or_dash(wipe.status),
                or_dash(wipe.armed_age_s.map(|s| format!("{s}s"))),
                wipe.requested_by.clone(),
                time::short(wipe.requested),
                wipe.cause.clone(),
            ]
        }),
    )
}

fn shown(wipe: &Wipe) -> String {
    let stamps = wipe.stamps.clone().unwrap_or_default();
    let at = |stamp: Option<postern_api::Time>| or_empty(stamp.map(time::short));
    let awaits: Vec<_> = wipe.awaits.iter().map(ToString::to_string).collect();
    let gateways: Vec<_> = stamps
        .gateways
        .iter()
        .map(|stamp| format!("{} {} {}", stamp.gateway, stamp.verdict, time::short(stamp.at)))
        .collect();
    let retried: Vec<_> = stamps.retried.iter().map(|at| time::short(*at)).collect();
    output::fields([
        ("id", wipe.id.to_string()),
        ("device", format!("{} ({}, generation {})", wipe.device_id, wipe.enrolment, wipe.generation)),
        ("kind", format!("{} by {}", wipe.kind, wipe.way)),
        ("state", format!("{} ({})", wipe.state, wipe.cause)),
        ("evidence", or_empty(wipe.evidence)),
        ("evidence that counts", awaits.join(" or ")),
        ("device's status", or_empty(wipe.status)),
        ("tries", wipe.tries.to_string()),
        ("asked for", format!("{} by {}", time::short(wipe.requested), wipe.requested_by)),
        ("because", wipe.reason.clone()),
        ("expires", at(wipe.expires)),
        ("let pass", at(stamps.approved)),
        ("alerts", format!("{} {} {}", stamps.alerts, at(stamps.alert_first), at(stamps.alert_last))),
        ("delivered", at(stamps.delivered)),
        ("device acknowledged", at(stamps.device_ack)),
        ("tries that failed", retried.join(", ")),
        ("armed", at(wipe.armed)),
        ("armed for", or_empty(wipe.armed_age_s.map(|s| format!("{s} s")))),
        ("ended", at(stamps.ended)),
        ("revoked", at(stamps.revoked)),
        ("gateways", gateways.join(", ")),
    ])
}

fn explanation(explained: &WipeExplanation) -> String {
    let steps = output::table(
        ["AT", "EVENT", "STATE", "STATUS", "AUDIT", "BY", "CAUSE"],
        explained.steps.iter().map(|step| {
            [
                time::short(step.at),
                step.event.clone(),
                step.state.to_string(),
                or_dash(step.status),
                step.audit.to_string(),
                step.actor.clone(),
                step.cause.clone(),
            ]
        }),
    );
    let lines = |lines: &[String]| {
        lines.iter().map(|line| text::terminal(line).into_owned()).collect::<Vec<_>>().join("\n")
    };
    let possible = match explained.possible.is_empty() {
        true => String::new(),
        false => format!("\n\nWhat can be done:\n{}", lines(&explained.possible)),
    };
    format!("{}{possible}\n\n{steps}", lines(&explained.findings))
}
