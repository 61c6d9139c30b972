//! `posternctl lock` and `posternctl unlock`.

use clap::Args;
use postern_api::locks::{LockDevices, Locked};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
};

/// Which devices, and why.
#[derive(Debug, Args)]
pub struct Which {
    /// Enrolments' ids, DevIds or names.
    pub devices: Vec<String>,
    /// All devices of this group, too.
    #[arg(long)]
    pub group: Option<String>,
    /// Why.
    #[arg(long)]
    pub reason: String,
    /// Only say what would be hit and what would become of it.
    #[arg(long)]
    pub dry_run: bool,
}

/// How far.
#[derive(Debug, Args)]
pub struct How {
    /// Some of the device stays usable: what, it decides.
    #[arg(long, conflicts_with_all = ["reset_pin", "recover_pin"])]
    pub partial: bool,
    /// Lock it and give it a new PIN, which `command show` tells once it is read.
    #[arg(long, conflicts_with = "recover_pin")]
    pub reset_pin: bool,
    /// The same, where the device can bring its old PIN's secrets over to the new one.
    #[arg(long)]
    pub recover_pin: bool,
}

impl How {
    /// The action's name.
    pub const fn action(&self) -> &'static str {
        match self {
            Self { partial: true, .. } => "partial",
            Self { reset_pin: true, .. } => "reset-pin",
            Self { recover_pin: true, .. } => "recover-pin",
            _ => "full",
        }
    }
}

/// Does it.
pub async fn run(
    which: Which,
    action: &str,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let body = LockDevices {
        action: action.to_owned(),
        devices: which.devices,
        group: which.group,
        reason: which.reason,
        dry_run: which.dry_run,
    };
    let locked: Locked = client.post(&["locks"], &body).await?;
    output.answer(&locked, shown)?;
    Ok(Exit::Done)
}

fn shown(locked: &Locked) -> String {
    let devices = output::table(
        ["DEVICE", "NAME", "OPERATION"],
        locked.devices.iter().map(|device| {
            [
                device.id.to_string(),
                device.name.clone(),
                or_dash(device.operation.map(|operation| operation.to_string())),
            ]
        }),
    );
    format!("{}: {} devices\n{devices}", locked.outcome, locked.devices.len())
}
