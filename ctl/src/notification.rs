//! `posternctl notification …`: package 0 in files, offline; bare, as a WSP push, or as the user data of a short message.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use postern_wire::{
    auth,
    notification::{Initiator, NonceReading, Package0, SessionId, Trigger, UiMode},
    push::{
        Push, PushMedia,
        sms::{Ports, UserData, split},
        wsp,
    },
};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::{
    failure::{Exit, Failure},
    files::{self, hex_or_octets},
    output::Output,
};

/// What can be done with notifications.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Read a notification, and check its digest when --secret-file is given. Exit code 1 when the digest is wrong, 2 when it is no notification.
    Decode(Decode),
    /// Write a notification, in hexadecimal digits: a line for each short message when --to is sms.
    Encode(Encode),
}

/// The framings of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// Package 0 itself.
    Package0,
    /// A WSP connectionless push.
    Wsp,
    /// The user data of a short message, its header first.
    Sms,
}

/// What to read.
#[derive(Debug, Args)]
pub struct Decode {
    /// What the file holds. Without it, what fits.
    #[arg(long, value_enum)]
    pub framing: Option<Framing>,
    /// A file whose first line is the server's password on the device (AAuthSecret of SRVCRED).
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The nonce that the server has for the device, base64 (AAuthData of SRVCRED). The default nonces are tried too.
    #[arg(long, value_name = "BASE64", default_value = "")]
    pub nonce: String,
    /// A notification, in octets or in hexadecimal digits. `-` is stdin.
    pub file: PathBuf,
}

/// What to write.
#[derive(Debug, Args)]
pub struct Encode {
    /// The ServerID of the device's account.
    #[arg(long)]
    pub server_id: String,
    /// The session that is asked for: 1 to FFFF.
    #[arg(long, value_name = "HEX")]
    pub session_id: String,
    /// A file whose first line is the server's password on the device (AAuthSecret of SRVCRED).
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,
    /// The nonce that the server has for the device, base64.
    #[arg(long, value_name = "BASE64", required_unless_present = "default_nonce")]
    pub nonce: Option<String>,
    /// Use the default nonce (four zero octets): it asks the device for a new one.
    #[arg(long, conflicts_with = "nonce")]
    pub default_nonce: bool,
    /// What the user may see.
    #[arg(long, value_enum, default_value = "background")]
    pub ui_mode: Ui,
    /// The user asked for the session, not the server.
    #[arg(long)]
    pub client_initiated: bool,
    /// Vendor-specific octets.
    #[arg(long, value_name = "HEX", default_value = "")]
    pub vendor: String,
    /// What to write.
    #[arg(long, value_enum, default_value = "package0")]
    pub to: Framing,
    /// Write octets, not digits. Short messages of several segments have no such form.
    #[arg(long)]
    pub binary: bool,
}

/// What the user may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the specification's")]
pub enum Ui {
    NotSpecified,
    Background,
    Informative,
    UserInteraction,
}

/// A notification that was read.
#[derive(Debug, Serialize)]
struct Shown {
    framing: Framing,
    version: String,
    ui_mode: &'static str,
    initiator: &'static str,
    session_id: String,
    server_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    vendor: String,
    digest: String,
    /// Under which reading of the nonce the digest is right; `wrong`, or nothing when no secret was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
}

impl Action {
    /// Does it.
    pub fn run(self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        match self {
            Self::Decode(decode) => decode.run(output),
            Self::Encode(encode) => encode.run(output),
        }
    }
}

impl Decode {
    fn run(&self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let octets = hex_or_octets(files::octets(&self.file)?);
        let (framing, package) = read(&self.file, &octets, self.framing)?;
        let trigger = &package.trigger;
        let mut remarks = Vec::new();
        if trigger.server_id_is_long() {
            remarks.push("the server identifier is longer than 23 octets: some clients refuse it".to_owned());
        }
        if trigger.future_use != 0 {
            remarks.push(format!("the future-use field is 0x{:07X}, not zero", trigger.future_use));
        }
        let verified = match &self.secret_file {
            None => None,
            Some(file) => {
                let secret = files::secret(file)?;
                let hash = auth::user_password_hash(&trigger.server_id, secret.expose_secret());
                let found = package.verify(&hash, &self.nonce, &NonceReading::ALL);
                Some(found.map_or("wrong", NonceReading::as_str))
            }
        };
        let exit = if verified == Some("wrong") { Exit::Refused } else { Exit::Done };
        let shown = Shown {
            framing,
            version: format!("{}.{}", trigger.version / 10, trigger.version % 10),
            ui_mode: trigger.ui_mode.as_str(),
            initiator: if trigger.initiator == Initiator::Server { "server" } else { "client" },
            session_id: trigger.session_id.to_string(),
            server_id: trigger.server_id.clone(),
            vendor: files::hex(&trigger.vendor),
            digest: files::hex(&package.digest()),
            verified,
            remarks,
        };
        output.document(&shown)?;
        Ok(exit)
    }
}

