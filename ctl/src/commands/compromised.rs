//! `posternctl gateway compromised`: a gateway is in other hands.

use clap::Args;
use postern_api::{
    Time,
    captures::{CaptureProgress, Compromised, CompromisedDevice, DeclareCompromised},
};
use serde_json::json;

use crate::{
    client::Client,
    failure::Failure,
    output::{self, Output},
    text, time,
};

/// Which gateway, and what is wanted.
#[derive(Debug, Args)]
pub struct Declare {
    /// Its name.
    gateway: String,
    /// Since when it may have been in other hands, such as 2026-11-20T08:00:00Z.
    #[arg(long, required_unless_present = "status")]
    since: Option<Time>,
    /// Why; stands in the audit log.
    #[arg(long, default_value = "in other hands")]
    reason: String,
    /// Do it: nobody dials the gateway again, and there is no way back but a new gateway of another name.
    #[arg(long)]
    yes: bool,
    /// Show how far it has come, and for which devices something is left to a person.
    #[arg(long, conflicts_with_all = ["since", "yes"])]
    status: bool,
}

impl Declare {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let Self { gateway, since, reason, yes, status: _ } = self;
        let path = ["gateways", gateway.as_str(), "compromised"];
        let Some(since) = since else {
            let state: Compromised = client.get(&path, &()).await?;
            let devices: Vec<CompromisedDevice> =
                client.list(&["gateways", &gateway, "compromised", "devices"], &(), None).await?;
            let told = json!({ "gateway": state, "devices": devices });
            return output.answer(&told, |_| format!("{}\n\n{}", progress(&state), carried(&devices)));
        };
        if !yes {
            return Err(Failure::invalid(
                "confirmation-missing",
                format!(
                    "{gateway} would never be dialed again, and its devices get new secrets: say so with --yes"
                ),
            ));
        }
        let state: Compromised = client.post(&path, &DeclareCompromised { since, reason }).await?;
        output.answer(&state, progress)?;
        output.remark(&format!(
            "take {gateway} out of DNS and off the network now: it holds the private key of its device port's certificate. \
             `gateway compromised {gateway} --status` shows what is left to do."
        ));
        Ok(())
    }
}

fn progress(state: &Compromised) -> String {
    let row = |what: &str, progress: CaptureProgress| {
        let CaptureProgress { wanted, ordered, done, not_needed, impossible } = progress;
        [
            what.to_owned(),
            wanted.to_string(),
            ordered.to_string(),
            done.to_string(),
            not_needed.to_string(),
            impossible.to_string(),
        ]
    };
    let fields = output::fields([
        ("gateway", state.gateway.clone()),
        ("in other hands since", time::short(state.since)),
        ("declared", time::short(state.declared_at)),
        ("by", state.declared_by.clone()),
        ("because", text::terminal(&state.reason).into_owned()),
        ("certificates revoked", state.certificates_revoked.to_string()),
        ("devices", state.devices.to_string()),
        ("finished", if state.finished { "yes" } else { "no" }.to_owned()),
    ]);
    let table = output::table(
        ["", "WANTED", "ORDERED", "DONE", "NOT NEEDED", "IMPOSSIBLE"],
        [row("secrets", state.rotation), row("readings", state.reading)],
    );
    format!("{fields}\n\n{table}")
}

fn carried(devices: &[CompromisedDevice]) -> String {
    output::table(
        ["DEVICE", "PROOF", "SESSIONS", "LAST", "SECRET", "BECAUSE", "READINGS", "BECAUSE"],
        devices.iter().map(|device| {
            [
                device.name.clone().unwrap_or_else(|| device.id.to_string()),
                device.proof_class.to_string(),
                device.sessions.to_string(),
                time::short(device.last_session_at),
                device.rotation.clone(),
                device.rotation_because.clone(),
                device.reading.clone(),
                device.reading_because.clone(),
            ]
        }),
    )
}
