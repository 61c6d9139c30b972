//! `posternctl gateway add|retire|certificate`.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use postern_api::gateways::{
    AddGateway, GatewayBundle, GatewayCertificate, ImportGatewayCertificate, RenewGatewayCertificate,
    RetireGateway, RetiredGateway,
};
use serde_json::json;

use crate::{
    client::Client,
    failure::Failure,
    files,
    output::{self, Output, or_dash},
    time,
};

/// Add a gateway.
#[derive(Debug, Args)]
pub struct Add {
    /// Its name: lower-case letters, digits and hyphens.
    pub gateway: String,
    /// Where the core dials its link port.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: String,
    /// Names and addresses in its device port's certificate. Default: the host of the devices' URL.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub names: Vec<String>,
    /// The bundle's file; it is made, for its owner only; `-` for stdout. Default: GATEWAY.bundle in this folder.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How long the bundle is good for, minutes. Default: 24 hours.
    #[arg(long, value_name = "MINUTES")]
    pub minutes: Option<u32>,
    /// Put it in the place of a gateway of that name; the certificates of that one are revoked.
    #[arg(long)]
    pub replace: bool,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

impl Add {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let out = self.out.unwrap_or_else(|| PathBuf::from(format!("{}.bundle", self.gateway)));
        let piped = out == Path::new("-");
        if !piped && out.exists() {
            return Err(Failure::invalid("out", format!("{} exists; it is not overwritten", out.display())));
        }
        let body = AddGateway {
            name: self.gateway,
            address: self.address,
            names: self.names,
            minutes: self.minutes,
            replace: self.replace,
            reason: self.reason,
        };
        let made: GatewayBundle = client.post(&["gateways"], &body).await?;
        let text = serde_json::to_vec_pretty(&made.bundle).expect("a JSON value serialises");
        if piped {
            // For a pipe to the gateway's host: the secret rests on no disk on the way.
            let written = std::io::stdout().write_all(&text);
            return written.map_err(|error| Failure::file(&out, &error));
        }
        files::write_secret(&out, &text)?;
        // The secret stands in the file alone.
        let told = json!({"gateway": made.gateway, "expires_at": made.expires_at, "bundle": out});
        output.answer(&told, |_| {
            format!(
                "{} is the bundle of gateway {}, good for one join until {}.\nCarry it to the gateway and run there: \
                 postern-gateway join {} --state DIR",
                out.display(),
                made.gateway,
                time::short(made.expires_at),
                out.display()
            )
        })
    }
}

/// Retire a gateway.
#[derive(Debug, Args)]
pub struct Retire {
    /// Its name.
    pub gateway: String,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: String,
}

impl Retire {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let path = ["gateways", self.gateway.as_str(), "retire"];
        let retired: RetiredGateway = client.post(&path, &RetireGateway { reason: self.reason }).await?;
        output.answer(&retired, |retired| {
            let away = if retired.put_away {
                "It says that it has put away its keys and lists."
            } else {
                "It has not answered: its keys and lists are on that machine still. Its certificates are revoked."
            };
            let rows = retired.revoked.iter().map(|known| [known.port.clone(), known.serial.clone()]);
            let table = output::table(["REVOKED", "SERIAL"], rows);
            format!("Gateway {} is retired. {away}\n\n{table}", crate::text::terminal(&retired.gateway))
        })
    }
}

/// What can be done with a gateway's certificates.
#[derive(Debug, Subcommand)]
pub enum CertificateAction {
    /// List its keys with their requests and certificates.
    List {
        /// The gateway.
        gateway: String,
    },
    /// Renew a certificate now, over a new key.
    Renew {
        /// The gateway.
        gateway: String,
        /// `link` or `server`.
        #[arg(value_parser = ["link", "server"])]
        port: String,
    },
    /// Make a new key for the device port and show its signing request, for an external CA.
    Request {
        /// The gateway.
        gateway: String,
    },
    /// Bring in the chain that an external CA made over the request.
    Import {
        /// The gateway.
        gateway: String,
        /// PEM: the certificate, then what stands between it and its CA.
        chain: PathBuf,
    },
}

/// A gateway has so long to answer with its request.
const TRIES: u32 = 100;

impl CertificateAction {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        match self {
            Self::List { gateway } => output.answer(&kept(client, &gateway).await?, |all| listed(all)),
            Self::Renew { gateway, port } => renew(client, &gateway, &port).await,
            Self::Request { gateway } => {
                let waits = |all: &[GatewayCertificate]| {
                    all.iter().find(|one| one.port == "server" && one.state == "waiting").cloned()
                };
                if waits(&kept(client, &gateway).await?).is_none() {
                    renew(client, &gateway, "server").await?;
                }
                for _ in 0..TRIES {
                    if let Some(request) = waits(&kept(client, &gateway).await?) {
                        return output.answer(&request, |request| request.request.clone());
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                let why =
                    "the gateway has made no request: does its settings' `certificate` say \"external\"?";
                Err(Failure::invalid("gateway", why.to_owned()))
            }
            Self::Import { gateway, chain } => {
                let chain = files::text(&chain)?;
                let path = ["gateways", gateway.as_str(), "certificates", "server"];
                let taken: GatewayCertificate =
                    client.put_to(&path, &ImportGatewayCertificate { chain }).await?;
                output.answer(&taken, |taken| listed(std::slice::from_ref(taken)))
            }
        }
    }
}

async fn kept(client: &Client, gateway: &str) -> Result<Vec<GatewayCertificate>, Failure> {
    client.list(&["gateways", gateway, "certificates"], &(), None).await
}

async fn renew(client: &Client, gateway: &str, port: &str) -> Result<(), Failure> {
    let path = ["gateways", gateway, "certificates", "renew"];
    client.post_nothing(&path, &RenewGatewayCertificate { port: port.to_owned() }).await
}

fn listed(all: &[GatewayCertificate]) -> String {
    output::table(
        ["PORT", "STATE", "ASKED", "UNTIL", "SERIAL", "KEY"],
        all.iter().map(|one| {
            [
                one.port.clone(),
                one.state.clone(),
                time::short(one.asked_at),
                or_dash(one.not_after.map(time::short)),
                or_dash(one.serial.as_ref()),
                one.key_hash.chars().take(16).collect(),
            ]
        }),
    )
}