/// The package in whichever framing, and which it was.
fn read(path: &Path, octets: &[u8], framing: Option<Framing>) -> Result<(Framing, Package0), Failure> {
    let framing = framing.unwrap_or_else(|| framing_of(octets));
    let wrong = |error: &dyn std::error::Error| {
        Failure::invalid("invalid-notification", format!("{} is not a notification: {error}", path.display()))
    };
    let push = match framing {
        Framing::Package0 => None,
        Framing::Wsp => Some(wsp::decode(octets).map_err(|error| wrong(&error))?.push),
        Framing::Sms => {
            let user_data = UserData::decode(octets).map_err(|error| wrong(&error))?;
            if let Some(segment) = user_data.segment.filter(|segment| segment.total > 1) {
                let sentence = format!(
                    "{} is segment {} of {}: the others are needed too",
                    path.display(),
                    segment.number,
                    segment.total
                );
                return Err(Failure::invalid("segment", sentence));
            }
            Some(wsp::decode(user_data.body).map_err(|error| wrong(&error))?.push)
        }
    };
    let body = match push {
        None => octets.to_vec(),
        Some(Push { media: PushMedia::Notification, body, .. }) => body,
        Some(Push { media, .. }) => {
            let sentence = format!("{} is a push of {}, not a notification", path.display(), media.name());
            return Err(Failure::invalid("invalid-notification", sentence));
        }
    };
    Ok((framing, Package0::decode(&body).map_err(|error| wrong(&error))?))
}

fn framing_of(octets: &[u8]) -> Framing {
    let is_sms =
        UserData::decode(octets).is_ok_and(|data| data.ports.is_some() && data.body.get(1) == Some(&0x06));
    if is_sms {
        Framing::Sms
    } else if wsp::decode(octets).is_ok() {
        Framing::Wsp
    } else {
        Framing::Package0
    }
}

impl Encode {
    fn run(&self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let invalid =
            |error: &dyn std::error::Error| Failure::invalid("invalid-notification", error.to_string());
        let session_id = SessionId::from_hex(&self.session_id)
            .ok_or_else(|| Failure::usage("--session-id has to be 1 to FFFF"))?;
        let vendor = files::of_hex(&self.vendor)
            .ok_or_else(|| Failure::usage("--vendor has to be hexadecimal digits, two an octet"))?;
        let nonce = match &self.nonce {
            Some(text) => {
                auth::decode_nonce(text).ok_or_else(|| Failure::usage("--nonce has to be base64"))?
            }
            None => vec![0; 4],
        };
        let trigger = Trigger {
            ui_mode: match self.ui_mode {
                Ui::NotSpecified => UiMode::NotSpecified,
                Ui::Background => UiMode::Background,
                Ui::Informative => UiMode::Informative,
                Ui::UserInteraction => UiMode::UserInteraction,
            },
            initiator: if self.client_initiated { Initiator::Client } else { Initiator::Server },
            vendor,
            ..Trigger::new(session_id, &self.server_id)
        };
        if trigger.server_id_is_long() {
            output.remark("the server identifier is longer than 23 octets: some clients refuse it");
        }
        let secret = files::secret(&self.secret_file)?;
        let hash = auth::user_password_hash(&self.server_id, secret.expose_secret());
        let package = Package0::seal(trigger, &hash, &nonce).map_err(|error| invalid(&error))?.encode();
        let pieces = match self.to {
            Framing::Package0 => vec![package],
            framing => {
                let pdu = wsp::encode(&Push::notification(package), 1).map_err(|error| invalid(&error))?;
                match framing {
                    Framing::Sms => split(&pdu, Ports::PUSH, 1).map_err(|error| invalid(&error))?,
                    _ => vec![pdu],
                }
            }
        };
        match (&pieces[..], self.binary) {
            ([one], true) => output.octets(one)?,
            (_, true) => return Err(Failure::usage("several short messages have no binary form")),
            (pieces, false) => {
                let lines: Vec<_> = pieces.iter().map(|piece| files::hex(piece)).collect();
                output.octets(format!("{}\n", lines.join("\n")).as_bytes())?;
            }
        }
        Ok(Exit::Done)
    }
}
