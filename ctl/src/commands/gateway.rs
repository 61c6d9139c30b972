//! `posternctl gateway …`: gateways, their links, and the settings documents that the core sends them.

mod members;
mod settings;

use clap::Subcommand;
use postern_api::gateways::{Gateway, GatewayLists};
use serde_json::json;

use super::compromised;
use crate::{
    client::Client,
    failure::{Exit, Failure},
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
    /// Add a gateway: makes the bundle that `postern-gateway join` takes.
    Add(members::Add),
    /// Retire a gateway: it serves no more, its certificates are revoked.
    Retire(members::Retire),
    /// A gateway's keys and certificates.
    Certificate {
        /// What to do.
        #[command(subcommand)]
        action: members::CertificateAction,
    },
    /// Cut off a gateway that is in other hands, and renew what it may have learnt or changed; with `--status`, show how
    /// far that has come.
    Compromised(compromised::Declare),
    /// The settings documents that gateways are to have.
    Settings {
        /// What to do.
        #[command(subcommand)]
        action: settings::Action,
    },
    /// Show which gateways have the blocked list and the routes.
    Lists {
        /// Wait so long for the connected ones to have them, seconds.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=30))]
        wait: u64,
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
            Self::Add(add) => add.run(client, output).await?,
            Self::Retire(retire) => retire.run(client, output).await?,
            Self::Compromised(declare) => declare.run(client, output).await?,
            Self::Certificate { action } => action.run(client, output).await?,
            Self::Settings { action } => return action.run(client, output).await,
            Self::Lists { wait } => {
                let query = json!({"wait_ms": wait * 1000});
                let wait = std::time::Duration::from_secs(wait);
                let lists: GatewayLists = client.poll(&["gateway-lists"], &query, wait).await?;
                output.answer(&lists, lists_shown)?;
                if !lists.acknowledged_by_all {
                    return Ok(Exit::Refused);
                }
            }
        }
        Ok(Exit::Done)
    }
}

fn lists_shown(lists: &GatewayLists) -> String {
    let rows = lists.gateways.iter().map(|state| {
        [
            state.gateway.clone(),
            if state.connected { "yes" } else { "no: it serves nobody" }.to_owned(),
            state.blocked.to_string(),
            state.routes.to_string(),
            state.lag.to_string(),
        ]
    });
    let table = output::table(["GATEWAY", "CONNECTED", "BLOCKED", "ROUTES", "BEHIND"], rows);
    format!("blocked list {}, routes {}\n\n{table}", lists.blocked, lists.routes)
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
        ("origin", gateway.origin.clone()),
        ("since", or_empty(gateway.since.map(time::short))),
        ("why", or_empty(gateway.error.as_ref())),
        ("version", or_empty(gateway.version.as_ref())),
        ("links", gateway.links.to_string()),
        ("link certificate until", or_empty(gateway.link_certificate_not_after.map(time::short))),
        ("last heartbeat", or_empty(beat.map(|beat| time::short(beat.at)))),
        (
            "up for",
            or_empty(beat.map(|beat| time::duration(i64::try_from(beat.uptime_s).unwrap_or(i64::MAX)))),
        ),
        (
            "clock skew",
            or_empty(beat.map(|beat| format!("{} ± {} ms", beat.clock_skew_ms, beat.clock_skew_error_ms))),
        ),
        ("listens at", or_empty(beat.map(|beat| beat.listening.join(", ")))),
        ("connections", or_empty(beat.map(|beat| beat.connections))),
        ("sessions", or_empty(beat.map(|beat| beat.sessions))),
        ("listening devices", or_empty(beat.map(|beat| beat.listeners))),
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
    if let Some(beat) = beat.filter(|beat| !beat.certificates.is_empty()) {
        let rows = beat.certificates.iter().map(|known| {
            [
                known.port.clone(),
                time::short(known.not_after),
                if known.managed { "by itself" } else { "by you" }.to_owned(),
                known.serial.clone(),
            ]
        });
        text = format!("{text}\n\n{}", output::table(["CERTIFICATE", "UNTIL", "RENEWED", "SERIAL"], rows));
    }
    if let Some(beat) = beat.filter(|beat| !beat.troubles.is_empty()) {
        let rows = beat.troubles.iter().map(|trouble| [trouble.clone()]);
        text = format!("{text}\n\n{}", output::table(["WRONG THERE"], rows));
    }
    if let Some(beat) = beat.filter(|beat| !beat.refusals.is_empty()) {
        let rows = beat.refusals.iter().map(|(reason, count)| {
            let limit = if beat.limits_hit.contains_key(reason) { "limit" } else { "" };
            [reason.clone(), count.to_string(), limit.to_owned()]
        });
        text = format!("{text}\n\n{}", output::table(["REFUSED BECAUSE", "TIMES", ""], rows));
    }
    text
}
