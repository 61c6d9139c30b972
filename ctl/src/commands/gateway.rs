//! `posternctl gateway …`: gateways, their links, and the settings documents that the core sends them.

use std::path::PathBuf;

use clap::Subcommand;
use postern_api::gateways::{Gateway, GatewaySettings, PutGatewaySettings};
use reqwest::Method;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash, or_empty},
    time,
};

/// What can be done with gateways.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List gateways.
    List,
    /// Show a gateway: its link, what is in force there, its last figures.
    Show {
        /// Its name.
        gateway: String,
    },
    /// Show the settings document that a gateway is to have, or give it another.
    Settings {
        /// Its name.
        gateway: String,
        /// A JSON file: the whole new document. `-` is stdin.
        #[arg(long, value_name = "FILE")]
        set: Option<PathBuf>,
        /// Why; stands in the audit log.
        #[arg(long, requires = "set")]
        reason: Option<String>,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let gateways: Vec<Gateway> = client.list(&["gateways"], &(), None).await?;
                output.answer(&gateways, |gateways| listed(gateways))?;
            }
            Self::Show { gateway } => {
                let gateway: Gateway = client.get(&["gateways", &gateway], &()).await?;
                output.answer(&gateway, shown)?;
            }
            Self::Settings { gateway, set, reason } => {
                let path = ["gateways", gateway.as_str(), "settings"];
                let settings: GatewaySettings = match set {
                    None => client.get(&path, &()).await?,
                    Some(file) => {
                        let document = serde_json::from_slice(&files::octets(&file)?).map_err(|error| {
                            Failure::invalid("json", format!("{}: {error}", file.display()))
                        })?;
                        let before = client.get_versioned::<GatewaySettings>(&path).await?;
                        let body = PutGatewaySettings { document, reason };
                        client.change(Method::PUT, &path, &before.etag, &body).await?
                    }
                };
                output.answer(&settings, settings_shown)?;
            }
        }
        Ok(Exit::Done)
    }
}

/// A list of gateways; `status` shows it too.
pub(crate) fn listed(gateways: &[Gateway]) -> String {
    output::table(
        ["GATEWAY", "ADDRESS", "STATE", "SINCE", "LINKS", "DOCUMENTS", "IN FLIGHT", "WHY"],
        gateways.iter().map(|gateway| {
            let behind: Vec<_> = gateway
                .documents
                .iter()
                .filter(|document| document.state != "in-sync")
                .map(|document| format!("{} {}", document.kind, document.state))
                .collect();
            [
                gateway.name.clone(),
                gateway.address.clone(),
                gateway.state.clone(),
                or_dash(gateway.since.map(time::short)),
                gateway.links.to_string(),
                if behind.is_empty() { "in sync".to_owned() } else { behind.join(", ") },
                or_dash(gateway.heartbeat.as_ref().map(|beat| beat.in_flight)),
                or_dash(gateway.error.as_ref()),
            ]
        }),
    )
}

fn shown(gateway: &Gateway) -> String {
    let beat = gateway.heartbeat.as_ref();
    let mut text = output::fields([
        ("name", gateway.name.clone()),
        ("address", gateway.address.clone()),
        ("state", gateway.state.clone()),
        ("since", or_empty(gateway.since.map(time::short))),
        ("why", or_empty(gateway.error.as_ref())),
        ("version", or_empty(gateway.version.as_ref())),
        ("links", gateway.links.to_string()),
        ("link certificate until", or_empty(gateway.link_certificate_not_after.map(time::short))),
        ("last heartbeat", or_empty(beat.map(|beat| time::short(beat.at)))),
        ("clock skew", or_empty(beat.map(|beat| format!("{} ms", beat.clock_skew_ms)))),
        ("connections", or_empty(beat.map(|beat| beat.connections))),
        ("requests", or_empty(beat.map(|beat| format!("{} ({} in flight)", beat.requests, beat.in_flight)))),
        ("resident", or_empty(beat.map(|beat| format!("{} KiB", beat.resident_octets / 1024)))),
        ("certificate until", or_empty(beat.and_then(|beat| beat.certificate_not_after).map(time::short))),
    ]);
    let documents = gateway.documents.iter().map(|document| {
        [
            document.kind.clone(),
            document.wanted.to_string(),
            or_dash(document.in_force),
            document.state.clone(),
            or_dash(document.reason.as_ref()),
        ]
    });
    text =
        format!("{text}\n\n{}", output::table(["DOCUMENT", "WANTED", "IN FORCE", "STATE", "WHY"], documents));
    if let Some(beat) = beat.filter(|beat| !beat.refusals.is_empty()) {
        let rows = beat.refusals.iter().map(|(reason, count)| [reason.clone(), count.to_string()]);
        text = format!("{text}\n\n{}", output::table(["REFUSED BECAUSE", "TIMES"], rows));
    }
    text
}

fn settings_shown(settings: &GatewaySettings) -> String {
    let fields = output::fields([
        ("version", settings.version.to_string()),
        ("state", settings.state.clone()),
        ("rejected because", or_empty(settings.rejected.as_ref())),
        ("made", time::short(settings.created_at)),
        ("by", settings.created_by.clone()),
        ("sha256", settings.sha256.clone()),
    ]);
    let document = serde_json::to_string_pretty(&settings.document).expect("a JSON value serialises");
    format!("{fields}\n\n{}", crate::text::json(&document))
}
