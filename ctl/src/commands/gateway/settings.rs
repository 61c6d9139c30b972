//! `posternctl gateway settings get|set|diff|history|roll-back|stop`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_api::gateways::{GatewayDefaults, GatewaySettings, PutGatewaySettings, RollBackGatewaySettings};
use postern_engine::gcm::layers;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash, or_empty},
    time,
};

/// What can be done with gateways' settings.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show the settings of a gateway with where each value comes from; or what is set for all.
    Get {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
    },
    /// Set values for a gateway; or for all, rolled out to one first, then to the rest, stopping on error.
    Set {
        /// Whose.
        #[command(flatten)]
        whose: Whose,
        /// What to set: `retry_after_s=120`, `address.burst=50`, `device_names=["a.example"]`. A value is JSON, or text.
        #[arg(long = "value", short = 'v', value_name = "KEY=VALUE")]
        values: Vec<String>,
        /// Keys to set no more: what is for all, or the default, holds again.
        #[arg(long, value_name = "KEY")]
        clear: Vec<String>,
        /// A JSON file with all that is set, in the place of what was. `-` is stdin.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["values", "clear"])]
        file: Option<PathBuf>,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Show what differs between two versions of a gateway's settings.
    Diff {
        /// The gateway.
        gateway: String,
        /// The older one; without it, the last good one before the wanted one.
        from: Option<u64>,
        /// The newer one; without it, the wanted one.
        to: Option<u64>,
    },
    /// List the versions of a gateway's settings.
    History {
        /// The gateway.
        gateway: String,
    },
    /// Give a gateway again the settings that it had.
    RollBack {
        /// The gateway.
        gateway: String,
        /// Which version; without it the last good one before the wanted one.
        #[arg(long)]
        to: Option<u64>,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Stop the roll-out that runs; gateways that have it go back.
    Stop,
}

/// A gateway, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// The gateway.
    pub gateway: Option<String>,
    /// All gateways.
    #[arg(long)]
    pub all: bool,
}

const DEFAULTS: [&str; 1] = ["gateway-defaults"];

impl Action {
    pub(super) async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Get { whose } => match whose.gateway {
                Some(gateway) => output.answer(&of(client, &gateway).await?, shown)?,
                None => {
                    let defaults: GatewayDefaults = client.get(&DEFAULTS, &()).await?;
                    output.answer(&defaults, defaults_shown)?;
                    if defaults.state == "stopped" {
                        return Ok(Exit::Refused);
                    }
                }
            },
            Self::Set { whose, values, clear, file, reason } => {
                let change = Change { values, clear, file };
                match whose.gateway {
                    Some(gateway) => {
                        let path = ["gateways", gateway.as_str(), "settings"];
                        let before = client.get_versioned::<GatewaySettings>(&path).await?;
                        let document = change.on(before.value.own)?;
                        let body = PutGatewaySettings { document, reason };
                        let settings: GatewaySettings =
                            client.change(Method::PUT, &path, &before.etag, &body).await?;
                        output.answer(&settings, shown)?;
                    }
                    None => {
                        let before = client.get_versioned::<GatewayDefaults>(&DEFAULTS).await?;
                        let counts = before.value.state == "in-force";
                        // What was stopped is not built upon.
                        let base = if counts { before.value.document } else { in_force(client).await? };
                        let body = PutGatewaySettings { document: change.on(base)?, reason };
                        let defaults: GatewayDefaults =
                            client.change(Method::PUT, &DEFAULTS, &before.etag, &body).await?;
                        output.answer(&defaults, defaults_shown)?;
                    }
                }
            }
            Self::Diff { gateway, from, to } => {
                let now = of(client, &gateway).await?;
                let history = history(client, &gateway).await?;
                let to = to.unwrap_or(now.version);
                let before =
                    || history.iter().find(|version| version.version < to && version.good_at.is_some());
                let from = from.or_else(|| before().map(|version| version.version)).unwrap_or(0);
                let (old, new) = (document(&history, from)?, document(&history, to)?);
                let changes: Vec<Value> = layers::changes(&old, &new)
                    .into_iter()
                    .filter(|(key, ..)| key != "version")
                    .map(|(key, old, new)| json!({"key": key, "from": old, "to": new}))
                    .collect();
                let diff = json!({"gateway": gateway, "from": from, "to": to, "changes": changes});
                output.answer(&diff, diff_shown)?;
            }
            Self::History { gateway } => {
                output.answer(&history(client, &gateway).await?, |all| history_shown(all))?;
            }
            Self::RollBack { gateway, to, reason } => {
                let path = ["gateways", gateway.as_str(), "settings", "roll-back"];
                let body = RollBackGatewaySettings { version: to, reason };
                let settings: GatewaySettings = client.post(&path, &body).await?;
                output.answer(&settings, shown)?;
            }
            Self::Stop => {
                let defaults: GatewayDefaults =
                    client.delete_to(&["gateway-defaults", "roll-out"], &()).await?;
                output.answer(&defaults, defaults_shown)?;
            }
        }
        Ok(Exit::Done)
    }
}

