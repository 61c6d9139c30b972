//! `posternctl freeze`, `thaw`, `break-glass`, `limits …`, `safety`: the brakes of destructive operations.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Subcommand;
use postern_api::safety::{
    BreakGlass, Freeze, FreezeOrThaw, OpenBreakGlass, Safety, SafetyChange, SafetyLimits, SetSafetyLimits,
};
use secrecy::ExposeSecret as _;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with the limits.
#[derive(Debug, Subcommand)]
pub enum LimitsAction {
    /// Show the limits, and who set them.
    Get,
    /// Set limits. What allows nothing more than before is in force at once; else another has to approve it.
    Set {
        /// `NAME=VALUE`, one or more.
        #[arg(required = true, value_parser = pair)]
        limits: Vec<(String, u64)>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl LimitsAction {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Get => {
                let limits: SafetyLimits = client.get(&["safety", "limits"], &()).await?;
                output.answer(&limits, listed)?;
            }
            Self::Set { limits, reason } => {
                let body = SetSafetyLimits { limits: limits.into_iter().collect::<BTreeMap<_, _>>(), reason };
                let change: SafetyChange = client.put_to(&["safety", "limits"], &body).await?;
                output.answer(&change, |change| said(change, "the limits are in force"))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Freezes everything destructive.
pub async fn freeze(reason: String, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let frozen: Freeze = client.post(&["safety", "freeze"], &FreezeOrThaw { reason }).await?;
    output.answer(&frozen, |frozen| {
        format!(
            "frozen since {} by {}: nothing destructive is accepted or sent ({})",
            time::short(frozen.since),
            text::terminal(&frozen.by),
            text::terminal(&frozen.reason)
        )
    })?;
    Ok(Exit::Done)
}

/// Asks for the end of a freeze, or gives it.
pub async fn thaw(reason: String, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let change: SafetyChange = client.post(&["safety", "thaw"], &FreezeOrThaw { reason }).await?;
    output.answer(&change, |change| said(change, "thawed: destructive operations go again"))?;
    Ok(Exit::Done)
}

/// Opens break-glass.
pub async fn break_glass(
    code_file: PathBuf,
    devices: u64,
    reason: String,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let code = crate::files::secret(&code_file)?.expose_secret().to_owned();
    let open: BreakGlass =
        client.post(&["safety", "break-glass"], &OpenBreakGlass { code, devices, reason }).await?;
    output.answer(&open, |open| {
        format!(
            "break-glass is open for {} devices until {}: give --break-glass with each command; {} codes are left in the safe",
            open.devices,
            time::short(open.until),
            open.codes_left
        )
    })?;
    Ok(Exit::Done)
}

/// How it stands.
pub async fn show(client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let safety: Safety = client.get(&["safety"], &()).await?;
    let frozen = safety.frozen.is_some();
    output.answer(&safety, shown)?;
    Ok(if frozen { Exit::Refused } else { Exit::Done })
}

fn pair(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let value = value.trim().parse().map_err(|_| format!("{value:?} is not a whole number"))?;
    Ok((name.trim().to_owned(), value))
}

fn said(change: &SafetyChange, done: &str) -> String {
    match (change.done, change.approval) {
        (false, Some(approval)) => {
            format!("waits for a second person: `posternctl approval show {approval}`")
        }
        _ => done.to_owned(),
    }
}

fn listed(limits: &SafetyLimits) -> String {
    output::table(
        ["LIMIT", "VALUE", "DEFAULT", "BETWEEN", "SET BY", "WHAT"],
        limits.limits.iter().map(|limit| {
            [
                limit.name.clone(),
                limit.value.to_string(),
                limit.default.to_string(),
                format!("{}..{}", limit.least, limit.most),
                or_dash(limit.set_by.clone()),
                limit.what.clone(),
            ]
        }),
    )
}

fn shown(safety: &Safety) -> String {
    let state = match &safety.frozen {
        Some(freeze) => format!(
            "FROZEN since {} by {}: {}",
            time::short(freeze.since),
            text::terminal(&freeze.by),
            text::terminal(&freeze.reason)
        ),
        None => "not frozen".to_owned(),
    };
    let approvers: Vec<String> = safety
        .approvers
        .iter()
        .map(|one| format!("{} (from {})", text::terminal(&one.name), time::short(one.from)))
        .collect();
    format!(
        "{state}\nlast hour, all persons: {} of {} devices (fleet of {})\nlast hour, you: {} of {} devices\nmay approve: {}\nrequests that wait: {}",
        safety.hit_by_all,
        safety.fleet_limit,
        safety.fleet,
        safety.hit_by_you,
        safety.your_limit,
        or_dash((!approvers.is_empty()).then(|| approvers.join(", "))),
        safety.waiting
    )
}
