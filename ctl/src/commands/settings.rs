//! `posternctl settings …`: intervals and limits, for everything, a group or a device.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use postern_api::settings::{Setting, Settings, UpdateSettings};
use reqwest::Method;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output},
};

/// What can be done with settings.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show settings with their values, and where each comes from.
    Get {
        /// Only this one, with all that is known of it.
        name: Option<String>,
        /// Whose.
        #[command(flatten)]
        whose: Whose,
    },
    /// Set a value; `--clear` takes away what is set there.
    Set {
        /// The setting's name.
        name: String,
        /// The value: `8h`, `10%`, `7d`, `on`.
        #[arg(required_unless_present = "clear", conflicts_with = "clear")]
        value: Option<String>,
        /// Take away what is set there: what is set further up holds again.
        #[arg(long)]
        clear: bool,
        /// For whom.
        #[command(flatten)]
        whose: Whose,
    },
}

/// For whom a setting is shown or set; without one of these, for everything.
#[derive(Debug, Args)]
pub struct Whose {
    /// A group, by id or name.
    #[arg(long, conflicts_with = "device")]
    pub group: Option<String>,
    /// A device: an enrolment's id, a DevId or a name.
    #[arg(long)]
    pub device: Option<String>,
}

impl Whose {
    fn path(&self) -> Vec<&str> {
        match (&self.group, &self.device) {
            (Some(group), _) => vec!["groups", group, "settings"],
            (None, Some(device)) => vec!["devices", device, "settings"],
            (None, None) => vec!["settings"],
        }
    }
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Get { name: None, whose } => {
                let settings: Settings = client.get(&whose.path(), &()).await?;
                output.answer(&settings, listed)?;
            }
            Self::Get { name: Some(name), whose } => {
                let settings: Settings = client.get(&whose.path(), &()).await?;
                output.answer(find(&settings, &name)?, shown)?;
            }
            Self::Set { name, value, clear: _, whose } => {
                let read = client.get_versioned::<Settings>(&whose.path()).await?;
                let name = find(&read.value, &name)?.name.clone();
                let body = UpdateSettings { values: BTreeMap::from([(name.clone(), value)]) };
                let settings: Settings =
                    client.change(Method::PATCH, &whose.path(), &read.etag, &body).await?;
                output.answer(find(&settings, &name)?, |setting| {
                    format!(
                        "{} is {}: {}",
                        setting.name,
                        setting.value,
                        crate::text::terminal(&setting.because)
                    )
                })?;
            }
        }
        Ok(Exit::Done)
    }
}

/// The settings of enrolment, or one of them set.
pub(crate) async fn enrolment(
    name: Option<String>,
    value: Option<String>,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let everything = Whose { group: None, device: None };
    if let Some(name) = name {
        let set = Action::Set { name, value, clear: false, whose: everything };
        return Box::pin(set.run(client, output)).await;
    }
    let mut settings: Settings = client.get(&everything.path(), &()).await?;
    settings.settings.retain(|setting| {
        ["Enrol", "EnableDisenroll", "Disenroll"].iter().any(|start| setting.name.starts_with(start))
    });
    output.answer(&settings, listed)?;
    Ok(Exit::Done)
}

fn find<'a>(settings: &'a Settings, name: &str) -> Result<&'a Setting, Failure> {
    let found = settings.settings.iter().find(|setting| setting.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<_> = settings.settings.iter().map(|setting| setting.name.as_str()).collect();
        Failure::invalid("name", format!("there is no setting {name:?}; there are {}", names.join(", ")))
    })
}

fn listed(settings: &Settings) -> String {
    output::table(
        ["SETTING", "VALUE", "FROM", "BECAUSE", "RANGE"],
        settings.settings.iter().map(|setting| {
            let value = if setting.acts {
                setting.value.clone()
            } else {
                format!("{} (not acted on)", setting.value)
            };
            [
                setting.name.clone(),
                value,
                setting.from.clone(),
                setting.because.clone(),
                setting.range.clone(),
            ]
        }),
    )
}

fn shown(setting: &Setting) -> String {
    let scopes: Vec<_> = setting.scopes.iter().map(|scope| scope.as_str()).collect();
    output::fields([
        ("setting", setting.name.clone()),
        ("what", setting.doc.clone()),
        ("value", setting.value.clone()),
        ("from", setting.from.clone()),
        ("because", setting.because.clone()),
        ("set here", setting.own.clone().unwrap_or_default()),
        ("range", setting.range.clone()),
        ("default", setting.default.clone()),
        ("can be set for", scopes.join(", ")),
        ("acted on", if setting.acts { "yes" } else { "not in this release" }.to_owned()),
    ])
}
