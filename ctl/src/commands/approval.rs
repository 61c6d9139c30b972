//! `posternctl approval …`: requests that somebody else has to agree to.

use clap::Subcommand;
use postern_api::approvals::{Approval, ApprovalQuery, Approve, Reject};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with requests.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List requests that wait, the newest first.
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
        /// Most requests wanted.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show a request: what exactly it asks for, of which devices, and its hash.
    Show {
        /// The request's id.
        approval: String,
    },
    /// Agree to a request that another made.
    Approve {
        /// The request's id.
        approval: String,
        /// The hash that `approval show` told: what was looked at is what is approved.
        #[arg(long)]
        hash: String,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Refuse a request, or take your own back.
    Reject {
        /// The request's id.
        approval: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List { all, limit } => {
                let state = (!all).then(|| "waiting".to_owned());
                let query = ApprovalQuery { state, limit: None, cursor: None };
                let requests: Vec<Approval> = client.list(&["approvals"], &query, Some(limit)).await?;
                output.answer(&requests, |requests| listed(requests))?;
            }
            Self::Show { approval } => {
                let request: Approval = client.get(&["approvals", &approval], &()).await?;
                output.answer(&request, shown)?;
            }
            Self::Approve { approval, hash, reason } => {
                let body = Approve { hash, reason };
                let request: Approval = client.post(&["approvals", &approval, "approve"], &body).await?;
                output.answer(&request, what_now)?;
            }
            Self::Reject { approval, reason } => {
                let body = Reject { reason };
                let request: Approval = client.post(&["approvals", &approval, "reject"], &body).await?;
                output.answer(&request, what_now)?;
            }
        }
        Ok(Exit::Done)
    }
}

fn listed(requests: &[Approval]) -> String {
    output::table(
        ["REQUEST", "KIND", "STATE", "BY", "DEVICES", "ASKED", "EXPIRES", "REASON"],
        requests.iter().map(|request| {
            [
                request.id.to_string(),
                request.kind.clone(),
                request.state.clone(),
                request.requester.clone(),
                request.device_count.to_string(),
                time::short(request.created_at),
                time::short(request.expires_at),
                request.reason.clone(),
            ]
        }),
    )
}

fn shown(request: &Approval) -> String {
    let devices = output::table(
        ["DEVICE", "GENERATION", "NAME", "OWNER"],
        request.devices.iter().map(|device| {
            [
                device.id.to_string(),
                device.generation.to_string(),
                device.name.clone(),
                or_dash(device.owner.clone()),
            ]
        }),
    );
    format!(
        "request {}: {} of {} devices\nstate: {}\nasked by: {}, {}\nreason: {}\nexactly: {}\nexpires: {}\ncooling-off: {} s\nhash: {}\n{devices}",
        request.id,
        request.kind,
        request.device_count,
        what_now(request),
        text::terminal(&request.requester),
        time::short(request.created_at),
        text::terminal(&request.reason),
        text::terminal(&request.settings.to_string()),
        time::short(request.expires_at),
        request.cooling_s,
        request.hash,
    )
}

fn what_now(request: &Approval) -> String {
    match request.state.as_str() {
        "waiting" => match request.alone_from {
            Some(from) => {
                format!("waiting; nobody else may approve, so who asked may from {}", time::short(from))
            }
            None => "waiting for somebody who may approve and did not ask for it".to_owned(),
        },
        "cooling" => {
            format!(
                "agreed to; it begins at {} unless it is rejected",
                or_dash(request.begins_at.map(time::short))
            )
        }
        "granted" => format!(
            "agreed to; {} carries it out by asking again before {}",
            text::terminal(&request.requester),
            time::short(request.expires_at)
        ),
        state => {
            format!("{state} ({})", or_dash(request.because.as_deref().map(text::terminal).map(String::from)))
        }
    }
}
