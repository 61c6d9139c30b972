//! `posternctl bootstrap make`: the document that gives a device its account.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, ValueEnum};
use postern_api::notifications::{
    Bootstrap, BootstrapProfile, BootstrapSecurity, BootstrapTo, MakeBootstrap,
};
use secrecy::ExposeSecret as _;

use crate::{
    client::Client,
    failure::{Exit, Failure},
    files,
    output::Output,
};

/// Arguments of `bootstrap make`.
#[derive(Debug, Args)]
pub struct Make {
    /// An enrolment's id, a DevId or a name.
    pub device: String,
    /// cp (OMA CP) or dm (the DM profile).
    #[arg(long)]
    pub profile: Profile,
    /// How it proves where it comes from.
    #[arg(long)]
    pub security: Security,
    /// A file that holds the user's PIN; needed with userpin and usernetwpin.
    #[arg(long, value_name = "FILE", required_if_eq_any([("security", "userpin"), ("security", "usernetwpin")]))]
    pub pin_file: Option<PathBuf>,
    /// The IMSI; needed with netwpin and usernetwpin.
    #[arg(long, required_if_eq_any([("security", "netwpin"), ("security", "usernetwpin")]))]
    pub imsi: Option<String>,
    /// What becomes of it: a file, a short message (SMPP), or a push through the proxy gateway (PAP).
    #[arg(long)]
    pub to: To,
    /// With `--to file`: the new file, readable by its owner only.
    #[arg(long, value_name = "FILE", required_if_eq("to", "file"))]
    pub out: Option<PathBuf>,
    /// What the user sees as the account's name.
    #[arg(long)]
    pub name: Option<String>,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub reason: Option<String>,
}

/// The profiles, as clap lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "documented in the API's types")]
pub enum Profile {
    Cp,
    Dm,
}

/// The ways of proof, as clap lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
#[expect(missing_docs, reason = "documented in the API's types")]
pub enum Security {
    UserPin,
    NetwPin,
    UserNetwPin,
    None,
}

/// What becomes of it, as clap lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "documented in the API's types")]
pub enum To {
    File,
    Sms,
    Pap,
}

/// What was seen of a push proxy gateway that many run (docs/DEVICE.md).
const KANNEL: &str = "Kannel 1.4.5 as push proxy gateway drops SEC and MAC of a bootstrap, so a device that wants its proof \
                      refuses it; --to sms and --to file keep them";

impl Make {
    /// Does it.
    pub async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Exit, Failure> {
        let body = self.body()?;
        let made: Bootstrap = client.post(&["devices", &self.device, "bootstrap"], &body).await?;
        let (Some(path), Some(document)) = (&self.out, &made.document_base64) else {
            output.answer(&made, |made| {
                let by = made.bearer.as_deref().unwrap_or("-");
                format!("given to {by} as {}", made.reference.as_deref().unwrap_or("-"))
            })?;
            if self.to == To::Pap && self.security != Security::None {
                output.remark(KANNEL);
            }
            return Ok(Exit::Done);
        };
        let octets = STANDARD
            .decode(document)
            .map_err(|error| Failure::new(Exit::Refused, "unexpected-answer", error.to_string()))?;
        files::write_secret(path, &octets)?;
        // What is shown is no secret; the document is in the file only.
        let shown = Bootstrap { document_base64: None, ..made };
        output.answer(&shown, |made| format!("Content-Type: {}", made.content_type))?;
        output.remark(&format!("the document is in {}; it holds the device's credentials", path.display()));
        Ok(Exit::Done)
    }

    fn body(&self) -> Result<MakeBootstrap, Failure> {
        let pin = self.pin_file.as_ref().map(|path| files::secret(path)).transpose()?;
        Ok(MakeBootstrap {
            profile: match self.profile {
                Profile::Cp => BootstrapProfile::Cp,
                Profile::Dm => BootstrapProfile::Dm,
            },
            security: match self.security {
                Security::UserPin => BootstrapSecurity::UserPin,
                Security::NetwPin => BootstrapSecurity::NetwPin,
                Security::UserNetwPin => BootstrapSecurity::UserNetwPin,
                Security::None => BootstrapSecurity::None,
            },
            pin: pin.map(|pin| pin.expose_secret().to_owned()),
            imsi: self.imsi.clone(),
            to: match self.to {
                To::File => BootstrapTo::File,
                To::Sms => BootstrapTo::Sms,
                To::Pap => BootstrapTo::Pap,
            },
            name: self.name.clone(),
            reason: self.reason.clone(),
        })
    }
}