async fn of(client: &Client, gateway: &str) -> Result<GatewaySettings, Failure> {
    client.get(&["gateways", gateway, "settings"], &()).await
}

async fn history(client: &Client, gateway: &str) -> Result<Vec<GatewaySettings>, Failure> {
    client.list(&["gateways", gateway, "settings", "versions"], &(), None).await
}

/// What counts for all gateways while the newest version does not.
async fn in_force(client: &Client) -> Result<Value, Failure> {
    let defaults: GatewayDefaults = client.get(&DEFAULTS, &()).await?;
    Ok(defaults.in_force_document)
}

fn document(history: &[GatewaySettings], version: u64) -> Result<Value, Failure> {
    if version == 0 {
        return Ok(serde_json::to_value(postern_wire::link::Settings::default()).unwrap_or_default());
    }
    let found = history.iter().find(|known| known.version == version);
    let found = found.ok_or_else(|| Failure::invalid("version", format!("there is no version {version}")))?;
    Ok(found.document.clone())
}

/// What a person wants changed.
struct Change {
    values: Vec<String>,
    clear: Vec<String>,
    file: Option<PathBuf>,
}

impl Change {
    fn on(self, mut document: Value) -> Result<Value, Failure> {
        if let Some(file) = &self.file {
            return serde_json::from_slice(&files::octets(file)?)
                .map_err(|error| Failure::invalid("json", format!("{}: {error}", file.display())));
        }
        if self.values.is_empty() && self.clear.is_empty() {
            return Err(Failure::invalid(
                "value",
                "give --value KEY=VALUE, --clear KEY or --file".to_owned(),
            ));
        }
        for pair in &self.values {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| Failure::invalid("value", format!("{pair:?} is not KEY=VALUE")))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            layers::set(&mut document, key, value);
        }
        for key in &self.clear {
            if !layers::clear(&mut document, key) {
                return Err(Failure::invalid("clear", format!("{key:?} is not set there")));
            }
        }
        Ok(document)
    }
}

fn shown(settings: &GatewaySettings) -> String {
    let fallen = settings.fallen.as_ref();
    let fields = output::fields([
        ("version", settings.version.to_string()),
        ("state", settings.state.clone()),
        ("in force there", settings.in_force.to_string()),
        ("last good", settings.last_good.to_string()),
        (
            "rejected",
            or_empty(fallen.map(|fallen| format!("version {}: {}", fallen.version, fallen.because))),
        ),
        ("made", time::short(settings.created_at)),
        ("by", settings.created_by.clone()),
        ("because", or_empty(settings.reason.as_ref())),
        ("pushed", or_empty(settings.pushed_at.map(time::short))),
        ("answered", or_empty(settings.answered_at.map(time::short))),
        ("good", or_empty(settings.good_at.map(time::short))),
        ("sha256", settings.sha256.clone()),
    ]);
    let rows =
        settings.values.iter().map(|value| [value.key.clone(), value.value.to_string(), value.from.clone()]);
    format!("{fields}\n\n{}", output::table(["KEY", "VALUE", "FROM"], rows))
}

fn history_shown(all: &[GatewaySettings]) -> String {
    output::table(
        ["VERSION", "STATE", "MADE", "BY", "BECAUSE", "PUSHED", "ANSWERED", "GOOD", "REJECTED BECAUSE"],
        all.iter().map(|version| {
            [
                version.version.to_string(),
                version.state.clone(),
                time::short(version.created_at),
                version.created_by.clone(),
                or_dash(version.reason.as_ref()),
                or_dash(version.pushed_at.map(time::short)),
                or_dash(version.answered_at.map(time::short)),
                or_dash(version.good_at.map(time::short)),
                or_dash(version.rejected.as_ref()),
            ]
        }),
    )
}

fn diff_shown(diff: &Value) -> String {
    let text = |value: &Value| if value.is_null() { "-".to_owned() } else { value.to_string() };
    let rows = diff["changes"].as_array().into_iter().flatten().map(|change| {
        [change["key"].as_str().unwrap_or_default().to_owned(), text(&change["from"]), text(&change["to"])]
    });
    output::table(["KEY", &format!("VERSION {}", diff["from"]), &format!("VERSION {}", diff["to"])], rows)
}

fn defaults_shown(defaults: &GatewayDefaults) -> String {
    let fields = output::fields([
        ("version", defaults.version.to_string()),
        ("in force", defaults.in_force.to_string()),
        ("state", defaults.state.clone()),
        ("stopped because", or_empty(defaults.because.as_ref())),
        ("made", or_empty(defaults.created_at.map(time::short))),
        ("by", or_empty(defaults.created_by.as_ref())),
        ("because", or_empty(defaults.reason.as_ref())),
        ("set for all", crate::text::json(&defaults.document.to_string())),
    ]);
    let rows = defaults.steps.iter().map(|step| {
        [step.gateway.clone(), step.state.clone(), or_dash(step.version), or_dash(step.because.as_ref())]
    });
    format!("{fields}\n\n{}", output::table(["GATEWAY", "STATE", "VERSION", "BECAUSE"], rows))
}
