//! `posternctl recovery …`: devices' recovery passwords (docs/RECOVERY.md).

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Subcommand;
use postern_api::recovery::{DeviceRecovery, RecoveryReason, RecoverySummary, ShowRecovery, ShownRecovery};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::{self, Output, or_dash},
    text, time,
};

/// What can be done with recovery passwords.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// How they stand: of everything, or of a device.
    Status {
        /// An enrolment's id, a DevId or a name.
        device: Option<String>,
    },
    /// Read out a device's recovery password. It is audited, the owner is told, and the device makes a new one.
    Show {
        /// An enrolment's id, a DevId or a name.
        device: String,
        /// Why; stands in the audit log and in the mail to the owner.
        #[arg(long)]
        reason: String,
        /// An earlier one that is kept, by its number.
        #[arg(long)]
        number: Option<u64>,
        /// A file that holds your own password; without it the terminal is asked.
        #[arg(long)]
        own_password_file: Option<PathBuf>,
    },
    /// Have a device, or all, make a new one.
    Rotate {
        /// An enrolment's id, a DevId or a name.
        #[arg(required_unless_present = "all")]
        device: Option<String>,
        /// Every device.
        #[arg(long, conflicts_with = "device")]
        all: bool,
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: String,
    },
    /// Make a new escrow key; devices follow the old one's signature.
    RollKey {
        /// Why; stands in the audit log.
        #[arg(long)]
        reason: String,
    },
}

impl Action {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Status { device: None } => {
                let summary: RecoverySummary = client.get(&["recovery"], &()).await?;
                output.answer(&summary, summed)?;
            }
            Self::Status { device: Some(device) } => {
                let shown: DeviceRecovery = client.get(&["devices", &device, "recovery"], &()).await?;
                output.answer(&shown, of_device)?;
            }
            Self::Show { device, reason, number, own_password_file } => {
                let own = own_password(own_password_file.as_deref())?;
                let password = Some(own.expose_secret().to_owned());
                let body = ShowRecovery { reason, password, number };
                let shown: ShownRecovery =
                    client.post(&["devices", &device, "recovery", "show"], &body).await?;
                output.answer(&shown, opened)?;
            }
            Self::Rotate { device: Some(device), reason, .. } => {
                let body = RecoveryReason { reason };
                let shown: DeviceRecovery =
                    client.post(&["devices", &device, "recovery", "rotate"], &body).await?;
                output.answer(&shown, of_device)?;
            }
            Self::Rotate { device: None, reason, .. } => {
                let summary: RecoverySummary =
                    client.post(&["recovery", "rotate"], &RecoveryReason { reason }).await?;
                output.answer(&summary, summed)?;
            }
            Self::RollKey { reason } => {
                let summary: RecoverySummary =
                    client.post(&["recovery", "key"], &RecoveryReason { reason }).await?;
                output.answer(&summary, summed)?;
            }
        }
        Ok(Exit::Done)
    }
}

/// The caller's own password: of a file, or asked for.
pub(crate) fn own_password(file: Option<&Path>) -> Result<SecretString, Failure> {
    match file {
        Some(file) => files::secret(file),
        None => asked("Your own password"),
    }
}

/// A secret that a person types, with the terminal's echo off where there is a terminal.
pub(crate) fn asked(what: &str) -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    let switch = |how: &str| {
        let _no_terminal =
            Command::new("stty").arg(how).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
    };
    let terminal = stdin.is_terminal();
    if terminal {
        let _unprintable = write!(std::io::stderr(), "{what}: ");
        switch("-echo");
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if terminal {
        switch("echo");
        let _unprintable = writeln!(std::io::stderr());
    }
    let line = SecretString::from(line);
    read.map_err(|error| Failure::invalid("file", format!("standard input: {error}")))?;
    Ok(SecretString::from(line.expose_secret().trim_end_matches(['\r', '\n'])))
}

fn summed(summary: &RecoverySummary) -> String {
    let keys = output::table(
        ["KEY", "NUMBER", "MADE", "BY", "DEVICES", "PASSWORDS", "STATE"],
        summary.keys.iter().map(|key| {
            let state = match (&key.trouble, key.current, key.devices + key.passwords) {
                (Some(trouble), ..) => trouble.clone(),
                (None, true, _) => "in use".to_owned(),
                (None, false, 0) => "nothing rests on it: its file may go".to_owned(),
                (None, false, _) => "keep its file".to_owned(),
            };
            [
                key.id.clone(),
                key.number.to_string(),
                time::short(key.made_at),
                key.made_by.clone(),
                key.devices.to_string(),
                key.passwords.to_string(),
                state,
            ]
        }),
    );
    let devices = output::table(
        ["STATE", "DEVICES"],
        summary.devices.iter().map(|count| [count.state.clone(), count.devices.to_string()]),
    );
    format!("{keys}\n{devices}")
}

fn of_device(shown: &DeviceRecovery) -> String {
    let head = output::fields([
        ("device", shown.device.to_string()),
        ("state", shown.state.clone()),
        ("because", text::terminal(&shown.because).into_owned()),
        ("since", or_dash(shown.since.map(time::short))),
        ("due", or_dash(shown.due.map(time::short))),
    ]);
    let all = output::table(
        ["NUMBER", "KIND", "MADE BECAUSE", "CAME", "PROOF", "KEY", "SHOWN", "LAST TO"],
        shown.passwords.iter().map(|one| {
            [
                one.number.to_string(),
                one.kind.to_string(),
                one.cause.to_string(),
                time::short(one.received_at),
                one.proof.to_string(),
                one.key.clone(),
                one.shown.to_string(),
                or_dash(one.shown_by.clone()),
            ]
        }),
    );
    format!("{head}\n{all}")
}

fn opened(shown: &ShownRecovery) -> String {
    output::fields([
        ("recovery password", shown.password.clone()),
        ("number", shown.number.to_string()),
        ("came", time::short(shown.received_at)),
        ("proof", shown.proof.to_string()),
        ("renewed from", or_dash(shown.renewed_from.map(time::short))),
    ])
}
